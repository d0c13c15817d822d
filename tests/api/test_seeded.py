"""Draws of a seed: the exact inverse CDF of the uniforms of a stream, for any size and any number of threads."""

import os
import pickle
import subprocess
import sys
from fractions import Fraction
from itertools import accumulate

import numpy as np
import oracles
import pytest
from scipy.stats import chi2, ncx2

import fastsoftmax as fs
from fastsoftmax.reference._candidates import inverse_cdf
from fastsoftmax.reference._seeded import philox4x32, seeded_uniform

WORDS = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]
ALL = 2**32 - 1


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ALL, ALL, ALL, ALL), (ALL, ALL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_has_the_known_answers_of_its_authors(counter, key, expected):
    assert philox4x32(counter, key) == expected


def uniforms(seed, key, count, first=0):
    return [seeded_uniform(seed, key, j) for j in range(first, first + count)]


@pytest.mark.parametrize("seed", WORDS)
@pytest.mark.parametrize("key", WORDS)
def test_the_bits_are_those_of_the_stream(seed, key):
    flat = fs.Categorical(np.zeros(2**16, np.float32))  # index = the first 16 bits
    expected = [int(u * 2**16) for u in uniforms(seed, key, 70)]
    assert flat.draw(70, seed=seed, key=key).tolist() == expected


# The golden draws: a change of these is a change of streams.
GOLDEN = {
    "die": [5, 5, 5, 5, 5, 5, 4, 5, 2, 5, 5, 5],
    "logits": [2, 1, 1, 2, 2, 2, 1, 2, 2, 4, 2, 2],
    "long": [1204, 2221, 2197, 1065, 2876, 1651, 4135, 3538, 4737, 661, 4416, 190],
    "float32": [3835, 352, 4919, 4833, 1742, 780, 2871, 598, 4820, 3447, 1421, 997],
}


def golden():
    die = fs.Categorical(probs=[1, 1, 1, 1, 1, 5]).draw(12, seed=1)
    logits = fs.Categorical([0.0, 1.0, 2.0, -1.0, 0.5], 0.7).draw(12, seed=7, key=3)
    x = np.arange(5000) * 377 % 1009 / 128
    long = fs.Categorical(x).draw(12, seed=2**64 - 1, key=-1)
    return {"die": die, "logits": logits, "long": long, "float32": fs.Categorical(x.astype("f4"), 2).draw(12, seed=5)}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_draws(name):
    assert golden()[name].tolist() == GOLDEN[name]


# Exact


def exact_indices(weights, u):
    """The smallest index whose cumulative weight exceeds u times the total, in fractions."""
    return [inverse_cdf([Fraction(int(w)) for w in weights], v) for v in u]


def integers_around(u, total, rng):
    """Weights of this total whose bounds are next to uniforms: the last whole number below them, or a few beside it."""
    bounds = sorted({min(max(int(v * total) + int(rng.integers(-2, 3)), 0), total) for v in u})
    return np.diff([0, *bounds, total])


@pytest.mark.parametrize("bits", [24, 33, 40, 51])
@pytest.mark.parametrize("n", [1, 2, 7, 60, 500])
def test_draws_are_exact_where_bounds_lie_next_to_the_uniforms(n, bits, rng):
    for seed in range(4):
        u = uniforms(seed, 9, 500)
        weights = integers_around(u[: n - 1], 2**bits, rng)
        drawn = fs.Categorical(probs=weights.astype(float)).draw(500, seed=seed, key=9)
        assert drawn.tolist() == exact_indices(weights, u)


def test_draws_are_exact_where_96_bits_do_not_decide():
    """The bound is the best approximation of a uniform with a denominator of 51 bits: some 2**-103 from it."""
    undecided = {32: 0, 64: 0, 96: 0}
    for seed in range(150):
        for j in (0, 5):
            u = seeded_uniform(seed, 2, j)
            bound = u.limit_denominator(2**51)
            weights = [bound.numerator, bound.denominator - bound.numerator]
            assert fs.Categorical(probs=np.array(weights, float)).draw(6, seed=seed, key=2)[j] == (bound <= u)
            for bits in undecided:
                undecided[bits] += int(u * 2**bits) == int(bound * 2**bits) or bound * 2**bits % 1 == 0
    assert undecided[32] == undecided[64] == 300 and undecided[96] > 250


def test_bounds_at_multiples_of_a_unit_are_enumerated():
    """Weights of 4 and 16 entries in units of 2**-4 and 2**-8: each draw follows from that many leading bits."""
    u = uniforms(11, 0, 4096)
    for weights in ([1, 0, 7, 8], [3, 3, 3, 7], [0, 0, 16, 0], [*range(1, 16), 136]):
        total = sum(weights)
        of_bits = [i for i, w in enumerate(weights) for _ in range(w)]
        expected = [of_bits[int(v * total)] for v in u]
        assert fs.Categorical(probs=weights).draw(4096, seed=11).tolist() == expected


@pytest.mark.parametrize("dtype", oracles.DTYPES, ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("n", [1, 3, 40, 1000, 1025, 3000])
def test_it_draws_what_u_draws(n, dtype, rng):
    """With the first 53 bits as u, and so for any u up to the next of these: the same function of more bits."""
    x = (2 * rng.standard_normal(n)).astype(dtype)
    mask = rng.random(n) < 0.7
    mask[0] = True
    first = np.array([int(u * 2**53) for u in uniforms(3, 4, 600)])
    low, high = first / 2**53, np.minimum((first + 1) / 2**53, oracles.LAST_U)
    for one in (
        fs.Categorical(x, 0.8),
        fs.Categorical(x, np.inf, mask=mask),
        fs.Categorical(probs=np.abs(x) + (np.arange(n) == 0), temperature=2, bias={0: 1.0}),
        fs.Categorical(x, 0),
    ):
        drawn = one.draw(600, seed=3, key=4)
        assert (one.draw(600, u=low) <= drawn).all() and (drawn <= one.draw(600, u=high)).all()


def test_it_draws_as_the_reference_does(rng):
    x = (2 * rng.standard_normal(40)).round(3)
    drawn = fs.Categorical(x, 0.7).draw(200, seed=5, key=6)
    assert drawn.tolist() == [fs.reference.sample(x.tolist(), 0.7, u=u) for u in uniforms(5, 6, 200)]


# Properties


@pytest.mark.parametrize("n", [1, 2, 10, 1000, 5000, 100_000])
def test_a_shorter_draw_begins_a_longer_one(n, rng):
    one = fs.Categorical(rng.standard_normal(n))
    all_of_them = one.draw(40_000, seed=8, key=1)
    for size in (1, 2, 3, 31, 32, 33, 255, 256, 257, 1023, 16_384, 16_385, 39_999):
        np.testing.assert_array_equal(one.draw(size, seed=8, key=1), all_of_them[:size])
    assert one.draw(seed=8, key=1) == all_of_them[0] and type(one.draw(seed=8, key=1)) is int
    np.testing.assert_array_equal(one.draw((40, 10, 100), seed=8, key=1).ravel(), all_of_them)
    assert one.draw((3, 0), seed=8).shape == (3, 0)


def test_threads_and_copies_draw_the_same(rng):
    before = fs.get_num_threads()
    try:
        for n in (6, 3000):
            one = fs.Categorical(rng.standard_normal(n))
            fs.set_num_threads(1)
            expected = one.draw(300_001, seed=2)
            for threads in (2, 3, 8):
                fs.set_num_threads(threads)
                np.testing.assert_array_equal(one.draw(300_001, seed=2), expected)
            np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).draw(300_001, seed=2), expected)
    finally:
        fs.set_num_threads(before)


