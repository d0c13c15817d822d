"""Threads within a call: the same bits for every number of them; forks, exits, signals and callers upset nothing."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import fastsoftmax as fs

posix = pytest.mark.skipif(os.name != "posix", reason="threads, signals and forks of POSIX")


@pytest.fixture(autouse=True)
def as_it_was():
    before = fs.get_num_threads()
    yield
    fs.set_num_threads(before)


def results(x, rng):
    """What the functions give for rows that are worth sharing."""
    rows, n = x.shape
    u, t = rng.random(rows), rng.uniform(0.5, 1.5, rows)
    tokens = rng.integers(0, n, (rows, 40))
    yield from (fs.softmax(x, 0.7), fs.softmax(x, t), fs.log_softmax(x, t), fs.logsumexp(x, t))
    yield from (fs.softmax(x, 0), fs.log_softmax(x, np.inf), fs.softmax(x.T, axis=0))
    yield from (fs.sample(x, 0.7, u=u), fs.sample(x, 0.0, u=u), fs.sample(x, np.inf, u=u))
    yield from fs.sample(x, t, size=7, u=rng.random((rows, 7)), return_logprob=True)
    weights = np.where(np.isfinite(x), abs(x), 0)
    yield fs.sample_probs(weights, u=u)
    yield fs.sample_probs(weights, 0.5, u=u)
    yield fs.sample(x, t, u=u, top_k=50, top_p=0.9)
    yield fs.sample(x, t, u=u, mask=np.arange(n) % 3 > 0, bias={1: 2.0}, min_p=0.01)
    yield fs.truncate(x, t, top_p=0.9)
    yield fs.penalize(x, tokens, repetition=1.2, dry_multiplier=0.8)
    yield from fs.top_logprobs(x, 5, t)[:2]
    yield fs.sample_without_replacement(x, 3, t, u=rng.random(x.shape))
    both = np.stack([x, x], axis=1)
    yield from fs.verify_draft(both, both[:, :1], tokens[:, :1], u=rng.random((rows, 2)))
    yield fs.keyed_uniforms(1, np.arange(x.size), 3)


def digest(threads, shape, dtype, special):
    rng = np.random.default_rng(3)
    x = rng.normal(0, 3, shape).astype(dtype)
    if special:
        x[:, ::7] = -np.inf
        x[-1, shape[1] // 2 :: 5] = np.inf
    fs.set_num_threads(threads)
    state = hashlib.sha256()
    for result in results(x, rng):
        state.update(np.asarray(result).tobytes())
    return state.hexdigest()


SHAPES = [(3000, 50), (40, 9000), (1, 700_000), (3, 300_000)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_are_the_same_bits_for_every_number_of_threads(shape, dtype):
    alone = digest(1, shape, dtype, special=False)
    assert {digest(threads, shape, dtype, special=False) for threads in (2, 3, 8)} == {alone}


@pytest.mark.slow
@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_are_the_same_bits_for_one_to_eight_threads(shape, dtype, special):
    assert len({digest(threads, shape, dtype, special) for threads in range(1, 9)}) == 1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_first_bad_row_is_named_whoever_meets_it(threads):
    x = np.random.default_rng(0).normal(size=(4000, 100))
    x[[700, 701, 2500], 3] = np.nan
    x[1200] = -np.inf
    u = np.random.default_rng(1).random(4000)
    fs.set_num_threads(threads)
    for filters in ({}, {"top_k": 5}, {"mask": np.ones(100, bool)}):
        with pytest.raises(ValueError, match="row 700 has nan at entry 3"):
            fs.sample(x, u=u, **filters)
        drawn = fs.sample(x, u=u, on_invalid="flag", **filters)
        assert np.flatnonzero(drawn < 0).tolist() == [700, 701, 1200, 2500]
    with pytest.raises(ValueError, match="row 700"):
        fs.top_logprobs(x, 3)


def test_the_number_of_threads_is_checked_and_returned():
    fs.set_num_threads(3)
    assert fs.set_num_threads(2) == 3
    assert fs.get_num_threads() == 2
    for wrong in (0, -1, 1025, 10**30):
        with pytest.raises(ValueError, match="n must be from 1 to 1024"):
            fs.set_num_threads(wrong)
    for wrong in (1.0, "2", None, True, np.array([2])):
        with pytest.raises(TypeError, match="n must be an int"):
            fs.set_num_threads(wrong)
    fs.set_num_threads(np.int64(4))
    assert fs.show_config("dicts")["threads"] == fs.get_num_threads()


def in_a_process(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@posix
def test_the_environment_sets_the_number_of_threads():
    shown = in_a_process("import fastsoftmax; print(fastsoftmax.get_num_threads())", FASTSOFTMAX_NUM_THREADS=" 3 ")
    assert shown.stdout == "3\n"
    for wrong in ("0", "many", "-2", "1.5", "9999", "²"):
        failed = in_a_process("import fastsoftmax", FASTSOFTMAX_NUM_THREADS=wrong)
        assert failed.stderr.splitlines()[-1] == (
            f"ImportError: FASTSOFTMAX_NUM_THREADS={wrong} must be a whole number from 1 to 1024"
        )


# --- threads of the caller's own ---


def test_callers_with_threads_of_their_own_get_their_results():
    rng = np.random.default_rng(5)
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in [(500, 800), (1, 400_000), (60_000, 6)] * 4]
    u = [rng.random(len(x)) for x in inputs]
    fs.set_num_threads(1)
    expected = [(fs.softmax(x, 0.7), fs.sample(x, 0.7, u=v, min_p=0.01)) for x, v in zip(inputs, u, strict=True)]
    fs.set_num_threads(3)

    def call(i):
        return fs.softmax(inputs[i], 0.7), fs.sample(inputs[i], 0.7, u=u[i], min_p=0.01)

    with ThreadPoolExecutor(6) as pool:
        for _ in range(3):
            for got, right in zip(pool.map(call, range(len(inputs))), expected, strict=True):
                assert np.array_equal(got[0], right[0]) and np.array_equal(got[1], right[1])


def test_a_generator_shared_by_threads_gives_each_double_once():
    shared, alone = np.random.default_rng(1), np.random.default_rng(1)
    sampler_free, x = np.linspace(0, 1, 1 << 10), np.zeros(1 << 10)

    def draw(_):
        return fs.sample(x, size=50, rng=shared).tolist() + [fs.Sampler(rng=shared)(sampler_free) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        drawn = sum(pool.map(draw, range(40)), [])
    assert len(drawn) == 40 * 100
    alone.random(40 * 100)
    assert shared.random() == alone.random()


# --- signals ---

ROW = np.random.default_rng(7).normal(size=50_000).astype(np.float32)
MANY = np.broadcast_to(ROW, (100_000, ROW.size))  # seconds of work in no memory
LONG = np.broadcast_to(np.float32(0.5), (1 << 32) - 2048)
SUMMARY = fs.summarize(ROW)
MANY_U = np.random.default_rng(8).random(20_000_000)

CALLS = {
    "logsumexp of many rows": lambda: fs.logsumexp(MANY),
    "draws from many rows": lambda: fs.sample(MANY, rng=1),
    "filtered draws": lambda: fs.sample(MANY, rng=1, top_p=0.9),
    "a long row": lambda: fs.logsumexp(LONG),
    "a draw from a long row": lambda: fs.sample(LONG, rng=1),
    "a row prepared": lambda: fs.Categorical(np.zeros(1 << 26, np.float32)),
    "a table of a long row": lambda: fs.sample(LONG[: 1 << 26], size=1 << 21, u=0.5),
    "draws from shards": lambda: fs.sample_from_summary(ROW, SUMMARY, offset=0, u=MANY_U, size=MANY_U.size),
    "where draws fall": lambda: fs.locate_draws(SUMMARY, u=MANY_U, size=MANY_U.size),
    "a shard at temperature 0": lambda: fs.summarize(LONG[: 1 << 31], 0.0),
    "a long row at temperature 0": lambda: fs.sample(LONG, 0.0, rng=1),
    "a long row of probabilities": lambda: fs.sample_probs(LONG, rng=1),
}


@contextlib.contextmanager
def handled(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(number, before)


def latency_of_ctrl_c(call):
    """Seconds from the signal to the exception."""
    sent = []

    def send():
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.15, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
    finally:
        timer.join()
    return time.perf_counter() - sent[0]


@posix
@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals reach the main thread")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_ctrl_c_ends_a_call_of_seconds_within_a_tenth(call, threads):
    fs.set_num_threads(threads)
    with handled(signal.SIGINT, signal.default_int_handler):  # which a shell may have told to be ignored
        # the machine may be busy with something else for a moment: the first of some that is quick
        assert any(latency_of_ctrl_c(call) < 0.1 for _ in range(6))
    assert fs.sample([0.0, 1.0], u=0.9) == 1


@posix
def test_a_handler_may_call_and_fork_in_the_middle_of_a_call():
    x = np.broadcast_to(ROW, (12_000, ROW.size))
    u = np.random.default_rng(3).random(len(x))
    fs.set_num_threads(1)
    expected, within = fs.sample(x, u=u), fs.softmax(x[:40])
    fs.set_num_threads(3)
    children, right = [], []

    def handler(*_):
        right.append(np.array_equal(fs.softmax(x[:40]), within))
        child = os.fork()
        children.append(child)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    try:
        drawn = fs.sample(x, u=u)
    finally:
        ours = children[:1] == [0] or not all(children)
        if ours:  # the child has finished the call of its parent
            os._exit(0 if np.array_equal(drawn, expected) else 1)
        signal.signal(signal.SIGALRM, before)
    assert np.array_equal(drawn, expected)
    assert right and all(right)
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@posix
def test_a_filtered_call_in_a_handler_leaves_the_scratch_of_the_call_it_interrupts():
    row = np.random.default_rng(0).normal(size=1 << 22).astype(np.float32) * np.float32(0.1)
    larger = np.zeros(5_000_000)
    expected, called = fs.sample(row, top_p=0.99, size=3, u=[0.1, 0.5, 0.9]), []
    with handled(signal.SIGALRM, lambda *_: called.append(fs.sample(larger, top_k=3, u=0.5))):
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.03)
        for _ in range(8):
            assert np.array_equal(fs.sample(row, top_p=0.99, size=3, u=[0.1, 0.5, 0.9]), expected)
    assert called and set(called) == {1}


class Enough(Exception):
    pass


@posix
def test_a_handler_that_raises_in_a_handlers_call_ends_that_call_alone():
    prepared = fs.Categorical(np.random.default_rng(0).normal(size=1 << 20))
    right, seen = prepared.log_prob([0, 1]), []

    def raises(*_):
        raise Enough

    def calls(*_):
        try:
            signal.setitimer(signal.ITIMER_PROF, 0.015, 0.017)
            for _ in range(60):
                try:
                    seen.append(bool((prepared.log_prob([0, 1]) == right).all()))
                except Enough:
                    pass
        except Enough:
            pass
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    fs.set_num_threads(2)
    expected = fs.logsumexp(MANY[:3000])
    with handled(signal.SIGPROF, raises), handled(signal.SIGALRM, calls):
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        # the last Enough may come when the handler has ended
        with contextlib.suppress(Enough):
            assert np.array_equal(fs.logsumexp(MANY[:3000]), expected)
    assert seen and all(seen)


@posix
def test_a_fork_in_a_handler_of_a_handlers_call():
    done = in_a_process(
        """
