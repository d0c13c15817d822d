from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array = NDArray[Any]

COMPILER: str
EXTREME: float
SOFTMAX: int
LOG_SOFTMAX: int
LOGSUMEXP: int
SOFTMAX_PROBS: int
ENTROPY: int
__pyx_capi__: dict[str, object]

def choose_instruction_set(name: str | None) -> bool: ...
def chosen_instruction_set() -> str: ...
def available_instruction_sets() -> list[str]: ...
def count_fork() -> None: ...
def set_num_threads(count: int) -> int: ...
def get_num_threads() -> int: ...
def set_main_thread() -> None: ...
def register_bfloat16(number: int) -> None: ...
def array_from_dlpack(x: Any, name: str) -> Array: ...
def transform(
    x: Any, temperature: Any, axis: Any, out: Any, operation: int, where: Any = None, prepared: bool = False
) -> Any: ...
def log_prob_rows(x: Any, index: Any, temperature: Any, axis: Any, where: Any, prepared: bool = False) -> Any: ...
def kl_divergence_rows(
    x: Array, y: Array, dtype: int, temperature: Any, where: Array | None, out: NDArray[np.float64]
) -> None: ...
def weighted_sum_rows(
    x: Array, b: NDArray[np.float64], dtype: int, temperature: Any, where: Array | None, out: Array
) -> int: ...
def fill_keyed_uniforms(
    seeds: int | NDArray[np.uint64],
    keys: NDArray[np.uint64],
    steps: int | NDArray[np.uint64],
    stream: int,
    u: NDArray[np.float64],
) -> None: ...
def cast(a: Array, dtype: DTypeLike) -> Array: ...
def as_flag(value: Any, name: str) -> bool: ...
def are_scalars(parameters: Mapping[str, Any]) -> bool: ...
def given_filters(
    top_k: Any = None,
    top_p: Any = None,
    min_p: Any = None,
    top_a: Any = None,
    p_less: Any = False,
    typical_p: Any = None,
    top_h: Any = None,
    top_n_sigma: Any = None,
    epsilon_cutoff: Any = None,
    eta_cutoff: Any = None,
    xtc_threshold: Any = None,
    xtc_probability: Any = None,
    dynatemp_range: Any = None,
    dynatemp_exponent: Any = 1.0,
    smoothing_factor: Any = None,
    smoothing_curve: Any = 1.0,
    min_tokens_to_keep: Any = 1,
    temperature_last: Any = False,
    order: Any = None,
    keep: Any = None,
) -> dict[str, Any] | None: ...
def bools_of_integers(mask: Array) -> NDArray[np.bool_] | None: ...
def is_spread_out(a: Array) -> bool: ...
def draw(
    x: Any,
    probs: bool,
    temperature: Any,
    axis: Any,
    size: Any,
    u: Any,
    rng: Any,
    mask: Any,
    bias: Any,
    return_logprob: Any,
    stop: bool,
    filters: Array | None = None,
    distinct: bool = False,
    bias_at: NDArray[np.int64] | None = None,
    coins: NDArray[np.float64] | None = None,
    prepared: bool = False,
    keep: NDArray[np.int64] | None = None,
    aims: NDArray[np.float64] | None = None,
    before: NDArray[np.float64] | None = None,
    seeded: tuple[Any, ...] | None = None,
) -> tuple[Any, int] | None: ...
def truncate_rows(
    x: Array,
    dtype: int,
    temperature: Array,
    mask: Array | None,
    words: bool,
    bias: Array | None,
    bias_at: NDArray[np.int64] | None,
    filters: Array,
    keep: NDArray[np.int64] | None,
    coins: NDArray[np.float64] | None,
    out: Array,
) -> None: ...
def top_rows(
    x: Array,
    dtype: int,
    temperature: Array,
    k: int,
    mask: Array | None,
    words: bool,
    bias: Array | None,
    bias_at: NDArray[np.int64] | None,
    chosen: Array | None,
    index: NDArray[np.int64],
    logprob: NDArray[np.float64],
    rank: NDArray[np.int64] | None,
) -> tuple[int, str] | None: ...
def penalize_rows(
    out: Array,
    dtype: int,
    context: NDArray[np.int64],
    starts: NDArray[np.int64],
    penalties: Array,
    breaker_tokens: NDArray[np.int64],
    breaker_starts: NDArray[np.int64],
    exempt: NDArray[np.int64] | None = None,
) -> None: ...
def verify_rows(
    target: Array,
    target_dtype: int,
    draft: Array | None,
    draft_dtype: int,
    tokens: NDArray[np.int64],
    temperature: NDArray[np.float64],
    u: Array,
    accepted: NDArray[np.int64],
    token: NDArray[np.int64],
) -> tuple[str, int, int, str] | None: ...
def verify_tree_rows(
    target: Array,
    target_dtype: int,
    draft: Array | None,
    draft_dtype: int,
    tokens: NDArray[np.int64],
    parents: NDArray[np.int64],
    replacement: bool,
    temperature: NDArray[np.float64],
    u: Array,
    accepted: NDArray[np.int64],
    path: NDArray[np.int64],
    token: NDArray[np.int64],
) -> tuple[str, int, int, str] | None: ...
def _time_c_api(x: Array, temperature: float, repeats: int, draws: bool, exports: bool) -> float: ...

