"""integrations/keras_hub.py in KerasHub's own loop, on the backend of this process: KERAS_BACKEND=torch, or jax."""

import math

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax._args.keyed import COINS, keyed

keras = pytest.importorskip("keras")
keras_hub = pytest.importorskip("keras_hub")
from fastsoftmax.integrations.keras_hub import FastSampler  # noqa: E402

BACKEND = keras.config.backend()
draws = pytest.mark.skipif(BACKEND not in ("torch", "jax"), reason=f"FastSampler does not draw on {BACKEND}")

VOCABULARY, LENGTH = 40, 12


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(20)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(20)
    backbone = keras_hub.models.GPT2Backbone(
        VOCABULARY, num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=16, max_sequence_length=LENGTH
    )
    for weight in backbone.weights:  # so that the logits differ
        weight.assign(3 * weight.value)
    return keras_hub.models.GPT2CausalLM(backbone)


def written(model, lengths=(3, 5), stop=None):
    ids = np.zeros((len(lengths), LENGTH), int)
    for row, length in enumerate(lengths):
        ids[row, :length] = np.arange(1, length + 1) + row
    mask = (ids > 0).astype(int)
    return model.generate({"token_ids": ids, "padding_mask": mask}, stop_token_ids=stop)


def logits_of(model, tokens):
    return np.asarray(keras.ops.convert_to_numpy(model({"token_ids": tokens, "padding_mask": np.ones_like(tokens)})))


@draws
@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 0.8, "top_p": 0.9},
        {"temperature": 1.5, "top_k": 5, "min_p": 0.02, "order": ("min_p", "top_k")},
        {"xtc_threshold": 0.02, "xtc_probability": 0.5},
    ],
    ids=str,
)
def test_each_token_is_the_draw_from_its_logits(model, parameters):
    model.compile(sampler=FastSampler(**parameters, seed=7))
    lengths = (3, 5)
    tokens = written(model, lengths)["token_ids"]
    logits = logits_of(model, tokens)
    rows = np.arange(2)
    for step, position in enumerate(range(min(lengths), LENGTH)):
        uniforms = {"u": fs.keyed_uniforms(7, rows, step)}
        if "xtc_threshold" in parameters:
            uniforms["xtc_u"] = keyed(7, rows, step, COINS)
        wanted = fs.sample(logits[:, position - 1], **parameters, **uniforms)
        for row, length in enumerate(lengths):
            if position >= length:  # before that the prompt stays
                assert tokens[row, position] == wanted[row]
            else:
                assert tokens[row, position] == position + 1 + row


@draws
def test_seeds(model):
    model.compile(sampler=FastSampler(seed=7))
    first, second = written(model)["token_ids"], written(model)["token_ids"]
    assert (first != second).any()
    model.compile(sampler=FastSampler(seed=7))
    np.testing.assert_array_equal(written(model)["token_ids"], first)
    keras.utils.set_random_seed(3)
    model.compile(sampler=FastSampler())
    first = written(model)["token_ids"]
    keras.utils.set_random_seed(3)
    model.compile(sampler=FastSampler())
    np.testing.assert_array_equal(written(model)["token_ids"], first)


@draws
def test_draws_by_rejection_are_those_of_sample():
    x = np.random.default_rng(0).normal(size=(3, 9000)).astype(np.float32)
    logits = keras.ops.convert_to_tensor(x)

    def drawn(sampler):
        return np.asarray(keras.ops.convert_to_numpy(sampler.get_next_token(logits)))

    sampler = FastSampler(0.8, seed=7, method="rejection")
    for step in range(3):
        np.testing.assert_array_equal(drawn(sampler), fs.sample(x, 0.8, seed=7, step=step, method="rejection"))
    sampler.top_k = 20
    np.testing.assert_array_equal(drawn(sampler), fs.sample(x, 0.8, seed=7, step=3, top_k=20))
    sampler.top_k, sampler.method = None, "inversion"
    np.testing.assert_array_equal(drawn(sampler), fs.sample(x, 0.8, u=fs.keyed_uniforms(7, np.arange(3), 4)))


