"""integrations/keras.py on the backend of this process; test_keras_backends.py runs these tests on the others."""

import math
import warnings

import numpy as np
import pytest

import fastsoftmax as fs

keras = pytest.importorskip("keras")
from fastsoftmax.integrations.keras import Temperature, sample  # noqa: E402

INF, NAN = math.inf, math.nan
LOGITS = [
    [1, 2, 3, 3],
    [0, 0, 0, 0],
    [INF, 1, -INF, INF],
    [-INF, -INF, 0, 1],
    [-INF, -INF, -INF, -INF],
    [NAN, 1, 2, 3],
    [1, INF, NAN, 3],
    [-1e38, 1e38, 1e38, -INF],
]
WEIGHTS = [
    [0, 0.25, 0.75, 0],
    [1, 2, 2, 0],
    [1e-20, 1, 1, 1],
    [1e30, 1e-30, 1e30, 0],
    [0, 0, 0, 0],
    [-1, 1, 1, 1],
    [1, INF, 1, 1],
    [1, 1, 1, NAN],
]
TEMPERATURES = [0.0, 1e-40, 1e-3, 0.5, 1.0, 2.0, 30.0, INF]

each_form = pytest.mark.parametrize("probs", [False, True], ids=["logits", "probs"])


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(20)


def array(x):
    return np.asarray(keras.ops.convert_to_numpy(x))


def rows_of(probs, dtype=np.float32):
    with np.errstate(over="ignore"):
        return np.array(WEIGHTS if probs else LOGITS, dtype)


def wanted(rows, temperature, probs, axis=-1):
    return (fs.softmax_probs if probs else fs.softmax)(rows, temperature, axis=axis)


def identity(entries):
    """A trained model whose outputs are its inputs."""
    dense = keras.layers.Dense(entries, kernel_initializer="identity")
    return keras.Sequential([keras.Input((entries,)), dense])


# Values


@each_form
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_values_and_limits_are_those_of_arrays(temperature, probs):
    rows = rows_of(probs)
    got = array(Temperature(temperature, probs=probs)(rows))
    assert got.dtype == np.float32
    # where backends flush subnormal numbers, 1e-40 is 0: for these rows the same
    np.testing.assert_allclose(got, wanted(rows, temperature, probs), rtol=1e-5, atol=1e-37)


@each_form
def test_random_rows_are_close_to_those_of_arrays(probs):
    rng = np.random.default_rng(0)
    rows = 5 * rng.normal(size=(50, 300)).astype(np.float32)
    rows = fs.softmax(rows) if probs else rows
    for temperature in (0.1, 0.7, 1.0, 3.0):
        got = array(Temperature(temperature, probs=probs)(rows))
        np.testing.assert_allclose(got, wanted(rows, temperature, probs), rtol=3e-5, atol=1e-37)
        np.testing.assert_allclose(got.sum(-1), 1, atol=1e-5)


@each_form
def test_temperature_zero_is_argmax_and_ties_share(probs):
    rows = np.array(
        [[0.2, 0.5, 0.1], [0.4, 0.4, 0.2], [1.0, np.nextafter(np.float32(1), np.float32(2)), 0]], np.float32
    )
    got = array(Temperature(0, probs=probs)(rows))
    np.testing.assert_array_equal(got, [[0, 1, 0], [0.5, 0.5, 0], [0, 1, 0]])


def test_probabilities_that_only_their_logarithms_make_equal_are_told_apart():
    rows = np.array([[1e-20, np.nextafter(np.float32(1e-20), np.float32(1))]], np.float32)
    np.testing.assert_array_equal(array(Temperature(0, probs=True)(rows)), [[0, 1]])


@each_form
@pytest.mark.parametrize("axis", [1, -2, (1, 2), (-1, 1)], ids=str)
def test_axes(axis, probs):
    rows = np.random.default_rng(1).random((3, 4, 5)).astype(np.float32)
    layer = Temperature(0.3, probs=probs, axis=axis)
    np.testing.assert_allclose(array(layer(rows)), wanted(rows, 0.3, probs, axis), rtol=1e-5)
    model = keras.Sequential([keras.Input((4, 5)), layer])
    np.testing.assert_allclose(model.predict(rows, verbose=0), wanted(rows, 0.3, probs, axis), rtol=1e-5)


