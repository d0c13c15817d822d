"""How each library is asked for a softmax: as its users write it, and in its fastest form where that differs.

A builder takes the case and the number of threads and returns a Contender. Libraries are imported inside the
builders, so that whatever is missing is skipped by name (ImportError); what a library cannot do at all raises
Unsupported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from cases import Case, numpy_dtype
from measure import Contender

Builder = Callable[[Case, int], Contender]


class Unsupported(Exception):
    """The library has no such operation for this input."""


def refusal(failure: Exception) -> dict[str, Any]:
    """A row's status for a library that is not there, cannot do this, or fails."""
    why = (str(failure).splitlines() or [""])[0][:200]
    if isinstance(failure, ImportError):
        return {"status": "skipped", "why": why}
    if isinstance(failure, Unsupported):
        return {"status": "unsupported", "why": why}
    return {"status": "error", "why": f"{type(failure).__name__}: {why}"}


def load_fastsoftmax(threads: int) -> Any:
    import fastsoftmax

    if hasattr(fastsoftmax, "set_num_threads"):
        fastsoftmax.set_num_threads(threads)
    return fastsoftmax


def ours(case: Case, threads: int) -> Contender:
    """fastsoftmax: softmax in place, one draw a row with a Generator, or one draw through a Sampler."""
    fastsoftmax = load_fastsoftmax(threads)
    names: dict[str, Any] = {
        "fastsoftmax": fastsoftmax,
        "t": case.temperature,
        "rng": np.random.default_rng(1),
    }
    if case.operation == "sample":
        draw = "fastsoftmax.sample(x, t, {})"
        return Contender("fastsoftmax", draw.format("rng=rng"), names, with_u=draw.format("u=u"))
    if case.operation == "sampler":
        names["sampler"] = fastsoftmax.Sampler(case.temperature, rng=1)
        method = "sampler.sample_probs" if case.data == "probs" else "sampler"
        return Contender("fastsoftmax", f"{method}(x)", names, with_u=f"{method}(x, u=u)")
    return Contender("fastsoftmax", "fastsoftmax.softmax(x, t, out=x)", names)


def ours_new_array(case: Case, threads: int) -> Contender:
    names = ours(case, threads).names
    return Contender("fastsoftmax-new", "fastsoftmax.softmax(x, t)", names)


def numpy_softmax(case: Case, threads: int) -> Contender:
    names = {"softmax": softmax_formula, "t": case.temperature}
    return Contender("numpy", "softmax(x, t)", names, note="e = exp((x - max(x)) / t); e / e.sum()")


def softmax_formula(x: np.ndarray, temperature: float) -> np.ndarray:
    exponentials = np.exp((x - x.max(axis=-1, keepdims=True)) / x.dtype.type(temperature))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def numpy_softmax_out(case: Case, threads: int) -> Contender:
    def softmax_out(x: np.ndarray, temperature: float) -> np.ndarray:
        np.subtract(x, x.max(axis=-1, keepdims=True), out=x)
        np.divide(x, temperature, out=x)
        np.exp(x, out=x)
        np.divide(x, x.sum(axis=-1, keepdims=True), out=x)
        return x

    names = {"softmax_out": softmax_out, "t": case.temperature}
    return Contender("numpy-out", "softmax_out(x, t)", names, note="the formula with out=x at every step")


def scipy_softmax(case: Case, threads: int) -> Contender:
    import scipy.special

    # NumPy would widen bfloat16 divided by a Python number only if told to; a scalar of the dtype keeps it.
    names = {"scipy": scipy, "t": numpy_dtype(case.dtype).type(case.temperature)}
    return Contender("scipy", "scipy.special.softmax(x / t, axis=-1)", names)


def load_torch(threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    return torch


def from_numpy(array: np.ndarray) -> Any:
    """A tensor on the array's own memory."""
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: Any) -> np.ndarray:
    import torch

    if tensor.is_mkldnn:
        tensor = tensor.to_dense()
    if tensor.dtype == torch.bfloat16:
        return np.asarray(tensor.view(torch.int16).numpy().view(numpy_dtype("bfloat16")))
    return np.asarray(tensor.numpy())


def torch_softmax(case: Case, threads: int) -> Contender:
    names = {"torch": load_torch(threads), "t": case.temperature}
    return Contender("torch", "torch.softmax(x / t, -1)", names, native=from_numpy, result=to_numpy)


def torch_softmax_out(case: Case, threads: int) -> Contender:
    names = {"torch": load_torch(threads), "t": case.temperature}
    code = "torch.softmax(torch.div(x, t, out=x), -1, out=x)"
    return Contender("torch-out", code, names, native=from_numpy, result=to_numpy)


def onednn_softmax(case: Case, threads: int, with_temperature: bool = True) -> Contender:
    """oneDNN through PyTorch's mkldnn tensors, which know multiplication by a number but not division."""
    torch = load_torch(threads)
    if not torch.backends.mkldnn.is_available():
        raise ImportError("this PyTorch is built without oneDNN", name="oneDNN")
    if case.dtype != "float32":
        raise Unsupported(f"mkldnn tensors of {case.dtype}")
    names = {"torch": torch, "s": 1 / case.temperature}
    if with_temperature:
        return Contender(
            "onednn",
            "torch.softmax(x * s, -1)",
            names,
            note="x = tensor.to_mkldnn(); s = 1 / t",
            native=lambda array: torch.from_numpy(array).to_mkldnn(),
            result=to_numpy,
        )
    temperature = np.float32(case.temperature)
    return Contender(
        "onednn-notemp",
        "torch.softmax(x, -1)",
        names,
        note="x = (tensor / t).to_mkldnn(): does less, the temperature is not in the timed part",
        native=lambda array: torch.from_numpy(array / temperature).to_mkldnn(),
        result=to_numpy,
    )


