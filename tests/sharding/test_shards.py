"""Shards: any cut, in any order of arrival and any grouping, gives the bits of the whole rows."""

import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import reference_rows
from breadth import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DTYPES
from rows_in_shards import (
    INF,
    KINDS,
    LENGTHS,
    NAN,
    TEMPERATURES,
    US,
    assert_same,
    assert_whole,
    bounds,
    every_cut,
    make,
    summaries,
)

import fastsoftmax as fs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_shards_of_any_row_give_the_bits_of_the_whole(kind, temperature, dtype, rng):
    for n in (1, 700, 1025, 3000):
        x = make(kind, (2, n), dtype, rng)
        for shards in (every_cut(n), bounds(n, range(1000, n, 1000)), bounds(n, (1, 2, n - 1))):
            parts = summaries(x, temperature, shards)
            assert_whole(x, temperature, shards, fs.combine(parts[::-1], entries=n))


@pytest.mark.parametrize("n", LENGTHS)
def test_rows_of_any_length_are_the_same_in_one_shard_and_in_all(n, dtype, rng):
    for temperature in (1.0, 2.0**100):
        x = make("normal", (3, n), dtype, rng)
        assert_whole(x, temperature, [(0, n)], fs.summarize(x, temperature, logsumexp=True))
        assert_whole(x, temperature, every_cut(n), fs.combine(summaries(x, temperature, every_cut(n))))


@settings(max_examples=cases(80), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.sampled_from(LENGTHS) | st.integers(1, 9000),
    dtype=st.sampled_from(DTYPES),
    shape=st.sampled_from([(), (1,), (3,), (2, 2)]),
    kind=st.sampled_from(KINDS),
    cuts=st.sets(st.integers(1, 8).map(lambda i: 1024 * i) | st.integers(1, 9000), max_size=63),
    data=st.data(),
)
def test_any_cuts_order_grouping_and_layout_give_the_same_bits(seed, n, dtype, shape, kind, cuts, data):
    rng = np.random.default_rng(seed)
    x = make(kind, (*shape, n), dtype, rng)
    if data.draw(st.booleans(), label="strided"):
        wide = np.zeros((*shape, n, 2), dtype)
        wide[..., 0] = x
        x = wide[..., 0]
    some = st.sampled_from(TEMPERATURES)
    temperature = data.draw(some, label="temperature")
    if shape and data.draw(st.booleans(), label="per row"):
        temperature = rng.choice(TEMPERATURES, size=shape)
    shards = bounds(n, cuts)
    parts = data.draw(st.permutations(summaries(x, temperature, shards)), label="arrival")
    while len(parts) > 1:
        some_of_them = data.draw(st.integers(2, len(parts)), label="group")
        parts = [*parts[some_of_them:], fs.combine(parts[:some_of_them])]
    whole = parts[0]
    undivided = fs.summarize(x, temperature, logsumexp=True)
    assert whole == undivided and hash(whole) == hash(undivided)
    assert_whole(x, temperature, shards, whole)
    assert_whole(x, temperature, every_cut(n), whole)  # finished by others than those who summarised


def test_shards_of_one_entry_each(dtype, rng):
    x = (3 * rng.normal(size=(2, 1300))).astype(dtype)
    shards = bounds(1300, range(1300))
    whole = fs.combine(fs.combine(summaries(x, 0.7, shards[i::7])) for i in range(7))
    assert whole == fs.summarize(x, 0.7, logsumexp=True)
    assert_whole(x, 0.7, shards, whole)


