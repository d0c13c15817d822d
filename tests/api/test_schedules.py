"""Temperature schedules: their ends, their formulas, their floor, and what they reject."""

import copy
import dataclasses
import doctest
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastsoftmax as fs
from fastsoftmax import schedules

ANNEALING = [schedules.linear, schedules.exponential, schedules.cosine]
each = pytest.mark.parametrize("schedule", ANNEALING, ids=lambda s: s.__name__)
above_zero = st.floats(1e-3, 1e3)


def test_constant_is_the_same_at_every_step():
    for value in (0.0, 0.7, math.inf):
        temperature = schedules.constant(value)
        assert temperature(-3) == temperature(0) == temperature(10**9) == value
        assert temperature(np.arange(4)).tolist() == [value] * 4


@each
@given(start=above_zero, end=above_zero, steps=st.integers(1, 10**6), beyond=st.integers(0, 10**9))
def test_ends_are_met_exactly_and_kept(schedule, start, end, steps, beyond):
    temperature = schedule(start, end, steps)
    assert temperature(0) == temperature(-beyond) == start
    assert temperature(steps) == temperature(steps + beyond) == temperature(math.inf) == end


@each
@given(start=above_zero, end=above_zero, steps=st.integers(2, 1000))
def test_temperature_moves_one_way_and_stays_between_the_ends(schedule, start, end, steps):
    values = schedule(start, end, steps)(np.arange(steps + 1))
    # A rounding error or two where the ends are nearly equal.
    slack = 8 * 2.0**-52 * max(start, end)
    moves = np.diff(values) * (1 if end >= start else -1)
    assert (moves >= -slack).all()
    assert values.min() >= min(start, end) - slack and values.max() <= max(start, end) + slack


# The formulas, to within the few roundings of each.
CLOSE = {"rtol": 1e-14, "atol": 1e-15}


@pytest.mark.parametrize("start, end", [(1.5, 0.2), (0.2, 1.5), (2.0, 2.0)])
def test_linear_falls_by_the_same_amount_at_every_step(start, end):
    values = schedules.linear(start, end, 10)(np.arange(11))
    np.testing.assert_allclose(values, np.linspace(start, end, 11), **CLOSE)


@pytest.mark.parametrize("start, end", [(1.5, 0.2), (0.2, 1.5), (2.0, 2.0), (1e300, 1e-300)])
def test_exponential_falls_by_the_same_ratio_at_every_step(start, end):
    values = schedules.exponential(start, end, 10)(np.arange(11))
    # Powers up to 1e300 multiply a rounding of the exponent by 690.
    np.testing.assert_allclose(values, np.geomspace(start, end, 11), rtol=1e-12)


@pytest.mark.parametrize("start, end", [(1.5, 0.2), (0.2, 1.5), (2.0, 2.0)])
def test_cosine_is_half_a_period(start, end):
    values = schedules.cosine(start, end, 10)(np.arange(11))
    expected = [end + (start - end) * (1 + math.cos(math.pi * i / 10)) / 2 for i in range(11)]
    np.testing.assert_allclose(values, expected, **CLOSE)
    np.testing.assert_allclose(values[5], (start + end) / 2, **CLOSE)


def test_linear_and_cosine_reach_zero():
    assert schedules.linear(1.0, 0.0, 10)(10) == schedules.cosine(1.0, 0.0, 10)(10) == 0.0


@each
def test_temperature_is_never_below_the_floor(schedule):
    temperature = schedule(2.0, 0.01, 100, floor=0.5)
    values = temperature(np.arange(-5, 120))
    bare = schedule(2.0, 0.01, 100)(np.arange(-5, 120))
    np.testing.assert_array_equal(values, np.maximum(bare, 0.5))
    assert values.min() == 0.5 and temperature(100) == 0.5
    assert schedule(2.0, 3.0, 100, floor=5.0)(50) == 5.0


@pytest.mark.parametrize(
    "temperature",
    [schedules.constant(0.7), *(schedule(1.5, 0.2, 7, floor=0.3) for schedule in ANNEALING)],
    ids=lambda t: type(t).__name__,
)
class TestEverySchedule:
    def test_a_number_gives_a_float(self, temperature):
        for step in (3, 3.5, np.int64(3), np.float32(3), np.array(3)):
            assert type(temperature(step)) is float

    def test_an_array_gives_a_float64_array_of_its_shape(self, temperature):
        twelve = np.arange(12)
        for steps in (twelve, twelve.reshape(3, 4), twelve.astype(np.uint8), np.empty((0, 2))):
            values = temperature(steps)
            assert values.dtype == np.float64 and values.shape == steps.shape
        assert temperature([1, 2, 3]).shape == (3,)

    def test_an_array_gives_the_bits_of_its_numbers(self, temperature):
        steps = np.linspace(-2, 9, 333)
        assert temperature(steps).tolist() == [temperature(step) for step in steps]

    def test_survives_pickling_and_copying(self, temperature):
        for same in (pickle.loads(pickle.dumps(temperature)), copy.deepcopy(temperature)):
            assert same == temperature and hash(same) == hash(temperature)
            assert same(3) == temperature(3)

    def test_cannot_be_changed(self, temperature):
        field = dataclasses.fields(temperature)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(temperature, field, 5.0)

    def test_says_what_it_is(self, temperature):
        assert eval(repr(temperature), vars(schedules)) == temperature

    def test_step_of_nan_raises_value_error(self, temperature):
        for step in (math.nan, [1.0, math.nan]):
            with pytest.raises(ValueError, match="step"):
                temperature(step)


@each
@pytest.mark.parametrize(
    "name, value",
    [
        ("start", -1.0),
        ("start", math.nan),
        ("start", math.inf),
        ("end", -1.0),
        ("end", math.nan),
        ("end", math.inf),
        ("steps", 0),
        ("steps", -5),
        ("steps", math.nan),
        ("steps", math.inf),
        ("floor", -1.0),
        ("floor", math.nan),
        ("floor", math.inf),
    ],
)
def test_bad_argument_raises_value_error_that_names_it(schedule, name, value):
    arguments = {"start": 1.5, "end": 0.2, "steps": 10, "floor": 0.1}
    with pytest.raises(ValueError, match=rf"\b{name}\b"):
        schedule(**(arguments | {name: value}))


@pytest.mark.parametrize("value", [-1.0, math.nan])
def test_bad_constant_raises_value_error_that_names_it(value):
    with pytest.raises(ValueError, match="value"):
        schedules.constant(value)


@pytest.mark.parametrize("name", ["start", "end"])
def test_exponential_rejects_zero(name):
    with pytest.raises(ValueError, match=name):
        schedules.exponential(**({"start": 1.0, "end": 0.5, "steps": 10} | {name: 0.0}))


@each
def test_floor_is_given_by_keyword(schedule):
    with pytest.raises(TypeError):
        schedule(1.0, 0.5, 10, 0.1)


def test_schedules_are_part_of_the_package():
    assert fs.schedules is schedules
    assert sorted(schedules.__all__) == ["constant", "cosine", "exponential", "linear"]


def test_schedule_examples_run():
    failures, tried = doctest.testmod(schedules)
    assert tried > 0 and failures == 0
