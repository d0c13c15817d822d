"""The reference's verify_draft: that its tokens are the target's own, exactly; and the fast one against it."""

import math
import random

import numpy as np
import pytest
import reference_rows

import fastsoftmax as fs
from fastsoftmax import reference

INF, NAN = math.inf, math.nan


def logits_of(weights):
    return [math.log(w) if w else -INF for w in weights]


@pytest.mark.parametrize("draft", [[0.25, 0.25, 0.5], [0.5, 0.5, 0.0], [0.125, 0.125, 0.75], None], ids=str)
def test_reference_gives_tokens_of_the_targets_distribution(draft):
    # Every boundary is a multiple of 1/24, and the grid lies between them.
    target, after = [0.5, 0.25, 0.25], [1.0, 0.0, 0.0]
    grid = [(i + 0.5) / 24 for i in range(24)]
    found = [0.0, 0.0, 0.0]
    for token, q in enumerate(draft or [0.0, 1.0, 0.0]):
        for first in grid if q else ():
            for second in grid:
                verdict = reference.verify_draft(
                    [logits_of(target), logits_of(after)],
                    [logits_of(draft)] if draft else None,
                    [token],
                    u=[first, second],
                )
                kept = token if verdict.accepted else verdict.token
                found[kept] += q / 24**2
                assert verdict.accepted == 0 or verdict.token == 0
    assert found == pytest.approx(target, abs=1e-12)


def test_reference_accepts_strictly():
    even, one = [[0.0, 0.0]], [[0.0, -INF]]
    verify = reference.verify_draft
    # u q < p with q = 1 and p = 1/2; then p alone is left.
    assert verify(even + even, one, [0], u=[math.nextafter(0.5, 0.0), 0.5]) == (1, 1)
    assert verify(even + even, one, [0], u=[0.5, 0.0]) == (0, 1)
    assert verify(even + even, None, [0], u=[0.5, 0.0]) == (0, 1)
    # p = 0 is never accepted, not even by u = 0; q = 0 and p > 0 always is.
    assert verify(one + even, even, [1], u=[0.0, 0.0]) == (0, 0)
    assert verify(even + even, one, [1], u=[1 - 2.0**-53, 0.0]) == (1, 0)
    assert verify(one + even, one, [1], u=[0.0, 0.0]) == (0, 0)


def test_reference_accepts_everything_of_the_same_model():
    source = random.Random(1)
    x = [[source.gauss(0, 3) for _ in range(9)] for _ in range(5)]
    shifted = [[v + 2.0**9 for v in [round(w * 2**20) / 2**20 for w in row]] for row in x[:4]]
    x = [[round(w * 2**20) / 2**20 for w in row] for row in x]
    u = [1 - 2.0**-53] * 4 + [0.3]
    verdict = reference.verify_draft(x, shifted, [1, 2, 3, 4], 0.7, u=u)
    assert verdict == (4, reference.sample(x[4], 0.7, u=0.3))


def test_reference_stops_at_the_first_rejection():
    p, q = logits_of([0.5, 0.5]), logits_of([0.25, 0.75])
    u = [0.5, 0.9, 0.0, 0.5]
    assert reference.verify_draft([p] * 4, [q] * 3, [1, 1, 0], u=u) == (1, 0)
    assert reference.verify_draft([p] * 4, [q] * 3, [0, 1, 0], u=[0.9, 0.6, 0.9, 0.5]) == (3, 1)
    assert reference.verify_draft([p], [], [], u=[0.5]) == reference.verify_draft([p], None, [], u=[0.5]) == (0, 1)


def test_reference_drafts_at_the_limits_of_the_temperature():
    x, other = [[1.0, 2.0, 2.0]], [[2.0, 1.0, 1.0]]
    verify = reference.verify_draft
    assert verify(x * 2, other, [1], 0.0, draft_temperature=1.0, u=[0.99, 0.9]) == (1, 1)
    assert verify(x * 2, other, [2], 0.0, draft_temperature=1.0, u=[0.0, 0.9]) == (0, 1)
    assert verify(x * 2, other, [0], 0.0, u=[0.0, 0.9]) == (0, 1)
    assert verify(x * 2, other, [2], INF, u=[0.99, 0.4]) == (1, 1)


def test_reference_says_why_a_draft_cannot_be_verified():
    x = [[0.0, 0.0]] * 2
    for target, draft, reason in (([x[0], [0.0, NAN]], None, "NaN"), (x, [[-INF, -INF]], "no entry above -inf")):
        with pytest.raises(ValueError, match=reason):
            reference.verify_draft(target, draft, [0], u=[0.5, 0.5])


def test_fast_verdicts_are_the_references():
    source = random.Random(11)
    for _ in range(300):
        k, n = source.randrange(4), source.choice([1, 2, 5, 30])
        target = [[source.gauss(0, 2) for _ in range(n)] for _ in range(k + 1)]
        noise = source.choice([0.0, 1.0])
        draft = [[v + source.gauss(0, noise) for v in row] for row in target[:k]]
        tokens, u = [source.randrange(n) for _ in range(k)], [source.random() for _ in range(k + 1)]
        temperature, draft_temperature = source.choice([1.0, 0.5, 0.0, INF]), source.choice([None, 1.0, 0.0])
        for slow_draft in (draft, None):
            fast_draft = None if slow_draft is None else np.reshape(draft, (k, n))
            parameters = {"draft_temperature": draft_temperature, "u": u}
            fast = fs.verify_draft(np.array(target), fast_draft, np.array(tokens, int), temperature, **parameters)
            assert fast == reference.verify_draft(target, slow_draft, tokens, temperature, **parameters)


def test_fast_batches_of_drafts_are_the_references():
    source = random.Random(2)
    target, draft = ([[[source.gauss(0, 1) for _ in range(5)] for _ in range(k)] for _ in range(6)] for k in (4, 3))
    tokens = [[source.randrange(5) for _ in range(3)] for _ in range(6)]
    temperature, u = [0.5 + i / 4 for i in range(6)], [[source.random() for _ in range(4)] for _ in range(6)]
    fast, slow = (m.verify_draft(target, draft, tokens, temperature, u=u) for m in (fs, reference_rows))
    assert (fast.accepted.tolist(), fast.token.tolist()) == slow