def test_a_part_of_a_softmax_may_begin_and_end_anywhere(dtype, rng):
    x = (100 * rng.normal(size=(3, 3000))).astype(dtype)
    temperature = [0.01, 2.0**100, 5.0]
    whole, p = fs.summarize(x, temperature), fs.softmax(x, temperature)
    for first, past in (
        (0, 1),
        (1, 3000),
        (500, 600),
        (511, 513),
        (1000, 1030),
        (1023, 1024),
        (2999, 3000),
        (100, 2900),
    ):
        assert_same(fs.softmax_from_summary(x[:, first:past], whole, offset=first), p[:, first:past])
    other = x[:, 500:600].copy()
    other[2, 50] = x[2].astype(np.float64).max() + 10
    with pytest.raises(ValueError, match="row 2 does not hold what was summarised at offset 500"):
        fs.softmax_from_summary(other, whole, offset=500)


def test_the_answer_of_a_cut_block_is_that_of_the_shard_with_the_entry(dtype, rng):
    x = rng.normal(size=(64, 2500)).astype(dtype)
    shards, u = bounds(2500, (300, 310, 1500)), rng.random(64)
    whole, drawn = fs.combine(summaries(x, 0.7, shards)), fs.sample(x, 0.7, u=u)
    asked = fs.locate_draws(whole, u=u)
    for a, b in shards:
        here = (drawn >= a) & (drawn < b)
        np.testing.assert_array_equal((asked >= a) & (asked < b), here)
        np.testing.assert_array_equal(
            fs.sample_from_summary(x[:, a:b], whole, offset=a, u=u), np.where(here, drawn, -1)
        )
    a, b = shards[0]
    here = np.flatnonzero(drawn < b)[0]
    other = x[:, a:b].copy()
    other[here, drawn[here]] += other.dtype.type(1)
    with pytest.raises(ValueError, match=f"row {here} does not hold what was summarised at offset 0"):
        fs.sample_from_summary(other, whole, offset=0, u=u)


def test_results_go_where_they_are_wanted(dtype, rng):
    x = rng.normal(size=(3, 2500)).astype(dtype)
    whole, expected = fs.summarize(x, 0.7), fs.softmax(x, 0.7)
    wide = np.zeros((3, 2500, 2), dtype)
    assert fs.softmax_from_summary(x[:, 1024:], whole, offset=1024, out=wide[:, 1024:, 1]) is not None
    assert_same(wide[:, 1024:, 1], expected[:, 1024:])
    assert (wide[..., 0] == 0).all() and (wide[:, :1024] == 0).all()
    shard = x[:, :1024]
    assert fs.softmax_from_summary(shard, whole, offset=0, out=shard) is shard
    assert_same(x[:, :1024], expected[:, :1024])


def test_a_draw_asks_the_one_shard_it_falls_in(dtype, rng):
    x = (3 * rng.normal(size=(50, 5000))).astype(dtype)
    whole, u = fs.summarize(x, 0.7), rng.random(50)
    block, drawn = fs.locate_draws(whole, u=u), fs.sample(x, 0.7, u=u)
    in_last_block = drawn >= 5000 // (512 if dtype == np.float64 else 1024) * (512 if dtype == np.float64 else 1024)
    np.testing.assert_array_equal(block[in_last_block], drawn[in_last_block])  # it might be cut
    assert in_last_block.any() and (block[~in_last_block] % 512 == 0).all()
    assert (block <= drawn).all() and (drawn < block + 1024).all()
    for a, b in every_cut(5000):
        here = (block >= a) & (block < b)
        got, logprob = fs.sample_from_summary(x[:, a:b], whole, offset=a, u=u, return_logprob=True)
        np.testing.assert_array_equal(got, np.where(here, drawn, -1))
        np.testing.assert_array_equal(logprob == -INF, ~here)
    assert fs.locate_draws(fs.summarize(x[0], 0.0), u=0.9) <= x[0].argmax()
    assert fs.sample_from_summary(x[0], fs.summarize(x[0], 0.0), offset=0, u=0.9) == x[0].argmax()


