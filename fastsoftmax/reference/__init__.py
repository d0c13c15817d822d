"""The meaning of every public function, in plain Python.

Lists and the standard library only: no NumPy, no speed. A row is a list of numbers, several rows are a
list of such lists. Names, parameters and special values are those of the fast functions; the parameters
that are about arrays (``axis``, ``out``, ``keepdims``) are absent.

Exponents ``(x_i - max x) / temperature`` are formed exactly, as fractions; filters and draws compare exact
sums of weights. What is left of rounding is that of ``math.exp``, ``math.log1p`` and ``math.log``: a few
units in the last place of a float64.
"""

from ._categorical import Categorical
from ._drafts import DraftVerdict, verify_draft
from ._keyed import keyed_uniforms
from ._penalties import penalize
from ._ranking import TopLogprobs, sample_without_replacement, top_logprobs
from ._sampler import Sampler
from ._sampling import sample, sample_probs
from ._shards import (
    Summary,
    combine,
    locate_draws,
    log_softmax_from_summary,
    logsumexp_from_summary,
    sample_from_summary,
    softmax_from_summary,
    summarize,
)
from ._softmax import log_softmax, logsumexp, softmax
from ._truncate import truncate

__all__ = [
    "Categorical",
    "DraftVerdict",
    "Sampler",
    "Summary",
    "TopLogprobs",
    "combine",
    "keyed_uniforms",
    "locate_draws",
    "log_softmax",
    "log_softmax_from_summary",
    "logsumexp",
    "logsumexp_from_summary",
    "penalize",
    "sample",
    "sample_from_summary",
    "sample_probs",
    "sample_without_replacement",
    "softmax",
    "softmax_from_summary",
    "summarize",
    "top_logprobs",
    "truncate",
    "verify_draft",
]
