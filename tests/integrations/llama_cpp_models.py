"""A tiny `Llama` of random weights, and the row of logits that its next token is drawn from."""

import runpy
from pathlib import Path

import llama_cpp
import numpy as np

from fastsoftmax.integrations.llama_cpp import detach

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "llama_cpp_speed.py"
ENTRIES, PROMPT = 320, [1, 5, 6, 7]


def write(folder, entries=ENTRIES):
    return runpy.run_path(str(EXAMPLE))["write_llama"](folder / "tiny.gguf", entries)


def load(path, **kwargs):
    return llama_cpp.Llama(path, n_ctx=256, n_threads=1, n_threads_batch=1, verbose=False, **kwargs)


def restore(llm):
    detach(llm).reset()
    llm.set_seed(llama_cpp.LLAMA_DEFAULT_SEED)
    llm.last_n_tokens_size = 64


def logits(llm):
    """What llama.cpp and `sample` read; written to, it is what both draw from."""
    pointer = llama_cpp.llama_get_logits_ith(llm.ctx, -1)
    return np.ctypeslib.as_array(pointer, (llm.n_vocab(),))


def evaluated(llm, row):
    """The object after a prompt, with other logits."""
    llm.reset()
    llm.eval(PROMPT)
    logits(llm)[:] = row
    return llm
