"""Softmax with temperature, and drawing from it, on a CPU."""

try:
    from . import _core as _core
except ImportError as error:
    if error.name != "fastsoftmax._core" and "_core" not in str(error):
        raise
    raise ImportError(
        "the compiled part of fastsoftmax is missing: run `pip install .` in its source folder "
        "(a C compiler is needed), or leave that folder to use the installed package"
    ) from error

from . import reference, schedules
from ._categorical import Categorical
from ._config import __version__, show_config
from ._drafts import DraftVerdict, verify_draft
from ._keyed import keyed_uniforms
from ._penalties import penalize
from ._ranking import TopLogprobs, sample_without_replacement, top_logprobs
from ._sampler import Sampler
from ._sampling import sample, sample_probs
from ._softmax import log_softmax, logsumexp, softmax
from ._truncation import truncate

__all__ = [
    "Categorical",
    "DraftVerdict",
    "Sampler",
    "TopLogprobs",
    "__version__",
    "keyed_uniforms",
    "log_softmax",
    "logsumexp",
    "penalize",
    "reference",
    "sample",
    "sample_probs",
    "sample_without_replacement",
    "schedules",
    "show_config",
    "softmax",
    "top_logprobs",
    "truncate",
    "verify_draft",
]
