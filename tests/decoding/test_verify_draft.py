"""verify_draft: a drafted token is accepted iff u q < p, and what comes out is distributed as the target."""

import numpy as np
import oracles
import pytest
from breadth import cases
from oracles import LAST_U, bits, needs_longdouble, share_tolerance
from scipy.stats import chi2

import fastsoftmax as fs

INF, NAN = np.inf, np.nan


def inverse_cdf(weights, u, tolerance):
    """The indices that the inverse CDF gives for u, to within the tolerance."""
    shares = np.concatenate([[0], np.cumsum(weights) / np.sum(weights)])
    inside = (shares[:-1] <= u + tolerance) & (shares[1:] > u - tolerance) & (np.asarray(weights) > 0)
    return np.flatnonzero(inside).tolist()


def verdicts(p, q, tokens, u, tolerance):
    """Every (accepted, token) that is right where u q and p may be off by the tolerance, as a set."""
    right = set()
    for j, t in enumerate(tokens):
        gap = p[j][t] - u[j] * q[j][t]
        if gap < tolerance:
            rest = np.maximum(p[j] - q[j], 0)
            if rest.sum() < 64 * tolerance:
                right |= {(j, i) for i in np.flatnonzero(p[j] > 0).tolist()}
            else:
                right |= {(j, i) for i in inverse_cdf(rest, u[-1], 4 * tolerance / rest.sum())}
        if gap < -tolerance:
            return right
    return right | {(len(tokens), i) for i in inverse_cdf(p[-1], u[-1], tolerance)}


@needs_longdouble
@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("n, count", [(2, 1), (5, 0), (5, 3), (300, 4), (3000, 2)])
@pytest.mark.parametrize("narrow", [np.float32, np.float64])
def test_accepts_and_corrects_by_the_rule(n, count, temperature, narrow, rng):
    for _ in range(cases(8)):
        target = (2 * rng.normal(size=(count + 1, n))).astype(narrow)
        draft = (target[:count] + rng.normal(size=(count, n))).astype(narrow)
        q = oracles.softmax(draft, temperature) if count else np.zeros((0, n))
        tokens = [int(rng.choice(n, p=row.astype(float) / row.astype(float).sum())) for row in q]
        u = rng.random(count + 1)
        verdict = fs.verify_draft(target, draft, tokens, temperature, u=u)
        assert type(verdict.accepted) is int and type(verdict.token) is int
        right = verdicts(oracles.softmax(target, temperature), q, tokens, u, 2 * share_tolerance(target.dtype, n))
        assert tuple(verdict) in right
        # The draft's tokens alone: q is 1 at the token.
        alone = fs.verify_draft(target, None, tokens, temperature, u=u)
        ones = np.eye(n)[tokens]
        right = verdicts(oracles.softmax(target, temperature), ones, tokens, u, 2 * share_tolerance(target.dtype, n))
        assert tuple(alone) in right


# By hand


P = np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.25, 0.25, 0.5]])
Q = np.log([[0.25, 0.25, 0.5], [0.2, 0.2, 0.6]])


@pytest.mark.parametrize(
    "tokens, u, expected",
    [
        # u · 0.5 < 0.2 iff u < 0.4; what is left of p - q is 0.25 and 0.05.
        ([2, 2], [0.39, 0.9, 0.3], (2, 1)),
        ([2, 2], [0.41, 0.9, 0.83], (0, 0)),
        ([2, 2], [0.41, 0.9, 0.84], (0, 1)),
        ([2, 0], [0.39, 0.49, 0.9], (2, 2)),
        # 0.1 against 0.2; only 2 has more in p than in q.
        ([2, 0], [0.39, 0.51, 0.0], (1, 2)),
        ([0, 2], [LAST_U, LAST_U, 0.0], (2, 0)),
    ],
)
def test_verdicts_by_hand(tokens, u, expected):
    verdict = fs.verify_draft(P, Q, tokens, u=u)
    assert tuple(verdict) == (verdict.accepted, verdict.token) == expected
    assert type(verdict).__name__ == "DraftVerdict"


