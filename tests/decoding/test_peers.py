"""The numbers of other samplers' tests, and their code against ours on random rows where it is installed.

Sources: llama.cpp, tests/test-sampling.cpp; transformers, tests/generation/test_logits_process.py. Numbers only. Where
this package means something else, a test says what and why.
"""

import numpy as np
import oracles
import pytest
from oracles import needs_longdouble

import fastsoftmax as fs

INF = np.inf
FOUR, FIVE, FLAT = [0.1, 0.2, 0.3, 0.4], [0.2] * 5, [0.25] * 4
XTC = {"xtc_probability": 0.99, "xtc_u": 0.0}


def logits_of(probs):
    with np.errstate(divide="ignore"):
        return np.log(np.array(probs, np.float32))


def filtered(probs, temperature=1.0, **filters):
    return fs.softmax(fs.truncate(logits_of(probs), temperature, **filters))


def kept(x, temperature=1.0, **filters):
    return np.flatnonzero(fs.truncate(x, temperature, **filters) > -INF).tolist()


# llama.cpp


@pytest.mark.parametrize(
    "probs, expected, filters",
    [
        (FOUR, FOUR, {}),
        (FOUR, [0, 0, 0, 1], {"temperature": 0.0}),
        (FOUR, FOUR, {"temperature": 1.0, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0}),
        (FOUR, [0, 0, 0, 1], {"temperature": 0.0, "dynatemp_range": 0.0, "dynatemp_exponent": 1.0}),
        (FOUR, [0, 0, 0, 1], {"top_k": 1}),
        (FOUR, [0, 0.22222, 0.33333, 0.44444], {"top_k": 3}),
        (FOUR, FOUR, {"top_k": 4}),
        (FOUR, FOUR, {"top_k": 0}),
        (FOUR, [0, 0, 0, 1], {"top_p": 0.0}),
        (FOUR, [0, 0, 0.428571, 0.571429], {"top_p": 0.7}),
        (FOUR, [0, 0.22222, 0.33333, 0.44444], {"top_p": 0.8}),
        (FOUR, FOUR, {"top_p": 1.0}),
        (FOUR, FOUR, {"min_p": 0.0}),
        (FOUR, FOUR, {"min_p": 0.24}),
        (FOUR, [0, 2 / 9, 3 / 9, 4 / 9], {"min_p": 0.26}),
        (FOUR, [0, 2 / 9, 3 / 9, 4 / 9], {"min_p": 0.49}),
        (FOUR, [0, 0, 3 / 7, 4 / 7], {"min_p": 0.51}),
        (FOUR, [0, 0, 3 / 7, 4 / 7], {"min_p": 0.74}),
        (FOUR, [0, 0, 0, 1], {"min_p": 0.76}),
        (FOUR, [0, 0, 0, 1], {"min_p": 1.0}),
        (FOUR[::-1], [0, 0, 0, 1], {"xtc_threshold": 0.09} | XTC),
        (FOUR[::-1], [0, 0, 2 / 3, 1 / 3], {"xtc_threshold": 0.19} | XTC),
        (FOUR[::-1], [0, 3 / 6, 2 / 6, 1 / 6], {"xtc_threshold": 0.29} | XTC),
        (FOUR[::-1], FOUR[::-1], {"xtc_threshold": 0.39} | XTC),
        ([0.97, 0.01, 0.01, 0.01], [1, 0, 0, 0], {"typical_p": 0.5}),
        ([0.4, 0.2, 0.2, 0.2], [0, 1 / 3, 1 / 3, 1 / 3], {"typical_p": 0.5}),
        (FOUR, [0, 0, 0.428571, 0.571429], {"top_n_sigma": 1.0}),
        (FOUR, FOUR, {"top_n_sigma": 0.0}),
        (FOUR, FOUR, {"top_n_sigma": 3.0}),
    ],
    ids=str,
)
def test_filters_of_llama_cpp(probs, expected, filters):
    # Its tests allow 1e-5.
    np.testing.assert_allclose(filtered(probs, **filters), expected, rtol=0, atol=1e-5)


def test_min_p_above_one_is_an_error_where_llama_cpp_keeps_the_likeliest():
    # No entry has more than the largest probability: such a value is a mistake in the caller's settings.
    with pytest.raises(ValueError, match="min_p"):
        filtered(FOUR, min_p=1.05)


