"""llama.cpp's samplers, applied to a row of logits: what they leave of it."""

import ctypes
from typing import NamedTuple

import llama_cpp
import numpy as np

TOKEN = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Left(NamedTuple):
    """The candidates that are left, by ascending index, and the index that a sampler has drawn, if one has."""

    ids: np.ndarray
    logits: np.ndarray
    probs: np.ndarray
    drawn: int

    @property
    def kept(self):
        return set(self.ids[self.logits > -np.inf].tolist())


def apply(sampler, x):
    """What a sampler, or a chain of them, leaves of the logits x, without telling it what is drawn."""
    tokens = np.zeros(x.size, TOKEN)
    tokens["id"], tokens["logit"] = np.arange(x.size), x
    array = llama_cpp.llama_token_data_array()
    array.data = tokens.ctypes.data_as(ctypes.POINTER(llama_cpp.llama_token_data))
    array.size, array.selected, array.sorted = x.size, -1, False
    llama_cpp.llama_sampler_apply(sampler, ctypes.byref(array))
    # XTC moves the pointer
    left = np.ctypeslib.as_array(array.data, (array.size,)).view(TOKEN).reshape(-1)
    drawn = int(left["id"][array.selected]) if array.selected >= 0 else -1
    left = left[np.argsort(left["id"])]
    return Left(left["id"], left["logit"], left["p"], drawn)


def chain(*samplers):
    made = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
    for sampler in samplers:
        llama_cpp.llama_sampler_chain_add(made, sampler)
    return made
