"""onnxruntime-genai with its own sampling and with ours, in one process and in turn.

The table of docs/loops/onnxruntime_genai.md:

    python bench/genai_beside.py MODEL --tokens 300

MODEL is a folder with a genai_config.json.  The two take turns at each token, with a generator each over the same
model.  `loop` is what a token costs, the run of the model included; `draw` what it costs without that, measured on a
context of one token; `model` the run alone.  One line for each way of choosing, in ms: median, and the least in
brackets.
"""

import argparse
import statistics
import time

import onnxruntime_genai as og

import fastsoftmax as fs

T, PROMPT = 0.8, [5, 6, 7]
CASES = {  # the search options of onnxruntime-genai, and our filters that mean the same
    "greedy": ({"do_sample": False}, {"top_k": 1}),
    "no filter": ({"do_sample": True, "top_k": 0, "top_p": 1.0}, {}),
    "top_k 50": ({"do_sample": True, "top_k": 50, "top_p": 1.0}, {"top_k": 50}),
    "top_p 0.95": ({"do_sample": True, "top_k": 0, "top_p": 0.95}, {"top_p": 0.95}),
    "top_k 50, top_p 0.95": ({"do_sample": True, "top_k": 50, "top_p": 0.95}, {"top_k": 50, "top_p": 0.95}),
}


def generator_of(model, length, seed, options):
    params = og.GeneratorParams(model)
    params.set_search_options(max_length=length, temperature=T, random_seed=seed, **options)
    return og.Generator(model, params)


def seconds(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def steps_of(model, length, seed, options, filters):
    """A token by each, and a run of the model alone."""
    theirs, ours, alone = (generator_of(model, length, seed, given) for given in (options, {}, {}))
    for each in (theirs, ours, alone):
        each.append_tokens(PROMPT)
    theirs.generate_next_token()  # the logits of the prompt are there: the next call runs the model, then draws
    sampler = fs.Sampler(T, seed=seed, **filters)
    return (
        theirs,
        {
            "their loop": theirs.generate_next_token,
            "our loop": lambda: ours.append_tokens([sampler(ours.get_logits()[0, -1])]),
            "model": lambda: alone.append_tokens(PROMPT[:1]),
        },
    )


def loops(model, tokens, options, filters):
    """The times of tokens in a loop, by name; a text that ends is begun anew, with another seed."""
    times = {"their loop": [], "our loop": [], "model": []}
    length, seed = len(PROMPT) + 100, 0
    while len(times["model"]) < tokens:
        seed += 1
        theirs, steps = steps_of(model, length, seed, options, filters)
        for i in range(95):
            if theirs.is_done():
                break
            for name in sorted(steps, reverse=bool(i % 2)):
                took = seconds(steps[name])
                if i:  # the first warms up
                    times[name].append(took)
    return times


def draws(model, tokens, options, filters):
    """The times of draws without the model, which has just run."""
    theirs, ours = generator_of(model, 4, 1, options), generator_of(model, 4, 1, {})
    sampler = fs.Sampler(T, seed=1, **filters)
    times = {"their draw": [], "our draw": []}
    for i in range(tokens + 5):
        for each, name, step in (
            (theirs, "their draw", theirs.generate_next_token),
            (ours, "our draw", lambda: sampler(ours.get_logits()[0, -1])),
        ):
            each.rewind_to(0)
            each.append_tokens(PROMPT[:1])
            took = seconds(step)
            if i >= 5:
                times[name].append(took)
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="a folder with a genai_config.json")
    parser.add_argument("--tokens", type=int, default=300, help="tokens for each cell (default: %(default)s)")
    arguments = parser.parse_args()
    model = og.Model(arguments.model)
    fs.set_num_threads(1)
    print(f"onnxruntime-genai {og.__version__}, {fs.show_config('dicts')['isa']['chosen']}, ms")
    columns = ["model", "their loop", "our loop", "their draw", "our draw"]
    print("| |", " | ".join(columns), "|\n|" + "---|" * (len(columns) + 1))
    for name, (options, filters) in CASES.items():
        times = loops(model, arguments.tokens, options, filters) | draws(model, arguments.tokens, options, filters)
        cells = [f"{1e3 * statistics.median(times[c]):.3g} ({1e3 * min(times[c]):.3g})" for c in columns]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