def test_a_row_that_cannot_be_drawn_from_is_named_or_flagged():
    x = np.zeros((3, 2048))
    x[1, 2000] = NAN
    x[2] = -INF
    whole = fs.combine(summaries(x, 1.0, every_cut(2048)))
    for a, b in every_cut(2048):
        with pytest.raises(ValueError, match="row 1 holds NaN"):
            fs.sample_from_summary(x[:, a:b], whole, offset=a, u=0.5)
        index, logprob = fs.sample_from_summary(
            x[:, a:b], whole, offset=a, u=0.0, return_logprob=True, on_invalid="flag"
        )
        assert index.tolist() == [0 if a == 0 else -1, -1, -1]
        assert np.isnan(logprob).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="row 0 has no entry above -inf"):
        fs.locate_draws(fs.summarize(x[2:]), u=0.5)
    assert fs.locate_draws(whole, u=0.0, on_invalid="flag").tolist() == [0, -1, -1]


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("cuts", [range(1024, 5000, 1024), (1, 700, 733, 2048, 3333, 4999)])
def test_mask_and_bias_of_the_shards_are_those_of_the_rows(words, cuts, dtype, rng):
    n = 5000
    x = (3 * rng.normal(size=(4, n))).astype(dtype)
    mask, bias = rng.random((4, n)) < 0.3, 2 * rng.normal(size=(4, n))
    shards = bounds(n, cuts)

    def given_to(a, b):
        bits = np.packbits(mask[:, a:b], axis=-1, bitorder="little")
        packed = np.zeros((4, (b - a + 31) // 32 * 4), np.uint8)
        packed[:, : bits.shape[-1]] = bits
        return {"mask": packed.view("<i4") if words else mask[:, a:b], "bias": bias[:, a:b]}

    whole = fs.combine([fs.summarize(x[:, a:b], 0.7, a, **given_to(a, b)) for a, b in shards])
    u = rng.random(4)
    index, logprob = fs.sample(x, 0.7, u=u, mask=mask, bias=bias, return_logprob=True)
    drawn = [
        fs.sample_from_summary(x[:, a:b], whole, offset=a, u=u, return_logprob=True, **given_to(a, b))
        for a, b in shards
    ]
    assert_same(np.max([part[0] for part in drawn], 0), index)
    assert_same(np.max([part[1] for part in drawn], 0), logprob)
    probs = [fs.softmax_from_summary(x[:, a:b], whole, offset=a, **given_to(a, b)) for a, b in shards]
    narrow = np.float64 if dtype == np.float64 else np.float32
    if dtype.itemsize >= 4:  # in 16 bits the biased logits have no array that holds them
        biased = np.where(mask, x + bias.astype(narrow), -INF).astype(dtype)
        assert_same(np.concatenate(probs, -1), fs.softmax(biased, 0.7))
    with pytest.raises(ValueError, match="does not hold what was summarised"):
        fs.softmax_from_summary(x[:, :2048], whole, offset=0)


def test_integers_and_lists_are_float64():
    whole = fs.summarize([1, 2, 3], 2)
    assert whole.dtype == np.float64
    assert_same(fs.softmax_from_summary([1, 2, 3], whole, offset=0), fs.softmax([1, 2, 3], 2))
    assert type(fs.sample_from_summary([1, 2, 3], whole, offset=0, u=0.5)) is int
    assert type(fs.locate_draws(whole, u=0.5)) is int


def test_a_log_sum_exp_near_0_is_exact_where_it_was_announced(rng):
    x = fs.log_softmax(rng.normal(size=(3, 3000))).astype(np.float32)
    shards = every_cut(3000)
    with_it = fs.combine(summaries(x, 1.0, shards))
    without = fs.combine(summaries(x, 1.0, shards, logsumexp=False))
    assert_same(fs.logsumexp_from_summary(with_it), fs.logsumexp(x))
    assert abs(fs.logsumexp_from_summary(with_it)).max() < 1e-6
    assert without.nbytes < with_it.nbytes
    mixed = fs.combine([*summaries(x, 1.0, shards[1:]), *summaries(x, 1.0, shards[:1], logsumexp=False)])
    for some in (without, mixed):
        with pytest.raises(ValueError, match="logsumexp=True"):
            fs.logsumexp_from_summary(some)
        assert_same(fs.softmax_from_summary(x, some, offset=0), fs.softmax(x))


def test_no_rows_are_no_trouble():
    x = np.zeros((0, 2048), np.float32)
    whole = fs.combine(summaries(x, 1.0, every_cut(2048)))
    assert fs.softmax_from_summary(x, whole, offset=0).shape == (0, 2048)
    assert fs.logsumexp_from_summary(whole).shape == (0,)
    assert fs.sample_from_summary(x, whole, offset=0, u=0.5).shape == (0,)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.0, 0.7, INF])
