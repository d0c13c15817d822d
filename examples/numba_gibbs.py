"""Gibbs sampling of a Potts model in Numba: every conditional draw is a compiled call.

    python examples/numba_gibbs.py

Each site of a 3 x 3 torus has one of 3 states; the energy is minus the number of neighbours that agree. The sampler
visits the sites in turn and draws each from its distribution given the others. The lattice is small enough to compute
the exact means, by enumerating all of its 19,683 states.
"""

import itertools

import numba
import numpy as np

from fastsoftmax.integrations.numba import draw_f64, keyed_uniform

SIDE, STATES, TEMPERATURE, SWEEPS, SEED = 3, 3, 1.4, 200_000, 1


@numba.njit
def agreeing(lattice, row, column, state):
    """The number of the four neighbours that have this state."""
    up, down = lattice[row - 1, column], lattice[(row + 1) % SIDE, column]
    left, right = lattice[row, column - 1], lattice[row, (column + 1) % SIDE]
    return (up == state) + (down == state) + (left == state) + (right == state)


@numba.njit
def measure(lattice):
    """The energy, and the share of sites in the most frequent state."""
    energy, count = 0.0, np.zeros(STATES)
    for row in range(SIDE):
        for column in range(SIDE):
            energy -= agreeing(lattice, row, column, lattice[row, column]) / 2
            count[lattice[row, column]] += 1
    return energy, count.max() / SIDE**2


@numba.njit
def gibbs(sweeps, seed):
    """The means of energy and order over the given number of sweeps."""
    lattice = np.zeros((SIDE, SIDE), np.int64)
    logits = np.empty(STATES)
    energy, order = 0.0, 0.0
    for sweep in range(sweeps):
        for site in range(SIDE**2):
            row, column = divmod(site, SIDE)
            for state in range(STATES):
                logits[state] = agreeing(lattice, row, column, state)
            u = keyed_uniform(seed, site, sweep, 0)
            lattice[row, column] = draw_f64(logits.ctypes.data, STATES, TEMPERATURE, u)
        now = measure(lattice)
        energy, order = energy + now[0], order + now[1]
    return energy / sweeps, order / sweeps


def exact():
    """The same means over all states, each weighted by exp(-energy / temperature)."""
    lattices = itertools.product(range(STATES), repeat=SIDE**2)
    energy, order = np.array([measure(np.reshape(lattice, (SIDE, SIDE))) for lattice in lattices]).T
    weights = np.exp(-energy / TEMPERATURE)
    return np.average(energy, weights=weights), np.average(order, weights=weights)


drawn, listed = gibbs(SWEEPS, SEED), exact()
print(f"energy  {drawn[0]:.3f} drawn, {listed[0]:.3f} exact")
print(f"order   {drawn[1]:.4f} drawn, {listed[1]:.4f} exact")
if abs(drawn[0] - listed[0]) < 0.05 and abs(drawn[1] - listed[1]) < 0.002:
    print("The sampler finds the exact means.")
