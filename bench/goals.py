"""What the project wants to show, and whether the measurements show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from cases import (
    LONG_CALLS,
    MANY,
    MANY_DRAWS,
    ONE_CALL,
    PENALTY_VOCABULARIES,
    PREPARED,
    SHAPES,
    SHARED,
    VOCABULARIES,
    VOCABULARY,
    filter_cases,
    token_cases,
)

Row = Mapping[str, Any]
OURS = "fastsoftmax"
# Measured for information: rivals that leave the temperature out, or do nothing but read.
NOT_THE_SAME_WORK = ("onednn-notemp", "numpy-max")
# The counts of wrong answers in an error.
WRONG = ("wrong", "wrongly_kept", "wrongly_dropped", "outside")
NOT_MEASURED = {"measured": None, "worst": None, "complete": False, "verdict": "not measured"}


@dataclass(frozen=True)
class Goal:
    """A bound that the worst of some cases has to keep.

    kind ratio: theirs / ours against `rival` is at least `bound`. times: ours / theirs is at most `bound`. ns: the
    overhead in nanoseconds is at most `bound`. each: one of many draws takes at most `bound` nanoseconds. ulp: our
    largest error is at most `bound`. wrong: so many of our answers may be wrong, entries kept, dropped and drawn.
    `shared`: judged on all threads, not on one.
    """

    what: str
    kind: str
    bound: float
    cases: tuple[str, ...]
    rival: str = ""
    shared: bool = False

    def measure(self, rows: Iterable[Row]) -> dict[str, Any]:
        """The worst measured value, where it was met, and met, missed or not measured."""
        chosen = [row for row in rows if self._concerns(row)]
        found = {str(row["case"]): self._value(row) for row in chosen}
        verdict = {**asdict(self), "cases": list(self.cases)}
        if not found:
            return {**verdict, **NOT_MEASURED}
        pick = min if self.kind == "ratio" else max
        worst = pick(found, key=found.__getitem__)
        value = found[worst]
        met = value >= self.bound if self.kind == "ratio" else value <= self.bound
        complete = all(any(fnmatchcase(case, pattern) for case in found) for pattern in self.cases)
        return {
            **verdict,
            "measured": value,
            "worst": worst,
            "complete": complete,
            "verdict": "met" if met else "missed",
        }

    def _concerns(self, row: Row) -> bool:
        # A wrong answer of ours is a missed goal, not a case that was not measured.
        refused = self.kind == "wrong" and "error" in row
        if (row["threads"] > 1) != self.shared or not (row["status"] == "ok" or refused):
            return False
        if not any(fnmatchcase(str(row["case"]), pattern) for pattern in self.cases):
            return False
        return str(row["contender"]) == (self.rival or OURS)

    def _value(self, row: Row) -> float:
        if self.kind == "ratio":
            return float(row["ratio"])
        if self.kind == "times":
            return 1.0 / float(row["ratio"])
        if self.kind == "ns":
            return float(row["difference_ns"])
        if self.kind == "each":
            return float(row["ns"]) / MANY
        if self.kind == "wrong":
            return float(sum(row["error"].get(key, 0) for key in WRONG))
        return float(row["error"]["max_ulp"])


def _ratios(what: str, cases: tuple[str, ...], bounds: Mapping[str, float]) -> list[Goal]:
    return [Goal(f"{what} vs {rival}", "ratio", bound, cases, rival) for rival, bound in bounds.items()]


def _named(operation: str, shapes: Iterable[int | str], dtype: str = "f32") -> tuple[str, ...]:
    return tuple(f"{operation}-{dtype}-{shape}" for shape in shapes)


def all_goals() -> list[Goal]:
    """The goals of the project, in the order in which it states them."""
    short_rows = ("4096x4", "4096x16", "4096x64", "64x256")
    goals = _ratios(
        "softmax in place, one row of 32,000 to 128,256",
        _named("softmax", VOCABULARIES),
        {"torch": 3.0, "onnxruntime": 2.5, "scipy": 5.0},
    )
    many_rows = _named("softmax", [f"32x{n}" for n in VOCABULARIES])
    goals += _ratios("softmax, 32 rows of 32,000 to 128,256", many_rows, {"onednn": 1.8})
    for shape, bound in zip(short_rows, (6.0, 2.0, 3.0, 3.0), strict=True):
        goals += _ratios(f"softmax, {shape}", _named("softmax", [shape]), {"torch": bound})
    goals += _ratios(
        "softmax, batches of short rows", _named("softmax", short_rows), {"scipy": 8.0, "onnxruntime": 2.0}
    )
    goals += _ratios(
        "one draw, one row of 32,000 to 128,256",
        _named("sample", VOCABULARIES),
        {"torch": 120.0, "numpy-choice": 40.0, "llama.cpp": 6.0},
    )
    for shape, bound in (("4096x16", 25.0), ("4096x64", 30.0), ("4096x256", 40.0)):
        goals += _ratios(f"draws, {shape}", _named("sample", [shape]), {"torch": bound})
    goals += _ratios("softmax, one call, n = 10 to 256", _named("softmax", ONE_CALL), {"torch": 5.0})
    sampler_cases = _named("sampler", ONE_CALL, "f64") + _named("sampler-probs", ONE_CALL, "f64")
    goals += _ratios("Sampler, one call, n = 10 to 256", sampler_cases, {"classic": 18.0})
    many = tuple(case for kind in ("f32", "f64") for case in _named("many", MANY_DRAWS, kind))
    many += _named("many-probs", MANY_DRAWS, "f64")
    prepared = _named("categorical", PREPARED)
    goals.append(Goal("size=10^6, n = 10 to 10^6: each draw", "each", 15.0, many))
    goals.append(Goal("Categorical, n = 10 to 10^4: each draw", "each", 3.0, prepared))
    goals += _ratios("Categorical, n = 10 to 10^4", prepared, {"numpy-choice": 10.0})
    goals.append(Goal("call less C kernel, n = 10 to 256", "ns", 150.0, _named("overhead", ONE_CALL)))
    door = _named("door-softmax", ONE_CALL) + _named("door-draw", ONE_CALL)
    goals.append(Goal("call from compiled code beside its C kernel", "times", 1.05, door, "fastsoftmax-kernel"))
    goals.append(Goal("largest error, float32", "ulp", 3.0, ("accuracy-f32",)))
    goals.append(Goal("largest error, float64", "ulp", 4.0, ("accuracy-f64",)))
    return goals + filter_goals()


def filter_goals() -> list[Goal]:
    """Choosing the next token: one row of 128,256 float32 at temperature 0.8 where nothing else is said."""

    def case(name: str) -> tuple[str, ...]:
        return (f"filter-{name}-f32-{VOCABULARY}",)

    top_k = case("top_k")
    goals = _ratios("top_k 50", top_k, {"transformers": 200.0, "llama.cpp": 5.0})
    goals.append(Goal("top_k 50 beside x.max()", "times", 1.7, top_k, "numpy-max"))
    goals += _ratios("top_k 50, top_p 0.95", case("top_k-top_p"), {"transformers": 350.0})
    goals += _ratios("top_p 0.95", case("top_p"), {"transformers": 300.0, "llama.cpp": 40.0})
    goals += _ratios("min_p 0.05", case("min_p"), {"transformers": 200.0})
    goals += _ratios("top_p 0.95, flat row", case("top_p-flat"), {"transformers": 15.0})
    goals += _ratios("top_p 0.95, constant row", case("top_p-constant"), {"transformers": 15.0})
    for name, bound in (("top_k", 3.0), ("top_p", 6.0)):
        shapes = tuple(found for row in SHAPES for found in case(f"{name}-{row}"))
        what = f"{name} on any row, beside a peaked one"
        goals.append(Goal(what, "times", bound, shapes, "fastsoftmax-friendly"))
    for name, operation in (("penalize", "penalize"), ("penalize with DRY", "penalize-dry")):
        longest = _named(operation, PENALTY_VOCABULARIES[1:])
        what = f"{name}, longest vocabulary beside the shortest"
        goals.append(Goal(what, "times", 1.3, longest, "fastsoftmax-least"))
    for operation in SHARED:
        what = f"{operation}: all threads beside one"
        long_calls, alone = _named(operation, LONG_CALLS), "fastsoftmax-alone"
        goals.append(Goal(f"{what}, calls of 2 ms and more", "ratio", 1.8, long_calls, alone, shared=True))
        goals.append(Goal(f"{what}, any call", "ratio", 0.95, (f"{operation}-*",), alone, shared=True))
    batch = _named("batch", [f"8x{VOCABULARY}"])
    goals += _ratios("8 rows of different parameters", batch, {"fastsoftmax-singles": 0.9})
    judged = tuple(one.name for one in (*filter_cases(), *token_cases()) if one.operation != "penalize")
    goals.append(Goal("answers that sorting in float64 contradicts", "wrong", 0.0, judged))
    return goals


def against_baseline(rows: Iterable[Row], baseline: Iterable[Row]) -> list[dict[str, Any]]:
    """What a run on one instruction set says beside a run on another, of the same machine.

    Speeds are compared through the rivals, which do not depend on our instruction set: the quotient of the
    two ratios to the same rival on the same case is free of the machine's drift between the runs. A case
    counts with the median over its rivals.
    """
    before = {_key(row): row for row in baseline if row["status"] == "ok"}
    now = {_key(row): row for row in rows if row["status"] == "ok"}
    both = before.keys() & now.keys()
    rivals = {key: row for key, row in now.items() if "ratio" in row and _is_rival(key[1])}
    ahead = {key: float(row["ratio"]) for key, row in rivals.items()}
    by_case: dict[tuple[str, str, int], list[float]] = {}
    for case, rival, threads in both & ahead.keys():
        key = (case, rival, threads)
        by_case.setdefault((case, OURS, threads), []).append(ahead[key] / float(before[key]["ratio"]))
    speeds = {key: median(quotients) for key, quotients in by_case.items()}
    digests = [key for key in both if now[key].get("digest") and before[key].get("digest")]
    unequal = sorted(key[0] for key in digests if now[key]["digest"] != before[key]["digest"])
    return [
        _least("speed beside the baseline's", 0.5, speeds),
        _least("ahead of every rival", 1.0, ahead),
        {
            "what": "same bits as the baseline",
            "kind": "digests",
            "bound": 0,
            "measured": len(unequal) if digests else None,
            "worst": ", ".join(unequal) or None,
            "complete": bool(digests),
            "verdict": ("missed" if unequal else "met") if digests else "not measured",
        },
    ]


def _is_rival(name: str) -> bool:
    """Whether a contender is another library that does the same work; our other forms are not."""
    return name not in NOT_THE_SAME_WORK and not name.startswith(f"{OURS}-")


def _key(row: Row) -> tuple[str, str, int]:
    return str(row["case"]), str(row["contender"]), int(row["threads"])


def _least(what: str, bound: float, values: Mapping[tuple[str, str, int], float]) -> dict[str, Any]:
    verdict: dict[str, Any] = {"what": what, "kind": "ratio", "bound": bound, "complete": bool(values)}
    if not values:
        return {**verdict, **NOT_MEASURED}
    worst = min(values, key=values.__getitem__)
    met = values[worst] >= bound
    return {
        **verdict,
        "measured": values[worst],
        "worst": f"{worst[0]} {worst[1]}",
        "verdict": "met" if met else "missed",
    }
