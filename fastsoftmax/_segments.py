"""SegmentedRows: rows of different lengths, one after another in one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import Array, Rows, any_array, floats_of, taken, temperature_rows, uniform_rows
from ._args.invalid import raise_invalid_row
from ._args.offsets import OneOfMany, checked_offsets, integers, unchangeable
from ._args.random import as_generator, check_u_or_rng, uniforms
from ._args.result import Result
from ._draws import check_on_invalid

if TYPE_CHECKING:
    from ._types import (
        ArrayLike,
        BecomesFloat64,
        Float,
        Floats,
        FloatsOfOneRow,
        IndicesOfRows,
        Int,
        IntArrayLike,
        LogprobsOfRows,
        OnInvalid,
        Out,
        Real,
        Rng,
        Shape,
    )

# Rows of at least this many entries are shared by the threads, as in the compiled part.
_LONG = _core.LONG_SEGMENT


class SegmentedRows:
    """Rows of different lengths, one after another in one array: softmax, log-sum-exp and draws of each.

    Row i is ``x[offsets[i]:offsets[i + 1]]``, as in the compressed sparse row format (CSR); it may be empty.  Nothing
    is padded, and each method gives for every row, to the last bit, what the function of the same name gives for that
    row alone.

    Parameters
    ----------
    offsets : array_like of int
        Where each row begins, and where the last one ends: one more than there are rows, the first 0, none below
        the one before.  They are checked and copied.

    Attributes
    ----------
    offsets : ndarray of int64
        The offsets, read-only.
    lengths : ndarray of int64
        The number of entries of each row.

    Raises
    ------
    ValueError
        For offsets that do not begin at 0 or decrease.
    TypeError
        For offsets that are not integers.

    See Also
    --------
    softmax, log_softmax, logsumexp, sample : The same for rows of equal length.

    Notes
    -----
    Threads share the work by entries, not by rows: one long row among many short ones is divided too.  The work of
    checking is done once, so keep the object for as long as the offsets stay the same.

    Examples
    --------
    Attention over the neighbours of each node of a graph: node 0 has three edges, node 1 none, node 2 two.

    >>> import numpy as np
    >>> import fastsoftmax
    >>> rows = fastsoftmax.SegmentedRows([0, 3, 3, 5])
    >>> scores = np.array([1.0, 2.0, 3.0, 0.0, 0.0])
    >>> rows.softmax(scores).round(4)
    array([0.09  , 0.2447, 0.6652, 0.5   , 0.5   ])
    >>> rows.logsumexp(scores).round(4)
    array([3.4076,   -inf, 0.6931])
    >>> rows.sample(scores, u=0.7, on_invalid="flag")
    array([ 2, -1,  1])
    """

    __slots__ = ("__weakref__", "_long", "_offsets", "_rows")

    def __init__(self, offsets: IntArrayLike) -> None:
        self._offsets = unchangeable(checked_offsets(offsets))
        lengths = np.diff(self._offsets)
        self._long: NDArray[np.int64] = np.flatnonzero(lengths >= _LONG).astype(np.int64)
        self._rows = Rows((len(lengths), 1), -1, "x", may_be_empty=True)  # for parameters with one value a row

    @classmethod
    def from_lengths(cls, lengths: IntArrayLike) -> SegmentedRows:
        """The rows with these numbers of entries.

        Parameters
        ----------
        lengths : array_like of int
            How many entries each row has, 0 or more.

        Returns
        -------
        SegmentedRows

        Examples
        --------
        >>> import fastsoftmax
        >>> fastsoftmax.SegmentedRows.from_lengths([3, 0, 2]).offsets
        array([0, 3, 3, 5])
        """
        counts = integers(lengths, "lengths")
        if (counts < 0).any():
            row = int(np.argmax(counts < 0))
            raise ValueError(f"lengths must not be negative, got {counts[row]} for row {row}")
        ends = np.cumsum(counts, dtype=np.int64)
        if counts.size and (float(np.sum(counts, dtype=np.float64)) >= 2.0**62 or ends.min() < 0):
            raise ValueError("lengths must add up to less than 2**62 entries")
        return cls(np.concatenate((np.zeros(1, np.int64), ends)))

    @classmethod
    def from_ids(cls, ids: IntArrayLike, count: Int | None = None) -> SegmentedRows:
        """The rows of entries that come with the number of their row, ascending, as edges sorted by node do.

        Parameters
        ----------
        ids : array_like of int
            The number of the row of each entry, from 0 on; none below the one before.
        count : int, optional
            How many rows there are; by default one more than the last of `ids`.

        Returns
        -------
        SegmentedRows

        Raises
        ------
        ValueError
            For `ids` that are negative, not below `count`, or not ascending: sort the entries first,
            ``order = np.argsort(ids, kind="stable")``.

        Examples
        --------
        >>> import fastsoftmax
        >>> fastsoftmax.SegmentedRows.from_ids([0, 0, 0, 2, 2], count=4).offsets
        array([0, 3, 3, 5, 5])
        """
        numbers = integers(ids, "ids")
        falls = numbers[1:] < numbers[:-1]
        if falls.any():
            at = int(np.argmax(falls)) + 1
            raise ValueError(
                f"ids must not decrease, but ids[{at}] = {numbers[at]} is below ids[{at - 1}] = {numbers[at - 1]}: "
                'sort ids and entries by order = np.argsort(ids, kind="stable")'
            )
        if count is None:
            count = int(numbers[-1]) + 1 if numbers.size else 0
        elif isinstance(count, bool | np.bool_) or not isinstance(count, int | np.integer):
            raise TypeError(f"count must be an int, not {type(count).__name__}")
        if not 0 <= count < 2**59:
            raise ValueError(f"count must be from 0 to 2**59, got {count}")
        if numbers.size and not (numbers[0] >= 0 and numbers[-1] < count):
            wrong = numbers[0] if numbers[0] < 0 else numbers[-1]
            raise ValueError(f"ids must be in [0, {count}), got {wrong}")
        return cls(np.concatenate((np.zeros(1, np.int64), np.cumsum(np.bincount(numbers, minlength=count)))))

    @property
    def offsets(self) -> NDArray[np.int64]:
        return self._offsets

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self._offsets)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __repr__(self) -> str:
        return f"SegmentedRows of {len(self)} rows, {self._offsets[-1]} entries"

    def __reduce__(self) -> Any:
        return type(self), (np.array(self._offsets),)

    # fmt: off
    @overload
    def softmax(
        self, x: Floats[Shape, Float], temperature: ArrayLike = 1.0, *, out: None = None
    ) -> Floats[Shape, Float]: ...
    @overload
    def softmax(
        self, x: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, out: None = None
    ) -> NDArray[np.float64]: ...
    @overload
    def softmax(self, x: ArrayLike, temperature: ArrayLike = 1.0, *, out: None = None) -> NDArray[Any]: ...
    @overload
    def softmax(self, x: ArrayLike, temperature: ArrayLike = 1.0, *, out: Out) -> Out: ...
    # fmt: on
    def softmax(self, x: Any, temperature: Any = 1.0, *, out: Any = None) -> Any:
        """Softmax of each row: exp(x/T) divided by its sum over the row.

        Parameters
        ----------
        x : array_like
            The entries of all rows, as many as the last offset says.  dtypes, layouts and tensors as in
            :func:`softmax`.
        temperature : float or array_like, default 1.0
            T, 0 <= T <= inf; one number, or one for each row.
        out : array, optional
            Where the result goes; ``out=x`` is in place.

        Returns
        -------
        ndarray
            The probabilities, in the shape and dtype of `x`; `out` itself where it is given.

        Raises
        ------
        ValueError
            For an `x` of another shape, and as :func:`softmax` does.
        TypeError
            As in :func:`softmax`.

        Examples
        --------
        >>> import fastsoftmax
        >>> rows = fastsoftmax.SegmentedRows([0, 1, 3])
        >>> rows.softmax([5.0, 1.0, 2.0], [1.0, 0.0])
        array([1., 0., 1.])
        """
        return self._transform(x, temperature, out, _core.SOFTMAX)

    # fmt: off
    @overload
    def log_softmax(
        self, x: Floats[Shape, Float], temperature: ArrayLike = 1.0, *, out: None = None
    ) -> Floats[Shape, Float]: ...
    @overload
    def log_softmax(
        self, x: BecomesFloat64[Real], temperature: ArrayLike = 1.0, *, out: None = None
    ) -> NDArray[np.float64]: ...
    @overload
    def log_softmax(self, x: ArrayLike, temperature: ArrayLike = 1.0, *, out: None = None) -> NDArray[Any]: ...
    @overload
    def log_softmax(self, x: ArrayLike, temperature: ArrayLike = 1.0, *, out: Out) -> Out: ...
    # fmt: on
    def log_softmax(self, x: Any, temperature: Any = 1.0, *, out: Any = None) -> Any:
        """Logarithm of the softmax of each row: x/T minus the log-sum-exp of the row.

        Parameters
        ----------
        x, temperature, out
            As in :meth:`softmax`.

        Returns
        -------
        ndarray
            log p, in nats, in the shape and dtype of `x`; `out` itself where it is given.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`softmax`.

        Examples
        --------
        >>> import fastsoftmax
        >>> fastsoftmax.SegmentedRows([0, 1, 3]).log_softmax([5.0, 0.0, 0.0]).round(4)
        array([ 0.    , -0.6931, -0.6931])
        """
        return self._transform(x, temperature, out, _core.LOG_SOFTMAX)

    # fmt: off
    @overload
    def logsumexp(self, x: Floats[Shape, Float], temperature: ArrayLike = 1.0) -> FloatsOfOneRow[Float]: ...
    @overload
    def logsumexp(self, x: BecomesFloat64[Real], temperature: ArrayLike = 1.0) -> LogprobsOfRows: ...
    @overload
    def logsumexp(self, x: ArrayLike, temperature: ArrayLike = 1.0) -> FloatsOfOneRow[Any]: ...
    # fmt: on
    def logsumexp(self, x: Any, temperature: Any = 1.0) -> Any:
        """Logarithm of the sum of exp(x/T) over each row.

        Parameters
        ----------
        x, temperature
            As in :meth:`softmax`.

        Returns
        -------
        ndarray
            One number a row, in the dtype of `x`; -inf for a row without entries.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`softmax`.

        Examples
        --------
        >>> import fastsoftmax
        >>> fastsoftmax.SegmentedRows([0, 1, 1, 3]).logsumexp([5.0, 0.0, 0.0]).round(4)
        array([5.    ,   -inf, 0.6931])
        """
        return self._transform(x, temperature, None, _core.LOGSUMEXP)

    # fmt: off
    @overload
    def sample(
        self, logits: ArrayLike, temperature: ArrayLike = 1.0, *, u: ArrayLike | None = None,
        rng: Rng | None = None, flat: bool = False, return_logprob: Literal[False] = False,
        on_invalid: OnInvalid = "raise"
    ) -> IndicesOfRows: ...
    @overload
    def sample(
        self, logits: ArrayLike, temperature: ArrayLike = 1.0, *, u: ArrayLike | None = None,
        rng: Rng | None = None, flat: bool = False, return_logprob: Literal[True], on_invalid: OnInvalid = "raise"
    ) -> tuple[IndicesOfRows, LogprobsOfRows]: ...
    @overload
    def sample(
        self, logits: ArrayLike, temperature: ArrayLike = 1.0, *, u: ArrayLike | None = None,
        rng: Rng | None = None, flat: bool = False, return_logprob: bool, on_invalid: OnInvalid = "raise"
    ) -> IndicesOfRows | tuple[IndicesOfRows, LogprobsOfRows]: ...
    # fmt: on
    def sample(
        self,
        logits: Any,
        temperature: Any = 1.0,
        *,
        u: Any = None,
        rng: Any = None,
        flat: bool = False,
        return_logprob: bool = False,
        on_invalid: str = "raise",
    ) -> Any:
        """Draw an index from softmax(logits/T) of each row.

        Parameters
        ----------
        logits : array_like
            The entries of all rows, as in :meth:`softmax`.
        temperature : float or array_like, default 1.0
            T, 0 <= T <= inf; one number, or one for each row.
        u : array_like, optional
            The uniforms, in [0, 1): one for each row, or one for all.
        rng : None, int, SeedSequence, BitGenerator or Generator, optional
            Where the uniforms come from if `u` is not given: one double for each row, empty or not, in order.
        flat : bool, default False
            Return indices of `logits`, which are those in the rows plus the offsets of the rows.
        return_logprob : bool, default False
            Return the logarithm of the probability of what was drawn as well.
        on_invalid : {"raise", "flag"}, default "raise"
            What to do about a row that cannot be drawn from (no entries, NaN, or none above -inf): raise ValueError,
            or give -1 (and NaN) for it, also with `flat`, and draw the others.

        Returns
        -------
        ndarray of int64
            For each row the index in it.
        ndarray of float64
            Only with `return_logprob`: log p, in nats.

        Raises
        ------
        ValueError
            For a row that cannot be drawn from, by its number, and as :func:`sample` does.
        TypeError
            As in :func:`sample`.

        Examples
        --------
        One edge of each node of a graph, and the node at its other end:

        >>> import numpy as np
        >>> import fastsoftmax
        >>> rows = fastsoftmax.SegmentedRows([0, 2, 5])
        >>> ends = np.array([1, 2, 0, 2, 3])
        >>> edge = rows.sample([0.0, 1.0, 0.0, 0.0, 3.0], u=[0.1, 0.5], flat=True)
        >>> edge, ends[edge]
        (array([0, 4]), array([1, 3]))
        """
        check_on_invalid(on_invalid)
        stop, values, drawn = on_invalid == "raise", logits, None
        if u is not None:
            check_u_or_rng(u, rng)
            drawn = self._call(values, temperature, None, u, _core.SEGMENT_DRAW, return_logprob, stop)
        if drawn is None:
            values, temperature = any_array(logits, "logits"), taken(temperature, "temperature")
            u = None if u is None else taken(u, "u")
            values = self._checked(values, "logits")
            t = temperature_rows(temperature, self._rows)
            shape = (len(self),)
            each = uniform_rows(u, shape) if u is not None else uniforms(as_generator(rng), shape)
            drawn = self._call(values, t, None, each, _core.SEGMENT_DRAW, return_logprob, stop, True)
            assert drawn is not None  # every argument has been prepared
        (index, logprob), bad = drawn
        if bad >= 0 and stop:
            self._raise_invalid(values, bad)
        if flat:
            index = np.where(index < 0, index, index + self._offsets[:-1])
        return (index, logprob) if return_logprob else index

    def _call(self, x: Any, temperature: Any, out: Any, u: Any, operation: int, *more: Any) -> Any:
        return _core.segmented(x, temperature, out, u, self._offsets, self._long, operation, *more)

    def _transform(self, x: Any, temperature: Any, out: Any, operation: int) -> Any:
        result = self._call(x, temperature, out, None, operation)
        if result is not None:
            return result
        x, temperature = any_array(x, "x"), taken(temperature, "temperature")
        target = None if out is None else any_array(out, "out") if hasattr(out, "__dlpack__") else out
        a = self._checked(x, "x")
        t = temperature_rows(temperature, self._rows)
        if operation == _core.LOGSUMEXP:
            return self._call(a, t, None, None, operation, False, False, True)
        place = Result(a, target, Rows(a.shape, -1, "x", may_be_empty=True))
        parts = place.parts if a.size else a
        done = self._call(place.source, t, parts, None, operation, False, False, True)
        assert done is not None  # every argument has been prepared
        place.finish()
        return place.array if out is None else out

    def _checked(self, x: Array, name: str) -> Array:
        """The entries as the compiled part takes them."""
        a = floats_of(x, name)
        if a.shape != (self._offsets[-1],):
            raise ValueError(
                f"{name} must be one-dimensional with the {self._offsets[-1]} entries of the rows (offsets[-1]), "
                f"not of shape {a.shape}"
            )
        return a

    def _raise_invalid(self, values: Any, number: int) -> None:
        row = self._checked(any_array(values, "logits"), "logits")[self._offsets[number] : self._offsets[number + 1]]
        if not row.size:
            raise ValueError(
                f'logits: row {number} has no entries; drop it, or pass on_invalid="flag" to get -1 for it'
            )
        raise_invalid_row(row, "logits", OneOfMany(row.size, number), 0, None)