@pytest.mark.parametrize(
    "tokens, expected, penalties",
    [
        ([0], [0, 0.25, 0.25, 0.25, 0.25], {"repetition": 50.0}),
        ([0, 1, 2], [0, 0, 0, 0.5, 0.5], {"repetition": 50.0}),
        ([0, 1, 2, 0, 0], [0, 0, 0, 0.5, 0.5], {"repetition": 50.0}),
        ([0], [0.000011] + [0.249997] * 4, {"frequency": 5.0, "presence": 5.0}),
        ([0, 1, 2], [0.000023] * 3 + [0.499966] * 2, {"frequency": 5.0, "presence": 5.0}),
        ([0, 1, 2, 0, 0], [0, 0.000023, 0.000023, 0.499977, 0.499977], {"frequency": 5.0, "presence": 5.0}),
    ],
)
def test_penalties_of_llama_cpp(tokens, expected, penalties):
    p = fs.softmax(fs.penalize(logits_of(FIVE), tokens, **penalties))
    np.testing.assert_allclose(p, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "n, tokens, expected, multiplier, allowed, last_n, breakers",
    [
        (4, [0, 1], FLAT, 1.0, 2, 4, []),
        (4, [0, 1, 2, 0, 1], [0.296923, 0.296923, 0.109232, 0.296923], 1.0, 2, 5, []),
        (5, [0, 1, 3, 4, 0, 1], FIVE, 1.0, 2, 6, [(3,)]),
        (5, [0, 1, 2, 0, 1], [0.241818, 0.241818, 0.032727, 0.241818, 0.241818], 2.0, 2, 5, []),
        (5, [0, 1, 2, 3, 4, 0, 1], FIVE, 1.0, 4, 7, []),
    ],
)
def test_dry_of_llama_cpp(n, tokens, expected, multiplier, allowed, last_n, breakers):
    dry = {"dry_multiplier": multiplier, "dry_base": 1.1, "dry_allowed_length": allowed}
    dry |= {"dry_penalty_last_n": last_n, "dry_sequence_breakers": breakers}
    got = fs.penalize(logits_of([1 / n] * n), tokens, **dry)
    np.testing.assert_allclose(fs.softmax(got), expected, rtol=0, atol=1e-5)


QUEUES = [
    ("k", 10_000, 1.0, 1.0), ("k", 1, 1.0, 1.0), ("p", 10_000, 1.0, 1.0), ("p", 10_000, 0.0, 1.0),
    ("m", 10_000, 1.0, 1.0), ("m", 10_000, 1.0, 1e-12), ("k", 100, 1.0, 1.0), ("p", 10_000, 0.0003, 1.0),
    ("p", 10_000, 0.8, 1.0), ("m", 10_000, 1.0, 9997.9 / 9999), ("m", 10_000, 1.0, 0.1), ("kp", 100, 0.8, 0.1),
    ("km", 100, 0.8, 0.1), ("pk", 100, 0.8, 0.1), ("pm", 100, 0.8, 0.1), ("mk", 100, 0.8, 0.1),
    ("mp", 100, 0.8, 9997.9 / 9999), ("mp", 100, 0.8, 0.1), ("kpm", 100, 0.8, 0.1), ("kmp", 100, 0.8, 0.1),
    ("pkm", 100, 0.8, 0.1), ("pmk", 100, 0.8, 0.1), ("mkp", 100, 0.8, 0.1), ("mpk", 100, 0.8, 0.1),
]  # fmt: skip


def least_kept(least, name, value, n):
    """Entry i has weight i, and those below `least` are gone: the least one that is left after one filter more."""
    if name == "k":
        return max(least, n - value)
    if name == "m":
        return max(least, int(np.ceil(value * (n - 1))), 1)
    if value >= 1:
        return least
    total, mass, last = sum(range(least, n)), 0, n
    while last == n or mass < value * total:
        last -= 1
        mass += last
    return last


@pytest.mark.parametrize("queue, k, p, m", QUEUES)
def test_queues_of_llama_cpp_in_any_order(queue, k, p, m):
    n = 10_000
    x, least = logits_of(range(n)), 1
    values = {"k": ("top_k", k), "p": ("top_p", p), "m": ("min_p", m)}
    for name in queue:
        parameter, value = values[name]
        x, least = fs.truncate(x, **{parameter: value}), least_kept(least, name, value, n)
        # The entry of probability zero, which some of its filters count, is never kept.
        np.testing.assert_array_equal(np.flatnonzero(x > -INF), np.arange(least, n))
    if list(queue) == sorted(queue, key="kpm".index):
        at_once = fs.truncate(logits_of(range(n)), **dict(values[name] for name in queue))
        np.testing.assert_array_equal(at_once, x)


# transformers


