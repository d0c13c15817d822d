"""A character model in Keras: trained for a minute on text that Python carries, it writes at four temperatures.

    KERAS_BACKEND=jax python examples/keras_char_rnn.py --seconds 60

The network ends in the layer Temperature.  It is trained at temperature 1; afterwards the temperature is set, and the
compiled model follows.
"""

import argparse
import importlib.util
import os
import pydoc_data.topics
import re
import time

# Keras takes TensorFlow unless told otherwise, whether it is installed or not.
installed = [name for name in ("jax", "tensorflow", "torch") if importlib.util.find_spec(name)]
os.environ.setdefault("KERAS_BACKEND", installed[0] if installed else "tensorflow")

import keras  # noqa: E402
import numpy as np  # noqa: E402

from fastsoftmax.integrations.keras import Temperature, sample  # noqa: E402

TOPICS = ("assignment", "booleans", "calls", "class", "comparisons", "for", "function", "if", "import", "try", "while")
CONTEXT, BATCH, ROWS = 16, 64, 4


def python_help():
    """What Python's help says about its statements, in lower case and few characters."""
    text = " ".join(pydoc_data.topics.topics[topic] for topic in TOPICS).lower()
    return re.sub(r"\s+", " ", re.sub(r"[^a-z ,.()\n]", " ", text))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="training time (default: %(default)s)")
    parser.add_argument("--length", type=int, default=72, help="characters to write (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of Keras (default: %(default)s)")
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)

    text = python_help()
    letters = sorted(set(text))
    coded = np.array([letters.index(letter) for letter in text], np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(coded, CONTEXT + 1)

    temperature = Temperature()
    model = keras.Sequential(
        [
            keras.Input((CONTEXT,), dtype="int32"),
            keras.layers.Embedding(len(letters), 16),
            keras.layers.LSTM(64, return_sequences=True),
            keras.layers.Dense(len(letters)),
            temperature,
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    print(f"{keras.config.backend()}: {len(text)} characters, {len(letters)} different ones")
    losses, start = [], time.perf_counter()
    while time.perf_counter() - start < arguments.seconds:
        chosen = windows[np.random.randint(len(windows), size=BATCH)]
        losses.append(float(model.train_on_batch(chosen[:, :-1], chosen[:, 1:])))
    last = float(np.mean(losses[-10:]))
    print(f"loss {losses[0]:.2f}, after {len(losses)} batches {last:.2f}")

    entropies = []
    for value in (0.0, 0.5, 1.0, 1.5):
        temperature.temperature = value
        context = np.repeat(coded[None, :CONTEXT], ROWS, axis=0)
        written = []
        surprise = 0.0
        for _ in range(arguments.length):
            outputs = model.predict_on_batch(context)[:, -1]
            drawn = sample(outputs)
            positive = outputs[outputs > 0]
            surprise -= float((positive * np.log(positive)).sum()) / ROWS
            context = np.concatenate([context[:, 1:], drawn[:, None].astype(np.int32)], axis=1)
            written.append(drawn[0])
        entropies.append(surprise / arguments.length)
        print(f"\ntemperature {value}, entropy {entropies[-1]:.2f} nats a character:")
        print("".join(letters[index] for index in written))
    learnt = last < losses[0] and entropies == sorted(entropies)
    print()
    print("The loss falls, and the entropy rises with the temperature." if learnt else "It has not learnt to write.")


if __name__ == "__main__":
    main()
