"""Uniforms by seed, key and step: NumPy's Philox to the bit, and draws that no batch changes."""

import copy
import pickle

import numpy as np
import pytest
import reference_rows

import fastsoftmax as fs

WORDS = [0, 1, 2, 12345, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1]


def of_numpy(seed, key, step, stream=0):
    words = np.array([[seed, key], [step, stream]], np.uint64)
    counter = np.array([words[1, 0], words[1, 1], 0, 0], np.uint64)
    return np.random.Generator(np.random.Philox(key=words[0], counter=counter)).random()


@pytest.mark.parametrize("seed", WORDS)
@pytest.mark.parametrize("step", WORDS)
def test_they_are_those_of_numpy(seed, step):
    keys = np.array(WORDS, np.uint64)
    expected = [of_numpy(seed, key, step) for key in WORDS]
    np.testing.assert_array_equal(fs.keyed_uniforms(seed, keys, step), expected)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint32, ">i4", np.int64, "<u8", ">u8"])
def test_keys_of_any_integer_type_and_layout(dtype):
    keys = np.arange(24).reshape(4, 6).astype(dtype)
    expected = fs.keyed_uniforms(3, np.arange(24).reshape(4, 6), 9)
    np.testing.assert_array_equal(fs.keyed_uniforms(3, keys, 9), expected)
    np.testing.assert_array_equal(fs.keyed_uniforms(3, keys[::-2, ::3], 9), expected[::-2, ::3])
    np.testing.assert_array_equal(fs.keyed_uniforms(3, keys.T, 9), expected.T)
    np.testing.assert_array_equal(fs.keyed_uniforms(3, keys.tolist(), 9), expected)


def test_negative_keys_count_modulo_two_to_the_64():
    np.testing.assert_array_equal(
        fs.keyed_uniforms(1, np.array([-1, -128], np.int8)),
        fs.keyed_uniforms(1, np.array([2**64 - 1, 2**64 - 128], np.uint64)),
    )


def test_shapes():
    assert fs.keyed_uniforms(1, 5) == fs.keyed_uniforms(1, [5])[0]
    assert fs.keyed_uniforms(1, []).shape == (0,)
    assert fs.keyed_uniforms(1, np.zeros((2, 0, 3), int)).shape == (2, 0, 3)


