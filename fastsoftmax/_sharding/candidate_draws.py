"""sample_from_candidates: the filtered draw of whole rows from the candidates of their shards.

The candidates of all shards, by their index, are a row of their own.  The first filter of the whole row keeps the same
entries of this one, if it has them all; and what the kernels do after that depends on these entries alone.  So the draw
is `sample` of this row with the same filters, once `check_first_filters` has found that the first had what it needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._args.arrays import Rows, size_shape, temperature_rows, uniform_rows
from .._args.filters import as_filters
from .._draws import check_on_invalid, draw_from
from .api import check_has_summary
from .candidate_filters import check_first_filters
from .gathered import Gathered, gathered_from
from .summary import EXTREME

if TYPE_CHECKING:
    from .._types import (
        ArrayLike,
        CandidatesLike,
        FiltersAndCoins,
        Indices,
        IntArrayLike,
        Logprobs,
        OnInvalid,
        Size,
        SomeDraws,
    )

_LEAST = 1.0 / EXTREME


# fmt: off
@overload
def sample_from_candidates(
    candidates: CandidatesLike, temperature: ArrayLike = 1.0, *, u: ArrayLike, size: SomeDraws,
    return_logprob: Literal[False] = False, mass: IntArrayLike | None = None, sums: ArrayLike | None = None,
    entries: int | None = None, on_invalid: OnInvalid = "raise", **options: Unpack[FiltersAndCoins]
) -> Indices: ...
@overload
def sample_from_candidates(
    candidates: CandidatesLike, temperature: ArrayLike = 1.0, *, u: ArrayLike, size: SomeDraws,
    return_logprob: Literal[True], mass: IntArrayLike | None = None, sums: ArrayLike | None = None,
    entries: int | None = None, on_invalid: OnInvalid = "raise", **options: Unpack[FiltersAndCoins]
) -> tuple[Indices, Logprobs]: ...
@overload
def sample_from_candidates(
    candidates: CandidatesLike, temperature: ArrayLike = 1.0, *, u: ArrayLike, size: Size | None = None,
    return_logprob: Literal[False] = False, mass: IntArrayLike | None = None, sums: ArrayLike | None = None,
    entries: int | None = None, on_invalid: OnInvalid = "raise", **options: Unpack[FiltersAndCoins]
) -> int | Indices: ...
@overload
def sample_from_candidates(
    candidates: CandidatesLike, temperature: ArrayLike = 1.0, *, u: ArrayLike, size: Size | None = None,
    return_logprob: Literal[True], mass: IntArrayLike | None = None, sums: ArrayLike | None = None,
    entries: int | None = None, on_invalid: OnInvalid = "raise", **options: Unpack[FiltersAndCoins]
) -> tuple[int, float] | tuple[Indices, Logprobs]: ...
@overload
def sample_from_candidates(
    candidates: CandidatesLike, temperature: ArrayLike = 1.0, *, u: ArrayLike, size: Size | None = None,
    return_logprob: bool, mass: IntArrayLike | None = None, sums: ArrayLike | None = None,
    entries: int | None = None, on_invalid: OnInvalid = "raise", **options: Unpack[FiltersAndCoins]
) -> int | Indices | tuple[int, float] | tuple[Indices, Logprobs]: ...
# fmt: on
def sample_from_candidates(
    candidates: Any,
    temperature: Any = 1.0,
    *,
    u: Any,
    size: Any = None,
    mass: Any = None,
    sums: Any = None,
    entries: int | None = None,
    top_k: Any = None,
    top_p: Any = None,
    min_p: Any = None,
    top_a: Any = None,
    p_less: Any = False,
    typical_p: Any = None,
    top_h: Any = None,
    top_n_sigma: Any = None,
    epsilon_cutoff: Any = None,
    eta_cutoff: Any = None,
    xtc_threshold: Any = None,
    xtc_probability: Any = None,
    xtc_u: Any = None,
    dynatemp_range: Any = None,
    dynatemp_exponent: Any = 1.0,
    smoothing_factor: Any = None,
    smoothing_curve: Any = 1.0,
    min_tokens_to_keep: Any = 1,
    temperature_last: Any = False,
    order: Any = None,
    keep: Any = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
) -> Any:
    """The filtered draw from whole rows, bit for bit, from the candidates of their shards.

    Parameters
    ----------
    candidates : list of Candidates or of their buffers
        Those of every shard, in any order; an array of bytes with a row for each shard is such a list.
    temperature : float or array_like, default 1.0
        One number, or one for each row; 0, inf, or from 2**-900 to 2**900.
    u : array_like
        The uniforms, in [0, 1), broadcast to the shape of the rows and `size`.
    size : int or tuple of int, optional
        The draws from each row.
    mass : array_like of int, optional
        The sum of :func:`mass_of_shard` over all shards: needed by rows whose first filter is top_p.
    sums : array_like, optional
        The sum of :func:`sums_of_shard` over all shards: needed by rows whose first filter is top_n_sigma.
    entries : int, optional
        The length of the whole row, which the candidates must then be of.
    top_k, top_p, min_p, top_a, p_less, typical_p, top_h, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold, \
