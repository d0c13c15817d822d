"""softmax, log_softmax, logsumexp and sample for JAX on the CPU: inside jit, vmap, grad, scan and outside of them.

The functions call the kernels through XLA's foreign function interface: they read the operands where they are and
write into the result.  Gradients flow to the logits and to the temperature, of any order.

Examples
--------
>>> import jax
>>> import fastsoftmax.integrations.jax as fsj
>>> logits = jax.numpy.array([1.0, 2.0, 3.0])
>>> print(jax.jit(fsj.softmax)(logits, 0.0))
[0. 0. 1.]
>>> int(jax.jit(fsj.sample)(logits, 0.0, key=jax.random.key(0)))
2
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

try:
    import jax
    import jax.ffi
    import jax.numpy as jnp
except ImportError as error:
    raise ImportError('fastsoftmax.integrations.jax needs JAX 0.5 or later: pip install "jax>=0.5"') from error

from .._args.arrays import Axis, Rows, any_array, size_shape, temperature_rows
from .._args.filters import PARAMETERS, as_filters
from .._draws import check_on_invalid
from . import _jax_ffi as ffi
from ._jax_calls import Call, draw, transform

__all__ = ["log_softmax", "logsumexp", "sample", "softmax", "uniforms", "words"]


def softmax(x: Any, temperature: Any = 1.0, *, axis: Axis = -1, where: Any = None) -> jax.Array:
    """Softmax with temperature: exp(x/T) divided by its sum along `axis`.

    Parameters
    ----------
    x : array_like
        Logits: float32, float16, bfloat16, with x64 float64; other numbers become JAX's default float.
    temperature : float or array_like, default 1.0
        T, 0 <= T <= inf; one number, or one for each row (broadcast to the shape of `x` without `axis`).  A number is
        used as a double; an array, which may be traced, has the digits of its dtype.
    axis : int, tuple of int or None, default -1
        The axes of the entries; several count as one, None means all.
    where : array_like of bool, optional
        Broadcast to the shape of `x`: True is an entry that counts.  The result of the others is 0.

    Returns
    -------
    jax.Array
        The probabilities, in the shape and dtype of `x`.  Differentiable with respect to `x` and `temperature`; at
        T = 0 and T = inf the gradients are 0.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastsoftmax.softmax`, for what is known when the function is traced.
    jax.errors.JaxRuntimeError
        With the same sentence, for values that are known only when it runs: a negative temperature in an array.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fastsoftmax.integrations.jax import softmax
    >>> softmax(jnp.array([1.0, 2.0, 2.0]), 0.0)
    Array([0. , 0.5, 0.5], dtype=float32)
    >>> round(float(softmax(jnp.array([1.0, 2.0, 3.0]), 2.0)[0]), 4)
    0.1863
    """
    return _transformed("softmax", x, temperature, axis, where)


def log_softmax(x: Any, temperature: Any = 1.0, *, axis: Axis = -1, where: Any = None) -> jax.Array:
    """Logarithm of the softmax with temperature along `axis`.

    Parameters
    ----------
    x, temperature, axis, where
        As in :func:`softmax`; the result of an entry that does not count is -inf.

    Returns
    -------
    jax.Array
        log p, in nats, in the shape and dtype of `x`; differentiable as :func:`softmax` is.

    Raises
    ------
    ValueError, TypeError, jax.errors.JaxRuntimeError
        As in :func:`softmax`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fastsoftmax.integrations.jax import log_softmax
    >>> round(float(log_softmax(jnp.array([0.0, 0.0]))[0]), 4)
    -0.6931
    """
    return _transformed("log_softmax", x, temperature, axis, where)


def logsumexp(
    x: Any, temperature: Any = 1.0, *, axis: Axis = -1, keepdims: bool = False, where: Any = None
) -> jax.Array:
    """Logarithm of the sum of exp(x/T) along `axis`.

    Parameters
    ----------
    x, temperature, axis, where
        As in :func:`softmax`.
    keepdims : bool, default False
        Keep the reduced axes, with length 1.

    Returns
    -------
    jax.Array
        In the dtype of `x` and its shape without `axis`; differentiable as :func:`softmax` is.

    Raises
    ------
    ValueError, TypeError, jax.errors.JaxRuntimeError
        As in :func:`softmax`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from fastsoftmax.integrations.jax import logsumexp
    >>> logsumexp(jnp.array([[0.0, 0.0], [1.0, 1.0]])).shape
    (2,)
    """
    x = _as_array("x", x)
    result = _transformed("logsumexp", x, temperature, axis, where)
    if keepdims and x.ndim:
        return jnp.expand_dims(result, Rows(x.shape, axis, "x", may_be_empty=True).axes)
    return result


def sample(
    logits: Any,
    temperature: Any = 1.0,
    *,
    key: Any = None,
    axis: Axis = -1,
    size: Any = None,
    u: Any = None,
    mask: Any = None,
    bias: Any = None,
    xtc_u: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
    **filters: Any,
) -> Any:
    """Draw an index from softmax(logits/T), for every row.

    Parameters
    ----------
    logits : array_like
        As `x` in :func:`softmax`; -inf is never drawn.
    temperature, axis
        As in :func:`softmax`.
    key : jax.random key
        Where the uniforms come from: 53 bits for each draw, from two words of ``jax.random.bits``, with x64 and
        without.  :func:`uniforms` returns them.
    size : int or tuple of int, optional
        How many independent draws from each row; these are the last axes of the result.
    u : array_like, optional
        The uniforms in [0, 1) themselves, instead of `key`; they broadcast to the shape of the result.  float64, or
        what :func:`words` makes of that where x64 is off; float32 is taken too, and has 24 bits.
    mask : array_like, optional
        bool, or integers 0 and 1, broadcast to the shape of `logits`: True is allowed; or packed int32 words as in
        :func:`fastsoftmax.sample`.
    bias : array_like, optional
        Added to the logits before the temperature; broadcast to the shape of `logits`.
    xtc_u : array_like, optional
        The coins of XTC, as `u`, one for each row; with `key` they come from ``jax.random.fold_in(key, 1)``.
    return_logprob : bool, default False
        Return the log-probability of what was drawn as well.
    on_invalid : {"raise", "flag"}, default "raise"
        What to do about a row that cannot be drawn from (NaN, or no entry above -inf): raise, or give -1 (and NaN).
    **filters
        `top_k`, `top_p`, `min_p` and the others of :func:`fastsoftmax.sample`; numbers, or arrays, which may be traced,
        with one value for each row.

    Returns
    -------
    jax.Array of int32, with x64 int64
        The indices, in the shape of the rows and `size`.
    jax.Array of float32, with x64 float64
        Only with `return_logprob`: log p, in nats.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastsoftmax.sample`, for what is known when the function is traced; TypeError where
        `return_logprob` is differentiated.
    jax.errors.JaxRuntimeError
        With the same sentence, for values that are known only when it runs: a row that cannot be drawn from.

    Notes
    -----
    For the same uniforms the indices are those of :func:`fastsoftmax.sample`.

    Examples
    --------
    >>> import jax
    >>> from fastsoftmax.integrations.jax import sample
    >>> logits = jax.numpy.array([[0.0, 5.0, 1.0], [9.0, 0.0, 0.0]])
    >>> sample(logits, 0.7, key=jax.random.key(0), top_k=1)
    Array([1, 0], dtype=int32)
    """
    if (key is None) == (u is None):
        raise ValueError("pass either key, a key of jax.random, or u, the uniforms")
    unknown = filters.keys() - PARAMETERS.keys()
    if unknown:
        raise TypeError(f"sample() got an unexpected keyword argument {min(unknown)!r}")
    check_on_invalid(on_invalid)
    logits, rows, axes = _taken("logits", logits, axis)
    trailing = size_shape(size)
    operands = {"logits": logits}
    _, name, exact = _temperature(temperature, rows)
    operands[name] = exact
    static: dict[str, Any] = {"size": trailing, "on_invalid": on_invalid}
    numbers = {}
    for name, value in filters.items():
        if name in ("order", "keep"):
            if isinstance(value, jax.core.Tracer):
                raise TypeError(f"{name} must be known when the function is traced; pass a tuple or an array of NumPy")
            numbers[name] = value
        elif isinstance(value, jax.Array | np.ndarray):
            operands[name] = _of_rows(name, value, rows)
        elif value is not None:
            numbers[name] = value.item() if isinstance(value, np.generic) else value
    as_filters(numbers)  # wrong ones are errors here
    static |= {
        name: np.asarray(value).tolist() if name in ("order", "keep") else value for name, value in numbers.items()
    }
    if mask is not None:
        mask = _as_array("mask", mask)
        if mask.dtype == bool:
            _check_broadcasts("mask", mask.shape, "logits", logits.shape)
        operands["mask"] = _with_axes(mask, logits.ndim)
    if bias is not None:
        if hasattr(bias, "keys"):
            raise TypeError("bias must be an array here: jnp.zeros(n).at[index].set(value) in place of {index: value}")
        bias = _as_array("bias", bias)
        _check_broadcasts("bias", bias.shape, "logits", logits.shape)
        operands["bias"] = _with_axes(bias, logits.ndim)
    shape = rows.shape + trailing
    has_coins = "xtc_probability" in filters
    if key is not None:
        operands["u bits"] = _bits(key, shape)
        if has_coins and xtc_u is None:
            operands["xtc_u bits"] = _bits(jax.random.fold_in(key, 1), rows.shape)
    else:
        _add_uniforms(operands, "u", u, shape)
        if has_coins and xtc_u is None:
            raise ValueError("u is given and XTC is on: pass its coins too, one for each row, as xtc_u")
    if xtc_u is not None and has_coins:
        _add_uniforms(operands, "xtc_u", xtc_u, rows.shape)
    call = Call("sample", tuple(operands), axes, shape, bool(return_logprob), json.dumps(static))
    drawn = draw(call, tuple(operands.values()))
    return tuple(drawn) if return_logprob else drawn[0]


def uniforms(key: Any, shape: int | tuple[int, ...] = ()) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The uniforms that ``sample(…, key=key)`` takes for a result of this shape, in float64 with x64 and without.

    Parameters
    ----------
    key : jax.random key
        Not traced.
    shape : int or tuple of int, default ()
        Shape of the result.

    Returns
    -------
    ndarray of float64
        Multiples of 2**-53 in [0, 1), such as :func:`fastsoftmax.sample` takes as `u`.

    Raises
    ------
    TypeError
        For a traced key.

    Examples
    --------
    >>> import jax
    >>> import fastsoftmax
    >>> from fastsoftmax.integrations.jax import sample, uniforms
    >>> logits, key = jax.random.normal(jax.random.key(1), (4, 50)), jax.random.key(2)
    >>> bool((sample(logits, key=key) == fastsoftmax.sample(logits, u=uniforms(key, 4))).all())
    True
    """
    shape = size_shape(shape)
    return ffi.uniforms_of_bits(np.asarray(_bits(key, shape)))


