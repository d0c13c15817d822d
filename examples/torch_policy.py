"""Policy gradients on a cart and its pole: torch.distributions.Categorical beside this package's, one changed import.

    python examples/torch_policy.py --updates 24

A network learns to balance a pole on a cart, 16 carts at once, by REINFORCE with an entropy bonus.  It is trained twice
from the same start, and nothing differs but where `Categorical` comes from.  What is drawn differs, as with another
seed; what is learnt does not.
"""

import argparse
import time

import torch

from fastsoftmax.integrations.torch import Categorical as OurCategorical

CARTS, STEPS = 16, 100


def pushed(state, action):
    """The carts 0.02 s later (Barto, Sutton, Anderson, 1983), and which of them have lost their pole or the track."""
    x, v, angle, spin = state.unbind(-1)
    force = 20.0 * action - 10.0
    sine, cosine = angle.sin(), angle.cos()
    shared = (force + 0.05 * spin**2 * sine) / 1.1
    turning = (9.8 * sine - cosine * shared) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
    sliding = shared - 0.05 * turning * cosine / 1.1
    state = torch.stack([x + 0.02 * v, v + 0.02 * sliding, angle + 0.02 * spin, spin + 0.02 * turning], -1)
    return state, (state[:, 0].abs() > 2.4) | (state[:, 2].abs() > 0.21)


def train(categorical, updates, seed):
    """The mean number of steps before a fall, at each update."""
    torch.manual_seed(seed)
    policy = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))
    optimizer = torch.optim.Adam(policy.parameters(), 0.02)
    curve = []
    for _ in range(updates):
        state = torch.empty(CARTS, 4).uniform_(-0.05, 0.05)
        standing = torch.ones(CARTS, dtype=torch.bool)
        logprobs, entropies, alive = [], [], []
        for _ in range(STEPS):
            d = categorical(logits=policy(state))
            action = d.sample()
            logprobs.append(d.log_prob(action))
            entropies.append(d.entropy())
            alive.append(standing.float())
            state, fallen = pushed(state, action)
            standing = standing & ~fallen
            if not standing.any():
                break
        rewards = torch.stack(alive)
        returns = rewards.flip(0).cumsum(0).flip(0)
        advantage = (returns - returns[rewards > 0].mean()) / (returns[rewards > 0].std() + 1e-6)
        gain = torch.stack(logprobs) * advantage + 0.01 * torch.stack(entropies)
        optimizer.zero_grad()
        (-(gain * rewards).sum() / rewards.sum()).backward()
        optimizer.step()
        curve.append(rewards.sum(0).mean().item())
    return curve


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--updates", type=int, default=24, help="training updates (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of torch (default: %(default)s)")
    arguments = parser.parse_args()
    curves = {}
    for name, categorical in {"torch": torch.distributions.Categorical, "fastsoftmax": OurCategorical}.items():
        start = time.perf_counter()
        curves[name] = train(categorical, arguments.updates, arguments.seed)
        print(f"{name}: {time.perf_counter() - start:.1f} s")
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
