"""softmax, log_softmax, logsumexp, sample and Categorical for PyTorch tensors on the CPU.

Tensors are read where they are, float16 and (with the package ml_dtypes) bfloat16 too.  Gradients flow to the logits
and to the temperature, `torch.compile` and `torch.func.vmap` take the functions as they take PyTorch's own
(`torch.func.grad` does not), and outside of all these a call goes straight to the kernel.

Examples
--------
>>> import torch
>>> import fastsoftmax.integrations.torch as fst
>>> logits = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> fst.softmax(logits, 0.5).sum().backward()
>>> fst.Categorical(logits=logits, temperature=0.0).sample()
tensor(2)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.distributions import Categorical as _TorchCategorical
from torch.distributions import constraints
from torch.distributions.utils import lazy_property

from .. import _softmax
from .._args.keyed import INVERSION, checked_word, has_seed
from . import _torch_ops as ops

if TYPE_CHECKING:
    from .._types import Filters, IntArrayLike, Method, OnInvalid

# Whether torch.func transforms the calling function; PyTorch has no public name for it.
_are_transforms_active = getattr(torch._C, "_are_functorch_transforms_active", lambda: False)

__all__ = ["Categorical", "log_softmax", "logsumexp", "sample", "softmax"]


def softmax(x: Tensor, temperature: float | Tensor = 1.0, *, dim: int = -1) -> Tensor:
    """Softmax with temperature: exp(x/T) divided by its sum along `dim`.

    Parameters
    ----------
    x : Tensor
        Logits, on the CPU: float32, float64, float16 or bfloat16.
    temperature : float or Tensor, default 1.0
        T, 0 <= T <= inf; one number, or one for each row (broadcast to the shape of `x` without `dim`).
    dim : int, default -1
        The dimension of the entries.

    Returns
    -------
    Tensor
        The probabilities, in the shape and dtype of `x`.  Differentiable with respect to `x` and `temperature`; at
        T = 0 the gradients are 0.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastsoftmax.softmax`; TypeError for a tensor on another device.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.integrations.torch import softmax
    >>> softmax(torch.tensor([1.0, 2.0, 3.0]), 2.0)
    tensor([0.1863, 0.3072, 0.5065])
    """
    if _is_direct(x, temperature):
        return ops.tensor_of(_softmax.softmax(x, temperature, axis=dim))
    if _needs_operator(x, temperature):
        return ops.softmax(x, _as_tensor(temperature), dim)
    return ops.run_softmax(x, temperature, dim)


def log_softmax(x: Tensor, temperature: float | Tensor = 1.0, *, dim: int = -1) -> Tensor:
    """Logarithm of the softmax with temperature along `dim`.

    Parameters
    ----------
    x, temperature, dim
        As in :func:`softmax`.

    Returns
    -------
    Tensor
        log p, in nats, in the shape and dtype of `x`; differentiable as :func:`softmax` is.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax`.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.integrations.torch import log_softmax
    >>> log_softmax(torch.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])
    """
    if _is_direct(x, temperature):
        return ops.tensor_of(_softmax.log_softmax(x, temperature, axis=dim))
    if _needs_operator(x, temperature):
        return ops.log_softmax(x, _as_tensor(temperature), dim)
    return ops.run_log_softmax(x, temperature, dim)


def logsumexp(x: Tensor, temperature: float | Tensor = 1.0, *, dim: int = -1, keepdim: bool = False) -> Tensor:
    """Logarithm of the sum of exp(x/T) along `dim`.

    Parameters
    ----------
    x, temperature, dim
        As in :func:`softmax`.
    keepdim : bool, default False
        Keep the dimension, with length 1.

    Returns
    -------
    Tensor
        In the dtype of `x` and its shape without `dim`; differentiable as :func:`softmax` is.

    Raises
    ------
    ValueError, TypeError
        As in :func:`softmax`.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.integrations.torch import logsumexp
    >>> logsumexp(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    tensor([0.6931, 1.6931])
    """
    if _is_direct(x, temperature):
        result = ops.tensor_of(_softmax.logsumexp(x, temperature, axis=dim))
    elif _needs_operator(x, temperature):
        result = ops.logsumexp(x, _as_tensor(temperature), dim)
    else:
        result = ops.run_logsumexp(x, temperature, dim)
    return result.unsqueeze(dim) if keepdim and x.ndim else result


# fmt: off
@overload
def sample(
    logits: Tensor, temperature: float | Tensor = 1.0, *, dim: int = -1, num_samples: int | None = None,
    u: Tensor | None = None, generator: torch.Generator | None = None, seed: IntArrayLike | None = None,
    keys: IntArrayLike | None = None, step: IntArrayLike | None = None, method: Method = "inversion",
    mask: Tensor | None = None, bias: Tensor | None = None, xtc_u: Tensor | None = None,
    return_logprob: Literal[False] = False, on_invalid: OnInvalid = "raise", **filters: Unpack[Filters]
) -> Tensor: ...
@overload
def sample(
    logits: Tensor, temperature: float | Tensor = 1.0, *, dim: int = -1, num_samples: int | None = None,
    u: Tensor | None = None, generator: torch.Generator | None = None, seed: IntArrayLike | None = None,
    keys: IntArrayLike | None = None, step: IntArrayLike | None = None, method: Method = "inversion",
    mask: Tensor | None = None, bias: Tensor | None = None, xtc_u: Tensor | None = None, return_logprob: Literal[True],
    on_invalid: OnInvalid = "raise", **filters: Unpack[Filters]
) -> tuple[Tensor, Tensor]: ...
@overload
def sample(
    logits: Tensor, temperature: float | Tensor = 1.0, *, dim: int = -1, num_samples: int | None = None,
    u: Tensor | None = None, generator: torch.Generator | None = None, seed: IntArrayLike | None = None,
    keys: IntArrayLike | None = None, step: IntArrayLike | None = None, method: Method = "inversion",
    mask: Tensor | None = None, bias: Tensor | None = None, xtc_u: Tensor | None = None, return_logprob: bool,
    on_invalid: OnInvalid = "raise", **filters: Unpack[Filters]
) -> Tensor | tuple[Tensor, Tensor]: ...
# fmt: on
def sample(
    logits: Tensor,
    temperature: float | Tensor = 1.0,
    *,
    dim: int = -1,
    num_samples: int | None = None,
    u: Tensor | None = None,
    generator: torch.Generator | None = None,
    seed: Any = None,
    keys: Any = None,
    step: Any = None,
    method: str = INVERSION,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    xtc_u: Tensor | None = None,
    return_logprob: bool = False,
    on_invalid: str = "raise",
    **filters: Any,
) -> Any:
    """Draw an index from softmax(logits/T), for every row.

    Parameters
    ----------
    logits : Tensor
        As `x` in :func:`softmax`; -inf is never drawn.
    temperature, dim
        As in :func:`softmax`.
    num_samples : int, optional
        How many independent draws from each row; they are the last dimension of the result.
    u : Tensor, optional
        The uniforms in [0, 1), float64, in the shape of the result.
    generator : torch.Generator, optional
        Where they come from if `u` is not given: ``torch.rand`` in float64, one for each draw; by default PyTorch's own
        generator, which ``torch.manual_seed`` seeds.
    seed, keys, step : int or Tensor of int, optional
        As in :func:`fastsoftmax.sample`, in place of `u` and `generator`: the draw of a row is a function of the row,
        its parameters, the seed, its key and its step alone, whatever the batch.  One draw from each row.
    method : {"inversion", "rejection"}, default "inversion"
        With a seed: as in :func:`fastsoftmax.sample`; "rejection" draws faster from long rows.
    mask : Tensor, optional
        bool, in the shape of `logits`: True is allowed; or packed int32 words as in :func:`fastsoftmax.sample`.
    bias : Tensor, optional
        Added to the logits before the temperature; in the shape of `logits`.
    xtc_u : Tensor, optional
        The coins of XTC, as in :func:`fastsoftmax.sample`; by default from `generator`, before the uniforms, or from
        the seed.
    return_logprob : bool, default False
        Return the log-probability of what was drawn as well.
    on_invalid : {"raise", "flag"}, default "raise"
        What to do about a row that cannot be drawn from, as in :func:`fastsoftmax.sample`.
    **filters
        `top_k`, `top_p`, `min_p` and the others of :func:`fastsoftmax.sample`.

    Returns
    -------
    Tensor of int64
        The indices, in the shape of the rows.
    Tensor of float64
        Only with `return_logprob`: log p, in nats.

    Raises
    ------
    ValueError, TypeError
        As in :func:`fastsoftmax.sample`; TypeError for a tensor on another device.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.integrations.torch import sample
    >>> sample(torch.tensor([[0.0, 5.0, 1.0], [9.0, 0.0, 0.0]]), 0.7, top_k=1)
    tensor([1, 0])
    >>> sample(torch.zeros(3, 100), seed=7, keys=[40, 41, 42], step=5)
    tensor([98, 99, 31])
    """
    is_seeded = has_seed(seed, keys, step, method, {"u": u, "generator": generator}, num_samples, "num_samples")
    if u is not None and generator is not None:
        raise ValueError("u and generator are both given; pass either the uniforms or their generator")
    if filters:
        unknown = set(filters).difference(ops.FILTERS)
        if unknown:
            raise TypeError(f"sample() got an unexpected keyword argument {min(unknown)!r}")
        filters = {name: value for name, value in filters.items() if value is not None}
    rows = list(logits.shape)
    if rows:
        del rows[dim]
    if u is None and not is_seeded:
        if xtc_u is None and "xtc_probability" in filters:
            xtc_u = torch.rand(rows, dtype=torch.float64, generator=generator)
        u = torch.rand(rows if num_samples is None else [*rows, num_samples], dtype=torch.float64, generator=generator)
    if is_compiling():
        values = [float(filters.get(name, math.nan)) for name in ops.FILTERS]
        drawn = ops.sample(
            logits.detach(), _as_tensor(temperature), u, dim, num_samples, mask, bias, xtc_u, values, on_invalid,
            _as_words("seed", seed), _as_words("keys", keys), _as_words("step", step), method,
        )  # fmt: skip
    else:
        drawn = ops.run_sample(
            logits, temperature, u, dim, num_samples, mask, bias, xtc_u, filters, on_invalid, return_logprob,
            seed, keys, step, method,
        )  # fmt: skip
    return drawn if return_logprob else drawn[0]


class Categorical(_TorchCategorical):
    """`torch.distributions.Categorical` with a temperature and a mask, by this package's kernels.

    Parameters
    ----------
    probs : Tensor, optional
        Weights, at least 0, that need not sum to 1; at a temperature p_i is proportional to probs_i^(1/T).
    logits : Tensor, optional
        Unnormalised log-probabilities; either these or `probs`.
    validate_args : bool, optional
        As in `torch.distributions`: whether parameters and values are checked.
    temperature : float or Tensor, default 1.0
        T, 0 <= T <= inf; one number, or one for each row (the shape of the batch).
    mask : Tensor, optional
        bool, broadcast to the shape of the parameter: the actions that a state allows.  What it does not allow is never
        drawn, has the log-probability -inf, and adds nothing to the entropy.

    Notes
    -----
    A draw takes one float64 of `torch.rand` from PyTorch's generator for each sample: `torch.manual_seed` fixes it, but
    what is drawn is not what `torch.distributions.Categorical` draws.  All else is its interface: one changed import in
    a program.  It is a subclass, so `kl_divergence` and `isinstance` go on working.

    Examples
    --------
    >>> import torch
    >>> from fastsoftmax.integrations.torch import Categorical
    >>> policy = Categorical(logits=torch.tensor([1.0, 2.0, 9.0]), mask=torch.tensor([True, True, False]))
    >>> policy.probs
    tensor([0.2689, 0.7311, 0.0000])
    >>> policy.log_prob(torch.tensor(1)), policy.entropy()
    (tensor(-0.3133), tensor(0.5822))
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
        *,
        temperature: float | Tensor = 1.0,
        mask: Tensor | None = None,
    ) -> None:
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        given, name = (logits, "logits") if probs is None else (probs, "probs")
        assert given is not None
        if given.dim() < 1:
            raise ValueError(f"`{name}` parameter must be at least one-dimensional.")
        if validate_args is not False and (validate_args or torch.distributions.Distribution._validate_args):
            _check(given, name, mask)
        if probs is not None:
            positive = given > 0
            given = torch.where(positive, torch.where(positive, given, 1).log(), -math.inf)
        if mask is not None:
            given = torch.where(mask, given, -math.inf)
        self._param = given
        self._temperature = temperature
        self._num_events = given.shape[-1]
        # The parameters, computed where they are asked for, are those of a distribution: nothing is left to validate.
        torch.distributions.Distribution.__init__(self, given.shape[:-1], validate_args=False)
        if validate_args is not None:
            self._validate_args = validate_args
        else:
            del self._validate_args  # that of the class

    @lazy_property
    def logits(self) -> Tensor:
        return log_softmax(self._param, self._temperature)

    @lazy_property
    def probs(self) -> Tensor:
        return softmax(self._param, self._temperature)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Categorical:
        new = self._get_checked_instance(Categorical, _instance)
        shape = torch.Size(batch_shape)
        new._param = self._param.expand(*shape, self._num_events)
        temperature = self._temperature
        new._temperature = temperature.expand(shape) if isinstance(temperature, Tensor) else temperature
        new._num_events = self._num_events
        torch.distributions.Distribution.__init__(new, shape, validate_args=False)
        new._validate_args = self._validate_args
        return new  # type: ignore[no-any-return]

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008 -- as in the base class
        shape = torch.Size(sample_shape)
        with torch.no_grad():
            if not shape:
                return sample(self._param, self._temperature)
            drawn = sample(self._param, self._temperature, num_samples=shape.numel())
            return drawn.movedim(-1, 0).reshape(self._extended_shape(shape))

    def entropy(self) -> Tensor:
        finite = torch.where(self.probs == 0, 0.0, self.logits)  # 0 log 0 is 0, and so is its gradient
        return -(finite * self.probs).sum(-1)


