"""The reference with the fast functions' arguments: every row of a batch goes to the one-row function of that name.

Entries lie along the last axis. Parameters broadcast to the rows, masks may be packed words, biases mappings.
"""

import math
from collections.abc import Mapping

import numpy as np

from fastsoftmax import reference


def _rows(x):
    x = np.asarray(x, np.float64)
    return x.reshape(-1, x.shape[-1]).tolist(), x.shape[:-1]


def _keywords(x, **given):
    """The keyword arguments of each row, without those that are None."""
    shape = np.shape(x)
    rows = [{} for _ in range(math.prod(shape[:-1]))]
    for name, value in given.items():
        if value is None:
            continue
        if name in ("order", "keep", "exempt"):  # the same for all rows
            for row in rows:
                row[name] = tuple(value)
            continue
        if name == "mask":
            of_rows = np.broadcast_to(_unpacked(value, shape[-1]), shape).reshape(-1, shape[-1])
        elif name == "bias":
            of_rows = np.broadcast_to(_dense(value, shape[-1]), shape).reshape(-1, shape[-1])
        else:
            of_rows = np.broadcast_to(value, shape[:-1]).ravel()
        for row, one in zip(rows, of_rows.tolist(), strict=True):
            row[name] = one
    return rows


def _unpacked(mask, n):
    mask = np.asarray(mask)
    if mask.dtype == bool:
        return mask
    bits = mask[..., None] >> np.arange(32) & 1
    return bits.astype(bool).reshape(*mask.shape[:-1], -1)[..., :n]


def _dense(bias, n):
    return [bias.get(i, 0.0) for i in range(n)] if isinstance(bias, Mapping) else bias


def _gathered(results, shape):
    """One result for each row, in the shape of the rows; a Python number where there are no axes."""
    array = np.array(results)
    array = array.reshape((*shape, *array.shape[1:]))
    return array if array.ndim else array.item()


def _every_row(function, x, **given):
    rows, shape = _rows(x)
    results = [function(row, **keywords) for row, keywords in zip(rows, _keywords(x, **given), strict=True)]
    return _gathered(results, shape)


def softmax(x, temperature=1.0):
    return _every_row(reference.softmax, x, temperature=temperature)


def log_softmax(x, temperature=1.0):
    return _every_row(reference.log_softmax, x, temperature=temperature)


def logsumexp(x, temperature=1.0):
    return _every_row(reference.logsumexp, x, temperature=temperature)


def truncate(logits, temperature=1.0, **parameters):
    return _every_row(reference.truncate, logits, temperature=temperature, **parameters)


def sample(logits, temperature=1.0, **given):
    return _draw(reference.sample, logits, temperature=temperature, **given)


def sample_probs(probs, temperature=1.0, **given):
    return _draw(reference.sample_probs, probs, temperature=temperature, **given)


def _draw(function, x, *, u, size=(), return_logprob=False, on_invalid="raise", **given):
    rows, shape = _rows(x)
    size = size if isinstance(size, tuple) else (size,)
    us = np.broadcast_to(u, shape + size).reshape(len(rows), -1).tolist()
    pairs = [
        _draw_or_flag(function, row, on_invalid, u=one, **keywords)
        for row, of_row, keywords in zip(rows, us, _keywords(x, **given), strict=True)
        for one in of_row
    ]
    indices, logprobs = (_gathered(part, shape + size) for part in zip(*pairs, strict=True))
    return (indices, logprobs) if return_logprob else indices


def _draw_or_flag(function, row, on_invalid, **keywords):
    try:
        return function(row, return_logprob=True, **keywords)
    except ValueError:
        if on_invalid == "raise":
            raise
        return -1, math.nan


class Sampler:
    """The calls of `sample` that a fast Sampler makes; one with mirostat takes one row."""

    def __init__(self, temperature=1.0, *, seed=None, mirostat_tau=None, mirostat_eta=0.1, **parameters):
        self.temperature, self.seed, self.parameters, self.step = temperature, seed, parameters, 0
        self.tau, self.eta = mirostat_tau, mirostat_eta
        self.mirostat_mu = None if mirostat_tau is None else 2.0 * mirostat_tau

    def __call__(self, logits, u=None, *, keys=None):
        parameters = dict(self.parameters)
        if self.seed is not None:
            keys = np.arange(math.prod(np.shape(logits)[:-1])) if keys is None else keys
            u = keyed_uniforms(self.seed, keys, self.step)
            parameters["xtc_u"] = keyed_uniforms(self.seed, keys, self.step, stream=1)
        temperature = self.temperature(self.step) if callable(self.temperature) else self.temperature
        index, logprob = sample(
            logits, temperature, u=u, mirostat_mu=self.mirostat_mu, return_logprob=True, **parameters
        )
        if self.tau is not None:
            self.mirostat_mu -= self.eta * (-logprob / math.log(2.0) - self.tau)
        self.step += 1
        return index


def top_logprobs(logits, k, temperature=1.0, **given):
    rows, shape = _rows(logits)
    every = _keywords(logits, temperature=temperature, **given)
    tops = [reference.top_logprobs(row, k, **keywords) for row, keywords in zip(rows, every, strict=True)]
    logprobs, indices, rank = (_gathered(part, shape) for part in zip(*tops, strict=True))
    return reference.TopLogprobs(logprobs, indices, rank)


