"""The operators of PyTorch behind integrations/torch.py: for autograd, torch.compile and torch.func.vmap.

Each is a `torch.library.custom_op` with a kernel for CPU tensors, a function that gives the shape of its result alone,
and where it has one a gradient, written in PyTorch's own operations, so that it can be differentiated again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _sampling, _softmax
from .._args.filters import PARAMETERS
from .._args.keyed import INVERSION

# Filter parameters in the order in which the operator `sample` takes them; NaN: not given.
FILTERS = tuple(PARAMETERS)


def on_cpu(x: Tensor, name: str) -> Tensor:
    """x without its gradient; an error where it is on another device."""
    if not x.is_cpu:
        raise TypeError(f"{name} is on {x.device}, and fastsoftmax computes on the CPU: pass {name}.cpu()")
    return x.detach() if x.requires_grad else x


def number_or_array(value: Any, name: str) -> Any:
    """A parameter as the functions for arrays take it."""
    if not isinstance(value, Tensor):
        return value
    value = on_cpu(value, name)
    return value if value.ndim else value.item()


def tensor_of(a: Any) -> Tensor:
    """What a function for arrays returns, as a tensor over the same memory."""
    if type(a) is not np.ndarray:
        a = np.asarray(a)
    if a.dtype.num >= 256:  # bfloat16, a dtype that another library has added to NumPy, and that PyTorch does not take
        return torch.from_numpy(a.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(a)


def run_softmax(x: Tensor, temperature: Any, dim: int) -> Tensor:
    return tensor_of(_softmax.softmax(on_cpu(x, "x"), number_or_array(temperature, "temperature"), axis=dim))


def run_log_softmax(x: Tensor, temperature: Any, dim: int) -> Tensor:
    return tensor_of(_softmax.log_softmax(on_cpu(x, "x"), number_or_array(temperature, "temperature"), axis=dim))


def run_logsumexp(x: Tensor, temperature: Any, dim: int) -> Tensor:
    return tensor_of(_softmax.logsumexp(on_cpu(x, "x"), number_or_array(temperature, "temperature"), axis=dim))


def run_sample(
    logits: Tensor, temperature: Any, u: Tensor | None, dim: int, size: int | None, mask: Any, bias: Any, xtc_u: Any,
    given: Mapping[str, Any], on_invalid: Any, return_logprob: bool, seed: Any, keys: Any, step: Any, method: Any,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Indices, and their log-probabilities or None."""
    if xtc_u is not None:
        given = {**given, "xtc_u": xtc_u}
    if seed is not None:
        given = {**given, "seed": seed, "keys": keys, "step": step}
    drawn: Any = _sampling.sample(
        on_cpu(logits, "logits"),
        number_or_array(temperature, "temperature"),
        axis=dim,
        size=size,
        u=number_or_array(u, "u"),
        method=method,
        mask=None if mask is None else on_cpu(mask, "mask"),
        bias=None if bias is None else on_cpu(bias, "bias"),
        on_invalid=on_invalid,
        return_logprob=return_logprob,
        **{name: number_or_array(value, name) for name, value in given.items()},
    )
    index, logprob = drawn if return_logprob else (drawn, None)
    return tensor_of(index), None if logprob is None else tensor_of(logprob)


@torch.library.custom_op("fastsoftmax::softmax", mutates_args=(), device_types="cpu")
def softmax(x: Tensor, temperature: Tensor, dim: int) -> Tensor:
    return run_softmax(x, temperature, dim)


@torch.library.custom_op("fastsoftmax::log_softmax", mutates_args=(), device_types="cpu")
def log_softmax(x: Tensor, temperature: Tensor, dim: int) -> Tensor:
    return run_log_softmax(x, temperature, dim)


@torch.library.custom_op("fastsoftmax::logsumexp", mutates_args=(), device_types="cpu")
def logsumexp(x: Tensor, temperature: Tensor, dim: int) -> Tensor:
    return run_logsumexp(x, temperature, dim)


@torch.library.custom_op("fastsoftmax::sample", mutates_args=(), device_types="cpu")
def sample(
    logits: Tensor,
    temperature: Tensor,
    u: Tensor | None,
    dim: int,
    size: int | None,
    mask: Tensor | None,
    bias: Tensor | None,
    xtc_u: Tensor | None,
    filters: Sequence[float],
    on_invalid: str,
    seed: Tensor | None = None,
    keys: Tensor | None = None,
    step: Tensor | None = None,
    method: str = INVERSION,
) -> tuple[Tensor, Tensor]:
    given = {}
    for name, value in zip(FILTERS, filters, strict=True):
        if not math.isnan(value):
            kind = PARAMETERS[name].kind
            given[name] = bool(value) if kind == "flag" else int(value) if kind == "count" else value
    index, logprob = run_sample(
        logits, temperature, u, dim, size, mask, bias, xtc_u, given, on_invalid, True, seed, keys, step, method
    )
    assert logprob is not None
    return index, logprob