def test_they_are_uniform():
    u = fs.keyed_uniforms(11, np.arange(200_000), 3)
    assert u.min() >= 0 and u.max() < 1
    counts = np.histogram(u, 100, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 150  # chi-square of 99 degrees: 1e-3 is 149
    assert abs(np.corrcoef(u[:-1], u[1:])[0, 1]) < 0.01
    assert abs(np.corrcoef(u, fs.keyed_uniforms(11, np.arange(200_000), 4))[0, 1]) < 0.01


@pytest.mark.parametrize("seed, keys, step, error", [
    (-1, [1], 0, ValueError), (2**64, [1], 0, ValueError), (1, [1], -1, ValueError), (1, [1], 2**64, ValueError),
    (1.0, [1], 0, TypeError), (True, [1], 0, TypeError), (1, [1.5], 0, TypeError), (1, ["a"], 0, TypeError),
    (1, [True], 0, TypeError), (1, [1], 0.5, TypeError), (None, [1], 0, TypeError),
])  # fmt: skip
def test_what_is_no_word_is_rejected(seed, keys, step, error):
    with pytest.raises(error):
        fs.keyed_uniforms(seed, keys, step)


FILTERS = [{}, {"top_k": 5}, {"top_p": 0.8, "min_p": 0.01}, {"xtc_threshold": 0.05, "xtc_probability": 0.5}]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_a_sampler_draws_by_seed_key_and_step(filters):
    logits = np.random.default_rng(0).standard_normal((6, 40)).astype(np.float32)
    ids = np.array([7, 3, 2**40, 0, 99, -1])
    sampler = fs.Sampler(0.8, seed=5, **filters)
    for step in range(4):
        coins = {"xtc_u": [of_numpy(5, int(i) % 2**64, step, 1) for i in ids]} if "xtc_threshold" in filters else {}
        expected = fs.sample(logits, 0.8, u=fs.keyed_uniforms(5, ids, step), **filters, **coins)
        np.testing.assert_array_equal(sampler(logits, keys=ids), expected)
        # one at a time, and in another order
        for order in (range(6), reversed(range(6))):
            for i in order:
                sampler.step = step
                assert sampler(logits[i], keys=int(ids[i])) == expected[i]
        sampler.step = step
        np.testing.assert_array_equal(sampler(logits[::-1], keys=ids[::-1]), expected[::-1])


def test_without_keys_the_rows_are_numbered():
    logits = np.random.default_rng(0).standard_normal((2, 3, 9))
    numbered = fs.Sampler(seed=2)(logits)
    np.testing.assert_array_equal(numbered, fs.Sampler(seed=2)(logits, keys=np.arange(6).reshape(2, 3)))
    assert fs.Sampler(seed=2)(logits[0, 0]) == numbered[0, 0]
    assert fs.Sampler(seed=2).sample_probs(np.exp(logits[0, 0])) == numbered[0, 0]


def test_the_step_is_all_its_state():
    logits = np.random.default_rng(0).standard_normal(50)
    sampler = fs.Sampler(seed=2, top_k=20)
    drawn = [sampler(logits) for _ in range(10)]
    assert len(set(drawn)) > 1
    sampler.step = 4
    assert [sampler(logits) for _ in range(6)] == drawn[4:]
    sampler.step = 2
    for other in (copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        assert [other(logits) for _ in range(8)] == drawn[2:]
    assert "seed=2" in repr(sampler)


def test_a_schedule_and_a_seed_follow_the_same_step():
    logits = np.random.default_rng(0).standard_normal(50)
    schedule = fs.schedules.linear(2.0, 0.5, 10)
    sampler = fs.Sampler(schedule, seed=3)
    drawn = [sampler(logits) for _ in range(12)]
    expected = [fs.sample(logits, schedule(step), u=fs.keyed_uniforms(3, 0, step)) for step in range(12)]
    assert drawn == expected


def test_what_does_not_go_together_is_rejected():
    logits = np.zeros((3, 4))
    with pytest.raises(ValueError, match="rng and seed"):
        fs.Sampler(rng=1, seed=1)
    with pytest.raises(ValueError, match="keys"):
        fs.Sampler(rng=1)(logits, keys=[1, 2, 3])
    with pytest.raises(ValueError, match="keys"):
        fs.Sampler(rng=1)(logits[0], keys=1)
    with pytest.raises(ValueError, match="keys"):
        fs.Sampler(seed=1)(logits, u=0.5, keys=[1, 2, 3])
    with pytest.raises(ValueError, match=r"keys.*\(3,\)"):
        fs.Sampler(seed=1)(logits, keys=[1, 2])
    with pytest.raises(TypeError, match="keys"):
        fs.Sampler(seed=1)(logits, keys=[1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="keys"):
        fs.Sampler(seed=1)(logits[0], keys=1.5)
    for step in (-1, 2**64):
        sampler = fs.Sampler(seed=1)
        with pytest.raises(ValueError, match="step"):
            sampler.step = step
    sampler.step = 2**64 - 1
    sampler(logits[0])
    with pytest.raises(ValueError, match="step"):
        sampler(logits[0])  # there is no such step
    assert fs.Sampler(seed=1)(logits[0], u=0.9) == fs.sample(logits[0], u=0.9)


@pytest.mark.parametrize(
    "given", [list, tuple, lambda keys: np.array(keys, object), lambda keys: [[key] for key in keys]]
)
@pytest.mark.parametrize("keys", [[2**63 + 5, 7], [2**63, -1], [-(2**63), 2**64 - 1], [np.uint64(2**63), 1, -5]])
def test_keys_of_a_list_may_lie_on_both_sides_of_two_to_the_63(given, keys):
    words = np.array([int(key) % 2**64 for key in keys], np.uint64)
    expected = fs.keyed_uniforms(1, words)
    np.testing.assert_array_equal(fs.keyed_uniforms(1, given(keys)).ravel(), expected)
    np.testing.assert_array_equal(reference_rows.keyed_uniforms(1, keys), expected)
    x = np.random.default_rng(0).normal(size=(len(keys), 50))
    drawn = fs.Sampler(seed=1)(x, keys=list(keys))
    np.testing.assert_array_equal(drawn, fs.sample(x, u=expected))


@pytest.mark.parametrize("keys", [[2**64, 1], [-(2**63) - 1], 2**70, np.array([2**64], object)])
def test_a_key_beyond_64_bits_is_rejected_with_the_range(keys):
    with pytest.raises(ValueError, match=r"keys must be from -2\*\*63 to 2\*\*64 - 1"):
        fs.keyed_uniforms(1, keys)


@pytest.mark.parametrize(
    "keys", [[2**63, 1.0], [2**63, True, 2.0], 1.5, [1.0, 2.0], np.array([True, 2**63], object), "key", [None]]
)
def test_keys_that_are_no_integers_are_rejected(keys):
    with pytest.raises(TypeError, match="keys must be integers"):
        fs.keyed_uniforms(1, keys)


def test_the_reference_gives_the_same():
    for seed, step in ((0, 0), (7, 5), (2**64 - 1, 2**64 - 1)):
        keys = [[0, 1], [-1, 2**63]]
        words = np.array(keys, object) % 2**64
        expected = fs.keyed_uniforms(seed, words.astype(np.uint64), step)
        np.testing.assert_array_equal(reference_rows.keyed_uniforms(seed, keys, step), expected)
    logits = [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]
    fast, slow = (module.Sampler(seed=3, top_k=2) for module in (fs, reference_rows))
    for keys in (None, [5, 9], None):
        np.testing.assert_array_equal(fast(np.array(logits), keys=keys), slow(logits, keys=keys))


@pytest.mark.parametrize("counter, key, block", [
    ([0] * 4, (0, 0), "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    ([2**64 - 1] * 4, (2**64 - 1,) * 2, "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0"),
    (
        [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    ),
])  # fmt: skip
def test_published_known_answers(counter, key, block):
    """Of Random123's kat_vectors, which the fast generator meets through NumPy's and the reference's."""
    assert fs.reference._keyed.philox(counter, key) == tuple(int(word, 16) for word in block.split())


def test_numpy_integers_are_keys_and_steps_as_ints_are():
    x = np.linspace(0, 1, 9)
    sampler = fs.Sampler(seed=3)
    expected = [sampler(x, keys=5) for _ in range(4)]
    for kind in (np.int64, np.uint8, np.int32):
        sampler.step = kind(0)
        assert type(sampler.step) is int
        assert [sampler(x, keys=kind(5)) for _ in range(4)] == expected
    sampler.step = np.uint8(255)
    sampler(x)
    assert sampler.step == 256
