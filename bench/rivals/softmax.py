"""softmax(x / t) along the last axis."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from cases import Case, numpy_dtype
from timing import Contender

import fastsoftmax

from . import Unsupported, contender, jax_array, load_jax, load_torch, softmax_formula, with_torch


def ours(case: Case) -> Contender:
    return contender(case, "fastsoftmax.softmax(x, t, out=x)")


def numpy(case: Case) -> Contender:
    names = {"softmax": softmax_formula}
    return contender(case, "softmax(x, t)", names=names)


def scipy(case: Case) -> Contender:
    import scipy.special

    # A scalar of the dtype keeps bfloat16, which a Python number would widen.
    names = {"scipy": scipy, "t": numpy_dtype(case.dtype).type(case.temperature)}
    return contender(case, "scipy.special.softmax(x / t, axis=-1)", names=names)


def onednn(case: Case) -> Contender:
    """PyTorch's mkldnn tensors, which can be multiplied by a number but not divided."""
    torch = load_torch(case)
    if not torch.backends.mkldnn.is_available():
        raise ImportError("this PyTorch is built without oneDNN")
    if case.dtype != "float32":
        raise Unsupported(f"mkldnn tensors of {case.dtype}")
    names = {"s": 1 / case.temperature}
    return with_torch(case, "torch.softmax(x * s, -1)", names=names, native=lambda x: torch.from_numpy(x).to_mkldnn())


@functools.lru_cache(maxsize=8)
def _onnx_session(dtype: str, temperature: float, dimensions: int, threads: int) -> Any:
    """A session with the graph Div, Softmax and nothing else."""
    import onnxruntime
    from onnx import helper

    if dtype == "bfloat16":
        raise Unsupported("NumPy has no bfloat16 that ONNX Runtime would take")
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    axes = [f"d{index}" for index in range(dimensions)]
    nodes = [
        helper.make_node("Div", ["x", "temperature"], ["scaled"]),
        helper.make_node("Softmax", ["scaled"], ["probs"], axis=-1),
    ]
    ends = [[helper.make_tensor_value_info(name, element, axes)] for name in ("x", "probs")]
    graph = helper.make_graph(nodes, "softmax", *ends, [helper.make_tensor("temperature", element, [], [temperature])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
        raise Unsupported(f"no CPU kernel for {dtype}") from error


def onnxruntime(case: Case) -> Contender:
    session = _onnx_session(case.dtype, case.temperature, len(case.shape), case.threads)
    return contender(case, 'session.run(None, {"x": x})[0]', names={"session": session})


def onnxruntime_bound(case: Case) -> Contender:
    """Input and output bound once, so that a run copies and allocates nothing."""
    session = _onnx_session(case.dtype, case.temperature, len(case.shape), case.threads)

    def bind(array: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        output, binding = np.empty_like(array), session.io_binding()
        binding.bind_cpu_input("x", array)
        binding.bind_output("probs", "cpu", 0, array.dtype, array.shape, output.ctypes.data)
        return binding, output, array

    def run(bound: tuple[Any, np.ndarray, np.ndarray]) -> np.ndarray:
        session.run_with_iobinding(bound[0])
        return bound[1]

    return contender(case, "run(x)", names={"run": run}, native=bind)


def jax(case: Case) -> Contender:
    jax, temperature = load_jax(), case.temperature
    names = {"softmax": jax.jit(lambda x: jax.nn.softmax(x / temperature, axis=-1))}
    return contender(case, "softmax(x).block_until_ready()", names=names, native=jax_array)


@functools.lru_cache(maxsize=2)
def _numba_softmax(parallel: bool) -> Any:
    import numba

    span = numba.prange if parallel else range

    @numba.njit(fastmath=True, parallel=parallel)
    def softmax(x: Any, temperature: Any) -> Any:
        out = np.empty_like(x)
        for row in span(x.shape[0]):
            weights = np.exp((x[row] - x[row].max()) / temperature)
            out[row] = weights / weights.sum()
        return out

    return softmax


def numba(case: Case) -> Contender:
    return contender(
        case,
        "softmax(x, t)",
        names={"softmax": _numba_softmax(case.threads > 1), "t": numpy_dtype(case.dtype).type(case.temperature)},
        native=lambda array: array.reshape(-1, array.shape[-1]),
        result=lambda array: array.reshape(case.shape),
    )


def on_threads(case: Case, count: int) -> Contender:
    """Our call with `count` threads allowed; set_num_threads is part of the timed call, on both sides."""

    def on(function: Any, *args: Any, **kwargs: Any) -> Any:
        fastsoftmax.set_num_threads(count)
        return function(*args, **kwargs)

    call = "softmax, x, t, out=x" if case.operation == "threads-softmax" else "sample, x, t, {}"
    draw = {"with_u": f"on(fastsoftmax.{call})".format("u=u")} if "{}" in call else {}
    code = f"on(fastsoftmax.{call})".format("rng=rng")
    return contender(case, code, names={"on": on}, **draw)


def c_kernel(case: Case) -> Contender:
    core, temperature = fastsoftmax._core, case.temperature
    return contender(case, "fs_softmax_f32", timer=lambda row, calls: float(core._time_kernel(row, temperature, calls)))


def c_api(case: Case, through: bool) -> Contender:
    """A call from compiled code: through the pointer that Cython and Numba get, or straight to the C kernel."""
    draws, core = case.operation == "c-api-draw", fastsoftmax._core
    return contender(
        case,
        "fs_draw_f32" if draws else "fs_softmax_f32",
        timer=lambda row, calls: float(core._time_door(row, case.temperature, calls, draws, through)),
    )


def _two(ours: Any, theirs: Any, name: str) -> dict[str, Any]:
    return {"fastsoftmax": ours, f"fastsoftmax-{name}": theirs}


_API = _two(functools.partial(c_api, through=True), functools.partial(c_api, through=False), "kernel")
_THREADS = _two(lambda case: on_threads(case, case.threads), lambda case: on_threads(case, 1), "alone")
_SOFTMAX = {
    "fastsoftmax": ours,
    "fastsoftmax-new": lambda case: contender(case, "fastsoftmax.softmax(x, t)"),
    "torch": lambda case: with_torch(case, "torch.softmax(x / t, -1)"),
    "torch-out": lambda case: with_torch(case, "torch.softmax(torch.div(x, t, out=x), -1, out=x)"),
    "onnxruntime": onnxruntime,
    "onnxruntime-bound": onnxruntime_bound,
    "onednn": onednn,
    "scipy": scipy,
    "numpy": numpy,
    "jax": jax,
    "numba": numba,
}
RIVALS = {
    "softmax": _SOFTMAX,
    "accuracy": _SOFTMAX,
    "overhead": _two(ours, c_kernel, "kernel"),
    "c-api-softmax": _API,
    "c-api-draw": _API,
    "threads-softmax": _THREADS,
    "threads-sample": _THREADS,
}
