"""The types of arguments and results, for type checkers and editors: nothing imports this module at run time.

NumPy's types know the number of dimensions only of an array that is made with it, as by ``np.zeros(3)`` or
``x.reshape(-1)``; an `NDArray` has any number.  A function that returns a number for one row and an array for several
therefore has an overload for `OneRow`, one for `SeveralRows`, and one for arrays of unknown dimensions (`UnknownRows`),
whose result is a union.  This one comes first: to a type checker such an array fits the others too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Never, Protocol, TypeAlias, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._sharding.candidates import Candidates
    from ._sharding.summary import Summary

# Arguments

_Scalar = TypeVar("_Scalar", bound=np.generic, covariant=True)
_Element = TypeVar("_Element")


class SupportsArray(Protocol[_Scalar]):
    """An array of NumPy, or what it makes one of: its scalars, tensors, Series."""

    def __array__(self) -> np.ndarray[Any, np.dtype[_Scalar]]: ...


class SupportsDLPack(Protocol):
    """A tensor of another library."""

    def __dlpack__(self) -> Any: ...


class Buffer(Protocol):
    """Bytes, or anything that lends its memory."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


_Rows: TypeAlias = Sequence[_Element] | Sequence[Sequence[_Element]] | Sequence[Sequence[Sequence[_Element]]]
_Nested: TypeAlias = _Element | _Rows[_Element]

BoolArrayLike = _Nested[bool | SupportsArray[np.bool_]] | SupportsDLPack
IntArrayLike = _Nested[int | SupportsArray[np.integer[Any]]] | SupportsDLPack
ArrayLike = _Nested[float | SupportsArray[np.bool_ | np.integer[Any] | np.floating[Any]]] | SupportsDLPack

Int = int | np.integer[Any]
Number = float | np.integer[Any] | np.floating[Any]
Mask = BoolArrayLike | IntArrayLike
Bias = ArrayLike | Mapping[int, Number] | Sequence[Mapping[int, Number] | None]
Rng = int | np.integer[Any] | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator
OnInvalid = Literal["raise", "flag"]
Method = Literal["inversion", "rejection"]
Step = Literal[
    "top_k", "top_p", "min_p", "top_a", "p_less", "typical_p", "top_h", "top_n_sigma", "epsilon_cutoff", "eta_cutoff",
    "xtc", "temperature",
]  # fmt: skip

# `size` that says how many draws there are of each row; and any, () and [] included, with which there is one.
SomeDraws = Int | tuple[Int, *tuple[Int, ...]]
Size = Int | tuple[Int, ...] | list[Int] | list[int]

SummaryLike: TypeAlias = "Summary | Buffer | Sequence[Summary | Buffer]"
CandidatesLike: TypeAlias = "Sequence[Candidates | Buffer] | NDArray[np.uint8]"


class Filters(TypedDict, total=False):
    """The truncation filters."""

    top_k: IntArrayLike | None
    top_p: ArrayLike | None
    min_p: ArrayLike | None
    top_a: ArrayLike | None
    p_less: BoolArrayLike | None
    typical_p: ArrayLike | None
    top_h: ArrayLike | None
    top_n_sigma: ArrayLike | None
    epsilon_cutoff: ArrayLike | None
    eta_cutoff: ArrayLike | None
    xtc_threshold: ArrayLike | None
    xtc_probability: ArrayLike | None
    dynatemp_range: ArrayLike | None
    dynatemp_exponent: ArrayLike | None
    smoothing_factor: ArrayLike | None
    smoothing_curve: ArrayLike | None
    min_tokens_to_keep: IntArrayLike | None
    temperature_last: BoolArrayLike | None
    order: tuple[Step, ...] | list[Step] | None
    keep: IntArrayLike | None


class FiltersAndCoins(Filters, total=False):
    """The filters, and the uniforms of XTC."""

    xtc_u: ArrayLike | None


