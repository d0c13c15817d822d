"""verify_tree: exactly the target's distribution, the reference's verdicts, verify_draft's where nothing branches."""

import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from oracles import bits

import fastsoftmax as fs
from fastsoftmax.reference._trees import acceptance, normalised, rejected

TREES = {
    "siblings": [-1, -1, -1], "chain": [-1, 0], "branches": [-1, -1, 0, 0], "second only": [-1, -1, 1, 1],
    "interleaved": [-1, 0, -1, 0],
}  # fmt: skip


# The distribution, in exact fractions


def model(seed, n, lowest):
    """A distribution after every prefix: small integers, normalised; some are 0 where `lowest` is."""

    def after(prefix):
        rng = np.random.default_rng([seed, n, *prefix])
        weights = [Fraction(int(w)) for w in rng.integers(lowest, 6, n)]
        return normalised(weights) if any(weights) else [Fraction(1, n)] * n

    return after


def drafts(q, parents, replacement):
    """Every assignment of tokens to the nodes, with its probability."""
    found = [((), Fraction(1))]
    for node, parent in enumerate(parents):
        grown = []
        for tokens, probability in found:
            left = q(prefix_of(parent, parents, tokens))
            if not replacement:
                for other in range(node):
                    if parents[other] == parent:
                        left = normalised([Fraction(0) if t == tokens[other] else w for t, w in enumerate(left)])
            grown += [((*tokens, t), probability * w) for t, w in enumerate(left) if w]
        found = grown
    return found


def prefix_of(node, parents, tokens):
    return () if node < 0 else (*prefix_of(parents[node], parents, tokens), tokens[node])


def verdicts(p, q, parents, tokens, replacement, node=-1):
    """Every accepted path with the token after it, with its probability over the uniforms."""
    prefix = prefix_of(node, parents, tokens)
    target, draft, left, found = p(prefix), None if q is None else q(prefix), Fraction(1), Counter()
    for child in [i for i, parent in enumerate(parents) if parent == node]:
        accepted = acceptance(target, draft, tokens[child])
        if accepted:
            for output, probability in verdicts(p, q, parents, tokens, replacement, child).items():
                found[output] += left * accepted * probability
        left *= 1 - accepted
        if not left:
            return found
        target, draft = rejected(target, draft, tokens[child], replacement)
    for token, probability in enumerate(target):
        if probability:
            found[(*prefix, token)] += left * probability
    return found


def completed(outputs, p, length):
    """The distribution of the first tokens where each output goes on as the target does."""
    found = Counter()
    for output, probability in outputs.items():
        if len(output) >= length:
            found[output[:length]] += probability
        else:
            found.update(completed({(*output, t): probability * w for t, w in enumerate(p(output)) if w}, p, length))
    return found


@pytest.mark.parametrize("how", ["with replacement", "without replacement", "no logits"])
@pytest.mark.parametrize("tree", TREES)
def test_the_output_has_exactly_the_targets_distribution(tree, how):
    parents, n = TREES[tree], 3
    for seed in range(3):
        p, q, replacement = model(seed, n, 0), model(seed + 100, n, 1), how == "with replacement"
        outputs = Counter()
        if how == "no logits":
            given = [
                (tokens, Fraction(1, n ** len(parents))) for tokens in itertools.product(range(n), repeat=len(parents))
            ]
        else:
            given = drafts(q, parents, replacement)
        assert sum(probability for _, probability in given) == 1
        for tokens, probability in given:
            for output, share in verdicts(p, None if how == "no logits" else q, parents, tokens, replacement).items():
                outputs[output] += probability * share
        assert sum(outputs.values()) == 1
        longest = max(map(len, outputs))
        assert completed(outputs, p, longest) == completed({(): Fraction(1)}, p, longest)


def test_candidates_without_logits_may_depend_on_anything():
    """Whatever the candidates are, each assignment alone gives the target's distribution: q is 1 at each."""
    p = model(7, 3, 0)
    for tokens in itertools.product(range(3), repeat=4):
        outputs = verdicts(p, None, TREES["branches"], tokens, False)
        assert completed(outputs, p, 3) == completed({(): Fraction(1)}, p, 3)


# The fast function


def random_tree(rng, count):
    return [int(rng.integers(-1, i)) if rng.random() < 0.7 else -1 for i in range(count)]


