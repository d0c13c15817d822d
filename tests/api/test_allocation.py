"""A loop of draws asks the C library for no memory after its first steps."""

import ctypes
import gc
import sys

import numpy as np
import pytest

import fastsoftmax as fs


class _Mallinfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def _bytes_in_use():
    """What malloc has given out, large blocks included."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        pytest.skip("no mallinfo2: glibc 2.33 or later has it")
    mallinfo.restype = _Mallinfo
    info = mallinfo()
    return info.uordblks + info.hblkhd


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc")
@pytest.mark.parametrize("filters", [{}, {"top_k": 50}, {"top_p": 0.9}, {"typical_p": 0.9}, {"min_p": 0.05}], ids=str)
@pytest.mark.parametrize("n", [64, 200_000])
def test_a_loop_keeps_the_memory_it_has(filters, n):
    logits = np.random.default_rng(1).standard_normal((2, n)).astype(np.float32)
    sampler = fs.Sampler(0.8, rng=1, **filters)
    for _ in range(20):
        sampler(logits[0]), sampler(logits[1])
    gc.collect()
    gc.disable()  # what other libraries do at a collection is not ours
    try:
        before = _bytes_in_use()
        for _ in range(100):
            sampler(logits[0]), sampler(logits[1])
        grown = _bytes_in_use() - before
    finally:
        gc.enable()
    # Python's own objects come and go; a block a draw would be 200 of them
    assert grown < 2000


def test_the_memory_goes_with_its_thread():
    """A thousand threads with a row of 300,000 entries each would keep 15 GB."""
    import resource
    import threading

    logits = np.zeros(300_000, np.float32)
    draw = fs.Sampler(1.0, rng=1, top_p=0.5)

    def run():
        thread = threading.Thread(target=draw, args=(logits,))
        thread.start()
        thread.join()

    for _ in range(20):
        run()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        run()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB
