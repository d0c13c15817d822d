"""Worker processes, and threads within them, in turn: the table of docs/threads.md.

    python bench/processes_beside.py --seconds 0.5 --rounds 15

Every number of workers with every number of threads computes for some time, then the next; a round is all of them.
Calls a second, of all workers together: the median of the rounds, and in brackets the median ratio to one worker with
one thread in the same round.  After the stroke the same ratio of calls for each second of processor time, which shows
what sharing costs on a machine where other programs take the processors too.
"""

import argparse
import itertools
import multiprocessing
import time

import numpy as np

import fastsoftmax as fs

CASES = {
    "softmax, 64 × 32,000": (64, 32_000, fs.softmax, {}),
    "sample, 16 × 128,256, top_p": (16, 128_256, fs.sample, {"top_p": 0.95, "rng": 0}),
    "softmax, 16 × 1,000": (16, 1000, fs.softmax, {}),
}


def work(connection, threads):
    """Calls of the case that is asked for, for as long as is asked for: how many a second, how many, processor time."""
    fs.set_num_threads(threads)
    rows = {name: np.random.default_rng(0).normal(0, 3, case[:2]).astype(np.float32) for name, case in CASES.items()}
    connection.send("ready")
    for name, seconds in iter(connection.recv, None):
        *_, function, given = CASES[name]
        count, x = 0, rows[name]
        start, used = time.perf_counter(), time.process_time()
        while (took := time.perf_counter() - start) < seconds:
            function(x, 0.8, **given)
            count += 1
        connection.send((count / took, count, time.process_time() - used))


def rates_of(connections, name, seconds):
    """Calls for each second, and for each second of processor time."""
    for connection in connections:
        connection.send((name, seconds))
    rate, count, used = np.sum([connection.recv() for connection in connections], axis=0)
    return rate, count / used


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=0.5, help="for each cell and round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="(default: %(default)s)")
    parser.add_argument("--most", type=int, default=2, help="workers, and threads in each (default: %(default)s)")
    parser.add_argument("--start", default="spawn", help="how workers start (default: %(default)s)")
    arguments = parser.parse_args()
    context = multiprocessing.get_context(arguments.start)
    numbers = sorted({1, arguments.most})
    groups = {}
    for workers, threads in itertools.product(numbers, numbers):
        pipes = [context.Pipe() for _ in range(workers)]
        for _, end in pipes:
            context.Process(target=work, args=(end, threads), daemon=True).start()
        groups[workers, threads] = [connection for connection, _ in pipes]
    for connection in itertools.chain(*groups.values()):
        connection.recv()
    print(f"{fs.show_config('dicts')['isa']['chosen']}, calls a second; workers × threads in each")
    print(
        "| |", " | ".join(f"{workers} × {threads}" for workers, threads in groups), "|\n|" + "---|" * (len(groups) + 1)
    )
    for name in CASES:
        rounds = np.array(
            [[rates_of(each, name, arguments.seconds) for each in groups.values()] for _ in range(arguments.rounds + 1)]
        )[1:]  # the first round warms up
        medians, of_one = np.median(rounds, axis=0), np.median(rounds / rounds[:, :1], axis=0)
        cells = [f"{m[0]:,.0f} ({of[0]:.2f}) / {of[1]:.2f}" for m, of in zip(medians, of_one, strict=True)]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)
    for connection in itertools.chain(*groups.values()):
        connection.send(None)


if __name__ == "__main__":
    main()
