"""A summary is a value: small, immutable, pickled and checked; what does not belong to it is rejected."""

import pickle

import numpy as np
import pytest
from rows_in_shards import INF, NAN, assert_same, every_cut, summaries

import fastsoftmax as fs
from fastsoftmax import _core
from fastsoftmax._sharding.summary import LOCATION, NORMALISER


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


def test_what_does_not_belong_together_is_rejected(rng):
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
def test_an_offset_within_a_block_is_rejected(offset, error):
    with pytest.raises(error, match="offset"):
        fs.summarize(np.zeros(1024), 1.0, offset)
    with pytest.raises(error, match="offset"):
        fs.softmax_from_summary(np.zeros(1024), fs.summarize(np.zeros(4096)), offset=offset)


@pytest.mark.parametrize("temperature", [1e-300, 5e-324, 1e300])
def test_a_temperature_that_needs_the_maximum_first_is_rejected(temperature):
    with pytest.raises(ValueError, match=r"2\*\*-900 to 2\*\*900 .*row 1"):
        fs.summarize(np.zeros((2, 10)), [1.0, temperature])
    with pytest.raises(ValueError, match="temperature must be zero, positive or inf"):
        fs.summarize(np.zeros(10), -1.0)


def test_a_shard_that_does_not_fit_the_summary_is_rejected_and_nothing_written(rng):
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
def test_a_damaged_pickle_of_a_summary_is_rejected(temperature):
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
