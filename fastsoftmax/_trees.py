"""verify_tree: drafted tokens with several candidates for a position."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from . import _core
from ._args.arrays import Rows, any_array, dtype_code, float_array, index_rows, temperature_rows, uniform_rows
from ._args.random import as_generator, check_u_or_rng, uniforms

if TYPE_CHECKING:
    from ._types import ArrayLike, Indices, IntArrayLike, OneDraft, Rng, SeveralDrafts, UnknownRows


_Count = TypeVar("_Count", covariant=True)


class TreeVerdict(NamedTuple, Generic[_Count]):
    """What :func:`verify_tree` returns."""

    accepted: _Count
    path: NDArray[np.int64]
    token: _Count


# fmt: off
@overload
def verify_tree(
    target_logits: UnknownRows, draft_logits: ArrayLike | None, tokens: IntArrayLike, parents: IntArrayLike,
    temperature: ArrayLike = 1.0, *, draft_temperature: ArrayLike | None = None, replacement: bool = False,
    u: ArrayLike | None = None, rng: Rng | None = None
) -> TreeVerdict[int | Indices]: ...
@overload
def verify_tree(
    target_logits: OneDraft, draft_logits: ArrayLike | None, tokens: IntArrayLike, parents: IntArrayLike,
    temperature: ArrayLike = 1.0, *, draft_temperature: ArrayLike | None = None, replacement: bool = False,
    u: ArrayLike | None = None, rng: Rng | None = None
) -> TreeVerdict[int]: ...
@overload
def verify_tree(
    target_logits: SeveralDrafts, draft_logits: ArrayLike | None, tokens: IntArrayLike, parents: IntArrayLike,
    temperature: ArrayLike = 1.0, *, draft_temperature: ArrayLike | None = None, replacement: bool = False,
    u: ArrayLike | None = None, rng: Rng | None = None
) -> TreeVerdict[Indices]: ...
@overload
def verify_tree(
    target_logits: ArrayLike, draft_logits: ArrayLike | None, tokens: IntArrayLike, parents: IntArrayLike,
    temperature: ArrayLike = 1.0, *, draft_temperature: ArrayLike | None = None, replacement: bool = False,
    u: ArrayLike | None = None, rng: Rng | None = None
) -> TreeVerdict[int | Indices]: ...
# fmt: on
def verify_tree(
    target_logits: Any,
    draft_logits: Any,
    tokens: Any,
    parents: Any,
    temperature: Any = 1.0,
    *,
    draft_temperature: Any = None,
    replacement: bool = False,
    u: Any = None,
    rng: Any = None,
) -> TreeVerdict[Any]:
    """Decide which path of a tree of drafted tokens to accept, and draw the token that follows it.

    Parameters
    ----------
    target_logits : array_like, shape (..., K + 1, n)
        The target's logits after the context (row 0) and after each of the K nodes of the tree (row i + 1 after node
        i).
    draft_logits : array_like, shape (..., K + 1, n), or None
        The draft's logits at the same places: those from which the children of the context and of each node were drawn.
        Rows of nodes without children are not read.  None for candidates without probabilities (a lookup, the draft's
        k most likely tokens): each then has probability 1.
    tokens : array_like of int, shape (..., K)
        The drafted token of each node; K may be 0.
    parents : array_like of int, shape (K,) or (..., K)
        The node that each node follows, -1 for the context; parents come before their children.  The children of a node
        are its candidates, and are tried in the order of their numbers.
    temperature : float or array_like, default 1.0
        Of the target, 0 <= T <= inf; one number, or one for each sequence.
    draft_temperature : float or array_like, optional
        Of the draft; the target's unless given.
    replacement : bool, default False
        Whether the candidates of a node were drawn independently, so that they may repeat.  False: each was drawn from
        those that were left, as by :func:`sample_without_replacement`.
    u : array_like, shape (..., K + 1), optional
        Uniforms in [0, 1): one for each node, and one for the token that follows.
    rng : None, int, SeedSequence, BitGenerator or Generator, optional
        Where they come from if `u` is not given, K + 1 doubles a sequence.

    Returns
    -------
    accepted : int or ndarray of int64
        The number of nodes accepted.
    path : ndarray of int64, shape (..., K)
        Their numbers, from the context on; -1 in the places after them.
    token : int or ndarray of int64
        The token that follows them.

    Raises
    ------
    ValueError
        For a row that cannot be drawn from, by its sequence and place; shapes that do not fit; tokens outside the
        vocabulary; parents that do not come first; a negative or NaN temperature; `u` outside [0, 1), or together with
        `rng`.
    TypeError
        For data of other dtypes.

    Notes
    -----
    With p the target's and q the draft's probabilities after a node, its first candidate t is accepted if and only if
    u q(t) < p(t).  If it is not, p becomes max(p - q, 0), and q loses t unless `replacement`; both are normalised, and
    the next candidate is tried.  If none is left, the token is drawn from p [1]_ [2]_.  The tokens then have the
    target's distribution, whatever the draft and the tree.  A tree without branches gives what :func:`verify_draft`
    gives.  For filtered distributions pass ``truncate(...)`` of both, and temperature 1.

    References
    ----------
    .. [1] X. Miao et al., "SpecInfer: Accelerating Large Language Model Serving with Tree-based Speculative Inference
       and Verification", 2024, arXiv 2305.09781.
    .. [2] W. Jeon et al., "Recursive Speculative Decoding: Accelerating LLM Inference via Sampling Without
       Replacement", 2024, arXiv 2402.14160.

    Examples
    --------
    Two candidates for the next token, 2 and 0, and one after the second of them:

    >>> import numpy as np
    >>> import fastsoftmax
    >>> target = np.log([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    >>> draft = np.log([[0.2, 0.2, 0.6], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
    >>> fastsoftmax.verify_tree(target, draft, [2, 0, 1], [-1, -1, 1], u=[0.7, 0.5, 0.9, 0.5])
    TreeVerdict(accepted=2, path=array([ 1,  2, -1]), token=1)
    """
    check_u_or_rng(u, rng)
    target = float_array(target_logits, "target_logits")
    if target.ndim < 2 or target.shape[-2] < 1:
        raise ValueError(f"target_logits must have the shape (..., K + 1, n) for K drafted tokens, not {target.shape}")
    *batch, places, entries = target.shape
    shape, count = tuple(batch), places - 1
    rows = Rows(target.shape, -1, "target_logits")
    sequences = Rows((*shape, entries), -1, "target_logits")
    draft = None if draft_logits is None else float_array(draft_logits, "draft_logits")
    if draft is not None and draft.shape != target.shape:
        raise ValueError(f"draft_logits must have the shape of target_logits, {target.shape}, not {draft.shape}")
    if not isinstance(replacement, bool | np.bool_):
        raise TypeError(f"replacement must be True or False, not {replacement!r}")
    drafted = _of_nodes(tokens, "tokens", (*shape, count), target.shape)
    if drafted.shape != (*shape, count):
        raise ValueError(f"tokens must have the shape {(*shape, count)}, not {drafted.shape}")
    of_nodes = np.ascontiguousarray(index_rows(drafted, "tokens", Rows((*shape, count, entries), -1, "tokens")))
    both = np.empty((*shape, 2), np.float64)
    both[..., 0] = temperature_rows(temperature, sequences)
    both[..., 1] = both[..., 0]
    if draft_temperature is not None:
        both[..., 1] = temperature_rows(draft_temperature, sequences, "draft_temperature")
    tree = _checked_parents(_of_nodes(parents, "parents", (*shape, count), target.shape), shape, count)
    wanted = (*shape, places)
    given = np.asarray(uniforms(as_generator(rng), wanted)) if u is None else uniform_rows(u, wanted)
    accepted: NDArray[np.int64] = np.empty(shape, np.int64)
    path: NDArray[np.int64] = np.empty((*shape, count), np.int64)
    token: NDArray[np.int64] = np.empty(shape, np.int64)
    if math.prod(shape):
        bad = _core.verify_tree_rows(
            target, dtype_code(target.dtype), draft, 0 if draft is None else dtype_code(draft.dtype), of_nodes, tree,
            bool(replacement), both, given, accepted, path, token,
        )  # fmt: skip
        if bad is not None:
            name, sequence, place, why = bad
            what = "has NaN" if why == "nan" else "has no entry above -inf"
            raise ValueError(f"{name}: {rows.name_row(sequence * places + place)} {what}; fix it")
    return TreeVerdict(accepted, path, token) if shape else TreeVerdict(int(accepted), path, int(token))


def _of_nodes(value: Any, name: str, shape: tuple[int, ...], target_shape: tuple[int, ...]) -> NDArray[Any]:
    """An integer for each node, in the shape of all trees or of one; a copy."""
    given = any_array(value, name)
    if given.shape not in (shape, shape[-1:]):
        raise ValueError(
            f"{name} must have the shape {shape} to go with target_logits of shape {target_shape}, not {given.shape}"
        )
    if given.size and given.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, not {given.dtype}")
    # An unsigned number that int64 has not stays too large.
    return (np.minimum(given, 2**62) if given.dtype == np.uint64 else given).astype(np.int64)


def _checked_parents(parents: NDArray[Any], shape: tuple[int, ...], count: int) -> NDArray[np.int64]:
    bad = (parents < -1) | (parents >= np.arange(count))
    if bad.any():
        at = np.unravel_index(int(np.argmax(bad)), parents.shape)
        tree = f" of sequence {', '.join(str(int(i)) for i in at[:-1])}" if len(at) > 1 else ""
        raise ValueError(
            f"parents must be -1 (the context) or the number of a node before; node {at[-1]}{tree} has {parents[at]}"
        )
    return np.ascontiguousarray(parents)
