"""Worker processes, however they start: the number of threads they have, their threads, and what they draw."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
from processes import digest_of_rows, in_a_process, posix

import fastsoftmax as fs

THERE = multiprocessing.get_all_start_methods()
each_start = pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
# Python 3.12 and later warn of a fork while the threads of our pool are there
may_fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(autouse=True)
def as_it_was():
    before = fs.get_num_threads()
    yield
    fs.set_num_threads(before)


def workers(start, number, **given):
    if start not in THERE:
        pytest.skip(f"no {start} on this platform")
    return ProcessPoolExecutor(number, mp_context=multiprocessing.get_context(start), **given)


SETTING = """
import multiprocessing, warnings
import fastsoftmax as fs
warnings.simplefilter("ignore")
fs.set_num_threads(3)
with multiprocessing.get_context({start!r}).Pool(1) as pool:
    print(pool.apply(fs.get_num_threads), pool.apply(fs.show_config, ("dicts",))["threads_from"])
"""


@posix
@each_start
@pytest.mark.parametrize("variable", ["FASTSOFTMAX_NUM_THREADS", "OMP_NUM_THREADS"])
def test_a_worker_has_the_setting_it_is_forked_with_else_that_of_the_environment(start, variable):
    environment = {"FASTSOFTMAX_NUM_THREADS": "", variable: "2"}
    done = in_a_process(SETTING.format(start=start), **environment)
    assert done.stdout == ("3 set_num_threads\n" if start == "fork" else f"2 {variable}\n"), done.stderr


@each_start
@may_fork
def test_an_initializer_sets_the_threads_of_every_worker(start):
    with workers(start, 2, initializer=fs.set_num_threads, initargs=(3,)) as pool:
        assert {pool.submit(fs.get_num_threads).result(60) for _ in range(4)} == {3}


@each_start
@may_fork
def test_workers_compute_with_threads_of_their_own_beside_those_of_the_parent(start):
    fs.set_num_threads(2)
    expected = digest_of_rows(1)  # the threads of the parent have started when its workers do
    with workers(start, 2, initializer=fs.set_num_threads, initargs=(3,)) as pool:
        given = [pool.submit(digest_of_rows, 5) for _ in range(4)]
        assert digest_of_rows(5) == expected
        assert {each.result(60) for each in given} == {expected}


@each_start
@may_fork
def test_a_worker_draws_what_the_parent_draws(start):
    sampler = fs.Sampler(0.7, top_k=20, seed=7, keys=[40, 41])
    x = np.random.default_rng(0).normal(size=(2, 100))
    with workers(start, 1) as pool:
        drawn = pool.submit(sampler, x).result(60)
    np.testing.assert_array_equal(drawn, sampler(x))
