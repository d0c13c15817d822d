"""What a Sampler holds and what a call adds: masks, biases, attributes, steps, numbers of any kind."""

import copy
import math
import pickle

import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs

N = 70
RNG = np.random.default_rng(5)
X = (2 * RNG.normal(size=(40, N))).astype(np.float32)
U = RNG.random(40)
MASK, OTHER = RNG.random(N) < 0.7, RNG.random(N) < 0.7
BIAS, MORE = RNG.normal(size=N), RNG.normal(size=N)
COINS = RNG.random(40)
XTC = {"xtc_threshold": 0.05, "xtc_probability": 0.5}


def packed(mask):
    return np.packbits(np.pad(mask, (0, -len(mask) % 32)), bitorder="little").view(np.int32)


def dense(bias):
    whole = np.zeros(N)
    whole[list(bias)] = list(bias.values())
    return whole


SOME = {3: 1.5, 9: -2.0, 69: 1.0}
MASKS = {
    "none": (None, None), "bool": (MASK, MASK), "words": (packed(MASK), MASK),
    "uint32": (packed(MASK).view("u4"), MASK),
    "strided": (np.repeat(MASK, 3)[::3], MASK), "list": (MASK.tolist(), MASK),
}  # fmt: skip
BIASES = {
    "none": (None, None), "float64": (BIAS, BIAS), "float32": (BIAS.astype("f4"), BIAS.astype("f4").astype("f8")),
    "reversed": (BIAS[::-1], BIAS[::-1]), "list": (BIAS.tolist(), BIAS), "mapping": (SOME, dense(SOME)),
    "big-endian": (BIAS.astype(">f8"), BIAS),
}  # fmt: skip
WAYS = [
    {}, {"temperature": 0.5}, {"temperature": 0}, {"temperature": np.inf}, {"temperature": np.float32(0.7)},
    {"top_k": 9, "top_p": 0.9}, {"min_p": 0.01, "return_logprob": True}, {"axis": None}, {"axis": 0},
]  # fmt: skip


def rows_of(x):
    """A row as others store it."""
    return x, x.astype(np.float64), x.astype(np.float16), np.repeat(x, 2)[::2], x[::-1], x.astype(">f4"), x.tolist()


@pytest.mark.parametrize("given", WAYS, ids=str)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("bias", BIASES)
def test_a_mask_and_a_bias_do_what_they_do_in_sample(given, mask, bias):
    (m, meant), (b, added) = MASKS[mask], BIASES[bias]
    made = fs.Sampler(mask=m, bias=b, **given)
    called = fs.Sampler(**given)
    for x, u in zip(X[:8], U, strict=False):
        want = fs.sample(x, u=u, mask=meant, bias=added, **given)
        assert made(x, u) == want == called(x, u, mask=m, bias=b)
        p = np.exp(x)
        want = fs.sample_probs(p, u=u, mask=meant, bias=added, **given)
        assert made.sample_probs(p, u) == want == called.sample_probs(p, u, mask=m, bias=b)


@pytest.mark.parametrize("of_call", MASKS)
@pytest.mark.parametrize("made", MASKS)
def test_both_masks_apply(made, of_call):
    (m, a), (c, b) = MASKS[made], MASKS[of_call]
    if a is not None:  # another one than that of the call
        a, m = OTHER, packed(OTHER) if made in ("words", "uint32") else OTHER
    both = b if a is None else a if b is None else a & b
    sampler = fs.Sampler(mask=m)
    for x, u in zip(X, U, strict=True):
        assert sampler(x, u, mask=c) == fs.sample(x, u=u, mask=both)
    assert bits(sampler(X, U, mask=c)) == bits(fs.sample(X, u=U, mask=both))


@pytest.mark.parametrize("of_call", BIASES)
@pytest.mark.parametrize("made", BIASES)
def test_both_biases_are_added(made, of_call):
    (m, a), (c, b) = BIASES[made], BIASES[of_call]
    total = b if a is None else a if b is None else a + b
    sampler = fs.Sampler(0.7, bias=m, return_logprob=True)
    for x, u in zip(X, U, strict=True):
        assert sampler(x, u, bias=c) == fs.sample(x, 0.7, u=u, bias=total, return_logprob=True)
    for got, want in zip(sampler(X, U, bias=c), fs.sample(X, 0.7, u=U, bias=total, return_logprob=True), strict=True):
        assert bits(got) == bits(want)


