"""A softmax layer whose temperature can be set after training, and draws from what a Keras model predicts.

The layer is of `keras.ops` alone: it works on every backend, in a compiled model too.  The draws are those of
:func:`fastsoftmax.sample` and :func:`fastsoftmax.sample_probs`.

Examples
--------
>>> import keras
>>> import numpy as np
>>> from fastsoftmax.integrations.keras import Temperature, sample
>>> trained = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, kernel_initializer="identity")])
>>> temperature = Temperature()
>>> model = keras.Sequential([trained, temperature])
>>> logits = np.array([[1.0, 2.0, 3.0]], np.float32)
>>> model.predict(logits, verbose=0).round(3)
array([[0.09 , 0.245, 0.665]], dtype=float32)
>>> temperature.temperature = 0.5
>>> model.predict(logits, verbose=0).round(3)
array([[0.016, 0.117, 0.867]], dtype=float32)
>>> temperature.temperature = 0
>>> sample(model.predict(logits, verbose=0))
array([2])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.random.mtrand import get_bit_generator
from numpy.typing import NDArray

try:
    import keras
    from keras import ops
except ImportError as error:
    raise ImportError(
        "fastsoftmax.integrations.keras needs Keras 3 and the backend that KERAS_BACKEND names (tensorflow, if it "
        f"names none): pip install keras, and with it jax, torch or tensorflow ({error})"
    ) from error

from .. import _sampling
from .._args.arrays import shown

__all__ = ["Temperature", "sample"]


@keras.saving.register_keras_serializable(package="fastsoftmax")
class Temperature(keras.layers.Layer):
    """Softmax with temperature, in place of `keras.layers.Softmax` or after a trained model.

    Parameters
    ----------
    temperature : float, default 1.0
        T, 0 <= T <= inf.  It is kept in a weight that is not trained, and saved with the model.
    probs : bool, default False
        The inputs are probabilities (or any weights), not logits: the outputs are p^(1/T) over their sum.  For a
        network that ends in a softmax.
    axis : int or sequence of int, default -1
        The axis of the entries; several axes are one row.
    **kwargs
        `name`, `dtype` and the others of `keras.layers.Layer`.

    Attributes
    ----------
    temperature : float
        May be set at any time and takes effect at the next call, in a compiled model too.

    Raises
    ------
    ValueError
        For a temperature that is negative or NaN, and for an axis that the inputs do not have.
    TypeError
        For a temperature that is not one number, `probs` that is not a bool, an axis that is not made of ints, and
        complex inputs.

    Notes
    -----
    Rows are computed in float32 (float64 under that policy) and rounded once to the dtype of the layer.  The limits and
    special values are those of :func:`fastsoftmax.softmax` and :func:`fastsoftmax.softmax_probs`: at T = 0 the largest
    entries share the probability, at T = inf all that can be drawn do, -inf (a weight of 0) has probability 0, and a
    row that is no distribution is NaN.  Gradients flow to the inputs; at T = 0 and T = inf they are 0.  What differs:
    subnormal weights count as 0, and at T = inf a row is NaN where two entries differ by more than the largest number
    of the type.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.integrations.keras import Temperature
    >>> layer = Temperature(0.5, probs=True)
    >>> np.asarray(layer(np.array([0.0, 0.25, 0.75], np.float32))).round(3)
    array([0. , 0.1, 0.9], dtype=float32)
    """

    def __init__(
        self, temperature: float = 1.0, *, probs: bool = False, axis: int | Sequence[int] = -1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(probs, bool):
            raise TypeError(f"probs must be True (probabilities) or False (logits), got {shown(probs)}")
        self.probs = probs
        self.axis = _checked_axis(axis)
        self.supports_masking = True  # a mask of time steps is handed on
        self._wide = "float64" if self.compute_dtype == "float64" else "float32"
        first = _checked_temperature(temperature, self._wide)
        self._temperature = self.add_weight(
            shape=(),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(first, dtype=dtype),
            dtype=self._wide,
            trainable=False,
            autocast=False,
            name="temperature",
        )
        self._build_at_init()

    @property
    def temperature(self) -> float:
        value = ops.convert_to_numpy(self._temperature.value)
        return float(str(value))  # the shortest of the numbers that the weight stands for: 0.7, not 0.699999988

    @temperature.setter
    def temperature(self, value: float) -> None:
        self._temperature.assign(_checked_temperature(value, self._wide))

    def call(self, inputs: Any) -> Any:
        if "complex" in keras.backend.standardize_dtype(inputs.dtype):
            raise TypeError("inputs are complex: pass real numbers, such as keras.ops.abs of them")
        x = ops.cast(inputs, self._wide)
        axis = _axes_of(x.shape, self.axis)
        if 0 in tuple(x.shape):
            return ops.cast(x, self.compute_dtype)  # no backend has a maximum of nothing
        with np.errstate(all="ignore") if keras.config.backend() == "numpy" else nullcontext():
            return ops.cast(self._probabilities(x, axis), self.compute_dtype)

    def _probabilities(self, x: Any, axis: tuple[int, ...]) -> Any:
        # T = 0 and T = inf are the uniform distribution over the largest entries and over all: what differs is the
        # least entry that counts.  NaN is not below it, and makes the row NaN.
        temperature = ops.convert_to_tensor(self._temperature)
        is_zero = ops.equal(temperature, 0)
        divisor = ops.where(is_zero, math.inf, temperature)
        limits = np.finfo(self._wide)
        least, most = (ops.convert_to_tensor(n, dtype=self._wide) for n in (limits.tiny, limits.max))
        if self.probs:
            largest = ops.stop_gradient(ops.max(x, axis=axis, keepdims=True))
            is_left_out = ops.less(x, ops.where(is_zero, largest, least))
            is_bad = ops.less(ops.min(x, axis=axis, keepdims=True), 0)
            highest = ops.log(ops.where(is_bad, math.nan, largest))
            x = ops.log(ops.where(is_left_out, 1.0, x))
        else:
            x = ops.where(ops.equal(x, math.inf), most, x)  # inf - inf would be NaN
            highest = ops.stop_gradient(ops.max(x, axis=axis, keepdims=True))
            is_left_out = ops.less(x, ops.where(is_zero, highest, -most))
        quotients = ops.where(is_left_out, -math.inf, (x - highest) / divisor)
        weights = ops.exp(quotients)  # of quotients up to 0: ops.softmax would look for their maximum again
        return weights / ops.sum(weights, axis=axis, keepdims=True)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "temperature": self.temperature, "probs": self.probs, "axis": self.axis}


def sample(outputs: Any, temperature: Any = 1.0, *, from_logits: bool = False, rng: Any = None, **others: Any) -> Any:
    """Draw an index from each row of what a model predicts.

    Parameters
    ----------
    outputs : array_like or tensor
        What `model.predict` returns, or `model(x)`: the entries of a row are its last axis.  Such as the helper of the
        character-RNN tutorials takes, for one row or for all.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row.  0 takes the most likely entry, the first of equal ones.
    from_logits : bool, default False
        As in Keras's losses: the outputs are logits, of a model that does not end in a softmax.  Otherwise they are
        probabilities, which need not sum to 1.
    rng : None, int, SeedSequence, BitGenerator or Generator, optional
        Where the uniforms come from.  None is NumPy's own stream, which `keras.utils.set_random_seed` and
        `numpy.random.seed` seed.
    **others
        `top_k`, `top_p` and the other filters, `size`, `axis`, `u`, `mask`, `bias`, `return_logprob` and `on_invalid`
        of :func:`fastsoftmax.sample`; and `seed`, `keys`, `step` and `method`, in place of `rng`.

    Returns
    -------
    int or ndarray of int64
        As :func:`fastsoftmax.sample` returns them: the indices in the shape of the rows, an int for one row.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastsoftmax.sample_probs` and, with `from_logits`, :func:`fastsoftmax.sample`; TypeError for
        several outputs at once, and for a tensor that has no values yet.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.integrations.keras import sample
    >>> sample(np.array([[0.0, 0.2, 0.8], [0.9, 0.1, 0.0]], np.float32), 0.01)
    array([2, 0])
    >>> sample(np.array([1.0, -3.0]), 0, from_logits=True)
    0
    """
    if not isinstance(from_logits, bool):
        raise TypeError(f"from_logits must be True or False, got {shown(from_logits)}")
    if rng is None and others.get("u") is None and others.get("seed") is None:
        rng = np.random.Generator(get_bit_generator())
    draw: Any = _sampling.sample if from_logits else _sampling.sample_probs
    values = _values(outputs)
    try:
        return draw(values, temperature, rng=rng, **others)
    except ValueError as error:
        if not from_logits and np.any(np.less(values, 0)):
            raise ValueError(f"{error}; if the model gives logits, pass from_logits=True") from None
        raise


def _values(outputs: Any) -> Any:
    """What a model returns as a NumPy array, whatever the backend; arrays and lists of numbers as they are."""
    if type(outputs) is np.ndarray:
        return outputs
    if isinstance(outputs, keras.KerasTensor):
        raise TypeError("outputs is a symbolic tensor without values: pass what model.predict returns")
    parts = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, list | tuple) else ()
    if isinstance(outputs, dict) or any(getattr(part, "ndim", 0) for part in parts):
        kind = type(outputs).__name__
        raise TypeError(f"outputs is a {kind} of arrays, from a model with several outputs: pass one of them")
    if not ops.is_tensor(outputs):
        return outputs
    try:
        return ops.convert_to_numpy(outputs)
    except Exception as error:
        raise TypeError(
            "outputs has no values, because a function is being traced: draw from what it returns, outside of it"
        ) from error


def _checked_temperature(value: Any, dtype: str) -> NDArray[Any]:
    """The temperature as a number of this dtype; what is too large for it is inf."""
    if callable(value):
        raise TypeError("temperature must be a number: to follow a schedule, set layer.temperature at each epoch")
    try:
        number = float("one" if isinstance(value, str) or np.ndim(value) else value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"temperature must be one number, got {shown(value)}") from None
    if not number >= 0:
        raise ValueError(f"temperature must be at least 0, got {number!r}")
    with np.errstate(all="ignore"):
        return np.array(number, dtype)


def _checked_axis(axis: Any) -> int | tuple[int, ...]:
    parts = axis if isinstance(axis, list | tuple) else (axis,)
    if not parts or any(isinstance(part, bool) or not isinstance(part, int | np.integer) for part in parts):
        raise TypeError(f"axis must be an int or a tuple of ints, got {shown(axis)}")
    numbers = tuple(int(part) for part in parts)
    return numbers if isinstance(axis, list | tuple) else numbers[0]


def _axes_of(shape: Sequence[int | None], axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """The axes of the entries, counted from 0."""
    try:
        return normalize_axis_tuple(axis, len(shape), "axis")
    except (ValueError, np.exceptions.AxisError):
        raise ValueError(
            f"axis={axis} does not fit the inputs, which have {len(shape)} axes (the batch is axis 0): "
            "pass axes that they have, each once"
        ) from None
