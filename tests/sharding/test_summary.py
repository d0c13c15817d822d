"""A summary is a value: small, immutable, pickled and checked; what does not belong to it is rejected."""

import pickle
import sys

import numpy as np
import pytest
from breadth import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DTYPES
from rows_in_shards import INF, NAN, US, assert_same, bounds, every_cut, summaries

import fastsoftmax as fs


def test_a_summary_is_small_immutable_and_can_be_pickled(rng):
    x = rng.normal(size=(4, 131072)).astype(np.float32)
    summary = fs.summarize(x, [0.5, 1.0, 2.0, 0.0])
    assert summary.nbytes == 64 + 4 * (16 * 128 + 16) and summary.nbytes * 250 < x.nbytes
    assert len(pickle.dumps(summary)) < summary.nbytes + 1000
    assert summary.nbytes < sys.getsizeof(summary) < summary.nbytes + 1000
    again = pickle.loads(pickle.dumps(summary))
    assert again == summary and hash(again) == hash(summary) and again != fs.summarize(x)
    assert (summary.spans, summary.offset, summary.entries) == (((0, 131072),), 0, 131072)
    assert (summary.shape, summary.dtype, summary.logsumexp) == ((4,), np.float32, False)
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
        "<Summary of entries 0 to 131072: rows (4,), float32, a temperature for each row, 8320 bytes>"
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
    parts = summaries(x, 1.0, every_cut(5000), logsumexp=True)
    ends = fs.combine([parts[4], parts[0], parts[2]])
    assert ends.spans == ((0, 1024), (2048, 3072), (4096, 5000)) and ends.entries == 2952
    with pytest.raises(ValueError, match="entries 1024 to 2048, 3072 to 4096 are missing"):
        fs.logsumexp_from_summary(ends)
    with pytest.raises(ValueError, match="entries 1024 to 2048, 3072 to 4096, 5000 to 6000 are missing"):
        fs.combine([ends], entries=6000)
    with pytest.raises(ValueError, match="entries 0 to 1024 are missing"):
        fs.softmax_from_summary(x[:, 1024:2048], parts[1], offset=1024)
    assert fs.combine([ends, fs.combine([parts[3], parts[1]])], entries=5000) == fs.summarize(x, logsumexp=True)
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
    with pytest.raises(ValueError, match="entries 2500 to 3000 are in two of them, at offsets 1024 and 2500"):
        fs.combine([fs.summarize(x[:, 2500:], offset=2500), second])
    with pytest.raises(ValueError, match="none"):
        fs.combine([])
    for single in (first, 1, None):
        with pytest.raises(TypeError, match=f"must be a list of them, not a single {type(single).__name__}"):
            fs.combine(single)
    with pytest.raises(TypeError, match="must be of type Summary, or the bytes of one, not int"):
        fs.combine([first, 1])


@pytest.mark.parametrize("offset, error", [
    (-1, ValueError), (-1024, ValueError), (2**60, ValueError), (1024.0, TypeError), (True, TypeError),
])  # fmt: skip
def test_an_offset_that_is_none_is_rejected(offset, error):
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
    with pytest.raises(ValueError, match="summary is damaged: these are not the bytes of a Summary"):
        fs.softmax_from_summary(x, x, offset=0)
    with pytest.raises(TypeError, match="summary must be a Summary, the bytes of one, or a list of these, not int"):
        fs.softmax_from_summary(x, 1, offset=0)
    with pytest.raises(ValueError, match="cut within entries 512 to 1024, where no summarised shard was"):
        fs.sample_from_summary(x[:, :1000], whole, offset=0, u=0.5)
    with pytest.raises(ValueError, match="cut within entries 0 to 512, where no summarised shard was"):
        fs.sample_from_summary(x[:, 1:1024], whole, offset=1, u=0.5)
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
    whole = fs.combine([fs.summarize(np.zeros((2, 1500)), 0.7), fs.summarize(np.zeros((2, 4)), 0.7, 1500)])
    fs.locate_draws(whole, u=0.5)
    pickled = [pickle.loads(pickle.dumps(whole, protocol)) for protocol in (pickle.DEFAULT_PROTOCOL, 5)]
    for made in (whole, *pickled, fs.Summary.from_bytes(bytearray(whole.to_bytes()))):
        assert made == whole
        assert memoryview(made).readonly
        a = made.temperature
        while isinstance(a, np.ndarray):
            with pytest.raises(ValueError, match="WRITEABLE"):
                a.flags.writeable = True
            a = a.base