def test_a_mask_for_each_row_joins_one_for_all():
    each = RNG.random(X.shape) < 0.8
    added = RNG.normal(size=X.shape)
    for axis, x in ((-1, X), (0, np.ascontiguousarray(X.T))):
        turned = (lambda a: a.T) if axis == 0 else (lambda a: a)
        one = turned(np.atleast_2d(MASK))
        sampler = fs.Sampler(axis=axis, mask=one, bias=turned(added))
        got = sampler(x, U, mask=turned(each), bias=turned(np.atleast_2d(BIAS)))
        assert bits(got) == bits(fs.sample(X, u=U, mask=MASK & each, bias=added + BIAS))
    words = np.stack([packed(row) for row in each])
    assert bits(fs.Sampler(mask=words)(X, U, mask=MASK)) == bits(fs.sample(X, u=U, mask=MASK & each))
    assert bits(fs.Sampler(mask=words)(X, U, mask=packed(MASK))) == bits(fs.sample(X, u=U, mask=MASK & each))


@pytest.mark.parametrize("x", rows_of(X[0]), ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')}")
def test_a_row_as_others_store_it(x):
    for parameters in ({}, {"mask": MASK}, {"bias": BIAS}, {"top_p": 0.9}, {"return_logprob": True}):
        sampler = fs.Sampler(0.6, **parameters)
        for u in U[:10]:
            assert sampler(x, u) == fs.sample(x, 0.6, u=u, **parameters)


def test_a_mask_that_changes_is_read_at_each_call():
    sampler, mask = fs.Sampler(0.0), np.zeros(N, bool)
    for i in range(N):
        mask[:] = False
        mask[i] = True
        assert sampler(X[0], mask=mask) == i


def test_what_is_given_is_copied_and_cannot_be_written():
    mask, bias, t, top_p = MASK.copy(), BIAS.copy(), np.ones(40), np.full(40, 0.9)
    pairs = {3: 1.0}
    sampler = fs.Sampler(t, mask=mask, bias=bias, top_p=top_p)
    mask[:], bias[:], t[:], top_p[:] = False, np.nan, -1.0, -1.0
    assert bits(sampler(X, U)) == bits(fs.sample(X, u=U, mask=MASK, bias=BIAS, top_p=0.9))
    for held in (sampler.mask, sampler.bias, sampler.temperature, sampler.top_p):
        with pytest.raises(ValueError, match="read-only"):
            held[...] = 0
    sampler = fs.Sampler(bias=pairs)
    pairs[3] = 100.0
    sampler.bias[3] = 100.0
    assert sampler.bias == {3: 1.0}


def test_integers_of_0_and_1_are_a_mask():
    sampler = fs.Sampler(mask=MASK.astype(np.int64))
    assert sampler.mask.dtype == bool and sampler(X[0], 0.5) == fs.sample(X[0], u=0.5, mask=MASK)
    with pytest.raises(ValueError, match="the row has 2 at index 2"):
        fs.Sampler(mask=np.arange(N))


@pytest.mark.parametrize("name", ["mask", "bias"])
def test_nothing_is_broadcast_along_the_entries(name):
    value = {"mask": [True], "bias": [1.0]}[name]
    for sampler, keywords in ((fs.Sampler(**{name: value}), {}), (fs.Sampler(), {name: value})):
        for x in (X[0], X):
            with pytest.raises(ValueError, match=rf"{name} of shape \(1,\).*shape \({N},\)"):
                sampler(x, **keywords)
        assert sampler([1.0], **keywords) == 0
    with pytest.raises(ValueError, match=rf"{name} .*shape \(n,\)"):
        fs.Sampler(**{name: value[0]})
    with pytest.raises(ValueError, match=rf"{name} of shape \(5,\).*\({N},\)"):
        fs.Sampler(**{name: value * 5})(X[0])
    columns = fs.Sampler(axis=0, **{name: value * 40})
    with pytest.raises(ValueError, match=rf"{name} of shape \(40,\).*\({N}, 1\)"):
        columns(X.T)


@pytest.mark.parametrize(
    "given", [{"mask": "a"}, {"mask": [0.5] * N}, {"bias": "a"}, {"bias": {1.5: 0.0}}, {"bias": {1: None}},
              {"mask": np.ma.masked_array(MASK, OTHER)}, {"bias": {True: 1.0}}],
    ids=str,
)  # fmt: skip
def test_what_is_no_mask_or_bias_is_rejected_when_it_is_given(given):
    (name,) = given
    with pytest.raises(TypeError, match=name):
        fs.Sampler(**given)
    sampler = fs.Sampler(mask=MASK, bias=BIAS)
    with pytest.raises(TypeError, match=name):
        setattr(sampler, name, given[name])
    with pytest.raises(TypeError, match=name):
        sampler(X[0], 0.5, **given)
    assert sampler(X[0], 0.5) == fs.sample(X[0], u=0.5, mask=MASK, bias=BIAS)
    with pytest.raises(ValueError, match=r"bias: index -1|bias: index 70"):
        fs.Sampler(bias={70: 1.0})(X[0])


# Attributes


SETTINGS = {
    "temperature": 0.3, "top_k": 3, "top_p": 0.4, "min_p": 0.2, "typical_p": 0.3, "top_n_sigma": 0.5,
    "epsilon_cutoff": 0.05, "eta_cutoff": 0.3, "dynatemp_range": 0.5, "mask": OTHER, "bias": SOME,
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_what_is_set_takes_effect_at_the_next_draw(name):
    value = SETTINGS[name]
    for parameters in ({}, {"mask": MASK}, {"min_p": 0.01}):
        sampler = fs.Sampler(**parameters)
        before = [sampler(x, u) for x, u in zip(X, U, strict=True)]
        setattr(sampler, name, value)
        assert bits(getattr(sampler, name)) == bits(value) if isinstance(value, np.ndarray) else value
        want = fs.sample(X, u=U, **{**parameters, name: value})
        assert [sampler(x, u) for x, u in zip(X, U, strict=True)] == want.tolist() != before
        assert bits(sampler(X, U)) == bits(want)
        setattr(sampler, name, parameters.get(name, 1.0 if name == "temperature" else None))
        assert [sampler(x, u) for x, u in zip(X, U, strict=True)] == before


def test_modifiers_and_xtc_are_set_too():
    sampler = fs.Sampler(top_k=1, dynatemp_range=0.4, **XTC)
    changed = {
        "min_tokens_to_keep": 4, "temperature_last": True, "dynatemp_exponent": 0.5, "xtc_threshold": 0.01,
        "xtc_probability": 1.0,
    }  # fmt: skip
    assert (sampler.min_tokens_to_keep, sampler.temperature_last, sampler.dynatemp_exponent) == (1, False, 1.0)
    for name, value in changed.items():
        setattr(sampler, name, value)
    parameters = {"top_k": 1, "dynatemp_range": 0.4, **changed}
    want = fs.sample(X, u=U, xtc_u=COINS, **parameters)
    assert [sampler(x, u, c) for x, u, c in zip(X, U, COINS, strict=True)] == want.tolist()
    with pytest.raises(ValueError, match="XTC needs both"):
        sampler.xtc_threshold = None
    assert sampler.xtc_threshold == 0.01


@pytest.mark.parametrize(
    "name, value, error",
    [
        ("temperature", -1.0, ValueError), ("temperature", "a", TypeError), ("top_k", -1, ValueError),
        ("top_k", 1.5, TypeError), ("top_p", 1.5, ValueError), ("step", 0.5, TypeError), ("step", True, TypeError),
        ("mirostat_tau", -1.0, ValueError), ("mirostat_eta", None, TypeError), ("mirostat_mu", np.nan, ValueError),
        ("mask", True, ValueError), ("bias", 0.0, ValueError),
    ],
)  # fmt: skip
def test_what_is_set_is_checked_then(name, value, error):
    sampler = fs.Sampler(0.7, top_k=5, mirostat_tau=2.0)
    before = getattr(sampler, name)
    with pytest.raises(error, match=name):
        setattr(sampler, name, value)
    assert getattr(sampler, name) == before if before is not None else getattr(sampler, name) is None


@pytest.mark.parametrize(
    "name, help",
    [("temprature", "did you mean temperature"), ("topk", "did you mean top_k"), ("masks", "did you mean mask"),
     ("generator", "what can be set is temperature, step, mask"), ("axis", "fixed"), ("rng", "fixed"),
     ("seed", "fixed"), ("return_logprob", "fixed"), ("on_invalid", "fixed"), ("mirostat_mu", "mirostat_tau")],
)  # fmt: skip
def test_an_attribute_that_cannot_be_set_says_what_can(name, help):
    sampler = fs.Sampler()
    with pytest.raises(AttributeError, match=help):
        setattr(sampler, name, 1)
    with pytest.raises(AttributeError):
        sampler.sample_probs = None


class Named(fs.Sampler):
    """Has attributes of its own."""

    __slots__ = ("name", "__dict__")
    calls = 0

    def __init__(self, name, **parameters):
        super().__init__(**parameters)
        self.name = name
        self.calls = 1


def test_a_subclass_names_its_attributes_in_the_class():
    sampler = Named("a", temperature=0.5, seed=3, mask=MASK)
    sampler(X[0])
    with pytest.raises(AttributeError, match="did you mean temperature.*in the class"):
        sampler.temprature = 1.0
    for same in (copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler))):
        assert type(same) is Named and (same.name, same.calls, same.step) == ("a", 1, 1)
        assert [same(x) for x in X] == [fs.sample(x, 0.5, u=u, mask=MASK) for x, u in zip(
            X, (fs.keyed_uniforms(3, 0, step) for step in range(1, 41)), strict=True)]  # fmt: skip


