"""Dask collections passed to the functions for arrays: to the integration, or an error; nothing is computed unasked."""

import subprocess
import sys

import numpy as np
import pytest

import fastsoftmax as fs

da = pytest.importorskip("dask.array")
import dask  # noqa: E402

X = np.random.default_rng(0).normal(size=(4, 50)).astype(np.float32)


@pytest.fixture
def lazy():
    """An array that says so if it is computed."""

    def never(block):
        raise AssertionError("computed")

    return da.from_array(X, chunks=(2, 20)).map_blocks(never, meta=np.empty((0, 0), X.dtype))


def test_softmax_and_the_others_go_to_the_integration():
    lazy, t = da.from_array(X, chunks=(2, 20)), np.array([0.5, 1, 2, 3])
    for name in ("softmax", "log_softmax", "logsumexp"):
        function = getattr(fs, name)
        for temperature in (0.7, t, da.from_array(t, chunks=1)):
            for axis in (0, -1) if np.ndim(temperature) == 0 else (-1,):
                got = function(lazy, temperature, axis=axis)
                assert isinstance(got, da.Array)
                expected = function(X, np.asarray(temperature), axis=axis)
                assert got.compute().tobytes() == expected.tobytes()
    assert fs.logsumexp(lazy, keepdims=True).compute().shape == (4, 1)
    assert fs.softmax(lazy[0], axis=None).compute().tobytes() == fs.softmax(X[0]).tobytes()


@pytest.mark.parametrize(
    "given",
    [
        {"u": np.full(4, 0.3)},
        {"u": da.full(4, 0.3, chunks=1)},
        {"rng": 5, "size": 3},
        {"rng": 5, "return_logprob": True, "mask": X > 0, "bias": da.from_array(X[0], chunks=7)},
        {"rng": 5, "top_k": 3, "top_p": np.full(4, 0.9)},
        {"u": 0.6, "top_k": da.from_array(np.arange(1, 5), chunks=1), "min_p": 0.01},
        {"rng": 5, "xtc_threshold": 0.1, "xtc_probability": 0.5},
        {"u": 0.5, "xtc_u": np.full(4, 0.1), "xtc_threshold": 0.1, "xtc_probability": 0.5, "keep": [1]},
        {"rng": 5, "axis": 0, "on_invalid": "flag"},
    ],
    ids=str,
)
def test_sample_goes_to_the_integration_with_all_it_takes(given):
    got = fs.sample(da.from_array(X, chunks=(2, 20)), 0.8, **given)
    eager = {name: value.compute() if isinstance(value, da.Array) else value for name, value in given.items()}
    expected = fs.sample(X, 0.8, **eager)
    pairs = zip(got, expected, strict=True) if given.get("return_logprob") else [(got, expected)]
    for one, other in pairs:
        assert isinstance(one, da.Array) and one.compute().tobytes() == other.tobytes()


def test_what_cannot_be_given_for_a_dask_array_is_said(lazy):
    with pytest.raises(TypeError, match="^out cannot be given for a Dask array, which is computed later"):
        fs.softmax(lazy, out=np.empty_like(X))
    with pytest.raises(TypeError, match="^out must be an array, not a Dask array"):
        fs.softmax(X, out=lazy)
    for function in (fs.softmax, fs.log_softmax, fs.logsumexp):
        with pytest.raises(TypeError, match=r"^where cannot be given .*dask.array.where\(where, x, -numpy.inf\)"):
            function(lazy, where=X > 0)
    with pytest.raises(TypeError, match="^axis must be one int for a Dask array"):
        fs.softmax(lazy, axis=(0, 1))
    with pytest.raises(ValueError, match="^u and rng are both given"):
        fs.sample(lazy, u=0.5, rng=1)