class TruncateOptions(FiltersAndCoins, total=False):
    """What `truncate` takes besides."""

    rng: Rng | None
    mask: Mask | None
    bias: Bias | None


class SampleOptions(TruncateOptions, total=False):
    """What `sample` takes, apart from that on which the kind of its result depends."""

    u: ArrayLike | None
    seed: IntArrayLike | None
    keys: IntArrayLike | None
    step: IntArrayLike | None
    method: Method
    on_invalid: OnInvalid


class SamplerOptions(Filters, total=False):
    """The same of a Sampler."""

    rng: Rng | None
    seed: IntArrayLike | None
    keys: IntArrayLike | None
    steps: IntArrayLike | None
    method: Method
    mask: Mask | None
    bias: Bias | None
    mirostat_tau: ArrayLike | None
    mirostat_eta: ArrayLike
    adaptive_p: ArrayLike | None
    adaptive_p_decay: ArrayLike
    on_invalid: OnInvalid


class Penalties(TypedDict, total=False):
    """The parameters of `penalize`."""

    lengths: IntArrayLike | None
    repetition: ArrayLike
    frequency: ArrayLike
    presence: ArrayLike
    last_n: IntArrayLike | None
    dry_multiplier: ArrayLike
    dry_base: ArrayLike
    dry_allowed_length: IntArrayLike
    dry_penalty_last_n: IntArrayLike | None
    dry_sequence_breakers: Sequence[int] | Sequence[Sequence[int]] | set[int]
    exempt: IntArrayLike | None


# Rows of known and of unknown dimensions

_One = tuple[int]
_Several = tuple[int, int] | tuple[int, int, int] | tuple[int, int, int, int]
# No array has this shape, but one whose dimensions are unknown matches it.
_Unknown = tuple[Never, Never, Never, Never, Never, Never]

OneRow = Sequence[Number] | np.ndarray[_One, Any]
SeveralRows = Sequence[Sequence[Number]] | np.ndarray[_Several, Any]
UnknownRows = np.ndarray[_Unknown, Any]

# The rows of the positions of one draft, and of several.
OneDraft = Sequence[Sequence[Number]] | np.ndarray[tuple[int, int], Any]
SeveralDrafts = Sequence[Sequence[Sequence[Number]]] | np.ndarray[tuple[int, int, int] | tuple[int, int, int, int], Any]

# Floats keep their dtype.  Type checkers do not know bfloat16: such an array has the dtype Any, and so has the result.
Float = TypeVar("Float", bound=np.float16 | np.float32 | np.float64)
Shape = TypeVar("Shape", bound=tuple[int, ...])
Floats = np.ndarray[Shape, np.dtype[Float]]
FloatsOfOneRow = np.ndarray[_One, np.dtype[Float]]
FloatsOfSeveralRows = np.ndarray[_Several, np.dtype[Float]]
FloatsOfUnknownRows = np.ndarray[_Unknown, np.dtype[Float]]

# What becomes float64.  Lists and tuples, not Sequence: an array.array is one, and may hold float32.
Real = TypeVar("Real", bound=float)
_Row = list[Real] | tuple[Real, ...]
_Integers = np.dtype[np.integer[Any]] | np.dtype[np.bool_]
BecomesFloat64 = np.ndarray[Any, _Integers] | _Row[Real] | list[list[Real]] | list[tuple[Real, ...]]
OneRowOfFloat64 = np.ndarray[_One, _Integers] | _Row[Real]

# Results

Indices = NDArray[np.int64]
Logprobs = NDArray[np.float64]
IndicesOfRows = np.ndarray[_One, np.dtype[np.int64]]
LogprobsOfRows = np.ndarray[_One, np.dtype[np.float64]]

Out = TypeVar("Out", bound=SupportsDLPack)


class DaskArray(Protocol):
    """A dask.array.Array: functions that work chunk by chunk make another of it."""

    def __dask_graph__(self) -> Any: ...
    def compute_chunk_sizes(self) -> Any: ...


Dask = TypeVar("Dask", bound=DaskArray)