OF_A_SET = """
import numpy as np, fastsoftmax as fs, zlib
x = np.random.default_rng(5).standard_normal(70_000)
for n in (2, 10, 999, 1025, 5000, 70_000):
    for one in fs.Categorical(x[:n]), fs.Categorical(x[:n].astype("f4"), 0.3), fs.Categorical(probs=np.abs(x[:n])):
        print(zlib.crc32(one.draw(50_001, seed=n, key=9)))
"""


def test_instruction_sets_draw_the_same():
    drawn = set()
    for name in fs.show_config(mode="dicts")["isa"]["available"]:
        environment = {**os.environ, "FASTSOFTMAX_ISA": name}
        code = [sys.executable, "-c", OF_A_SET]
        drawn.add(subprocess.run(code, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(drawn) == 1 and drawn.pop().count("\n") == 18


def test_keys_count_modulo_two_to_the_64_and_zero_is_the_default():
    flat = fs.Categorical(np.zeros(1000))
    np.testing.assert_array_equal(flat.draw(50, seed=1, key=-1), flat.draw(50, seed=1, key=2**64 - 1))
    np.testing.assert_array_equal(flat.draw(50, seed=1, key=-(2**63)), flat.draw(50, seed=1, key=2**63))
    np.testing.assert_array_equal(flat.draw(50, seed=1), flat.draw(50, seed=np.uint8(1), key=np.int16(0)))


def test_streams_of_other_seeds_and_keys_differ():
    flat = fs.Categorical(np.zeros(2**20, np.float16))
    drawn = [tuple(flat.draw(8, seed=seed, key=key).tolist()) for seed in WORDS for key in WORDS]
    assert len(set(drawn)) == len(WORDS) ** 2


def test_the_generator_of_the_process_is_left_alone():
    from fastsoftmax._args.random import process_generator

    before = process_generator().bit_generator.state
    fs.Categorical([0.0, 1.0]).draw(100, seed=1)
    assert process_generator().bit_generator.state == before


# Statistics

DRAWS = 2**20


def statistic(drawn, probs):
    """Pearson's chi-square, and below what it stays with probability 1 - 1e-9."""
    expected = DRAWS * probs
    return np.sum((np.bincount(drawn, minlength=probs.size) - expected) ** 2 / expected), chi2.isf(1e-9, probs.size - 1)


@pytest.mark.parametrize(("n", "seed"), [(2, 1), (10, 2), (257, 3), (3000, 4)])
def test_frequencies_are_the_probabilities(n, seed):
    """False alarms: 1e-9.  The next test says what is not missed."""
    x = np.random.default_rng(seed).normal(size=n)
    found, limit = statistic(fs.Categorical(x).draw(DRAWS, seed=seed), oracles.softmax(x).astype(float))
    assert found < limit


@pytest.mark.parametrize(("n", "seed"), [(2, 1), (10, 2), (257, 3), (3000, 4)])
def test_frequencies_that_are_off_by_a_few_percent_are_noticed(n, seed):
    """Every other weight is 5 % larger, 8 % for 3,000: missed with a probability of at most 1e-6."""
    x = np.random.default_rng(seed).normal(size=n)
    off = x + np.log1p(0.05 if n < 1000 else 0.08) * (np.arange(n) % 2)
    probs, others = oracles.softmax(x).astype(float), oracles.softmax(off).astype(float)
    found, limit = statistic(fs.Categorical(off).draw(DRAWS, seed=seed), probs)
    assert ncx2.cdf(limit, n - 1, DRAWS * np.sum((others - probs) ** 2 / probs)) < 1e-6
    assert found > limit


@pytest.mark.parametrize("n", [2, 16])
def test_neighbours_in_a_stream_and_in_seeds_and_keys_are_independent(n):
    """Chi-square of pairs, n**2 - 1 degrees of freedom; false alarms: 1e-9 each."""
    flat = fs.Categorical(np.zeros(n))
    first = flat.draw(DRAWS, seed=1, key=1)
    for second in (
        np.roll(first, 1),
        np.roll(first, 4),
        flat.draw(DRAWS, seed=1, key=2),
        flat.draw(DRAWS, seed=2, key=1),
    ):
        found, limit = statistic(first * n + second, np.full(n * n, 1 / n**2))
        assert found < limit


# Errors


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"seed": -1}, ValueError, r"seed must be at least 0 and below 2\*\*64, got -1"),
        ({"seed": 2**64}, ValueError, "seed must be at least 0"),
        ({"seed": 1.0}, TypeError, "seed must be an int, got 1.0"),
        ({"seed": True}, TypeError, "seed must be an int, got True"),
        ({"seed": "1"}, TypeError, "seed must be an int"),
        ({"seed": [1, 2]}, TypeError, "seed must be an int"),
        ({"seed": 1, "key": 2**64}, ValueError, r"key must be from -2\*\*63 to 2\*\*64 - 1"),
        ({"seed": 1, "key": -(2**63) - 1}, ValueError, "key must be from"),
        ({"seed": 1, "key": 0.5}, TypeError, "key must be an int, got 0.5"),
        ({"seed": 1, "key": False}, TypeError, "key must be an int"),
        ({"key": 1}, ValueError, "key is given without a seed"),
        ({"seed": 1, "u": 0.5}, ValueError, "u and seed are both given"),
        ({"seed": 1, "rng": 1}, ValueError, "rng and seed are both given"),
        ({"seed": 1, "size": -1}, ValueError, "size"),
        ({"seed": 1, "size": 1.5}, TypeError, "size"),
    ],
)
def test_bad_arguments_are_rejected(arguments, error, match):
    with pytest.raises(error, match=match):
        fs.Categorical([0.0, 1.0]).draw(**arguments)


def test_what_was_not_prepared_says_so():
    empty = fs.Categorical.__new__(fs.Categorical)
    for size in (None, 3):
        with pytest.raises(ValueError, match="no row has been prepared"):
            empty.draw(size, seed=1)


def test_the_reference_has_the_bits_it_says():
    u = seeded_uniform(1, 2, 3)
    words = philox4x32((0, 0, 2, 0), (1, 0))[3], *philox4x32((3, 2**31, 2, 0), (1, 0))
    assert u == sum(
        Fraction(word, place) for word, place in zip(words, accumulate([2**32] * 5, int.__mul__), strict=True)
    )
