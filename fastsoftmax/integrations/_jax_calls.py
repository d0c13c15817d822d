"""What integrations/jax.py compiles: the calls of the handler, with their derivatives."""

from __future__ import annotations

import functools
import json
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero
from jax.ffi import ffi_call, pycapsule, register_ffi_target

from . import _jax_ffi as ffi
from ._jax_devices import on_cpu

register_ffi_target(ffi.TARGET, pycapsule(ffi.handler), platform="cpu")


class Call(NamedTuple):
    """What is static of a call."""

    function: str
    operands: tuple[str, ...]
    axes: tuple[int, ...]  # negative, so that they stay where they are when jax.vmap adds others
    shape: tuple[int, ...]  # of the result
    return_logprob: bool = False
    static: str = "{}"  # the other arguments, as JSON

    def run(self, results: Any, operands: Any) -> Any:
        first, *rest = operands
        others = json.loads(self.static)
        text = json.dumps({"function": self.function, "operands": self.operands, "axes": self.axes, **others})
        return ffi_call(ffi.TARGET, results, vmap_method="expand_dims")(on_cpu(first, self.function), *rest, call=text)


# Values and derivatives.  With p = softmax(x/T) and d the change of x/T:
#     softmax       p (d - sum p d)
#     log_softmax   d - sum p d
#     logsumexp     sum p d
# At T = 0 and T = inf the results are constant almost everywhere, and their derivatives 0.


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _value(call: Call, x: Any, temperature: Any, exact: Any, where: Any) -> Any:
    operands = [a for a in (x, temperature if exact is None else exact, where) if a is not None]
    return call.run(jax.ShapeDtypeStruct(call.shape, x.dtype), operands)


transform = jax.jit(_value, static_argnums=0)


@functools.partial(_value.defjvp, symbolic_zeros=True)
def _tangent_of_value(call: Call, primals: Any, tangents: Any) -> Any:
    x, temperature, _, where = primals
    out = _value(call, *primals)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    is_sum = call.function == "logsumexp"
    if is_sum:
        of_rows = jnp.expand_dims(out, call.axes)
        p = _value(call._replace(function="softmax", shape=x.shape), *primals).astype(wide)
        p = jnp.where(of_rows == -math.inf, 0, p)  # of a row without entries
    else:
        p = out.astype(wide)
        if call.function == "log_softmax":
            p = jnp.exp(p)
    d = _change_of_quotient(call, x, temperature, where, tangents, wide)
    if is_sum:
        tangent = jnp.sum(p * d, call.axes)
    else:
        tangent = d - jnp.sum(p * d, call.axes, keepdims=True)
        if call.function == "softmax":
            tangent = p * tangent
        elif where is not None:
            tangent = jnp.where(where, tangent, 0)
    return out, tangent.astype(x.dtype)


def _change_of_quotient(call: Call, x: Any, temperature: Any, where: Any, tangents: Any, wide: Any) -> Any:
    """The change of x/T, up to a number for each row where the result does not depend on that."""
    t = jnp.expand_dims(temperature, call.axes).astype(wide)
    inverse = jnp.where(t == 0, 0, 1 / jnp.where(t == 0, 1, t))
    of_x, of_temperature, *_ = tangents
    change = jnp.zeros(x.shape, wide)
    if type(of_x) is not SymbolicZero:
        change = of_x.astype(wide) * inverse
    if type(of_temperature) is not SymbolicZero:
        # An entry without weight adds nothing, even if it is infinite.
        counts = jnp.isfinite(x) if where is None else jnp.isfinite(x) & where
        finite = jnp.where(counts, x.astype(wide), 0)
        if call.function != "logsumexp":  # the difference to the largest entry has more digits
            largest = jnp.max(finite, call.axes, keepdims=True, initial=-math.inf, where=counts)
            finite = jnp.where(counts, finite - jax.lax.stop_gradient(jnp.where(largest > -math.inf, largest, 0)), 0)
        change = change - finite * inverse * (jnp.expand_dims(of_temperature, call.axes).astype(wide) * inverse)
    return change


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _drawn(call: Call, operands: tuple[Any, ...]) -> Any:
    results = [jax.ShapeDtypeStruct(call.shape, jnp.asarray(0).dtype)]
    if call.return_logprob:
        results.append(jax.ShapeDtypeStruct(call.shape, jnp.asarray(0.0).dtype))
    else:
        operands = jax.tree.map(jax.lax.stop_gradient, operands)
    return call.run(results, operands)


@_drawn.defjvp
def _tangent_of_draw(call: Call, primals: Any, tangents: Any) -> Any:
    if call.return_logprob:
        raise TypeError(
            "the log-probability of a draw is not differentiable: pass jax.lax.stop_gradient(logits), and for a "
            "gradient take log_softmax(logits, temperature) at the index"
        )
    drawn = _drawn(call, *primals)
    return drawn, [np.zeros(a.shape, jax.dtypes.float0) for a in drawn]


draw = jax.jit(_drawn, static_argnums=0)
