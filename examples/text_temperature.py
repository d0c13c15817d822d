"""What temperature does to text: a model of four-letter contexts generates text.

    python examples/text_temperature.py [FILE]

Without FILE it is trained on the documentation topics that come with every Python. For the last text the
temperature falls while it is generated.
"""

import sys
import textwrap
from collections import Counter, defaultdict

import numpy as np

import fastsoftmax

CONTEXT, LENGTH = 4, 400

if len(sys.argv) > 1:
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
else:
    from pydoc_data.topics import topics

    text = " ".join(topics.values())
text = " ".join(text.split())
if len(text) <= 2 * CONTEXT:
    sys.exit(f"The text has {len(text)} symbols; it needs more than {2 * CONTEXT}.")

alphabet = sorted(set(text))
place = {symbol: i for i, symbol in enumerate(alphabet)}
counts = defaultdict(Counter)
ring = text + text[:CONTEXT]  # so that every context is followed by something
for i in range(len(text)):
    counts[ring[i : i + CONTEXT]][ring[i + CONTEXT]] += 1


def logits_of(context):
    """log(count) of each symbol that occurs after the context; -inf for the others, which are never drawn."""
    row = np.full(len(alphabet), -np.inf)
    for symbol, count in counts[context].items():
        row[place[symbol]] = np.log(count)
    return row


def write(sampler):
    written = text[:CONTEXT]
    for _ in range(LENGTH):
        written += alphabet[sampler(logits_of(written[-CONTEXT:]))]
    return textwrap.fill(written, 100, initial_indent="    ", subsequent_indent="    ")


# The uncertainty of the next symbol in bits, averaged over places in the text.
places = np.linspace(0, len(text) - 1, 1000).astype(int)
rows = np.array([logits_of(ring[i : i + CONTEXT]) for i in places])


def mean_entropy(temperature):
    p = fastsoftmax.softmax(rows, temperature)
    return -np.sum(p[p > 0] * np.log2(p[p > 0])) / len(rows)


entropies = []
for temperature in (0.2, 0.5, 1.0, 3.0):
    entropies.append(mean_entropy(temperature))
    print(f"temperature {temperature}: {entropies[-1]:.2f} bits of entropy per symbol")
    print(write(fastsoftmax.Sampler(temperature, rng=0)), end="\n\n")

cooling = fastsoftmax.schedules.linear(3.0, 0.1, steps=LENGTH)
print("temperature falling from 3 to 0.1")
print(write(fastsoftmax.Sampler(cooling, rng=0)), end="\n\n")
if entropies == sorted(entropies):
    print("Entropy rises with the temperature.")