@softmax.register_fake
def _(x: Tensor, temperature: Tensor, dim: int) -> Tensor:
    return torch.empty_like(x)


@log_softmax.register_fake
def _(x: Tensor, temperature: Tensor, dim: int) -> Tensor:
    return torch.empty_like(x)


def _shape_of_rows(x: Tensor, dim: int) -> list[Any]:
    shape = list(x.shape)
    if shape:  # a tensor without dimensions is a row of one entry
        del shape[dim]
    return shape


@logsumexp.register_fake
def _(x: Tensor, temperature: Tensor, dim: int) -> Tensor:
    return x.new_empty(_shape_of_rows(x, dim))


@sample.register_fake
def _(
    logits: Tensor, temperature: Tensor, u: Tensor | None, dim: int, size: int | None, *_: Any
) -> tuple[Tensor, Tensor]:
    shape = _shape_of_rows(logits, dim) + ([] if size is None else [size])
    return logits.new_empty(shape, dtype=torch.int64), logits.new_empty(shape, dtype=torch.float64)


# Gradients.  With p = softmax(x/T) and G the gradient of the result:
#     softmax       dx = p (G - sum p G) / T
#     log_softmax   dx = (G - p sum G) / T
#     logsumexp     dx = p G / T
# and dT = -sum x dx / T for each.  At T = 0 they are constant almost everywhere, and their gradients 0.


def _save(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    x, temperature, ctx.dim = inputs
    ctx.save_for_backward(x, temperature, output)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What gradients are computed in."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _of_rows(temperature: Tensor, x: Tensor, dim: int) -> Tensor:
    """Temperatures, one or one for each row, so that they broadcast to x."""
    return temperature.expand(_shape_of_rows(x, dim)).unsqueeze(dim) if temperature.ndim else temperature


def _gradients(ctx: Any, x: Tensor, temperature: Tensor, of_quotient: Tensor) -> tuple[Tensor, Tensor | None, None]:
    """The gradients of x and T from that of x/T."""
    t = _of_rows(temperature, x, ctx.dim).to(of_quotient.dtype)
    inverse = torch.where(t == 0, 0, 1 / torch.where(t == 0, 1, t))
    of_x = of_quotient * inverse
    of_temperature = None
    if ctx.needs_input_grad[1]:
        # an entry of -inf has no weight, and its gradient is 0: nothing comes from it
        each = torch.where(of_x == 0, 0, -x.to(of_x.dtype) * of_x) * inverse
        each = each.sum(ctx.dim) if temperature.ndim and x.ndim else each.sum() if not temperature.ndim else each
        of_temperature = each.sum_to_size(temperature.shape).to(temperature.dtype)
    return of_x.to(x.dtype), of_temperature, None


def _softmax_backward(ctx: Any, grad: Tensor) -> Any:
    x, temperature, output = ctx.saved_tensors
    p, g = output.to(_wide(x.dtype)), grad.to(_wide(x.dtype))
    return _gradients(ctx, x, temperature, torch.ops.aten._softmax_backward_data(g, p, ctx.dim, p.dtype))


def _log_softmax_backward(ctx: Any, grad: Tensor) -> Any:
    x, temperature, output = ctx.saved_tensors
    log_p, g = output.to(_wide(x.dtype)), grad.to(_wide(x.dtype))
    return _gradients(ctx, x, temperature, torch.ops.aten._log_softmax_backward_data(g, log_p, ctx.dim, log_p.dtype))


def _logsumexp_backward(ctx: Any, grad: Tensor) -> Any:
    x, temperature, _ = ctx.saved_tensors
    p, g = softmax(x, temperature, ctx.dim).to(_wide(x.dtype)), grad.to(_wide(x.dtype))
    return _gradients(ctx, x, temperature, p * (g.unsqueeze(ctx.dim) if x.ndim else g))


torch.library.register_autograd(softmax, _softmax_backward, setup_context=_save)
torch.library.register_autograd(log_softmax, _log_softmax_backward, setup_context=_save)
torch.library.register_autograd(logsumexp, _logsumexp_backward, setup_context=_save)


def _batched(operator: Any) -> Any:
    """How torch.func.vmap runs an operator: the batch is one more dimension, the first."""

    def rule(info: Any, in_dims: Any, x: Tensor, temperature: Tensor, dim: int) -> tuple[Tensor, int]:
        size = info.batch_size
        x = x.movedim(in_dims[0], 0) if in_dims[0] is not None else x.expand(size, *x.shape)
        dim = dim + 1 if dim >= 0 else dim
        if in_dims[1] is not None:
            temperature = temperature.movedim(in_dims[1], 0)
            missing = x.ndim - 1 - temperature.ndim  # dimensions that would have broadcast
            temperature = temperature.reshape(size, *(1,) * missing, *temperature.shape[1:])
        return operator(x, temperature, dim), 0

    return rule


for _operator in (softmax, log_softmax, logsumexp):
    torch.library.register_vmap(_operator, _batched(_operator))
