"""Threads that share what holds state."""

import threading

import numpy as np
import pytest

import fastsoftmax as fs


def in_threads(work, count=4):
    """What `work(i)` gives or raises in each of several threads, which begin together."""
    results, start = [None] * count, threading.Barrier(count)

    def run(i):
        start.wait()
        try:
            results[i] = work(i)
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


CASES = {
    "rng": {"rng": 1},
    "seed": {"seed": 1},
    "filters": {"rng": 1, "top_k": 2},
    "process": {},
    "mask": {"mask": [True] * 8},
    "schedule": {"temperature": lambda step: 1.0},
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_a_shared_sampler_counts_its_calls(given):
    """Without a GIL the count itself was freed under the feet of another thread; 10**9: Python keeps no such int."""
    sampler, x, calls = fs.Sampler(**given), np.zeros(8, np.float32), 300 if "mask" in given else 20_000
    sampler.step = 10**9

    def work(i):
        return [sampler(x) for _ in range(calls)] and sampler.step

    assert all(10**9 < step <= 10**9 + 4 * calls for step in in_threads(work))
    assert sampler.step == 10**9 + 4 * calls


def test_a_temperature_may_be_set_while_another_thread_draws():
    sampler, x = fs.Sampler(), np.zeros(8, np.float32)

    def work(i):
        for j in range(2000):
            if i == 0:
                sampler.temperature = 0.5 + j if j % 2 else lambda step, t=0.5 + j: t
            elif not 0 <= sampler(x) < 8:
                return "an index out of the row"

    assert in_threads(work) == [None] * 4


def test_a_shared_generator_gives_each_uniform_once():
    generator, same = np.random.default_rng(3), np.random.default_rng(3)
    samplers, x, calls = [fs.Sampler(rng=generator) for _ in range(4)], np.zeros(2**15), 200

    drawn = in_threads(lambda i: [samplers[i](x) for _ in range(calls)])
    assert sorted(sum(drawn, [])) == sorted(np.floor(same.random(4 * calls) * 2**15).astype(int).tolist())
    assert generator.bit_generator.state == same.bit_generator.state