xtc_probability, xtc_u, dynatemp_range, dynatemp_exponent, smoothing_factor, smoothing_curve, min_tokens_to_keep, \
temperature_last, order
        The filters of :func:`sample`.  The first that is on in a row must be top_k, min_p, with `mass` top_p, or with
        `sums` top_n_sigma.
    keep : None
        Not possible here: what it brings back may not be among the candidates.
    return_logprob, on_invalid
        As in :func:`sample`.

    Returns
    -------
    int or ndarray of int64
        The numbers of the entries in the whole row: what ``sample(logits, temperature, u=u, ...)`` returns.
    float or ndarray of float64
        Only with `return_logprob`: log p, filters included.

    Raises
    ------
    ValueError
        Where the first filter of a row needs more than these candidates, with the reason; for candidates that are not
        of all shards of the same rows; a row that cannot be drawn from; `u` outside [0, 1).

    Notes
    -----
    top_k needs as many candidates of each shard, or all that it has.  min_p needs all entries that it keeps: the last
    candidate of each shard must be one that it drops.  So do top_p, with the mass of the whole row, and top_n_sigma,
    with the sums of which the standard deviation is made.

    Examples
    --------
    >>> import numpy as np
    >>> import fastsoftmax
    >>> x = np.random.default_rng(0).normal(size=(3, 1000))
    >>> shards = [fastsoftmax.candidates(x[:, i : i + 250], 20, offset=i) for i in (0, 250, 500, 750)]
    >>> fastsoftmax.sample_from_candidates(shards, 0.7, top_k=20, top_p=0.9, u=[0.1, 0.5, 0.9])
    array([219, 527, 862])
    >>> fastsoftmax.sample(x, 0.7, top_k=20, top_p=0.9, u=[0.1, 0.5, 0.9])
    array([219, 527, 862])
    """
    given = _core.given_filters(
        top_k, top_p, min_p, top_a, p_less, typical_p, top_h, top_n_sigma, epsilon_cutoff, eta_cutoff, xtc_threshold,
        xtc_probability, dynatemp_range, dynatemp_exponent, smoothing_factor, smoothing_curve, min_tokens_to_keep,
        temperature_last, order, keep,
    )  # fmt: skip
    check_on_invalid(on_invalid)
    if u is None:
        raise TypeError("u must be the uniforms: every process that draws must have the same")
    gathered = gathered_from(candidates, entries)
    if type(temperature) is not float or not _LEAST <= temperature <= EXTREME:
        temperature = temperature_rows(temperature, gathered.rows)
        check_has_summary(temperature, gathered.rows)
    cut = {}
    if not gathered.is_whole:
        cut = check_first_filters(gathered, temperature, given, as_filters(given, gathered.rows), mass, sums)
    if given is None or not cut:
        drawn = draw_from(
            gathered.values, False, temperature, -1, size, u, None, None, None, as_filters(given), xtc_u,
            return_logprob, "flag",
        )  # fmt: skip
    else:
        drawn = _draw_kept(gathered, temperature, size, u, given, xtc_u, return_logprob, cut)
    index, logprob = drawn if return_logprob else (drawn, None)
    bad = np.less(index, 0)
    if bad.any():
        if on_invalid == "raise":
            _raise_invalid(gathered, int(np.argmax(bad.reshape(math.prod(gathered.rows.shape), -1).any(-1))))
        index = np.where(bad, -1, gathered.indices(np.maximum(index, 0)))
    else:
        index = gathered.indices(index)
    if not index.ndim:
        index = int(index)
    return (index, logprob) if return_logprob else index


def _draw_kept(
    gathered: Gathered,
    t: Any,
    size: Any,
    u: Any,
    given: Mapping[str, Any],
    xtc_u: Any,
    return_logprob: bool,
    cut: Mapping[str, NDArray[np.int64]],
) -> Any:
    """The draws where it has been decided how many entries the first filter keeps in some rows."""
    shape = gathered.rows.shape + size_shape(size)
    us = uniform_rows(u, shape).reshape(len(gathered.flat_values), -1)
    t = temperature_rows(t, gathered.rows).reshape(-1)
    coins = None if xtc_u is None else uniform_rows(xtc_u, gathered.rows.shape, "xtc_u").reshape(-1)
    index: NDArray[np.int64] = np.empty(us.shape, np.int64)
    logprob = np.empty(us.shape)
    for part, of_part in _parts(given, cut, gathered.rows):
        drawn = draw_from(
            gathered.flat_values[part], False, t[part], -1, us.shape[-1], us[part], None, None, None,
            as_filters(of_part), None if coins is None else coins[part], return_logprob, "flag",
        )  # fmt: skip
        if return_logprob:
            index[part], logprob[part] = drawn
        else:
            index[part] = drawn
    if not shape:
        return (int(index[0, 0]), float(logprob[0, 0])) if return_logprob else int(index[0, 0])
    return (index.reshape(shape), logprob.reshape(shape)) if return_logprob else index.reshape(shape)


def _parts(given: Mapping[str, Any], cut: Mapping[str, NDArray[np.int64]], rows: Rows) -> Iterable[tuple[Any, Any]]:
    """Rows, as an index, and the filters that are left to do for them: top_k in place of one that has been decided."""
    flat = _flat_filters(given, rows)
    parts = [(kept >= 0, step) for step, kept in cut.items()]
    parts.append((np.logical_and.reduce([kept < 0 for kept in cut.values()]), ""))
    for part, step in parts:
        if not part.any():
            continue
        left = {name: value[part] if isinstance(value, np.ndarray) else value for name, value in flat.items()}
        if step:
            del left[step]
            left["top_k"] = cut[step][part]
            if "order" in left:
                names = [name for name in left["order"] if name != "top_k"]
                left["order"] = tuple("top_k" if name == step else name for name in names)
        yield part, left


def _flat_filters(given: Mapping[str, Any], rows: Rows) -> dict[str, Any]:
    """The parameters with one axis for all rows, where they have any."""
    flat = {}
    for name, value in given.items():
        one = name == "order" or isinstance(value, int | float)
        flat[name] = value if one else np.broadcast_to(value, rows.shape).reshape(-1)
    return flat


def _raise_invalid(gathered: Gathered, row: int) -> None:
    is_nan = np.isnan(gathered.flat_values[row])
    if is_nan.any():
        at = int(np.argmax(is_nan))
        number = gathered.numbers.reshape(-1, gathered.numbers.shape[-1])[row, at]
        what = f"has nan at entry {number + gathered.layout.offset[at]}"
    else:
        what = "has no entry above -inf that is allowed"
    name = gathered.rows.name_row(row)
    raise ValueError(f'candidates: {name} {what}; fix it, or pass on_invalid="flag" to get -1 for it')