def words(u: Any) -> np.ndarray[Any, np.dtype[np.uint32]]:
    """float64 uniforms as pairs of uint32, which pass through jit unchanged where x64 is off.

    Parameters
    ----------
    u : array_like
        Uniforms, not traced, such as ``fastsoftmax.keyed_uniforms(seed, keys, step)``.

    Returns
    -------
    ndarray of uint32
        In the shape of `u` with one more axis, of length 2: to be passed to :func:`sample` as `u`.

    Examples
    --------
    >>> import fastsoftmax
    >>> from fastsoftmax.integrations.jax import words
    >>> words(fastsoftmax.keyed_uniforms(7, [40, 41])).shape
    (2, 2)
    """
    return ffi.words_of_doubles(np.asarray(u, np.float64))


def _transformed(function: str, x: Any, temperature: Any, axis: Axis, where: Any) -> Any:
    """The result of softmax, log_softmax or logsumexp."""
    x = _as_array("x", x)
    is_number = not x.ndim
    x, rows, axes = _taken("x", x, axis)
    operands = {"x": x}
    t, name, exact = _temperature(temperature, rows)
    operands[name] = exact
    if where is not None:
        where = _as_array("where", where)
        if where.dtype != bool:
            raise TypeError(f"where must be bool, not {where.dtype}")
        _check_broadcasts("where", where.shape, "x", x.shape)
        operands["where"] = _with_axes(where, x.ndim)
    shape = rows.shape if function == "logsumexp" else x.shape
    call = Call(function, tuple(operands), axes, shape)
    result = transform(call, x, t, exact if exact is not t else None, operands.get("where"))
    return result.reshape(()) if is_number else result


