"""Summary: the maximum and the sum of each block of a shard; and combine, which merges the summaries of shards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Rows, dtype_code

# Entries of a block: computed in float32 (float16, bfloat16 and float32), and computed in double.
BLOCK: Final = _core.shard_block(dtype_code(np.dtype(np.float32)))
DOUBLE_BLOCK: Final = _core.shard_block(dtype_code(np.dtype(np.float64)))
# A shard begins at a multiple of this, whatever its dtype.
ALIGNMENT: Final = max(BLOCK, DOUBLE_BLOCK)
# Beyond this temperature, or below its reciprocal, the sum of a block depends on the maximum of the whole row.
EXTREME: Final = _core.EXTREME
# Greater than the sum of any block, whose weights are near 1 at most.
SUM_BOUND: Final = 2.0**40

# fs_normaliser and fs_location of csrc/fastsoftmax.h.
NORMALISER: Final = np.dtype([("max", "f8"), ("total", "f8"), ("log_sum", "f8"), ("status", "i8")])
LOCATION: Final = np.dtype([("start", "i8"), ("max", "f8"), ("u", "f8"), ("high", "u8"), ("low", "u8"), ("of", "u8")])
OK, HAS_NAN, NO_MASS = 0, 1, 2

Span = tuple[int, int]
# Of each row, the maxima and the sums of its blocks, which are the last axis, and the rest of the row.
Blocks = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


class Summary:
    """The rows of one or several shards of the vocabulary, summarised by :func:`summarize` and :func:`combine`.

    A Summary is small (16 bytes for each block of 1,024 entries, or 512 of float64, and 16 for each row), immutable,
    and can be pickled.  Two are equal if they hold the same bits.

    Attributes
    ----------
    spans : tuple of (int, int)
        The ranges of entries that are summarised, each from the first number to before the second, ascending, with gaps
        between them.
    offset : int
        The first entry that is summarised.
    entries : int
        The number of entries that are summarised.
    shape : tuple of int
        The shape of the rows.
    dtype : numpy.dtype
        Of the logits.
    temperature : ndarray of float64
        Of each row; read-only.
    logsumexp : bool
        Whether :func:`logsumexp_from_summary` accepts it.
    nbytes : int
        The memory of its arrays; a pickle is about as large.
    """

    __slots__ = ("spans", "shape", "dtype", "temperature", "logsumexp", "_blocks", "_double_blocks", "_normaliser")

    spans: tuple[Span, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    temperature: NDArray[np.float64]
    logsumexp: bool
    _blocks: Blocks
    _double_blocks: Blocks | None
    _normaliser: Array | None

    def __init__(self) -> None:
        raise TypeError("a Summary is made by summarize() or combine()")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Summary is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Summary is immutable: {name} cannot be deleted")

    @property
    def offset(self) -> int:
        return self.spans[0][0]

    @property
    def entries(self) -> int:
        return sum(past - first for first, past in self.spans)

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for a in (self.temperature, *self._blocks, *(self._double_blocks or ())))

    def __repr__(self) -> str:
        spans = ", ".join(f"{first} to {past}" for first, past in self.spans)
        t = self.temperature
        same = t.size and (t == t.flat[0]).all()
        rows = f"rows {self.shape}" if self.shape else "one row"
        heat = f"temperature {t.flat[0]:g}" if same else "a temperature for each row"
        return f"<Summary of entries {spans}: {rows}, {self.dtype}, {heat}, {self.nbytes} bytes>"

    def _bits(self) -> tuple[Any, ...]:
        arrays = (self.temperature, *self._blocks, *(self._double_blocks or ()))
        return (self.spans, self.shape, self.dtype, self.logsumexp, tuple(a.tobytes() for a in arrays))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and self._bits() == other._bits()

    def __hash__(self) -> int:
        return hash(self._bits())

    def __reduce__(self) -> tuple[Any, ...]:
        return make_summary, (
            self.spans, self.shape, self.dtype, self.temperature, self.logsumexp, self._blocks, self._double_blocks,
        )  # fmt: skip


def make_summary(
    spans: tuple[Span, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    temperature: NDArray[np.float64],
    logsumexp: bool,
    blocks: Blocks,
    double_blocks: Blocks | None,
) -> Summary:
    """A Summary of copies of these arrays, checked: they may come from a pickle."""
    temperature = _frozen(temperature)
    blocks = _frozen_blocks(blocks)
    double_blocks = None if double_blocks is None else _frozen_blocks(double_blocks)
    _check_parts(spans, shape, dtype, temperature, logsumexp, blocks, double_blocks)
    made = object.__new__(Summary)
    values = (spans, shape, dtype, temperature, logsumexp, blocks, double_blocks, None)
    for name, value in zip(Summary.__slots__, values, strict=True):
        object.__setattr__(made, name, value)
    return made


def _frozen_blocks(blocks: Blocks) -> Blocks:
    maxima, sums, rest = blocks
    return _frozen(maxima), _frozen(sums), _frozen(rest)


def _frozen(a: Array) -> Array:
    """A copy that cannot be made writeable, since its memory is bytes: C relies on what was checked."""
    return np.ndarray(a.shape, a.dtype, a.tobytes())


def _check_parts(
    spans: tuple[Span, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    temperature: Array,
    logsumexp: bool,
    blocks: Blocks,
    double_blocks: Blocks | None,
) -> None:
    """Raise unless these can be the parts of one Summary."""
    good = bool(spans) and all(
        first % ALIGNMENT == 0 and first < past and (past % ALIGNMENT == 0 or i == len(spans) - 1)
        for i, (first, past) in enumerate(spans)
    )
    good = good and all(before[1] < after[0] for before, after in zip(spans[:-1], spans[1:], strict=True))
    good = good and all(a.dtype == np.float64 for a in (temperature, *blocks, *(double_blocks or ())))
    good = good and temperature.shape == shape and dtype.name in ("float16", "bfloat16", "float32", "float64")
    for arrays, block in ((blocks, block_of(dtype)), (double_blocks, DOUBLE_BLOCK)):
        if good and arrays is not None:
            wanted = (*shape, sum(block_count(span, block) for span in spans))
            good = tuple(a.shape for a in arrays) == (wanted, wanted, shape)
    if good:
        t, maximum = temperature, blocks[0].max(-1)
        good = bool(((t == 0) | (t == np.inf) | ((t >= 1 / EXTREME) & (t <= EXTREME))).all())
        good = good and (double_blocks is not None or not wants_double(dtype, t, logsumexp, maximum).any())
        good = good and all(_are_sums(arrays) for arrays in (blocks, double_blocks) if arrays is not None)
    if not good:
        raise ValueError("summary is damaged: its parts do not belong together; make it again with summarize")


def _are_sums(blocks: Blocks) -> bool:
    """Whether exactly the blocks with a maximum above -inf have a sum."""
    maxima, sums, _ = blocks
    return bool((((sums > 0) == (maxima > -np.inf)) & (sums >= 0) & (sums < SUM_BOUND)).all())


def wants_double(
    dtype: np.dtype[Any], temperature: NDArray[np.float64], logsumexp: bool, maximum: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The rows that are summarised in double too; `maximum` is that of the row, as far as it is known.

    These are the rows at temperatures at which the kernels compute in double.  And, for a log-sum-exp of less than
    float64, the rows with a negative maximum: it may be near 0, where the terms cancel, and is computed in double.
    """
    wanted = np.empty(temperature.shape, np.bool_)
    _core.needs_double(dtype_code(dtype), np.ascontiguousarray(temperature), wanted)
    if logsumexp and dtype != np.float64:
        wanted |= (temperature > 0) & (temperature < np.inf) & (maximum < 0) & (maximum > -np.inf)
    return wanted