def _check(given: Tensor, name: str, mask: Tensor | None) -> None:
    """Raise for parameters of which no distribution can be made."""
    none, wanted = (-math.inf, "not NaN or inf") if name == "logits" else (0.0, "finite and at least 0")
    seen = given.detach() if mask is None else torch.where(mask, given.detach(), none)
    if seen.shape[-1]:  # nearly always all is well, which the largest entries tell
        largest = seen.amax(-1)
        good = (largest > none) & (largest < math.inf)
        if name == "probs":
            good &= seen.amin(-1) >= 0
        if good.all():
            return
    bad = ~((seen >= none) & (seen < math.inf))
    if bad.any():
        place = bad.nonzero()[0].tolist()
        raise ValueError(f"{name} must be {wanted}, but {name}{place} is {seen[tuple(place)].item()}")
    empty = (seen == none).all(-1)
    if empty.any():
        row = f" of row {empty.nonzero()[0].tolist()}" if empty.ndim else ""
        raise ValueError(f"{name}: no entry{row} has a probability above 0")


def _as_tensor(temperature: float | Tensor) -> Tensor:
    return temperature if isinstance(temperature, Tensor) else torch.tensor(temperature, dtype=torch.float64)


def _as_words(name: str, integers: Any) -> Tensor | None:
    """Seeds, keys or steps for the operator; an int as a tensor whose value the compiler need not know."""
    if isinstance(integers, Tensor) or integers is None:
        return integers
    if not isinstance(integers, int):
        return torch.as_tensor(integers)
    if not -(2**63) <= integers < 2**64:
        checked_word(name, integers, -(2**63) if name == "keys" else 0)  # raises
    if integers < 2**63:
        return torch.full((), integers, dtype=torch.int64)
    return torch.full((), integers - 2**64, dtype=torch.int64).view(torch.uint64)


def _is_direct(x: Tensor, temperature: float | Tensor) -> bool:
    """Whether the function for arrays takes the arguments as they are, and nobody else must see the call.

    What `_needs_operator` and the conversions of `_torch_ops.py` find one by one; isinstance of Tensor, which is slow,
    is left to them.
    """
    return (
        isinstance(temperature, float)
        and type(x) is Tensor
        and not is_compiling()
        and not x.requires_grad
        and x.is_cpu
        and not _are_transforms_active()
    )


def _needs_operator(x: Tensor, temperature: float | Tensor) -> bool:
    """Whether autograd, the compiler or a transformation of functions must see the call."""
    if is_compiling() or type(x) is not Tensor:
        return True
    if torch.is_grad_enabled():
        if x.requires_grad or (isinstance(temperature, Tensor) and temperature.requires_grad):
            return True
    return _are_transforms_active()
