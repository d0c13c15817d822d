"""The reference's penalties, and the fast ones against it."""

import math
import random
import sys

import numpy as np
import reference_rows

import fastsoftmax as fs
from fastsoftmax import reference

INF, NAN = math.inf, math.nan
LARGEST = sys.float_info.max
ZEROS = [0.0] * 5


def dry(tokens, n=5, **parameters):
    """What DRY takes from each of n logits, counted in multipliers with base 1, or as it is given."""
    given = {"dry_multiplier": 1.0, "dry_base": 2.0, "dry_allowed_length": 1} | parameters
    return [-v for v in reference.penalize([0.0] * n, tokens, **given)]


def test_reference_penalties_are_their_formulas():
    x, tokens = [2.0, -2.0, 0.0, 3.0], [0, 1, 0, 2]
    assert reference.penalize(x, tokens, repetition=4.0) == [0.5, -8.0, 0.0, 3.0]
    assert reference.penalize(x, tokens, frequency=0.25) == [1.5, -2.25, -0.25, 3.0]
    assert reference.penalize(x, tokens, presence=0.25) == [1.75, -2.25, -0.25, 3.0]
    assert reference.penalize(x, tokens, repetition=4.0, frequency=-0.5, presence=0.25) == [1.25, -7.75, 0.25, 3.0]
    assert reference.penalize(x, []) == reference.penalize(x, tokens) == x


def test_reference_dry_counts_the_longest_repeated_suffix():
    # 0 was followed by 1, and 3 0 by 4.
    assert dry([0, 1, 3, 0, 4, 3, 0]) == [0, 1, 0, 0, 2]
    assert dry([0, 1, 3, 0, 4, 3, 0], dry_allowed_length=2) == [0, 0, 0, 0, 1]
    assert dry([0, 1, 3, 0, 4, 3, 0], dry_multiplier=0.5, dry_base=1.0) == [0, 0.5, 0, 0, 0.5]
    # An occurrence may overlap the suffix itself.
    assert dry([2, 2, 2, 2]) == [0, 0, 4, 0, 0]
    assert dry([0, 1, 2]) == dry([]) == dry([3]) == ZEROS


def test_reference_dry_begins_after_the_last_breaker():
    tokens = [0, 1, 2, 3, 0, 1, 2]
    assert dry(tokens) == [0, 0, 0, 4, 0]
    assert dry(tokens, dry_sequence_breakers=[(1,)]) == dry(tokens, dry_sequence_breakers=[(0, 1)]) == [0, 0, 0, 1, 0]
    assert dry(tokens, dry_sequence_breakers=[(0,)]) == [0, 0, 0, 2, 0]
    assert dry(tokens, dry_sequence_breakers=[(2,)]) == dry(tokens, dry_sequence_breakers=[(1, 2)]) == ZEROS
    # Never the breaker itself, but what a longer breaker is made of.
    assert dry(tokens, dry_sequence_breakers=[(3,)]) == ZEROS
    assert dry(tokens, dry_sequence_breakers=[(3, 4), (4,)]) == [0, 0, 0, 4, 0]


def test_reference_dry_looks_at_its_window_only():
    tokens = [0, 1, 2, 3, 0, 1, 2]
    assert [max(dry(tokens, dry_penalty_last_n=n)) for n in range(9)] == [0, 0, 0, 0, 0, 1, 2, 4, 4]
    # A breaker before the window is not seen, nor one that begins there.
    assert dry([4, 0, 4, 0], dry_sequence_breakers=[(4, 0, 4)]) == [0, 0, 0, 0, 1]
    assert dry([4, 0, 4, 0], dry_sequence_breakers=[(0, 4, 0)]) == ZEROS
    assert dry([4, 0, 4, 0], dry_sequence_breakers=[(4, 0, 4, 0)], dry_penalty_last_n=3) == [0, 0, 0, 0, 1]


def test_reference_dry_is_the_same_of_repeats_found_by_all_pairs_of_suffixes():
    source = random.Random(2)
    for _ in range(200):
        tokens = [source.randrange(3) for _ in range(source.randrange(14))]
        expected = {}
        for m in range(1, len(tokens)):
            suffix = tokens[-m:]
            for start in range(len(tokens) - m):
                if tokens[start : start + m] == suffix:
                    expected[tokens[start + m]] = m
        assert dry(tokens, 3) == [2.0 ** (expected[t] - 1) if t in expected else 0.0 for t in range(3)]


def test_reference_penalties_keep_what_is_infinite_and_what_is_finite():
    x = [INF, -INF, NAN, -1.0, 1.0]
    got = reference.penalize(x, [0, 1, 2, 3, 4], repetition=3.0, frequency=1.0, dry_multiplier=1.0)
    assert got[:2] == x[:2] and math.isnan(got[2])
    assert reference.penalize([-LARGEST, LARGEST], [0, 1], repetition=0.5) == [-LARGEST / 2, LARGEST]
    assert reference.penalize([-LARGEST, LARGEST], [0, 1], repetition=2.0) == [-LARGEST, LARGEST / 2]
    assert reference.penalize([1.0, 1.0], [0] * 2000, dry_multiplier=1.0, dry_base=10.0) == [-LARGEST, 1.0]
    assert reference.penalize([1, 0], [0], frequency=LARGEST, presence=LARGEST) == [-LARGEST, 0.0]


def random_penalties(source):
    return {
        "repetition": source.choice([1.0, 1.3, 0.5]),
        "frequency": source.choice([0.0, 0.3, -0.2]),
        "presence": source.choice([0.0, 0.4]),
        "dry_multiplier": source.choice([0.0, 0.8, 2.0]),
        "dry_base": source.choice([1.0, 1.75]),
        "dry_allowed_length": source.choice([1, 2, 3]),
        "dry_penalty_last_n": source.choice([None, -1, 0, 3, 10, 100]),
        "last_n": source.choice([None, -1, 0, 1, 3, 10, 100]),
        "dry_sequence_breakers": source.choice([(), (0,), ((0, 1),), (1, (1, 0))]),
    }


def test_fast_penalties_are_the_references():
    source = random.Random(9)
    for _ in range(500):
        n, symbols = source.choice([3, 40]), source.choice([1, 2, 3])
        x = [source.choice([source.gauss(0, 3), 0.0, -INF, INF]) for _ in range(n)]
        tokens = [source.randrange(symbols) for _ in range(source.choice([0, 1, 6, 50]))]
        parameters = random_penalties(source)
        # base**k may be rounded otherwise than by math.
        got, expected = (m.penalize(x, tokens, **parameters) for m in (fs, reference_rows))
        np.testing.assert_allclose(got, expected, rtol=2.0**-50, atol=2.0**-50)


def test_fast_penalties_of_several_rows_are_the_references():
    x, ragged, padded = [[2.0, 2.0, 2.0]] * 3, [[0], [], [1, 2, 1]], np.array([[0, -1, 99], [7, 7, 7], [1, 2, 1]])
    expected = [[1.0, 2.0, 2.0], [2.0, 2.0, 2.0], [2.0, -4.0, -1.0]]
    parameters = {"repetition": [2.0, 1.0, 1.0], "frequency": [0.0, 9.0, 3.0]}
    for module in (fs, reference_rows):
        assert module.penalize(x, ragged, **parameters).tolist() == expected
        assert module.penalize(x, padded, lengths=[1, 0, 3], **parameters).tolist() == expected
