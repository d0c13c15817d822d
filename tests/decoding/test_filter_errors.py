"""Bad filters and penalties: an error that names the argument, and the row if there is one; nothing written."""

import inspect

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax import _core
from fastsoftmax._args.filters import PARAMETERS

INF, NAN = np.inf, np.nan
X = np.linspace(-2, 2, 30).reshape(3, 10)
SHARES = ["top_p", "min_p", "top_a", "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff"]
XTC = {"xtc_threshold": 0.1, "xtc_probability": 0.5, "xtc_u": 0.5}


def with_companions(name, value):
    """The parameter, with the others that must be given along."""
    return (XTC if name.startswith("xtc") else {}) | {name: value}


def rejects(error, match, **parameters):
    """truncate, sample, sample_probs and Sampler raise; truncate has written nothing."""
    out = np.full(X.shape, 7.0)
    with pytest.raises(error, match=match):
        fs.truncate(X, out=out, **parameters)
    assert (out == 7.0).all()
    generator = np.random.default_rng(1)
    state = generator.bit_generator.state
    for sample in (fs.sample, fs.sample_probs):
        with pytest.raises(error, match=match):
            sample(np.abs(X), rng=generator, **{k: v for k, v in parameters.items() if k != "xtc_u"})
    # A rejected call takes nothing from the stream.
    assert generator.bit_generator.state == state
    with pytest.raises(error, match=match):
        fs.Sampler(**{k: v for k, v in parameters.items() if k != "xtc_u"})(X)


# Names


@pytest.mark.parametrize("function", [fs.sample, fs.sample_probs, fs.truncate, fs.Sampler, _core.given_filters])
def test_every_function_spells_out_the_parameters_of_the_one_list(function):
    given = inspect.signature(function).parameters
    assert set(PARAMETERS) <= given.keys()
    for name, parameter in PARAMETERS.items():
        assert given[name].default in (None, parameter.off)
    if function is _core.given_filters:
        assert list(given) == list(PARAMETERS)


def test_filters_at_their_defaults_are_none_and_others_are_passed_on_as_they_are():
    array = np.array([1, 2])
    assert _core.given_filters() is _core.given_filters(dynatemp_exponent=1.0, min_tokens_to_keep=1, top_p=None) is None
    assert _core.given_filters(top_k=5, temperature_last=False) == {"top_k": 5}
    for name, value in {name: array for name in PARAMETERS}.items():
        assert _core.given_filters(**{name: value})[name] is value
    # Equal to the default, but of another type: it is checked, and refused or not.
    assert _core.given_filters(min_tokens_to_keep=True) == {"min_tokens_to_keep": True}


# Values


@pytest.mark.parametrize("value", [-0.1, 1.0000001, 2, INF, -INF, NAN, np.float32(NAN)])
@pytest.mark.parametrize("name", [*SHARES, "xtc_threshold", "xtc_probability"])
def test_shares_outside_zero_to_one_raise_value_error(name, value):
    rejects(ValueError, name, **with_companions(name, value))


@pytest.mark.parametrize(
    "name, value",
    [
        ("top_k", -1),
        ("top_k", np.int64(-5)),
        ("top_n_sigma", -0.5),
        ("top_n_sigma", INF),
        ("top_n_sigma", NAN),
        ("dynatemp_range", -0.5),
        ("dynatemp_range", NAN),
        ("dynatemp_exponent", 0.0),
        ("dynatemp_exponent", -1.0),
        ("dynatemp_exponent", INF),
        ("dynatemp_exponent", NAN),
        ("min_tokens_to_keep", 0),
        ("min_tokens_to_keep", -3),
    ],
)
def test_values_out_of_range_raise_value_error(name, value):
    extra = {"dynatemp_range": 0.5} if name == "dynatemp_exponent" else {}
    rejects(ValueError, name, **extra, **with_companions(name, value))


@pytest.mark.parametrize("value", [True, np.True_, 2.0, 2.5, "3", [1.0, 2.0, 3.0], [True, True, True], 1j])
@pytest.mark.parametrize("name", ["top_k", "min_tokens_to_keep"])
def test_counts_that_are_no_integers_raise_type_error(name, value):
    rejects(TypeError, name, **with_companions(name, value))