class SummaryBase:
    def __new__(cls, data: Any = None) -> Self: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def _same_bits(self, other: SummaryBase) -> bool: ...
    def _bits(self) -> tuple[Any, ...]: ...
    @property
    def _code(self) -> int: ...
    @property
    def _pieces(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def _temperature_at(self) -> int: ...
    @property
    def spans(self) -> tuple[tuple[int, int], ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def logsumexp(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...

def shard_block(dtype: int) -> int: ...
def needs_double(dtype: int, temperature: NDArray[np.float64]) -> bool: ...
def summary_nbytes(shape: tuple[int, ...], entries: int, dtype: int, logsumexp: bool, in_double: bool) -> int: ...
def summarise(
    x: Array,
    dtype: int,
    temperature: Array,
    mask: Array | None,
    words: bool,
    bias: Array | None,
    bias_at: NDArray[np.int64] | None,
    offset: int,
    logsumexp: bool,
    in_double: bool,
) -> bytes: ...
def combined(parts: list[Any]) -> bytes | None: ...
def summarised(x: Any, temperature: Any, offset: Any, mask: Any, bias: Any, logsumexp: bool) -> bytes | None: ...
def drawn_in_shard(
    x: Any, s: SummaryBase, offset: Any, u: Any, mask: Any, with_logprob: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64] | None, int] | None: ...
def normaliser_bytes(s: SummaryBase) -> bytes: ...
def block_maxima(s: SummaryBase, offset: int, n: int, result: NDArray[np.float64]) -> None: ...
def cut_maxima(s: SummaryBase, offset: int, n: int, result: NDArray[np.float64]) -> None: ...
def logsumexp_of_summary(s: SummaryBase, result: NDArray[np.float64]) -> None: ...
def locate_draws(s: SummaryBase, k: int, u: NDArray[np.float64], location: Array) -> None: ...
def finish_rows(
    x: Array,
    dtype: int,
    offset: int,
    entries: int,
    temperature: Array,
    mask: Array | None,
    words: bool,
    bias: Array | None,
    bias_at: NDArray[np.int64] | None,
    normaliser: Array,
    cut_max: NDArray[np.float64] | None,
    block_max: NDArray[np.float64] | None,
    out: Array,
    log: bool,
) -> int: ...
def resolve_rows(
    x: Array,
    dtype: int,
    offset: int,
    entries: int,
    temperature: Array,
    mask: Array | None,
    words: bool,
    bias: Array | None,
    bias_at: NDArray[np.int64] | None,
    normaliser: Array,
    k: int,
    location: Array,
    index: NDArray[np.int64],
    logprob: NDArray[np.float64] | None,
) -> int: ...

SEGMENT_DRAW: int
LONG_SEGMENT: int

def segmented(
    x: Any,
    temperature: Any,
    out: Any,
    u: Any,
    offsets: NDArray[np.int64],
    long_rows: NDArray[np.int64],
    operation: int,
    return_logprob: bool = False,
    stop: bool = False,
    prepared: bool = False,
) -> Any: ...

class SamplerBase:
    @property
    def _step(self) -> int: ...
    @_step.setter
    def _step(self, step: int | np.integer[Any]) -> None: ...
    _mu: float | NDArray[np.float64] | None
    _mean: float | NDArray[np.float64] | None
    _given: dict[str, Any]
    _filters: Any
    _seed: int | NDArray[np.int64] | NDArray[np.uint64] | None
    _keys: int | NDArray[np.int64] | NDArray[np.uint64] | None
    _steps: NDArray[np.int64] | None
    _rng: np.random.Generator | None
    _axis: int | tuple[int, ...] | None
    _mask: Array | None
    _bias: Any
    _mirostat_tau: float | NDArray[np.float64] | None
    _mirostat_eta: float | NDArray[np.float64]
    _adaptive_p: float | NDArray[np.float64] | None
    _adaptive_p_decay: float | NDArray[np.float64]
    _return_logprob: bool
    _on_invalid: str
    @property
    def _temperature(self) -> Any: ...
    def bind(self, generator: np.random.Generator, follows_process: bool) -> None: ...
    def set_seed(self, seed: int) -> None: ...
    def set_held_words(self, held: bool) -> None: ...
    def set_method(self, rejects: bool) -> None: ...
    @property
    def _method(self) -> str: ...
    def set_temperature(self, temperature: Any, looks_ahead: bool) -> None: ...
    def set_ways(self, one_row: bool, with_logprob: bool) -> None: ...
    def set_filters(self, record: Array | None, needs_coin: bool, keep: NDArray[np.int64] | None) -> None: ...
    def set_mask(self, mask: Array | None) -> None: ...
    def set_bias(self, bias: Array | None, bias_at: NDArray[np.int64] | None) -> None: ...
    def set_mirostat(self, tau: Any, eta: Any) -> None: ...
    def set_adaptive(self, target: Any, decay: Any) -> None: ...
    def __call__(
        self, logits: Any, u: Any = None, xtc_u: Any = None, keys: Any = None, *, mask: Any = None, bias: Any = None
    ) -> Any: ...
    def sample_probs(
        self, probs: Any, u: Any = None, xtc_u: Any = None, keys: Any = None, *, mask: Any = None, bias: Any = None
    ) -> Any: ...

class CategoricalBase:
    @property
    def temperature(self) -> float: ...
    @property
    def _values(self) -> Array: ...
    @property
    def _mask(self) -> Array | None: ...
    @property
    def _bias(self) -> NDArray[np.float64] | None: ...
    @property
    def _bias_at(self) -> NDArray[np.int64] | None: ...
    @property
    def _from_probs(self) -> bool: ...
    def __len__(self) -> int: ...
    def _prepare(
        self,
        values: Array,
        dtype: int,
        probs: bool,
        temperature: float,
        mask: Array | None,
        words: bool,
        bias: NDArray[np.float64] | None,
        bias_at: NDArray[np.int64] | None,
    ) -> str | None: ...
    def _draw_given(self, u: NDArray[np.float64], index: NDArray[np.int64]) -> None: ...
    def _draw_from(self, bit_generator: np.random.BitGenerator, index: NDArray[np.int64]) -> None: ...
    def _draw_seeded(self, seed: int, key: int, index: NDArray[np.int64]) -> None: ...
    def _draw_one_seeded(self, seed: int, key: int) -> int: ...
    def _draw_one(self, bit_generator: np.random.BitGenerator) -> int: ...
    def _check(self) -> None: ...
    def _logprob_into(self, index: NDArray[np.int64], logprob: NDArray[np.float64]) -> None: ...

def sample_many(
    x: Array,
    dtype: int,
    probs: bool,
    temperature: float,
    mask: Array | None,
    words: bool,
    bias: Array | None,
    bias_at: NDArray[np.int64] | None,
    bit_generator: np.random.BitGenerator,
    index: NDArray[np.int64],
) -> str | None: ...
