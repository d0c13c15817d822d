"""Whether the first filter of a row has all that it needs in the candidates of the shards; and the masses for top_p."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._args.arrays import Array, Rows, any_array, float_array, temperature_rows
from .._args.filters import Filters
from .._args.steps import STEPS, checked_order
from .candidates import shard_values
from .finishing import NO_MASK_AND_BIAS, finish
from .summary import BLOCK, DOUBLE_BLOCK, NORMALISER, OK

if TYPE_CHECKING:
    from .candidate_draws import Union

# The filters that decide by less than the whole row; the others, and what of the row they would need.
_WHOLE_ROW = {
    "top_a": "the mass of all entries",
    "p_less": "the squares of all probabilities, whose sum is rounded in the order of the whole row",
    "typical_p": "the entropy, a sum that is rounded in the order of the whole row",
    "top_h": "the entropy of all entries",
    "top_n_sigma": "the standard deviation, a sum that is rounded in the order of the whole row",
    "epsilon_cutoff": "the mass of all entries",
    "eta_cutoff": "the entropy, a sum that is rounded in the order of the whole row",
    "xtc": "the mass of all entries",
}
_OFF = {"top_p": 1.0, "typical_p": 1.0, "top_h": 1.0}  # of the others 0
# Temperatures at which rows of float32 and below are computed in float32.
_EXTREME_F32 = 2.0**90
# The entries whose weights are added up at a time: they stay in the second-level cache.
_TOGETHER = 1 << 15
_BITS_OF_2_52 = int(np.float64(2.0**52).view(np.int64))


def check_first_filters(
    union: Union, t: Any, given: Mapping[str, Any] | None, filters: Filters | None, mass: Any
) -> NDArray[np.int64] | None:
    """Raise unless the first filter of every row decides by the candidates as it would by the whole row.

    The result is the number of entries that top_p keeps, where it is the first; -1 for other rows.
    """
    if given is not None and "keep" in given:
        raise ValueError("keep cannot be had from candidates: an index that it brings back may not be among them")
    if filters is None:
        raise ValueError(
            "no filter is on, so the draw is from the whole row: use sample_from_summary, or pass top_k, min_p or top_p"
        )
    if _is_top_k_first(union, given, filters):
        return None
    rows, name_row = union.rows, union.rows.name_row
    record = filters.rows(rows).reshape(-1)
    t = temperature_rows(t, rows).reshape(-1)
    order = checked_order(given["order"]) if given is not None and "order" in given else STEPS[:-1]
    steps = [step for step in order if step != "temperature"]
    first = _first_steps(record, steps, union.entries)
    if "temperature" in order:
        before = first >= order.index("temperature")  # as many steps precede it in `order` as in `steps`
    else:
        before = record["temperature_last"] == 0
    of_all = before & ((record["dynatemp_range"] > 0) | ((record["smoothing_factor"] > 0) & (t > 0) & (t < np.inf)))
    if of_all.any():
        row = int(np.argmax(of_all))
        what = "dynatemp_range" if record["dynatemp_range"][row] > 0 else "smoothing_factor"
        raise ValueError(
            f"{what} needs the whole row where the temperature comes first ({name_row(row)}): pass "
            "temperature_last=True, so that it sees what the filters leave"
        )
    largest = union.flat_values.max(-1)
    # At temperature 0 the largest entry is drawn; NaN and rows without mass are found by the draw.
    open_rows = ~(before & (t == 0)) & (largest > -np.inf)
    for number, step in enumerate((*steps, "none")):
        wrong = open_rows & (first == number)
        if step in ("none", *_WHOLE_ROW) and wrong.any():
            row = int(np.argmax(wrong))
            if step == "none":
                raise ValueError(f"no filter is on in {name_row(row)}, which is then drawn from as a whole; pass a top_k")
            raise ValueError(f"{step} needs {_WHOLE_ROW[step]} ({name_row(row)}): put top_k or min_p before it")
    at = np.where(before, t, 1.0)
    least = record["min_tokens_to_keep"]
    by = {step: open_rows & (first == steps.index(step)) if step in steps else open_rows & False for step in _BY}
    _check_count(union, by["top_k"], np.maximum(record["top_k"], least), "top_k")
    alike = by["min_p"] & (at == np.inf)
    if alike.any():
        row = int(np.argmax(alike))
        raise ValueError(f"min_p keeps every entry at an infinite temperature ({name_row(row)}): put top_k before it")
    _check_count(union, by["min_p"], least, "min_tokens_to_keep")
    _check_min_p(union, by["min_p"], largest, at, record["min_p"])
    if not by["top_p"].any():
        return None
    later = by["top_p"] & _is_on(record, "top_k", union.entries)
    if later.any():
        raise ValueError(f"top_k comes after top_p in {name_row(int(np.argmax(later)))}: put top_k before it")
    changed = by["top_p"] & ((record["dynatemp_range"] > 0) | (record["smoothing_factor"] > 0))
    if changed.any():  # rows of float32 and below are then computed in double
        raise ValueError(
            f"dynatemp_range and smoothing_factor do not go with top_p as the first filter "
            f"({name_row(int(np.argmax(changed)))}): put top_k before top_p"
        )
    return _kept_by_top_p(union, by["top_p"], largest, at, record["top_p"], least, mass)


_BY = ("top_k", "min_p", "top_p")


def _is_top_k_first(union: Union, given: Mapping[str, Any] | None, filters: Filters) -> bool:
    """Whether it is seen at a glance that top_k decides first and by these candidates: the usual case, of numbers."""
    record = filters.record
    if record.ndim or given is None or "order" in given:
        return False
    k = int(record["top_k"])
    least = min(c.k for c in union.shards if c.k < c.entries)
    return (
        0 < k <= least and int(record["min_tokens_to_keep"]) <= least
        and not record["dynatemp_range"] and not record["smoothing_factor"]
    )  # fmt: skip


def _is_on(record: Array, step: str, entries: int) -> NDArray[np.bool_]:
    if step == "xtc":
        return np.asarray((record["xtc_probability"] > 0) & (record["xtc_threshold"] <= 0.5))
    if step == "top_k":
        return np.asarray((record["top_k"] > 0) & (record["top_k"] < entries))
    return np.asarray(record[step] != _OFF.get(step, 0))


def _first_steps(record: Array, steps: list[str], entries: int) -> NDArray[np.int64]:
    """The place of the first step that is on in each row; len(steps) where there is none."""
    first = np.full(record.shape, len(steps))
    for number in range(len(steps) - 1, -1, -1):
        first = np.where(_is_on(record, steps[number], entries), number, first)
    return first


def _worst(union: Union) -> list[tuple[NDArray[np.float64], Any]]:
    """The least candidate that each shard has sent of each row, and the shard; of shards that have sent less than all."""
    flat = len(union.flat_values)
    return [(c.values.reshape(flat, -1).min(-1).astype(np.float64), c) for c in union.shards if c.k < c.entries]


def _check_count(union: Union, of_rows: NDArray[np.bool_], wanted: Array, what: str) -> None:
    """Raise where a shard has sent fewer entries than are wanted, and has more."""
    for c in union.shards:
        short = of_rows & (wanted > c.k)
        if c.k < c.entries and short.any():
            row = int(np.argmax(short))
            raise ValueError(
                f"{what} is {wanted[row]} in {union.rows.name_row(row)}, but the shard at offset {c.offset} has sent "
                f"its {c.k} best entries alone: pass candidates a k of at least {wanted[row]}"
            )


def _check_min_p(union: Union, of_rows: NDArray[np.bool_], largest: Array, at: Array, min_p: Array) -> None:
    """Raise where a shard may have entries that min_p keeps and that it has not sent."""
    if not of_rows.any():
        return
    with np.errstate(all="ignore"):
        below = at * np.log(min_p)
        # no more than rounding below the bound of the kernels: what is nearer is asked for again
        low = largest + below - 1e-12 * (np.abs(largest) + np.abs(below))
    for worst, c in _worst(union):
        short = of_rows & np.where(largest == np.inf, worst == np.inf, worst >= low)
        if short.any():
            row = int(np.argmax(short))
            raise ValueError(
                f"min_p keeps all of the {c.k} entries that the shard at offset {c.offset} has sent of "
                f"{union.rows.name_row(row)}, and perhaps more: pass candidates a larger k, or put top_k before min_p"
            )


def mass_of_shard(
    logits_shard: Any, candidates: Any, temperature: Any = 1.0, *, mask: Any = None, bias: Any = None
) -> Any:
    """The weight of a shard as an integer, in the unit of the whole row: what top_p needs of the entries not sent.

    Parameters
    ----------
    logits_shard : array_like, shape (..., entries)
        The logits of any part of the row: the parts together must be the row.
    candidates : list of Candidates or of their buffers
        Those of every shard, in any order: they tell the largest entry and the length of the row.
    temperature : float or array_like, default 1.0
        That at which top_p sees the row: 1 with ``temperature_last=True``.  0, inf, or from 2**-90 to 2**90 (float64:
        2**-900 to 2**900).
    mask, bias : optional
        What :func:`candidates` was given for this shard.

    Returns
    -------
    int or ndarray of int64
        In the shape of the rows.  The sum over all shards, which is below 2**62 and the same in any order, is the `mass` of
        :func:`sample_from_candidates`.  0 for a row that cannot be drawn from.

    Raises
    ------
    ValueError
        For a temperature out of range, shapes that do not fit, an entry above the largest candidate.
    TypeError
        For data of other dtypes.

    Notes
    -----
    The integers are those by which top_p decides: round(w 2**51) of the weights w against the largest entry, and one bit
    less for each doubling of the row beyond 1,024 entries.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> shards = [fastsoftmax.candidates(x[i : i + 500], 100, offset=i) for i in (0, 500)]
    >>> mass = sum(fastsoftmax.mass_of_shard(x[i : i + 500], shards) for i in (0, 500))
    >>> fastsoftmax.sample_from_candidates(shards, top_p=0.3, mass=mass, u=0.5)
    448
    >>> fastsoftmax.sample(x, top_p=0.3, u=0.5)
    448
    """
    from .candidate_draws import union_of

    union = union_of(candidates)
    a = float_array(logits_shard, "logits_shard")
    rows = Rows(a.shape, -1, "logits_shard")
    if rows.shape != union.rows.shape or a.dtype.name != union.shards[0].dtype:
        raise ValueError(
            f"logits_shard has rows of shape {rows.shape} of {a.dtype}, but the candidates are of {union.rows.shape} and "
            f"{union.shards[0].dtype}"
        )
    t = temperature_rows(temperature, rows).reshape(-1)
    _check_mass_temperature(t, a.dtype.name, rows)
    values = shard_values(rows.split(a), mask, bias, rows).reshape(-1, rows.entries)
    largest = union.flat_values.max(-1)
    above = values.max(-1) > largest
    if above.any():
        raise ValueError(
            f"logits_shard: {rows.name_row(int(np.argmax(above)))} has an entry above the largest candidate; pass the same "
            "logits, mask and bias"
        )
    mass = np.empty(len(values), np.int64)
    step = max(1, _TOGETHER // rows.entries)
    for first in range(0, len(values), step):
        part = slice(first, first + step)
        mass[part] = integer_weights(values[part], largest[part], t[part], union.entries).sum(-1)
    return mass.reshape(rows.shape) if rows.shape else int(mass[0])


def _check_mass_temperature(t: Array, dtype: str, rows: Rows) -> None:
    most = 2.0**900 if dtype == "float64" else _EXTREME_F32
    bad = (t > 0) & (t < np.inf) & ((t < 1 / most) | (t > most))
    if bad.any():
        row = int(np.argmax(bad))
        power = 900 if dtype == "float64" else 90
        raise ValueError(
            f"temperature must be 0, inf, or from 2**-{power} to 2**{power} where top_p is the first filter, got "
            f"{t[row]} ({rows.name_row(row)})"
        )


def integer_weights(values: NDArray[Any], largest: Array, t: Array, entries: int) -> NDArray[np.int64]:
    """The weights by which the filters of a row of so many entries decide (csrc/filter/mass-inl.h), shape (rows, n)."""
    down = 0
    while (entries - 1) >> down >= 1024:
        down += 1
    unit = 2.0 ** (51 - down)
    formula = (t > 0) & (t < np.inf) & (np.abs(largest) < np.inf)
    integers = np.zeros(values.shape, np.int64)
    if formula.any():
        all_of_them = formula.all()
        part = slice(None) if all_of_them else formula
        weights = _weights(values[part], largest[part], t[part])
        # adding 2^52 rounds to an integer, which is then in the low bits
        rounded = np.multiply(weights, unit, dtype=np.float64)
        rounded += 2.0**52
        integers[part] = rounded.view(np.int64) - _BITS_OF_2_52
    for row in np.flatnonzero(~formula):  # NaN is not drawn from
        if largest[row] > -np.inf:
            counted = values[row] > -np.inf if t[row] == np.inf else values[row] == largest[row]
            integers[row] = np.where(counted, int(unit), 0)
    return integers


def _weights(values: NDArray[Any], largest: Array, t: Array) -> NDArray[Any]:
    """The weights of entries against the largest of their row: the numerators of softmax.

    They depend on the largest entry of their block, so every block gets that of the row as its last.
    """
    count, entries = values.shape
    block = (BLOCK if values.dtype == np.float32 else DOUBLE_BLOCK) - 1
    blocks = -(-entries // block)
    padded = np.full((count, blocks * block), -np.inf, values.dtype)
    padded[:, :entries] = values
    x = np.empty((count, blocks, block + 1), values.dtype)
    x[..., :block] = padded.reshape(count, blocks, block)
    x[..., block] = largest[:, None]
    x = x.reshape(count, -1)
    total_of_1 = np.zeros(count, NORMALISER)
    total_of_1["max"], total_of_1["total"], total_of_1["status"] = largest, 1.0, OK
    rows = Rows(x.shape, -1, "logits_shard")
    weights = finish(x, rows, 0, np.ascontiguousarray(t), NO_MASK_AND_BIAS, total_of_1, None, None, False)
    return np.asarray(weights.reshape(count, blocks, block + 1)[..., :block].reshape(count, -1)[:, :entries])


def _kept_by_top_p(
    union: Union, of_rows: NDArray[np.bool_], largest: Array, at: Array, top_p: Array, least: Array, mass: Any
) -> NDArray[np.int64]:
    """How many entries top_p keeps of each of these rows; -1 for the others."""
    if mass is None:
        raise ValueError(
            f"top_p needs the mass of the whole row ({union.rows.name_row(int(np.argmax(of_rows)))}): pass the sum of "
            "mass_of_shard over all shards as mass, or put top_k before top_p"
        )
    total = any_array(mass, "mass")
    if total.dtype.kind not in "iu":
        raise TypeError(f"mass must be integers, the sum of mass_of_shard over all shards, not {total.dtype}")
    union.rows.check_shape(total.shape, "mass")
    total = np.broadcast_to(total, union.rows.shape).reshape(-1)
    _check_mass_temperature(np.where(of_rows, at, 1.0), union.shards[0].dtype, union.rows)
    kept = np.full(len(of_rows), -1)
    number = np.flatnonzero(of_rows)
    values = union.flat_values[number]
    integers = integer_weights(values, largest[number], at[number], union.entries)
    order = np.argsort(-values, -1, kind="stable")
    sums = np.cumsum(np.take_along_axis(integers, order, -1), -1)
    # beside +inf nothing else is there, but at an infinite temperature
    beside = (largest[number] == np.inf) & (at[number] < np.inf)
    there = np.where(beside[:, None], values == np.inf, values > -np.inf).sum(-1)
    last = _last_places(union, number, order)
    for j, row in enumerate(number):
        p, of_row = Fraction(float(top_p[row])), int(total[row])
        target = max(-((-p.numerator * of_row) // p.denominator), 1)
        reached = int(sums[j, -1]) >= target
        if of_row < int(sums[j, -1]):
            raise ValueError(
                f"mass of {union.rows.name_row(int(row))} is {of_row}, less than the candidates alone have: pass the sum of "
                "mass_of_shard over all shards, at the temperature that top_p sees"
            )
        count = int(np.searchsorted(sums[j], target)) + 1
        if reached and count < least[row]:
            if least[row] >= there[j]:
                raise ValueError(
                    f"min_tokens_to_keep leaves all that {union.rows.name_row(int(row))} has, which is then drawn from as "
                    "a whole: put top_k before top_p"
                )
            count = int(least[row])
        if not reached or min(count, int(there[j])) > last[j]:
            raise ValueError(
                f"top_p keeps more entries of {union.rows.name_row(int(row))} than the candidates are certain to have: "
                "pass candidates a larger k, or put top_k before top_p"
            )
        kept[row] = count
    return kept


def _last_places(union: Union, number: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of the union's sorted order are certain to be the first of the whole row: up to the first entry in it that is
    the last candidate of its shard."""
    place = np.argsort(order, -1)
    certain = np.full(len(number), order.shape[-1])
    start = 0
    for c in union.shards:
        width = c.values.shape[-1]
        if c.k < c.entries:
            values = union.flat_values[number, start : start + width]
            worst = place[:, start : start + width].max(-1) + 1
            certain = np.where(values.min(-1) > -np.inf, np.minimum(certain, worst), certain)
        start += width
    return certain
