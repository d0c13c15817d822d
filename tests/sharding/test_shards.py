"""Shards: any cut between blocks, in any order of arrival and any grouping, gives the bits of the whole rows."""

import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DTYPES, LAST_U

import fastsoftmax as fs
from fastsoftmax import _core, reference
from fastsoftmax._sharding.summary import LOCATION, NORMALISER

INF, NAN = np.inf, np.nan
TEMPERATURES = [0.0, 2.0**-900, 2.0**-100, 1e-3, 0.7, 1.0, 30.0, 2.0**100, 2.0**900, INF]
KINDS = [
    "normal", "wide", "some -inf", "some +inf", "NaN", "all -inf", "log-probabilities", "sure", "equal", "integers",
]  # fmt: skip
# Around the lengths of a block, in one and in several.
LENGTHS = [1, 2, 63, 64, 65, 300, 511, 512, 513, 1023, 1024, 1025, 1536, 2048, 2049, 5000]
US = np.array([0.0, LAST_U, 2.0**-60, 0.5, 0.123456789])


def make(kind, shape, dtype, rng):
    x = rng.normal(size=shape)
    if kind == "wide":
        x *= 1000.0
    elif kind == "some -inf":
        x[rng.random(shape) < 0.5] = -INF
    elif kind == "some +inf":
        x[rng.random(shape) < 0.002] = INF
    elif kind == "NaN":
        x[rng.random(shape) < 0.0005] = NAN
    elif kind == "all -inf":
        x[...] = -INF
    elif kind == "log-probabilities":
        x = fs.log_softmax(x)
    elif kind == "sure":
        x[..., shape[-1] // 2] = 25.0
    elif kind == "equal":
        x[...] = x.flat[0]
    elif kind == "integers":
        x = np.round(x)
    return x.astype(dtype)


def bounds(n, cuts):
    edges = [0, *sorted({c for c in cuts if 0 < c < n}), n]
    return list(zip(edges[:-1], edges[1:], strict=True))


def every_cut(n):
    return bounds(n, range(1024, n, 1024))


def summaries(x, temperature, shards, **beside):
    return [fs.summarize(x[..., a:b], temperature, a, **beside) for a, b in shards]


def assert_same(got, expected):
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype and got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()


def assert_whole(x, temperature, shards, summary):
    """All that is made of the shards has the bytes of what is made of the rows."""

    def each(function, **arguments):
        return [function(x[..., a:b], summary, offset=a, **arguments) for a, b in shards]

    assert_same(np.concatenate(each(fs.softmax_from_summary), -1), fs.softmax(x, temperature))
    assert_same(np.concatenate(each(fs.log_softmax_from_summary), -1), fs.log_softmax(x, temperature))
    assert_same(fs.logsumexp_from_summary(summary), fs.logsumexp(x, temperature))
    how = {"u": US, "size": US.size, "return_logprob": True, "on_invalid": "flag"}
    index, logprob = fs.sample(x, temperature, **how)
    drawn = each(fs.sample_from_summary, **how)
    assert_same(np.max([part[0] for part in drawn], 0), index)
    assert_same(np.max([part[1] for part in drawn], 0), logprob)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_shards_of_any_row_give_the_bits_of_the_whole(kind, temperature, dtype, rng):
    for n in (1, 700, 1025, 3000):
        x = make(kind, (2, n), dtype, rng)
        parts = summaries(x, temperature, every_cut(n))
        assert_whole(x, temperature, every_cut(n), fs.combine(parts[::-1], entries=n))


@pytest.mark.parametrize("n", LENGTHS)
def test_rows_of_any_length_are_the_same_in_one_shard_and_in_all(n, dtype, rng):
    for temperature in (1.0, 2.0**100):
        x = make("normal", (3, n), dtype, rng)
        assert_whole(x, temperature, [(0, n)], fs.summarize(x, temperature))
        assert_whole(x, temperature, every_cut(n), fs.combine(summaries(x, temperature, every_cut(n))))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    n=st.sampled_from(LENGTHS) | st.integers(1, 9000),
    dtype=st.sampled_from(DTYPES),
    shape=st.sampled_from([(), (1,), (3,), (2, 2)]),
    kind=st.sampled_from(KINDS),
    cuts=st.sets(st.integers(1, 8).map(lambda i: 1024 * i)),
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
    assert whole == fs.summarize(x, temperature)
    assert_whole(x, temperature, shards, whole)
    assert_whole(x, temperature, every_cut(n), whole)  # finished by others than those who summarised


def test_a_summary_is_small_immutable_and_can_be_pickled(rng):
    x = rng.normal(size=(4, 131072)).astype(np.float32)
    summary = fs.summarize(x, [0.5, 1.0, 2.0, 0.0])
    assert summary.nbytes == 4 * (16 * 128 + 16) and summary.nbytes * 250 < x.nbytes
    assert len(pickle.dumps(summary)) < summary.nbytes + 1000
    again = pickle.loads(pickle.dumps(summary))
    assert again == summary and hash(again) == hash(summary) and again != fs.summarize(x)
    assert (summary.spans, summary.offset, summary.entries) == (((0, 131072),), 0, 131072)
    assert (summary.shape, summary.dtype, summary.logsumexp) == ((4,), np.float32, True)
    for name in ("spans", "offset", "dtype", "anything"):
        with pytest.raises(AttributeError):
            setattr(summary, name, None)
    with pytest.raises(AttributeError):
        del summary.spans
    for held in (summary, again):
        with pytest.raises(ValueError, match="read-only"):
            held.temperature[0] = 3.0
    with pytest.raises(TypeError, match=r"summarize\(\) or combine\(\)"):
        fs.Summary()
    assert repr(summary) == (
        "<Summary of entries 0 to 131072: rows (4,), float32, a temperature for each row, 8256 bytes>"
    )


def test_a_summary_does_not_follow_its_arguments(rng):
    x, t = rng.normal(size=(2, 1500)), np.array([1.0, 2.0])
    summary = fs.summarize(x, t)
    expected = pickle.dumps(summary)
    t[:] = 5.0
    x[:] = 0.0
    assert pickle.dumps(summary) == expected


def test_what_is_missing_may_come_later(rng):
    x = rng.normal(size=(2, 5000))
    parts = summaries(x, 1.0, every_cut(5000))
    ends = fs.combine([parts[4], parts[0], parts[2]])
    assert ends.spans == ((0, 1024), (2048, 3072), (4096, 5000)) and ends.entries == 2952
    with pytest.raises(ValueError, match="entries 1024 to 2048, 3072 to 4096 are missing"):
        fs.logsumexp_from_summary(ends)
    with pytest.raises(ValueError, match="entries 1024 to 2048, 3072 to 4096, 5000 to 6000 are missing"):
        fs.combine([ends], entries=6000)
    with pytest.raises(ValueError, match="entries 0 to 1024 are missing"):
        fs.softmax_from_summary(x[:, 1024:2048], parts[1], offset=1024)
    assert fs.combine([ends, fs.combine([parts[3], parts[1]])], entries=5000) == fs.summarize(x)
    with pytest.raises(ValueError, match="of 5000 entries, not 4000"):
        fs.combine(parts, entries=4000)


def test_what_does_not_belong_together_is_refused(rng):
    x = rng.normal(size=(2, 3000))
    first, second = fs.summarize(x[:, :1024]), fs.summarize(x[:, 1024:], 1.0, 1024)
    with pytest.raises(ValueError, match="entries 1024 to 2048 are in two"):
        fs.combine([fs.summarize(x[:, :2048]), second])
    with pytest.raises(ValueError, match="offsets 0 and 1024 are of float32 and float64"):
        fs.combine([fs.summarize(x[:, :1024].astype(np.float32)), second])
    with pytest.raises(ValueError, match=r"offsets 0 and 1024 are of rows of shape \(1,\) and \(2,\)"):
        fs.combine([fs.summarize(x[:1, :1024]), second])
    with pytest.raises(ValueError, match="offsets 0 and 1024 .* temperatures: 1.0 and 0.5 for row 1"):
        fs.combine([first, fs.summarize(x[:, 1024:], [1.0, 0.5], 1024)])
    with pytest.raises(ValueError, match="ends at entry 1000, within a block of 1024, is not the last"):
        fs.combine([fs.summarize(x[:, :1000]), second])
    with pytest.raises(ValueError, match="none"):
        fs.combine([])
    with pytest.raises(TypeError, match="must be of type Summary, not int"):
        fs.combine([first, 1])


@pytest.mark.parametrize("offset, error", [
    (1000, ValueError), (-1024, ValueError), (512, ValueError), (1024.0, TypeError), (True, TypeError),
])  # fmt: skip
def test_an_offset_within_a_block_is_refused(offset, error):
    with pytest.raises(error, match="offset"):
        fs.summarize(np.zeros(1024), 1.0, offset)
    with pytest.raises(error, match="offset"):
        fs.softmax_from_summary(np.zeros(1024), fs.summarize(np.zeros(4096)), offset=offset)


@pytest.mark.parametrize("temperature", [1e-300, 5e-324, 1e300])
def test_a_temperature_that_needs_the_maximum_first_is_refused(temperature):
    with pytest.raises(ValueError, match=r"2\*\*-900 to 2\*\*900 .*row 1"):
        fs.summarize(np.zeros((2, 10)), [1.0, temperature])
    with pytest.raises(ValueError, match="temperature must be zero, positive or inf"):
        fs.summarize(np.zeros(10), -1.0)


def test_a_shard_that_does_not_fit_the_summary_is_refused_and_nothing_written(rng):
    x = rng.normal(size=(2, 3000))
    whole, out = fs.summarize(x), np.full((2, 1024), 7.0)
    cases = [
        (x[:, :1024].astype(np.float32), 0, TypeError, "float32, but the summary is of float64"),
        (x[:1, :1024], 0, ValueError, r"rows of shape \(1,\), but the summary has \(2,\)"),
        (x[:, :1000], 0, ValueError, "ends within a block"),
        (x[:, :1024], 2048, ValueError, "reaches beyond the summary, which ends at 3000"),
    ]
    for shard, offset, error, message in cases:
        for function, arguments in (
            (fs.softmax_from_summary, {"out": out}),
            (fs.log_softmax_from_summary, {"out": out}),
            (fs.sample_from_summary, {"u": 0.5}),
        ):
            with pytest.raises(error, match=message):
                function(shard, whole, offset=offset, **arguments)
    with pytest.raises(ValueError, match="u must be in"):
        fs.sample_from_summary(x, whole, offset=0, u=1.0)
    with pytest.raises(ValueError, match="no entries"):
        fs.summarize(np.zeros((2, 0)))
    with pytest.raises(TypeError, match="summary must be a Summary"):
        fs.softmax_from_summary(x, x, offset=0)
    with pytest.raises(TypeError, match="complex"):
        fs.summarize(x.astype(complex))
    assert (out == 7.0).all()


def test_other_entries_than_those_summarised_are_noticed(dtype, rng):
    x = (4 * rng.normal(size=(3, 3000))).astype(dtype)
    whole = fs.summarize(x, 0.7)
    other = x.copy()
    other[1, 2000:] = other[1, 2000:] - dtype.type(0.5)
    with pytest.raises(ValueError, match="row 1 does not hold what was summarised at offset 1024"):
        fs.softmax_from_summary(other[:, 1024:], whole, offset=1024)
    with pytest.raises(ValueError, match="row 1 does not hold what was summarised at offset 0"):
        fs.sample_from_summary(other, whole, offset=0, u=0.99)
    other[:] = NAN
    with pytest.raises(ValueError, match="row 0 does not hold"):
        fs.sample_from_summary(other, whole, offset=0, u=0.5)


@pytest.mark.parametrize("temperature", [0.0, INF, 2.0**100, 2.0**-100, 0.7])
@pytest.mark.parametrize("infinite", [False, True])
def test_other_entries_are_noticed_in_rows_of_every_kind(temperature, infinite, dtype, rng):
    x = rng.normal(size=(3, 3000)).astype(dtype)
    x[1, 2500] = INF if infinite else 20.0
    whole = fs.summarize(x, [0.7, temperature, 0.7])
    assert_same(fs.softmax_from_summary(x, whole, offset=0), fs.softmax(x, [0.7, temperature, 0.7]))
    other = x.copy()
    other[1, 2048:] = -1.0
    with pytest.raises(ValueError, match="row 1 does not hold what was summarised at offset 1024"):
        fs.softmax_from_summary(other[:, 1024:], whole, offset=1024)
    with pytest.raises(ValueError, match="row 1 does not hold"):
        fs.sample_from_summary(other, whole, offset=0, u=np.nextafter(1, 0))
    # A row that is computed in another way does not hide its neighbour.
    other = x.copy()
    other[0] = 0.0
    with pytest.raises(ValueError, match="row 0 does not hold"):
        fs.softmax_from_summary(other, whole, offset=0)


@pytest.mark.parametrize("temperature", [0.0, INF])
def test_a_forgotten_mask_is_noticed_where_entries_are_counted(temperature, dtype, rng):
    x = np.zeros(2048, dtype)
    mask = rng.random(2048) < 0.5
    whole = fs.summarize(x, temperature, mask=mask)
    u = 0.75
    assert fs.sample_from_summary(x, whole, offset=0, u=u, mask=mask) == fs.sample(x, temperature, u=u, mask=mask)
    with pytest.raises(ValueError, match="does not hold what was summarised"):
        fs.sample_from_summary(x, whole, offset=0, u=u)


def test_no_flag_makes_a_summary_writeable():
    whole = fs.combine([fs.summarize(np.zeros(2048, np.float32), 0.7)])
    fs.locate_draws(whole, u=0.5)
    for made in (whole, pickle.loads(pickle.dumps(whole)), pickle.loads(pickle.dumps(whole, 5))):
        for a in (made.temperature, *made._blocks):
            while isinstance(a, np.ndarray):
                with pytest.raises(ValueError, match="WRITEABLE"):
                    a.flags.writeable = True
                a = a.base


def damaged(made):
    """The arguments of a pickle of the summary, one of them altered."""
    spans, shape, dtype, temperature, logsumexp, of, wide = made.__reduce__()[1]
    none = np.zeros(0)
    yield spans, shape, dtype, temperature, logsumexp, of, None
    yield ((0, 4096),), shape, dtype, temperature, logsumexp, of, wide
    yield ((512, 2560),), shape, dtype, temperature, logsumexp, of, wide
    yield (), shape, dtype, temperature, logsumexp, of, wide
    yield spans, (5,), dtype, temperature, logsumexp, of, wide
    yield spans, shape, np.dtype(np.float64), temperature, logsumexp, of, wide
    yield spans, shape, np.dtype(np.int32), temperature, logsumexp, of, wide
    for t in (-1.0, NAN, 2.0**1000):
        yield spans, shape, dtype, np.full(shape, t), logsumexp, of, wide
    yield spans, shape, dtype, temperature, logsumexp, (none, none, np.zeros(())), wide
    yield spans, shape, dtype, temperature, logsumexp, tuple(a.astype(np.float32) for a in of), wide
    yield spans, shape, dtype, temperature, logsumexp, of, tuple(a[..., :1] if a.ndim else a for a in of)
    for s in (0.0, -1.0, NAN, INF, 1e300):
        yield spans, shape, dtype, temperature, logsumexp, (of[0], np.full_like(of[1], s), of[2]), wide


@pytest.mark.parametrize("temperature", [0.0, 2.0**100, INF])
def test_a_damaged_pickle_of_a_summary_is_refused(temperature):
    made = fs.summarize(np.zeros(2048, np.float32), temperature)
    make, whole = made.__reduce__()
    assert make(*whole) == made
    for i, arguments in enumerate(damaged(made)):
        if i or made._double_blocks is not None:
            with pytest.raises(ValueError, match="summary is damaged"):
                make(*arguments)


def test_blocks_that_no_row_leaves_are_an_error_below_as_well():
    u, located = np.array([0.5]), np.empty(1, LOCATION)
    for temperature, of in (
        (2.0**100, (np.zeros(2), np.ones(2), np.zeros(()))),
        (0.0, (np.zeros(2), np.zeros(2), np.zeros(()))),
    ):
        norm = np.zeros(1, NORMALISER)
        with pytest.raises(ValueError, match="damaged"):
            _core.locate_rows(0, np.array(temperature), of, None, norm, 1, u, located)


def test_an_offset_is_an_int_of_any_type_below_2_to_the_62():
    x = np.zeros(1024)
    for offset in (np.uint8(0), np.int8(0), np.uint64(0)):
        assert fs.summarize(x, offset=offset) == fs.summarize(x)
    with pytest.raises(ValueError, match=r"below 2\*\*62"):
        fs.summarize(x, offset=2**70)


@pytest.mark.parametrize("size", [10**18, 10**20, (10**10, 10**10), (0, 10**20)])
def test_a_size_that_no_memory_holds_is_called_by_its_name(size):
    x = np.zeros(2048)
    whole = fs.summarize(x)
    for draw in (
        lambda: fs.sample_from_summary(x, whole, offset=0, u=0.5, size=size),
        lambda: fs.locate_draws(whole, u=0.5, size=size),
        lambda: fs.sample(x, u=0.5, size=size),
    ):
        with pytest.raises(ValueError, match="^size must be of less than 2"):
            draw()


@pytest.mark.parametrize("entries", [NAN, "3000", np.array([3000]), 3000.0, True])
def test_the_number_of_entries_is_an_int(entries):
    with pytest.raises(TypeError, match="entries must be an int"):
        fs.combine([fs.summarize(np.zeros(3000))], entries=entries)
    assert fs.combine([fs.summarize(np.zeros(3000))], entries=np.uint16(3000)).entries == 3000


def test_the_sign_of_a_temperature_0_does_not_show():
    a, b = fs.summarize(np.zeros(1024), -0.0), fs.summarize(np.zeros(1024), 0.0, 1024)
    assert fs.combine([a, b]) == fs.combine([b, a])


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
    assert (block % 512 == 0).all() and (block <= drawn).all() and (drawn < block + 1024).all()
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
def test_mask_and_bias_of_the_shards_are_those_of_the_rows(words, dtype, rng):
    n = 5000
    x = (3 * rng.normal(size=(4, n))).astype(dtype)
    mask, bias = rng.random((4, n)) < 0.3, 2 * rng.normal(size=(4, n))
    shards = every_cut(n)

    def beside(a, b):
        bits = np.packbits(mask[:, a:b], axis=-1, bitorder="little")
        packed = np.zeros((4, (b - a + 31) // 32 * 4), np.uint8)
        packed[:, : bits.shape[-1]] = bits
        return {"mask": packed.view("<i4") if words else mask[:, a:b], "bias": bias[:, a:b]}

    whole = fs.combine([fs.summarize(x[:, a:b], 0.7, a, **beside(a, b)) for a, b in shards])
    u = rng.random(4)
    index, logprob = fs.sample(x, 0.7, u=u, mask=mask, bias=bias, return_logprob=True)
    drawn = [
        fs.sample_from_summary(x[:, a:b], whole, offset=a, u=u, return_logprob=True, **beside(a, b)) for a, b in shards
    ]
    assert_same(np.max([part[0] for part in drawn], 0), index)
    assert_same(np.max([part[1] for part in drawn], 0), logprob)
    probs = [fs.softmax_from_summary(x[:, a:b], whole, offset=a, **beside(a, b)) for a, b in shards]
    narrow = np.float64 if dtype == np.float64 else np.float32
    if dtype.itemsize >= 4:  # in 16 bits the biased logits have no array that holds them
        biased = np.where(mask, x + bias.astype(narrow), -INF).astype(dtype)
        assert_same(np.concatenate(probs, -1), fs.softmax(biased, 0.7))
    with pytest.raises(ValueError, match="does not hold what was summarised"):
        fs.softmax_from_summary(x[:, :1024], whole, offset=0)


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
    rows, u = x.tolist(), [0.1, 0.9]
    shards = every_cut(2500)
    fast = fs.combine(summaries(x, temperature, shards))
    slow = reference.combine(
        [reference.summarize([row[a:b] for row in rows], temperature, a) for a, b in shards[::-1]], entries=2500
    )
    np.testing.assert_allclose(
        fs.logsumexp_from_summary(fast), reference.logsumexp_from_summary(slow), rtol=1e-14, atol=1e-15
    )
    for a, b in shards:
        part = [row[a:b] for row in rows]
        for name in ("softmax_from_summary", "log_softmax_from_summary"):
            np.testing.assert_allclose(
                getattr(fs, name)(x[:, a:b], fast, offset=a), getattr(reference, name)(part, slow, offset=a), rtol=2e-14
            )
        how = {"offset": a, "u": u, "on_invalid": "flag", "return_logprob": True}
        got, expected = fs.sample_from_summary(x[:, a:b], fast, **how), reference.sample_from_summary(part, slow, **how)
        assert got[0].tolist() == expected[0]
        np.testing.assert_allclose(got[1], expected[1], rtol=1e-14)
    # The blocks of the reference are of 1,024 entries, those of float64 of 512.
    blocks = np.array(reference.locate_draws(slow, u=u, on_invalid="flag"))
    np.testing.assert_array_equal(fs.locate_draws(fast, u=u, on_invalid="flag") // 1024, blocks // 1024)


def test_the_reference_takes_a_mask_and_a_bias(rng):
    x, bias = rng.normal(size=2500), rng.normal(size=2500)
    mask = rng.random(2500) < 0.5
    shards = every_cut(2500)
    beside = [{"mask": mask[a:b].tolist(), "bias": bias[a:b].tolist()} for a, b in shards]
    parts = [
        reference.summarize(x[a:b].tolist(), 0.7, a, logsumexp=False, **also)
        for (a, b), also in zip(shards, beside, strict=True)
    ]
    whole = reference.combine(parts)
    drawn = [
        reference.sample_from_summary(x[a:b].tolist(), whole, offset=a, u=0.4, return_logprob=True, **also)
        for (a, b), also in zip(shards, beside, strict=True)
    ]
    expected = fs.sample(x, 0.7, u=0.4, mask=mask, bias=bias, return_logprob=True)
    assert max(drawn) == (expected[0], pytest.approx(expected[1], rel=1e-14))
    probs = [
        reference.softmax_from_summary(x[a:b].tolist(), whole, offset=a, **also)
        for (a, b), also in zip(shards, beside, strict=True)
    ]
    np.testing.assert_allclose(sum(probs, []), fs.softmax(np.where(mask, x + bias, -INF), 0.7), rtol=1e-14)
    with pytest.raises(ValueError, match="logsumexp=False"):
        reference.logsumexp_from_summary(whole)


DIGEST = """
import sys
sys.path.insert(0, {tests!r})
from test_shards import digest
for step in (1, 2, 100):
    print(digest(step))
"""


def digest(step):
    """A hash of all results of some rows whose shards are of so many blocks; the last ones arrive first."""
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
        program = DIGEST.format(tests=os.path.dirname(__file__))
        environment = {**os.environ, "FASTSOFTMAX_ISA": name}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.update(done.stdout.split())
    assert len(found) == 1
