"""A decoding loop: penalties, nucleus sampling, mirostat, the most likely tokens, a grammar.

    python examples/decoding_loop.py [FILE]

A model of word triples is trained on FILE, or on the documentation of this repository, and generates text: every
token is drawn from a row of logits over the whole vocabulary, as in a language model.
"""

import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

import fastsoftmax as fs

LENGTH, WINDOW, TARGET = 400, 128, 2.5

if len(sys.argv) > 1:
    pages = [Path(sys.argv[1])]
else:
    root = Path(__file__).resolve().parent.parent
    pages = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]
text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
# Prose only: no code, tables, headings or markup.
text = re.sub(r"```.*?```|^( {4}|\||#|<).*?$|\]\([^)]*\)|`[^`]*`", " ", text, flags=re.MULTILINE | re.DOTALL)
tokens = re.findall(r"\b(?:[Aa]|[A-Za-z][a-z]+)(?:['-][a-z]+)*\b|[.,;:]", text)
if len(tokens) < 100:
    sys.exit(f"The text has {len(tokens)} words and marks; it needs at least 100.")

vocabulary = sorted(set(tokens))
place = {token: i for i, token in enumerate(vocabulary)}
stop = place.get(".", 0)
source = [place[token] for token in tokens]
counts = [defaultdict(Counter) for _ in range(3)]  # by context: none, one token, two tokens
for i, token in enumerate(source):
    for order in range(min(3, i + 1)):
        counts[order][tuple(source[i - order : i])][token] += 1


def logits_of(context):
    """Absolute discounting: each order subtracts 0.5 from every count and gives that mass to the next shorter order."""
    p = np.full(len(vocabulary), 1 / len(vocabulary))
    for order in range(3):
        seen = counts[order].get(tuple(context[len(context) - order :]))
        if seen:
            total = seen.total()
            p *= 0.5 * len(seen) / total
            p[list(seen)] += (np.array(list(seen.values())) - 0.5) / total
    return np.log(p).astype(np.float32)


def write(sampler, penalties=None, length=LENGTH):
    """The generated tokens, and the surprise of each in bits."""
    written, bits = [stop], []
    for _ in range(length):
        logits = logits_of(written)
        if penalties:
            fs.penalize(logits, written[-WINDOW:], **penalties, out=logits)
        token, logprob = sampler(logits)
        written.append(token)
        bits.append(-logprob / np.log(2))
    return written[1:], np.array(bits)


def shown(written, start=0, count=45):
    words = re.sub(" ([.,;:])", r"\1", " ".join(vocabulary[token] for token in written[start : start + count]))
    return f"    {'... ' if start else ''}{words}"


def repeats(written, n=4):
    """The share of runs of n tokens that occurred earlier."""
    runs = [tuple(written[i : i + n]) for i in range(len(written) - n + 1)]
    return 1 - len(set(runs)) / len(runs)


print(f"{len(tokens):,} tokens, {len(vocabulary):,} different\n")

nucleus = {"top_p": 0.9, "rng": 0, "return_logprob": True}
plain, _ = write(fs.Sampler(0.2, **nucleus))
print(f"temperature 0.2, top_p 0.9: {repeats(plain):.0%} of the runs of 4 tokens are repeats\n{shown(plain, 100)}\n")

penalties = {"presence": 0.3, "dry_multiplier": 1.0, "dry_sequence_breakers": [stop]}
varied, _ = write(fs.Sampler(0.2, **nucleus), penalties)
print(f"the same with penalties: {repeats(varied):.0%} are repeats\n{shown(varied, 100)}\n")

sampler = fs.Sampler(mirostat_tau=TARGET, rng=0, return_logprob=True)
steady, bits = write(sampler)
print(f"mirostat for {TARGET} bits a token: {bits.mean():.2f} on average, mu is now {sampler.mirostat_mu:.2f}")
print(f"{shown(steady, 100)}\n")

# A grammar says at every step which tokens may follow: here the initials spell a word, and a full stop ends the text.
initials = "draws"
allowed = [np.array([token[0].lower() == letter for token in vocabulary]) for letter in initials]
allowed.append(np.arange(len(vocabulary)) == stop)
written, rng = [stop], np.random.default_rng(8)
print("a grammar, and the most likely tokens it allows (* is the one drawn)")
for mask in allowed:
    if not mask.any():
        sys.exit("The text has no word for one of the initials.")
    logits = logits_of(written)
    token = fs.sample(logits, 0.8, mask=mask, min_p=0.02, rng=rng)
    top = fs.top_logprobs(logits, min(4, mask.sum()), 0.8, mask=mask, chosen=token)
    likely = "   ".join(
        f"{vocabulary[i]}{'*' if i == token else ''} {np.exp(logprob):.2f}"
        for i, logprob in zip(top.indices, top.logprobs, strict=True)
    )
    print(f"    {likely}" + (f"   ... {vocabulary[token]}* of rank {top.rank}" if top.rank > len(top.indices) else ""))
    written.append(token)
print(f"{shown(written[1:])}\n")

spelled = "".join(vocabulary[token][0].lower() for token in written[1:-1])
if abs(bits.mean() - TARGET) < 0.5 and spelled == initials and repeats(varied) < repeats(plain):
    print(f"The penalties halt the repeats, the surprise is near its target, the initials spell {spelled}.")
