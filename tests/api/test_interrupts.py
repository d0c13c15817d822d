"""Signals, forks and exits within a call: an interrupt ends it at once, and nothing else is upset."""

import contextlib
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest
from processes import in_a_process, posix

import fastsoftmax as fs


@pytest.fixture(autouse=True)
def as_it_was():
    before = fs.get_num_threads()
    yield
    fs.set_num_threads(before)


ROW = np.random.default_rng(7).normal(size=50_000).astype(np.float32)
MANY = np.broadcast_to(ROW, (100_000, ROW.size))  # seconds of work in no memory
LONG = np.broadcast_to(np.float32(0.5), (1 << 32) - 2048)
SEGMENTS = fs.SegmentedRows.from_lengths(np.full(LONG.size // 2048, 2048))
SEGMENT = fs.SegmentedRows.from_lengths([5, LONG.size - 5])
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
    "rows of a flat array": lambda: SEGMENTS.logsumexp(LONG),
    "a long row of a flat array": lambda: SEGMENT.sample(LONG, rng=1),
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
    expected = fs.logsumexp(MANY[:20_000])
    with handled(signal.SIGPROF, raises), handled(signal.SIGALRM, calls):
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        # the last Enough may come when the handler has ended
        with contextlib.suppress(Enough):
            assert np.array_equal(fs.logsumexp(MANY[:20_000]), expected)
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
end, depth, deepest = time.monotonic() + 0.6, 0, 0
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
def test_forks_during_calls_of_other_threads():
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
def test_a_thread_pool_without_memory_raises_and_goes_on():
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
def test_scratch_of_the_thread_pool_is_kept_for_the_next_call():
    fs.set_num_threads(3)
    x = np.random.default_rng(0).normal(size=(400, 3000)).astype(np.float32)
    u = np.random.default_rng(1).random(400)
    first = fs.sample(x, u=u, top_p=0.9)
    assert all(np.array_equal(fs.sample(x, u=u, top_p=0.9), first) for _ in range(20))