def random_case(rng, n=None, count=None, dtype=np.float64):
    n, count = n or int(rng.integers(2, 9)), int(rng.integers(0, 8)) if count is None else count
    target = (2 * rng.normal(size=(count + 1, n))).astype(dtype)
    draft = (target + rng.normal(size=target.shape) * rng.choice([0.3, 2.0])).astype(dtype)
    target[rng.random(target.shape) < 0.15] = -np.inf
    target[:, 0] = 0
    return target, draft, rng.integers(0, n, count), random_tree(rng, count), rng.random(count + 1)


@pytest.mark.parametrize("with_draft", [True, False])
@pytest.mark.parametrize("replacement", [True, False])
@pytest.mark.parametrize("temperature", [(1.0, None), (0.6, 1.3), (0.0, None), (np.inf, 1.0), (1.0, 0.0)], ids=str)
def test_verdicts_are_the_references(temperature, replacement, with_draft):
    rng = np.random.default_rng(5)
    t, of_draft = temperature
    lengths = Counter()
    for _ in range(60):
        target, draft, tokens, parents, u = random_case(rng)
        draft = draft if with_draft else None
        got = fs.verify_tree(
            target, draft, tokens, parents, t, draft_temperature=of_draft, replacement=replacement, u=u
        )
        expected = fs.reference.verify_tree(
            target.tolist(), None if draft is None else draft.tolist(), tokens.tolist(), parents, t,
            draft_temperature=of_draft, replacement=replacement, u=u.tolist(),
        )  # fmt: skip
        assert (got.accepted, got.path[: got.accepted].tolist(), got.token) == expected
        assert (got.path[got.accepted :] == -1).all() and type(got.accepted) is type(got.token) is int
        lengths[got.accepted] += 1
    assert len(lengths) > 1


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_tree_without_branches_is_a_draft(dtype):
    rng = np.random.default_rng(6)
    for n in (5, 700, 1500):
        for _ in range(20):
            count = int(rng.integers(0, 5))
            target, draft, tokens, _, u = random_case(rng, n, count, dtype)
            chain = np.arange(count) - 1
            for y in (draft, None):
                expected = fs.verify_draft(target, None if y is None else y[:-1], tokens, 0.9, u=u)
                got = fs.verify_tree(target, y, tokens, chain, 0.9, u=u)
                assert (got.accepted, got.token) == expected and got.path.tolist()[: got.accepted] == [
                    *range(got.accepted)
                ]


def test_batches_are_their_sequences():
    rng = np.random.default_rng(7)
    target, draft = rng.normal(size=(2, 30, 7, 40)), rng.normal(size=(2, 30, 7, 40))
    parents = np.array([[random_tree(rng, 6) for _ in range(30)] for _ in range(2)])
    tokens, u, t = rng.integers(0, 40, (2, 30, 6)), rng.random((2, 30, 7)), rng.uniform(0.5, 2, (2, 1))
    draft = target + 0.5 * draft
    for layout in (lambda a: a, lambda a: np.moveaxis(np.ascontiguousarray(np.moveaxis(a, -1, 0)), 0, -1), np.float32):
        whole = fs.verify_tree(layout(target), layout(draft), tokens, parents, t, u=u)
        shared = fs.verify_tree(layout(target), layout(draft), tokens, parents[0, 0], t, u=u)
        assert whole.path.shape == (2, 30, 6) and whole.token.shape == whole.accepted.shape == (2, 30)
        for i, j in itertools.product(range(2), range(0, 30, 7)):
            one = (layout(target)[i, j], layout(draft)[i, j], tokens[i, j])
            for several, tree in ((whole, parents[i, j]), (shared, parents[0, 0])):
                alone = fs.verify_tree(*one, tree.astype(np.int8), float(t[i, 0]), u=u[i, j])
                assert [bits(np.asarray(part)) for part in alone] == [bits(np.asarray(part[i, j])) for part in several]
    again = fs.verify_tree(target, draft, tokens, parents, t, rng=3)
    by_u = fs.verify_tree(target, draft, tokens, parents, t, u=np.random.default_rng(3).random((2, 30, 7)))
    assert all(np.array_equal(a, b) for a, b in zip(again, by_u, strict=True))


