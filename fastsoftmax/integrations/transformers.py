"""Sampling for transformers' `generate`: one more argument, `custom_generate=FastSampling(seed=7)`.

The parameters are those that `generate` is given.  The warpers that it makes of them (temperature, top_k, top_p and the
others) are taken out of the chain and their work is done by :func:`fastsoftmax.sample`; every other processor stays
where it is, and the loop is the model's own.

Examples
--------
>>> import torch
>>> from transformers import GPT2Config, GPT2LMHeadModel
>>> from fastsoftmax.integrations.transformers import FastSampling
>>> config = GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=50, bos_token_id=0, eos_token_id=0)
>>> model, prompt = GPT2LMHeadModel(config), torch.tensor([[1, 2, 3]])
>>> written = model.generate(prompt, do_sample=True, temperature=0.8, top_p=0.95, max_new_tokens=5, min_new_tokens=5,
...     pad_token_id=0, custom_generate=FastSampling(seed=7))
>>> written.shape
torch.Size([1, 8])
"""

from __future__ import annotations

import copy
import inspect
import math
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import (
    GenerationMixin,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteriaList,
    StopStringCriteria,
)
from transformers.generation import logits_process

from .. import _sampling, _truncation
from .._args.keyed import as_rejects, checked_words, integer_keys
from .._sampler import Sampler
from . import _torch_ops as ops
from .torch import sample

if TYPE_CHECKING:
    from .._types import Method

__all__ = ["FastSampling"]

# The filter that a warper is here, and the attribute that holds its number.
_FILTERS = {
    "TopHLogitsWarper": ("top_h", "top_h"),
    "TopKLogitsWarper": ("top_k", "top_k"),
    "TopPLogitsWarper": ("top_p", "top_p"),
    "MinPLogitsWarper": ("min_p", "min_p"),
    "TypicalLogitsWarper": ("typical_p", "mass"),
    "EpsilonLogitsWarper": ("epsilon_cutoff", "epsilon"),
    "EtaLogitsWarper": ("eta_cutoff", "epsilon"),
}
# By class, since a subclass may do something else; not every version has all of them.
_FILTER_OF = {cls: names for name, names in _FILTERS.items() if (cls := getattr(logits_process, name, None))}

_ADVICE = {
    "greedy_search": "with do_sample=False nothing is drawn: pass do_sample=True",
    "contrastive_search": "contrastive search does not draw: pass do_sample=True and no penalty_alpha",
    "assisted_generation": "assisted decoding has a loop of its own (fastsoftmax.verify_draft has its rule): pass "
    "neither assistant_model nor another source of drafts",
    "dola_generation": "DoLa compares layers in a loop of its own: pass no dola_layers",
}
_BEAMS = "beams need the scores of all tokens, and FastSampling gives the one it drew: pass num_beams=1"
_GENERATE = inspect.unwrap(GenerationMixin.generate).__code__