@each_form
@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3, 0)], ids=str)
def test_no_rows_and_no_entries(shape, probs):
    assert array(Temperature(0.5, probs=probs)(np.ones(shape, np.float32))).shape == shape


@each_form
def test_no_warning_where_the_answer_is_defined(probs):
    rows = rows_of(probs)[:4]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = [Temperature(temperature, probs=probs)(rows) for temperature in TEMPERATURES]
    assert all(np.isfinite(array(each)).all() for each in outputs)


# Precision


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_16_bit_policies_compute_in_float32(policy):
    rows = np.random.default_rng(2).normal(0, 3, (20, 200)).astype(np.float32)
    layer = Temperature(0.7, dtype=policy)
    got = layer(rows)
    dtype = policy.removeprefix("mixed_")
    assert keras.backend.standardize_dtype(got.dtype) == dtype
    assert layer.weights[0].dtype == "float32" and layer.temperature == 0.7
    rounded = array(keras.ops.cast(keras.ops.convert_to_tensor(rows), dtype)).astype(np.float32)
    bound = 2.0**-8 if dtype == "bfloat16" else 2.0**-11
    got = array(keras.ops.cast(got, "float32"))
    np.testing.assert_allclose(got, fs.softmax(rounded, 0.7), rtol=1.1 * bound, atol=1e-7)


def test_float64():
    if keras.backend.backend() == "jax":
        pytest.skip("JAX computes in float32 unless told otherwise")
    rows = np.random.default_rng(3).normal(0, 3, (20, 200))
    layer = Temperature(0.7, dtype="float64")
    np.testing.assert_allclose(array(layer(rows)), fs.softmax(rows, 0.7), rtol=1e-13)
    assert layer.temperature == 0.7


# The temperature, which may be set


@each_form
def test_setting_it_takes_effect_in_a_compiled_model_at_once(probs):
    layer = Temperature(probs=probs)
    model = keras.Sequential([identity(4), layer])
    model.compile(optimizer="sgd", loss="categorical_crossentropy")
    rows = rows_of(probs)[:2]
    for temperature in (1.0, 0.5, 0.0, 2, INF, np.float32(0.25), np.array(3)):
        layer.temperature = temperature
        assert layer.temperature == temperature
        np.testing.assert_allclose(model.predict(rows, verbose=0), wanted(rows, temperature, probs), rtol=1e-5)
        np.testing.assert_allclose(model.predict_on_batch(rows), wanted(rows, temperature, probs), rtol=1e-5)


def test_it_is_set_after_training_and_training_does_not_change_it():
    layer = Temperature(1.5)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), layer])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(64, 3)).astype(np.float32), rng.integers(0, 4, 64)
    before = model.evaluate(x, y, verbose=0)
    history = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert history[-1] < before
    assert layer.temperature == 1.5
    assert [len(model.trainable_weights), len(model.non_trainable_weights)] == [2, 1]
    logits = array(model.layers[0](x))
    layer.temperature = 0.3
    np.testing.assert_allclose(model.predict(x, verbose=0), fs.softmax(logits, 0.3), rtol=1e-4, atol=1e-30)


def test_a_callback_anneals_it():
    seen, layer = [], Temperature()
    schedule = fs.schedules.linear(2.0, 0.5, steps=3)
    model = keras.Sequential([identity(3), layer])
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")

    def anneal(epoch, logs):
        layer.temperature = schedule(epoch)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=anneal)]
    x, y = np.array([[1.0, 2.0, 3.0]], np.float32), np.array([2])
    seen = model.fit(x, y, epochs=4, verbose=0, callbacks=callbacks).history["loss"]
    np.testing.assert_allclose(seen, [-fs.log_softmax(x[0], schedule(epoch))[2] for epoch in range(4)], rtol=1e-5)


def test_gradients_of_equal_logits_are_those_of_softmax():
    layer = Temperature(0.5)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="zeros"), layer])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="sparse_categorical_crossentropy")
    model.fit(np.ones((1, 2), np.float32), np.array([1]), verbose=0)
    np.testing.assert_allclose(model.layers[0].get_weights()[1], [-2 / 3, 4 / 3, -2 / 3], rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.0, INF])
