"""Compare the compiled particle filter with the exact result, which exists for this linear model.

Build the module first:

    cd examples/cython_particle_filter
    cythonize -i particle_filter.pyx
    python compare.py
"""

import numpy as np
import particle_filter

PARTICLES, STEPS, SEED = 10_000, 50, 2
DRIFT, WALK, NOISE = 0.3, 0.5, 1.0


def kalman(seen):
    """The exact mean position at every step, and the exact log-likelihood."""
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

means, log_likelihood = particle_filter.run(seen, PARTICLES, DRIFT, WALK, NOISE, SEED)
exact, exact_likelihood = kalman(seen)
error = np.sqrt(np.mean((means - exact) ** 2))
print(f"error of the mean {error:.4f}   log-likelihood {log_likelihood:.2f} (exact {exact_likelihood:.2f})")
if error < 0.02 and abs(log_likelihood - exact_likelihood) < 0.2:
    print("The particles find the exact likelihood.")
