"""Summary: the blocks of a shard and the entries at its cuts, as one buffer; and combine, which joins several."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, Never

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _core
from .._args.arrays import Array, Rows, dtype_code, floats_of, real_array, shown

if TYPE_CHECKING:
    from .._types import ArrayLike, Buffer

# Beyond this temperature, or below its reciprocal, the sum of a block depends on the maximum of the whole row.
EXTREME: Final = _core.EXTREME

# fs_normaliser and fs_location of csrc/fastsoftmax.h.
NORMALISER: Final = np.dtype([("max", "f8"), ("total", "f8"), ("log_sum", "f8"), ("status", "i8")])
LOCATION: Final = np.dtype(
    [("start", "i8"), ("entry", "i8"), ("max", "f8"), ("u", "f8"), ("high", "u8"), ("low", "u8"), ("of", "u8")]
)
OK, HAS_NAN, NO_MASS = 0, 1, 2
BFLOAT16: Final = 3  # fs_dtype

Span = tuple[int, int]


class Summary(_core.SummaryBase):
    """The rows of one or several shards of the vocabulary, summarised by :func:`summarize` and :func:`combine`.

    A Summary is an immutable buffer: 16 bytes for each block of 1,024 entries (512 of float64), 16 for each row, and
    the entries of the blocks that were cut (docs/shards_format.md has the format).  ``memoryview(summary)`` is its
    bytes, and it can be pickled.  Two are equal if they have the same entries with the same bits, wherever these were
    cut.

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
        The number of its bytes.

    Examples
    --------
    >>> import fastsoftmax
    >>> made = fastsoftmax.summarize([1.0, 2.0, 3.0], 0.5)
    >>> fastsoftmax.Summary.from_bytes(made.to_bytes()) == made
    True
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("a Summary is made by summarize() or combine(), or read by Summary.from_bytes()")

    @classmethod
    def from_bytes(cls, buffer: Buffer) -> Summary:
        """Read the bytes of a Summary, and check them; what follows them, up to the end of the buffer, is ignored.

        Parameters
        ----------
        buffer : bytes-like
            What ``to_bytes`` gave, or a buffer of bytes that has received it.

        Returns
        -------
        Summary

        Raises
        ------
        ValueError
            For bytes that are not those of a Summary, or of another version of the format.
        TypeError
            For anything without bytes.
        """
        try:
            view = memoryview(buffer)
        except TypeError:
            raise TypeError(f"buffer must be bytes or a buffer of bytes, not {type(buffer).__name__}") from None
        if view.ndim != 1:
            raise ValueError(
                f"buffer must be one-dimensional, not of shape {view.shape}: pass the bytes of one Summary"
            )
        return summary_of(bytes(view))

    def to_bytes(self, nbytes: int | None = None) -> bytes:
        """The bytes of the Summary.

        Parameters
        ----------
        nbytes : int, optional
            How many are wanted: zeros are added at the end.  With :func:`summary_nbytes`, the summaries of all shards
            are of one size, as an allgather needs it.

        Returns
        -------
        bytes

        Raises
        ------
        ValueError
            For fewer than ``self.nbytes``.
        """
        data = bytes(memoryview(self))
        if nbytes is None:
            return data
        if isinstance(nbytes, bool | np.bool_) or not isinstance(nbytes, int | np.integer):
            raise TypeError(f"nbytes must be an int, got {nbytes!r}")
        if nbytes < len(data):
            raise ValueError(f"nbytes must be at least {len(data)}, the bytes of the summary; got {shown(int(nbytes))}")
        return data.ljust(int(nbytes), b"\0")

    @property
    def offset(self) -> int:
        return self.spans[0][0]

    @property
    def entries(self) -> int:
        return sum(past - first for first, past in self.spans)

    @property
    def dtype(self) -> np.dtype[Any]:
        return _dtype_of(self._code)

    @property
    def temperature(self) -> NDArray[np.float64]:
        count = math.prod(self.shape)
        return np.frombuffer(memoryview(self), np.float64, count, self._temperature_at).reshape(self.shape)

    def __repr__(self) -> str:
        spans = ", ".join(f"{first} to {past}" for first, past in self.spans)
        t = self.temperature
        same = t.size and (t == t.flat[0]).all()
        rows = f"rows {self.shape}" if self.shape else "one row"
        heat = f"temperature {t.flat[0]:g}" if same else "a temperature for each row"
        return f"<Summary of entries {spans}: {rows}, {self.dtype}, {heat}, {self.nbytes} bytes>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Summary) and self._same_bits(other)

    def __hash__(self) -> int:
        return hash(self._bits())

    def __sizeof__(self) -> int:  # by which schedulers account for memory
        return int(object.__sizeof__(self)) + self.nbytes

    def __reduce__(self) -> tuple[Any, ...]:
        return summary_of, (self.to_bytes(),)


def summary_of(data: bytes) -> Summary:
    """The Summary with these bytes, which are checked: they may come from a pickle."""
    return Summary.__new__(Summary, data)


def _dtype_of(code: int) -> np.dtype[Any]:
    name = ("float32", "float64", "float16", "bfloat16")[code]
    if name == "bfloat16":
        import ml_dtypes  # only where there are logits of this dtype, which come from there

        made: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return made
    return np.dtype(name)


