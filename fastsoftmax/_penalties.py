"""penalize: lower the logits of tokens and sequences that repeat the context."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import Array, Axis, Rows, any_array, dtype_code, float_array
from ._args.parameters import LARGEST, Parameter, checked_column
from ._args.result import Result
from ._args.steps import check_within, checked_indices

if TYPE_CHECKING:
    from ._types import ArrayLike, BecomesFloat64, Float, Floats, IntArrayLike, Out, Penalties, Real, Shape

# In the order of fs_penalties (csrc/fastsoftmax.h).
_PARAMETERS = {
    "repetition": Parameter("number", 1.0, float(np.finfo(np.float64).tiny), LARGEST, "positive; 1 switches it off"),
    "frequency": Parameter("number", 0.0, -LARGEST, LARGEST, "finite; 0 switches it off"),
    "presence": Parameter("number", 0.0, -LARGEST, LARGEST, "finite; 0 switches it off"),
    "dry_multiplier": Parameter("number", 0.0, 0.0, LARGEST, "zero or positive; 0 switches DRY off"),
    "dry_base": Parameter("number", 1.75, 1.0, LARGEST, "at least 1"),
    "dry_allowed_length": Parameter("count", 2, 1, math.inf, "at least 1"),
    "dry_penalty_last_n": Parameter("count", -1, -1, math.inf, "-1 (the whole context), zero or positive"),
    "last_n": Parameter("count", -1, -1, math.inf, "-1 (the whole context), zero or positive"),
}
_OFF = {name: parameter.off for name, parameter in _PARAMETERS.items()}
_RECORD = np.dtype([(name, parameter.dtype) for name, parameter in _PARAMETERS.items()])

_NONE: tuple[()] = ()
_NO_BREAKERS = (np.empty(0, np.int64), np.zeros(1, np.int64))


# fmt: off
@overload
def penalize(
    logits: Floats[Shape, Float], tokens: IntArrayLike | Sequence[IntArrayLike], *, axis: Axis = -1,
    out: None = None, **options: Unpack[Penalties]
) -> Floats[Shape, Float]: ...
@overload
def penalize(
    logits: BecomesFloat64[Real], tokens: IntArrayLike | Sequence[IntArrayLike], *, axis: Axis = -1,
    out: None = None, **options: Unpack[Penalties]
) -> NDArray[np.float64]: ...
@overload
def penalize(
    logits: ArrayLike, tokens: IntArrayLike | Sequence[IntArrayLike], *, axis: Axis = -1, out: None = None,
    **options: Unpack[Penalties]
) -> NDArray[Any]: ...
@overload
def penalize(
    logits: ArrayLike, tokens: IntArrayLike | Sequence[IntArrayLike], *, axis: Axis = -1, out: Out,
    **options: Unpack[Penalties]
) -> Out: ...
# fmt: on
def penalize(
    logits: Any,
    tokens: Any,
    *,
    axis: Axis = -1,
    lengths: Any = None,
    repetition: Any = 1.0,
    frequency: Any = 0.0,
    presence: Any = 0.0,
    last_n: Any = None,
    dry_multiplier: Any = 0.0,
    dry_base: Any = 1.75,
    dry_allowed_length: Any = 2,
    dry_penalty_last_n: Any = None,
    dry_sequence_breakers: Iterable[Any] = _NONE,
    exempt: Any = None,
    out: Any = None,
) -> Any:
    """Lower the logits of tokens that would repeat the context.

    Parameters
    ----------
    logits : array_like
        Any real numbers; dtypes and layouts as in :func:`softmax`.
    tokens : array_like of int, or a list of them
        The context, oldest first.  One sequence for one row; for several a sequence each, of any lengths, or an array
        of the rows' shape with the tokens last.
    axis : int, tuple of int or None, default -1
        The axis of the vocabulary.
    lengths : array_like of int, optional
        The number of valid tokens in each row of an array; the tokens after them are not read.
    repetition : float or array_like, default 1.0
        r > 0: x becomes x/r where it is positive, x r else, for every token of the context [1]_.
    frequency, presence : float or array_like, default 0.0
        x becomes x - count * frequency - presence, for every token of the context.
    last_n : int or array_like of int, optional
        The number of tokens at the end of the context that repetition, frequency and presence look at; 0: none of them;
        None or -1: all.
    dry_multiplier : float or array_like, default 0.0
        m >= 0, DRY [2]_: x becomes x - m base**(l - allowed_length) for a token that would extend a repeat of l tokens,
        where l is at least the allowed length.
    dry_base : float or array_like, default 1.75
        At least 1.
    dry_allowed_length : int or array_like of int, default 2
        At least 1; shorter repeats are not penalized.
    dry_penalty_last_n : int or array_like of int, optional
        The number of tokens at the end of the context that DRY looks at; None or -1: all.
    dry_sequence_breakers : iterable of int or of sequences of int
        Tokens, or sequences of them, that end a repeat.  A token that is a breaker is not penalized itself.
    exempt : sequence of int, optional
        Tokens whose logits stay as they are, in every row.
    out : ndarray, optional
        Where the result goes; `logits` itself is in place, and then the time does not depend on the vocabulary.

    Returns
    -------
    ndarray
        With the shape of `logits` and the dtype of the result of :func:`softmax`.

    Raises
    ------
    ValueError
        For a token outside the vocabulary, by row and position; a parameter out of range; shapes that do not fit.
        `out` is then unchanged.
    TypeError
        For tokens that are not integers, or data of other dtypes.

    Notes
    -----
    The penalties are applied in the order repetition, frequency and presence, DRY, in float64; the result is rounded
    once.  Infinite and NaN logits stay as they are, finite ones stay finite.  To look at different parts of the context
    with repetition and with frequency, call the function twice.  DRY takes time in proportion to the context.

    References
    ----------
    .. [1] N. Keskar et al., "CTRL: A Conditional Transformer Language Model for Controllable Generation", 2019,
       arXiv 1909.05858, section 4.1.
    .. [2] P. E. Weidmann, "DRY: A modern repetition penalty that reliably prevents looping", 2024,
       text-generation-webui pull request 5677.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> logits = np.array([2.0, -1.0, 0.5, 1.0])
    >>> fastsoftmax.penalize(logits, [0, 1, 1], repetition=2.0, frequency=0.25)
    array([ 0.75, -2.5 ,  0.5 ,  1.  ])
    >>> fastsoftmax.penalize(logits, [0, 1, 1], repetition=2.0, last_n=2)
    array([ 2. , -2. ,  0.5,  1. ])
    """
    a = float_array(logits, "logits")
    rows = Rows(a.shape, axis, "logits")
    given = {
        "repetition": repetition, "frequency": frequency, "presence": presence, "dry_multiplier": dry_multiplier,
        "dry_base": dry_base, "dry_allowed_length": dry_allowed_length, "dry_penalty_last_n": dry_penalty_last_n,
        "last_n": last_n,
    }  # fmt: skip
    penalties = _record_of_scalars(**given) if _core.are_scalars(given) else _records(given, rows)
    breakers = _NO_BREAKERS if dry_sequence_breakers is _NONE else _sequences(dry_sequence_breakers)
    spared = None if exempt is None else checked_indices("exempt", exempt)
    if spared is not None:
        check_within("exempt", spared, rows.entries)
    context, starts = _context(tokens, lengths, rows)
    result = Result(a, out, rows)
    result.fill(result.source)
    if math.prod(rows.shape):
        _core.penalize_rows(
            result.parts,
            dtype_code(a.dtype),
            context,
            starts,
            rows.broadcast(penalties, "penalties"),
            *breakers,
            spared,
        )
    return result.finish()


def penalties_of_row(**penalties: float) -> NDArray[Any]:
    """What :func:`penalize_row` takes, of parameters of `penalize` that have been checked."""
    return _record_of_scalars(**{**_OFF, **penalties})


def penalize_row(row: NDArray[np.float32], tokens: NDArray[np.int64], penalties: NDArray[Any]) -> None:
    """`penalize` of one contiguous row in place, for integrations, whose tokens are entries of the row."""
    starts = np.array((0, tokens.size), np.int64)
    _core.penalize_rows(row, dtype_code(row.dtype), tokens, starts, penalties, *_NO_BREAKERS, None)


@lru_cache(maxsize=64, typed=True)  # typed: True is not 1
def _record_of_scalars(**given: Any) -> NDArray[Any]:
    return _records(given, Rows((1,), -1, "logits"))


def _records(given: Mapping[str, Any], rows: Rows) -> NDArray[Any]:
    """The parameters of each row."""
    records = np.empty(rows.shape, _RECORD)
    for name, parameter in _PARAMETERS.items():
        value = given[name]
        if value is None and name.endswith("last_n"):
            records[name] = parameter.off
        else:
            records[name] = checked_column(name, parameter, value, rows)
    return records


def _integers(value: Any, name: str) -> Array:
    a = any_array(value, name)
    if a.size == 0 and a.dtype.kind == "f":  # an empty list
        return a.astype(np.int64)
    if a.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {a.dtype}")
    return a


def _context(tokens: Any, lengths: Any, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The tokens of all rows one after another, where those of each row begin, and the end."""
    count = math.prod(rows.shape)
    ragged = bool(rows.shape) and isinstance(tokens, list | tuple) and any(np.ndim(one) == 1 for one in tokens)
    if ragged:
        if lengths is not None:
            raise ValueError("lengths needs tokens as one array; these are sequences, each with its own length")
        if len(rows.shape) != 1 or len(tokens) != count:
            raise ValueError(f"tokens: {len(tokens)} sequences for rows of shape {rows.shape}; pass one for each row")
        parts = [_integers(one, f"tokens of row {i}").copy() for i, one in enumerate(tokens)]
        if any(part.ndim != 1 for part in parts):
            raise ValueError("tokens: every sequence must have one dimension")
    else:
        a = _integers(tokens, "tokens").copy()  # nobody can change them once they have been checked
        if a.ndim == 0 or a.shape[:-1] != rows.shape:
            raise ValueError(
                f"tokens must have the shape of the rows, {rows.shape}, and the tokens last, not {a.shape}"
            )
        if not rows.shape and lengths is None:
            return _checked(a, rows, 0).astype(np.int64, copy=False), np.array((0, a.size), np.int64)
        valid = _valid_lengths(lengths, a.shape[-1], rows)
        parts = [part[:n] for part, n in zip(a.reshape(count, a.shape[-1]), valid, strict=True)]
    for i, part in enumerate(parts):
        _checked(part, rows, i)
    starts = np.zeros(count + 1, np.int64)
    np.cumsum([part.size for part in parts], out=starts[1:])
    flat = np.concatenate([part.astype(np.int64) for part in parts]) if parts else np.empty(0, np.int64)
    return flat, starts


