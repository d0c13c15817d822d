"""The types of a Sampler's calls; `SamplerBase` has the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, overload

from . import _core

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # with a default, which those of typing have from Python 3.13 on

    from ._types import ArrayLike, Bias, Indices, IntArrayLike, Logprobs, Mask, OneRow, SeveralRows, UnknownRows

    HasLogprob = TypeVar("HasLogprob", bound=bool, default=Literal[False])
else:
    from typing import TypeVar

    HasLogprob = TypeVar("HasLogprob")


class Calls(_core.SamplerBase, Generic[HasLogprob]):
    """What a Sampler's calls return depends on its `return_logprob`; `Sampler` is ``Sampler[Literal[False]]``.

    ``Sampler[bool]`` is one of which that is not known, or whose `axis` is not a number: how many dimensions a row has
    is then not known either.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        # fmt: off
        @overload
        def __call__(
            self: Calls[Literal[False]], logits: UnknownRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> int | Indices: ...
        @overload
        def __call__(
            self: Calls[Literal[True]], logits: UnknownRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
        @overload
        def __call__(
            self: Calls[Literal[False]], logits: OneRow, u: ArrayLike | None = None, xtc_u: ArrayLike | None = None,
            keys: IntArrayLike | None = None, *, mask: Mask | None = None, bias: Bias | None = None
        ) -> int: ...
        @overload
        def __call__(
            self: Calls[Literal[True]], logits: OneRow, u: ArrayLike | None = None, xtc_u: ArrayLike | None = None,
            keys: IntArrayLike | None = None, *, mask: Mask | None = None, bias: Bias | None = None
        ) -> tuple[int, float]: ...
        @overload
        def __call__(
            self: Calls[Literal[False]], logits: SeveralRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> Indices: ...
        @overload
        def __call__(
            self: Calls[Literal[True]], logits: SeveralRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> tuple[Indices, Logprobs]: ...
        @overload
        def __call__(
            self: Calls[Literal[False]], logits: ArrayLike, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> int | Indices: ...
        @overload
        def __call__(
            self: Calls[Literal[True]], logits: ArrayLike, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
        @overload
        def __call__(
            self: Calls[bool], logits: ArrayLike, u: ArrayLike | None = None, xtc_u: ArrayLike | None = None,
            keys: IntArrayLike | None = None, *, mask: Mask | None = None, bias: Bias | None = None
        ) -> int | Indices | tuple[int, float] | tuple[Indices, Logprobs]: ...
        # fmt: on
        def __call__(
            self, logits: Any, u: Any = None, xtc_u: Any = None, keys: Any = None, *, mask: Any = None, bias: Any = None
        ) -> Any: ...

        # fmt: off
        @overload
        def sample_probs(
            self: Calls[Literal[False]], probs: UnknownRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> int | Indices: ...
        @overload
        def sample_probs(
            self: Calls[Literal[True]], probs: UnknownRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
        @overload
        def sample_probs(
            self: Calls[Literal[False]], probs: OneRow, u: ArrayLike | None = None, xtc_u: ArrayLike | None = None,
            keys: IntArrayLike | None = None, *, mask: Mask | None = None, bias: Bias | None = None
        ) -> int: ...
        @overload
        def sample_probs(
            self: Calls[Literal[True]], probs: OneRow, u: ArrayLike | None = None, xtc_u: ArrayLike | None = None,
            keys: IntArrayLike | None = None, *, mask: Mask | None = None, bias: Bias | None = None
        ) -> tuple[int, float]: ...
        @overload
        def sample_probs(
            self: Calls[Literal[False]], probs: SeveralRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> Indices: ...
        @overload
        def sample_probs(
            self: Calls[Literal[True]], probs: SeveralRows, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> tuple[Indices, Logprobs]: ...
        @overload
        def sample_probs(
            self: Calls[Literal[False]], probs: ArrayLike, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> int | Indices: ...
        @overload
        def sample_probs(
            self: Calls[Literal[True]], probs: ArrayLike, u: ArrayLike | None = None,
            xtc_u: ArrayLike | None = None, keys: IntArrayLike | None = None, *, mask: Mask | None = None,
            bias: Bias | None = None
        ) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
        @overload
        def sample_probs(
            self: Calls[bool], probs: ArrayLike, u: ArrayLike | None = None, xtc_u: ArrayLike | None = None,
            keys: IntArrayLike | None = None, *, mask: Mask | None = None, bias: Bias | None = None
        ) -> int | Indices | tuple[int, float] | tuple[Indices, Logprobs]: ...
        # fmt: on
        def sample_probs(
            self, probs: Any, u: Any = None, xtc_u: Any = None, keys: Any = None, *, mask: Any = None, bias: Any = None
        ) -> Any: ...
