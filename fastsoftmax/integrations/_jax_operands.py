"""What integrations/jax.py hands to the kernels: its arguments as operands of XLA, checked as far as they are known."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._args.arrays import Rows, any_array, temperature_rows
from .._args.keyed import check_words_of_rows, checked_words, integer_keys
from . import _jax_ffi as ffi


def temperature_of(temperature: Any, rows: Rows) -> tuple[Any, str, Any]:
    """The temperature with as many axes as the rows, and as an operand, with its name.

    A number is an operand too, so that another one does not compile anything again; in words, as it is a double.
    """
    if isinstance(temperature, int | float | np.integer | np.floating):
        if not (isinstance(temperature, float) and temperature >= 0):
            temperature = float(temperature_rows(temperature, Rows((1,), -1, "x")))
        double = np.full((1,) * len(rows.shape), temperature, np.float64)
        with np.errstate(all="ignore"):
            return double.astype(np.float32), "temperature words", ffi.words_of_doubles(double)
    t = as_array("temperature", temperature)
    if not jnp.issubdtype(t.dtype, jnp.floating):
        if not jnp.issubdtype(t.dtype, jnp.integer):
            raise TypeError(f"temperature must be a real number or an array of them, not {t.dtype}")
        t = t.astype(float)
    t = of_rows("temperature", t, rows)
    return t, "temperature", t


def as_array(name: str, value: Any) -> Any:
    if isinstance(value, jax.Array):
        return value
    if isinstance(value, np.ma.MaskedArray):
        any_array(value, name)  # raises
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: {error}") from None


def of_rows(name: str, value: Any, rows: Rows) -> Any:
    """A parameter that broadcasts to the rows, with as many axes as they have."""
    value = as_array(name, value)
    rows.check_shape(value.shape, name)
    return with_axes(value, len(rows.shape))


def with_axes(a: Any, count: int) -> Any:
    """The array with this many axes, by axes of length 1 before its own: jax.vmap adds its axis before all."""
    return a.reshape((1,) * (count - a.ndim) + a.shape) if a.ndim < count else a


def bits_of(key: Any, shape: tuple[int, ...]) -> Any:
    try:
        return jax.random.bits(key, (*shape, 2), jnp.uint32)
    except (TypeError, ValueError) as error:
        raise type(error)(f"key must be one key of jax.random: {error}") from None


def add_uniforms(operands: dict[str, Any], name: str, u: Any, shape: tuple[int, ...]) -> None:
    """The uniforms as an operand: as they are, or in words."""
    if not isinstance(u, jax.Array) and getattr(u, "dtype", None) != np.uint32:
        try:
            u = ffi.words_of_doubles(np.asarray(u, np.float64))  # JAX would round float64 where x64 is off
        except (TypeError, ValueError) as error:
            raise TypeError(f"{name}: {error}") from None
    if u.dtype != jnp.uint32:
        if u.dtype not in (jnp.float32, jnp.float64):
            raise TypeError(f"{name} must be float64, or words(u) of that, not {u.dtype}")
        check_broadcasts(name, u.shape, "the result", shape)
        operands[name] = with_axes(u, len(shape))
        return
    if u.ndim == 0 or u.shape[-1] != 2:
        raise ValueError(f"{name} of uint32 must be words(u), with a last axis of length 2, not of shape {u.shape}")
    check_broadcasts(name, u.shape[:-1], "the result", shape)
    operands[f"{name} words"] = with_axes(u, len(shape) + 1)


def check_broadcasts(name: str, given: tuple[int, ...], other: str, shape: tuple[int, ...]) -> None:
    try:
        fits = np.broadcast_shapes(given, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} of shape {given} does not broadcast to {other}, whose shape is {shape}")


def add_words(operands: dict[str, Any], seed: Any, keys: Any, step: Any, rows: Rows) -> None:
    """The seed, the keys and the step of seeded draws as operands, one of each for all rows or one for each row."""
    if keys is None:  # here, as jax.vmap may add rows
        is_one = np.ndim(seed) == 0
        keys = np.arange(math.prod(rows.shape)).reshape(rows.shape) if is_one else np.zeros(rows.shape, np.int64)
    for name, value in (("seed", seed), ("keys", keys), ("step", 0 if step is None else step)):
        if isinstance(value, jax.Array):
            if not jnp.issubdtype(value.dtype, jnp.integer):
                raise TypeError(f"{name} must be integers, not {value.dtype}")
        else:
            value = np.asarray(integer_keys(value) if name == "keys" else checked_words(name, value))
        if name == "keys" or value.ndim:
            check_words_of_rows(name, value.shape, rows.shape)
        if isinstance(value, jax.Array):
            operands[name] = with_axes(value, len(rows.shape))
        else:  # of which JAX would make int32 where x64 is off
            operands[f"{name} words"] = with_axes(ffi.words_of_integers(value), len(rows.shape) + 1)
