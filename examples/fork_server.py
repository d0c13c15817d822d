"""A server with worker processes that draws tokens for requests, and a client that asks it.

The workers start from a fork server, which has imported NumPy and fastsoftmax, so a new worker is there in
hundredths of a second.  All of them accept connections from one socket.  A request is a line of JSON with a seed, a key
and a number of tokens; its text depends on these alone, so it is the same from whichever worker, and the client can
draw it itself.  `fork` in place of `forkserver` makes it a server that forks its workers itself, as gunicorn does with
--preload.

    python examples/fork_server.py --workers 2 --threads 1
"""

import argparse
import json
import multiprocessing
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import fastsoftmax as fs

ENTRIES, TEMPERATURE, FILTERS = 5000, 0.8, {"top_k": 50, "top_p": 0.95}


class Model:
    """Stands for a language model: the logits of the next token come from the last one alone."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.states = rng.normal(size=(ENTRIES, 16)).astype(np.float32)
        self.head = rng.normal(size=(16, ENTRIES)).astype(np.float32)

    def logits(self, token):
        return self.states[token] @ self.head


def text_of(model, request):
    """The tokens of a request."""
    sampler = fs.Sampler(TEMPERATURE, seed=request["seed"], keys=request["key"], **FILTERS)
    tokens = [request["prompt"]]
    for _ in range(request["tokens"]):
        tokens.append(int(sampler(model.logits(tokens[-1]))))
    return tokens[1:]


def serve(listener, threads):
    """What a worker does: one connection after another, until a request says that it is the last."""
    fs.set_num_threads(threads)  # a setting of the parent does not come along, unless a worker is forked from it
    model = Model()
    running = True
    while running:
        connection, _ = listener.accept()
        with connection, connection.makefile("rw") as stream:
            request = json.loads(stream.readline())
            running = "stop" not in request
            answer = {"worker": multiprocessing.current_process().name}
            if running:
                answer["text"] = text_of(model, request)
            stream.write(json.dumps(answer) + "\n")


def ask(address, request):
    """The answer of the server."""
    with socket.create_connection(address, timeout=60) as connection, connection.makefile("rw") as stream:
        stream.write(json.dumps(request) + "\n")
        stream.flush()
        return json.loads(stream.readline())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads of fastsoftmax in each (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=40, help="(default: %(default)s)")
    arguments = parser.parse_args()

    there = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in there else "spawn")
    context.set_forkserver_preload(["numpy", "fastsoftmax"])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    workers = [
        context.Process(target=serve, args=(listener, arguments.threads), name=f"worker {i}", daemon=True)
        for i in range(arguments.workers)
    ]
    for worker in workers:
        worker.start()

    requests = [{"seed": 7, "key": key, "prompt": key % ENTRIES, "tokens": 20} for key in range(arguments.requests)]
    address = listener.getsockname()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda request: ask(address, request), requests))
    for _ in workers:
        ask(address, {"stop": True})
    for worker in workers:
        worker.join()
    listener.close()

    model = Model()
    same = sum(answer["text"] == text_of(model, request) for answer, request in zip(answers, requests, strict=True))
    for worker in workers:
        print(f"{worker.name} answered {sum(answer['worker'] == worker.name for answer in answers)} requests")
    print(f"{same} of {len(requests)} requests have the text that they have without the server.")


if __name__ == "__main__":
    main()
