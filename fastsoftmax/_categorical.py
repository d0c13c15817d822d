"""Categorical: one row, with a table for many draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import Rows, any_array, dtype_code, float_array, size_shape, temperature_rows, uniform_rows
from ._args.biases import bias_rows
from ._args.invalid import raise_invalid_row
from ._args.keyed import checked_key, checked_word
from ._args.masks import mask_entries, mask_rows
from ._args.random import as_generator, check_u_or_rng, uniforms

if TYPE_CHECKING:
    from ._types import ArrayLike, Bias, Indices, Int, IntArrayLike, Logprobs, Mask, Number, Rng, Size, SomeDraws


class Categorical(_core.CategoricalBase):
    """The distribution softmax(logits/T) of one row, prepared once for any number of draws.

    Parameters
    ----------
    logits : array_like, optional
        One row of real numbers, shape (n,), n <= 2**26; dtypes as in :func:`softmax`.  Either this or `probs`.
    temperature : float, default 1.0
        T, 0 <= T <= inf.
    probs : array_like, optional
        One row of weights, 0 <= p < inf, as in :func:`sample_probs`: the distribution is p**(1/T), normalised.
    mask, bias : array_like, optional
        As in :func:`sample`, for this row.

    Attributes
    ----------
    temperature : float

    Raises
    ------
    ValueError
        For a row that cannot be drawn from, more than one row, both or neither of `logits` and `probs`, a
        parameter out of range.
    TypeError
        For data of other dtypes.

    Notes
    -----
    ``Categorical(x, T).draw(size, u=u)`` equals ``sample(x, T, size=size, u=u)`` for every u, to the bit; ``rng=``
    takes the same uniforms from the generator.  A Categorical holds a copy of the row and a table of the bounds between
    its entries (indexed search [1]_), 20 to 84 bytes for each entry.

    It is immutable, can be pickled, and several threads may draw from it at once.

    References
    ----------
    .. [1] H. C. Chen and Y. Asau, "On generating random variates from an empirical distribution", AIIE
       Transactions 6, 1974.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> die = fastsoftmax.Categorical(probs=[1, 1, 1, 1, 1, 5])
    >>> die.draw(10, rng=1)
    array([5, 5, 1, 5, 3, 4, 5, 4, 5, 0])
    >>> die.draw(u=0.25)
    2
    >>> bool(np.isclose(die.log_prob(5), np.log(0.5)))
    True
    >>> die
    <Categorical: 6 float64 probs, temperature 1.0>
    """

    __slots__ = ()

    # fmt: off
    @overload
    def __init__(
        self, logits: ArrayLike, temperature: Number = 1.0, *, probs: None = None, mask: Mask | None = None,
        bias: Bias | None = None
    ) -> None: ...
    @overload
    def __init__(
        self, logits: None = None, temperature: Number = 1.0, *, probs: ArrayLike, mask: Mask | None = None,
        bias: Bias | None = None
    ) -> None: ...
    # fmt: on
    def __init__(
        self,
        logits: Any = None,
        temperature: Any = 1.0,
        *,
        probs: Any = None,
        mask: Any = None,
        bias: Any = None,
    ) -> None:
        if (logits is None) == (probs is None):
            raise ValueError("give one of logits and probs" + (": both are missing" if probs is None else ", not both"))
        from_probs = probs is not None
        name = "probs" if from_probs else "logits"
        a = float_array(probs if from_probs else logits, name)
        if a.ndim != 1:
            raise ValueError(
                f"{name} must be one row, of shape (n,), not {a.shape}; make a Categorical of each row, or use sample"
            )
        rows = Rows(a.shape, -1, name)
        t = float(temperature_rows(temperature, rows))
        allowed, words = mask_rows(mask, rows)
        added, added_at = bias_rows(bias, rows)
        values = _frozen_copy(a)
        allowed = None if allowed is None else _frozen_copy(allowed)
        added = None if added is None else _frozen_copy(added)
        why = self._prepare(values, dtype_code(a.dtype), from_probs, t, allowed, words, added, added_at)
        if why is not None:
            raise_invalid_row(values, name, rows, 0, why, mask_entries(allowed, words, rows, 0), fix="fix it")

    # fmt: off
    @overload
    def draw(
        self, size: None = None, *, u: ArrayLike | None = None, rng: Rng | None = None, seed: Int | None = None,
        key: Int | None = None
    ) -> int: ...
    @overload
    def draw(
        self, size: SomeDraws, *, u: ArrayLike | None = None, rng: Rng | None = None, seed: Int | None = None,
        key: Int | None = None
    ) -> Indices: ...
    @overload
    def draw(
        self, size: Size | None = None, *, u: ArrayLike | None = None, rng: Rng | None = None, seed: Int | None = None,
        key: Int | None = None
    ) -> int | Indices: ...
    # fmt: on
    def draw(self, size: Any = None, *, u: Any = None, rng: Any = None, seed: Any = None, key: Any = None) -> Any:
        """Draw indices: as :func:`sample` does, or from the bits of a seed, several times as fast.

        Parameters
        ----------
        size : int or tuple of int, optional
            The shape of the result; without it, one index.
        u : array_like, optional
            The uniforms, in [0, 1), broadcast to the shape of the result.
        rng : None, int, SeedSequence, BitGenerator or Generator, optional
            Where the uniforms come from if `u` is not given: one double for each draw, in row-major order, under the
            generator's lock.
        seed : int, optional
            0 <= seed < 2**64.  Draw from a stream of bits of its own, instead of `u` or `rng`: draw j, in row-major
            order, depends on nothing but the distribution, `seed`, `key` and j.
        key : int, optional
            Which of the streams of `seed`, 0 without it: the id of a request, a step, a worker.  From -2**63 to
            2**64 - 1; below 0 modulo 2**64.

        Returns
        -------
        int or ndarray of int64
            An int without `size`.

        Raises
        ------
        ValueError
            For `u` outside [0, 1) or of another shape, more than one of `u`, `rng` and `seed`, a `key` without a
            `seed`, one of these out of range, a negative size.
        TypeError
            For a `size`, `u`, `rng`, `seed` or `key` of another type.

        Notes
        -----
        A seeded draw is the smallest index whose cumulative weight exceeds U times the total, in the integers of
        :func:`sample`, for a uniform U of 160 bits.  Its first 32 bits are word j of Philox4x32-10 [1]_ for this seed
        and key.  They decide nearly every draw; the other bits, which ``docs/streams.md`` defines as well, are
        generated where they do not.  So ``draw(a + b, seed=s)`` begins with ``draw(a, seed=s)``, and the indices are
        the same on every machine and with any number of threads.

        References
        ----------
        .. [1] Salmon, J. et al., "Parallel random numbers: as easy as 1, 2, 3", 2011.

        Examples
        --------
        >>> import fastsoftmax
        >>> fastsoftmax.Categorical([0.0, 1.0, 2.0]).draw((2, 2), u=[[0.0, 0.1], [0.5, 0.9]])
        array([[0, 1],
               [2, 2]])

        Ten draws of a seed, and the first six of them:

        >>> die = fastsoftmax.Categorical(probs=[1, 1, 1, 1, 1, 5])
        >>> die.draw(10, seed=1)
        array([5, 5, 5, 5, 5, 5, 4, 5, 2, 5])
        >>> die.draw((2, 3), seed=1)
        array([[5, 5, 5],
               [5, 5, 5]])
        """
        check_u_or_rng(u, rng)
        if seed is not None or key is not None:
            return self._seeded(size, u, rng, seed, key)
        shape = size_shape(size)
        index: NDArray[np.int64]
        if u is not None:
            given = uniform_rows(u, shape)
        else:
            generator = as_generator(rng)
            if type(generator) is np.random.Generator:
                if not shape:
                    return self._draw_one(generator.bit_generator)
                index = np.empty(shape, np.int64)
                self._draw_from(generator.bit_generator, index)
                return index
            given = np.asarray(uniforms(generator, shape))
        index = np.empty(shape, np.int64)
        self._draw_given(given, index)
        return index if shape else int(index)

    def _seeded(self, size: Any, u: Any, rng: Any, seed: Any, key: Any) -> Any:
        if seed is None:
            raise ValueError("key is given without a seed: it is the number of a stream of that seed")
        if u is not None or rng is not None:
            given = "u" if rng is None else "rng"
            raise ValueError(f"{given} and seed are both given; a seed has a stream of its own")
        words = checked_word("seed", seed), 0 if key is None else checked_key("key", key)
        shape = size_shape(size)
        if not shape:
            return self._draw_one_seeded(*words)
        index = np.empty(shape, np.int64)
        self._draw_seeded(*words, index)
        return index

    # fmt: off
    @overload
    def log_prob(self, index: Int) -> float: ...
    @overload
    def log_prob(self, index: Sequence[int]) -> Logprobs: ...
    @overload
    def log_prob(self, index: IntArrayLike) -> float | Logprobs: ...
    # fmt: on
    def log_prob(self, index: Any) -> Any:
        """The logarithm of the probability of entries.

        Parameters
        ----------
        index : array_like of int
            Entries, 0 <= index < n, in any shape.

        Returns
        -------
        float or ndarray of float64
            log p in nats, with the shape of `index`; -inf for an entry that is never drawn.

        Raises
        ------
        ValueError
            For an index out of range.
        TypeError
            For an index that is not an integer.

        Notes
        -----
        The value is that of ``sample(..., return_logprob=True)``.  Each call reads the whole row: pass all indices at
        once.

        Examples
        --------
        >>> import fastsoftmax
        >>> fastsoftmax.Categorical([0.0, 0.0, -float("inf")]).log_prob([0, 2])
        array([-0.69314718,        -inf])
        """
        self._check()
        given = any_array(index, "index")
        if given.dtype.kind not in "iu" and given.size:
            raise TypeError(f"index must be integers, not {given.dtype}")
        given = given.copy()  # nobody can change it once it has been checked
        bad = (given < 0) | (given >= len(self))
        if bad.any():
            raise ValueError(f"index must be in [0, {len(self)}), got {int(given[bad][0])}")
        logprob = np.empty(given.shape, np.float64)
        self._logprob_into(np.ascontiguousarray(given, np.int64), logprob)
        return logprob if given.ndim else float(logprob)

    def __repr__(self) -> str:
        if len(self) == 0:
            return "<Categorical: not prepared>"
        what = "probs" if self._from_probs else "logits"
        parts = [f"{len(self)} {self._values.dtype.name} {what}", f"temperature {self.temperature}"]
        parts += ["masked"] * (self._mask is not None) + ["biased"] * (self._bias is not None)
        return f"<Categorical: {', '.join(parts)}>"

    def __copy__(self) -> Categorical:
        return self  # it never changes

    def __deepcopy__(self, memo: dict[int, Any]) -> Categorical:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._bias is None or self._bias_at is None:
            bias: Any = self._bias
        else:
            bias = dict(zip(self._bias_at.tolist(), self._bias.tolist(), strict=True))
        return _restored, (type(self), self._from_probs, self._values, self.temperature, self._mask, bias)


def _frozen_copy(a: NDArray[Any]) -> NDArray[Any]:
    """A contiguous copy that nobody writes to."""
    mine = np.array(a, order="C", copy=True)
    mine.flags.writeable = False
    return mine


def _restored(
    cls: type[Categorical], from_probs: bool, values: Any, temperature: float, mask: Any, bias: Any
) -> Categorical:
    if from_probs:
        return cls(temperature=temperature, probs=values, mask=mask, bias=bias)
    return cls(values, temperature, mask=mask, bias=bias)
