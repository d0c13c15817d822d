"""The sampling helper of the character-RNN tutorials: the usual version, and one line.

    python examples/char_rnn_helper.py

A network gives float32 probabilities over characters; the helper draws one of them at a temperature.
"""

import warnings

import numpy as np

import fastsoftmax


def sample_classic(preds, temperature=1.0):
    preds = np.log(preds) / temperature
    exp_preds = np.exp(preds)
    preds = exp_preds / np.sum(exp_preds)
    return np.argmax(np.random.multinomial(1, preds, 1))


def sample(preds, temperature=1.0):
    return fastsoftmax.sample_probs(preds, temperature)


def attempt(helper, networks, temperature):
    """How often the helper drew the most likely character, how often it warned, how often it failed."""
    likeliest = failures = 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for preds in networks:
            try:
                likeliest += helper(preds, temperature) == preds.argmax()
            except ValueError:
                failures += 1
    return likeliest, len(caught), failures


# The output of a network's last layer: float32, each row sums to 1 within float32 rounding.
rng = np.random.default_rng(0)
networks = np.exp(3 * rng.normal(size=(500, 60))).astype(np.float32)
networks[:, 7] = 0  # a character the network has ruled out
networks /= networks.sum(axis=1, keepdims=True)

print("500 draws                     most likely   warnings   failures")
for temperature in (1.0, 0.5, 0.001):
    for name, helper in (("classic", sample_classic), ("one line", sample)):
        likeliest, warned, failures = attempt(helper, networks, temperature)
        print(f"temperature {temperature:<6} {name:<10} {likeliest:11} {warned:10} {failures:10}")

certain, _, _ = attempt(sample, networks, 0.0)
print("At temperature 0 the classic helper divides by zero.")
if certain == len(networks):
    print("The new helper drew the most likely character every time.")
