"""Draws by rejection, enumerated: every word that the procedure of docs/rejection.md can read, where words are short.

The procedure is that of the draws of the kernels (tests/api/test_rejection.py), with smaller sizes: rows of two or four
entries in a column, and words of two to six bits.  All is counted in fractions, and nothing is left to chance.
"""

import inspect
import re
import types
from collections import Counter
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from breadth import cases

from fastsoftmax.reference import _rejection as reference
from fastsoftmax.reference._rejection import Sizes, Weight

UNDECIDED = "undecided"


class NoMoreWords(Exception):
    """The procedure asks for more words than it was given."""


def handed_out(words):
    yield from words
    raise NoMoreWords


def outcomes(decide, bits, longest):
    """The probability of each outcome, and of being undecided after `longest` words: a walk of the tree of all words.

    decide: takes an iterator of words, and reads as many as it needs.
    """
    mass, pending = Counter(), [()]
    while pending:
        words = pending.pop()
        try:
            outcome = decide(handed_out(words))
        except NoMoreWords:
            if len(words) < longest:
                pending.extend((*words, word) for word in range(2**bits))
                continue
            outcome = UNDECIDED
        mass[outcome] += Fraction(1, 2 ** (bits * len(words)))
    assert sum(mass.values()) == 1
    return mass


def assert_within(mass, probabilities, slack=0):
    """Each entry's probability lies between what is decided for it, and that with all that is undecided.

    Of a proposal the same is asked of the probabilities given that it is accepted.
    """
    undecided = mass[UNDECIDED]
    reached = 1 - mass[None]
    for index, p in enumerate(probabilities):
        assert mass[index] <= p * reached * (1 + slack) and p * reached * (1 - slack) <= mass[index] + undecided, index


def shares(values):
    return [value / sum(values) for value in values]


def value_of(weights):
    return [w.value if w else Fraction(0) for w in weights]


def proposals(module, weights, sizes, longest):
    envelopes = module.envelopes_of(weights, sizes)
    return outcomes(lambda words: module.proposed(weights, envelopes, words, sizes), sizes.word, longest)


# What is enumerated


def random_weights(case):
    """A row of one to three stretches whose weights have few bits: a few words decide every proposal."""
    rng = np.random.default_rng(case)
    sizes = Sizes(
        columns=int(rng.integers(1, 4)), rows=int(rng.choice([2, 4])), deepest=int(rng.integers(1, 4)), word=6
    )
    n = int(rng.integers(1, 3 * sizes.rows * sizes.columns))
    depths = rng.integers(0, sizes.deepest + 3, n)
    numerators = rng.integers(9, 17, n)
    weights = [
        Weight(Fraction(int(m), 16 * 2 ** int(d)), int(d)) if rng.random() < 0.8 else None
        for m, d in zip(numerators, depths, strict=True)
    ]
    weights[int(rng.integers(n))] = Weight(Fraction(int(rng.integers(9, 17)), 16), 0)  # the largest
    if sum(reference.envelopes_of(weights, sizes)) > 2**sizes.word:
        return random_weights(case + 1000)
    return weights, sizes


def enumerate_proposals(module, rows):
    """Nothing is undecided, so each probability is equal to what is counted, as a fraction."""
    for case in range(rows):
        weights, sizes = random_weights(case)
        mass = proposals(module, weights, sizes, longest=5)
        assert mass[UNDECIDED] == 0 and mass[None] < 1
        assert_within(mass, shares(value_of(weights)))


def of(*values):
    """Weights with the depths that they have."""
    return [
        Weight(Fraction(v), next(d for d in range(99) if v > Fraction(1, 2 ** (d + 1)))) if v else None for v in values
    ]


# Three columns with the envelopes 2, 2 and 1, of whose 16 first words one is rejected; and three with 2, 1 and 1, with
# weights that take up to three words more.
WHOLE_DRAWS = [
    (of(1, Fraction(7, 8), 1, 1, Fraction(1, 2), Fraction(1, 2)), Sizes(columns=1, rows=2, deepest=1, word=4), 7),
    (of(1, Fraction(1, 2), Fraction(1, 2), Fraction(15, 16), Fraction(29, 64), Fraction(1, 2)),
     Sizes(columns=3, rows=2, deepest=1, word=2), 14),
]  # fmt: skip