def _taken(name: str, x: Any, axis: Axis) -> tuple[Any, Rows, tuple[int, ...]]:
    """The logits as an array of a dtype that is kept, its rows, and the axes of their entries."""
    x = _as_array(name, x)
    if x.dtype not in (jnp.float32, jnp.float64, jnp.float16, jnp.bfloat16):
        if not (jnp.issubdtype(x.dtype, jnp.integer) or x.dtype == bool):
            raise TypeError(f"{name} must be of real numbers of 16, 32 or 64 bits, not {x.dtype}")
        x = x.astype(float)
    if x.ndim == 0:  # a row of one entry; jax.vmap must find an axis of entries
        x = x.reshape(1)
    rows = Rows(x.shape, axis, name, may_be_empty=True)
    return x, rows, tuple(i - x.ndim for i in rows.axes)


def _temperature(temperature: Any, rows: Rows) -> tuple[Any, str, Any]:
    """The temperature with as many axes as the rows, and as an operand, with its name.

    A number is an operand too, so that another one does not compile anything again; in words, as it is a double.
    """
    if isinstance(temperature, int | float | np.integer | np.floating):
        if not (isinstance(temperature, float) and temperature >= 0):
            temperature = float(temperature_rows(temperature, Rows((1,), -1, "x")))
        double = np.full((1,) * len(rows.shape), temperature, np.float64)
        with np.errstate(all="ignore"):
            return double.astype(np.float32), "temperature words", ffi.words_of_doubles(double)
    t = _as_array("temperature", temperature)
    if not jnp.issubdtype(t.dtype, jnp.floating):
        if not jnp.issubdtype(t.dtype, jnp.integer):
            raise TypeError(f"temperature must be a real number or an array of them, not {t.dtype}")
        t = t.astype(float)
    t = _of_rows("temperature", t, rows)
    return t, "temperature", t