def test_the_bytes_of_a_summary_are_a_value(dtype, rng):
    x = rng.normal(size=(2, 3000)).astype(dtype)
    for a, b in ((0, 3000), (5, 9), (1000, 3000), (1024, 2048)):
        made = fs.summarize(x[:, a:b], [0.5, 2.0], a)
        data = made.to_bytes()
        assert data == bytes(memoryview(made)) and len(data) == made.nbytes and data[:8] == b"softmax\x01"
        most = fs.summary_nbytes((2,), b - a, dtype)
        padded = made.to_bytes(most)
        assert len(padded) == most >= made.nbytes
        for buffer in (data, padded, bytearray(padded), memoryview(padded), np.frombuffer(padded, np.uint8)):
            assert fs.Summary.from_bytes(buffer) == made
        with pytest.raises(ValueError, match=f"nbytes must be at least {made.nbytes}"):
            made.to_bytes(made.nbytes - 1)
        with pytest.raises(TypeError, match="nbytes must be an int"):
            made.to_bytes(1e6)
    with pytest.raises(TypeError, match="buffer must be bytes"):
        fs.Summary.from_bytes("softmax")


def test_summaries_travel_as_bytes(dtype, rng):
    x, u = (3 * rng.normal(size=(2, 5000))).astype(dtype), [0.2, 0.7]
    shards = bounds(5000, (1250, 2500, 3750))
    size = max(fs.summary_nbytes(2, b - a, dtype) for a, b in shards)
    gathered = [part.to_bytes(size) for part in summaries(x, 0.7, shards, logsumexp=False)]
    drawn = [fs.sample_from_summary(x[:, a:b], gathered, offset=a, u=u) for a, b in shards]
    assert_same(np.max(drawn, 0), fs.sample(x, 0.7, u=u))
    probs = [fs.softmax_from_summary(x[:, a:b], gathered[::-1], offset=a) for a, b in shards]
    assert_same(np.concatenate(probs, -1), fs.softmax(x, 0.7))
    assert fs.combine(gathered) == fs.summarize(x, 0.7)
    received = np.frombuffer(b"".join(gathered), np.uint8).reshape(4, size)  # a row a rank, as an allgather leaves it
    for a, b in shards:
        assert_same(
            fs.sample_from_summary(x[:, a:b], received, offset=a, u=u),
            fs.sample_from_summary(x[:, a:b], gathered, offset=a, u=u),
        )
    with pytest.raises(ValueError, match=r"one-dimensional, not of shape \(4, "):
        fs.Summary.from_bytes(received)


@pytest.mark.parametrize("logsumexp", [False, True])
@pytest.mark.parametrize("temperature", [0.7, 2.0**100])
def test_no_summary_has_more_bytes_than_was_said(logsumexp, temperature, dtype):
    how = {"logsumexp": logsumexp, "temperature": temperature}
    for entries in (1, 2, 511, 512, 513, 1023, 1024, 1025, 2048, 2500, 3072):
        sizes = [
            fs.summarize(np.zeros((3, entries), dtype), temperature, offset, logsumexp=logsumexp).nbytes
            for offset in (0, 1, 2, 511, 512, 513, 1000, 1023, 1024, *range(1, 1024, 97), 2048 - entries % 1024)
        ]
        assert max(sizes) == fs.summary_nbytes((3,), entries, dtype, **how)


@pytest.mark.parametrize("arguments, error, match", [
    (((-1,), 3, "float32"), ValueError, "shape must be"), ((1, 0, "float32"), ValueError, "entries must be positive"),
    ((1, 3, "int8"), None, None), ((1, 3, "complex64"), TypeError, "dtype"),
    ((1, 3.0, "float32"), TypeError, "entries"), (((2.0,), 3, "float32"), TypeError, "shape"),
    (((2**60,), 3, "float32"), ValueError, "below 2"),
])  # fmt: skip
def test_the_size_of_a_summary_asks_for_numbers(arguments, error, match):
    if error is None:
        assert fs.summary_nbytes(*arguments) == fs.summary_nbytes(*arguments[:2], "float64")
        assert fs.summary_nbytes(1, 3, "bfloat16") == fs.summary_nbytes(1, 3, np.float16)
        with pytest.raises(TypeError, match="temperature must be a real number"):
            fs.summary_nbytes(*arguments, temperature="x")
        return
    with pytest.raises(error, match=match):
        fs.summary_nbytes(*arguments)


