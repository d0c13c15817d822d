"""adaptive_p: draws near a probability, and the mean that it steers."""

import copy
import pickle

import numpy as np
import pytest

import fastsoftmax as fs
from fastsoftmax import reference

INF, NAN = np.inf, np.nan
X = np.log([0.5, 0.3, 0.15, 0.05])


def weights(p, aim):
    d = np.abs(p - aim) / 0.3
    return np.exp(-10 * d**2 / (1 + d))


@pytest.mark.parametrize(
    "filters", [{}, {"min_p": 0.05}, {"top_k": 10, "keep": [3]}, {"smoothing_factor": 0.4}], ids=str
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_draw_is_from_the_weights_and_moves_the_mean(filters, dtype, rng):
    target, decay = 0.25, 0.8
    sampler = fs.Sampler(0.9, adaptive_p=target, adaptive_p_decay=decay, return_logprob=True, **filters)
    mean = target
    for u in rng.random(60):
        x = (3 * rng.normal(size=200)).astype(dtype)
        left = fs.truncate(x.astype(float), 0.9, **filters)
        p = fs.softmax(left)
        w = np.where(left > -INF, weights(p, np.clip(2 * target - mean, 0, 1)), 0.0)
        index, logprob = sampler(x, u)
        cumulative = np.cumsum(w) / w.sum()
        assert cumulative[index] >= u - 1e-5 and (index == 0 or cumulative[index - 1] <= u + 1e-5)
        assert logprob == pytest.approx(np.log(w[index] / w.sum()), abs=1e-4)
        mean = decay * mean + (1 - decay) * p[index]
        assert sampler.adaptive_p_mean == pytest.approx(mean, rel=1e-5)


def test_draws_are_those_of_the_reference(rng):
    sampler = fs.Sampler(0.7, adaptive_p=0.2, top_p=0.95, keep=[5])
    for u in rng.random(80):
        x = 2 * rng.normal(size=50)
        aim = min(max(2 * 0.2 - sampler.adaptive_p_mean, 0.0), 1.0)
        drawn = reference.sample(x.tolist(), 0.7, u=u, top_p=0.95, keep=(5,), adaptive_aim=aim)
        assert sampler(x, u) == drawn


def test_the_mean_comes_near_the_target():
    p = 0.5 ** np.arange(1, 16)
    for target in (0.1, 0.2, 0.4, 0.5):  # without it, the mean is 1/3
        sampler = fs.Sampler(adaptive_p=target, seed=1)
        assert abs(np.mean([p[sampler(np.log(p))] for _ in range(3000)]) - target) < 0.05


def test_rows_of_a_batch_are_as_alone(rng):
    x = rng.normal(size=(12, 5, 40))
    batch = fs.Sampler(adaptive_p=0.3, seed=7, keys=[10, 11, 12, 13, 14], min_p=0.1)
    alone = [fs.Sampler(adaptive_p=0.3, seed=7, min_p=0.1) for _ in range(5)]
    for step in x:
        drawn = batch(step)
        assert drawn.tolist() == [one(row, keys=10 + i) for i, (one, row) in enumerate(zip(alone, step, strict=True))]
        np.testing.assert_array_equal(batch.adaptive_p_mean, [one.adaptive_p_mean for one in alone])
    targets = fs.Sampler(adaptive_p=np.array([0.1, 0.9]), adaptive_p_decay=[0.5, 0.0], seed=1)
    targets(x[0, :2])
    assert targets.adaptive_p_mean.shape == (2,)


def test_limits():
    assert fs.Sampler(0.0, adaptive_p=0.0)(X, 0.999) == 0  # one is left
    assert fs.Sampler(0.0, adaptive_p=0.0, top_k=3, temperature_last=True)(X, 0.999) == 0
    sampler = fs.Sampler(adaptive_p=0.5)
    assert sampler([-INF, 2.0, -INF], 0.5) == 1 and sampler.adaptive_p_mean == pytest.approx(0.55)
    for u in (0.0, 0.3, 0.999):
        assert fs.Sampler(adaptive_p=0.0)([INF, 0.0, INF, -INF], u) in (0, 2)
        assert fs.Sampler(INF, adaptive_p=0.0)([INF, 0.0, -INF], u) in (0, 1)
        assert fs.Sampler(adaptive_p=0.0, mask=[True, False, True, False])(X, u) in (0, 2)
    # probability 0 in double, but not forbidden
    assert fs.Sampler(adaptive_p=0.0)([0.0, -2000.0], 0.999) == 1
    assert fs.Sampler(adaptive_p=0.2).sample_probs([0.5, 0.0, 0.3, 0.2], 0.999) == 3
    with pytest.raises(ValueError, match="nan at entry 0"):
        fs.Sampler(adaptive_p=0.2)([NAN, 1.0])


def test_a_row_that_cannot_be_drawn_from_keeps_its_mean():
    sampler = fs.Sampler(adaptive_p=0.2, on_invalid="flag", return_logprob=True)
    index, logprob = sampler(np.array([[0.0, 0.0], [NAN, 0.0], [-INF, -INF]]), [0.5, 0.5, 0.5])
    assert index.tolist() == [1, -1, -1] and np.isnan(logprob[1:]).all()
    np.testing.assert_allclose(sampler.adaptive_p_mean, [0.9 * 0.2 + 0.1 * 0.5, 0.2, 0.2], rtol=1e-14)
    sampler = fs.Sampler(adaptive_p=0.2)
    with pytest.raises(ValueError, match="logits"):
        sampler([NAN, 0.0])
    assert sampler.adaptive_p_mean == 0.2 and sampler.step == 0


def test_it_is_set_switched_copied_and_pickled():
    sampler = fs.Sampler(adaptive_p=0.35, seed=2)
    sampler(X)
    assert (sampler.adaptive_p, sampler.adaptive_p_decay) == (0.35, 0.9) and sampler.adaptive_p_mean != 0.35
    for twin in (pickle.loads(pickle.dumps(sampler)), copy.copy(sampler), copy.deepcopy(sampler)):
        assert twin.adaptive_p_mean == sampler.adaptive_p_mean
        twin(X)
        assert twin.adaptive_p_mean != sampler.adaptive_p_mean
    sampler.adaptive_p_mean = 0.5
    sampler.adaptive_p = 0.4  # another target goes on from the mean
    assert sampler.adaptive_p_mean == 0.5
    sampler.adaptive_p = None
    assert sampler.adaptive_p_mean is None
    assert sampler(X) == fs.sample(X, u=fs.keyed_uniforms(2, 0, 1))
    with pytest.raises(AttributeError, match="adaptive_p"):
        sampler.adaptive_p_mean = 0.1
    sampler.mirostat_tau = 3.0
    with pytest.raises(ValueError, match="mirostat_tau"):
        sampler.adaptive_p = 0.2
    sampler.mirostat_tau, sampler.adaptive_p = None, 0.2
    with pytest.raises(ValueError, match="adaptive_p"):
        sampler.mirostat_tau = 3.0
    with pytest.raises(ValueError, match="both"):
        fs.Sampler(mirostat_tau=3.0, adaptive_p=0.2)


@pytest.mark.parametrize("name", ["adaptive_p", "adaptive_p_decay", "adaptive_p_mean"])
@pytest.mark.parametrize("bad", [-0.1, 1.5, NAN, "a", True, None, 2**80], ids=str)
def test_errors_name_the_parameter(name, bad):
    sampler = fs.Sampler(adaptive_p=0.2)
    if name == "adaptive_p" and bad is None:
        return
    with pytest.raises((ValueError, TypeError), match=name):
        setattr(sampler, name, bad)
    assert (sampler.adaptive_p, sampler.adaptive_p_decay, sampler.adaptive_p_mean) == (0.2, 0.9, 0.2)


def test_parameters_for_each_row_have_the_shape_of_the_rows():
    for given in ({"adaptive_p": [0.1, 0.2]}, {"adaptive_p": 0.1, "adaptive_p_decay": [0.1, 0.2]}):
        with pytest.raises(ValueError, match=r"adaptive_p.*\(3,\)"):
            fs.Sampler(**given)(np.zeros((3, 2)))