class FastSampling:
    """What `custom_generate` of `model.generate(…, do_sample=True)` takes, to draw the tokens by this package.

    Parameters
    ----------
    seed : int or sequence of int, optional
        The token of a sequence depends on nothing but its logits, the parameters, the seed, its key, and the number of
        tokens generated before it (:func:`fastsoftmax.keyed_uniforms`).  One seed, or one for each sequence.  Without a
        seed the uniforms are those of ``torch.rand`` in float64, one for each row and token.
    keys : int or sequence of int, optional
        The keys of the sequences, such as the ids of the requests: their tokens are then the same alone and in any
        batch.  One for each row that is generated: with `num_return_sequences` several for each prompt, one after
        another.  By default the number of the row, or 0 where each has a seed of its own.
    method : {"inversion", "rejection"}, default "inversion"
        With a seed: how a token is drawn where no filter is on, as in :func:`fastsoftmax.sample`.
    generator : torch.Generator, optional
        Where ``torch.rand`` takes the uniforms from if there is no seed; on the CPU.  By default PyTorch's own
        generator, which ``torch.manual_seed`` seeds.
    stop_strings, tokenizer : optional
        As `generate` has them.  They are passed here, since `generate` does not see its `tokenizer` when it has a
        callable `custom_generate`.

    Raises
    ------
    ValueError, TypeError
        For a seed or keys that :func:`fastsoftmax.keyed_uniforms` does not take, for a seed and a generator, for keys
        without a seed, and for a generator on another device.  In `generate`: for beams, `do_sample=False`, assisted
        and contrastive decoding, for keys that are not one for each row, and for a row that cannot be drawn from.

    Notes
    -----
    An object holds no state: it may serve many calls, and each call begins with the same uniforms if there is a seed,
    so other requests need other keys.  docs/transformers.md says what is taken over from `generate`.
    """

    def __init__(
        self,
        seed: int | Sequence[int] | None = None,
        *,
        keys: int | Sequence[int] | None = None,
        method: Method = "inversion",
        generator: torch.Generator | None = None,
        stop_strings: str | list[str] | None = None,
        tokenizer: Any = None,
    ) -> None:
        if seed is None and keys is not None:
            raise ValueError("keys need a seed: FastSampling(seed=…, keys=…)")
        if as_rejects(method) and seed is None:
            raise ValueError("method needs a seed: FastSampling(seed=…, method=…)")
        if seed is not None and generator is not None:
            raise ValueError("seed and generator are both given; pass one of them")
        if generator is not None and generator.device.type != "cpu":
            raise TypeError(f"generator is on {generator.device}, and draws are made on the CPU: pass one of the CPU")
        if stop_strings is not None and tokenizer is None:
            raise ValueError("stop_strings need the tokenizer: FastSampling(…, stop_strings=…, tokenizer=…)")
        given = None if seed is None else checked_words("seed", seed)
        self._seed = given if given is None or isinstance(given, int) else given.flatten()
        self._keys = None if keys is None else integer_keys(keys).flatten()
        self._method = method
        self._generator = generator
        self._stop = None if stop_strings is None else StopStringCriteria(tokenizer, stop_strings)

    def __call__(
        self,
        model: Any,
        input_ids: Tensor,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        synced_gpus: bool | None = None,
        streamer: Any = None,
        **model_kwargs: Any,
    ) -> Any:
        """The loop of the model, as `generate` calls it."""
        lost = _lost_arguments()
        mode = generation_config.get_generation_mode(lost.get("assistant_model")).value
        if mode != "sample":
            raise ValueError(f"FastSampling: {_ADVICE.get(mode, _BEAMS)}, or leave custom_generate out")
        self._check_rows(input_ids.shape[0])
        streamer = lost.get("streamer") if streamer is None else streamer
        if synced_gpus is None:  # decided as generate decides it
            given = model._extract_generation_mode_kwargs(None, {}, lost.get("synced_gpus"), None, None)
            synced_gpus = given["synced_gpus"]

        stock, stages, normalized = _split(logits_processor)
        recorded: list[Tensor] | None = None
        criteria = StoppingCriteriaList([*stopping_criteria, *([] if self._stop is None else [self._stop])])
        if generation_config.return_dict_in_generate and generation_config.output_scores:
            recorded = []
            criteria = _CriteriaOfScores(criteria, recorded)
        config = copy.copy(generation_config)
        config.do_sample = False  # the loop takes the argmax
        output = model._sample(
            input_ids,
            logits_processor=LogitsProcessorList([*stock, _Draw(self, stages, recorded, normalized, reuses=True)]),
            stopping_criteria=criteria,
            generation_config=config,
            synced_gpus=synced_gpus,
            streamer=streamer,
            **model_kwargs,
        )
        if recorded is not None:
            output.scores = tuple(recorded[: len(output.scores)])
        return output

    def as_processor(self, temperature: float | Tensor = 1.0, **filters: Any) -> LogitsProcessor:
        """A processor that draws, for a loop that takes the argmax: `generate` with `do_sample=False`, or another one.

        Parameters
        ----------
        temperature : float or Tensor, default 1.0
            One number, or one for each row.
        **filters
            `top_k`, `top_p`, `min_p` and the others of :func:`fastsoftmax.sample`.

        Returns
        -------
        LogitsProcessor
            Its scores are 0 for the token drawn and -inf for every other; it must be the last of the chain.  With a
            seed it counts the tokens from its first call on: take a new one for each run.

        Examples
        --------
        >>> import torch
        >>> from fastsoftmax.integrations.transformers import FastSampling
        >>> processor = FastSampling(seed=7).as_processor(temperature=0.8, top_k=1)
        >>> processor(torch.tensor([[5, 6]]), torch.tensor([[0.0, 2.0, 1.0]]))
        tensor([[-inf, 0., -inf]])
        """
        unknown = set(filters).difference(ops.FILTERS)
        if unknown:
            raise TypeError(f"as_processor() got an unexpected keyword argument {min(unknown)!r}")
        return _Draw(self, [{"temperature": temperature, **filters}])

    def _check_rows(self, rows: int) -> None:
        given = {"keys": self._keys, "seed": None if isinstance(self._seed, int) else self._seed}
        for name, held in given.items():
            if held is not None and held.shape != (rows,):
                raise ValueError(
                    f"FastSampling has {name} of shape {held.shape} for {rows} rows; pass one for each row that is "
                    "generated, so num_return_sequences of them for each prompt"
                )

    def _draw(self, x: Tensor, step: int, parameters: Mapping[str, Any]) -> Tensor:
        """An index of each row."""
        if self._seed is None:
            return sample(x, generator=self._generator, **parameters)
        arrays = {name: ops.number_or_array(value, name) for name, value in parameters.items()}
        words: dict[str, Any] = {"seed": self._seed, "keys": self._keys, "step": step, "method": self._method}
        return ops.tensor_of(_sampling.sample(x.numpy(), **words, **arrays))


