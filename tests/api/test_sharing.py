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
    "mirostat": {"mirostat_tau": 2.0},
    "axis": {"axis": (0,)},
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_a_shared_sampler_counts_its_calls(given):
    """Without a GIL the count itself was freed under the feet of another thread; 10**9: Python keeps no such int."""
    sampler, x, calls = fs.Sampler(**given), np.zeros(8, np.float32), 300 if "axis" in given else 20_000
    sampler.step = 10**9

    def work(i):
        return [sampler(x) for _ in range(calls)] and sampler.step

    assert all(10**9 < step <= 10**9 + 4 * calls for step in in_threads(work))
    assert sampler.step == 10**9 + 4 * calls


@pytest.mark.parametrize("form", ["row", "list", "batch"])
@pytest.mark.parametrize("filters", [{}, {"top_k": 8}, {"mask": [True] * 8}, {"mirostat_tau": 9.0}], ids=str)
def test_threads_that_share_a_sampler_take_each_step_once(form, filters):
    """Steps are seen in what the seed draws and in what the schedule is asked."""
    asked, calls = [], 500
    x = {"row": np.zeros(8), "list": [0.0] * 8, "batch": np.zeros((1, 8))}[form]

    def schedule(step):
        asked.append(step)
        return 1.0

    sampler = fs.Sampler(schedule, seed=4, **filters)
    drawn = in_threads(lambda i: [int(np.ravel(sampler(x))[0]) for _ in range(calls)])
    assert sorted(asked) == list(range(4 * calls)) and sampler.step == 4 * calls
    expected = [int(8 * fs.keyed_uniforms(4, 0, step)) for step in range(4 * calls)]
    assert sorted(sum(drawn, [])) == sorted(expected)


def test_no_step_is_drawn_at_twice_where_some_calls_raise():
    good, bad, asked = np.zeros(8), np.full(8, np.nan), threading.local()

    def schedule(step):
        asked.step = step
        return 1.0

    sampler = fs.Sampler(schedule, seed=4)

    def work(i):
        drawn_at = []
        for j in range(2000):
            if i == 0 and j % 3 == 0:
                with pytest.raises(ValueError):
                    sampler(bad)
            else:
                sampler(good)
                drawn_at.append(asked.step)
        return drawn_at

    drawn_at = sum(in_threads(work), [])
    assert len(set(drawn_at)) == len(drawn_at) == 8000 - len(range(0, 2000, 3))
    assert max(drawn_at) < sampler.step <= 8000


def test_settings_may_change_while_other_threads_draw():
    sampler, x, n = fs.Sampler(rng=1), np.zeros(64), 64
    masks = [np.arange(n) % 2 == i for i in range(2)]

    def work(i):
        for j in range(2000):
            if i == 0:
                sampler.mask, sampler.bias = masks[j % 2], np.full(n, float(j))
                sampler.top_k, sampler.bias = 1 + j % 9, {j % n: 1.0}
            elif not 0 <= sampler(x, mask=masks[0] | masks[1]) < n:
                return "an index out of the row"

    assert in_threads(work) == [None] * 4


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
