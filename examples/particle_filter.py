"""A particle filter whose resampling is one call: systematic resampling through u=.

    python examples/particle_filter.py

An object moves along a line and is observed with noise. The filter keeps particles, weights them by how well they
explain the observation, and resamples. Independent uniforms give multinomial resampling; one uniform, repeated at
equal distances, gives systematic resampling, which adds less noise.
"""

import numpy as np

import fastsoftmax

PARTICLES, STEPS, RUNS = 100, 50, 100
DRIFT, WALK, NOISE = 0.3, 0.5, 1.0


def multinomial(rng, count):
    return rng.random(count)


def systematic(rng, count):
    # The last uniform may round up to 1, which is not allowed.
    return np.minimum((np.arange(count) + rng.random()) / count, np.nextafter(1.0, 0.0))


def run_filter(seen, uniforms, rng):
    """The filter's mean position at every step, and the log-likelihood of the observations."""
    particles = rng.normal(size=PARTICLES)
    means, log_likelihood = [], 0.0
    for observation in seen:
        particles = particles + DRIFT + WALK * rng.normal(size=PARTICLES)
        log_weights = -0.5 * ((observation - particles) / NOISE) ** 2
        log_likelihood += fastsoftmax.logsumexp(log_weights) - np.log(PARTICLES * NOISE * np.sqrt(2 * np.pi))
        chosen = fastsoftmax.sample(log_weights, size=PARTICLES, u=uniforms(rng, PARTICLES))
        particles = particles[chosen]
        means.append(particles.mean())
    return np.array(means), log_likelihood


def kalman(seen):
    """The exact mean position and log-likelihood, which exist for this linear model."""
    mean, variance, means, log_likelihood = 0.0, 1.0, [], 0.0
    for observation in seen:
        mean, variance = mean + DRIFT, variance + WALK**2
        spread = variance + NOISE**2
        log_likelihood -= 0.5 * ((observation - mean) ** 2 / spread + np.log(2 * np.pi * spread))
        gain = variance / spread
        mean, variance = mean + gain * (observation - mean), (1 - gain) * variance
        means.append(mean)
    return np.array(means), log_likelihood


rng = np.random.default_rng(3)
position = rng.normal() + np.cumsum(DRIFT + WALK * rng.normal(size=STEPS))
seen = position + NOISE * rng.normal(size=STEPS)
exact, exact_likelihood = kalman(seen)

errors = {}
for name, uniforms in (("multinomial", multinomial), ("systematic", systematic)):
    runs = [run_filter(seen, uniforms, np.random.default_rng(run)) for run in range(RUNS)]
    errors[name] = np.sqrt(np.mean([(means - exact) ** 2 for means, _ in runs]))
    likelihood = np.mean([log_likelihood for _, log_likelihood in runs])
    print(
        f"{name:12} error of the mean {errors[name]:.4f}   "
        f"log-likelihood {likelihood:.2f} (exact {exact_likelihood:.2f})"
    )
if errors["systematic"] < errors["multinomial"]:
    print("Systematic resampling has the smaller error of the two.")
