"""The reference's top_logprobs and sample_without_replacement, and the fast ones against it."""

import itertools
import math
import random
from fractions import Fraction

import numpy as np
import pytest
import reference_rows

import fastsoftmax as fs
from fastsoftmax import reference

INF, NAN = math.inf, math.nan


def test_reference_top_logprobs_are_log_softmax_in_sorted_order():
    x = [1.0, 3.0, -INF, 3.0, 2.0]
    logprobs = reference.log_softmax(x, 0.7)
    top = reference.top_logprobs(x, 5, 0.7, chosen=3)
    assert top.indices == [1, 3, 4, 0, 2] and top.rank == 2
    assert top.logprobs == [logprobs[i] for i in top.indices] and top.logprobs[-1] == -INF
    assert reference.top_logprobs(x, 2).indices == [1, 3] and reference.top_logprobs(x, 2).rank is None
    allowed = {"mask": [True, False, True, False, True], "bias": [5.0, 0.0, 0.0, 0.0, 0.0]}
    masked = reference.top_logprobs(x, 4, chosen=1, **allowed)
    assert masked.indices == [0, 4, 1, 2] and masked.logprobs[2:] == [-INF, -INF] and masked.rank == 3
    for temperature, chosen, rank, logprob in ((0.0, 0, 4, -math.log(2)), (INF, 2, 5, -math.log(4))):
        assert reference.top_logprobs(x, 1, temperature, chosen=chosen) == ([pytest.approx(logprob)], [1], rank)
    assert reference.top_logprobs([INF, 0.0, INF], 3) == ([pytest.approx(-math.log(2))] * 2 + [-INF], [0, 2, 1], None)


def test_reference_top_logprobs_says_why_there_are_none():
    for x, reason in (([0.0, NAN], "NaN"), ([-INF, -INF], "no entry above -inf")):
        with pytest.raises(ValueError, match=reason):
            reference.top_logprobs(x, 1)


def test_reference_draws_without_replacement_as_one_after_another():
    # Every order on a grid of uniforms, whose steps of 1/60 hold all boundaries.
    steps, p = 60, (1, 2, 3)
    x = [math.log(w) for w in p]
    grid = [(i + 0.5) / steps for i in range(steps)]
    counts = dict.fromkeys(itertools.permutations(range(3)), 0)
    for u in itertools.product(grid, grid):
        first, second = reference.sample_without_replacement(x, 2, u=list(u))
        counts[first, second, 3 - first - second] += 1
    for (first, second, _), count in counts.items():
        assert Fraction(count, steps**2) == Fraction(p[first], 6) * Fraction(p[second], 6 - p[first])


def test_reference_draws_without_replacement_are_samples_of_what_is_left():
    source = random.Random(5)
    for temperature in (0.0, 0.5, 1.0, 3.0, INF):
        x, u = [source.gauss(0, 2) for _ in range(20)], [source.random() for _ in range(20)]
        left, expected = list(x), []
        for one in u:
            expected.append(reference.sample(left, temperature, u=one))
            left[expected[-1]] = -INF
        for k in (1, 7, 20):
            assert reference.sample_without_replacement(x, k, temperature, u=u[:k]) == expected[:k]


def test_reference_draws_without_replacement_at_the_limits():
    draw = reference.sample_without_replacement
    u = [0.1, 0.9, 0.5, 0.3]
    assert draw([0.0, 2.0, 2.0, 1.0], 4, 0.0, u=u) == [1, 2, 3, 0]
    assert draw([0.0, 99.0, -INF, 5.0], 3, INF, u=u[:3]) == [0, 3, 1]
    assert draw([INF, 99.0, INF, 5.0], 4, u=u) == [0, 2, 1, 3]
    assert draw([INF, 99.0, INF, 5.0], 4, INF, u=u) == [0, 3, 2, 1]
    assert draw([-5.0, 0.0, 5.0], 3, u=[0.0, 0.0, 0.0]) == [0, 1, 2]
    assert draw([0.0, 1e30, 2.0], 3, u=[0.0, 0.2, 0.0]) == [1, 2, 0]
    assert draw([0.0, 1.0, 2.0, 3.0], 3, 1e-310, u=[0.5] * 3) == [3, 2, 1]


def test_reference_draws_no_more_than_have_mass():
    for x, parameters in (([0.0, -INF], {}), ([0.0, NAN], {}), ([0.0, 0.0], {"mask": [True, False]})):
        with pytest.raises(ValueError, match="cannot be drawn from"):
            reference.sample_without_replacement(x, 2, u=[0.5, 0.5], **parameters)


def random_row(source):
    n = source.choice([1, 2, 3, 7, 40, 100])
    x = [source.choice([source.gauss(0, 3), float(source.randint(-3, 3)), 0.0]) for _ in range(n - 1)]
    return [source.choice([v, v, v, v, -INF, INF]) for v in x] + [1.0]


def test_fast_rankings_are_the_references():
    source = random.Random(10)
    for _ in range(300):
        x = random_row(source)
        temperature, k = source.choice([1.0, 0.5, 0.0, INF]), source.randint(1, len(x))
        chosen = source.randrange(len(x))
        fast, slow = (module.top_logprobs(x, k, temperature, chosen=chosen) for module in (fs, reference))
        assert fast.indices.tolist() == slow.indices and fast.rank == slow.rank
        np.testing.assert_allclose(fast.logprobs, slow.logprobs, rtol=8 * 2.0**-52)
        k = min(k, sum(v > -INF for v in x))
        u = [source.choice([0.0, source.random(), source.random()]) for _ in range(k)]
        fast, slow = (module.sample_without_replacement(x, k, temperature, u=u) for module in (fs, reference))
        assert fast.tolist() == slow


def test_fast_rankings_of_several_rows_are_the_references():
    source = random.Random(11)
    x = [[source.gauss(0, 3) for _ in range(20)] for _ in range(6)]
    temperature, chosen = [0.0, 0.5, 1.0, 2.0, INF, 1.0], list(range(6))
    mask, bias = [i % 3 != 1 for i in range(20)], {2: 3.0, 5: -1.0}
    fast, slow = (m.top_logprobs(x, 4, temperature, chosen=chosen, mask=mask, bias=bias) for m in (fs, reference_rows))
    np.testing.assert_array_equal(fast.indices, slow.indices)
    np.testing.assert_array_equal(fast.rank, slow.rank)
    np.testing.assert_allclose(fast.logprobs, slow.logprobs, rtol=8 * 2.0**-52)
    u = [[source.random() for _ in range(4)] for _ in range(6)]
    parameters = {"u": u, "mask": mask, "bias": bias}
    fast, slow = (m.sample_without_replacement(x, 4, temperature, **parameters) for m in (fs, reference_rows))
    np.testing.assert_array_equal(fast, slow)
