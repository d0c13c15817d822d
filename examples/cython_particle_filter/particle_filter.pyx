# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A particle filter without Python in its loop: one call computes the log-likelihood, one resamples the particles.

Every random number is a function of the seed, the particle and the step, so the result does not depend on their order.
"""

from libc.math cimport M_PI, cos, log, log1p, sqrt
from libc.stdint cimport int64_t, uint64_t

import numpy as np

from fastsoftmax._core cimport FS_OK, draw_many_f64, keyed_uniform, logsumexp_f64

cdef enum:  # the streams of keyed_uniform
    RADIUS, ANGLE, PLACE

cdef double BELOW_ONE = 1.0 - 2.0 ** -53


cdef double normal(uint64_t seed, uint64_t particle, uint64_t step) noexcept nogil:
    """A standard normal variate (Box-Muller)."""
    cdef double radius = sqrt(-2.0 * log1p(-keyed_uniform(seed, particle, step, RADIUS)))
    return radius * cos(2.0 * M_PI * keyed_uniform(seed, particle, step, ANGLE))


def run(const double[::1] seen, Py_ssize_t particles, double drift, double walk, double noise, uint64_t seed):
    """The mean position at every step, and the log-likelihood of the observations."""
    cdef double[::1] x = np.empty(particles), before = np.empty(particles), log_weight = np.empty(particles)
    cdef double[::1] u = np.empty(particles), means = np.empty(seen.shape[0])
    cdef int64_t[::1] ancestor = np.empty(particles, np.int64)
    cdef double log_likelihood = 0.0, log_sum, start, mean
    cdef Py_ssize_t i, step
    cdef int status = FS_OK
    with nogil:
        for i in range(particles):
            x[i] = normal(seed, i, 0)
        for step in range(seen.shape[0]):
            for i in range(particles):
                x[i] += drift + walk * normal(seed, i, step + 1)
                log_weight[i] = -0.5 * ((seen[step] - x[i]) / noise) ** 2
            status = logsumexp_f64(&log_weight[0], particles, 1.0, &log_sum)
            log_likelihood += log_sum - log(particles * noise * sqrt(2.0 * M_PI))

            start = keyed_uniform(seed, 0, step, PLACE)  # systematic resampling: one uniform at equal distances
            for i in range(particles):
                u[i] = min((i + start) / particles, BELOW_ONE)
            status = status or draw_many_f64(&log_weight[0], particles, 1.0, particles, &u[0], &ancestor[0])
            if status != FS_OK:
                break

            before[:] = x
            mean = 0.0
            for i in range(particles):
                x[i] = before[ancestor[i]]
                mean += x[i]
            means[step] = mean / particles
    if status != FS_OK:
        raise ValueError(f"step {step} cannot be resampled: code {status} of fastsoftmax/_core.pxd")
    return np.asarray(means), log_likelihood