@functools.lru_cache(maxsize=8)
def _onnx_session(dtype: str, temperature: float, dimensions: int, threads: int) -> Any:
    """A session with the graph Div → Softmax and nothing else."""
    import onnx
    import onnxruntime
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    axes = [f"d{index}" for index in range(dimensions)]
    graph = helper.make_graph(
        [
            helper.make_node("Div", ["x", "temperature"], ["scaled"]),
            helper.make_node("Softmax", ["scaled"], ["probs"], axis=-1),
        ],
        "softmax_with_temperature",
        [helper.make_tensor_value_info("x", element, axes)],
        [helper.make_tensor_value_info("probs", element, axes)],
        [helper.make_tensor("temperature", element, [], [temperature])],
    )
    # Old enough for every ONNX Runtime of the last years, new enough for Softmax over one axis.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
        raise Unsupported(f"no CPU kernel for {dtype}") from error


def onnxruntime_softmax(case: Case, threads: int) -> Contender:
    if case.dtype == "bfloat16":
        raise Unsupported("NumPy has no bfloat16 that ONNX Runtime would take")
    session = _onnx_session(case.dtype, case.temperature, len(case.shape), threads)
    return Contender(
        "onnxruntime",
        'session.run(None, {"x": x})[0]',
        {"session": session},
        note="the graph is Div, Softmax",
    )


class _OnnxBinding:
    """Input and output bound once, so that a run copies and allocates nothing."""

    def __init__(self, session: Any, array: np.ndarray) -> None:
        self.output = np.empty_like(array)
        self.binding = session.io_binding()
        self.binding.bind_cpu_input("x", array)
        self.binding.bind_output("probs", "cpu", 0, array.dtype, array.shape, self.output.ctypes.data)


def onnxruntime_bound(case: Case, threads: int) -> Contender:
    if case.dtype == "bfloat16":
        raise Unsupported("NumPy has no bfloat16 that ONNX Runtime would take")
    session = _onnx_session(case.dtype, case.temperature, len(case.shape), threads)

    def run(bound: _OnnxBinding) -> np.ndarray:
        session.run_with_iobinding(bound.binding)
        return bound.output

    return Contender(
        "onnxruntime-bound",
        "run(x)",
        {"run": run},
        note="session.run_with_iobinding, input and output bound beforehand",
        native=lambda array: _OnnxBinding(session, array),
    )


def load_jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def jax_array(array: np.ndarray) -> Any:
    # A copy: JAX takes an aligned NumPy array without one and trusts that it never changes.
    return load_jax().numpy.array(array, copy=True)


def jax_softmax(case: Case, threads: int) -> Contender:
    jax = load_jax()
    temperature = case.temperature
    softmax = jax.jit(lambda x: jax.nn.softmax(x / temperature, axis=-1))
    return Contender(
        "jax",
        "softmax(x).block_until_ready()",
        {"softmax": softmax},
        note="softmax = jax.jit(lambda x: jax.nn.softmax(x / t))",
        native=jax_array,
    )


@functools.lru_cache(maxsize=2)
def numba_kernels(parallel: bool) -> tuple[Any, Any]:
    """softmax(x, t) and draw(x, t, u) over the rows of a matrix, as one would write them with Numba."""
    import numba

    span = numba.prange if parallel else range

    @numba.njit(fastmath=True, parallel=parallel)  # type: ignore[untyped-decorator]
    def softmax(x: Any, temperature: Any) -> Any:
        out = np.empty_like(x)
        for row in span(x.shape[0]):
            peak = x[row].max()
            total = x.dtype.type(0)
            for column in range(x.shape[1]):
                weight = np.exp((x[row, column] - peak) / temperature)
                out[row, column] = weight
                total += weight
            for column in range(x.shape[1]):
                out[row, column] /= total
        return out

    @numba.njit(parallel=parallel)  # type: ignore[untyped-decorator]
    def draw(x: Any, temperature: Any, u: Any) -> Any:
        chosen = np.empty(x.shape[0], np.int64)
        for row in span(x.shape[0]):
            peak = x[row].max()
            weights = np.empty(x.shape[1], x.dtype)
            total = 0.0
            for column in range(x.shape[1]):
                weights[column] = np.exp((x[row, column] - peak) / temperature)
                total += weights[column]
            threshold = u[row] * total
            cumulative = 0.0
            index = x.shape[1] - 1
            for column in range(x.shape[1]):
                cumulative += weights[column]
                if cumulative > threshold:
                    index = column
                    break
            chosen[row] = index
        return chosen

    return softmax, draw


def as_rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, array.shape[-1])


def numba_softmax(case: Case, threads: int) -> Contender:
    softmax, _ = numba_kernels(threads > 1)
    return Contender(
        "numba",
        "softmax(x, t)",
        {"softmax": softmax, "t": numpy_dtype(case.dtype).type(case.temperature)},
        note="three loops over a row, @njit(fastmath=True)",
        native=as_rows,
        result=lambda array: array.reshape(case.shape),
    )


SOFTMAX: dict[str, Builder] = {
    "fastsoftmax": ours,
    "fastsoftmax-new": ours_new_array,
    "torch": torch_softmax,
    "torch-out": torch_softmax_out,
    "onnxruntime": onnxruntime_softmax,
    "onnxruntime-bound": onnxruntime_bound,
    "onednn": onednn_softmax,
    "onednn-notemp": functools.partial(onednn_softmax, with_temperature=False),
    "scipy": scipy_softmax,
    "numpy": numpy_softmax,
    "numpy-out": numpy_softmax_out,
    "jax": jax_softmax,
    "numba": numba_softmax,
}