def enumerate_draws(module):
    """Draws of several proposals, all of whose words are tried; below 2**-14 is undecided."""
    for weights, sizes, longest in WHOLE_DRAWS:
        mass = outcomes(lambda words, w=weights, s=sizes: module.draw(w, lambda _: words, s), sizes.word, longest)
        assert None not in mass and mass[UNDECIDED] < Fraction(1, 2**14)
        assert_within(mass, shares(value_of(weights)))


def exact_probabilities(x, temperature):
    with mpmath.workdps(60):
        z = [mpmath.exp((mpmath.mpf(v) - max(x)) / mpmath.mpf(temperature)) for v in x]
        return [Fraction(int(mpmath.floor(v / mpmath.fsum(z) * 2**180)), 2**180) for v in z]


def enumerate_logits(module):
    """Weights of 53 bits, within one ulp of the exponential: four words more decide all but 2**-29 of a proposal."""
    rng = np.random.default_rng(5)
    sizes = Sizes(columns=2, rows=2, deepest=2, word=6)
    for temperature in (0.7, 1.0, 3.0):
        x = [*np.round(2 * rng.standard_normal(7), 3), -np.inf]
        mass = proposals(module, module.weights_of_logits(x, temperature), sizes, longest=6)
        assert mass[UNDECIDED] < Fraction(1, 2**29)
        assert_within(mass, exact_probabilities(x, temperature), slack=Fraction(1, 2**50))
    p = [0.3, 0.0, 5e-3, 0.7, 0.11, 0.25, 0.01]
    mass = proposals(module, module.weights_of_probs(p), sizes, longest=6)
    assert mass[UNDECIDED] < Fraction(1, 2**29)
    assert_within(mass, shares([Fraction(v) for v in p]))


def test_every_proposal_of_random_rows():
    enumerate_proposals(reference, cases(20))


def test_every_draw_of_small_rows():
    enumerate_draws(reference)


def test_every_proposal_of_logits_and_of_probabilities():
    enumerate_logits(reference)


# What would be noticed


def wrong(pattern, replacement):
    """The procedure with a change in its source."""
    source, count = re.subn(pattern, replacement, inspect.getsource(reference))
    assert count == 1, f"the reference no longer has {pattern}"
    module = types.ModuleType(reference.__name__)
    module.__package__ = reference.__package__
    exec(compile(source, reference.__file__, "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    "pattern, replacement",
    [
        pytest.param(r"low \+ width <= ratio", "low <= ratio", id="a number equal to the ratio is below it"),
        pytest.param(r"low \+ width <= ratio", "low + width < ratio", id="the last number below the ratio is not"),
        pytest.param(r"while low < ratio < low", "while False and low < ratio < low", id="no further words"),
        pytest.param(r"width /= 2\*\*sizes\.word", "width /= 2 ** (sizes.word - 1)", id="a bit serves twice"),
        pytest.param(r"2 \*\* max\(sizes", "2 ** max(-1 + sizes", id="every envelope half as high"),
        pytest.param(r"min\(column\)", "max(column)", id="the envelope of the smallest entry"),
        pytest.param(r"if low < 2\*\*sizes\.word % sum\(envelopes\)", "if low < 0", id="places of unlike probability"),
        pytest.param(r"if low < 2\*\*sizes", "if low <= 2**sizes", id="a first word too many is rejected"),
        pytest.param(r"place >= envelopes", "place > envelopes", id="side=left among columns"),
        pytest.param(r"sizes\.rows \+ row\)", "sizes.rows + row // 2 * 2)", id="every other row"),
        pytest.param(
            r"row, leading = (.*)", r"row, leading = \1\n    row = min(row, sizes.rows - 2)", id="all rows but the last"
        ),
        pytest.param(r"next\(words\), 2\*\*sizes\.word // sizes\.rows", "place, 1", id="one word for both choices"),
    ],
)  # fmt: skip
def test_a_wrong_procedure_is_noticed(pattern, replacement):
    with pytest.raises((AssertionError, IndexError)):
        enumerate_proposals(wrong(pattern, replacement), 20)


@pytest.mark.parametrize(
    "pattern, replacement",
    [
        pytest.param(r"number \+= 1", "return number", id="the first proposal only"),
        pytest.param(r"low \+ width <= ratio", "low <= ratio", id="a number equal to the ratio is below it"),
        pytest.param(r"2 \*\* max", "1 ** max", id="envelopes too low"),
    ],
)  # fmt: skip
def test_a_wrong_draw_is_noticed(pattern, replacement):
    with pytest.raises(AssertionError):
        enumerate_draws(wrong(pattern, replacement))