def test_the_reference_gives_the_same(kind, temperature, rng):
    x = make(kind, (2, 2500), np.dtype(np.float64), rng)
    u = [0.1, 0.9]
    shards = every_cut(2500)
    fast = fs.combine(summaries(x, temperature, shards))
    slow = reference_rows.combine([reference_rows.summarize(x[:, a:b], temperature, a) for a, b in shards[::-1]])
    np.testing.assert_allclose(
        fs.logsumexp_from_summary(fast), reference_rows.logsumexp_from_summary(slow), rtol=1e-14, atol=1e-15
    )
    for a, b in shards:
        part = x[:, a:b]
        for name in ("softmax_from_summary", "log_softmax_from_summary"):
            got, expected = getattr(fs, name)(part, fast, offset=a), getattr(reference_rows, name)(part, slow)
            np.testing.assert_allclose(got, expected, rtol=2e-14)
        got = fs.sample_from_summary(part, fast, offset=a, u=u, on_invalid="flag", return_logprob=True)
        expected = reference_rows.sample_from_summary(part, slow, offset=a, u=u)
        np.testing.assert_array_equal(got[0], expected[0])
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-14)
    # The blocks of the reference are of 1,024 entries, those of float64 of 512.
    blocks = reference_rows.locate_draws(slow, u=u)
    np.testing.assert_array_equal(fs.locate_draws(fast, u=u, on_invalid="flag") // 1024, blocks // 1024)


def test_the_reference_takes_a_mask_and_a_bias(rng):
    x, bias = rng.normal(size=(1, 2500)), rng.normal(size=2500)
    mask = rng.random(2500) < 0.5
    shards = every_cut(2500)
    operands = [{"mask": mask[a:b], "bias": bias[a:b]} for a, b in shards]
    parts = [reference_rows.summarize(x[:, a:b], 0.7, a, **own) for (a, b), own in zip(shards, operands, strict=True)]
    whole = reference_rows.combine(parts)
    drawn = [
        reference_rows.sample_from_summary(x[:, a:b], whole, offset=a, u=[0.4], **own)
        for (a, b), own in zip(shards, operands, strict=True)
    ]
    expected = fs.sample(x, 0.7, u=0.4, mask=mask, bias=bias, return_logprob=True)
    assert max(drawn) == (expected[0], pytest.approx(expected[1], rel=1e-14))
    probs = [
        reference_rows.softmax_from_summary(x[:, a:b], whole, **own)
        for (a, b), own in zip(shards, operands, strict=True)
    ]
    expected = fs.softmax(np.where(mask, x + bias, -INF), 0.7)
    np.testing.assert_allclose(np.concatenate(probs, axis=1), expected, rtol=1e-14)


DIGEST = """
import sys
sys.path[:0] = {tests!r}
from test_shards import digest
for step in (1, 2, 100):
    print(digest(step))
"""


def digest(step):
    """A hash of all results of some rows in shards of `step` blocks; the last ones arrive first."""
    state, rng = hashlib.sha256(), np.random.default_rng(4)
    for dtype in DTYPES:
        for kind in KINDS:
            x = make(kind, (2, 7000), dtype, rng)
            shards = bounds(7000, range(0, 7000, 1024 * step))
            for temperature in (0.0, 0.7, 2.0**100, INF):
                whole = fs.combine(summaries(x, temperature, shards)[::-1])
                how = {"u": [US, US], "size": US.size, "return_logprob": True, "on_invalid": "flag"}
                drawn = [fs.sample_from_summary(x[:, a:b], whole, offset=a, **how) for a, b in shards]
                probs = [fs.softmax_from_summary(x[:, a:b], whole, offset=a) for a, b in shards]
                for result in (
                    np.concatenate(probs, -1),
                    fs.logsumexp_from_summary(whole),
                    np.max([part[0] for part in drawn], 0),
                    np.max([part[1] for part in drawn], 0),
                ):
                    state.update(result.tobytes())
                state.update(pickle.dumps(whole._bits()))
    return state.hexdigest()


def test_one_digest_for_all_shardings_and_instruction_sets():
    found = set()
    for name in fs.show_config("dicts")["isa"]["available"]:
        program = DIGEST.format(tests=[os.path.dirname(__file__), os.path.dirname(os.path.dirname(__file__))])
        environment = {**os.environ, "FASTSOFTMAX_ISA": name}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.update(done.stdout.split())
    assert len(found) == 1


def test_one_draw_of_a_decode_loop_is_the_same_in_every_form(dtype, rng):
    n, shards = 5000, bounds(5000, (1300, 2048, 3900))
    x, u, mask = (3 * rng.normal(size=(3, n))).astype(dtype), rng.random(3), rng.random((3, n)) < 0.7
    wide = np.zeros((3, n, 2), dtype)
    wide[..., 1] = x
    for temperature in (0.7, np.array([0.7, 2.0**100, 0.0]), np.float32(1.5), [0.5, 1.0, 1.5]):
        index, logprob = fs.sample(x, temperature, u=u, mask=mask, return_logprob=True)
        whole = fs.combine([fs.summarize(x[:, a:b], temperature, a, mask=mask[:, a:b]) for a, b in shards])
        strided = fs.combine([fs.summarize(wide[:, a:b, 1], temperature, a, mask=mask[:, a:b]) for a, b in shards])
        listed = fs.combine(
            [fs.summarize(x[:, a:b], temperature, a, mask=mask[:, a:b], bias={0: 0.0}) for a, b in shards]
        )
        assert whole == strided == listed
        for rows in (x, wide[..., 1]):
            for uniforms in (u, u.tolist(), u[None].repeat(2, 0).T[:, 0]):
                how = {"u": uniforms, "return_logprob": True}
                got = [
                    fs.sample_from_summary(rows[:, a:b], whole, offset=a, mask=mask[:, a:b], **how) for a, b in shards
                ]
                assert_same(np.max([part[0] for part in got], 0), index)
                assert_same(np.max([part[1] for part in got], 0), logprob)
    one = fs.summarize(x[0], 0.7)
    drawn = fs.sample_from_summary(x[0], one, offset=0, u=float(u[0]), return_logprob=True)
    assert drawn == fs.sample(x[0], 0.7, u=float(u[0]), return_logprob=True)
    assert [type(part) for part in drawn] == [int, float]
    with pytest.raises(ValueError, match="u must be in"):
        fs.sample_from_summary(x[0], one, offset=0, u=1.0)
    for size in (None, 1):
        with pytest.raises(ValueError, match="on_invalid"):
            fs.sample_from_summary(x[0], one, offset=0, u=0.5, size=size, on_invalid="ignore")
    with pytest.raises(ValueError, match="does not hold what was summarised at offset 0"):
        fs.sample_from_summary(x[1], one, offset=0, u=0.5)
    with pytest.raises(ValueError, match="row 2 does not hold what was summarised at offset 0"):
        fs.sample_from_summary(np.where(np.arange(3)[:, None] < 2, x, 0).astype(dtype), fs.summarize(x), offset=0, u=u)
