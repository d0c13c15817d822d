"""Dask arrays: the bytes of NumPy's results whatever the chunks, lazily, with nothing but summaries on the way."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from oracles import DTYPES

import fastsoftmax as fs

da = pytest.importorskip("dask.array")
import dask  # noqa: E402

from fastsoftmax.integrations import _dask_chunks as chunks  # noqa: E402
from fastsoftmax.integrations import dask as fd  # noqa: E402
from fastsoftmax.integrations._dask_rows import ChunkedRows  # noqa: E402

# Chunks of rows of 5,000 entries: whole, by rows, by the vocabulary between and across blocks, by both.
CHUNKINGS = [(2, -1), (-1, 1024), (3, 1700), ((1, 4, 1), (100, 2047, 2, 2851))]
SHAPE = (6, 5000)


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


@pytest.fixture
def x(dtype, rng):
    x = 3 * rng.normal(size=SHAPE)
    x[1, ::3] = -np.inf
    x[2, 4000] = np.inf
    x[3] = fs.log_softmax(x[3])
    return x.astype(dtype)


def assert_same(got, expected):
    """The Dask array says what it will be, and is it, to the byte."""
    assert isinstance(got, da.Array)
    expected = np.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    assert type(got._meta) is np.ndarray and (got._meta.dtype, got._meta.ndim) == (got.dtype, got.ndim)
    computed = np.asarray(got.compute())
    assert (computed.dtype, computed.shape) == (expected.dtype, expected.shape)
    assert computed.tobytes() == expected.tobytes()


@pytest.mark.parametrize("chunks", CHUNKINGS, ids=str)
def test_the_bits_are_those_of_numpy_whatever_the_chunks(chunks, x):
    lazy = da.from_array(x, chunks=chunks)
    assert_same(fd.softmax(lazy, 0.7), fs.softmax(x, 0.7))
    assert_same(fd.log_softmax(lazy, 0.7), fs.log_softmax(x, 0.7))
    assert_same(fd.logsumexp(lazy), fs.logsumexp(x))
    u = fs.keyed_uniforms(5, np.arange(6), 2)
    assert_same(fd.sample(lazy, 0.7, seed=5, step=2), fs.sample(x, 0.7, u=u))


@pytest.mark.parametrize("temperature", [0, np.inf, 2.0**100])
def test_temperatures_that_have_only_a_limit_are_no_exception(temperature, x):
    lazy = da.from_array(x, chunks=(3, 700))
    assert_same(fd.softmax(lazy, temperature), fs.softmax(x, temperature))
    assert_same(fd.logsumexp(lazy, temperature, keepdims=True), fs.logsumexp(x, temperature, keepdims=True))
    assert_same(fd.sample(lazy, temperature, u=0.9), fs.sample(x, temperature, u=0.9))


def test_each_block_of_a_result_has_the_size_it_says():
    lazy = da.zeros((5, 5000), chunks=(2, 700), dtype=np.float32)
    for result in (fd.softmax(lazy), fd.logsumexp(lazy), fd.logsumexp(lazy, keepdims=True), fd.sample(lazy, seed=1)):
        blocks = dask.compute(*result.to_delayed().ravel())
        sizes = [tuple(result.chunks[axis][i] for axis, i in enumerate(at)) for at in np.ndindex(*result.numblocks)]
        assert [block.shape for block in blocks] == sizes


@pytest.mark.parametrize("chunks", CHUNKINGS, ids=str)
def test_temperatures_uniforms_masks_and_biases_may_be_numbers_numpy_or_dask(chunks, rng):
    x = rng.normal(size=SHAPE).astype(np.float32)
    lazy = da.from_array(x, chunks=chunks)
    temperature, u = rng.uniform(0.3, 3, 6), rng.random(6)
    mask, bias = rng.random(SHAPE) < 0.5, rng.normal(size=SHAPE[1])
    expected = fs.sample(x, temperature, u=u, mask=mask, bias=bias, return_logprob=True)
    for form in (np.asarray, lambda a: da.from_array(a, chunks=1000), lambda a: da.from_array(a, chunks=-1)):
        index, logprob = fd.sample(
            lazy, form(temperature), u=form(u), mask=form(mask), bias=form(bias), return_logprob=True
        )
        assert_same(index, expected[0])
        assert_same(logprob, expected[1])
        assert_same(fd.softmax(lazy, form(temperature)), fs.softmax(x, temperature))
    assert_same(fd.sample(lazy, u=0.25, mask=mask[0]), fs.sample(x, u=0.25, mask=mask[0]))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("chunks", [(2, 400, 2), (600, 2, 3)], ids=str)
def test_any_one_axis_may_hold_the_entries(axis, chunks, rng):
    x = rng.normal(size=[1100 if i == axis % 3 else 3 for i in range(3)]).astype(np.float32)
    temperature = rng.uniform(0.5, 2, (3, 3))
    lazy = da.from_array(x, chunks=chunks)
    assert_same(fd.softmax(lazy, temperature, axis=axis), fs.softmax(x, temperature, axis=axis))
    assert_same(fd.logsumexp(lazy, temperature, axis=axis), fs.logsumexp(x, temperature, axis=axis))
    assert_same(
        fd.logsumexp(lazy, temperature, axis=axis, keepdims=True),
        fs.logsumexp(x, temperature, axis=axis, keepdims=True),
    )
    u = fs.keyed_uniforms(7, np.arange(9).reshape(3, 3))
    mask = rng.random(x.shape) < 0.7
    assert_same(
        fd.sample(lazy, temperature, axis=axis, seed=7, mask=mask),
        fs.sample(x, temperature, axis=axis, u=u, mask=mask),
    )


@pytest.mark.parametrize("n", [1, 3000])
@pytest.mark.parametrize("chunks", [-1, 1000])
def test_one_row_is_a_row(n, chunks, rng):
    x = rng.normal(size=n)
    lazy = da.from_array(x, chunks=chunks)
    assert_same(fd.softmax(lazy), fs.softmax(x))
    assert_same(fd.logsumexp(lazy), fs.logsumexp(x))
    assert_same(fd.sample(lazy, seed=3), fs.sample(x, u=fs.keyed_uniforms(3, 0)))
    assert_same(fd.softmax(da.from_array(np.array(2.5))), fs.softmax(2.5))
    assert_same(fd.logsumexp(da.from_array(np.array(2.5))), fs.logsumexp(np.float64(2.5)))


def test_integers_become_float64_and_no_rows_are_no_trouble():
    x = np.arange(12).reshape(3, 4)
    assert_same(fd.softmax(da.from_array(x, chunks=2)), fs.softmax(x))
    empty = da.zeros((0, 3000), chunks=(1, 1024), dtype=np.float32)
    assert fd.softmax(empty).compute().shape == (0, 3000)
    assert fd.sample(empty, seed=1).compute().shape == (0,)


FILTERS = [
    {"top_k": 40},
    {"top_k": np.arange(1, 7), "top_p": 0.9},
    {"typical_p": 0.8, "min_tokens_to_keep": 2, "temperature_last": True},
    {"top_a": 0.2, "top_h": 0.7, "p_less": True, "order": ("top_h", "temperature", "top_a", "p_less"), "keep": [0, 3]},
    {"xtc_threshold": 0.01, "xtc_probability": 0.5},
]


@pytest.mark.parametrize("chunks", CHUNKINGS, ids=str)
@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_see_whole_rows_whatever_the_chunks(chunks, filters, rng):
    x = (3 * rng.normal(size=SHAPE)).astype(np.float32)
    lazy = da.from_array(x, chunks=chunks)
    sampler = fs.Sampler(0.8, seed=11, **filters)  # whose keys are the numbers of the rows
    assert_same(fd.sample(lazy, 0.8, seed=11, **filters), sampler(x))
    coins = {"xtc_u": np.full(6, 0.3)} if "xtc_threshold" in filters else {}
    index, logprob = fd.sample(lazy, 0.8, u=0.6, return_logprob=True, **filters, **coins)
    expected = fs.sample(x, 0.8, u=0.6, return_logprob=True, **filters, **coins)
    assert_same(index, expected[0])
    assert_same(logprob, expected[1])


def test_a_filter_with_a_dask_value_for_each_row(rng):
    x, k = rng.normal(size=SHAPE), np.arange(1, 7)
    drawn = fd.sample(da.from_array(x, chunks=(4, 1000)), u=0.9, top_k=da.from_array(k, chunks=3))
    assert_same(drawn, fs.sample(x, u=0.9, top_k=k))


def test_nothing_is_computed_before_it_is_asked_for():
    def never(*_, **__):
        raise AssertionError("computed")

    lazy = da.map_blocks(never, chunks=((2, 2), (1024, 1024)), dtype=np.float32, meta=np.empty((0, 0), np.float32))
    number = da.map_blocks(never, chunks=((2, 2),), dtype=np.float64, meta=np.empty(0))
    for build in (
        lambda: fd.softmax(lazy, number),
        lambda: fd.logsumexp(lazy, number),
        lambda: fd.sample(lazy, number, u=number),
        lambda: fd.sample(lazy, number, u=number, top_k=5),
        lambda: fd.log_softmax(lazy.rechunk((2, -1)), number),
    ):
        result = build()
        with pytest.raises(AssertionError, match="computed"):
            result.compute()


def test_a_seed_from_entropy_is_taken_once():
    lazy = da.zeros((50, 4096), chunks=(10, 1024))
    drawn, other = fd.sample(lazy), fd.sample(lazy)
    np.testing.assert_array_equal(drawn.compute(), drawn.compute())
    assert (drawn.compute() != other.compute()).any()


def test_one_graph_is_one_name():
    lazy = da.zeros((6, 4096), chunks=(2, 1024))
    assert fd.sample(lazy, 0.7, seed=1).name == fd.sample(lazy, 0.7, seed=1).name
    assert fd.sample(lazy, 0.7, seed=1).name != fd.sample(lazy, 0.7, seed=2).name
    assert fd.softmax(lazy, 0.7).name != fd.softmax(lazy, 0.8).name


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", "sample"])
def test_no_chunk_of_logits_goes_to_another_chunk(function):
    """Of all tasks only those of the same rows and the same part of the vocabulary take a chunk of the logits in."""
    lazy = da.zeros((6, 8192), chunks=(2, 1024))
    result = getattr(fd, function)(lazy, 0.7, **({"seed": 1} if function == "sample" else {}))
    graph = result.__dask_graph__()
    takers = 0
    for key, needs in graph.get_all_dependencies().items():
        for need in needs:
            if isinstance(need, tuple) and need[0] == lazy.name:
                assert key[1:3] == need[1:3]
                takers += 1
    assert takers == (24 if function == "logsumexp" else 48)


def test_what_travels_is_small():
    lazy = da.zeros((8, 131072), chunks=(8, 16384), dtype=np.float32)
    result = fd.softmax(lazy, 0.7)
    sizes = []

    def weigh(key, value, *_):
        if isinstance(key, tuple) and not (isinstance(value, np.ndarray) and value.shape == (8, 16384)):
            sizes.append(len(pickle.dumps(value)))

    class Weigher(dask.callbacks.Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            weigh(key, result)

    with Weigher():
        result.compute()
    chunk = 8 * 16384 * 4
    assert sizes and max(sizes) * 200 < 8 * chunk and sum(sizes) * 50 < 8 * chunk


def test_wrong_input_is_rejected_before_anything_is_built():
    x = np.zeros((4, 3000))
    lazy = da.from_array(x, chunks=(2, 1024))
    for function in (fd.softmax, fd.log_softmax, fd.logsumexp, fd.sample):
        with pytest.raises(TypeError, match="must be a Dask array, not ndarray; pass dask.array.from_array"):
            function(x)
        with pytest.raises(TypeError, match="axis must be one int"):
            function(lazy, axis=(0, 1))
        with pytest.raises(TypeError, match="axis must be one int"):
            function(lazy, axis=None)
        assert function(lazy[0], axis=None).shape == function(lazy[0], axis=(0,)).shape == function(lazy[0]).shape
        with pytest.raises(np.exceptions.AxisError):
            function(lazy, axis=2)
        with pytest.raises(ValueError, match="unknown size; call .*compute_chunk_sizes"):
            function(lazy[lazy[:, 0] > 0])
        with pytest.raises(TypeError, match="complex"):
            function(lazy.astype(complex))
        with pytest.raises(ValueError, match="temperature must be zero, positive or inf"):
            function(lazy, -1)
        with pytest.raises(ValueError, match=r"temperature of shape \(3,\)"):
            function(lazy, [1.0, 2.0, 3.0])
        with pytest.raises(ValueError, match=r"temperature of shape \(3,\)"):
            function(lazy, da.ones(3))
        with pytest.raises(ValueError, match="for a shard"):
            function(lazy, 1e-300)
        with pytest.raises(ValueError, match="no entries"):
            function(da.zeros((3, 0)))
    with pytest.raises(ValueError, match="u and seed"):
        fd.sample(lazy, u=0.5, seed=1)
    with pytest.raises(ValueError, match=r"u must be in \[0, 1\)"):
        fd.sample(lazy, u=1.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'top_q'"):
        fd.sample(lazy, top_q=1)
    with pytest.raises(ValueError, match="top_p"):
        fd.sample(lazy, top_p=2.0)
    with pytest.raises(TypeError, match="mask must be bool"):
        fd.sample(lazy, mask=np.zeros((4, 94)))
    with pytest.raises(TypeError, match="bias must be an array"):
        fd.sample(lazy, bias={1: 2.0})
    with pytest.raises(ValueError, match=r"mask of shape \(4, 7\)"):
        fd.sample(lazy, mask=np.ones((4, 7), bool))
    with pytest.raises(ValueError, match=r"mask of shape \(4, 1\) has no value for each of the 3000 entries"):
        fd.sample(lazy, mask=np.ones((4, 1), bool))
    with pytest.raises(ValueError, match="on_invalid"):
        fd.sample(lazy, on_invalid="ignore")
    with pytest.raises(ValueError, match="seed"):
        fd.sample(lazy, seed=-1)
    assert_same(fd.softmax(lazy.rechunk((2, -1)), 1e-300), fs.softmax(x, 1e-300))


@pytest.mark.parametrize("chunks", [(2, -1), (2, 1024)], ids=str)
def test_rows_that_cannot_be_drawn_from_are_named_or_flagged(chunks):
    x = np.zeros((6, 3000))
    x[3, 2000] = np.nan
    lazy = da.from_array(x, chunks=chunks)
    with pytest.raises(ValueError, match=r"^logits: row 3 h"):
        fd.sample(lazy, seed=1).compute()
    index, logprob = dask.compute(*fd.sample(lazy, u=0.0, on_invalid="flag", return_logprob=True))
    assert index.tolist() == [0, 0, 0, -1, 0, 0]
    assert np.isnan(logprob).tolist() == [False, False, False, True, False, False]


def test_a_chunk_without_rows_is_no_trouble(rng):
    x = rng.normal(size=(20, 3000))
    lazy = da.from_array(x, chunks=(10, 1024))
    lazy = lazy[da.arange(20, chunks=10) >= 10].compute_chunk_sizes()
    assert lazy.chunks[0] == (0, 10)
    u = fs.keyed_uniforms(1, np.arange(10))
    index, logprob = fd.sample(lazy, seed=1, return_logprob=True)
    expected = fs.sample(x[10:], u=u, return_logprob=True)
    assert_same(index, expected[0])
    assert_same(logprob, expected[1])
    assert_same(fd.softmax(lazy), fs.softmax(x[10:]))
    assert_same(fd.logsumexp(lazy), fs.logsumexp(x[10:]))


def every_call(lazy, **parameters):
    name = "logits"
    yield name, fd.sample(lazy, seed=1, **parameters)
    for function in (fd.softmax, fd.log_softmax, fd.logsumexp):
        yield "x", function(lazy, **parameters)


@pytest.mark.parametrize("chunks", [(2, -1), (2, 1024)], ids=str)
def test_an_error_has_the_rows_number_in_the_whole_array_and_names_the_argument(chunks, rng):
    x = rng.normal(size=(6, 3000))
    lazy = da.from_array(x, chunks=chunks)
    hot = np.ones(6)
    hot[3] = -1.0
    for _, result in every_call(lazy, temperature=da.from_array(hot, chunks=2)):
        with pytest.raises(ValueError, match=r"^temperature .*got -1.0 \(row 3\)$"):
            result.compute()
    masked = lazy.map_blocks(np.ma.masked_array, dtype=x.dtype, meta=np.empty((0, 0)))
    for name, result in every_call(masked):
        with pytest.raises(TypeError, match=f"^{name} is a masked array"):
            result.compute()
    for name, given, wanted in (
        ("u", {"u": np.where(np.arange(6) == 5, 1.5, 0.5)}, r"^u must be in \[0, 1\), got 1.5 at index 5$"),
        ("top_p", {"top_p": np.where(np.arange(6) == 5, 1.5, 0.5), "seed": 1}, r"^top_p .*got 1.5 \(row 5\)$"),
    ):
        lazily = given | {name: da.from_array(given[name], chunks=2)}
        with pytest.raises(ValueError, match=wanted):
            fd.sample(lazy, **lazily).compute()
    x = x.copy()
    x[3, 2000] = np.nan
    with pytest.raises(ValueError, match=r"^logits: row 3 h"):
        fd.sample(da.from_array(x, chunks=chunks), seed=1).compute()


@pytest.mark.parametrize("chunks", [(1, 2, -1), (1, 2, 700)], ids=str)
def test_rows_of_several_axes_have_their_index_in_the_whole_array(chunks, rng):
    x = rng.normal(size=(3, 4, 1500))
    hot, u, p = np.ones((3, 4)), np.full((3, 4, 2), 0.5), np.full((3, 4), 0.5)
    hot[2, 3], u[2, 3, 1], p[2, 3] = np.nan, 1.0, 2.0
    lazy = da.from_array(x, chunks=chunks)
    for _, result in every_call(lazy, temperature=da.from_array(hot, chunks=1)):
        with pytest.raises(ValueError, match=r"^temperature .*got nan \(row \(2, 3\)\)$"):
            result.compute()
    with pytest.raises(ValueError, match=r"^u must be .* at index \(2, 3, 1\)$"):
        fd.sample(lazy, u=da.from_array(u, chunks=1), size=2).compute()
    with pytest.raises(ValueError, match=r"^top_p .*\(row \(2, 3\)\)$"):
        fd.sample(lazy, seed=1, top_p=da.from_array(p, chunks=1)).compute()
    x[2, 3, 1400] = np.nan
    with pytest.raises(ValueError, match=r"^logits: row \(2, 3\) h"):
        fd.sample(da.from_array(x, chunks=chunks), seed=1).compute()


def test_logits_that_change_between_two_looks_are_named_with_their_row():
    looks = []

    def scores(block_info=None):
        (row, past_row), (first, past) = block_info[None]["array-location"]
        looks.append((row, first))
        return np.full((past_row - row, past - first), 100.0 * (row > 0) * len(looks))

    shape = {"chunks": ((2, 2), (1000, 1048)), "dtype": np.float64}
    first, again = da.map_blocks(scores, **shape), da.map_blocks(scores, **shape, name="again")
    rows = ChunkedRows(first, -1, "x", 1.0)
    finished = rows.map(
        chunks.finish_block, rows.entries._replace(value=again), rows.temperature,
        rows.combined(chunks.factors_of_blocks), rows.places, dtype=np.float64, entries=rows.chunks[-1], length=2048,
        log=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"^x: row 2 does not hold what was summarised"):
        finished.compute(scheduler="sync")
    assert len(looks) > len(set(looks))


def test_parameters_with_chunks_of_unknown_size_say_what_to_call(rng):
    lazy = da.from_array(rng.normal(size=(6, 3000)), chunks=(2, 1024))
    ones = da.ones(6, chunks=2)
    unknown = ones[ones > 0]
    entries = da.ones((6, 3000), chunks=(2, 1024))
    entries = entries[ones > 0]
    for name, given in {
        "temperature": {"temperature": unknown},
        "u": {"u": unknown / 2},
        "top_p": {"top_p": unknown / 2},
        "mask": {"mask": entries > 0},
        "bias": {"bias": entries},
    }.items():
        with pytest.raises(ValueError, match=rf"^{name} has chunks of unknown size; call {name}\.compute_chunk_sizes"):
            fd.sample(lazy, **given)
    with pytest.raises(ValueError, match="^temperature has chunks of unknown size"):
        fd.softmax(lazy, unknown)


def test_without_dask_one_sentence_says_what_to_install():
    program = (
        "import sys; sys.modules['dask'] = None\n"
        "import fastsoftmax\n"
        "try:\n    import fastsoftmax.integrations.dask\n"
        "except ImportError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == 'fastsoftmax.integrations.dask needs Dask: pip install "dask[array]"\n'


def test_fastsoftmax_itself_imports_no_integration():
    program = "import sys, fastsoftmax; print([m for m in sys.modules if 'integrations' in m or m.startswith('dask')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_dtype_has_its_meta():
    for dtype in DTYPES:
        lazy = da.zeros((2, 3000), chunks=(1, 1024), dtype=dtype)
        assert fd.softmax(lazy).dtype == dtype and fd.softmax(lazy).compute().dtype == dtype


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint64])
@pytest.mark.parametrize("chunks", CHUNKINGS, ids=str)
def test_masks_of_integers(chunks, dtype, rng):
    x, allowed = rng.normal(size=SHAPE), rng.random(SHAPE) < 0.5
    u = fs.keyed_uniforms(5, np.arange(6), 0)
    expected = fs.sample(x, u=u, mask=allowed)
    lazy, mask = da.from_array(x, chunks=chunks), allowed.astype(dtype)
    for given in (mask, da.from_array(mask, chunks=(2, 1000))):
        assert_same(fd.sample(lazy, seed=5, mask=given), expected)
    assert_same(fd.sample(lazy, seed=5, mask=mask[0]), fs.sample(x, u=u, mask=allowed[0]))
    mask[4, 3000] = 3
    with pytest.raises(ValueError, match=rf"mask of {np.dtype(dtype)} must hold 0 and 1.*3 at \(4, 3000\)"):
        fd.sample(lazy, seed=5, mask=mask)
    with pytest.raises(ValueError, match=r"3 at \(4, 3000\)"):
        fd.sample(lazy, seed=5, mask=da.from_array(mask, chunks=(2, 1000))).compute()
    with pytest.raises(TypeError, match="bias must be an array .* not a list of mappings"):
        fd.sample(lazy, bias=[{1: 2.0}] * 6)
