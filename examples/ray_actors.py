"""Draw tokens in a pool of actors of Ray Data, by the keys of the rows.

The output layer lies once in Ray's object store, and all actors of a machine read the same memory: such arrays are
read-only. A row is drawn with its own key, so the tokens depend neither on the size of the batches nor on which actor
has which batch.

    python -m pip install "ray[data]"
    python examples/ray_actors.py
"""

import numpy as np
import ray

import fastsoftmax as fs

REQUESTS, WIDTH, VOCABULARY = 400, 64, 32_000
TEMPERATURE, TOP_P, SEED, STEP = 0.8, 0.95, 7, 5


class Drawer:
    """One actor: what is costly to get is got once."""

    def __init__(self, columns, bias):
        self.columns, self.bias = ray.get(columns), ray.get(bias)

    def __call__(self, batch):
        # einsum and not matmul, whose sums may depend on the number of rows
        logits = np.einsum("rw,wv->rv", batch["hidden"], self.columns)
        u = fs.keyed_uniforms(SEED, batch["request"], STEP)
        token, logprob = fs.sample(logits, TEMPERATURE, top_p=TOP_P, bias=self.bias, u=u, return_logprob=True)
        fs.softmax(logits, TEMPERATURE, out=logits)  # in place, as this array is new; out=self.columns would be refused
        return {"request": batch["request"], "token": token, "logprob": logprob, "largest": logits.max(axis=-1)}


def draw(items, weights, batch_size):
    drawn = ray.data.from_items(items).map_batches(
        Drawer,
        fn_constructor_args=weights,
        batch_size=batch_size,
        batch_format="numpy",
        compute=ray.data.ActorPoolStrategy(size=2),
    )
    rows = sorted(drawn.take_all(), key=lambda row: row["request"])
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def main():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(REQUESTS, WIDTH)).astype(np.float32)
    items = [{"request": request, "hidden": state} for request, state in enumerate(hidden)]
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)  # one more than there are actors, to read
    columns = rng.normal(0, 0.4, size=(WIDTH, VOCABULARY)).astype(np.float32)
    weights = [ray.put(columns), ray.put(rng.normal(size=VOCABULARY).astype(np.float32))]
    print("The arrays of the object store can be written to:", ray.get(weights[0]).flags.writeable)
    large, small = draw(items, weights, 64), draw(items, weights, 7)
    ray.shutdown()
    print("first tokens:", large["token"][:5], "log-probabilities:", large["logprob"][:5].round(2))
    same = all(large[name].tobytes() == small[name].tobytes() for name in large)
    print("Batches of 64 and of 7 drew the same." if same else "The tokens depend on the batches.")


if __name__ == "__main__":
    main()
