"""An error of ours where JAX compiles a call for a device that is not the CPU.

Where a function runs is known only when JAX lowers it, after all transformations.  So the first operand goes through a
primitive that is nothing on the CPU, and whose lowering for any other platform raises.
"""

from __future__ import annotations

from typing import Any, NoReturn

import jax
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

_primitive = Primitive("fastsoftmax_on_cpu_only")


def on_cpu(x: Any, function: str) -> Any:
    """x; where it is compiled for another device, or is on one, a TypeError that says what to do."""
    return _primitive.bind(x, function=function)


def _refuse(function: str, platform: str) -> NoReturn:
    raise TypeError(
        f"{function} of fastsoftmax.integrations.jax computes on the CPU, and JAX runs this call on {platform!r}: "
        'pass arrays that are on the CPU, as jax.device_put(x, jax.devices("cpu")[0]) puts them there, or call it '
        'within jax.default_device(jax.devices("cpu")[0]). A jitted function runs where its arguments are: take '
        "this call out of a function that is to run elsewhere"
    )


def _lower_elsewhere(ctx: Any, x: Any, *, function: str) -> NoReturn:
    platforms = ctx.platforms or ctx.module_context.platforms
    _refuse(function, next(name for name in platforms if name != "cpu"))


def _run(x: Any, *, function: str) -> Any:
    """Without compilation, as in jax.disable_jit."""
    for device in x.devices():
        if device.platform != "cpu":
            _refuse(function, device.platform)
    return x


_primitive.def_abstract_eval(lambda x, function: x)
_primitive.def_impl(_run)
batching.defvectorized(_primitive)
mlir.register_lowering(_primitive, _lower_elsewhere)
mlir.register_lowering(_primitive, lambda ctx, x, function: [x], platform="cpu")

if jax.__version_info__ < (0, 6):  # later versions need no rule for shard_map
    from jax.experimental.shard_map import register_standard_check, register_standard_rewrite

    register_standard_check(_primitive)
    register_standard_rewrite(_primitive)