def test_the_fixed_parameters_can_be_read():
    generator = np.random.default_rng(1)
    sampler = fs.Sampler(axis=0, rng=generator, return_logprob=True, on_invalid="flag")
    assert sampler.rng is generator and sampler.seed is None
    assert (sampler.axis, sampler.return_logprob, sampler.on_invalid) == (0, True, "flag")
    assert fs.Sampler(seed=7).seed == 7


def test_copies_carry_what_was_set():
    sampler = fs.Sampler(seed=1)
    sampler.mask, sampler.bias, sampler.top_k, sampler.mirostat_tau, sampler.step = MASK, SOME, 9, 3.0, 5
    sampler.mirostat_mu = 2.5
    expected = None
    for same in (copy.copy(sampler), copy.deepcopy(sampler), pickle.loads(pickle.dumps(sampler)), sampler):
        assert same.mirostat_mu == 2.5 and same.step == 5
        drawn = [same(x) for x in X]
        assert drawn == (expected := expected or drawn) and same.mirostat_mu != 2.5


# Steps and schedules


class Asked:
    """A schedule that notes its calls."""

    def __init__(self, *temperatures):
        self.steps, self.temperatures = [], temperatures or (0.5,)

    def __call__(self, step):
        self.steps.append(step)
        return self.temperatures[step % len(self.temperatures)]


