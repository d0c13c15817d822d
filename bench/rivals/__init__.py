"""How each library is asked for each operation: as its users write it, and in its fastest form where that differs.

Every module has a table {operation: {name: function}}; a function takes the case and returns a Contender. Libraries are
imported inside the functions, so that what is not installed is skipped by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import Case, numpy_dtype
from timing import Contender

import fastsoftmax


class Unsupported(Exception):
    """The library has no such operation for this input."""


def contender(case: Case, code: str, **fields: Any) -> Contender:
    """A Contender whose expression may use fastsoftmax, np, t, rng and `names`."""
    common = {"fastsoftmax": fastsoftmax, "np": np, "t": case.temperature, "rng": np.random.default_rng(1)}
    return Contender(code, {**common, **fields.pop("names", {})}, **fields)


def load_torch(case: Case) -> Any:
    import torch

    torch.set_num_threads(case.threads)
    return torch


def with_torch(case: Case, code: str, **fields: Any) -> Contender:
    """A Contender that gets a tensor on the array's own memory."""
    names = {"torch": load_torch(case), **fields.pop("names", {})}
    return contender(case, code, **{"names": names, "native": from_numpy, "result": to_numpy, **fields})


def from_numpy(array: np.ndarray) -> Any:
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_numpy(tensor: Any) -> np.ndarray:
    import torch

    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    if tensor.is_mkldnn:
        tensor = tensor.to_dense()
    if tensor.dtype == torch.bfloat16:
        return np.asarray(tensor.view(torch.int16).numpy().view(numpy_dtype("bfloat16")))
    return np.asarray(tensor.numpy())


def load_jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def jax_array(array: np.ndarray) -> Any:
    """A copy: JAX takes an aligned NumPy array as it is and trusts that it never changes."""
    return load_jax().numpy.array(array, copy=True)


def softmax_formula(x: np.ndarray, temperature: float) -> np.ndarray:
    """The usual lines of NumPy."""
    weights = np.exp((x - x.max(axis=-1, keepdims=True)) / x.dtype.type(temperature))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))