def test_tokens_alone_are_accepted_with_the_probability_of_the_target():
    for u, expected in ((0.49, (1, 2)), (0.51, (0, 2))):
        assert fs.verify_draft(P[:2], None, [0], u=[u, 0.7]) == expected
    # A rejected token is never drawn instead: 0.3 and 0.2 are left.
    for u, token in ((0.0, 1), (0.59, 1), (0.61, 2), (LAST_U, 2)):
        assert fs.verify_draft(P[:2], None, [0], u=[0.9, u]) == (0, token)


def test_equal_target_and_draft_accept_every_token(dtype, rng):
    x = (2 * rng.normal(size=(50, 4, 100))).astype(dtype)
    tokens = rng.integers(100, size=(50, 3))
    u = np.full((50, 4), LAST_U)
    assert (fs.verify_draft(x, x[:, :3], tokens, 0.9, u=u).accepted == 3).all()


def test_acceptance_is_strict():
    # Nothing of the target: rejected even at u = 0.
    assert fs.verify_draft([[0.0, -INF], [0.0, 0.0]], [[0.0, 0.0]], [1], u=[0.0, 0.9]) == (0, 0)
    # p = q = 0 for the token, p = q elsewhere: nothing is left of p - q, and p itself is drawn from.
    same = [[0.0, -INF, 0.0]]
    for u, token in ((0.49, 0), (0.5, 2)):
        assert fs.verify_draft([*same, [0.0] * 3], same, [1], u=[0.0, u]) == (0, token)
    # q = 0 < p for the token: accepted whatever u is.
    assert fs.verify_draft([[0.0, 0.0], [9.0, -INF]], [[0.0, -INF]], [1], u=[LAST_U, 0.5]) == (1, 0)


def test_temperature_zero_accepts_the_likeliest_only(dtype):
    target = np.array([[1.0, 3.0, 3.0], [5.0, 1.0, 1.0], [0.0, 1.0, 2.0]], dtype)
    draft = np.zeros((2, 3), dtype)
    u = np.full(3, LAST_U)
    assert fs.verify_draft(target, draft, [1, 0], 0.0, draft_temperature=1.0, u=u) == (2, 2)
    assert fs.verify_draft(target, draft, [1, 2], 0.0, draft_temperature=1.0, u=u) == (1, 0)
    # 2 is as large, with a higher index.
    assert fs.verify_draft(target, None, [2, 0], 0.0, u=u) == (0, 1)
    # At draft temperature 0 too, q is 1 at the draft's likeliest, 0.
    assert fs.verify_draft(target, draft, [0, 0], 0.0, u=np.zeros(3)) == (0, 1)


def test_no_drafted_tokens_is_one_draw_from_the_target(dtype, rng):
    x, u = rng.normal(size=(40, 1, 30)).astype(dtype), rng.random((40, 1))
    for draft in (None, np.empty((40, 0, 30), dtype)):
        verdict = fs.verify_draft(x, draft, np.empty((40, 0), np.int64), 0.8, u=u)
        assert (verdict.accepted == 0).all()
        np.testing.assert_array_equal(verdict.token, fs.sample(x[:, 0], 0.8, u=u[:, 0]))
    assert fs.verify_draft(x[0], None, [], 0.8, u=u[0]) == (0, fs.sample(x[0, 0], 0.8, u=u[0, 0]))


# Distribution


def assert_distributed(observed, expected):
    """Pearson's chi-square; false alarms: 1e-9."""
    expected, observed = np.ravel(expected) * observed.sum(), np.ravel(observed)
    assert np.sum((observed - expected) ** 2 / expected) < chi2.isf(1e-9, expected.size - 1)


@pytest.mark.parametrize("with_draft", [True, False])
@pytest.mark.parametrize("temperature", [0.8, 1.0])
def test_one_token_is_distributed_as_the_target(with_draft, temperature, dtype):
    count = 2**16
    source = np.random.default_rng(8)
    target = np.array([[0.0, 1.0, -1.0, 0.3], [0.0, 0.0, 0.0, 0.0]], dtype)
    draft = np.array([[0.5, -1.0, 1.0, 0.0]], dtype)
    p, q = (fs.softmax(rows[0].astype(float), temperature) for rows in (target, draft))
    tokens = source.choice(4, p=q / q.sum(), size=(count, 1))
    rows = [np.broadcast_to(one, (count, *one.shape)) for one in (target, draft)]
    verdict = fs.verify_draft(rows[0], rows[1] if with_draft else None, tokens, temperature, rng=source)
    first = np.where(verdict.accepted == 1, tokens[:, 0], verdict.token)
    if with_draft:
        assert_distributed(np.bincount(first, minlength=4), p)
        share = np.minimum(p, q).sum()
        assert abs(np.mean(verdict.accepted) - share) < 6 * np.sqrt(share * (1 - share) / count)
    else:
        # Of a draft known by its token alone, each token that it proposes is corrected to p.
        for t in range(4):
            assert_distributed(np.bincount(first[tokens[:, 0] == t], minlength=4), p)


def test_sequences_are_distributed_as_the_target():
    # Two drafted tokens and the bonus, each model conditioned on the tokens before: all 27 sequences.
    count, n = 2**17, 3
    source = np.random.default_rng(21)
    models = {}
    for name in ("target", "draft"):
        models[name] = [1.5 * source.normal(size=(n,) * (depth + 1)) for depth in range(3)]
    target, draft = models["target"], models["draft"]

    def draw(logits):
        return fs.sample(logits, rng=source)

    tokens = np.empty((count, 2), np.int64)
    tokens[:, 0] = draw(np.broadcast_to(draft[0], (count, n)))
    tokens[:, 1] = draw(draft[1][tokens[:, 0]])
    a, b = tokens.T
    rows = np.stack([np.broadcast_to(target[0], (count, n)), target[1][a], target[2][a, b]], axis=1)
    drafted = np.stack([np.broadcast_to(draft[0], (count, n)), draft[1][a]], axis=1)
    verdict = fs.verify_draft(rows, drafted, tokens, rng=source)
    assert set(np.unique(verdict.accepted)) == {0, 1, 2}
    first = np.where(verdict.accepted >= 1, a, verdict.token)
    # Where fewer tokens came out, the target goes on alone.
    second = np.select([verdict.accepted == 2, verdict.accepted == 1], [b, verdict.token], draw(target[1][first]))
    third = np.where(verdict.accepted == 2, verdict.token, draw(target[2][first, second]))
    p = fs.softmax(target[0])[:, None, None] * fs.softmax(target[1])[:, :, None] * fs.softmax(target[2])
    observed = np.bincount(first * n * n + second * n + third, minlength=n**3)
    assert_distributed(observed, p)


# Batches, streams, filters


def test_batches_agree_with_single_sequences(dtype, rng):
    target = (2 * rng.normal(size=(3, 4, 5, 60))).astype(dtype)
    draft = (target[:, :, :4] + rng.normal(size=(3, 4, 4, 60))).astype(dtype)
    tokens, u = rng.integers(60, size=(3, 4, 4)), rng.random((3, 4, 5))
    temperature, draft_temperature = rng.uniform(0.5, 2, size=(3, 1)), rng.uniform(0.5, 2, size=4)
    for given in (draft, None):
        own = {} if given is None else {"draft_temperature": draft_temperature}
        whole = fs.verify_draft(target, given, tokens, temperature, u=u, **own)
        assert whole.accepted.shape == whole.token.shape == (3, 4)
        assert whole.accepted.dtype == whole.token.dtype == np.int64
        for i in range(3):
            for j in range(4):
                alone = {} if given is None else {"draft_temperature": draft_temperature[j]}
                one = fs.verify_draft(
                    target[i, j], None if given is None else draft[i, j], tokens[i, j], temperature[i, 0], u=u[i, j],
                    **alone,
                )  # fmt: skip
                assert one == (whole.accepted[i, j], whole.token[i, j])