@pytest.mark.parametrize("replacement", [True, False])
def test_the_first_token_of_many_has_the_targets_distribution(replacement):
    count, rng = 60_000, np.random.default_rng(8)
    target, draft = np.array([1.0, 0.0, 2.0, -1.0, 0.5]), np.array([0.0, 1.0, 0.5, 2.0, -1.0])
    many = np.broadcast_to(draft, (count, 5))
    if replacement:
        tokens = fs.sample(many, size=3, rng=rng)
    else:
        tokens = fs.sample_without_replacement(many, 3, rng=rng)
    rows = np.broadcast_to(target, (count, 4, 5))
    verdict = fs.verify_tree(
        rows, np.broadcast_to(draft, rows.shape), tokens, [-1, -1, -1], replacement=replacement, rng=rng
    )
    at = np.arange(count)
    first = np.where(verdict.accepted > 0, tokens[at, verdict.path[:, 0]], verdict.token)
    expected = count * fs.softmax(target)
    chi_square = ((np.bincount(first, minlength=5) - expected) ** 2 / expected).sum()
    assert chi_square < 18.5  # of 4 degrees of freedom: 1e-3
    one = fs.verify_draft(rows[:, :2], many[:, None], tokens[:, :1], rng=rng)
    assert (verdict.accepted > 0).mean() > (one.accepted > 0).mean() + 0.1  # what the other candidates are for


def test_rows_off_the_path_are_not_read():
    target, draft = np.full((4, 3), np.nan), np.full((4, 3), np.nan)
    target[0], target[2], draft[0] = [0, 0, 9], [0, 5, 0], 0
    got = fs.verify_tree(target, draft, [0, 2, 1], [-1, -1, 0], u=[0.5, 0.5, 0.5, 0.5])
    assert (got.accepted, got.path.tolist(), got.token) == (1, [1, -1, -1], 1)


@pytest.mark.parametrize("change, error, match", [
    ({"parents": np.array([2**64 - 1, 0, 0], np.uint64)}, ValueError, "parents .*node 0 has"),
    ({"parents": [-1, 1, 0]}, ValueError, "parents must be -1 .*node 1 has 1"),
    ({"parents": [-2, 0, 0]}, ValueError, "parents .*node 0 has -2"), ({"parents": [-1, 0]}, ValueError, "parents .*3"),
    ({"parents": [-1.0, 0, 0]}, TypeError, "parents must be int"), ({"tokens": [0, 1]}, ValueError, "tokens .*3,"),
    ({"tokens": [0, 1, 5]}, ValueError, "tokens must be in"), ({"tokens": [0, 1, 0.5]}, TypeError, "tokens must"),
    ({"draft_logits": np.zeros((3, 5))}, ValueError, r"draft_logits must .*\(4, 5\), not \(3, 5\)"),
    ({"target_logits": np.zeros(5)}, ValueError, "target_logits must have the shape"),
    ({"target_logits": np.full((4, 5), np.nan)}, ValueError, "target_logits: row 0 has NaN"),
    ({"target_logits": np.full((4, 5), -np.inf)}, ValueError, "target_logits: row 0 has no entry"),
    ({"draft_logits": np.full((4, 5), np.nan)}, ValueError, "draft_logits: row 0 has NaN"),
    ({"temperature": -1.0}, ValueError, "temperature"), ({"draft_temperature": np.nan}, ValueError, "draft_temp"),
    ({"u": [0.5, 0.5, 0.5, 1.0]}, ValueError, "u must be in"), ({"u": [0.5] * 3}, ValueError, "u of shape"),
    ({"rng": 1}, ValueError, "u and rng"), ({"replacement": "no"}, TypeError, "replacement"),
])  # fmt: skip
def test_bad_arguments_are_named(change, error, match):
    good = {
        "target_logits": np.zeros((4, 5)), "draft_logits": np.zeros((4, 5)), "tokens": [0, 1, 2],
        "parents": [-1, -1, 0], "u": [0.5] * 4,
    }  # fmt: skip
    fs.verify_tree(**good)
    with pytest.raises(error, match=match):
        fs.verify_tree(**{**good, **change})


def test_no_nodes_no_sequences_and_the_shape_of_parents():
    empty = fs.verify_tree(np.log([[0.25, 0.75]]), None, [], [], u=[0.5])
    assert (empty.accepted, empty.path.shape, empty.token) == (0, (0,), 1)
    none = fs.verify_tree(np.zeros((0, 3, 4)), None, np.zeros((0, 2), int), [-1, 0])
    assert none.token.shape == none.accepted.shape == (0,) and none.path.shape == (0, 2)
    with pytest.raises(ValueError, match="node 1 of sequence 1 has 3"):
        fs.verify_tree(np.zeros((2, 3, 4)), None, np.zeros((2, 2), int), [[-1, 0], [-1, 3]])