def block_of(dtype: np.dtype[Any]) -> int:
    """Entries of a block of this dtype."""
    return DOUBLE_BLOCK if dtype == np.float64 else BLOCK


def no_blocks(shape: tuple[int, ...], blocks: int) -> Blocks:
    """Blocks without mass."""
    return np.full((*shape, blocks), -np.inf), np.zeros((*shape, blocks)), np.zeros(shape)


def block_count(span: Span, block: int) -> int:
    return -(-(span[1] - span[0]) // block)


def known_rows(summary: Summary) -> tuple[int, NDArray[np.float64], Blocks, Blocks | None]:
    """The first arguments of the compiled functions that read a summary."""
    return dtype_code(summary.dtype), summary.temperature, summary._blocks, summary._double_blocks


def normaliser_of(summary: Summary) -> Array:
    """A NORMALISER for each row, with which a shard can be finished; the summary must cover the whole rows."""
    if summary._normaliser is None:
        made = np.empty(summary.shape, NORMALISER)
        _core.normalise_rows(*known_rows(summary), made)
        made = _frozen(made)
        object.__setattr__(summary, "_normaliser", made)
        return made
    return summary._normaliser


def combine(summaries: Iterable[Summary], *, entries: int | None = None) -> Summary:
    """Combine the summaries of shards, in any order and any grouping.

    Parameters
    ----------
    summaries : iterable of Summary
        At least one, all of the same rows: the same shape, dtype and temperatures.  No entry may be in two of them.
        Shards may be missing; a later `combine` can add them.
    entries : int, optional
        The length of the whole row, which the summaries must then cover without a gap.

    Returns
    -------
    Summary
        Of all their entries, with the same bits in any order and any grouping.

    Raises
    ------
    ValueError
        For no summary; rows that differ in shape, dtype or temperature; entries in two summaries; a shard that ends
        within a block but is not the last; with `entries`, a gap or an entry beyond the end.
    TypeError
        For anything but summaries; for `entries` that is not an int.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.random.default_rng(0).normal(size=3000)
    >>> parts = [fastsoftmax.summarize(x[i:i + 1024], offset=i) for i in (2048, 0, 1024)]
    >>> fastsoftmax.combine(parts, entries=3000) == fastsoftmax.summarize(x)
    True
    >>> fastsoftmax.combine(parts[:2])
    <Summary of entries 0 to 1024, 2048 to 3000: one row, float64, temperature 1, 80 bytes>
    """
    parts = list(summaries)
    if entries is not None:
        if isinstance(entries, bool | np.bool_) or not isinstance(entries, int | np.integer):
            raise TypeError(f"entries must be an int, got {entries!r}")
        entries = int(entries)
    for part in parts:
        if not isinstance(part, Summary):
            raise TypeError(f"summaries must be of type Summary, not {type(part).__name__}")
    if not parts:
        raise ValueError("summaries: there are none; pass at least one")
    first = parts[0]
    for part in parts[1:]:
        _check_same_rows(first, part)
    spans = _joined(parts)
    logsumexp = all(part.logsumexp for part in parts)
    blocks = _merged([(part, part._blocks) for part in parts], block_of(first.dtype))
    wanted = wants_double(first.dtype, first.temperature, logsumexp, blocks[0].max(-1, initial=-np.inf))
    double_blocks = None
    if wanted.any():
        in_double = [(part, part._double_blocks or _no_double_blocks(part)) for part in parts]
        double_blocks = _merged(in_double, DOUBLE_BLOCK)
        double_blocks[0][~wanted] = -np.inf
        double_blocks[1][~wanted] = 0.0
        double_blocks[2][~wanted] = 0.0
    made = make_summary(spans, first.shape, first.dtype, first.temperature, logsumexp, blocks, double_blocks)
    if entries is not None:
        check_whole(made, entries)
    return made


def _check_same_rows(a: Summary, b: Summary) -> None:
    where = f"the summaries at offsets {a.offset} and {b.offset}"
    if a.dtype != b.dtype:
        raise ValueError(f"{where} are of {a.dtype} and {b.dtype}; convert the shards to one dtype")
    if a.shape != b.shape:
        raise ValueError(f"{where} are of rows of shape {a.shape} and {b.shape}")
    differs = a.temperature != b.temperature
    if differs.any():
        row = int(np.argmax(differs))
        name = Rows((*a.shape, 1), -1, "summaries").name_row(row)
        raise ValueError(
            f"{where} were made at different temperatures: {a.temperature.flat[row]} and {b.temperature.flat[row]} "
            f"for {name}"
        )


def _joined(parts: list[Summary]) -> tuple[Span, ...]:
    """All spans in ascending order, adjacent ones joined."""
    joined: list[Span] = []
    for first, past in sorted(span for part in parts for span in part.spans):
        if joined and first < joined[-1][1]:
            raise ValueError(
                f"summaries: entries {first} to {min(past, joined[-1][1])} are in two of them, "
                f"at offsets {joined[-1][0]} and {first}"
            )
        if joined and joined[-1][1] % ALIGNMENT:
            raise ValueError(
                f"summaries: the shard that ends at entry {joined[-1][1]}, within a block of {ALIGNMENT}, is not the "
                f"last: entries {first} to {past} follow; cut shards at multiples of {ALIGNMENT}"
            )
        if joined and first == joined[-1][1]:
            joined[-1] = (joined[-1][0], past)
        else:
            joined.append((first, past))
    return tuple(joined)


def _no_double_blocks(part: Summary) -> Blocks:
    return no_blocks(part.shape, sum(block_count(span, DOUBLE_BLOCK) for span in part.spans))


def _merged(parts: list[tuple[Summary, Blocks]], block: int) -> Blocks:
    """The blocks of all parts in ascending order, and the rest of the part with the first of the largest maxima."""
    by_span, rests = [], []
    for part, (maxima, sums, rest) in parts:
        starts = []
        at = 0
        for span in part.spans:
            count = block_count(span, block)
            by_span.append((span[0], maxima[..., at : at + count], sums[..., at : at + count]))
            starts.append(span[0] + block * np.arange(count))
            at += count
        rests.append((maxima, np.concatenate(starts), rest))
    by_span.sort(key=lambda item: item[0])
    all_maxima = np.concatenate([item[1] for item in by_span], -1)
    all_sums = np.concatenate([item[2] for item in by_span], -1)
    largest = all_maxima.max(-1, keepdims=True)
    found = np.full(largest.shape[:-1], np.inf)
    merged = np.zeros(largest.shape[:-1])
    for maxima, block_starts, rest in rests:
        is_largest = maxima == largest
        at_entry = np.where(is_largest.any(-1), block_starts[is_largest.argmax(-1)], np.inf)
        merged = np.where(at_entry < found, rest, merged)
        found = np.minimum(at_entry, found)
    return all_maxima, all_sums, np.asarray(merged)


def check_whole(summary: Summary, entries: int | None = None) -> None:
    """Raise unless the summary covers a row from its beginning without a gap, and has `entries` entries, if given."""
    gaps, at = [], 0
    for first, past in summary.spans:
        if first > at:
            gaps.append(f"{at} to {first}")
        at = past
    if entries is not None and at < entries:
        gaps.append(f"{at} to {entries}")
    if gaps:
        raise ValueError(f"summary: entries {', '.join(gaps)} are missing; combine the summaries of their shards too")
    if entries is not None and at > entries:
        raise ValueError(f"summary: it is of {at} entries, not {entries}")
