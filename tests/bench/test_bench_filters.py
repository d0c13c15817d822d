"""What the filters are measured on and judged by: shapes of row, contexts, the sorting oracle."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
if not BENCH.is_dir():
    pytest.skip("the benchmark is part of a checkout only", allow_module_level=True)
sys.path.insert(0, str(BENCH))

import cases  # noqa: E402
import filter_judge  # noqa: E402
import measure  # noqa: E402
import rows as row_shapes  # noqa: E402
import sorting_oracle  # noqa: E402

# Shapes of rows and the context


@pytest.mark.parametrize("shape", cases.SHAPES)
def test_a_shape_of_row_is_what_it_is_called(shape: str) -> None:
    n = 128_256
    row = row_shapes.ROWS[shape](n, row_shapes.PEAKED, np.random.default_rng(1)).astype(np.float32)
    assert row.shape == (n,)
    assert np.isfinite(row).all()
    steps = np.diff(row)
    promise = {
        "flat": np.ptp(row) < 1.0,
        "ascending": (steps >= 0).all() and np.ptp(row) > 30.0,
        "descending": (steps <= 0).all() and np.ptp(row) > 30.0,
        "constant": (steps == 0).all(),
        "two-valued": np.unique(row).size == 2,
        "one-differs": (row == row.min()).sum() == n - 1,
        "close": (row > -1e-6).sum() > 10_000 and row.min() < -500.0,
        "adversarial-parts": (row > 0).sum() == 49 * 128,
    }
    assert promise.get(shape, True)


def test_whole_blocks_lie_above_the_bound_of_block_maxima() -> None:
    """Among blocks of 1,024, the 50th largest maximum has 49 whole blocks above it."""
    row = row_shapes.full_blocks(128_256, 0.0, np.random.default_rng(1))
    assert np.unique(row).size == row.size
    maxima = row[: 125 * 1024].reshape(-1, 1024).max(axis=1)
    bound = np.sort(maxima)[-50]
    assert (row > bound).sum() == 49 * 1024
    assert np.ptp(np.sort(maxima)[:-49]) < 0.01


@pytest.mark.parametrize("n", [49 * 128, 128_256])
def test_the_adversary_defeats_evenly_spaced_samples_and_halving(n: int) -> None:
    left = row_shapes.against_pivots(n, np.random.default_rng(1)).astype(np.float32)
    for _ in range(12):
        sample = left[np.arange(64) * left.size // 64]
        assert np.unique(sample).size == 1
        left = left[left > sample[0]]
    assert left.size > 0.85 * n
    # Halving the range of the bits, on the side where nearly all are, for as long as nearly all stay.
    bits, rounds = left.view(np.int32).astype(np.int64), 0
    while bits.size > 0.8 * n:
        middle = (bits.min() + bits.max()) // 2
        above = bits[bits > middle]
        bits = above if above.size > bits.size / 2 else bits[bits < middle]
        rounds += 1
    assert rounds > 15


def test_every_vocabulary_gets_the_same_context_spread_over_it() -> None:
    least = row_shapes.context(row_shapes.LEAST_VOCABULARY)
    for n in cases.PENALTY_VOCABULARIES:
        tokens = row_shapes.context(n)
        assert tokens.shape == (4096,)
        assert 0 <= tokens.min() < tokens.max() < n
        assert np.array_equal(tokens, least * (n // row_shapes.LEAST_VOCABULARY))
    assert max(sorting_oracle.repeated_suffixes(least).values()) >= 16


# The sorting oracle


def filtered(x: list[float], **filters: float) -> list[float]:
    found = sorting_oracle.filtered_softmax(np.log(np.asarray(x)), 1.0, filters)
    return [round(p, 6) for p in found.tolist()]


def test_the_oracle_keeps_what_the_filters_mean() -> None:
    x = [0.1, 0.4, 0.1, 0.3, 0.1]
    assert filtered(x, top_k=3) == [0.125, 0.5, 0, 0.375, 0]
    assert filtered(x, top_p=0.75) == [0.125, 0.5, 0, 0.375, 0]
    assert filtered(x, top_p=0.65) == [0, 0.571429, 0, 0.428571, 0]
    assert filtered(x, top_p=0.0) == [0, 1, 0, 0, 0]
    assert filtered(x, min_p=0.5) == [0, 0.571429, 0, 0.428571, 0]
    # In the first three, 0.75 of the mass is reached with the second.
    assert filtered(x, top_k=3, top_p=0.75) == [0, 0.571429, 0, 0.428571, 0]
    assert filtered(x, top_k=0, top_p=1.0, min_p=0.0) == x
    assert filtered(x, xtc_threshold=0.2, xtc_probability=1.0) == [0.166667, 0, 0.166667, 0.5, 0.166667]
    assert filtered(x, xtc_threshold=0.35, xtc_probability=1.0) == x
    # H = 1.418: nearest to it −ln 0.3 = 1.204, then −ln 0.4 = 0.916 before −ln 0.1 = 2.303.
    assert filtered(x, typical_p=0.2) == [0, 0, 0, 1, 0]
    assert filtered(x, typical_p=0.5) == [0, 0.571429, 0, 0.428571, 0]
    assert filtered(x, top_n_sigma=1.0) == [0, 0.571429, 0, 0.428571, 0]


def test_the_oracle_of_penalties_follows_the_formulas() -> None:
    x = np.array([2.0, -1.0, 3.0, 0.5])
    parameters = {"repetition": 2.0, "frequency": 0.25, "presence": 0.5}
    found = sorting_oracle.penalized(x, np.array([0, 1, 0]), parameters)
    assert found.tolist() == [2.0 / 2 - 1.0, -2.0 - 0.75, 3.0, 0.5]
    dry = {"dry_multiplier": 0.5, "dry_base": 2.0, "dry_allowed_length": 2}
    # "1 2" came before and was followed by 3; "2" alone was followed by 0 as well, which is too short.
    said = np.array([1, 2, 3, 2, 0, 1, 2])
    assert sorting_oracle.repeated_suffixes(said) == {3: 2, 0: 1}
    assert sorting_oracle.penalized(x, said, dry).tolist() == [2.0, -1.0, 3.0, 0.0]


def test_the_oracle_of_speculation_accepts_strictly_and_corrects() -> None:
    target, draft = np.log([[0.5, 0.25, 0.25]] * 2), np.log([[0.25, 0.5, 0.25]])
    exact = sorting_oracle.Speculation(target, draft, np.array([1]), 1.0)
    assert exact.accepted_probs().tolist() == pytest.approx([0.5, 0.5])
    assert exact.verdict(np.array([0.49, 0.6])) == (1, 1)
    # What is left of max(p − q, 0) is entry 0.
    assert exact.verdict(np.array([0.51, 0.99])) == (0, 0)


def test_wrong_entries_are_counted_and_gross_ones_refused() -> None:
    exact = np.array([0.5, 0.3, 0.2, 0.0])

    def told(indices: list[int], probs: list[float]) -> filter_judge.Verdict:
        contender = measure.Contender("one", "x", survivors=lambda x: (np.array(indices), np.array(probs)))
        return filter_judge.set_error(contender, np.zeros(4, np.float32), exact)

    error, gross = told([0, 1, 2], [0.5, 0.3, 0.2])
    assert (error["wrongly_kept"], error["wrongly_dropped"], error["total_variation"]) == (0, 0, 0.0)
    assert gross is None
    # The other of two equal entries: counted, but not gross.
    error, gross = told([0, 1, 3], [0.5, 0.3, 0.2])
    assert (error["wrongly_kept"], error["wrongly_dropped"]) == (1, 1)
    assert error["total_variation"] == pytest.approx(0.2)
    assert gross is None
    assert told([0], [1.0])[1] == "keeps 1 entries instead of 3"
    assert "off by" in (told([0, 1, 2], [0.3, 0.3, 0.4])[1] or "")
