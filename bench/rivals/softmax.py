"""softmax(x / t) and its relatives, and our own calls on threads, from Python and through the C API."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case
from timing import Contender

import fastsoftmax

from . import Builder, call, contender, drawing, softmax_formula, torch_call, with_torch


def plain(code: str, **names: Any) -> Builder:
    return call(code, code, **names)


def axis_of(case: Case) -> Any:
    return case.options.get("axis", -1)


def scipy(case: Case, name: str = "softmax", scaled: str = "x / t", **fields: Any) -> Contender:
    import scipy.special

    code = f"scipy.special.{name}({scaled}, axis={axis_of(case)})"
    fields["names"] = {"scipy": scipy, **fields.get("names", {})}
    return contender(case, code, code, **fields)


def onednn(case: Case) -> Contender:
    """PyTorch's mkldnn tensors, which can be multiplied by a number but not divided."""
    import torch

    if not torch.backends.mkldnn.is_available():
        raise ImportError("this PyTorch is built without oneDNN")
    code = "torch.softmax(x * (1 / t), -1)"
    return with_torch(case, code, f"{code}.to_dense()", native=lambda x: torch.from_numpy(x).to_mkldnn())


def onnx_model(name: str, axis: int, dtype: str, temperature: float, dimensions: int) -> bytes:
    """The graph Div, then Softmax or LogSoftmax, and nothing else."""
    from onnx import helper

    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    axes = [f"d{index}" for index in range(dimensions)]
    nodes = [
        helper.make_node("Div", ["x", "temperature"], ["scaled"]),
        helper.make_node(name, ["scaled"], ["probs"], axis=axis),
    ]
    ends = [[helper.make_tensor_value_info(name, element, axes)] for name in ("x", "probs")]
    graph = helper.make_graph(nodes, "softmax", *ends, [helper.make_tensor("temperature", element, [], [temperature])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@functools.lru_cache(maxsize=8)
def _onnx_session(name: str, axis: int, dtype: str, temperature: float, dimensions: int, threads: int) -> Any:
    import onnxruntime

    model = onnx_model(name, axis, dtype, temperature, dimensions)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def onnxruntime(case: Case, name: str = "Softmax") -> Contender:
    session = _onnx_session(name, axis_of(case), case.dtype, case.temperature, len(case.shape), case.threads)
    return plain('session.run(None, {"x": x})[0]', session=session)(case)


def tract(case: Case, name: str = "Softmax") -> Contender:
    """On a tensor of its own, with a model for this shape; it uses one thread."""
    import tract

    if case.threads > 1:
        raise ImportError("tract's Python package uses one thread")
    graph = onnx_model(name, axis_of(case), case.dtype, case.temperature, len(case.shape))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(graph)
        model = tract.onnx().load(path)
    model.set_input_fact(0, ",".join([*map(str, case.shape), f"f{8 * np.dtype(case.dtype).itemsize}"]))
    names = {"state": model.into_model().into_runnable().spawn_state()}
    code = "state.run([x])[0]"
    return contender(case, code, f"{code}.to_numpy()", names=names, native=tract.Tensor.from_numpy)


def mkl(case: Case) -> Contender:
    """oneMKL has no softmax: the lines of NumPy with its exponential, as Intel's package for NumPy has it."""
    import mkl_umath

    axis = f", axis={axis}" if (axis := axis_of(case)) != -1 else ""
    return plain(f"softmax(x, t{axis}, exp=mkl_umath.exp)", softmax=softmax_formula, mkl_umath=mkl_umath)(case)


@functools.lru_cache(maxsize=8)
def _openvino_model(name: str, axis: int, dtype: str, temperature: float, dimensions: int, threads: int) -> Any:
    """The same graph in the type of the rows, not in bfloat16, which some CPUs are given."""
    import openvino
    from openvino import opset13

    element = openvino.Type(np.dtype(dtype))
    x = opset13.parameter([-1] * dimensions, element, name="x")
    scaled = opset13.divide(x, opset13.constant(np.array(temperature, dtype)))
    model = openvino.Model([getattr(opset13, name)(scaled, axis)], [x])
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": element.get_type_name()}
    return openvino.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY", **settings})


def openvino(case: Case, name: str = "softmax") -> Contender:
    """With the input shared and not copied; its output is its own."""
    model = _openvino_model(name, axis_of(case), case.dtype, case.temperature, len(case.shape), case.threads)
    return plain("model(x, share_inputs=True)[0]", model=model)(case)


def jax(case: Case, name: str = "softmax") -> Contender:
    """On a copy: JAX takes an aligned NumPy array as it is and trusts that it never changes."""
    import jax

    jax.config.update("jax_enable_x64", True)
    function, temperature = getattr(jax.nn, name), case.temperatures()
    names = {name: jax.jit(lambda x: function(x / temperature, axis=axis_of(case)))}
    code = f"{name}(x).block_until_ready()"
    return contender(case, code, code, names=names, native=lambda x: jax.numpy.array(x, copy=True))


def on_threads(case: Case, count: int) -> Contender:
    """Our call with `count` threads allowed; set_num_threads is part of the timed call, on both sides."""

    def on(function: Any, *args: Any, **kwargs: Any) -> Any:
        fastsoftmax.set_num_threads(count)
        return function(*args, **kwargs)

    if case.operation == "threads-sample":
        return drawing("on(fastsoftmax.sample, x, t, {})", on=on)(case)
    return plain("on(fastsoftmax.softmax, x, t, out=x)", on=on)(case)


def c_api(case: Case, exports: bool) -> Contender:
    """A call from compiled code: through the pointer that Cython and Numba get, or straight to the C kernel."""
    draws, timer = case.operation == "c-api-draw", fastsoftmax._core._time_c_api
    return contender(
        case,
        "fs_draw_f32" if draws else "fs_softmax_f32",
        timer=lambda row, calls: float(timer(row, case.temperature, calls, draws, exports)),
    )


OURS, KERNEL = plain("fastsoftmax.softmax(x, t, out=x)"), functools.partial(c_api, exports=False)
_API = {"fastsoftmax": functools.partial(c_api, exports=True), "fastsoftmax-kernel": KERNEL}
_THREADS = {
    "fastsoftmax": lambda case: on_threads(case, case.threads),
    "fastsoftmax-alone": lambda case: on_threads(case, 1),
}
_SOFTMAX = {
    "fastsoftmax": OURS,
    "fastsoftmax-new": plain("fastsoftmax.softmax(x, t)"),
    "torch": torch_call("torch.softmax(x / t, -1)", "torch.softmax(x / t, -1)"),
    "onnxruntime": onnxruntime,
    "onednn": onednn,
    "openvino": openvino,
    "tract": tract,
    "mkl": mkl,
    "scipy": scipy,
    "numpy": plain("softmax(x, t)", softmax=softmax_formula),
    "jax": jax,
}
RIVALS = {
    "softmax": _SOFTMAX,
    "accuracy": _SOFTMAX,
    "overhead": {"fastsoftmax": OURS, "fastsoftmax-kernel": KERNEL},
    "c-api-softmax": _API,
    "c-api-draw": _API,
    "threads-softmax": _THREADS,
    "threads-sample": _THREADS,
}
