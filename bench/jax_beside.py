"""integrations/jax.py beside jax.nn and jax.random, in one process and in turn: the table of docs/jax.md.

    python bench/jax_beside.py --seconds 2

Each cell is the median time of a call, in µs, and how many times as long JAX's own takes.  `callback` is the same
kernel by jax.pure_callback, which the module does not use.
"""

import argparse
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import fastsoftmax as fs
import fastsoftmax.integrations.jax as fsj

SHAPES = [(64,), (4096, 6), (4096, 64), (32, 32_000), (128_256,), (1024, 4096)]
T = 0.7


def medians(functions, seconds):
    """The median time of each function, in µs; they take turns."""
    times = [[] for _ in functions]
    for function in functions:
        for _ in range(3):
            jax.block_until_ready(function())
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times[0]) < 5:
        for function, each in zip(functions, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(function())
            each.append(time.perf_counter() - start)
    return [1e6 * float(np.median(each)) for each in times]


def by_callback(x):
    of_numpy = lambda a: fs.softmax(np.asarray(a), T)  # noqa: E731
    return jax.pure_callback(of_numpy, jax.ShapeDtypeStruct(x.shape, x.dtype), x, vmap_method="expand_dims")


def cases(x):
    """Pairs of ours and JAX's own, and the softmax by a callback."""
    key = jax.random.key(0)
    ours, theirs = partial(fsj.softmax, temperature=T), lambda x: jax.nn.softmax(x / T)
    our_draw = lambda x, key: fsj.sample(x, T, key=key)  # noqa: E731
    their_draw = lambda x, key: jax.random.categorical(key, x / T)  # noqa: E731
    our_log, their_log = lambda x: fsj.log_softmax(x, T), lambda x: jax.nn.log_softmax(x / T)
    weights = jnp.cos(jnp.arange(x.size, dtype=jnp.float32)).reshape(x.shape)
    our_grad, their_grad = (jax.grad(lambda x, f=f: (f(x) * weights).sum()) for f in (our_log, their_log))
    compiled = {
        "softmax": (ours, theirs, x),
        "log_softmax": (our_log, their_log, x),
        "its gradient": (our_grad, their_grad, x),
        "sample": (our_draw, their_draw, x, key),
    }
    for name, (one, other, *arguments) in compiled.items():
        yield name, [partial(jax.jit(f), *arguments) for f in (one, other)]
    yield "softmax, no jit", [partial(ours, x), partial(theirs, x)]
    yield "sample, no jit", [partial(our_draw, x, key), partial(their_draw, x, key)]
    yield "callback", [partial(jax.jit(by_callback), x), partial(jax.jit(theirs), x)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=2, help="seconds for each cell (default: %(default)s)")
    seconds = parser.parse_args().seconds
    print(f"JAX {jax.__version__}, {fs.show_config('dicts')['isa']['chosen']}, float32, µs")
    header = None
    for shape in SHAPES:
        x = jnp.asarray(np.random.default_rng(0).normal(0, 3, shape), jnp.float32)
        row = {name: medians(functions, seconds) for name, functions in cases(x)}
        if header is None:
            header = "| shape | " + " | ".join(row) + " |\n|" + "---|" * (len(row) + 1)
            print(header)
        cells = [f"{ours:,.0f}: {theirs / ours:.2g}×" for ours, theirs in row.values()]
        print(f"| {' × '.join(f'{n:,}' for n in shape)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
