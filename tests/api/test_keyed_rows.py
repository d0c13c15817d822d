"""A seed, a key and a step of its own for each row: batches of requests of any age, which join and leave."""

import copy
import pickle
import threading

import numpy as np
import pytest
import reference_rows

import fastsoftmax as fs

RNG = np.random.default_rng(3)
WORDS = np.array([0, 1, 2, 12345, 2**32, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
X = RNG.normal(size=(6, 40))
XTC = {"xtc_threshold": 0.05, "xtc_probability": 0.5}


def one_by_one(seed, keys, step):
    words = np.broadcast_arrays(np.array(seed, object), np.array(keys, object), np.array(step, object))
    drawn = [fs.keyed_uniforms(int(s), int(k), int(t)) for s, k, t in zip(*(a.flat for a in words), strict=True)]
    return np.array(drawn).reshape(words[0].shape)


@pytest.mark.parametrize(
    "shapes",
    [((), (), ()), ((5,), (5,), (5,)), ((), (5,), (5,)), ((5,), (), (5,)), ((5,), (), ()), ((), (), (5,)),
     ((4, 1), (5,), ()), ((4, 1, 1), (3, 1), (5,)), ((1,), (5,), (1, 1)), ((0,), (), (1,)), ((2, 1), (0,), ()),
     ((300, 1), (1, 200), (200,))],
)  # fmt: skip
def test_seeds_keys_and_steps_broadcast_to_the_bits_of_single_ones(shapes):
    given = [RNG.choice(WORDS, shape) for shape in shapes]
    u = fs.keyed_uniforms(*given)
    assert np.shape(u) == np.broadcast_shapes(*shapes)
    if np.size(u) > 1000:
        np.testing.assert_array_equal(u[::37, ::41], one_by_one(given[0][::37], given[1][:, ::41], given[2][::41]))
        return
    np.testing.assert_array_equal(u, one_by_one(*given))
    np.testing.assert_array_equal(reference_rows.keyed_uniforms(*given), u)


@pytest.mark.parametrize(
    "make", [list, np.array, lambda a: np.array(a, np.uint8)[::-1][::-1], lambda a: np.array(a, ">i4")]
)
def test_seeds_and_steps_of_any_integer_type_and_layout(make):
    expected = one_by_one([1, 2, 3], [4, 5, 6], [7, 8, 255])
    np.testing.assert_array_equal(fs.keyed_uniforms(make([1, 2, 3]), make([4, 5, 6]), make([7, 8, 255])), expected)
    mixed = fs.keyed_uniforms([2**63 + 1, 2], 4, [2**64 - 1, 0])
    np.testing.assert_array_equal(mixed, one_by_one([2**63 + 1, 2], [4, 4], [2**64 - 1, 0]))


@pytest.mark.parametrize("name, value, error, match", [
    ("seed", [1, -1], ValueError, r"seed .*-1 at index 1"), ("step", [[0], [-5]], ValueError, r"step .*index 1, 0"),
    ("seed", [2**64, 1], ValueError, "seed must be at least 0"), ("step", [2**63, -1], ValueError, "step .*got -1"),
    ("seed", [1.0, 2.0], TypeError, "seed must be integers"), ("step", [True], TypeError, "step must be integers"),
    ("step", ["a"], TypeError, "step must be integers"), ("seed", [None], TypeError, "seed must be integers"),
    ("seed", [1, 2, 3, 4], ValueError, r"seed of shape \(4,\), keys of shape \(2, 1, 3\).*do not broadcast"),
    ("step", np.ma.array([1, 2, 3]), TypeError, "step is a masked array"),
])  # fmt: skip
def test_what_are_no_words_is_rejected_by_name(name, value, error, match):
    with pytest.raises(error, match=match):
        fs.keyed_uniforms(**{"seed": 1, "step": 0, name: value}, keys=np.zeros((2, 1, 3), int))


# Sampler


@pytest.mark.parametrize("filters", [{}, {"top_k": 5}, XTC, {"min_p": 0.1, "return_logprob": True}], ids=str)
def test_each_row_draws_with_its_own_seed_key_and_step(filters):
    seeds, keys, steps = np.array([1, 1, 7, 7, 2, 1]), np.array([5, 6, 5, 0, 2**40, -1]), np.array([0, 4, 2, 9, 0, 1])
    sampler = fs.Sampler(0.8, seed=seeds, keys=keys, steps=steps, **filters)
    for _ in range(3):
        got = sampler(X)
        for i in range(6):
            alone = fs.Sampler(0.8, seed=int(seeds[i]), **filters)
            alone.step = int(steps[i])
            expected = alone(X[i], keys=int(keys[i]))
            assert expected == (tuple(part[i] for part in got) if isinstance(got, tuple) else got[i])
        steps = steps + 1
        np.testing.assert_array_equal(sampler.steps, steps)
    assert sampler.step == 3


def logits_of(request, age):
    return np.random.default_rng([request, age]).normal(size=50).astype(np.float32)


@pytest.mark.parametrize("seeded_each", [False, True])
@pytest.mark.parametrize(
    "parameters", [{"temperature": 0.7}, {"temperature": fs.schedules.linear(2.0, 0.2, 5), "top_p": 0.9}, XTC], ids=str
)
def test_requests_that_join_and_leave_draw_what_they_draw_alone(parameters, seeded_each):
    requests = {request: int(RNG.integers(1, 9)) for request in range(10, 22)}  # with the number of tokens each wants
    waiting, running, ages, drawn = list(requests), [], [], {request: [] for request in requests}
    how = {"seed": []} if seeded_each else {"seed": 3, "keys": []}
    sampler = fs.Sampler(**parameters, **how, steps=[])
    while waiting or running:
        for request in [waiting.pop(0) for _ in range(min(len(waiting), int(RNG.integers(0, 4))))]:
            place = int(RNG.integers(0, len(running) + 1))
            running.insert(place, request)
            ages = np.insert(sampler.steps, place, 0)
            sampler.steps = ages
        setattr(sampler, "seed" if seeded_each else "keys", running)
        if running:
            tokens = sampler(np.stack([logits_of(r, age) for r, age in zip(running, sampler.steps, strict=True)]))
            for request, token in zip(running, tokens, strict=True):
                drawn[request].append(int(token))
        stay = np.array([len(drawn[request]) < requests[request] for request in running], bool)
        running, sampler.steps = [r for r, s in zip(running, stay, strict=True) if s], sampler.steps[stay]
    for request, count in requests.items():
        alone = (
            fs.Sampler(**parameters, seed=request) if seeded_each else fs.Sampler(**parameters, seed=3, keys=request)
        )
        assert drawn[request] == [alone(logits_of(request, age)) for age in range(count)]


def test_keys_and_steps_are_held_checked_and_copied():
    keys, steps = np.arange(6), np.arange(6)
    sampler = fs.Sampler(seed=1, keys=keys, steps=steps)
    keys[:], steps[:] = 99, 99
    assert sampler.keys.tolist() == sampler.steps.tolist() == list(range(6))
    for held in (sampler.keys, sampler.steps):
        with pytest.raises(ValueError, match="read-only"):
            held[0] = 1
    before = sampler.steps
    sampler(X)
    assert before.tolist() == list(range(6)) and sampler.steps.tolist() == list(range(1, 7))
    with pytest.raises(ValueError, match="read-only"):
        sampler.steps[0] = 1
    assert np.append(sampler.steps, 0).dtype == np.append(sampler.keys, 0).dtype == np.int64
    sampler.keys = sampler.steps = None
    assert sampler.keys is sampler.steps is None
    np.testing.assert_array_equal(sampler(X), fs.sample(X, u=fs.keyed_uniforms(1, range(6), 1)))
    sampler.seed = 8
    assert sampler(X[0]) == fs.sample(X[0], u=fs.keyed_uniforms(8, 0, 2)) and sampler.seed == 8
    sampler.keys = 41
    assert sampler.keys == 41 and sampler(X[0]) == fs.sample(X[0], u=fs.keyed_uniforms(8, 41, 3))
    assert sampler(X[0], keys=5) == fs.sample(X[0], u=fs.keyed_uniforms(8, 5, 4))
    assert sampler(X[0], 0.25) == fs.sample(X[0], u=0.25)


@pytest.mark.parametrize("name, value, error, match", [
    ("keys", [1.0] * 6, TypeError, "keys must be integers"), ("steps", [0.5] * 6, TypeError, "steps must be integers"),
    ("steps", [0, 0, -1], ValueError, "steps .*-1 at index 2"), ("steps", [2**62], ValueError, "steps must be below 2"),
    ("steps", 5, ValueError, "steps must have a step for each row.*set `step`"),
    ("seed", [1, -2], ValueError, "seed .*-2 at index 1"), ("seed", None, TypeError, "seed must be integers"),
    ("seed", 2**64, ValueError, "seed"), ("keys", True, TypeError, "keys must be integers"),
])  # fmt: skip
def test_what_is_set_is_checked_then(name, value, error, match):
    sampler = fs.Sampler(seed=1, keys=[1, 2, 3], steps=[4, 5, 6])
    before = np.copy(getattr(sampler, name))
    with pytest.raises(error, match=match):
        setattr(sampler, name, value)
    np.testing.assert_array_equal(getattr(sampler, name), before)
    if value is not None:
        with pytest.raises(error, match=match):
            fs.Sampler(**{"seed": 1, name: value})


def test_a_sampler_without_a_seed_has_no_keys_steps_or_seed():
    for name in ("keys", "steps"):
        with pytest.raises(ValueError, match=f"{name} need a Sampler with a seed"):
            fs.Sampler(rng=1, **{name: [1]})
    for name in ("keys", "steps", "seed"):
        with pytest.raises(AttributeError, match=f"{name} is fixed"):
            setattr(fs.Sampler(rng=1), name, [1])
        assert getattr(fs.Sampler(), name) is None


@pytest.mark.parametrize("name", ["keys", "steps", "seed"])
def test_another_number_of_rows_is_an_error_and_costs_no_step(name):
    given = {"seed": 1, "steps": np.arange(6), name: np.arange(5)}
    sampler = fs.Sampler(**given)
    before = sampler.steps
    with pytest.raises(ValueError, match=rf"{name} must .*\(6,\), not \(5,\)"):
        sampler(X)
    np.testing.assert_array_equal(sampler.steps, before)
    assert sampler.step == 0


def test_a_draw_that_raises_gives_the_steps_back_and_a_flagged_row_takes_one():
    bad = X.copy()
    bad[2] = np.nan
    sampler = fs.Sampler(seed=1, steps=np.arange(6))
    with pytest.raises(ValueError, match=r"row\D*2\b"):
        sampler(bad)
    assert sampler.steps.tolist() == list(range(6)) and sampler.step == 0
    sampler = fs.Sampler(seed=1, steps=np.arange(6), on_invalid="flag")
    assert sampler(bad)[2] == -1 and sampler.steps.tolist() == list(range(1, 7))


def test_a_schedule_gets_the_steps_of_the_rows():
    asked = []

    def schedule(steps):
        asked.append(steps.copy())
        temperatures = 1.0 / (1 + steps)
        steps[:] = 77  # the Sampler's own are not changed
        return temperatures

    sampler = fs.Sampler(schedule, seed=1, steps=[0, 3, 1, 1, 9, 2])
    u = fs.keyed_uniforms(1, range(6), [0, 3, 1, 1, 9, 2])
    np.testing.assert_array_equal(sampler(X), fs.sample(X, 1.0 / np.array([1, 4, 2, 2, 10, 3]), u=u))
    assert asked[0].tolist() == [0, 3, 1, 1, 9, 2] and sampler.steps.tolist() == [1, 4, 2, 2, 10, 3]
    ahead = fs.Sampler(fs.schedules.linear(2.0, 0.5, 4), seed=1, steps=[0, 3, 1, 1, 9, 2])
    np.testing.assert_array_equal(ahead(X), fs.sample(X, fs.schedules.linear(2.0, 0.5, 4)([0, 3, 1, 1, 9, 2]), u=u))


def test_rows_of_two_axes_and_no_rows():
    x, ids, ages = X.reshape(2, 3, 40), np.arange(6).reshape(2, 3), np.array([[0, 5, 1], [2, 2, 3]])
    sampler = fs.Sampler(seed=4, keys=ids, steps=ages)
    np.testing.assert_array_equal(sampler(x), fs.sample(x, u=fs.keyed_uniforms(4, ids, ages)))
    turned = fs.Sampler(seed=4, keys=ids, steps=ages, axis=0)
    np.testing.assert_array_equal(turned(np.moveaxis(x, -1, 0)), fs.sample(x, u=fs.keyed_uniforms(4, ids, ages)))
    nobody = fs.Sampler(seed=4, keys=[], steps=[])
    assert nobody(X[:0]).shape == (0,) and nobody.steps.shape == (0,)


def test_threads_take_every_step_once():
    sampler, taken = fs.Sampler(lambda steps: taken.append(int(steps[0])) or 1.0, seed=1, steps=np.zeros(1000, int)), []
    x = np.zeros((1000, 4))
    threads = [threading.Thread(target=lambda: [sampler(x) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(200)) and (sampler.steps == 200).all()


# Copies


def on_the_bit_generator(kind):
    return lambda: fs.Sampler(0.8, rng=kind(5))


class Reversed(np.random.Generator):
    """1 - u for u; it says how it is copied."""

    def random(self, *arguments, **keywords):
        return np.nextafter(1.0, 0.0) - super().random(*arguments, **keywords)

    def __reduce__(self):
        return Reversed, (self.bit_generator,)


class Forgetful(np.random.Generator):
    """A subclass that NumPy copies as a plain Generator."""


SAMPLERS = {
    **{kind.__name__: on_the_bit_generator(kind) for kind in (
        np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64)},
    "int": lambda: fs.Sampler(rng=5), "SeedSequence": lambda: fs.Sampler(rng=np.random.SeedSequence(5)),
    "Generator": lambda: fs.Sampler(rng=np.random.default_rng(5), top_k=9, mirostat_tau=3.0),
    "subclass": lambda: fs.Sampler(rng=Reversed(np.random.PCG64(5))),
    "seed": lambda: fs.Sampler(seed=5), "seeds": lambda: fs.Sampler(seed=np.arange(6)),
    "keys": lambda: fs.Sampler(seed=5, keys=np.arange(6), steps=np.arange(6)),
}  # fmt: skip
COPIES = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda s: pickle.loads(pickle.dumps(s))}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_copy_has_the_same_state_and_is_independent(kind, how):
    sampler, untouched = SAMPLERS[kind](), SAMPLERS[kind]()
    for s in (sampler, untouched):
        [s(X) for _ in range(3)]
    expected = [untouched(X).tolist() for _ in range(8)]
    other = COPIES[how](sampler)
    assert type(other.rng) is type(sampler.rng) and other.step == sampler.step
    assert [other(X).tolist() for _ in range(8)] == expected
    assert [sampler(X).tolist() for _ in range(8)] == expected
    assert sampler.rng is None or other.rng is not sampler.rng


@pytest.mark.parametrize("how", COPIES)
def test_copies_of_a_sampler_on_the_process_generator_share_it(how):
    sampler = fs.Sampler(top_k=3)
    other = COPIES[how](sampler)
    flat = np.zeros((30, 1000))
    assert other.rng is None and other(flat).tolist() != sampler(flat).tolist()


@pytest.mark.parametrize("how", COPIES)
def test_a_generator_that_cannot_be_copied_is_an_error(how):
    with pytest.raises(TypeError, match="Forgetful cannot be copied or pickled"):
        COPIES[how](fs.Sampler(rng=Forgetful(np.random.PCG64(1))))