def test_layout_does_not_matter(dtype, rng):
    target = (2 * rng.normal(size=(20, 4, 60))).astype(dtype)
    draft = target[:, :3] + np.ones(1, dtype)
    tokens, u = rng.integers(60, size=(20, 3)), rng.random((20, 4))
    want = fs.verify_draft(target, draft, tokens, u=u)
    layouts = (np.asfortranarray, lambda x: x[..., ::-1].copy()[..., ::-1], lambda x: np.repeat(x, 2, axis=1)[:, ::2])
    for other in layouts:
        got = fs.verify_draft(other(target), other(draft), other(tokens), u=other(u))
        assert bits(got.accepted) == bits(want.accepted) and bits(got.token) == bits(want.token)


def test_generator_gives_what_its_uniforms_give(rng):
    target, draft = rng.normal(size=(6, 4, 20)), rng.normal(size=(6, 3, 20))
    tokens = rng.integers(20, size=(6, 3))
    generator, same = np.random.default_rng(5), np.random.default_rng(5)
    got = fs.verify_draft(target, draft, tokens, rng=generator)
    want = fs.verify_draft(target, draft, tokens, u=same.random((6, 4)))
    assert bits(got.accepted) == bits(want.accepted) and bits(got.token) == bits(want.token)
    # As many uniforms whether or not a token is rejected early.
    assert generator.random() == same.random()


def test_truncated_logits_are_verified_as_they_are(rng):
    target, draft = 2 * rng.normal(size=(200, 3, 50)), 2 * rng.normal(size=(200, 2, 50))
    filters = {"top_k": 10, "top_p": 0.9}
    cut_target, cut_draft = (fs.truncate(x, 0.8, **filters) for x in (target, draft))
    tokens = fs.sample(cut_draft, rng=3)
    verdict = fs.verify_draft(cut_target, cut_draft, tokens, rng=4)
    rows = np.take_along_axis(cut_target, verdict.accepted[:, None, None], axis=1)[:, 0]
    assert (np.take_along_axis(rows, verdict.token[:, None], axis=1) > -INF).all()


# Errors


def test_rows_without_a_distribution_are_named():
    good = np.zeros((4, 3, 5))
    for bad in (NAN, -INF):
        target, draft = good.copy(), good[:, :2].copy()
        target[2, 1] = bad
        with pytest.raises(ValueError, match=r"target.*\b2\b"):
            fs.verify_draft(target, draft, np.zeros((4, 2), int))
        draft[1, 1] = bad
        with pytest.raises(ValueError, match=r"draft.*\b1\b"):
            fs.verify_draft(good, draft, np.zeros((4, 2), int))


@pytest.mark.parametrize(
    "changed, named",
    [
        ({"tokens": [[0, 5]]}, "tokens"),
        ({"tokens": [[0, -1]]}, "tokens"),
        ({"tokens": [[0]]}, "tokens"),
        ({"tokens": [[0, 1, 2]]}, "tokens"),
        ({"draft_logits": np.zeros((1, 3, 5))}, "draft"),
        ({"draft_logits": np.zeros((1, 2, 4))}, "draft"),
        ({"draft_logits": np.zeros((2, 2, 5))}, "draft"),
        ({"u": [[0.5, 0.5]]}, r"\bu\b"),
        ({"u": [[0.5, 0.5, 1.0]]}, r"\bu\b"),
        ({"u": [[0.5, NAN, 0.5]]}, r"\bu\b"),
        ({"u": 0.5, "rng": 1}, r"\bu\b"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": NAN}, "temperature"),
        ({"draft_temperature": -1.0}, "draft_temperature"),
        ({"temperature": [1.0, 1.0]}, "temperature"),
    ],
)
def test_bad_arguments_are_named(changed, named):
    arguments = {"target_logits": np.zeros((1, 3, 5)), "draft_logits": np.zeros((1, 2, 5)), "tokens": [[0, 1]]}
    fs.verify_draft(**arguments)
    with pytest.raises(ValueError, match=named):
        fs.verify_draft(**(arguments | changed))


def test_tokens_that_are_no_integers_raise_type_error():
    with pytest.raises(TypeError, match="tokens"):
        fs.verify_draft(np.zeros((2, 5)), np.zeros((1, 5)), [0.5])
