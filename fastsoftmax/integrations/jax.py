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

from .._args.arrays import Axis, Rows, size_shape
from .._args.filters import PARAMETERS, as_filters
from .._args.keyed import INVERSION, has_seed
from .._draws import check_on_invalid
from . import _jax_ffi as ffi
from ._jax_calls import Call, draw, transform
from ._jax_operands import (
    add_uniforms,
    add_words,
    as_array,
    bits_of,
    check_broadcasts,
    of_rows,
    temperature_of,
    with_axes,
)

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
    x = as_array("x", x)
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
    seed: Any = None,
    keys: Any = None,
    step: Any = None,
    method: str = INVERSION,
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
    seed, keys, step : int or array_like of int, optional
        As in :func:`fastsoftmax.sample`, in place of `key` and `u`: the draw of a row is a function of the row, its
        parameters, the seed, its key and its step alone.  Arrays may be traced.  A number, and what is not an array of
        JAX, keeps its 64 bits without x64 too; another number compiles nothing again.
    method : {"inversion", "rejection"}, default "inversion"
        With a seed: as in :func:`fastsoftmax.sample`; "rejection" draws faster from long rows.
    mask : array_like, optional
        bool, or integers 0 and 1, broadcast to the shape of `logits`: True is allowed; or packed int32 words as in
        :func:`fastsoftmax.sample`.
    bias : array_like, optional
        Added to the logits before the temperature; broadcast to the shape of `logits`.
    xtc_u : array_like, optional
        The coins of XTC, as `u`, one for each row; with `key` they come from ``jax.random.fold_in(key, 1)``, with
        `seed` from that.
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
    For the same uniforms, or the same seed, keys and step, the indices are those of :func:`fastsoftmax.sample`.

    Examples
    --------
    >>> import jax
    >>> from fastsoftmax.integrations.jax import sample
    >>> logits = jax.numpy.array([[0.0, 5.0, 1.0], [9.0, 0.0, 0.0]])
    >>> sample(logits, 0.7, key=jax.random.key(0), top_k=1)
    Array([1, 0], dtype=int32)
    """
    is_seeded = has_seed(seed, keys, step, method, {"key": key, "u": u}, size)
    if not is_seeded and (key is None) == (u is None):
        raise ValueError("pass either key, a key of jax.random, or u, the uniforms, or seed")
    unknown = filters.keys() - PARAMETERS.keys()
    if unknown:
        raise TypeError(f"sample() got an unexpected keyword argument {min(unknown)!r}")
    check_on_invalid(on_invalid)
    logits, rows, axes = _taken("logits", logits, axis)
    trailing = size_shape(size)
    operands = {"logits": logits}
    _, name, exact = temperature_of(temperature, rows)
    operands[name] = exact
    static: dict[str, Any] = {"size": trailing, "on_invalid": on_invalid}
    numbers = {}
    for name, value in filters.items():
        if name in ("order", "keep"):
            if isinstance(value, jax.core.Tracer):
                raise TypeError(f"{name} must be known when the function is traced; pass a tuple or an array of NumPy")
            numbers[name] = value
        elif isinstance(value, jax.Array | np.ndarray):
            operands[name] = of_rows(name, value, rows)
        elif value is not None:
            numbers[name] = value.item() if isinstance(value, np.generic) else value
    as_filters(numbers)  # wrong ones are errors here
    static |= {
        name: np.asarray(value).tolist() if name in ("order", "keep") else value for name, value in numbers.items()
    }
    if mask is not None:
        mask = as_array("mask", mask)
        if mask.dtype == bool:
            check_broadcasts("mask", mask.shape, "logits", logits.shape)
        operands["mask"] = with_axes(mask, logits.ndim)
    if bias is not None:
        if hasattr(bias, "keys"):
            raise TypeError("bias must be an array here: jnp.zeros(n).at[index].set(value) in place of {index: value}")
        bias = as_array("bias", bias)
        check_broadcasts("bias", bias.shape, "logits", logits.shape)
        operands["bias"] = with_axes(bias, logits.ndim)
    shape = rows.shape + trailing
    has_coins = "xtc_probability" in filters
    if is_seeded:
        add_words(operands, seed, keys, step, rows)
        static["method"] = method
    elif key is not None:
        operands["u bits"] = bits_of(key, shape)
        if has_coins and xtc_u is None:
            operands["xtc_u bits"] = bits_of(jax.random.fold_in(key, 1), rows.shape)
    else:
        add_uniforms(operands, "u", u, shape)
        if has_coins and xtc_u is None:
            raise ValueError("u is given and XTC is on: pass its coins too, one for each row, as xtc_u")
    if xtc_u is not None and has_coins:
        add_uniforms(operands, "xtc_u", xtc_u, rows.shape)
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
    return ffi.uniforms_of_bits(np.asarray(bits_of(key, shape)))


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
    x = as_array("x", x)
    is_number = not x.ndim
    x, rows, axes = _taken("x", x, axis)
    operands = {"x": x}
    t, name, exact = temperature_of(temperature, rows)
    operands[name] = exact
    if where is not None:
        where = as_array("where", where)
        if where.dtype != bool:
            raise TypeError(f"where must be bool, not {where.dtype}")
        check_broadcasts("where", where.shape, "x", x.shape)
        operands["where"] = with_axes(where, x.ndim)
    shape = rows.shape if function == "logsumexp" else x.shape
    call = Call(function, tuple(operands), axes, shape)
    result = transform(call, x, t, exact if exact is not t else None, operands.get("where"))
    return result.reshape(()) if is_number else result


def _taken(name: str, x: Any, axis: Axis) -> tuple[Any, Rows, tuple[int, ...]]:
    """The logits as an array of a dtype that is kept, its rows, and the axes of their entries."""
    x = as_array(name, x)
    if x.dtype not in (jnp.float32, jnp.float64, jnp.float16, jnp.bfloat16):
        if not (jnp.issubdtype(x.dtype, jnp.integer) or x.dtype == bool):
            raise TypeError(f"{name} must be of real numbers of 16, 32 or 64 bits, not {x.dtype}")
        x = x.astype(float)
    if x.ndim == 0:  # a row of one entry; jax.vmap must find an axis of entries
        x = x.reshape(1)
    rows = Rows(x.shape, axis, name, may_be_empty=True)
    return x, rows, tuple(i - x.ndim for i in rows.axes)
