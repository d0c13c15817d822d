"""verify_draft: the acceptance rule of speculative decoding."""

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


class DraftVerdict(NamedTuple, Generic[_Count]):
    """What :func:`verify_draft` returns."""

    accepted: _Count
    token: _Count


# fmt: off
@overload
def verify_draft(
    target_logits: UnknownRows, draft_logits: ArrayLike | None, tokens: IntArrayLike, temperature: ArrayLike = 1.0,
    *, draft_temperature: ArrayLike | None = None, u: ArrayLike | None = None, rng: Rng | None = None
) -> DraftVerdict[int | Indices]: ...
@overload
def verify_draft(
    target_logits: OneDraft, draft_logits: ArrayLike | None, tokens: IntArrayLike, temperature: ArrayLike = 1.0, *,
    draft_temperature: ArrayLike | None = None, u: ArrayLike | None = None, rng: Rng | None = None
) -> DraftVerdict[int]: ...
@overload
def verify_draft(
    target_logits: SeveralDrafts, draft_logits: ArrayLike | None, tokens: IntArrayLike,
    temperature: ArrayLike = 1.0, *, draft_temperature: ArrayLike | None = None, u: ArrayLike | None = None,
    rng: Rng | None = None
) -> DraftVerdict[Indices]: ...
@overload
def verify_draft(
    target_logits: ArrayLike, draft_logits: ArrayLike | None, tokens: IntArrayLike, temperature: ArrayLike = 1.0, *,
    draft_temperature: ArrayLike | None = None, u: ArrayLike | None = None, rng: Rng | None = None
) -> DraftVerdict[int | Indices]: ...
# fmt: on
def verify_draft(
    target_logits: Any,
    draft_logits: Any,
    tokens: Any,
    temperature: Any = 1.0,
    *,
    draft_temperature: Any = None,
    u: Any = None,
    rng: Any = None,
) -> DraftVerdict[Any]:
    """Decide how many drafted tokens to accept, and draw the token that follows them.

    Parameters
    ----------
    target_logits : array_like, shape (..., K + 1, n)
        The target's logits at each of the K drafted positions and the one after them.
    draft_logits : array_like, shape (..., K, n), or None
        The logits that the drafted tokens were drawn from; None for a draft without probabilities (a lookup, an
        n-gram), whose tokens then have probability 1.
    tokens : array_like of int, shape (..., K)
        The drafted tokens; K may be 0.
    temperature : float or array_like, default 1.0
        Of the target, 0 <= T <= inf; one number, or one for each sequence.
    draft_temperature : float or array_like, optional
        Of the draft; the target's unless given.
    u : array_like, shape (..., K + 1), optional
        Uniforms in [0, 1): one for each drafted token, and one for the token that follows.
    rng : None, int, SeedSequence, BitGenerator or Generator, optional
        Where they come from if `u` is not given, K + 1 doubles a sequence.

    Returns
    -------
    accepted : int or ndarray of int64
        The number of drafted tokens accepted, counted from the first.
    token : int or ndarray of int64
        The token that follows them: it replaces the first rejected token, or follows all K.

    Raises
    ------
    ValueError
        For a row that cannot be drawn from, by its sequence and position; shapes that do not fit; tokens outside the
        vocabulary; a negative or NaN temperature; `u` outside [0, 1), or together with `rng`.
    TypeError
        For data of other dtypes.

    Notes
    -----
    With p the target's and q the draft's probabilities, a token t is accepted if and only if u q(t) < p(t).  The
    first rejected token is replaced by a draw from max(p - q, 0), normalised.  If all are accepted, a draw from p
    follows.  The tokens then have the target's distribution, whatever the draft [1]_ [2]_.  For filtered
    distributions pass ``truncate(...)`` of both, and temperature 1.

    References
    ----------
    .. [1] Y. Leviathan, M. Kalman, Y. Matias, "Fast Inference from Transformers via Speculative Decoding", 2023,
       arXiv 2211.17192.
    .. [2] C. Chen et al., "Accelerating Large Language Model Decoding with Speculative Sampling", 2023,
       arXiv 2302.01318.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> target = np.log([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
    >>> draft = np.log([[0.3, 0.3, 0.4]])
    >>> fastsoftmax.verify_draft(target, draft, [0], u=[0.9, 0.5])
    DraftVerdict(accepted=1, token=2)
    >>> fastsoftmax.verify_draft(target, draft, [2], u=[0.9, 0.5])
    DraftVerdict(accepted=0, token=0)
    """
    check_u_or_rng(u, rng)
    target = float_array(target_logits, "target_logits")
    if target.ndim < 2 or target.shape[-2] < 1:
        raise ValueError(f"target_logits must have the shape (..., K + 1, n) for K drafted tokens, not {target.shape}")
    *batch, positions, entries = target.shape
    shape, count = tuple(batch), positions - 1
    rows = Rows(target.shape, -1, "target_logits")
    sequences = Rows((*shape, entries), -1, "target_logits")
    draft = None if draft_logits is None else float_array(draft_logits, "draft_logits")
    if draft is not None and draft.shape != (*shape, count, entries):
        raise ValueError(
            f"draft_logits must have the shape {(*shape, count, entries)} to go with target_logits of shape "
            f"{target.shape}, not {draft.shape}"
        )
    drafted = any_array(tokens, "tokens")
    if drafted.shape != (*shape, count):
        raise ValueError(
            f"tokens must have the shape {(*shape, count)} to go with target_logits of shape {target.shape}, "
            f"not {drafted.shape}"
        )
    if drafted.size == 0:
        drafted = drafted.astype(np.int64)
    places = np.ascontiguousarray(index_rows(drafted, "tokens", Rows((*shape, count, entries), -1, "tokens")))
    both = np.empty((*shape, 2), np.float64)
    both[..., 0] = temperature_rows(temperature, sequences)
    both[..., 1] = both[..., 0]
    if draft_temperature is not None:
        both[..., 1] = temperature_rows(draft_temperature, sequences, "draft_temperature")
    wanted = (*shape, positions)
    given = np.asarray(uniforms(as_generator(rng), wanted)) if u is None else uniform_rows(u, wanted)
    accepted: NDArray[np.int64] = np.empty(shape, np.int64)
    token: NDArray[np.int64] = np.empty(shape, np.int64)
    if math.prod(shape):
        bad = _core.verify_rows(
            target, dtype_code(target.dtype), draft, 0 if draft is None else dtype_code(draft.dtype), places, both,
            given, accepted, token,
        )  # fmt: skip
        if bad is not None:
            name, sequence, position, why = bad
            what = "has NaN" if why == "nan" else "has no entry above -inf"
            raise ValueError(f"{name}: {rows.name_row(sequence * positions + position)} {what}; fix it")
    return DraftVerdict(accepted, token) if shape else DraftVerdict(int(accepted), int(token))
