"""What the keyword parameters may be, and which filters are on in a row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from ._rows import SupportsRandom, as_int, broadcast, uniforms


def _share(value: Any, name: str) -> Any:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], not {value}")
    return value


def _width(value: Any, name: str) -> Any:
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be finite and not negative, not {value}")
    return value


def _positive(value: Any, name: str) -> Any:
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be finite and above 0, not {value}")
    return value


def _finite(value: Any, name: str) -> Any:
    if not -math.inf < value < math.inf:
        raise ValueError(f"{name} must be finite, not {value}")
    return value


def _base(value: Any, name: str) -> Any:
    if not 1 <= value < math.inf:
        raise ValueError(f"{name} must be finite and 1 or above, not {value}")
    return value


def _whole(least: int) -> Callable[[Any, str], int]:
    def whole(value: Any, name: str) -> int:
        if as_int(value, name) < least:
            raise ValueError(f"{name} must be {least} or above, not {value}")
        return as_int(value, name)

    return whole


def _truth(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


_CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "top_k": _whole(0),
    "top_p": _share,
    "min_p": _share,
    "typical_p": _share,
    "top_n_sigma": _width,
    "epsilon_cutoff": _share,
    "eta_cutoff": _share,
    "xtc_threshold": _share,
    "xtc_probability": _share,
    "dynatemp_range": _width,
    "dynatemp_exponent": _positive,
    "min_tokens_to_keep": _whole(1),
    "temperature_last": _truth,
    "mirostat_tau": _width,
    "mirostat_eta": _width,
    "lengths": _whole(0),
    "repetition": _positive,
    "frequency": _finite,
    "presence": _finite,
    "dry_multiplier": _width,
    "dry_base": _base,
    "dry_allowed_length": _whole(1),
    "dry_penalty_last_n": _whole(0),
}

# Where a filter does nothing.
_NEUTRAL = {
    "top_k": 0,
    "top_p": 1,
    "min_p": 0,
    "typical_p": 1,
    "top_n_sigma": 0,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
    "xtc_probability": 0,
    "dynatemp_range": 0,
}


@dataclass(frozen=True)
class RowFilters:
    """The parameters of one row; None where a filter is off."""

    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    top_n_sigma: float | None
    epsilon_cutoff: float | None
    eta_cutoff: float | None
    xtc_threshold: float | None
    xtc_probability: float | None
    dynatemp_range: float | None
    dynatemp_exponent: float
    min_tokens_to_keep: int
    temperature_last: bool

    @property
    def has_xtc(self) -> bool:
        return self.xtc_probability is not None and self.xtc_threshold is not None and self.xtc_threshold <= 0.5


class Filters:
    """The parameters as they are given: each a number, None, or one number per row."""

    def __init__(self, **given: Any) -> None:
        if (given["xtc_threshold"] is None) != (given["xtc_probability"] is None):
            raise ValueError("xtc_threshold and xtc_probability must be given together")
        self._given = {name: checked(value, name) for name, value in given.items() if value is not None}

    def of_rows(self, rows: int) -> list[RowFilters]:
        per_row = {name: broadcast(value, (rows,), name) for name, value in self._given.items()}
        names = [field.name for field in fields(RowFilters)]
        return [RowFilters(*(_of_row(per_row, name, i) for name in names)) for i in range(rows)]


def toss(
    filters: list[RowFilters], xtc_u: Any, u: Any, rng: SupportsRandom | None, shape: tuple[int, ...]
) -> list[RowFilters]:
    """The filters after XTC's coins, one a row: XTC stays where its coin lies below its probability."""
    is_on = any(f.has_xtc for f in filters)
    if is_on and u is not None and xtc_u is None:
        raise ValueError("u is given and XTC is on: xtc_u, its uniforms, must be given too")
    coins = uniforms(xtc_u, rng, shape, "xtc_u") if is_on or xtc_u is not None else broadcast(0.0, shape, "xtc_u")
    return [_after(coin, f) for coin, f in zip(coins if shape else [coins], filters, strict=True)]


def _after(coin: float, f: RowFilters) -> RowFilters:
    happens = f.has_xtc and f.xtc_probability is not None and coin < f.xtc_probability
    return f if happens else replace(f, xtc_threshold=None)


def _of_row(per_row: dict[str, list[Any]], name: str, i: int) -> Any:
    value = per_row[name][i] if name in per_row else None
    return None if name in _NEUTRAL and value == _NEUTRAL[name] else value


def checked(value: Any, name: str) -> Any:
    """The value, or each of a list of them, if it is in the parameter's range."""
    if isinstance(value, list | tuple):
        return [checked(part, name) for part in value]
    return _CHECKS[name](value, name)