def test_training_at_the_limits_changes_nothing_and_gives_no_nan(temperature):
    model = keras.Sequential([identity(3), Temperature(temperature)])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss="mse")
    before = model.get_weights()
    model.fit(np.array([[1.0, 1.0, 0.0]], np.float32), np.array([[0.0, 1.0, 0.0]]), verbose=0)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_gradients_of_probabilities_that_are_zero_are_finite():
    model = keras.Sequential([identity(3), Temperature(0.5, probs=True)])
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    model.fit(np.array([[0.0, 0.4, 0.6]], np.float32), np.array([[0.0, 1.0, 0.0]]), verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


# Saved, loaded, cloned


@each_form
def test_save_load_and_clone_keep_the_temperature(probs, tmp_path):
    layer = Temperature(probs=probs, axis=(1,), name="heat")
    model = keras.Sequential([identity(4), layer])
    layer.temperature = 0.7
    rows = rows_of(probs)[:2]
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded, cloned = keras.models.load_model(tmp_path / "model.keras"), keras.models.clone_model(model)
    for other in (loaded, cloned):
        again = other.get_layer("heat")
        assert again is not layer
        assert [again.temperature, again.probs, again.axis] == [0.7, probs, (1,)]
        again.temperature = 2.0
        assert layer.temperature == 0.7
    np.testing.assert_allclose(loaded.predict(rows, verbose=0), wanted(rows, 2.0, probs), rtol=1e-5)
    cloned.load_weights(tmp_path / "model.weights.h5")
    assert cloned.get_layer("heat").temperature == 0.7


def test_config():
    config = Temperature(0.7, probs=True, axis=[1, 2], dtype="mixed_float16").get_config()
    assert [config["temperature"], config["probs"], config["axis"]] == [0.7, True, (1, 2)]
    again = Temperature.from_config(config)
    assert again.get_config() == config
    assert Temperature(INF).get_config()["temperature"] == INF


def test_masks_of_time_steps_are_handed_on():
    inputs = keras.Input((3,), dtype="int32")
    steps = keras.layers.Embedding(5, 4, mask_zero=True)(inputs)
    outputs = Temperature(0.5)(steps)
    assert getattr(outputs, "_keras_mask", None) is not None
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(outputs))
    x = np.array([[1, 2, 0]])
    embedded = model.layers[1].get_weights()[0][[1, 2]]
    np.testing.assert_allclose(model.predict(x, verbose=0)[0], fs.softmax(embedded, 0.5).mean(0), rtol=1e-5)


# What it does not take


@pytest.mark.parametrize("bad", [-1, NAN, -INF])
def test_a_temperature_out_of_range(bad):
    layer = Temperature(0.5)
    for attempt in (lambda: Temperature(bad), lambda: setattr(layer, "temperature", bad)):
        with pytest.raises(ValueError, match="temperature must be at least 0"):
            attempt()
    assert layer.temperature == 0.5


@pytest.mark.parametrize("bad", ["0.5", None, [1.0, 2.0], np.ones(1), 10**400, fs.schedules.constant(1.0), 1j], ids=str)
def test_a_temperature_that_is_no_number(bad):
    layer = Temperature(0.5)
    for attempt in (lambda: Temperature(bad), lambda: setattr(layer, "temperature", bad)):
        with pytest.raises(TypeError, match="temperature must be"):
            attempt()
    assert layer.temperature == 0.5


def test_a_temperature_beyond_the_dtype_is_infinite():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer = Temperature(1e39)
    assert layer.temperature == INF


def test_other_bad_arguments():
    with pytest.raises(TypeError, match="axis must be"):
        Temperature(axis=1.5)
    with pytest.raises(TypeError, match="axis must be"):
        Temperature(axis=())
    with pytest.raises(TypeError, match="inputs are complex"):
        Temperature()(np.ones((2, 3), complex))
    with pytest.raises(TypeError, match="probs must be"):
        Temperature(probs=np.ones(3))
    for axis in (2, -3, (1, -1)):
        with pytest.raises(ValueError, match="axis=.* does not fit the inputs, which have 2 axes"):
            Temperature(axis=axis)(np.ones((2, 3), np.float32))