@pytest.mark.parametrize("value", ["0.5", 0.5j, [None, 0.5, 0.5], {}, np.array(["a", "b", "c"])])
@pytest.mark.parametrize(
    "name", [*SHARES, "top_n_sigma", "xtc_threshold", "xtc_probability", "dynatemp_range", "dynatemp_exponent"]
)
def test_parameters_that_are_no_real_numbers_raise_type_error(name, value):
    rejects(TypeError, name, **with_companions(name, value))


@pytest.mark.parametrize("value", [1, 0.0, "yes", [1, 0, 1]])
@pytest.mark.parametrize("name", ["temperature_last", "p_less"])
def test_flags_that_are_no_bools_raise_type_error(name, value):
    rejects(TypeError, name, **{name: value})


@pytest.mark.parametrize("name, bad, good", [
    *((name, 1.5, 0.5) for name in SHARES), ("top_k", -1, 3), ("top_n_sigma", NAN, 1.0), ("min_tokens_to_keep", 0, 1),
    ("xtc_threshold", -1.0, 0.2), ("xtc_probability", 2.0, 0.2), ("dynatemp_range", -1.0, 0.2),
    ("dynatemp_exponent", 0.0, 1.0),
])  # fmt: skip
def test_a_bad_value_among_good_ones_is_named_with_its_row(name, bad, good):
    extra = {"dynatemp_range": 0.5} if name == "dynatemp_exponent" else {}
    rejects(ValueError, rf"{name}.*row\D*\b1\b", **extra, **with_companions(name, [good, bad, good]))


# Shapes


@pytest.mark.parametrize("shape", [(2,), (10,), (3, 1), (1, 3), (3, 10)])
@pytest.mark.parametrize("name", [*SHARES, "top_k", "top_n_sigma", "min_tokens_to_keep", "temperature_last", "p_less",
                                  "xtc_threshold", "xtc_probability", "dynatemp_range"])  # fmt: skip
def test_values_that_do_not_fit_the_rows_raise_value_error_with_their_shape(name, shape):
    whole = {"top_k": 1, "min_tokens_to_keep": 1, "temperature_last": True, "p_less": True}
    rejects(ValueError, rf"{name}.*\(3,\)", **with_companions(name, np.full(shape, whole.get(name, 0.5))))


def test_values_for_rows_do_not_fit_one_row():
    for name, value in (("top_k", [1, 2]), ("top_p", [0.5, 0.5]), ("top_p", [0.5])):
        with pytest.raises(ValueError, match=rf"{name}.*\(\)"):
            fs.truncate(X[0], **{name: value})


# XTC


@pytest.mark.parametrize("given", [{"xtc_threshold": 0.1}, {"xtc_probability": 0.5}], ids=str)
def test_one_xtc_parameter_without_the_other_raises_value_error(given):
    rejects(ValueError, "xtc_threshold.*xtc_probability|xtc_probability.*xtc_threshold", **given)


def test_uniforms_without_coins_raise_value_error():
    xtc = {"xtc_threshold": 0.1, "xtc_probability": 0.5}
    for sample in (fs.sample, fs.sample_probs):
        with pytest.raises(ValueError, match="xtc_u"):
            sample(np.abs(X), u=[0.1, 0.2, 0.3], **xtc)
        # Off: no coin is needed.
        sample(np.abs(X), u=[0.1, 0.2, 0.3], **xtc | {"xtc_probability": 0.0})
        sample(np.abs(X), u=[0.1, 0.2, 0.3], **xtc | {"xtc_threshold": 0.6})
    with pytest.raises(ValueError, match="xtc_u"):
        fs.Sampler(**xtc)(X, [0.1, 0.2, 0.3])


@pytest.mark.parametrize("coin", [1.0, -0.1, NAN, [0.1, 0.2], [0.1, 0.2, 1.0]])
def test_coins_outside_zero_to_one_or_of_another_shape_raise_value_error(coin):
    xtc = {"xtc_threshold": 0.1, "xtc_probability": 0.5}
    with pytest.raises(ValueError, match="xtc_u"):
        fs.truncate(X, xtc_u=coin, **xtc)
    with pytest.raises(ValueError, match="xtc_u"):
        fs.sample(X, u=0.5, xtc_u=coin, **xtc)


# The temperature is checked as ever