class _Draw(LogitsProcessor):
    """Draws a token for each row and makes it the largest score.

    Parameters
    ----------
    source : FastSampling
        Where the uniforms come from.
    stages : list of dict
        Parameters of `sample`; all but the last are applied by `truncate` one after another.
    recorded : list, optional
        Where the scores go that would be drawn from.
    normalized : bool, default False
        Record them as logarithms of probabilities.
    reuses : bool, default False
        Return the same tensor at each call, where nobody keeps it: a new one of this size costs a page fault for each
        of its pages.
    """

    def __init__(
        self,
        source: FastSampling,
        stages: Sequence[Mapping[str, Any]],
        recorded: list[Tensor] | None = None,
        normalized: bool = False,
        reuses: bool = False,
    ) -> None:
        self._source = source
        *self._before, self._last = stages
        self._recorded = recorded
        self._normalized = normalized
        self._reuses = reuses
        self._held: tuple[Tensor, Tensor] | None = None  # the row and where it is 0
        self._of_rows = any(not isinstance(value, bool | int | float | tuple) for value in self._last.values())
        self._sampler: Sampler | None = None
        self._step = 0
        self._begin = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._source._check_rows(scores.shape[0])
        x = scores.detach().cpu()
        if x.dtype in (torch.float16, torch.bfloat16):
            x = x.float()
        for stage in self._before:
            x = _truncate(x, **stage)
        tokens = self._tokens(x, self._take_step(input_ids))
        if self._recorded is not None:
            processed = _truncate(x, **self._last)
            if self._normalized:
                processed = processed.log_softmax(-1)
            self._recorded.append(processed.to(scores.device))
        return self._row(scores, tokens.to(scores.device).unsqueeze(-1))

    def _tokens(self, x: Tensor, step: int) -> Tensor:
        """One for each row, drawn; of a single row by a Sampler, as what a call costs beside the draw counts here.

        The model has swept the processor's caches: all that is called takes several times as long as in a loop.
        """
        source, needs_coins = self._source, "xtc_probability" in self._last
        if x.shape[0] != 1 or self._of_rows:
            return source._draw(x, step, self._last)
        if self._sampler is None:
            self._sampler = Sampler(**self._last, seed=_word(source._seed), method=source._method)
        row = x[0].numpy()
        if source._seed is None:
            coin = torch.rand((), dtype=torch.float64, generator=source._generator).item() if needs_coins else None
            u = torch.rand((), dtype=torch.float64, generator=source._generator).item()
            return torch.tensor([self._sampler(row, u, coin)])
        self._sampler.step = step
        return torch.tensor([self._sampler(row, keys=_word(source._keys))])

    def _row(self, scores: Tensor, tokens: Tensor) -> Tensor:
        """0 at the tokens and -inf elsewhere, in the shape and on the device of the scores."""
        if self._held is None:
            row = torch.full_like(scores, -math.inf)
        else:
            row, before = self._held
            row.scatter_(-1, before, -math.inf)
        if self._reuses:
            self._held = row, tokens
        return row.scatter_(-1, tokens, 0.0)

    def _take_step(self, input_ids: Tensor) -> int:
        step, length = self._step, input_ids.shape[-1]
        if step == 0:
            self._begin = length
        elif length != self._begin + step and self._source._seed is not None:
            raise ValueError(
                f"the processor has drawn {step} tokens after {self._begin}, and is called with {length}: it serves "
                "one run, take a new one from FastSampling.as_processor for the next"
            )
        self._step = step + 1
        return step