FORMS = {
    "row": lambda s: s(X[0]), "probs": lambda s: s.sample_probs(np.exp(X[0])), "u": lambda s: s(X[0], 0.5),
    "batch": lambda s: s(X), "list": lambda s: s(X[0].tolist()), "mask": lambda s: s(X[0], mask=MASK),
    "bias": lambda s: s(X[0], bias=SOME), "strided": lambda s: s(X[0][::-1]), "u of a batch": lambda s: s(X, U),
    "big-endian": lambda s: s(X[0].astype(">f4")), "no row": lambda s: s(X[:0]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "given", [{}, {"seed": 1}, {"top_k": 3}, {"mask": MASK}, {"mirostat_tau": 3.0}, {"return_logprob": True}], ids=str
)
def test_a_schedule_is_called_once_a_draw(form, given):
    for temperatures in ((0.5,), (np.float32(0.5), 0, np.inf, 1, np.array(0.5), 2.0)):
        schedule = Asked(*temperatures)
        sampler = fs.Sampler(schedule, **given)
        for _ in range(6):
            FORMS[form](sampler)
        assert schedule.steps == list(range(6)) and sampler.step == 6
        assert all(type(step) is int for step in schedule.steps)


def test_a_call_that_raises_gives_its_step_back():
    bad = X.copy()
    bad[1] = np.nan
    for given in ({}, {"seed": 1}, {"top_k": 3}, {"mirostat_tau": 3.0}):
        schedule = Asked()
        sampler = fs.Sampler(schedule, **given)
        sampler(X[0])
        for x in (bad[1], bad, "a", np.zeros((2, 2, 2))[:, :, :0]):
            with pytest.raises((ValueError, TypeError)):
                sampler(x)
        sampler(X[0])
        assert sampler.step == 2 and schedule.steps == [0, 1, 1, 1, 1, 1]
    flagged = fs.Sampler(schedule, on_invalid="flag")
    assert flagged(bad[1]) == -1 and flagged.step == 1


def test_a_schedule_that_raises_costs_no_step():
    def schedule(step):
        raise RuntimeError("no temperature")

    sampler = fs.Sampler(schedule)
    with pytest.raises(RuntimeError):
        sampler(X[0])
    assert sampler.step == 0


@pytest.mark.parametrize("name", ["constant", "linear", "exponential", "cosine"])
def test_a_schedule_of_the_package_is_the_same_in_a_loop_and_alone(name):
    arguments = {"constant": (0.7,)}.get(name, (2.0, 0.25, 700))
    schedule = getattr(fs.schedules, name)(*arguments)
    sampler = fs.Sampler(schedule, return_logprob=True)
    order = [*range(300), 5, 6, 7, 900, 255, 256, 512, *range(290, 1100), -3, 2**52, 2**70, 2**70 + 1]
    for step in order:
        sampler.step = step
        assert sampler(X[0], 0.3) == fs.sample(X[0], schedule(step), u=0.3, return_logprob=True)
    sampler.step = 0
    for step in range(600):
        assert sampler(X[0], 0.3) == fs.sample(X[0], schedule(step), u=0.3, return_logprob=True)
    sampler.temperature = fs.schedules.linear(1.0, 2.0, 10)
    assert sampler(X[0], 0.3) == fs.sample(X[0], 2.0, u=0.3, return_logprob=True)


# Numbers of any kind


@pytest.mark.parametrize(
    "kind", [np.float16, np.float32, np.float64, np.longdouble, np.array, lambda v: np.array(v)[()]]
)
def test_numpy_numbers_are_numbers(kind):
    t, u, coin = kind(0.75), kind(0.375), kind(0.25)
    want = fs.sample(X[0], 0.75, u=0.375, xtc_u=0.25, top_p=0.5, **XTC)
    for temperature in (t, lambda step: t):
        sampler = fs.Sampler(temperature, top_p=kind(0.5), **XTC)
        assert sampler(X[0], u, coin) == want
    for bad in (-kind(1.0), kind(np.nan)):
        with pytest.raises(ValueError, match="temperature"):
            fs.Sampler(bad)
        with pytest.raises(ValueError, match="temperature"):
            fs.Sampler(lambda step, bad=bad: bad)(X[0])
        with pytest.raises(ValueError, match=r"\bu\b"):
            fs.Sampler()(X[0], bad)
    with pytest.raises(ValueError, match=r"\bu\b"):
        fs.Sampler()(X[0], kind(1.0))


def test_numbers_at_the_ends_of_their_ranges():
    sampler = fs.Sampler(lambda step: [0, 5e-324, 1e-310, 1e308, math.inf, -0.0][step % 6])
    for step, t in enumerate([0, 5e-324, 1e-310, 1e308, math.inf, -0.0]):
        for u in (0.0, 0, -0.0, 5e-324, 1 - 2**-53, np.float32(0.0)):
            sampler.step = step
            assert sampler(X[0], u) == fs.sample(X[0], t, u=u)
    for u in (-5e-324, 1, 2**80, True):
        with pytest.raises((ValueError, TypeError), match=r"\bu\b"):
            sampler(X[0], u)


# Mirostat


@pytest.mark.parametrize("filters", [{}, {"top_k": 20}, {"mask": MASK, "bias": BIAS}, XTC], ids=str)
def test_mirostat_of_a_row_is_that_of_a_batch_of_one(filters):
    parameters = {"temperature": 0.9, "mirostat_tau": 2.0, "mirostat_eta": 0.3, "return_logprob": True, **filters}
    one, batch = fs.Sampler(**parameters), fs.Sampler(**parameters)
    coins = COINS if "xtc_threshold" in filters else [None] * 40
    for x, u, c in zip(X, U, coins, strict=True):
        index, logprob = one(x, u, c)
        indices, logprobs = batch(x[None], [u], None if c is None else [c])
        assert (index, logprob, one.mirostat_mu) == (indices[0], logprobs[0], batch.mirostat_mu[0])


def test_mirostat_can_be_switched():
    sampler = fs.Sampler()
    assert sampler.mirostat_mu is None
    sampler.mirostat_tau = 3
    assert sampler.mirostat_mu == 6.0
    sampler.mirostat_mu = np.float32(0.5)
    assert sampler(X[0], 0.999) == X[0].argmax() and sampler.mirostat_mu == pytest.approx(0.5 + 0.1 * 3)
    sampler.mirostat_tau, sampler.mirostat_eta = 2.0, 0.5
    sampler.mirostat_mu = 0.5
    assert sampler(X[0], 0.999) == X[0].argmax() and sampler.mirostat_mu == 0.5 + 0.5 * 2
    sampler.mirostat_tau = None
    assert sampler.mirostat_mu is None and sampler(X[0], 0.999) == fs.sample(X[0], u=0.999)
