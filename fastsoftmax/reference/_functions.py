"""The functions of the reference, which `__init__.py` brings when one is asked for."""

from ._drafts import DraftVerdict, verify_draft
from ._draw import sample, sample_probs
from ._filters import truncate
from ._keyed import keyed_uniforms
from ._measures import entropy, kl_divergence, log_prob
from ._penalties import penalize
from ._ranking import TopLogprobs, sample_without_replacement, top_logprobs
from ._shard_candidates import Candidates, candidates, mass_of_shard, sample_from_candidates, sums_of_shard
from ._shards import Summary, combine, locate_draws, sample_from_summary, summarize
from ._softmax import log_softmax, logsumexp, softmax, softmax_probs
from ._trees import TreeVerdict, verify_tree

from ._shards import log_softmax_from_summary, logsumexp_from_summary, softmax_from_summary  # isort: skip

__all__ = [
    "Candidates", "DraftVerdict", "Summary", "TopLogprobs", "TreeVerdict", "candidates", "combine", "entropy",
    "keyed_uniforms", "kl_divergence", "locate_draws", "log_prob", "log_softmax", "log_softmax_from_summary",
    "logsumexp", "logsumexp_from_summary", "mass_of_shard", "penalize", "sample", "sample_from_candidates",
    "sample_from_summary", "sample_probs", "sample_without_replacement", "softmax", "softmax_from_summary",
    "softmax_probs", "summarize", "sums_of_shard", "top_logprobs", "truncate", "verify_draft", "verify_tree",
]  # fmt: skip