def ramp(n, scale=1.0):
    return scale * (np.arange(n, dtype=np.float32) - n // 2)


@pytest.mark.parametrize(
    "probs, filters, expected",
    [
        ([0.15, 0.3, 0.3, 0.25], {"top_p": 0.8}, [1, 2, 3]),
        ([0.9, 0.0274, 0.047, 0.0274], {"min_p": 0.05}, [0, 2]),
        ([0.15, 0.3, 0.3, 0.25], {"min_p": 0.05}, [0, 1, 2, 3]),
        ([0.97, 0.01, 0.01, 0.01], {"min_p": 0.05}, [0]),
        ([0.97, 0.01, 0.01, 0.01], {"typical_p": 0.5}, [0]),
        ([0.4, 0.2, 0.2, 0.2], {"typical_p": 0.5}, [1, 2, 3]),
        ([0.87, 0.099, 0.001, 0.03], {"epsilon_cutoff": 0.1}, [0]),
        ([0.4, 0.299, 0.101, 0.2], {"epsilon_cutoff": 0.1}, [0, 1, 2, 3]),
        ([0.0, 0.1, 0.8, 0.1], {"eta_cutoff": 0.0625}, [1, 2, 3]),
        ([0.01, 0.04, 0.9, 0.05], {"eta_cutoff": 0.0625}, [2]),
    ],
)
def test_filters_of_transformers(probs, filters, expected):
    assert kept(logits_of(probs), **filters) == expected


@pytest.mark.parametrize(
    "filters, of_ramp, of_steep_ramp",
    [
        ({"top_k": 3}, 3, 3),
        ({"top_p": 0.9, "min_tokens_to_keep": 2}, 3, 2),
        ({"min_p": 0.9, "min_tokens_to_keep": 2}, 2, 2),
        ({"typical_p": 0.7, "min_tokens_to_keep": 2}, 2, 2),
        ({"epsilon_cutoff": 0.05, "min_tokens_to_keep": 2}, 3, 2),
        ({"eta_cutoff": 0.1, "min_tokens_to_keep": 2}, 2, 2),
        ({"top_k": 1, "min_tokens_to_keep": 3}, 3, 3),
    ],
)
def test_ramps_of_transformers(filters, of_ramp, of_steep_ramp):
    assert kept(ramp(10), **filters) == list(range(10 - of_ramp, 10))
    assert kept(ramp(10, 100), **filters) == list(range(10 - of_steep_ramp, 10))


def test_top_k_of_transformers_takes_the_first_of_a_wrapped_ramp():
    x = np.arange(10, dtype=np.float32)
    x[:5] += 10
    assert kept(x, top_k=3) == [2, 3, 4]


@pytest.mark.parametrize("filters", [{"top_k": 1, "min_tokens_to_keep": 3}, {"typical_p": 0.5}], ids=str)
def test_ties_are_cut_where_transformers_keeps_them_all(filters):
    # Exactly the number asked for: the candidates never grow with the number of ties.
    assert kept(np.full(5, 0.2, np.float32), **filters) == [0, 1, 2]


def test_a_decimal_tie_of_masses_is_decided_by_the_numbers_given():
    # transformers expects entries 0 and 3, as 0.5 + 0.3 reaches 0.8. Of the doubles it does not: their exact sum is
    # below the double 0.8. The float32 logarithms are 4e-9 on the other side, too close to promise either.
    probs = np.array([0.3, 0.1, 0.1, 0.5])
    drawn = fs.sample_probs(probs, size=1000, u=np.arange(1000) / 1000, top_p=0.8)
    assert np.unique(drawn).tolist() == [0, 1, 3]
    assert kept(logits_of(probs), top_p=0.8) in ([0, 3], [0, 1, 3])
    assert kept(logits_of(probs), top_p=0.7999) == [0, 3]


def test_temperatures_of_transformers():
    flat, peaked = np.full((2, 20), 1 / 20, np.float32)
    peaked[5], peaked[10] = 1 / 20 + 0.1, 1 / 20 - 0.4
    sharp, plain, smooth = (fs.softmax(fs.truncate(peaked, t)) for t in (0.5, 1.0, 1.3))
    for t in (0.5, 1.3):
        np.testing.assert_allclose(fs.softmax(fs.truncate(flat, t)), 1 / 20, rtol=1e-6)
    assert sharp.max() > plain.max() > smooth.max() and sharp.min() < plain.min() < smooth.min()


def test_repetition_penalties_of_transformers():
    x = np.full((2, 10), 0.1, np.float32)
    x[0, 0], x[1, 5] = -0.1, 0.4
    contexts = [[0, 1], [5, 0]]
    got = fs.penalize(x, contexts, repetition=2.0)
    np.testing.assert_allclose([got[0, 0], got[0, 1], got[1, 0], got[1, 5]], [-0.2, 0.05, 0.05, 0.2], rtol=1e-6)
    # prompt_ignore_length: the tokens after the prompt are the context.
    longer = np.array([[0, 1, 0, 1], [5, 0, 5, 0]])
    np.testing.assert_array_equal(fs.penalize(x, longer[:, 2:], repetition=2.0), got)
    np.testing.assert_array_equal(fs.penalize(x, longer[:, 4:], repetition=2.0), x)
    # The penalty of the encoder's tokens is the inverse.
    got = fs.penalize(x, contexts, repetition=1 / 2)
    np.testing.assert_allclose([got[0, 0], got[0, 1], got[1, 0], got[1, 5]], [-0.05, 0.2, 0.2, 0.8], rtol=1e-6)
    # normalize=True: penalties of log-probabilities.
    logp = fs.log_softmax(x)
    got = fs.penalize(logp, contexts, repetition=2.0)
    np.testing.assert_allclose([got[0, 0], got[0, 1], got[1, 5]], 2 * logp[[0, 0, 1], [0, 1, 5]], rtol=1e-6)
    assert got[0, 2] == logp[0, 2]


def test_biases_and_masks_of_transformers():
    # SequenceBias and NoBadWords of single tokens, PrefixConstrained.
    np.testing.assert_array_equal(fs.truncate(np.zeros(5), bias={1: 100.0, 4: 100.0}), [0, 100, 0, 0, 100])
    assert kept(np.full((2, 5), 0.2), mask=[[True, True, False, False, False], [False, False, True, True, False]]) == [
        0, 1, 7, 8]  # fmt: skip
    with pytest.raises(ValueError):
        fs.sample(np.zeros(5), mask=np.zeros(5, bool))


def test_nan_and_infinity_are_not_replaced_by_numbers():
    # InfNanRemove makes 0 of NaN and the largest float of inf. Here a NaN is an error of the model, +inf a limit.
    with pytest.raises(ValueError, match="row 0"):
        fs.sample([[0.0, 0.7, 0.8, np.nan], [0.1, INF, 0.3, -INF]])
    np.testing.assert_array_equal(fs.softmax(fs.truncate([0.1, INF, 0.3, -INF])), [0, 1, 0, 0])


# Side by side


def assert_same_kept(ours, theirs, x, temperature, **filters):
    """Equal kept sets, but for rows where the oracle finds the decision within 1e-4 of the mass, or ties."""
    close = 0
    for row, mine, other in zip(x, ours, theirs, strict=True):
        if ((mine > -INF) == (other > -INF)).all():
            continue
        verdict = oracles.kept(row, temperature, tolerance=1e-4, **filters)
        assert not verdict.sure or np.unique(row).size < row.size
        close += 1
    assert close <= 0.05 * len(x)


@needs_longdouble
@pytest.mark.parametrize(
    "name, warper, values",
    [
        ("top_k", "TopKLogitsWarper", [1, 3, 50, 400]),
        ("top_p", "TopPLogitsWarper", [0.1, 0.5, 0.9, 0.95]),
        ("min_p", "MinPLogitsWarper", [0.01, 0.05, 0.3]),
        ("typical_p", "TypicalLogitsWarper", [0.2, 0.5, 0.9]),
        ("epsilon_cutoff", "EpsilonLogitsWarper", [3e-4, 0.01, 0.1]),
        ("eta_cutoff", "EtaLogitsWarper", [3e-4, 0.01, 0.1]),
    ],
)
@pytest.mark.parametrize("keep", [1, 4])
def test_transformers_keeps_the_same(name, warper, values, keep, rng):
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    for value in values:
        for n in (6, 100, 700):
            x = (3 * rng.normal(size=(40, n))).astype(np.float32)
            warp = getattr(process, warper)(value, min_tokens_to_keep=keep)
            theirs = warp(None, torch.from_numpy(x) / 0.8).numpy()
            filters = {name: value, "min_tokens_to_keep": keep}
            assert_same_kept(fs.truncate(x, 0.8, **filters), theirs, x, 0.8, **filters)


def test_transformers_keeps_the_same_share_of_the_entropy(rng):
    # Of the 100 largest alone, and without a minimum to keep.
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    if not hasattr(process, "TopHLogitsWarper"):
        pytest.skip("this transformers has no top_h")
    for value in (0.1, 0.4, 0.7, 0.95):
        warp = process.TopHLogitsWarper(value)
        for n in (6, 100, 700):
            x = (3 * rng.normal(size=(40, n))).astype(np.float32)
            masked = np.where(rng.random(x.shape) < 0.2, -INF, x)
            masked[:, 0] = 0.0
            rows = [x, np.round(x) + np.linspace(0, 1e-3, n, dtype=np.float32)]
            # A probability of 0 among the 100 makes its entropy NaN; then it keeps one.
            rows += [masked] if n == 700 else []
            for of in rows:
                theirs = warp(None, torch.from_numpy(of) / 0.8).numpy()
                ours = fs.truncate(of, 0.8, top_k=min(n, 100), top_h=value)
                differ = np.count_nonzero(((ours > -INF) != (theirs > -INF)).any(axis=1))
                assert differ <= 1  # of 40: sums of float32 at the boundary


@needs_longdouble
def test_transformers_keeps_the_same_in_any_order(rng):
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    warpers = {
        "top_k": process.TopKLogitsWarper(60), "top_p": process.TopPLogitsWarper(0.9),
        "min_p": process.MinPLogitsWarper(0.02), "epsilon_cutoff": process.EpsilonLogitsWarper(0.004),
        "temperature": process.TemperatureLogitsWarper(1.4),
    }  # fmt: skip
    filters = {"top_k": 60, "top_p": 0.9, "min_p": 0.02, "epsilon_cutoff": 0.004}
    for _ in range(12):
        order = tuple(rng.permutation(list(warpers)).tolist())
        x = (2 * rng.normal(size=(40, 500))).astype(np.float32)
        theirs = torch.from_numpy(x)
        for name in order:
            theirs = warpers[name](None, theirs)
        assert_same_kept(fs.truncate(x, 1.4, order=order, **filters), theirs.numpy(), x, 1.4, order=order, **filters)


# llama.cpp and webui have no package to call: their rules, written down plainly


def webui_top_a(p, a):
    return p >= a * p.max() ** 2


def llama_p_less(p):
    return p >= (p * p).sum()


@pytest.mark.parametrize("of", [webui_top_a, llama_p_less])
def test_plain_formulas_keep_the_same(of, rng):
    decided = 0
    for a in (0.01, 0.2, 0.8):
        for n in (2, 7, 100, 2000):
            x = np.concatenate([3 * rng.normal(size=(30, n)), np.round(2 * rng.normal(size=(30, n)))])
            x[rng.random(x.shape) < 0.1] = -INF
            x[:, 0] = 1.0
            given = {"top_a": a} if of is webui_top_a else {"p_less": True}
            for row, ours in zip(x, fs.truncate(x, 1.3, **given), strict=True):
                p = fs.softmax(row, 1.3)
                surely, at_most = (
                    of(p * (1 + s), a) if of is webui_top_a else of(p * (1 + s)) for s in (1e-12, -1e-12)
                )
                if (surely == at_most).all():
                    np.testing.assert_array_equal(ours > -INF, surely & (p > 0))
                    decided += 1
    assert decided > 600


@needs_longdouble
def test_transformers_keeps_the_same_after_several(rng):
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    x = (2 * rng.normal(size=(300, 500))).astype(np.float32)
    theirs = torch.from_numpy(x) / 0.7
    for warp in (process.TopKLogitsWarper(60), process.TopPLogitsWarper(0.9), process.MinPLogitsWarper(0.02)):
        theirs = warp(None, theirs)
    filters = {"top_k": 60, "top_p": 0.9, "min_p": 0.02}
    ours = fs.truncate(x, 0.7, **filters)
    assert_same_kept(ours, theirs.numpy(), x, 0.7, **filters)
    np.testing.assert_allclose(fs.softmax(ours[:1]), torch.softmax(theirs[:1], -1).numpy(), rtol=1e-4, atol=1e-7)


def test_transformers_penalises_the_same(rng):
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    x, tokens = rng.normal(size=(30, 80)).astype(np.float32), rng.integers(80, size=(30, 50))
    for penalty in (0.7, 1.0, 1.3, 5.0):
        theirs = process.RepetitionPenaltyLogitsProcessor(penalty)(torch.from_numpy(tokens), torch.from_numpy(x))
        np.testing.assert_allclose(fs.penalize(x, tokens, repetition=penalty), theirs.numpy(), rtol=2.0**-22)


def test_torch_finds_the_same_top_logprobs(rng):
    torch = pytest.importorskip("torch")
    x = (3 * rng.normal(size=(20, 5000))).astype(np.float32)
    values, indices = torch.log_softmax(torch.from_numpy(x).double(), -1).topk(20)
    got = fs.top_logprobs(x, 20)
    np.testing.assert_array_equal(got.indices, indices.numpy())
    np.testing.assert_allclose(got.logprobs, values.numpy(), rtol=3 * 2.0**-23)