@draws
def test_temperature_zero_is_the_greedy_sampler_and_stops_where_it_stops(model):
    model.compile(sampler="greedy")
    greedy = written(model)
    stop = (int(greedy["token_ids"][0, 6]), int(greedy["token_ids"][1, 6]))
    stopped = written(model, stop=stop)
    model.compile(sampler=FastSampler(0, seed=7))
    np.testing.assert_array_equal(written(model)["token_ids"], greedy["token_ids"])
    ours = written(model, stop=stop)
    for name in ("token_ids", "padding_mask"):
        np.testing.assert_array_equal(ours[name], stopped[name])


@draws
def test_parameters_take_effect_when_they_are_set_also_in_a_compiled_loop(model):
    sampler = FastSampler(1.0, seed=7)
    model.compile(sampler="greedy")
    greedy = written(model)["token_ids"]
    model.compile(sampler=sampler)
    assert (written(model)["token_ids"] != greedy).any()
    sampler.top_k = 1
    np.testing.assert_array_equal(written(model)["token_ids"], greedy)
    sampler.top_k, sampler.temperature = None, 0
    np.testing.assert_array_equal(written(model)["token_ids"], greedy)
    sampler.temperature = 30.0
    assert (written(model)["token_ids"] != greedy).any()


@draws
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_frequencies_are_the_probabilities(dtype):
    probs = np.array([0.5, 0.25, 0.125, 0.125])
    logits = keras.ops.cast(keras.ops.convert_to_tensor(np.tile(np.log(probs), (1000, 1))), dtype)
    sampler = FastSampler(seed=1)
    counts = np.zeros(4)
    for _ in range(20):
        counts += np.bincount(np.asarray(keras.ops.convert_to_numpy(sampler.get_next_token(logits))), minlength=4)
    expected = 20_000 * probs
    assert ((counts - expected) ** 2 / expected).sum() < 45  # chi-square with 3 degrees of freedom: 1e-9


@draws
def test_a_row_that_cannot_be_drawn_from_is_an_error_with_its_number():
    logits = keras.ops.convert_to_tensor(np.array([[0.0, 1.0], [math.nan, 0.0]], np.float32))
    with pytest.raises(Exception, match="row 1 has nan"):
        np.asarray(keras.ops.convert_to_numpy(FastSampler(seed=1).get_next_token(logits)))


@pytest.mark.skipif(BACKEND in ("torch", "jax"), reason="FastSampler draws on this backend")
def test_another_backend_is_an_error_that_names_it(model):
    model.compile(sampler=FastSampler(seed=7))
    with pytest.raises(RuntimeError, match=f"torch and jax backends, and this is {BACKEND}"):
        written(model)


def test_config():
    sampler = FastSampler(0.7, top_p=0.9, top_k=None, order=("top_p",), seed=3)
    again = keras_hub.samplers.deserialize(keras_hub.samplers.serialize(sampler))
    assert type(again) is FastSampler
    config = sampler.get_config()
    assert config == {"temperature": 0.7, "seed": 3, "top_p": 0.9, "order": ("top_p",)}
    assert [again.temperature, again.top_p, again.top_k, again.seed] == [0.7, 0.9, None, 3]
    assert again.get_config() == config | {"order": again.order}
    assert sampler.method == "inversion"
    by_rejection = FastSampler(seed=3, method="rejection")
    again = keras_hub.samplers.deserialize(keras_hub.samplers.serialize(by_rejection))
    assert again.method == "rejection" and by_rejection.get_config()["method"] == "rejection"


def test_parameters_that_are_wrong():
    sampler = FastSampler(0.7, top_p=0.9)
    for bad, error in (
        ({"top_p": 1.5}, ValueError),
        ({"top_k": 2.0}, TypeError),
        ({"top_k": [1, 2]}, TypeError),
        ({"temperature": -1}, ValueError),
        ({"method": "alias"}, ValueError),
        ({"method": None}, ValueError),
        ({"temperature": math.nan}, ValueError),
        ({"xtc_threshold": 0.1}, ValueError),
    ):
        with pytest.raises(error, match=next(iter(bad))):
            FastSampler(**bad)
        with pytest.raises(error, match=next(iter(bad))):
            setattr(sampler, *next(iter(bad.items())))
    assert sampler.get_config() == {"temperature": 0.7, "seed": None, "top_p": 0.9}
    with pytest.raises(TypeError, match="unexpected keyword argument 'p'"):
        FastSampler(p=0.9)
    with pytest.raises(AttributeError, match="no parameter 'p'"):
        sampler.p = 0.9
