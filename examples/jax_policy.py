"""Policy gradients on a cart and its pole in JAX: jax.random.categorical and jax.nn.log_softmax beside this package's.

    python examples/jax_policy.py --updates 40

A linear policy learns to balance a pole on a cart, 32 carts at once, by REINFORCE with a temperature that falls.  An
update is one compiled function: `lax.scan` over the steps draws the actions, and `grad` takes the gradient of their
log-probabilities.  It is trained twice from the same start; what is drawn differs, as with another key.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp

import fastsoftmax.integrations.jax as fsj

CARTS, STEPS = 32, 100

PARTS = {
    "jax": (lambda x, t, key: jax.random.categorical(key, x / t), lambda x, t: jax.nn.log_softmax(x / t)),
    "fastsoftmax": (lambda x, t, key: fsj.sample(x, t, key=key), fsj.log_softmax),
}


def pushed(state, action):
    """The carts 0.02 s later (Barto, Sutton, Anderson, 1983), and which of them have lost their pole or the track."""
    x, v, angle, spin = state.T
    force = 20.0 * action - 10.0
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    shared = (force + 0.05 * spin**2 * sine) / 1.1
    turning = (9.8 * sine - cosine * shared) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    sliding = shared - 0.05 * turning * cosine / 1.1
    state = jnp.stack([x + 0.02 * v, v + 0.02 * sliding, angle + 0.02 * spin, spin + 0.02 * turning], 1)
    return state, (abs(state[:, 0]) > 2.4) | (abs(state[:, 2]) > 0.21)


@partial(jax.jit, static_argnums=0)
def updated(name, weights, temperature, key):
    """The weights after one update, and the mean number of steps before a fall."""
    sample, log_softmax = PARTS[name]

    def step(carry, key):
        state, standing = carry
        action = sample(state @ weights, temperature, key)
        after, fallen = pushed(state, action)
        return (after, standing & ~fallen), (state, action, standing)

    start, *keys = jax.random.split(key, STEPS + 1)
    begin = (jax.random.uniform(start, (CARTS, 4), minval=-0.05, maxval=0.05), jnp.ones(CARTS, bool))
    _, (states, actions, standing) = jax.lax.scan(step, begin, jnp.stack(keys))
    rewards = standing.astype(jnp.float32)
    returns = jnp.cumsum(rewards[::-1], 0)[::-1]
    mean, spread = jnp.mean(returns, where=standing), jnp.std(returns, where=standing)
    advantage = (returns - mean) / (spread + 1e-6) * rewards

    def loss(weights):
        logprob = log_softmax(states @ weights, temperature)
        return -(jnp.take_along_axis(logprob, actions[..., None], -1)[..., 0] * advantage).sum() / rewards.sum()

    gradient = jax.grad(loss)(weights)
    return weights - gradient / (jnp.linalg.norm(gradient) + 1e-6), rewards.sum(0).mean()


def train(name, updates, seed):
    """The mean number of steps before a fall, at each update, and the seconds after the first."""
    weights, curve, began = jnp.zeros((4, 2)), [], 0.0
    for update, key in enumerate(jax.random.split(jax.random.key(seed), updates)):
        temperature = jnp.float32(max(0.2, 1.0 - update / updates))
        weights, steps = updated(name, weights, temperature, key)
        curve.append(float(steps))
        began = began or time.perf_counter()
    return curve, time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--updates", type=int, default=40, help="training updates (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the key (default: %(default)s)")
    arguments = parser.parse_args()
    curves = {}
    for name in PARTS:
        curves[name], seconds = train(name, arguments.updates, arguments.seed)
        print(f"{name}: {1e3 * seconds / max(arguments.updates - 1, 1):.2f} ms an update")
    print(f"steps before a fall, of {STEPS}:")
    print(f"{'update':>8}" + "".join(f"{name:>14}" for name in curves))
    for update in range(0, arguments.updates, max(1, arguments.updates // 10)):
        print(f"{update:>8}" + "".join(f"{curve[update]:>14.1f}" for curve in curves.values()))
    last = max(1, arguments.updates // 8)
    ends = [sum(curve[-last:]) / last for curve in curves.values()]
    print(f"{'the last':>8}" + "".join(f"{end:>14.1f}" for end in ends))
    learnt = all(end > 2 * curve[0] for end, curve in zip(ends, curves.values(), strict=True))
    print("Both learn to balance the pole." if learnt else "Not both have learnt to balance the pole.")


if __name__ == "__main__":
    main()