def _checked(part: Array, rows: Rows, row: int) -> Array:
    """The tokens of one row; raises where one is not an entry of it."""
    if part.size and not (part.min() >= 0 and part.max() < rows.entries):
        at = int(np.argmax((part < 0) | (part >= rows.entries)))
        raise ValueError(
            f"tokens: {rows.name_row(row)} has {part[at]} at position {at}, "
            f"but its logits have entries 0 to {rows.entries - 1}"
        )
    return part


def _valid_lengths(lengths: Any, most: int, rows: Rows) -> list[int]:
    if lengths is None:
        return [most] * math.prod(rows.shape)
    given = _integers(lengths, "lengths")
    if given.shape != rows.shape:
        raise ValueError(f"lengths must have the shape of the rows, {rows.shape}, not {given.shape}")
    if ((given < 0) | (given > most)).any():
        raise ValueError(f"lengths must be from 0 to {most}, the number of tokens in a row")
    return [int(n) for n in given.reshape(-1)]


def _sequences(given: Iterable[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The breakers one after another, where each begins, and the end."""
    name = "dry_sequence_breakers"
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a collection of tokens or of sequences of tokens, got {given!r}")
    given = list(given)
    if all(type(one) is int for one in given):
        return _integers(given, name).astype(np.int64), np.arange(len(given) + 1)
    parts = [np.atleast_1d(_integers(one, name)).astype(np.int64) for one in given]
    if any(part.ndim != 1 or part.size == 0 for part in parts):
        raise ValueError(f"{name} must be tokens, or sequences of at least one token")
    starts = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([part.size for part in parts], out=starts[1:])
    return (np.concatenate(parts) if parts else np.empty(0, np.int64)), starts
