"""Softmax with temperature, and drawing from it, on a CPU."""

from . import _interrupts

if _interrupts.is_command_line():
    _interrupts.end_at_interrupt()

try:
    from . import _core as _core
except ImportError as _error:
    from importlib.util import find_spec

    import numpy

    if int(numpy.__version__.split(".")[0]) < 2:
        raise ImportError(
            f"fastsoftmax needs NumPy 2.0 or later, this is {numpy.__version__}: run `pip install --upgrade numpy`"
        ) from None
    if find_spec(f"{__name__}._core") is not None:
        raise  # the file is there: what is wrong with it, or with what it needs, is in the error
    raise ImportError(
        "the compiled part of fastsoftmax is missing: run `pip install .` in its source folder "
        "(a C compiler is needed), or leave that folder to use the installed package"
    ) from _error

from . import reference, schedules
from ._args.keyed import keyed_uniforms
from ._categorical import Categorical
from ._config import __version__, get_num_threads, set_num_threads, show_config
from ._drafts import DraftVerdict, verify_draft
from ._include import get_include
from ._measures import entropy, kl_divergence, log_prob
from ._penalties import penalize
from ._ranking import TopLogprobs, sample_without_replacement, top_logprobs
from ._sampler import Sampler
from ._sampling import sample, sample_probs
from ._segments import SegmentedRows
from ._sharding.api import log_softmax_from_summary, logsumexp_from_summary, softmax_from_summary, summarize
from ._sharding.best import candidates
from ._sharding.candidate_draws import sample_from_candidates
from ._sharding.candidates import Candidates, candidates_nbytes
from ._sharding.draws import locate_draws, sample_from_summary
from ._sharding.masses import mass_of_shard
from ._sharding.spread import sums_of_shard
from ._sharding.summary import Summary, combine, summary_nbytes
from ._softmax import log_softmax, logsumexp, softmax, softmax_probs
from ._trees import TreeVerdict, verify_tree
from ._truncation import truncate

__all__ = [
    "Candidates",
    "Categorical",
    "DraftVerdict",
    "Sampler",
    "SegmentedRows",
    "Summary",
    "TopLogprobs",
    "TreeVerdict",
    "__version__",
    "candidates",
    "candidates_nbytes",
    "combine",
    "entropy",
    "get_include",
    "get_num_threads",
    "keyed_uniforms",
    "kl_divergence",
    "locate_draws",
    "log_prob",
    "log_softmax",
    "log_softmax_from_summary",
    "logsumexp",
    "logsumexp_from_summary",
    "mass_of_shard",
    "penalize",
    "reference",
    "sample",
    "sample_from_candidates",
    "sample_from_summary",
    "sample_probs",
    "sample_without_replacement",
    "schedules",
    "set_num_threads",
    "show_config",
    "softmax",
    "softmax_from_summary",
    "softmax_probs",
    "summarize",
    "sums_of_shard",
    "summary_nbytes",
    "top_logprobs",
    "truncate",
    "verify_draft",
    "verify_tree",
]