def words(made):
    return np.frombuffer(made.to_bytes(), np.int64).copy()


def damaged(made):
    """The bytes of a Summary of (2, 2500) at offset 700, damaged in one place each."""
    whole, count = made.to_bytes(), made.nbytes // 8
    for length in (0, 7, 8, 39, 40, 63, made.nbytes - 8, made.nbytes - 1):
        yield whole[:length]
    for at, byte in ((0, 0), (7, 2), (8, 4), (8, 255), (9, 4), (9, 255), (10, 3), (10, 255), (11, 1), (15, 255)):
        yield whole[:at] + bytes([byte]) + whole[at + 1 :]
    shape, span, pieces = 5, 6, 8
    for at in (2, 3, 4, shape, span, span + 1, pieces, pieces + 1, pieces + 2, pieces + 3):
        for value in (-1, 0, 1, 512, 3, 10**6, 2**40, 2**61, 2**62, 2**63 - 1, -(2**63)):
            changed = words(made)
            if changed[at] != value:
                changed[at] = value
                yield changed.tobytes()
    temperature = 12
    for value in (-1.0, NAN, 2.0**1000, 2.0**-1000):
        changed = words(made)
        changed[temperature] = np.float64(value).view(np.int64)
        yield changed.tobytes()
    sums = temperature + 2 + 2 + 2 * 2  # after the temperatures, the rests and the maxima
    for value in (0.0, -1.0, NAN, INF, 1e300):
        changed = words(made)
        changed[sums] = np.float64(value).view(np.int64)
        yield changed.tobytes()
    assert sums + 4 < count


def test_damaged_bytes_of_a_summary_are_rejected(rng):
    x = rng.normal(size=(2, 2500)).astype(np.float32)
    made = fs.summarize(x, 0.7, 700)
    assert made._pieces == ((700, 1024), (3072, 3200))
    cases = list(damaged(made))
    assert len(cases) > 120
    for data in cases:
        with pytest.raises(ValueError, match="summary is damaged"):
            fs.Summary.from_bytes(data)
        with pytest.raises(ValueError, match="summary is damaged"):
            fs.combine([made, data])


@settings(max_examples=cases(300), deadline=None)
@given(seed=st.integers(0, 2**32), dtype=st.sampled_from(DTYPES), damages=st.integers(1, 6))
def test_no_bytes_crash(seed, dtype, damages):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 2500))
    x = rng.normal(size=(2, n)).astype(dtype)
    data = bytearray(fs.summarize(x, 0.7, logsumexp=bool(rng.integers(2))).to_bytes())
    for _ in range(damages):
        at = int(rng.integers(len(data) if rng.random() < 0.3 else min(len(data), 120)))
        data[at] = int(rng.integers(256))
    try:
        whole = fs.Summary.from_bytes(data)
        fs.softmax_from_summary(x, whole, offset=0)
        fs.sample_from_summary(x, whole, offset=0, u=US, size=US.size, on_invalid="flag")
        fs.logsumexp_from_summary(whole)
        fs.combine([whole, fs.summarize(x, 0.7, n, logsumexp=True)])
    except (ValueError, TypeError) as error:
        assert str(error)


def test_blocks_that_no_row_leaves_are_an_error():
    made = words(fs.summarize(np.zeros(2048, np.float32), 2.0**100))
    in_double = -10  # the rest, and the maxima and sums of four blocks, follow it
    made[in_double + 2 : in_double + 6] = np.float64(-INF).view(np.int64)
    made[in_double + 6 :] = 0
    with pytest.raises(ValueError, match="damaged: no row of logits has these blocks"):
        fs.Summary.from_bytes(made)


def test_an_offset_is_an_int_of_any_type_below_2_to_the_62():
    x = np.zeros(1024)
    for offset in (np.uint8(0), np.int8(0), np.uint64(0)):
        assert fs.summarize(x, offset=offset) == fs.summarize(x)
    with pytest.raises(ValueError, match=r"from 0 to 2\*\*60 - 1"):
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
