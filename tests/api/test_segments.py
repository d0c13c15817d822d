"""SegmentedRows: every row as by the functions of one row, to the last bit; what offsets may be; what errors say."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs
from fastsoftmax import reference

SIXTEEN = np.dtype(ml_dtypes.bfloat16)


@pytest.fixture
def threads():
    before = fs.get_num_threads()
    yield fs.set_num_threads
    fs.set_num_threads(before)


def lengths_of(kind, rng, count=600):
    if kind == "few":
        return rng.integers(0, 13, count)
    if kind == "skewed":
        return np.minimum(rng.zipf(1.5, count) - 1, 4000)
    if kind == "runs":
        return np.repeat(rng.integers(0, 70, count // 20), rng.integers(1, 40, count // 20))
    if kind == "middling":
        return rng.integers(0, 140, count)
    return rng.integers(0, 3, count) * rng.integers(0, 900, count)


KINDS = ["few", "skewed", "runs", "middling", "sparse"]


def entries_of(n, dtype, rng, special):
    x = rng.normal(0, 4, n)
    if special:
        x[rng.random(n) < 0.1] = -np.inf
        x[rng.random(n) < 0.003] = np.inf
        x[rng.random(n) < 0.003] = np.nan
        x[rng.random(n) < 0.01] *= 1000
    return x.astype(dtype)


def row_by_row(function, rows, x, temperature):
    """The results of a function of one row, one after another."""
    t = np.broadcast_to(temperature, len(rows))
    parts = [np.atleast_1d(function(row, t[i])) for i, row in enumerate(np.split(x, rows.offsets[1:-1]))]
    return np.concatenate(parts) if parts else np.empty(0, x.dtype)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_the_bits_it_has_alone(kind, special, dtype, rng, threads):
    lengths = lengths_of(kind, rng)
    rows = fs.SegmentedRows.from_lengths(lengths)
    x = entries_of(lengths.sum(), dtype, rng, special)
    u = rng.random(len(rows))
    own = np.where(rng.random(len(rows)) < 0.02, 0.0, rng.uniform(0.3, 3, len(rows)))
    for number, temperature in enumerate([1.0, own, 0.0, np.inf, 1e-50]):
        threads(1 + number % 4)
        for name in ("softmax", "log_softmax"):
            expected = row_by_row(getattr(fs, name), rows, x, temperature)
            assert bits(getattr(rows, name)(x, temperature)) == bits(expected)
        assert bits(rows.logsumexp(x, temperature)) == bits(row_by_row(fs.logsumexp, rows, x, temperature))
        t = np.broadcast_to(temperature, len(rows))
        alone = [
            fs.sample(row, t[i], u=u[i], return_logprob=True, on_invalid="flag")
            for i, row in enumerate(np.split(x, rows.offsets[1:-1]))
        ]
        index, logprob = rows.sample(x, temperature, u=u, return_logprob=True, on_invalid="flag")
        np.testing.assert_array_equal(index, [i for i, _ in alone])
        np.testing.assert_array_equal(logprob, [p for _, p in alone])
        np.testing.assert_array_equal(rows.sample(x, temperature, u=u, on_invalid="flag"), index)


def test_rows_agree_with_the_reference(rng):
    lengths = rng.integers(0, 20, 60)
    rows = fs.SegmentedRows.from_lengths(lengths)
    x, u = rng.normal(size=lengths.sum()), rng.random(len(lengths))
    each = [row.tolist() for row in np.split(x, rows.offsets[1:-1])]
    np.testing.assert_allclose(rows.softmax(x, 0.7), sum((reference.softmax(row, 0.7) for row in each), []), rtol=1e-14)
    np.testing.assert_allclose(rows.logsumexp(x), [reference.logsumexp(row) for row in each], rtol=1e-13)
    drawn = [reference.sample(row, u=v) if row else -1 for row, v in zip(each, u.tolist(), strict=True)]
    np.testing.assert_array_equal(rows.sample(x, u=u, on_invalid="flag"), drawn)


@pytest.mark.parametrize("layout", ["strided", "reversed", "swapped", "misaligned", "in place", "apart", "shifted"])
def test_any_layout_gives_the_same(layout, dtype, rng):
    rows = fs.SegmentedRows.from_lengths(rng.integers(0, 30, 300))
    n = rows.offsets[-1]
    x = rng.normal(0, 3, n).astype(dtype)
    expected, summed = rows.softmax(x), rows.logsumexp(x)
    if layout == "swapped" and dtype == SIXTEEN:
        pytest.skip("NumPy has no byte order of bfloat16")
    out = None
    if layout == "strided":
        given, out = np.repeat(x, 3)[::3], np.zeros(2 * n, dtype)[::2]
    elif layout == "reversed":
        given, out = x[::-1].copy()[::-1], np.zeros(n, dtype)[::-1]
    elif layout == "swapped":
        given, out = x.astype(dtype.newbyteorder(">")), np.zeros(n, dtype.newbyteorder(">"))
    elif layout == "misaligned":
        given = np.frombuffer(b"-" + x.tobytes(), dtype, offset=1)
        out = np.frombuffer(bytearray(1 + x.nbytes), dtype, offset=1)
    elif layout == "shifted":
        memory = np.concatenate((x, x[:1]))
        given, out = memory[:-1], memory[1:]
    else:
        given = x.copy()
        out = given if layout == "in place" else np.empty(n, dtype)
    assert bits(rows.logsumexp(given)) == bits(summed)
    np.testing.assert_array_equal(
        rows.sample(given, u=0.3, on_invalid="flag"), rows.sample(x, u=0.3, on_invalid="flag")
    )
    assert rows.softmax(given, out=out) is out
    assert bits(out.astype(dtype)) == bits(expected)


def test_one_long_row_among_many_short_ones(threads, rng):
    lengths = rng.integers(0, 5, 40_000)
    lengths[[0, 20_000, 20_001, 39_999]] = 300_000, 700_000, 270_000, 262_144
    rows = fs.SegmentedRows.from_lengths(lengths)
    x, u = rng.normal(size=lengths.sum()).astype(np.float32), rng.random(len(lengths))
    results = set()
    for count in (1, 2, 3, 4):
        threads(count)
        drawn = rows.sample(x, u=u, on_invalid="flag", return_logprob=True)
        results.add((bits(rows.softmax(x)), bits(rows.logsumexp(x)), *map(bits, drawn)))
    assert len(results) == 1
    for row in (0, 1, 19_999, 20_000, 20_001, 20_002, 39_999):
        one = x[rows.offsets[row] : rows.offsets[row + 1]]
        assert bits(rows.softmax(x)[rows.offsets[row] : rows.offsets[row + 1]]) == bits(fs.softmax(one))
        assert rows.sample(x, u=u, on_invalid="flag")[row] == fs.sample(one, u=u[row], on_invalid="flag")


def test_more_long_rows_than_threads_take_whole(threads):
    threads(2)
    rows = fs.SegmentedRows.from_lengths([1 << 18] * 17)
    x = np.zeros(17 << 18, np.float32)
    x[5 << 18] = np.nan
    assert np.isnan(rows.logsumexp(x)).nonzero()[0].tolist() == [5]
    with pytest.raises(ValueError, match="row 5 has nan at entry 0"):
        rows.sample(x, rng=0)


@pytest.mark.parametrize("count", [1, 3])
def test_the_first_bad_row_is_named(count, threads, rng):
    threads(count)
    rows = fs.SegmentedRows.from_lengths(np.full(9000, 7))
    x = rng.normal(size=63_000)
    x[[7 * 4000 + 3, 7 * 8000]] = np.nan
    with pytest.raises(ValueError, match=r"logits: row 4000 has nan at entry 3; fix it, or pass on_invalid"):
        rows.sample(x, rng=1)
    x[7 * 2000 : 7 * 2001] = -np.inf
    with pytest.raises(ValueError, match="row 2000 has no entry above -inf"):
        rows.sample(x, rng=1)
    assert (rows.sample(x, rng=1, on_invalid="flag") < 0).nonzero()[0].tolist() == [2000, 4000, 8000]


def test_empty_rows(dtype):
    rows = fs.SegmentedRows([0, 0, 2, 2])
    x = np.zeros(2, dtype)
    assert rows.logsumexp(x).tolist()[::2] == [-np.inf, -np.inf]
    assert rows.softmax(x).tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match=r'row 0 has no entries; drop it, or pass on_invalid="flag"'):
        rows.sample(x, rng=0)
    index, logprob = rows.sample(x, u=0.6, on_invalid="flag", return_logprob=True, flat=True)
    assert index.tolist() == [-1, 1, -1]
    assert np.isnan(logprob).tolist() == [True, False, True]
    assert logprob[1] == pytest.approx(-np.log(2))


@pytest.mark.parametrize("offsets", [[0], [0, 0, 0]])
def test_nothing_at_all(offsets, dtype):
    rows = fs.SegmentedRows(offsets)
    x = np.empty(0, dtype)
    assert rows.softmax(x).shape == rows.log_softmax(x, out=x).shape == (0,)
    assert rows.softmax(x).dtype == rows.logsumexp(x).dtype == dtype
    assert rows.logsumexp(x).tolist() == [-np.inf] * len(rows)
    assert rows.sample(x, rng=0, on_invalid="flag").tolist() == [-1] * len(rows)
    assert rows.softmax([]).dtype == np.float64


def test_uniforms_are_one_a_row_in_order():
    rows = fs.SegmentedRows.from_lengths([3, 0, 4, 2])
    x = np.arange(9.0)
    expected = rows.sample(x, u=np.random.default_rng(5).random(4), on_invalid="flag")
    assert bits(rows.sample(x, rng=np.random.default_rng(5), on_invalid="flag")) == bits(expected)
    assert bits(rows.sample(x, rng=5, on_invalid="flag")) == bits(expected)
    u = fs.keyed_uniforms(3, np.arange(4), 0)
    assert rows.sample(x, u=u, on_invalid="flag").shape == (4,)
    assert rows.sample(x, u=0, on_invalid="flag").tolist() == [0, -1, 0, 0]
    index = rows.sample(x, u=u, on_invalid="flag")
    flat = rows.sample(x, u=u, on_invalid="flag", flat=True)
    assert flat.tolist() == [index[0], -1, index[2] + 3, index[3] + 7]


def test_lists_integers_and_tensors():
    rows = fs.SegmentedRows([0, 1, 3])
    assert rows.softmax([1, 2, 2]).tolist() == [1.0, 0.5, 0.5]
    assert rows.logsumexp(np.array([1, 2, 2], np.int8), [1, 2]).tolist() == [1.0, 1.0 + np.log(2)]
    torch = pytest.importorskip("torch")
    x = torch.tensor([1.0, 2.0, 2.0])
    assert rows.softmax(x, out=x) is x
    assert x.tolist() == [1.0, 0.5, 0.5]


def test_offsets_lengths_and_ids_say_the_same():
    expected = [0, 3, 3, 5, 5]
    for rows in (
        fs.SegmentedRows(np.array(expected, np.int32)),
        fs.SegmentedRows(np.array(expected, np.uint64)),
        fs.SegmentedRows(np.array(expected, ">i8")[::1]),
        fs.SegmentedRows.from_lengths([3, 0, 2, 0]),
        fs.SegmentedRows.from_ids([0, 0, 0, 2, 2], 4),
    ):
        assert rows.offsets.tolist() == expected
        assert rows.offsets.dtype == np.int64
        assert rows.lengths.tolist() == [3, 0, 2, 0]
        assert len(rows) == 4
        assert repr(rows) == "SegmentedRows of 4 rows, 5 entries"
    assert len(fs.SegmentedRows.from_ids([0, 0, 0, 2, 2])) == 3
    assert len(fs.SegmentedRows.from_ids([])) == len(fs.SegmentedRows.from_lengths([])) == 0


def test_offsets_cannot_change():
    given = np.array([0, 1, 3])
    rows = fs.SegmentedRows(given)
    given[1] = 100
    assert rows.offsets.tolist() == [0, 1, 3]
    with pytest.raises(ValueError, match="read-only"):
        rows.offsets[1] = 100
    with pytest.raises(ValueError):
        rows.offsets.flags.writeable = True
    for same in (pickle.loads(pickle.dumps(rows)), copy.copy(rows), copy.deepcopy(rows)):
        assert same.offsets.tolist() == [0, 1, 3]
        assert not same.offsets.flags.writeable


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: fs.SegmentedRows([]), ValueError, r"\[0\] for no rows"),
        (lambda: fs.SegmentedRows(3), ValueError, "one-dimensional"),
        (lambda: fs.SegmentedRows([[0, 1]]), ValueError, "one-dimensional"),
        (lambda: fs.SegmentedRows([1, 2]), ValueError, "must begin with 0, not 1"),
        (lambda: fs.SegmentedRows([0, 5, 4]), ValueError, r"row 1 would end at offsets\[2\] = 4, before"),
        (lambda: fs.SegmentedRows([0, -1]), ValueError, "row 0 would end"),
        (lambda: fs.SegmentedRows([0.0, 1.0]), TypeError, "offsets must be integers"),
        (lambda: fs.SegmentedRows([False, True]), TypeError, "offsets must be integers"),
        (lambda: fs.SegmentedRows(np.array([0, 2**63], np.uint64)), ValueError, r"below 2\*\*63"),
        (lambda: fs.SegmentedRows(np.ma.array([0, 1], mask=[0, 1])), TypeError, "masked array"),
        (lambda: fs.SegmentedRows.from_lengths([1, -2]), ValueError, "got -2 for row 1"),
        (lambda: fs.SegmentedRows.from_lengths([2**62, 2**62]), ValueError, r"less than 2\*\*62"),
        (lambda: fs.SegmentedRows.from_lengths(["a"]), TypeError, "lengths must be integers"),
        (lambda: fs.SegmentedRows.from_ids([0, 2, 1]), ValueError, r"ids\[2\] = 1 is below ids\[1\] = 2: sort"),
        (lambda: fs.SegmentedRows.from_ids([-1, 0]), ValueError, "must be in"),
        (lambda: fs.SegmentedRows.from_ids([0, 4], 4), ValueError, r"in \[0, 4\), got 4"),
        (lambda: fs.SegmentedRows.from_ids([0], 1.0), TypeError, "count must be an int"),
        (lambda: fs.SegmentedRows.from_ids([0], -1), ValueError, "count must be"),
    ],
)
def test_errors_of_offsets(make, error, match):
    with pytest.raises(error, match=match):
        make()


ROWS = fs.SegmentedRows([0, 1, 3])
X = np.arange(3.0)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (
            lambda: ROWS.softmax(np.zeros(4)),
            ValueError,
            r"the 3 entries of the rows .*, not of shape \(4,\)",
        ),
        (lambda: ROWS.logsumexp(np.zeros((3, 1))), ValueError, r"not of shape \(3, 1\)"),
        (lambda: ROWS.sample(np.zeros(2), rng=0), ValueError, "logits must be one-dimensional with the 3 entries"),
        (lambda: ROWS.softmax(X + 0j), TypeError, "x must be float16"),
        (lambda: ROWS.softmax(X, -1.0), ValueError, "temperature must be zero, positive or inf; got -1.0"),
        (lambda: ROWS.softmax(X, [1.0, np.nan]), ValueError, r"got nan \(row 1\)"),
        (lambda: ROWS.softmax(X, [1.0, 1.0, 1.0]), ValueError, r"shape \(3,\) does not broadcast to the rows"),
        (lambda: ROWS.softmax(X, out=np.zeros(2)), ValueError, r"out has shape \(2,\)"),
        (lambda: ROWS.softmax(X, out=np.zeros(3, np.float32)), TypeError, "out has dtype float32"),
        (lambda: ROWS.softmax(X, out=[0.0] * 3), TypeError, "out must be an array, not list"),
        (lambda: ROWS.sample(X, u=[0.1, 1.0]), ValueError, r"u must be in \[0, 1\)"),
        (lambda: ROWS.sample(X, u=[0.1] * 3), ValueError, "u of shape"),
        (lambda: ROWS.sample(X, u=0.1, rng=0), ValueError, "u and rng are both given"),
        (lambda: ROWS.sample(X, rng=np.random.RandomState(0)), TypeError, "RandomState"),
        (lambda: ROWS.sample(X, on_invalid="skip"), ValueError, "on_invalid must be"),
        (lambda: ROWS.softmax(np.ma.array(X)), TypeError, "masked array"),
    ],
)
def test_errors_of_calls(call, error, match):
    with pytest.raises(error, match=match):
        call()


def test_no_uniform_is_taken_where_an_argument_is_wrong():
    rng = np.random.default_rng(1)
    for wrong in (lambda: ROWS.sample(np.zeros(4), rng=rng), lambda: ROWS.sample(X, -1.0, rng=rng)):
        with pytest.raises(ValueError):
            wrong()
    assert rng.random() == np.random.default_rng(1).random()


def test_nothing_is_written_where_an_argument_is_wrong():
    out = np.full(3, 7.0)
    for temperature in (-1.0, [1.0, np.nan], [1.0] * 5):
        with pytest.raises(ValueError):
            ROWS.softmax(X, temperature, out=out)
    assert out.tolist() == [7.0] * 3