def sample_without_replacement(logits, k, temperature=1.0, *, u, **given):
    rows, shape = _rows(logits)
    us = np.broadcast_to(u, (*shape, k)).reshape(len(rows), k).tolist()
    every = _keywords(logits, temperature=temperature, **given)
    drawn = [
        reference.sample_without_replacement(row, k, u=of_row, **keywords)
        for row, of_row, keywords in zip(rows, us, every, strict=True)
    ]
    return _gathered(drawn, shape)


def penalize(logits, tokens, *, lengths=None, dry_sequence_breakers=(), **given):
    rows, shape = _rows(logits)
    contexts = tokens if shape else [tokens]
    counts = np.broadcast_to([len(c) for c in contexts] if lengths is None else lengths, len(rows)).tolist()
    breakers = [(b,) if isinstance(b, int) else tuple(b) for b in dry_sequence_breakers]
    penalized = [
        reference.penalize(row, list(context[:count]), dry_sequence_breakers=breakers, **keywords)
        for row, context, count, keywords in zip(rows, contexts, counts, _keywords(logits, **given), strict=True)
    ]
    return _gathered(penalized, shape)


def verify_draft(target_logits, draft_logits, tokens, temperature=1.0, *, draft_temperature=None, u):
    target, tokens = np.asarray(target_logits), np.asarray(tokens, int)
    if target.ndim == 2:
        given = None if draft_logits is None else np.asarray(draft_logits).tolist()
        keywords = {"draft_temperature": draft_temperature, "u": list(u)}
        return reference.verify_draft(target.tolist(), given, tokens.tolist(), temperature, **keywords)
    drafts = [None] * len(target) if draft_logits is None else draft_logits
    of_q = temperature if draft_temperature is None else draft_temperature
    temperatures, drafts_at = (np.broadcast_to(t, len(target)).tolist() for t in (temperature, of_q))
    verdicts = [
        verify_draft(x, y, t, at, draft_temperature=q_at, u=one)
        for x, y, t, at, q_at, one in zip(target, drafts, tokens, temperatures, drafts_at, u, strict=True)
    ]
    return reference.DraftVerdict(*(list(part) for part in zip(*verdicts, strict=True)))


def keyed_uniforms(seed, keys, step=0, **stream):
    words = np.broadcast_arrays(*(np.asarray(given, object) for given in (seed, keys, step)))
    drawn = [
        reference.keyed_uniforms(int(a), int(b), int(c), **stream)
        for a, b, c in zip(*(each.ravel() for each in words), strict=True)
    ]
    return _gathered(drawn, words[0].shape)


def summarize(logits_shard, temperature=1.0, offset=0, *, mask=None, bias=None):
    """One summary for each row."""
    rows, _ = _rows(_allowed(logits_shard, mask, bias))
    temperatures = np.broadcast_to(temperature, len(rows)).tolist()
    return [reference.summarize(row, t, offset) for row, t in zip(rows, temperatures, strict=True)]


def combine(summaries):
    return [reference.combine(of_row) for of_row in zip(*summaries, strict=True)]


def softmax_from_summary(logits_shard, summary, *, mask=None, bias=None):
    return _finish(reference.softmax_from_summary, _allowed(logits_shard, mask, bias), summary)


def log_softmax_from_summary(logits_shard, summary, *, mask=None, bias=None):
    return _finish(reference.log_softmax_from_summary, _allowed(logits_shard, mask, bias), summary)


def _finish(function, x, summary):
    rows, shape = _rows(x)
    return _gathered([function(row, one) for row, one in zip(rows, summary, strict=True)], shape)


def logsumexp_from_summary(summary):
    return np.array([reference.logsumexp_from_summary(one) for one in summary])


def locate_draws(summary, *, u):
    """One draw from each row; -1 for a row that cannot be drawn from."""
    return np.array([_or_flag(reference.locate_draws, one, u=v) for one, v in zip(summary, u, strict=True)])


def sample_from_summary(logits_shard, summary, *, offset, u, mask=None, bias=None):
    """One draw from each row and its log-probability, as the fast function flags and returns them."""
    rows, _ = _rows(_allowed(logits_shard, mask, bias))
    drawn = []
    for row, one, v in zip(rows, summary, u, strict=True):
        index = _or_flag(reference.sample_from_summary, row, one, offset=offset, u=v)
        logprobs = reference.log_softmax_from_summary(row, one)
        if index >= 0:
            drawn.append((index, logprobs[index - offset] if one.temperature else 0.0))
        else:
            drawn.append((index, math.nan if math.isnan(logprobs[0]) else -math.inf))
    return tuple(np.array(part) for part in zip(*drawn, strict=True))


def _or_flag(function, *arguments, **keywords):
    try:
        return function(*arguments, **keywords)
    except ValueError:
        return -1


def _allowed(x, mask, bias):
    x = np.asarray(x, np.float64)
    x = x if bias is None else x + bias
    return x if mask is None else np.where(mask, x, -np.inf)