def _as_array(name: str, value: Any) -> Any:
    if isinstance(value, jax.Array):
        return value
    if isinstance(value, np.ma.MaskedArray):
        any_array(value, name)  # raises
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: {error}") from None


def _of_rows(name: str, value: Any, rows: Rows) -> Any:
    """A parameter that broadcasts to the rows, with as many axes as they have."""
    value = _as_array(name, value)
    rows.check_shape(value.shape, name)
    return _with_axes(value, len(rows.shape))


def _with_axes(a: Any, count: int) -> Any:
    """The array with this many axes, by axes of length 1 before its own: jax.vmap adds its axis before all."""
    return a.reshape((1,) * (count - a.ndim) + a.shape) if a.ndim < count else a


def _bits(key: Any, shape: tuple[int, ...]) -> Any:
    try:
        return jax.random.bits(key, (*shape, 2), jnp.uint32)
    except (TypeError, ValueError) as error:
        raise type(error)(f"key must be one key of jax.random: {error}") from None


def _add_uniforms(operands: dict[str, Any], name: str, u: Any, shape: tuple[int, ...]) -> None:
    """The uniforms as an operand: as they are, or in words."""
    if not isinstance(u, jax.Array) and getattr(u, "dtype", None) != np.uint32:
        try:
            u = words(u)  # JAX would round float64 where x64 is off
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}: {error}") from None
    if u.dtype != jnp.uint32:
        if u.dtype not in (jnp.float32, jnp.float64):
            raise TypeError(f"{name} must be float64, or words(u) of that, not {u.dtype}")
        _check_broadcasts(name, u.shape, "the result", shape)
        operands[name] = _with_axes(u, len(shape))
        return
    if u.ndim == 0 or u.shape[-1] != 2:
        raise ValueError(f"{name} of uint32 must be words(u), with a last axis of length 2, not of shape {u.shape}")
    _check_broadcasts(name, u.shape[:-1], "the result", shape)
    operands[f"{name} words"] = _with_axes(u, len(shape) + 1)


def _check_broadcasts(name: str, given: tuple[int, ...], other: str, shape: tuple[int, ...]) -> None:
    try:
        fits = np.broadcast_shapes(given, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} of shape {given} does not broadcast to {other}, whose shape is {shape}")
