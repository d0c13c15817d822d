"""The oracle's top_logprobs and sample_without_replacement, and the fast ones against it."""

import itertools
import math
import random

import numpy as np
import pytest

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
    masked = reference.top_logprobs(x, 4, mask=[True, False, True, False, True], bias={0: 5.0}, chosen=1)
    assert masked.indices == [0, 4, 1, 2] and masked.logprobs[2:] == [-INF, -INF] and masked.rank == 3
    rows = reference.top_logprobs([x, x], 1, [0.0, INF], chosen=[0, 2])
    assert rows.indices == [[1], [1]] and rows.rank == [4, 5]
    assert rows.logprobs == [[pytest.approx(-math.log(2))], [pytest.approx(-math.log(4))]]
    assert reference.top_logprobs([INF, 0.0, INF], 3) == ([pytest.approx(-math.log(2))] * 2 + [-INF], [0, 2, 1], None)


def test_reference_top_logprobs_refuses_bad_arguments_by_name():
    for k in (0, 4):
        with pytest.raises(ValueError, match="k must"):
            reference.top_logprobs([1.0, 2.0, 3.0], k)
    for chosen in (-1, 3):
        with pytest.raises(ValueError, match="chosen"):
            reference.top_logprobs([1.0, 2.0, 3.0], 1, chosen=chosen)
    for row in ([0.0, NAN], [-INF, -INF]):
        with pytest.raises(ValueError, match="row 1"):
            reference.top_logprobs([[0.0, 0.0], row], 1)


def test_reference_draws_without_replacement_as_one_after_another():
    # Every order on a grid of uniforms. Its error falls as 1/steps^2, and is 0.0035 with these.
    steps, x = 24, [math.log(w) for w in (1, 2, 3)]
    grid = [(i + 0.5) / steps for i in range(steps)]
    counts = dict.fromkeys(itertools.permutations(range(3)), 0)
    for u in itertools.product(grid, repeat=3):
        counts[tuple(reference.sample_without_replacement(x, 3, u=list(u)))] += 1
    for (first, second, _), count in counts.items():
        expected = (first + 1) / 6 * (second + 1) / (5 - first)
        assert count / steps**3 == pytest.approx(expected, abs=0.005)


def test_reference_draws_without_replacement_by_the_keys():
    source = random.Random(5)
    for temperature in (0.5, 1.0, 3.0):
        x, u = [source.gauss(0, 2) for _ in range(20)], [source.random() for _ in range(20)]
        keys = [v / temperature - math.log(-math.log1p(-one)) for v, one in zip(x, u, strict=True)]
        expected = sorted(range(20), key=lambda i: -keys[i])  # noqa: B023
        for k in (1, 7, 20):
            assert reference.sample_without_replacement(x, k, temperature, u=u) == expected[:k]


def test_reference_draws_without_replacement_at_the_limits():
    draw = reference.sample_without_replacement
    u = [0.1, 0.9, 0.5, 0.3]
    assert draw([0.0, 2.0, 2.0, 1.0], 4, 0.0, u=u) == [1, 2, 3, 0]
    assert draw([0.0, 99.0, -INF, 5.0], 3, INF, u=u) == [0, 3, 1]
    assert draw([INF, 99.0, INF, 5.0], 4, u=u) == [0, 2, 1, 3]
    assert draw([INF, 99.0, INF, 5.0], 4, INF, u=u) == [0, 3, 2, 1]
    assert draw([-5.0, 0.0, 5.0], 3, u=[0.0, 0.0, 0.0]) == [2, 1, 0]
    # 0 counts as 2^-54, which is worth 37.4.
    assert draw([-37.0, 0.0], 2, u=[0.0, 0.6]) == [0, 1] and draw([-38.0, 0.0], 2, u=[0.0, 0.6]) == [1, 0]
    assert draw([0.0, 0.0, 0.0], 3, u=0.5) == [0, 1, 2]


def test_reference_takes_one_uniform_for_each_entry_in_order():
    source, same = random.Random(4), random.Random(4)
    x = [[0.0, 1.0, -INF]] * 2
    drawn = reference.sample_without_replacement(x, 2, rng=source)
    u = [[same.random() for _ in range(3)] for _ in range(2)]
    assert drawn == reference.sample_without_replacement(x, 2, u=u) and source.random() == same.random()


def test_reference_refuses_more_than_have_mass():
    draw = reference.sample_without_replacement
    for x, parameters in (([0.0, -INF], {}), ([0.0, NAN], {}), ([0.0, 0.0], {"mask": [True, False]})):
        with pytest.raises(ValueError, match="row 0"):
            draw(x, 2, **parameters)
    for k in (0, 3):
        with pytest.raises(ValueError, match="k must"):
            draw([0.0, 0.0], k)
    with pytest.raises(TypeError, match="k must"):
        draw([0.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="u and rng"):
        draw([0.0, 0.0], 1, u=0.5, rng=random.Random(1))


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
        u = [source.choice([0.0, source.random(), source.random()]) for _ in x]
        fast, slow = (module.sample_without_replacement(x, k, temperature, u=u) for module in (fs, reference))
        assert fast.tolist() == slow
