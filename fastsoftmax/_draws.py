"""Draws of rows from any arguments: what `sample`, the Sampler and the others have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import (
    Array,
    Axis,
    Rows,
    along_one_axis,
    any_array,
    dtype_code,
    floats_of,
    shown,
    size_shape,
    taken,
    temperature_rows,
    uniform_rows,
)
from ._args.biases import are_biases_of_rows, bias_rows
from ._args.filters import Filters, as_filters, no_filters
from ._args.invalid import raise_invalid
from ._args.keyed import COINS, Seeded
from ._args.masks import mask_rows
from ._args.random import as_generator, check_u_or_rng, process_generator, uniforms

# At least this many draws from one row take their uniforms one by one, without an array of them.
_MANY = 256


def check_on_invalid(on_invalid: Any) -> None:
    if not isinstance(on_invalid, str) or on_invalid not in ("raise", "flag"):
        raise ValueError(f'on_invalid must be "raise" or "flag", got {shown(on_invalid)}')


def coin_rows(filters: Filters | None, xtc_u: Any, u: Any, generator: Any, shape: tuple[int, ...]) -> Any:
    """The coins of XTC, one for each row: given, or drawn before the uniforms of the draws; None where it is off."""
    needs_coin = filters is not None and filters.needs_coin
    if xtc_u is not None:
        coins = uniform_rows(xtc_u, shape, "xtc_u")
        return coins if needs_coin else None
    if not needs_coin:
        return None
    if u is not None:
        raise ValueError("u is given and XTC is on: pass its coins too, one for each row, as xtc_u")
    return np.asarray(uniforms(generator, shape))


def draw_from(
    values: Any,
    probs: bool,
    temperature: Any,
    axis: Axis,
    size: Any,
    u: Any,
    rng: Any,
    mask: Any,
    bias: Any,
    given: Mapping[str, Any] | None,
    xtc_u: Any,
    return_logprob: bool,
    on_invalid: str,
    distinct: bool = False,
    seeded: Seeded | None = None,
) -> Any:
    """`sample` and `sample_probs`, and without replacement (`distinct`); given: the filters by name."""
    filters = None if given is None else as_filters(given)
    if u is not None:
        check_u_or_rng(u, rng)
    elif rng is None and seeded is None:
        rng = process_generator()
    if seeded is not None and type(values) is not np.ndarray:
        values = any_array(values, "probs" if probs else "logits")  # the keys need its shape
    at_once = seeded is None or _has_rows_along(values, axis)
    if at_once and xtc_u is None and (filters is None or not (filters.record.ndim or filters.needs_coin)):
        stop = isinstance(on_invalid, str) and on_invalid == "raise"
        if not stop:
            check_on_invalid(on_invalid)
        record, log = None if filters is None else filters.record, return_logprob
        keep = None if filters is None else filters.keep
        words = None
        if seeded is not None:
            shape = values.shape
            u, words = seeded.of(shape[:axis] + shape[axis:][1:]).draws(shape[axis])
        drawn = _core.draw(
            values, probs, temperature, axis, size, u, rng, mask, bias, log, stop, record, distinct, keep=keep,
            words=words,
        )  # fmt: skip
        if drawn is None and seeded is not None:
            u = None  # another axis has other rows
        elif drawn is None:  # often one argument is all that is in the way
            values, temperature, u, mask, bias = _taken(values, probs, temperature, u, mask, bias)
            rng = None if u is not None else as_generator(rng)
            flat, at = along_one_axis(values, axis)
            trailing = (size,) if distinct else size_shape(size)
            k = math.prod(trailing) if trailing else None
            drawn = _core.draw(
                flat, probs, temperature, at, k, u, rng, mask, bias, log, stop, record, distinct, keep=keep
            )
            if drawn is not None and len(trailing) > 1:
                parts = drawn[0] if log else (drawn[0],)
                shaped = tuple(part.reshape((*part.shape[:-1], *trailing)) for part in parts)
                drawn = shaped if log else shaped[0], drawn[1]
        if drawn is not None:
            if drawn[1] >= 0 and stop:
                raise_invalid(values, probs, axis, mask, bias, drawn[1], size if distinct else None)
            return drawn[0]
    return draw_rows(
        values, probs, temperature, axis, size, u, rng, mask, bias, filters, xtc_u, return_logprob, on_invalid,
        distinct, seeded=seeded,
    )  # fmt: skip


def _has_rows_along(values: Any, axis: Any) -> bool:
    """Whether these are an array, and a number that is one of its axes."""
    return type(values) is np.ndarray and type(axis) is int and -values.ndim <= axis < values.ndim


def _taken(values: Any, probs: bool, *others: Any) -> tuple[Any, ...]:
    """The values, temperature, u, mask and bias as arrays and numbers; the values are looked at when all are taken."""
    name = "probs" if probs else "logits"
    values = any_array(values, name)
    given = zip(("temperature", "u", "mask", "bias"), others, strict=True)
    kept = [
        x
        if x is None or argument == "bias" and (isinstance(x, Mapping) or are_biases_of_rows(x))
        else taken(x, argument)
        for argument, x in given
    ]
    return floats_of(values, name), *kept


def draw_rows(
    values: Any,
    probs: bool,
    temperature: Any,
    axis: Axis,
    size: Any,
    u: Any,
    rng: Any,
    mask: Any,
    bias: Any,
    filters: Filters | None,
    xtc_u: Any,
    return_logprob: bool,
    on_invalid: str,
    distinct: bool = False,
    aimed: tuple[Array, Array] | None = None,
    seeded: Seeded | None = None,
) -> Any:
    """What the compiled entry does not take as it is, as arrays that it takes.

    aimed: adaptive_p's aims, one for each row, and what the probabilities of the draws before it go to.
    seeded: instead of u and rng.
    """
    name = "probs" if probs else "logits"
    xtc_u = None if xtc_u is None else taken(xtc_u, "xtc_u")
    a, temperature, u, mask, bias = _taken(values, probs, temperature, u, mask, bias)
    rows = Rows(a.shape, axis, name, may_be_empty=True)
    if distinct and size > max(rows.entries, 1):
        raise ValueError(f"k must be from 1 to the number of entries, {rows.entries}; got {shown(size)}")
    t = temperature_rows(temperature, rows)
    trailing = size_shape(size)
    shape = rows.shape + trailing
    check_on_invalid(on_invalid)
    allowed, words = mask_rows(mask, rows)
    added, added_at = bias_rows(bias, rows)
    records = filters.rows(rows) if filters is not None else no_filters(rows) if aimed is not None else None
    by_words: tuple[Any, Any, Any] | None = None
    if seeded is not None:
        of_rows = seeded.of(rows.shape)
        if xtc_u is None and filters is not None and filters.needs_coin:
            xtc_u = of_rows.uniforms(COINS)
        u, by_words = of_rows.draws(rows.entries if aimed is None else 0)
    generator = as_generator(rng) if u is None and by_words is None else None
    coins = coin_rows(filters, xtc_u, u, generator, rows.shape)
    if (
        generator is not None
        and type(generator) is np.random.Generator
        and not rows.shape
        and records is None
        and not (return_logprob or distinct)
        and math.prod(shape) >= _MANY
    ):
        drawn: NDArray[np.int64] = np.empty(shape, np.int64)
        why = _core.sample_many(
            rows.split(a), dtype_code(a.dtype), probs, float(t), allowed, words, added, added_at,
            generator.bit_generator, drawn,
        )  # fmt: skip
        if why is not None:
            uniforms(generator, shape)  # a row that cannot be drawn from uses up its uniforms like any other
            drawn.fill(-1)
            if on_invalid == "raise":
                raise_invalid(a, probs, axis, mask, bias, 0)
        return drawn
    k = math.prod(trailing)
    if by_words is None:
        each = np.asarray(uniforms(generator, shape)) if u is None else uniform_rows(u, shape)
        each = each.reshape((*rows.shape, k))
    else:
        each = None
    if not a.size:
        if math.prod(rows.shape) and on_invalid == "raise":
            fix = "fix it" if distinct else 'fix it, or pass on_invalid="flag" to get -1 for it'
            raise ValueError(f"{name}: {rows.name_row(0)} has no entries; {fix}")
        if not shape:
            return (-1, math.nan) if return_logprob else -1
        index = np.full(shape, -1)
        return (index, np.full(shape, np.nan)) if return_logprob else index
    aims, before = aimed or (None, None)
    found = _core.draw(
        rows.split(a), probs, t, -1, k, each, None, allowed, added, bool(return_logprob),
        on_invalid == "raise", records, distinct, added_at, coins, True, None if filters is None else filters.keep,
        aims, before, by_words,
    )  # fmt: skip
    assert found is not None  # every argument has been prepared
    result, bad = found
    if bad >= 0 and on_invalid == "raise":
        raise_invalid(a, probs, axis, mask, bias, bad, size if distinct else None)
    index, logprob = result if return_logprob else (result, None)
    if shape:
        index = index.reshape(shape)
        return index if logprob is None else (index, logprob.reshape(shape))
    return int(index[0]) if logprob is None else (int(index[0]), float(logprob[0]))
