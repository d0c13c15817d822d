"""Summary: what the blocks of a shard leave, and how the summaries of shards become one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Array, Rows, dtype_code

# A shard begins at a multiple of this many entries, for every dtype: the length of a block, or of two.
ALIGNMENT: Final = 1024
# The lengths of a block: as the dtype has it (float64), and of all others.
DOUBLE_BLOCK: Final = 512
# Beyond this temperature a row of less than float64 is computed in double; beyond the other not by blocks alone.
NARROW_EXTREME: Final = 2.0**90
EXTREME: Final = 2.0**900
# Above the sum of any block: a number of entries, or of weights near 1.
MOST: Final = 2.0**40

# fs_normaliser and fs_location of csrc/fastsoftmax.h.
NORMALISER: Final = np.dtype([("max", "f8"), ("total", "f8"), ("log_sum", "f8"), ("status", "i8")])
LOCATION: Final = np.dtype([("start", "i8"), ("max", "f8"), ("u", "f8"), ("high", "u8"), ("low", "u8"), ("of", "u8")])
OK, HAS_NAN, NO_MASS = 0, 1, 2

Span = tuple[int, int]
# The maxima and the sums of the blocks, block by block last, and the rest: one for each row.
Blocks = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


class Summary:
    """What the rows of one or several shards of the vocabulary leave, made by :func:`summarize` and :func:`combine`.

    It is small (16 bytes for each block of 1,024 entries, 512 of float64, and 16 a row), immutable, and can be pickled.
    Two are equal where they hold the same bits.

    Attributes
    ----------
    spans : tuple of (int, int)
        The entries that are summarised: from the first of each pair up to the second, ascending, not adjacent.
    offset : int
        The first of these entries.
    entries : int
        How many they are.
    shape : tuple of int
        The shape of the rows.
    dtype : numpy.dtype
        Of the logits.
    temperature : ndarray of float64
        Of each row; read-only.
    logsumexp : bool
        Whether :func:`logsumexp_from_summary` takes it.
    nbytes : int
        The memory its arrays take, and about what a pickle of it does.
    """

    __slots__ = ("spans", "shape", "dtype", "temperature", "logsumexp", "_of", "_wide", "_normaliser")

    spans: tuple[Span, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    temperature: NDArray[np.float64]
    logsumexp: bool
    _of: Blocks
    _wide: Blocks | None
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
        return sum(a.nbytes for a in (self.temperature, *self._of, *(self._wide or ())))

    def __repr__(self) -> str:
        spans = ", ".join(f"{first} to {past}" for first, past in self.spans)
        t = self.temperature
        same = t.size and (t == t.flat[0]).all()
        rows = f"rows {self.shape}" if self.shape else "one row"
        heat = f"temperature {t.flat[0]:g}" if same else "a temperature for each row"
        return f"<Summary of entries {spans}: {rows}, {self.dtype}, {heat}, {self.nbytes} bytes>"

    def _bits(self) -> tuple[Any, ...]:
        arrays = (self.temperature, *self._of, *(self._wide or ()))
        return (self.spans, self.shape, self.dtype, self.logsumexp, tuple(a.tobytes() for a in arrays))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and self._bits() == other._bits()

    def __hash__(self) -> int:
        return hash(self._bits())

    def __reduce__(self) -> tuple[Any, ...]:
        return make_summary, (
            self.spans, self.shape, self.dtype, self.temperature, self.logsumexp, self._of, self._wide,
        )  # fmt: skip


def make_summary(
    spans: tuple[Span, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    temperature: NDArray[np.float64],
    logsumexp: bool,
    of: Blocks,
    wide: Blocks | None,
) -> Summary:
    """A Summary of copies of these arrays, checked: they may come out of a pickle."""
    made = object.__new__(Summary)
    temperature, *of_arrays = (_frozen(a) for a in (temperature, *of))
    wide = wide if wide is None else tuple(_frozen(a) for a in wide)  # type: ignore[assignment]
    _check_parts(spans, shape, dtype, temperature, logsumexp, tuple(of_arrays), wide)
    values = (spans, shape, dtype, temperature, logsumexp, tuple(of_arrays), wide, None)
    for name, value in zip(Summary.__slots__, values, strict=True):
        object.__setattr__(made, name, value)
    return made


def _frozen(a: Array) -> Array:
    """A copy in bytes, which no flag makes writeable: C trusts what was checked."""
    return np.ndarray(a.shape, a.dtype, a.tobytes())


def _check_parts(
    spans: tuple[Span, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    temperature: Array,
    logsumexp: bool,
    of: tuple[Array, ...],
    wide: tuple[Array, ...] | None,
) -> None:
    """That the parts belong together, and are such as rows leave."""
    good = bool(spans) and all(
        first % ALIGNMENT == 0 and first < past and (past % ALIGNMENT == 0 or i == len(spans) - 1)
        for i, (first, past) in enumerate(spans)
    )
    good = good and all(before[1] < after[0] for before, after in zip(spans[:-1], spans[1:], strict=True))
    good = good and all(a.dtype == np.float64 for a in (temperature, *of, *(wide or ())))
    good = good and temperature.shape == shape and dtype.name in ("float16", "bfloat16", "float32", "float64")
    for blocks, length in ((of, ALIGNMENT if dtype != np.float64 else DOUBLE_BLOCK), (wide, DOUBLE_BLOCK)):
        if good and blocks is not None:
            of_blocks = (*shape, sum(block_count(span, length) for span in spans))
            good = tuple(a.shape for a in blocks) == (of_blocks, of_blocks, shape)
    if good:
        t, maximum = temperature, of[0].max(-1)
        good = bool(((t == 0) | (t == np.inf) | ((t >= 1 / EXTREME) & (t <= EXTREME))).all())
        wanted = wants_double(dtype, t, logsumexp, maximum)
        good = good and (wide is not None or not wanted.any())
        good = good and all(_are_sums(blocks) for blocks in (of, wide) if blocks is not None)
    if not good:
        raise ValueError("summary: it is damaged: its parts do not belong together")


def _are_sums(blocks: tuple[Array, ...]) -> bool:
    """Whether the blocks above -inf, and no others, have a sum."""
    maxima, sums, _ = blocks
    return bool((((sums > 0) == (maxima > -np.inf)) & (sums >= 0) & (sums < MOST)).all())


def needs_double(dtype: np.dtype[Any], temperature: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The rows that are computed in double whatever they hold (fs_needs_double)."""
    if dtype == np.float64:
        return np.zeros(temperature.shape, np.bool_)
    t = temperature
    return (t > 0) & (t < np.inf) & ((t > NARROW_EXTREME) | (t < 1 / NARROW_EXTREME))


