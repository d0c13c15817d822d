"""Draw tokens from an output layer whose vocabulary is split into chunks, with Dask.

The logits are hidden states times a matrix whose columns (the vocabulary) are in chunks, as they would be on several
machines. Each chunk of logits is computed and summarised in one place; the draw needs the summaries, 1/256 the size of
the logits, and the block it falls in. On a cluster only the scheduler changes: `distributed.Client("address")`.

    python examples/dask_vocabulary.py
"""

import dask
import dask.array as da
import numpy as np

import fastsoftmax as fs
from fastsoftmax.integrations.dask import sample

REQUESTS, WIDTH, VOCABULARY = 32, 64, 128_256
CHUNK = 16_384  # any length will do; summaries are smallest at multiples of 1,024
TEMPERATURE, SEED = 0.8, 7


def main() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(REQUESTS, WIDTH)).astype(np.float32)
    columns = rng.normal(0, 0.3, size=(WIDTH, VOCABULARY)).astype(np.float32)
    logits = da.matmul(da.from_array(hidden, chunks=(16, -1)), da.from_array(columns, chunks=(-1, CHUNK)))

    step = 5  # the number of the token: a draw is a function of seed, request and step
    token, logprob = sample(logits, TEMPERATURE, seed=SEED, step=step, return_logprob=True)
    with dask.config.set(scheduler="threads"):
        token, logprob, whole = dask.compute(token, logprob, logits)

    part = fs.summarize(whole[:16, :CHUNK], TEMPERATURE)
    print(f"a chunk of logits: {whole[:16, :CHUNK].nbytes:,} bytes; its summary: {part.nbytes:,}")
    print("first tokens:", token[:5], "log-probabilities:", logprob[:5].round(2))

    u = fs.keyed_uniforms(SEED, np.arange(REQUESTS), step)
    expected = fs.sample(whole, TEMPERATURE, u=u)  # from whole rows
    same = bool((token == expected).all())
    print("The pieces drew what the whole rows draw." if same else "The pieces drew something else.")


if __name__ == "__main__":
    main()
