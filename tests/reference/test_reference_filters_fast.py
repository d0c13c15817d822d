"""The fast filters against the reference."""

import math
import random

import numpy as np
import pytest
import reference_rows
from test_reference_filters import FILTERS, FLAT, FOUR, INF, random_value

import fastsoftmax as fs
from fastsoftmax import reference
from fastsoftmax._args.steps import STEPS


def random_row(source):
    n = source.choice([1, 2, 3, 8, 40, 70, 300])
    return source.choice(
        [
            lambda: [source.gauss(0, 3) for _ in range(n)],
            lambda: [source.gauss(0, 0.1) for _ in range(n)],
            lambda: [float(source.randint(-4, 4)) for _ in range(n)],
            lambda: [source.choice([0.0, -1.0, 5.0, -INF, INF, source.gauss(0, 5)]) for _ in range(n - 1)] + [1.0],
        ]
    )()


def random_parameters(source):
    # XTC's threshold stays at or below 0.5, and nothing lies on a boundary that rounding could move.
    parameters = {name: random_value(source, name) for name in FILTERS if source.random() < 0.25}
    if "xtc_threshold" in parameters:
        parameters |= {"xtc_probability": source.choice([0.5, 1.0]), "xtc_u": source.random()}
    if source.random() < 0.25:
        parameters |= {"dynatemp_range": source.random(), "dynatemp_exponent": source.choice([0.5, 1.0, 2.0])}
    parameters["min_tokens_to_keep"] = source.choice([1, 1, 2, 5])
    parameters["temperature_last"] = source.random() < 0.3
    if source.random() < 0.3:
        parameters["order"] = tuple(source.sample(STEPS, len(STEPS)))
        parameters["temperature_last"] = False
    if source.random() < 0.3:
        parameters["keep"] = [0]
    return parameters


@pytest.mark.parametrize("seed", range(10))
def test_fast_filters_keep_and_draw_what_the_reference_does(seed):
    source = random.Random(seed)
    for _ in range(60):
        x, parameters = random_row(source), random_parameters(source)
        temperature = source.choice([1.0, 1.0, 0.5, 2.0, 0.0, INF])
        if temperature == INF and INF in x:
            # Whether what is infinitely less likely counts before a temperature that makes all alike is left open.
            parameters["temperature_last"] = False
        got, expected = fs.truncate(x, temperature, **parameters), reference.truncate(x, temperature, **parameters)
        # The dynamic temperature has the rounding of the entropy.
        np.testing.assert_allclose(got, expected, rtol=1e-12 if "dynatemp_range" in parameters else 0, atol=0)
        u = source.random()
        assert fs.sample(x, temperature, u=u, **parameters) == reference.sample(x, temperature, u=u, **parameters)
        p = [math.exp(min(v, 700.0)) for v in x]
        fast, slow = (m.sample_probs(p, temperature, u=u, **parameters) for m in (fs, reference))
        assert fast == slow


@pytest.mark.parametrize(
    "x, temperature, parameters",
    [
        (FLAT, 1.0, {"eta_cutoff": 1.0}),
        (FOUR, INF, {"eta_cutoff": 1.0}),
        (FOUR, INF, {"min_p": 1.0}),
        (FOUR, INF, {"epsilon_cutoff": 0.25}),
        (FOUR, INF, {"dynatemp_range": 0.5}),
        (FOUR, INF, {"dynatemp_range": 0.5, "temperature_last": True, "top_k": 2}),
        (FOUR, 0.0, {"dynatemp_range": 0.5, "temperature_last": True}),
        ([0.0, 1.0] * 8, 1.0, {"top_n_sigma": 2.0}),
    ],
    ids=str,
)
def test_fast_filters_keep_what_the_reference_does_at_the_limits(x, temperature, parameters):
    got, expected = (module.truncate(x, temperature, **parameters) for module in (fs, reference))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_fast_typical_p_of_narrow_rows_is_the_references():
    # Here the distances from the entropy are small beside the entropy.
    source = random.Random(3)
    for _ in range(1000):
        x = [source.gauss(0, 0.3) for _ in range(source.choice([2, 3, 5, 20, 70]))]
        mass = source.choice([0.0, source.random()])
        np.testing.assert_array_equal(fs.truncate(x, typical_p=mass), reference.truncate(x, typical_p=mass))


@pytest.mark.parametrize("temperature_last", [False, True])
def test_fast_mirostat_is_the_references(temperature_last):
    source = random.Random(1)
    x = [source.gauss(0, 3) for _ in range(50)]
    parameters = {"mirostat_tau": 1.5, "mirostat_eta": 0.3, "top_k": 30, "temperature_last": temperature_last}
    fast, slow = (module.Sampler(0.5, **parameters) for module in (fs, reference_rows))
    for _ in range(30):
        u = source.random()
        assert fast(x, u) == slow(x, u)
        assert fast.mirostat_mu == pytest.approx(slow.mirostat_mu, rel=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_fast_filters_of_several_rows_are_the_references(seed):
    source = random.Random(seed)
    x = [[source.gauss(0, 3) for _ in range(40)] for _ in range(8)]
    rows = [random_parameters(source) for _ in x]
    # A filter is off in the rows that have not drawn its parameter.
    names = {name for row in rows for name in row} - {"order", "keep"}  # these are the same for all rows
    neutral = {
        "p_less": False,
        "top_p": 1.0,
        "typical_p": 1.0,
        "top_h": 1.0,
        "xtc_threshold": 1.0,
        "dynatemp_exponent": 1.0,
    }
    parameters = {name: [row.get(name, neutral.get(name, 0)) for row in rows] for name in names}
    temperature, u = [source.choice([0.0, 0.5, 1.0, 2.0]) for _ in x], [source.random() for _ in x]
    parameters |= {"order": tuple(source.sample(STEPS[:-1], len(STEPS) - 1)), "keep": [7, 1]}
    parameters |= {"mask": [[source.random() < 0.8 for _ in range(40)] for _ in x], "bias": {1: 2.0, 30: -1.0}}
    fast, slow = (m.truncate(x, temperature, **parameters) for m in (fs, reference_rows))
    np.testing.assert_allclose(fast, slow, rtol=1e-12)
    fast, slow = (m.sample(x, temperature, u=u, **parameters) for m in (fs, reference_rows))
    np.testing.assert_array_equal(fast, slow)
