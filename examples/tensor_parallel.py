"""Draw tokens where the output layer is divided among processes, as servers divide it (tensor parallelism).

Each process computes the logits of its part of the vocabulary, and draws the tokens of all requests without the logits
of the others. There are three ways, all with the tokens that one process would draw from whole rows:

- top_k and top_p: the best 50 of each part travel, and every process draws from these;
- top_p alone: the best 512 of each part, and then the mass of each part. Should top_p keep more than these, every
  process gets the same ValueError, and all could send more;
- no filter: a summary of each part, and the process that has the drawn entry answers.

    python examples/tensor_parallel.py            # 4 processes with torch.distributed (gloo), on this machine
    python examples/tensor_parallel.py --table    # bytes and microseconds a step, beside gathering the logits
    mpiexec -n 4 python examples/tensor_parallel.py --mpi [--table]    # the same with mpi4py
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import fastsoftmax as fs

VOCABULARY, WIDTH = 128_256, 32
TEMPERATURE, SEED, STEPS = 0.8, 7, 4
FILTERS = {"top_k": 50, "top_p": 0.95}
NUCLEUS, TOP_P = 512, 0.5  # how many candidates top_p alone gets, and its share of the probability


class Gloo:
    """Processes that torch.distributed connects."""

    def __init__(self, rank: int, size: int, meeting: str) -> None:
        import torch
        import torch.distributed as dist

        torch.set_num_threads(1)
        self.torch, self.dist, self.rank, self.size = torch, dist, rank, size
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)

    def gather(self, own: np.ndarray) -> np.ndarray:
        """The bytes of every process, which all have the same number of them."""
        every = self.torch.empty((self.size, own.size), dtype=self.torch.uint8)
        self.dist.all_gather(list(every), self.torch.from_numpy(own))
        return every.numpy()

    def total(self, own: np.ndarray) -> np.ndarray:
        self.dist.all_reduce(self.torch.from_numpy(own))
        return own

    def largest(self, own: np.ndarray) -> np.ndarray:
        self.dist.all_reduce(self.torch.from_numpy(own), self.dist.ReduceOp.MAX)
        return own

    def close(self) -> None:
        self.dist.destroy_process_group()


class Mpi:
    """Processes that mpiexec has started."""

    def __init__(self) -> None:
        from mpi4py import MPI

        self.mpi, self.comm = MPI, MPI.COMM_WORLD
        self.rank, self.size = self.comm.rank, self.comm.size

    def gather(self, own: np.ndarray) -> np.ndarray:
        every = np.empty((self.size, own.size), np.uint8)
        self.comm.Allgather(own, every)
        return every

    def total(self, own: np.ndarray) -> np.ndarray:
        self.comm.Allreduce(self.mpi.IN_PLACE, own)
        return own

    def largest(self, own: np.ndarray) -> np.ndarray:
        self.comm.Allreduce(self.mpi.IN_PLACE, own, self.mpi.MAX)
        return own

    def close(self) -> None:
        self.comm.Barrier()


def octets(buffer: bytes) -> np.ndarray:
    return np.frombuffer(bytearray(buffer), np.uint8)


# The ways to the next tokens. Each gets the logits of this process and returns the tokens, and the bytes it has sent.


def by_candidates(group: Gloo | Mpi, logits: np.ndarray, offset: int, u: np.ndarray) -> tuple[np.ndarray, int]:
    own = octets(fs.candidates(logits, FILTERS["top_k"], offset=offset).to_bytes())
    every = group.gather(own)
    return fs.sample_from_candidates(every, TEMPERATURE, u=u, **FILTERS), own.nbytes


def by_nucleus(group: Gloo | Mpi, logits: np.ndarray, offset: int, u: np.ndarray) -> tuple[np.ndarray, int]:
    own = octets(fs.candidates(logits, NUCLEUS, offset=offset).to_bytes())
    every = group.gather(own)
    mass = group.total(fs.mass_of_shard(logits, every, TEMPERATURE))
    tokens = fs.sample_from_candidates(every, TEMPERATURE, u=u, top_p=TOP_P, mass=mass)
    return tokens, own.nbytes + mass.nbytes


def by_summaries(group: Gloo | Mpi, logits: np.ndarray, offset: int, u: np.ndarray) -> tuple[np.ndarray, int]:
    room = fs.summary_nbytes(logits.shape[:-1], logits.shape[-1], logits.dtype)
    own = octets(fs.summarize(logits, TEMPERATURE, offset).to_bytes(room))
    summaries = list(group.gather(own))
    tokens = fs.sample_from_summary(logits, summaries, offset=offset, u=u)  # -1 where another process has the entry
    return group.largest(tokens), own.nbytes + tokens.nbytes


def gathered(group: Gloo | Mpi, logits: np.ndarray) -> np.ndarray:
    """The logits of all processes as whole rows."""
    parts = group.gather(logits.reshape(-1).view(np.uint8)).view(np.float32)
    return np.concatenate([part.reshape(logits.shape) for part in parts], -1)


def by_gathering(group: Gloo | Mpi, logits: np.ndarray, offset: int, u: np.ndarray) -> tuple[np.ndarray, int]:
    return fs.sample(gathered(group, logits), TEMPERATURE, u=u, **FILTERS), logits.nbytes


def from_whole_rows(rows: np.ndarray, way: object, u: np.ndarray) -> np.ndarray:
    filters = {by_candidates: FILTERS, by_gathering: FILTERS, by_nucleus: {"top_p": TOP_P}, by_summaries: {}}[way]
    return fs.sample(rows, TEMPERATURE, u=u, **filters)


WAYS = {
    "top_k and top_p from candidates": by_candidates,
    "top_p from candidates and masses": by_nucleus,
    "no filter, from summaries": by_summaries,
    "top_k and top_p, logits gathered": by_gathering,
}


class Model:
    """The hidden states of a batch of requests, and the columns of the output layer that this process has."""

    def __init__(self, rank: int, size: int) -> None:
        rng = np.random.default_rng(0)
        self.embedding = rng.standard_normal((VOCABULARY, WIDTH), np.float32)
        self.offset = VOCABULARY * rank // size
        past = VOCABULARY * (rank + 1) // size
        self.columns = (np.float32(0.6) * self.embedding[self.offset : past]).T.copy()
        self.hidden = np.zeros((0, WIDTH), np.float32)

    def begin(self, batch: int) -> None:
        """Requests of one token each."""
        self.hidden = self.embedding[:batch].copy()

    def read(self, tokens: np.ndarray) -> None:
        self.hidden = np.float32(0.7) * self.hidden + self.embedding[tokens]

    def logits(self) -> np.ndarray:
        return self.hidden @ self.columns


def decode(group: Gloo | Mpi, model: Model, batch: int, way: object) -> bool:
    """A few tokens of each request. Whether every token is the one that is drawn from whole rows."""
    same = True
    model.begin(batch)
    requests = 1000 + np.arange(batch)  # a key for each, and the number of its next token: they have joined at times
    steps = np.arange(batch) % 5
    for _ in range(STEPS):
        u = fs.keyed_uniforms(SEED, requests, steps)
        logits = model.logits()
        tokens, _ = way(group, logits, model.offset, u)
        same &= bool((tokens == from_whole_rows(gathered(group, logits), way, u)).all())
        everyone = group.gather(tokens.view(np.uint8)).view(np.int64)
        same &= bool((everyone == tokens).all())
        model.read(tokens)
        steps += 1
    return same


def measured(group: Gloo | Mpi, model: Model, batch: int) -> dict[str, tuple[int, float]]:
    """Bytes that a process sends a step, and the microseconds of a step, the median; the ways taken in turn."""
    model.begin(batch)
    logits, u = model.logits(), fs.keyed_uniforms(SEED, np.arange(batch))
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    sent = {}
    for _ in range(100 if batch == 1 else 30):
        for name, way in WAYS.items():
            group.total(np.zeros(1))  # all begin together
            start = time.perf_counter()
            _, sent[name] = way(group, logits, model.offset, u)
            seconds[name].append(time.perf_counter() - start)
    return {name: (sent[name], 1e6 * float(np.median(seconds[name]))) for name in WAYS}


def work(group: Gloo | Mpi, table: bool) -> None:
    fs.set_num_threads(1)  # the processes share the machine
    model = Model(group.rank, group.size)
    if table:
        for batch in (1, 16, 64):
            for name, (sent, microseconds) in measured(group, model, batch).items():
                slowest = float(group.largest(np.array([microseconds]))[0])
                if group.rank == 0:
                    print(f"{group.size:9}  {batch:5}  {name:32}  {sent:12,}  {slowest:12,.0f}", flush=True)
    else:
        same = all(decode(group, model, batch, way) for batch in (1, 64) for way in WAYS.values())
        if group.rank == 0:
            print("Every process drew the tokens of the whole rows." if same else "The tokens differ.")
    group.close()


def start(size: int, table: bool) -> None:
    """Start the processes, and wait for them."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = str(Path(folder) / "meeting")
        command = [sys.executable, str(Path(__file__).resolve()), "--size", str(size), "--meeting", meeting]
        command += ["--table"] if table else []
        started = [
            subprocess.Popen([*command, "--rank", str(rank)], stdout=subprocess.PIPE, text=True) for rank in range(size)
        ]
        try:
            said = [process.communicate()[0] for process in started]
        finally:
            for process in started:
                process.kill()
        print("".join(said), end="")
        if any(process.returncode for process in started):
            raise SystemExit("a process has failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="measure 2 and 4 processes, 1, 16 and 64 requests")
    parser.add_argument("--mpi", action="store_true", help="the processes have been started by mpiexec")
    for name in ("--rank", "--size"):
        parser.add_argument(name, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank is not None:
        work(Gloo(given.rank, given.size, given.meeting), given.table)
        return
    group = Mpi() if given.mpi else None
    if given.table and (group is None or group.rank == 0):
        print(f"{'processes':>9}  {'batch':>5}  {'':32}  {'bytes sent':>12}  {'microseconds':>12}", flush=True)
    if group is not None:
        work(group, given.table)
        return
    for size in (2, 4) if given.table else (4,):
        start(size, given.table)


if __name__ == "__main__":
    main()
