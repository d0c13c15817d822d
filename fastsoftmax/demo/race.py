"""The time of the same loop with three ways to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np

from fastsoftmax import Sampler
from fastsoftmax.demo.model import CharModel, Float32s
from fastsoftmax.demo.writing import Draw, Rows, rows_along, write

ROUNDS = 7
SECONDS = 0.03
"""The time for which one contestant runs before the next."""


def classic_helper(temperature: float, seed: int) -> Draw:
    """The helper of the character-model tutorials: log, divide, exp, normalise, multinomial, argmax.

    It casts to float64 first: `multinomial` raises for float32 probabilities whose sum rounds above 1.
    """
    multinomial = np.random.RandomState(seed).multinomial

    def draw(probs: Float32s) -> int:
        logits = np.log(np.asarray(probs).astype("float64")) / temperature
        exps = np.exp(logits)
        scaled = exps / np.sum(exps)
        return int(np.argmax(multinomial(1, scaled, 1)))

    return draw


def generator_choice(temperature: float, seed: int) -> Draw:
    """``rng.choice(n, p=p)`` on p^(1 / temperature), normalised."""
    rng = np.random.default_rng(seed)

    def draw(probs: Float32s) -> int:
        powers = probs ** (1 / temperature)
        return int(rng.choice(len(powers), p=powers / powers.sum()))

    return draw


@dataclass(frozen=True)
class Contestant:
    """A way to draw, and the rows that it draws from."""

    name: str
    rows: Rows
    draw: Draw


def contestants(model: CharModel, temperature: float, seed: int) -> list[Contestant]:
    """The contestants, Sampler first; all draw from one distribution."""
    return [
        Contestant("Sampler", model.logits, Sampler(temperature, rng=seed)),
        Contestant("classic NumPy helper", model.probs, classic_helper(temperature, seed)),
        Contestant("rng.choice(n, p=...)", model.probs, generator_choice(temperature, seed)),
    ]


@dataclass(frozen=True)
class Result:
    """Medians over the rounds."""

    name: str
    loop_seconds: float
    """one symbol of the whole loop: two look-ups in the model, the draw, the list"""
    draw_seconds: float
    """the draw alone, of the same rows"""
    loop_ratio: float
    """time of the loop over that of the first contestant"""
    draw_ratio: float


def race(
    model: CharModel,
    temperature: float,
    seed: int,
    rounds: int = ROUNDS,
    progress: Callable[[], None] | None = None,
) -> list[Result]:
    """Run the loop with each contestant in turn, `rounds` times; ratios are of times in the same round."""
    ways = contestants(model, temperature, seed)
    symbols, _ = write(model.logits, model.advance, ways[0].draw, 1000)
    # The helper warns about each logarithm of 0, the probability of a symbol that is never drawn.
    with np.errstate(divide="ignore"):
        lengths = [max(1, int(SECONDS / _loop_seconds(model, way, 300))) for way in ways]
        loops: list[list[float]] = []
        draws: list[list[float]] = []
        for _ in range(rounds):
            loops.append([_loop_seconds(model, way, n) for way, n in zip(ways, lengths, strict=True)])
            draws.append([_draw_seconds(model, way, symbols) for way in ways])
            if progress is not None:
                progress()
    return [
        Result(
            way.name,
            median(times[i] for times in loops),
            median(times[i] for times in draws),
            median(times[i] / times[0] for times in loops),
            median(times[i] / times[0] for times in draws),
        )
        for i, way in enumerate(ways)
    ]


def _loop_seconds(model: CharModel, way: Contestant, length: int) -> float:
    begin = perf_counter()
    write(way.rows, model.advance, way.draw, length)
    return (perf_counter() - begin) / length


def _draw_seconds(model: CharModel, way: Contestant, symbols: list[int]) -> float:
    rows = list(rows_along(way.rows, model.advance, symbols))
    draw = way.draw
    begin = perf_counter()
    for row in rows:
        draw(row)
    return (perf_counter() - begin) / len(rows)