@pytest.mark.parametrize("temperature", [-1.0, NAN, [1.0, -1.0, 1.0], [1.0, 1.0]])
def test_bad_temperatures_are_rejected_with_filters_too(temperature):
    rejects(ValueError, "temperature", temperature=temperature, top_k=3)
    with pytest.raises(ValueError, match="temperature"):
        fs.sample(X, temperature, temperature_last=True, dynatemp_range=0.1)


# penalize


PENALTIES = {"repetition": 1.2, "frequency": 0.1, "presence": 0.1, "dry_multiplier": 1.0}


def rejects_penalties(error, match, tokens=((0, 1), (2,), ()), **parameters):
    out = np.full(X.shape, 7.0)
    with pytest.raises(error, match=match):
        fs.penalize(X, tokens, out=out, **parameters)
    assert (out == 7.0).all()
    own = X.copy()
    with pytest.raises(error, match=match):
        fs.penalize(own, tokens, out=own, **parameters)
    assert (own == X).all()


@pytest.mark.parametrize(
    "name, value",
    [
        ("repetition", 0.0),
        ("repetition", -1.0),
        ("repetition", NAN),
        ("repetition", INF),
        ("frequency", NAN),
        ("frequency", INF),
        ("presence", NAN),
        ("presence", -INF),
        ("dry_multiplier", -0.1),
        ("dry_multiplier", NAN),
        ("dry_base", 0.9),
        ("dry_base", NAN),
        ("dry_allowed_length", 0),
        ("dry_penalty_last_n", -2),
        ("dry_penalty_last_n", -(2**70)),
        ("last_n", -2),
        ("last_n", -(2**70)),
    ],
)
def test_bad_penalties_raise_value_error(name, value):
    rejects_penalties(ValueError, name, **(PENALTIES | {name: value}))
    if abs(value) < 2**63:
        good = PENALTIES.get(name, 2)
        rejects_penalties(ValueError, rf"{name}.*row\D*\b2\b", **(PENALTIES | {name: [good, good, value]}))
        rejects_penalties(ValueError, rf"{name}.*\(3,\)", **(PENALTIES | {name: [good, good]}))


@pytest.mark.parametrize(
    "name, value",
    [
        ("repetition", "1.2"),
        ("frequency", 1j),
        ("dry_allowed_length", 2.0),
        ("dry_allowed_length", True),
        ("dry_penalty_last_n", 2.5),
        ("last_n", 2.0),
        ("last_n", True),
        ("dry_sequence_breakers", [0.5]),
        ("dry_sequence_breakers", ["a"]),
    ],
)
def test_penalties_of_a_wrong_type_raise_type_error(name, value):
    rejects_penalties(TypeError, name, **(PENALTIES | {name: value}))


@pytest.mark.parametrize("bad", [-1, 10, 2**40])
def test_tokens_out_of_range_are_named_with_row_and_position(bad):
    tokens = [[0, 1], [2, 3, bad, 4], []]
    rejects_penalties(ValueError, r"token.*row\D*\b1\b.*\b2\b", tokens, **PENALTIES)
    # Even where nothing would be penalised.
    rejects_penalties(ValueError, r"token.*row\D*\b1\b.*\b2\b", tokens)
    with pytest.raises(ValueError, match=r"token.*\b2\b"):
        fs.penalize(X[0], [2, 3, bad], repetition=2.0)


@pytest.mark.parametrize(
    "tokens", [[[0.5], [1.0], [2.0]], [["a"], [], []], np.zeros((3, 2)), [[True], [0], [1]], np.zeros((3, 2), bool), 3]
)
def test_tokens_that_are_no_integers_raise(tokens):
    rejects_penalties((TypeError, ValueError), "token", tokens, **PENALTIES)


@pytest.mark.parametrize("tokens", [[[0], [1]], [[0], [1], [2], [3]], np.zeros((2, 5), int), np.zeros(5, int)])
def test_tokens_for_other_rows_raise_value_error(tokens):
    rejects_penalties(ValueError, "token", tokens, **PENALTIES)


@pytest.mark.parametrize("lengths", [[1, 2], [1, 2, 6], [1, -1, 2], [[1, 2, 3]]])
def test_bad_lengths_raise_value_error(lengths):
    rejects_penalties(ValueError, "lengths", np.zeros((3, 5), int), lengths=lengths, **PENALTIES)


def test_lengths_that_are_no_integers_raise_type_error():
    rejects_penalties(TypeError, "lengths", np.zeros((3, 5), int), lengths=[1.0, 2.0, 3.0], **PENALTIES)