import os, signal, warnings
import numpy as np, fastsoftmax as fs
warnings.simplefilter("ignore")
row = np.random.default_rng(7).normal(size=50_000).astype(np.float32)
many, u = np.broadcast_to(row, (20_000, row.size)), np.random.default_rng(1).random(20_000)
expected = fs.sample(many, u=u)
fs.set_num_threads(3)
children = []
def outer(*_):
    signal.setitimer(signal.ITIMER_PROF, 0.03)
    fs.logsumexp(many[:6000])
def inner(*_):
    children.append(os.fork())
signal.signal(signal.SIGALRM, outer), signal.signal(signal.SIGPROF, inner)
signal.setitimer(signal.ITIMER_REAL, 0.05)
right = np.array_equal(fs.sample(many, u=u), expected)
if 0 in children:
    os._exit(0 if right else 1)
print(right, [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""
    )
    assert done.stdout == "True [0]\n", done.stderr


@posix
def test_handlers_within_handlers_end_somewhere():
    done = in_a_process(
        """
import signal, time
import numpy as np, fastsoftmax as fs
many = np.broadcast_to(np.float32(0.5), (4000, 50_000))
end, depth, deepest = time.monotonic() + 3, 0, 0
def handler(*_):
    global depth, deepest
    depth += 1
    deepest = max(deepest, depth)
    if time.monotonic() < end:
        fs.logsumexp(many)
    depth -= 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
while time.monotonic() < end:
    fs.logsumexp(many)
signal.setitimer(signal.ITIMER_REAL, 0)
print(2 <= deepest < 100)
"""
    )
    assert done.stdout == "True\n", done.stderr


@posix
def test_ctrl_c_reaches_the_main_thread_whoever_imports_first():
    done = in_a_process(
        """
import os, signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have told to be ignored
thread = threading.Thread(target=lambda: __import__("fastsoftmax"))
thread.start(), thread.join()
import numpy as np, fastsoftmax as fs
many = np.broadcast_to(np.float32(0.5), (400_000, 50_000))
threading.Timer(0.15, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
started = time.monotonic()
try:
    fs.logsumexp(many)
except KeyboardInterrupt:
    print(time.monotonic() - started < 1)
"""
    )
    assert done.stdout == "True\n", done.stderr


# --- forks and the end ---


@posix
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_computes_with_threads_of_its_own():
    x = np.random.default_rng(4).normal(size=(2000, 500))
    fs.set_num_threads(3)
    expected = fs.softmax(x)
    child = os.fork()
    if not child:
        ok = False
        try:
            ok = fs.get_num_threads() == 3 and all(np.array_equal(fs.softmax(x), expected) for _ in range(20))
        finally:
            os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(fs.softmax(x), expected)


@posix
def test_forks_beside_calls_of_other_threads():
    done = in_a_process(
        """
import os, threading, warnings
import numpy as np, fastsoftmax as fs
warnings.simplefilter("ignore")
x = np.random.default_rng(0).normal(size=(3000, 100)).astype(np.float32)
expected = fs.softmax(x)
fs.set_num_threads(4)
end = threading.Event()
wrong = []
def work():
    while not end.is_set():
        if not np.array_equal(fs.softmax(x), expected):
            wrong.append(1)
threads = [threading.Thread(target=work) for _ in range(3)]
[thread.start() for thread in threads]
for _ in range(40):
    child = os.fork()
    if not child:
        os._exit(0 if np.array_equal(fs.softmax(x), expected) else 1)
    wrong += [1] * os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
end.set()
[thread.join() for thread in threads]
print(len(wrong))
"""
    )
    assert done.stdout == "0\n", done.stderr


@posix
@pytest.mark.parametrize("end", ["pass", "raise SystemExit(0)", "os._exit(0)"])
def test_the_interpreter_ends_while_threads_compute(end):
    started = time.perf_counter()
    done = in_a_process(
        f"""
import os, threading, time
import numpy as np, fastsoftmax as fs
fs.set_num_threads(4)
x = np.random.default_rng(0).normal(size=(20000, 100))
def work():
    while True:
        fs.softmax(x, 0.5)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
{end}
"""
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert time.perf_counter() - started < 60


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space as Linux has it")
def test_a_team_without_memory_raises_and_goes_on():
    done = in_a_process(
        """
import resource
import numpy as np, fastsoftmax as fs
fs.set_num_threads(4)
x = np.random.default_rng(0).normal(size=(50, 200_000)).astype("f4")
u = np.random.default_rng(1).random(50)
expected = fs.sample(x, u=u)
fs.summarize(x, 0.7)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used, -1))
for _ in range(10):
    for call in (lambda: fs.summarize(x, 2.0**95), lambda: fs.sample(x, u=u, top_p=0.9), lambda: fs.softmax(x)):
        try:
            call()
        except MemoryError:
            pass
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print((fs.sample(x, u=u) == expected).all())
"""
    )
    assert done.stdout == "True\n", done.stderr


@posix
def test_scratch_of_the_team_is_kept_for_the_next_call():
    fs.set_num_threads(3)
    x = np.random.default_rng(0).normal(size=(400, 3000)).astype(np.float32)
    u = np.random.default_rng(1).random(400)
    first = fs.sample(x, u=u, top_p=0.9)
    assert all(np.array_equal(fs.sample(x, u=u, top_p=0.9), first) for _ in range(20))