def summary_nbytes(
    shape: int | tuple[int, ...],
    entries: int,
    dtype: DTypeLike,
    *,
    logsumexp: bool = False,
    temperature: ArrayLike = 1.0,
) -> int:
    """The most bytes that the Summary of a shard can have, wherever the shard begins.

    Parameters
    ----------
    shape : int or tuple of int
        The shape of the rows: () for one.
    entries : int
        The number of entries of the shard; where shards differ, that of the longest.
    dtype : dtype
        Of the logits.
    logsumexp : bool, default False
        As given to :func:`summarize`.
    temperature : float or array_like, default 1.0
        As given to :func:`summarize`; of account only beyond 2**-90 or 2**90, where rows of less than float64 are
        summarised in double.

    Returns
    -------
    int
        The number of bytes to give to :meth:`Summary.to_bytes`.

    Examples
    --------
    >>> import fastsoftmax
    >>> fastsoftmax.summary_nbytes((), 32_064, "float32")
    5960
    """
    lengths = shape if isinstance(shape, tuple | list) else (shape,)
    for name, value in [("shape", length) for length in lengths] + [("entries", entries)]:
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
            raise TypeError(f"{name} must be of ints, got {value!r}")
        if not (name == "entries") <= value < 2**48:
            raise ValueError(f"{name} must be positive and below 2**48, got {shown(int(value))}")
    # bfloat16 by its name too, which NumPy knows only once ml_dtypes is imported
    code = BFLOAT16 if dtype == "bfloat16" else dtype_code(floats_of(np.empty(0, dtype), "dtype").dtype)
    t = np.ascontiguousarray(real_array(temperature, "temperature", "a real number or an array of them"))
    return _core.summary_nbytes(tuple(lengths), int(entries), code, bool(logsumexp), _core.needs_double(code, t))


def normaliser_of(summary: Summary) -> Array:
    """A NORMALISER for each row, with which a shard can be finished; the summary must cover the whole rows."""
    return np.frombuffer(_core.normaliser_bytes(summary), NORMALISER).reshape(summary.shape)


def cut_maxima_of(summary: Summary, offset: int, entries: int) -> Array:
    """The maxima, in every row, of the first and the last block of a shard, which a cut may divide."""
    result = np.empty((*summary.shape, 2))
    _core.cut_maxima(summary, offset, entries, result)
    return result


def as_summary(value: Any, name: str = "summary") -> Summary:
    """A Summary, its bytes, or several of either, which are combined."""
    if isinstance(value, Summary):
        return value
    if (
        isinstance(value, list | tuple) or getattr(value, "ndim", 1) > 1
    ):  # an array with the bytes of a rank in each row
        return combine(value)
    try:
        return Summary.from_bytes(value)
    except TypeError:
        wanted = "a Summary, the bytes of one, or a list of these"
        raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}") from None


def combine(summaries: Iterable[Summary | Buffer], *, entries: int | None = None) -> Summary:
    """Combine the summaries of shards, in any order and any grouping.

    Parameters
    ----------
    summaries : iterable of Summary or bytes-like
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
        For no summary; rows that differ in shape, dtype or temperature; entries in two summaries; bytes that are not
        those of a Summary; with `entries`, a gap or an entry beyond the end.
    TypeError
        For anything but summaries; for `entries` that is not an int.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.random.default_rng(0).normal(size=3000)
    >>> parts = [fastsoftmax.summarize(x[i:i + 1000], offset=i) for i in (2000, 0, 1000)]
    >>> fastsoftmax.combine(parts, entries=3000) == fastsoftmax.summarize(x)
    True
    >>> fastsoftmax.combine(parts[:2])
    <Summary of entries 0 to 1000, 2000 to 3000: one row, float64, temperature 1, 7976 bytes>
    """
    if entries is not None:
        if isinstance(entries, bool | np.bool_) or not isinstance(entries, int | np.integer):
            raise TypeError(f"entries must be an int, got {entries!r}")
        entries = int(entries)
    parts = []
    if isinstance(summaries, Summary) or not isinstance(summaries, Iterable):
        raise TypeError(f"summaries must be a list of them, not a single {type(summaries).__name__}")
    for part in summaries:
        if not isinstance(part, Summary):
            try:
                part = Summary.from_bytes(part)
            except TypeError:
                what = f"of type Summary, or the bytes of one, not {type(part).__name__}"
                raise TypeError(f"summaries must be {what}") from None
        parts.append(part)
    if not parts:
        raise ValueError("summaries: there are none; pass at least one")
    if len(parts) == 1:
        made = parts[0]
    else:
        data = _core.combined(parts)
        if data is None:
            _raise_why_apart(parts)
        made = summary_of(data)
    if entries is not None:
        check_whole(made, entries)
    return made


def _raise_why_apart(parts: list[Summary]) -> Never:
    """Raise the error of summaries that do not belong together."""
    a = parts[0]
    for b in parts[1:]:
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
    spans = sorted(span for part in parts for span in part.spans)
    before, after = next((a, b) for a, b in itertools.pairwise(spans) if b[0] < a[1])
    raise ValueError(
        f"summaries: entries {after[0]} to {min(after[1], before[1])} are in two of them, "
        f"at offsets {before[0]} and {after[0]}"
    )


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
