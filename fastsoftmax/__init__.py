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
from ._config import __version__, show_config
from ._sampling import Sampler, sample, sample_probs
from ._softmax import log_softmax, logsumexp, softmax

__all__ = [
    "Sampler",
    "__version__",
    "log_softmax",
    "logsumexp",
    "reference",
    "sample",
    "sample_probs",
    "schedules",
    "show_config",
    "softmax",
]