def wants_double(
    dtype: np.dtype[Any], temperature: NDArray[np.float64], logsumexp: bool, maximum: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """The rows that are summarised in double as well; `maximum` is that of the row, as far as it is known.

    Where the maximum is negative a log-sum-exp of a row of less than float64 may be near 0: the terms cancel, and
    it is computed again from weights in double.
    """
    wanted = needs_double(dtype, temperature)
    if logsumexp and dtype != np.float64:
        wanted |= (temperature > 0) & (temperature < np.inf) & (maximum < 0) & (maximum > -np.inf)
    return wanted


def no_blocks(shape: tuple[int, ...], blocks: int) -> Blocks:
    """Blocks without mass."""
    return np.full((*shape, blocks), -np.inf), np.zeros((*shape, blocks)), np.zeros(shape)


def block_count(span: Span, block: int) -> int:
    return -(-(span[1] - span[0]) // block)


def normaliser_of(summary: Summary) -> Array:
    """What a shard needs of the whole row: one NORMALISER for each; the summary must be whole."""
    if summary._normaliser is None:
        made = np.empty(summary.shape, NORMALISER)
        _core.normalise_rows(dtype_code(summary.dtype), summary.temperature, summary._of, summary._wide, made)
        made = _frozen(made)
        object.__setattr__(summary, "_normaliser", made)
        return made
    return summary._normaliser


def combine(summaries: Iterable[Summary], *, entries: int | None = None) -> Summary:
    """Combine the summaries of shards, in any order and any grouping.

    Parameters
    ----------
    summaries : iterable of Summary
        At least one; of the same rows: the same shape, dtype and temperatures.  No entry may be in two of them.
        Shards that are still missing leave a gap, which a later `combine` may fill.
    entries : int, optional
        The length of the whole row; then the summaries must cover it without a gap.

    Returns
    -------
    Summary
        Of all their entries: the same bits whatever the order and the grouping.

    Raises
    ------
    ValueError
        For no summary; rows that differ in shape, dtype or temperature; entries in two summaries; a shard that ends
        within a block but is not the last; with `entries`, for what is missing or beyond.
    TypeError
        For anything but summaries; for entries that are no int.

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
        raise ValueError("summaries: there is none to combine")
    first = parts[0]
    for part in parts[1:]:
        _check_same_rows(first, part)
    spans = _joined(parts)
    logsumexp = all(part.logsumexp for part in parts)
    of = _merged([(part, part._of) for part in parts], ALIGNMENT if first.dtype != np.float64 else DOUBLE_BLOCK)
    wanted = wants_double(first.dtype, first.temperature, logsumexp, of[0].max(-1, initial=-np.inf))
    wide = None
    if wanted.any():
        wide = _merged([(part, part._wide or _no_wide(part)) for part in parts], DOUBLE_BLOCK)
        wide[0][~wanted] = -np.inf
        wide[1][~wanted] = 0.0
        wide[2][~wanted] = 0.0
    made = make_summary(spans, first.shape, first.dtype, first.temperature, logsumexp, of, wide)
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
    """All spans in order, adjacent ones joined."""
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


def _no_wide(part: Summary) -> Blocks:
    return no_blocks(part.shape, sum(block_count(span, DOUBLE_BLOCK) for span in part.spans))


def _merged(parts: list[tuple[Summary, Blocks]], block: int) -> Blocks:
    """The blocks of all parts in order, and the rest of the part that has the first of the largest."""
    pieces, rests = [], []
    for part, (maxima, sums, rest) in parts:
        starts = []
        at = 0
        for span in part.spans:
            count = block_count(span, block)
            pieces.append((span[0], maxima[..., at : at + count], sums[..., at : at + count]))
            starts.append(span[0] + block * np.arange(count))
            at += count
        rests.append((maxima, np.concatenate(starts), rest))
    pieces.sort(key=lambda piece: piece[0])
    all_maxima = np.concatenate([piece[1] for piece in pieces], -1)
    all_sums = np.concatenate([piece[2] for piece in pieces], -1)
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
    """That the summary covers a row from its beginning, and if given so many entries, without a gap."""
    gaps, at = [], 0
    for first, past in summary.spans:
        if first > at:
            gaps.append(f"{at} to {first}")
        at = past
    if entries is not None and at < entries:
        gaps.append(f"{at} to {entries}")
    if gaps:
        raise ValueError(f"summary: entries {', '.join(gaps)} are missing; combine it with those of their shards")
    if entries is not None and at > entries:
        raise ValueError(f"summary: it is of {at} entries, not {entries}")