def eager_calls(lazy):
    """Every public function with a Dask array for each argument that takes arrays, and the argument's name."""
    row, index, some = lazy[0], lazy[:, 0].astype(int), lazy > 0
    tokens = np.zeros((4, 2), int)
    for function in (fs.softmax, fs.log_softmax, fs.logsumexp, fs.entropy):
        yield "temperature", lambda function=function: function(X, lazy[:, 0])
        yield "where", lambda function=function: function(X, where=some)
    yield "x", lambda: fs.logsumexp(lazy, b=X)
    yield "b", lambda: fs.logsumexp(X, b=lazy)
    yield "x", lambda: fs.entropy(lazy)
    yield "probs", lambda: fs.softmax_probs(lazy)
    yield "x", lambda: fs.log_prob(lazy, [0, 0, 0, 0])
    yield "index", lambda: fs.log_prob(X, index)
    yield "x", lambda: fs.kl_divergence(lazy, X)
    yield "y", lambda: fs.kl_divergence(X, lazy)
    yield "probs", lambda: fs.sample_probs(lazy)
    for name in ("temperature", "u", "xtc_u", "top_k", "top_p"):
        yield name, lambda name=name: fs.sample(X, **{name: index if name == "top_k" else lazy[:, 0]})
    yield "mask", lambda: fs.sample(X, mask=some)
    yield "bias", lambda: fs.sample(X, bias=lazy)
    yield "keep", lambda: fs.sample(X, top_k=3, keep=index)
    yield "logits", lambda: fs.sample_without_replacement(lazy, 2)
    yield "logits", lambda: fs.truncate(lazy, top_k=3)
    yield "logits", lambda: fs.top_logprobs(lazy, 2)
    yield "chosen", lambda: fs.top_logprobs(X, 2, chosen=index)
    yield "logits", lambda: fs.penalize(lazy, tokens, repetition=1.1)
    yield "tokens", lambda: fs.penalize(X, lazy[:, :2].astype(int), repetition=1.1)
    yield "logits", lambda: fs.Sampler(seed=1)(lazy)
    yield "keys", lambda: fs.Sampler(seed=1)(X, keys=index)
    yield "temperature", lambda: fs.Sampler(lazy[:, 0])
    yield "mask", lambda: fs.Sampler(mask=some)
    yield "logits", lambda: fs.Categorical(row)
    yield "probs", lambda: fs.Categorical(probs=row)
    yield "keys", lambda: fs.keyed_uniforms(1, index)
    yield "seed", lambda: fs.keyed_uniforms(index, 1)
    yield "logits_shard", lambda: fs.summarize(lazy)
    yield "logits_shard", lambda: fs.softmax_from_summary(lazy, fs.summarize(X), offset=0)
    yield "u", lambda: fs.locate_draws(fs.summarize(X), u=lazy[:, 0])
    yield "x", lambda: fs.SegmentedRows([0, 20, 50]).softmax(row)
    yield "offsets", lambda: fs.SegmentedRows(index)
    yield "target_logits", lambda: fs.verify_draft(lazy.reshape(2, 2, 50), None, [[1], [2]])
    yield "draft_logits", lambda: fs.verify_draft(X.reshape(2, 2, 50), lazy.reshape(2, 2, 50)[:, :1], [[1], [2]])
    yield "tokens", lambda: fs.verify_draft(X.reshape(2, 2, 50), None, index.reshape(2, 2)[:, :1])
    yield "target_logits", lambda: fs.verify_tree(lazy, None, [1, 2, 3], [-1, 0, 0])
    yield "parents", lambda: fs.verify_tree(X, None, [1, 2, 3], index[1:])


def test_everything_else_is_an_error_that_says_what_to_do(lazy):
    for name, call in eager_calls(lazy):
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).startswith(f"{name} is a Dask array, which would be computed into memory"), name
        assert f"pass {name}.compute()" in str(caught.value)
        assert "fastsoftmax.integrations.dask" in str(caught.value)


def test_lists_of_dask_arrays_are_not_computed(lazy):
    for given in ([lazy[0], lazy[1]], [[lazy[0]], (lazy[1],)]):
        with pytest.raises(TypeError, match=r"^x holds Dask arrays: pass dask.array.stack\(x\)"):
            fs.softmax(given)


def test_other_collections_of_dask_say_what_they_are():
    later = dask.delayed(lambda: X)()
    with pytest.raises(TypeError, match=r"^x is a Delayed of Dask, .*pass x.compute\(\)"):
        fs.softmax(later)


def test_a_data_frame_of_dask_says_how_to_make_an_array_of_it():
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=2)
    for value, kind in ((frame, "DataFrame"), (frame[0], "Series")):
        with pytest.raises(TypeError, match=rf"^x is a {kind} of Dask, .*x.to_dask_array\(lengths=True\) is such an"):
            fs.softmax(value)
    got = fs.softmax(frame.to_dask_array(lengths=True))
    assert got.compute(scheduler="sync").tobytes() == fs.softmax(X).tobytes()


def test_xarray_is_read_if_it_is_in_memory_and_refused_if_it_is_not(lazy):
    xr = pytest.importorskip("xarray")
    assert fs.softmax(xr.DataArray(X)).tobytes() == fs.softmax(X).tobytes()
    with pytest.raises(TypeError, match=r"^x is a DataArray of Dask chunks, .*x.data is such an array"):
        fs.softmax(xr.DataArray(lazy))
    chunked = xr.DataArray(X, dims=("row", "token")).chunk({"row": 2, "token": 20})
    core = {"input_core_dims": [["token"]], "output_core_dims": [["token"]]}
    got = xr.apply_ufunc(fs.softmax, chunked, dask="allowed", **core)
    assert isinstance(got.data, da.Array) and got.values.tobytes() == fs.softmax(X).tobytes()


def test_recognising_a_dask_array_imports_no_dask():
    program = (
        "import sys, numpy as np, fastsoftmax as fs\n"
        "fs.softmax([1.0, 2.0]); fs.sample([[1.0, 2.0]], top_k=[1]); fs.softmax(np.arange(3))\n"
        "print([m for m in sys.modules if m.startswith('dask') or 'integrations' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
