"""What every function of the package means, in plain Python: documentation that runs.

A row is a list of numbers, every other argument is a plain number or a list as long as the row, and each function takes
one row; the fast functions do the same to every row of an array. Nothing but the standard library is used, and nothing
is done for speed: the code is the formula.

Exponents ``(x_i - max x) / temperature`` are formed exactly, as fractions; filters and draws compare exact sums of
weights. The only rounding is that of ``math.exp``, ``math.log`` and ``math.log1p``, a few units in the last place of a
float64. A row that cannot be drawn from raises a ValueError that says why; no other argument is checked.

`SegmentedRows` is `softmax`, `log_softmax`, `logsumexp` or `sample` of each of its rows. `Categorical` and `Sampler`
are `sample` with the arguments that stay the same held; a Sampler with a seed takes u from `keyed_uniforms`.
"""

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