# Draws


def test_draws_are_those_of_arrays():
    probs = keras.ops.softmax(np.random.default_rng(5).normal(size=(6, 9)).astype(np.float32))
    u = np.random.default_rng(6).random(6)
    for outputs in (probs, array(probs)):
        np.testing.assert_array_equal(sample(outputs, 0.7, u=u), fs.sample_probs(array(probs), 0.7, u=u))
        np.testing.assert_array_equal(
            sample(outputs, 0.7, from_logits=True, top_k=3, u=u), fs.sample(array(probs), 0.7, top_k=3, u=u)
        )
        np.testing.assert_array_equal(sample(outputs, rng=3, size=4), fs.sample_probs(array(probs), rng=3, size=4))
    assert type(sample([0.2, 0.8])) is int


def test_seeded_draws_are_those_of_arrays_and_leave_the_stream_of_numpy_alone():
    logits = np.random.default_rng(0).normal(size=(3, 9000)).astype(np.float32)
    words = {"seed": 7, "keys": [4, 5, 6], "step": 2}
    before = np.random.get_state()[1].copy()
    for method in ("inversion", "rejection"):
        drawn = sample(keras.ops.convert_to_tensor(logits), 0.7, from_logits=True, method=method, **words)
        np.testing.assert_array_equal(drawn, fs.sample(logits, 0.7, method=method, **words))
        drawn = sample(keras.ops.convert_to_tensor(np.exp(logits)), method=method, **words)
        np.testing.assert_array_equal(drawn, fs.sample_probs(np.exp(logits), method=method, **words))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    with pytest.raises(ValueError, match="method needs a seed"):
        sample(logits, method="rejection")


def test_random_seed_of_keras_fixes_the_draws():
    probs = np.full((50, 10), 0.1)
    keras.utils.set_random_seed(3)
    first, second = sample(probs), sample(probs)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(sample(probs), first)
    assert (first != second).any()
    np.random.seed(3)
    np.testing.assert_array_equal(sample(probs), first)


def test_outputs_of_a_model_that_can_be_trained_and_of_16_bits():
    model = keras.Sequential([identity(3), Temperature(probs=False)])
    x = np.array([[1.0, 5.0, 2.0]], np.float32)
    np.testing.assert_array_equal(sample(model(x), 0), [1])
    np.testing.assert_array_equal(sample(Temperature(dtype="mixed_bfloat16")(x), 0), [1])


def test_logits_taken_for_probabilities_are_an_error_with_advice():
    with pytest.raises(ValueError, match="row 1 .*pass from_logits=True"):
        sample([[0.5, 0.5], [-1.0, 2.0]])
    with pytest.raises(ValueError) as info:
        sample([[0.5, 0.5], [0.0, 0.0]])
    assert "from_logits" not in str(info.value)


def test_outputs_that_cannot_be_drawn_from():
    with pytest.raises(TypeError, match="symbolic"):
        sample(keras.Input((3,)))
    with pytest.raises(TypeError, match="list of arrays, .* pass one of them"):
        sample([np.ones((2, 3)), np.ones((2, 4))])
    with pytest.raises(TypeError, match="dict of arrays"):
        sample({"words": np.ones((2, 3))})
    with pytest.raises(TypeError, match="from_logits must be"):
        sample([0.5, 0.5], from_logits=1)
    with pytest.raises(ValueError, match="row 1 has nan"):
        sample(np.array([[0.5, 0.5], [NAN, 0.5]]))
    with pytest.raises(ValueError, match="temperature"):
        sample([0.5, 0.5], -1)
    assert sample(np.empty((0, 3))).shape == (0,)


def test_a_function_being_traced_is_an_error_with_advice():
    if keras.backend.backend() == "jax":
        import jax as tracer

        trace = tracer.jit
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tracer

        trace = tracer.function
    else:
        pytest.skip("this backend does not trace")
    with pytest.raises(TypeError, match="outputs has no values"):
        trace(sample)(keras.ops.ones((2, 3)))
