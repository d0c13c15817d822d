"""The same as results.py, of the functions for PyTorch's tensors."""

# pyright: strict

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import fastsoftmax as fs
import fastsoftmax.integrations.torch as fst

logits = torch.zeros(2, 4)
flag: bool = logits.numel() > 1


def tensors() -> None:
    assert_type(fst.softmax(logits, 0.5), Tensor)
    assert_type(fst.log_softmax(logits, torch.ones(2)), Tensor)
    assert_type(fst.logsumexp(logits, dim=0), Tensor)
    assert_type(fst.sample(logits, top_k=2), Tensor)
    assert_type(fst.sample(logits, num_samples=3, return_logprob=True), tuple[Tensor, Tensor])
    assert_type(fst.sample(logits, return_logprob=flag), Tensor | tuple[Tensor, Tensor])
    assert_type(fst.Categorical(logits=logits, temperature=0.7).sample(), Tensor)


def arrays_of_tensors() -> None:
    """NumPy's functions take tensors too, and give arrays; how many dimensions a tensor has is not known."""
    assert_type(fs.softmax(logits), NDArray[Any])
    assert_type(fs.softmax(logits, out=torch.empty(2, 4)), Tensor)
    assert_type(fs.sample(logits), int | NDArray[np.int64])
    assert_type(fs.sample(logits[0], mask=torch.tensor([True, True, False, True])), int | NDArray[np.int64])
    assert_type(fs.Sampler(0.8)(logits, u=torch.tensor([0.1, 0.9])), int | NDArray[np.int64])