def _word(words: Any) -> int | None:
    """The seed or the key of a single row."""
    return words if words is None or isinstance(words, int) else int(words[0])


class _CriteriaOfScores(StoppingCriteriaList):
    """Criteria that see the scores recorded, not those that say which token was drawn."""

    def __init__(self, criteria: Any, recorded: list[Tensor]) -> None:
        super().__init__(criteria)
        self._recorded = recorded

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Any:
        return super().__call__(input_ids, tuple(self._recorded), **kwargs)


def _lost_arguments() -> dict[str, Any]:
    """Arguments of `generate` that it does not hand on to a callable: they are in its frame, and nowhere else."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code is _GENERATE:
            return {name: frame.f_locals.get(name) for name in ("streamer", "synced_gpus", "assistant_model")}
        frame = frame.f_back
    return {}


def _split(chain: Sequence[Any]) -> tuple[list[Any], list[dict[str, Any]], bool]:
    """The processors that stay, what the warpers after them are here, and whether scores are normalised at the end."""
    stock = list(chain)
    normalized = bool(stock) and type(stock[-1]) is logits_process.LogitNormalization
    if normalized:  # it does not change what is drawn
        stock.pop()
    first = len(stock)
    while first and _parameters(stock[first - 1]) is not None:
        first -= 1
    return stock[:first], _stages(stock[first:]), normalized


def _parameters(processor: Any) -> dict[str, Any] | None:
    """What a warper is here, in the order in which it works; None for a processor that is none."""
    cls = type(processor)
    if cls is logits_process.TemperatureLogitsWarper:
        return {"temperature": float(processor.temperature)}
    if cls not in _FILTER_OF or processor.filter_value != -math.inf:
        return None
    name, attribute = _FILTER_OF[cls]
    value = getattr(processor, attribute)
    if name == "top_k":
        return {name: int(value)}
    before = {"top_k": processor.top_n} if name == "top_h" else {}  # it looks at so many alone
    return {**before, name: float(value)}


def _stages(warpers: Sequence[Any]) -> list[dict[str, Any]]:
    """Arguments of `truncate` for all stages but the last, which is one of `sample`.

    One stage is the rule.  A filter that comes twice (top_h has a top_k of its own) begins another, and so does a
    filter that keeps another number of tokens.
    """
    stages: list[dict[str, Any]] = [{}]
    least = "min_tokens_to_keep"
    for warper in warpers:
        given = _parameters(warper)
        assert given is not None
        if "temperature" not in given:
            given[least] = getattr(warper, least, 1)
        if any(name in stages[-1] and (name != least or stages[-1][name] != given[name]) for name in given):
            stages.append({})
        stages[-1].update(given)
    for stage in stages:
        order = tuple(name for name in stage if name != least)
        if any(name != "temperature" for name in order):
            stage["order"] = order
    return stages


def _truncate(x: Tensor, temperature: Any = 1.0, **filters: Any) -> Tensor:
    """What :func:`fastsoftmax.truncate` makes of a tensor; the tensor itself where that is the same."""
    if not filters and isinstance(temperature, float) and temperature == 1.0:
        return x
    return ops.tensor_of(_truncation.truncate(x, temperature, **filters))
