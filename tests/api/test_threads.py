"""Threads within a call: the same bits for every number of them; forks, exits, signals and callers upset nothing."""

import ctypes
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from processes import in_a_process, posix

import fastsoftmax as fs
from fastsoftmax._processors import _processors_of_windows, usable_processors


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
    yield fs.sample_without_replacement(x, 3, t, u=rng.random((*x.shape[:-1], 3)))
    both = np.stack([x, x], axis=1)
    yield from fs.verify_draft(both, both[:, :1], tokens[:, :1], u=rng.random((rows, 2)))
    three, tree = np.stack([x, x[::-1], -x], axis=1), np.array([-1, -1])
    yield from fs.verify_tree(three, three[::-1], tokens[:, :2], tree, u=rng.random((rows, 3)))
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


SHAPES = [(3000, 50), (40, 9000), (1, 700_000), (3, 150_000)]


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
    for wrong in (1.0, "2", "Auto", None, True, np.array([2])):
        with pytest.raises(TypeError, match='n must be an int or "auto"'):
            fs.set_num_threads(wrong)
    fs.set_num_threads(np.int64(4))
    assert fs.show_config("dicts")["threads"] == fs.get_num_threads()


# --- the number of threads unless it is set ---


@pytest.fixture
def variables(monkeypatch):
    """A function that sets the variables that say the number of threads."""

    def set_variables(ours, openmp):
        for name, value in (("FASTSOFTMAX_NUM_THREADS", ours), ("OMP_NUM_THREADS", openmp)):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)

    return set_variables


PROCESSORS = usable_processors()
AUTO = [
    (" 3 ", "5", 3),
    ("auto", "5", 5),
    (" AUTO", None, PROCESSORS),
    ("", "", PROCESSORS),
    (None, " 4,2", 4),
    (None, "1", 1),
    (None, "100000", 1024),
    *((None, wrong, PROCESSORS) for wrong in ("0", "-1", "many", "²", "1.5", ",2", "9" * 5000)),
]


@posix
@pytest.mark.parametrize(("ours", "openmp", "number"), AUTO)
def test_auto_is_what_the_environment_says_else_the_processors(ours, openmp, number, variables):
    variables(ours, openmp)
    fs.set_num_threads(7)
    assert fs.set_num_threads("auto") == 7
    assert fs.get_num_threads() == number
    source = (
        "FASTSOFTMAX_NUM_THREADS" if number == 3 else "OMP_NUM_THREADS" if number in (1, 4, 5, 1024) else "processors"
    )
    assert number in (1, PROCESSORS) or source in fs.show_config("dicts")["threads_from"]


@posix
def test_our_own_variable_must_make_sense(variables):
    wanted = 'must be a whole number from 1 to 1024, or "auto"'
    for wrong in ("0", "many", "9999", "²", "4,2"):
        variables(wrong, "2")
        fs.set_num_threads(5)
        with pytest.raises(ValueError, match=f"FASTSOFTMAX_NUM_THREADS={wrong} {wanted}"):
            fs.set_num_threads("auto")
        assert fs.get_num_threads() == 5
    failed = in_a_process("import fastsoftmax", FASTSOFTMAX_NUM_THREADS="many")
    assert failed.stderr.splitlines()[-1] == f"ImportError: FASTSOFTMAX_NUM_THREADS=many {wanted}"


@posix
def test_auto_is_the_default_and_starts_no_thread_before_a_large_call():
    program = """
import os, sys
import numpy as np, fastsoftmax as fs
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(fs.get_num_threads())
fs.softmax(np.zeros((10, 10)))
print(len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 1)
fs.set_num_threads("auto")
print(fs.get_num_threads() if hasattr(os, "sched_setaffinity") else 1)
"""
    # the libraries of NumPy start threads of their own
    none = {"FASTSOFTMAX_NUM_THREADS": "", "OMP_NUM_THREADS": "", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    assert in_a_process(program, **none).stdout == f"{PROCESSORS}\n1\n1\n"
    assert in_a_process(program, **none | {"OMP_NUM_THREADS": "3"}).stdout == "3\n1\n3\n"


GROUPS = {
    "version 2, of the group": ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 2),
    "version 2, of a group above": ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "100000 100000"}, 1),
    "version 2, in a container": ("0::/", {"cpu.max": "300000 100000"}, 3),
    "version 2 beside version 1": ("0::/a\n4:memory:/x", {"unified/a/cpu.max": "1000 100000"}, 1),
    "version 1": ("3:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "250000", "cpu/a/cpu.cfs_period_us": "100000"}, 3),
    "version 1, the path of the host": (
        "3:cpuacct,cpu:/docker/1f",
        {"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"},
        2,
    ),
    "version 1 without a limit": (
        "3:cpu:/",
        {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
        64,
    ),
    "a controller that is not cpu": ("3:cpuset:/", {"cpu/cpu.cfs_quota_us": "1", "cpu/cpu.cfs_period_us": "1"}, 64),
    "no limit": ("0::/", {"cpu.max": "max 100000"}, 64),
    "nonsense": ("0::/\nx\n::", {"cpu.max": "many"}, 64),
    "none": ("", {}, 64),
}


@pytest.mark.parametrize(
    ("mine", "every", "number"), [(0b1011, 0xFF, 3), (0xFF, 0xFF, 80), (0b1, 0b11, 1), (None, None, 80)]
)
def test_the_affinity_of_windows_limits_the_processors(mine, every, number, monkeypatch):
    """With functions in the place of those of Windows; 80 processors are in two groups."""

    class Kernel:
        GetCurrentProcess = staticmethod(lambda: -1)

        @staticmethod
        def GetProcessAffinityMask(process, to_mine, to_every):
            if mine is None:
                return 0
            to_mine._obj.value, to_every._obj.value = mine, every
            return 1

    monkeypatch.setattr(ctypes, "WinDLL", lambda name: Kernel() if name == "kernel32" else None, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 80)
    monkeypatch.setattr(os, "process_cpu_count", lambda: 80, raising=False)
    assert _processors_of_windows() == number


@pytest.mark.parametrize(("groups", "files", "number"), GROUPS.values(), ids=GROUPS)
def test_control_groups_limit_the_processors(groups, files, number, tmp_path, monkeypatch):
    monkeypatch.setattr("fastsoftmax._processors._scheduled_processors", lambda: 64)
    for name, text in [
        ("proc/self/cgroup", groups),
        *((f"sys/fs/cgroup/{name}", text) for name, text in files.items()),
    ]:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert usable_processors(str(tmp_path)) == number


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
