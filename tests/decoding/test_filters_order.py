"""Filters in another order, the temperature among them, and entries that no filter drops."""

import pickle

import numpy as np
import pytest
import reference_rows

import fastsoftmax as fs
from fastsoftmax._args.steps import STEPS

INF, NAN = np.inf, np.nan
FOUR = np.log([0.4, 0.3, 0.2, 0.1])
DEFAULT = ("temperature", *STEPS[:-1])
ALL = {
    "top_k": 9, "top_p": 0.95, "min_p": 0.02, "top_a": 0.1, "p_less": True, "typical_p": 0.97, "top_h": 0.9,
    "top_n_sigma": 2.0, "epsilon_cutoff": 0.01, "eta_cutoff": 0.02, "xtc_threshold": 0.2, "xtc_probability": 1.0,
    "xtc_u": 0.5,
}  # fmt: skip


def kept(x, temperature=1.0, **filters):
    return np.flatnonzero(fs.truncate(x, temperature, **filters) > -INF).tolist()


# order


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_the_default_order_and_temperature_last_have_names(dtype, rng):
    x = (3 * rng.normal(size=(40, 60))).astype(dtype)
    for order, last in ((DEFAULT, False), (STEPS[:-1], False), (STEPS, True)):
        expected = fs.truncate(x, 1.7, temperature_last=last, **ALL)
        np.testing.assert_array_equal(fs.truncate(x, 1.7, order=order, **ALL), expected)
        np.testing.assert_array_equal(fs.truncate(x, 1.7, order=list(order), **ALL), expected)
    with pytest.raises(ValueError, match="temperature_last"):
        fs.truncate(x, order=STEPS, temperature_last=True, **ALL)


def test_filters_work_in_the_order_given():
    assert kept(FOUR, min_p=0.6, top_p=0.5) == [0, 1]
    assert kept(FOUR, min_p=0.6, top_p=0.5, order=("min_p", "top_p")) == [0]
    assert kept(FOUR, 3.0, min_p=0.6, top_p=0.5, order=("min_p", "temperature", "top_p")) == [0]
    # A filter after XTC sees the row without the largest.
    xtc = {"xtc_threshold": 0.25, "xtc_probability": 1.0, "xtc_u": 0.0}
    assert kept(FOUR, top_k=2, **xtc) == [1]
    assert kept(FOUR, top_k=2, order=("xtc", "top_k"), **xtc) == [1, 2]


def test_a_temperature_in_the_middle_divides_what_filters_see_by_halves():
    # At temperature 1 min_p keeps three; at 3 top_p keeps all three, at 1/3 only the first two.
    order = ("min_p", "temperature", "top_p")
    assert kept(FOUR, 3.0, min_p=0.45, top_p=0.71, order=order) == [0, 1, 2]
    assert kept(FOUR, 1 / 3, min_p=0.45, top_p=0.71, order=order) == [0, 1]
    assert kept(FOUR, 0.0, min_p=0.45, top_p=0.71, order=order) == [0]
    np.testing.assert_array_equal(fs.truncate(FOUR, INF, min_p=0.45, top_p=0.5, order=order), [0, 0, -INF, -INF])
    np.testing.assert_array_equal(fs.truncate(FOUR, 2.0, top_k=2, order=("top_k", "temperature", "top_p")),
                                  np.where([True, True, False, False], FOUR / 2.0, -INF))  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.0, 5e-324, 1e-300, 1e-30, 0.3, 1.0, 7.0, 1e30, 1e300, INF])
def test_any_order_at_any_temperature_is_the_references(dtype, temperature, rng):
    rows = [rng.integers(-4, 5, size=20) / 2.0, np.where(rng.random(20) < 0.2, INF, rng.normal(size=20)),
            np.where(rng.random(20) < 0.4, -INF, np.round(rng.normal(size=20), 1)), np.zeros(20)]  # fmt: skip
    for number in range(24):
        x = rows[number % 4].astype(dtype)
        order = tuple(rng.permutation(STEPS).tolist())
        given = {"top_k": 12, "min_p": 0.03125, "top_h": 0.6, "top_n_sigma": 2.5, "keep": [0, 7, 19], "order": order}
        if number % 3 == 0:
            given |= {"dynatemp_range": 0.25}
        ours, theirs = fs.truncate(x, temperature, **given), reference_rows.truncate(x, temperature, **given)
        np.testing.assert_array_equal(ours > -INF, np.asarray(theirs) > -INF, err_msg=f"{x.tolist()} {given}")


def test_entries_beyond_2_to_the_800_keep_their_order_at_an_infinite_temperature():
    x = np.array([1e300, 3e300, -1e300, 2e300])
    order = ("min_p", "temperature", "top_k", "top_p")
    assert kept(x, INF, top_k=3, top_p=0.5, order=order) == [1, 3]


@pytest.mark.parametrize(
    "order, error, match",
    [
        (("top_k", "top_x"), ValueError, "top_x.*top_k, top_p"),
        (("top_k", 3), ValueError, "3.*top_k, top_p"),
        (("top_k", None), ValueError, "None"),
        (("top_k", "top_p", "top_k"), ValueError, "top_k more than once"),
        (("top_p", "temperature"), ValueError, "top_k is missing"),
        ((), ValueError, "top_k is missing"),
        ("top_k", TypeError, "tuple of names"),
        (5, TypeError, "tuple of names"),
        ({"top_k"}, TypeError, "tuple of names"),
    ],
    ids=str,
)
def test_an_order_that_is_none_raises_and_nothing_is_written(order, error, match):
    out = np.full(4, 7.0)
    for call in (
        lambda: fs.truncate(FOUR, top_k=2, order=order, out=out),
        lambda: fs.sample(FOUR, top_k=[2], order=order),
        lambda: fs.sample_probs([1.0, 2.0], top_k=2, order=order),
        lambda: fs.Sampler(top_k=2, order=order),
    ):
        with pytest.raises(error, match=f"order.*{match}"):
            call()
    assert (out == 7.0).all()


def test_a_filter_that_is_on_in_some_row_must_be_named():
    x = np.tile(FOUR, (2, 1))
    with pytest.raises(ValueError, match="top_p is missing"):
        fs.truncate(x, top_p=[1.0, 0.5], order=("top_k",))
    with pytest.raises(ValueError, match="xtc is missing"):
        fs.truncate(FOUR, xtc_threshold=0.1, xtc_probability=0.5, xtc_u=0.1, order=("top_k",))
    # Off, or not a filter.
    assert kept(FOUR, top_p=1.0, dynatemp_range=0.1, min_tokens_to_keep=2, order=("top_k",)) == [0, 1, 2, 3]
    assert kept(FOUR, xtc_threshold=0.6, xtc_probability=0.5, xtc_u=0.1, order=()) == [0, 1, 2, 3]


# keep


def test_kept_indices_come_back_with_their_own_logits():
    np.testing.assert_array_equal(fs.truncate(FOUR, 2.0, top_k=1, keep=[3]), [FOUR[0] / 2, -INF, -INF, FOUR[3] / 2])
    for keep in ([3, 1], (1, 3, 3), np.array([1, 3], np.uint8), [np.int64(3), 1]):
        assert kept(FOUR, top_p=0.1, keep=keep) == [0, 1, 3]
    assert kept(FOUR, top_p=0.1, keep=[]) == kept(FOUR, top_p=0.1, keep=None) == [0]
    # The filters decide as if there were none: 2 is within 0.5 of the largest, not of what is kept.
    assert kept(FOUR, min_p=0.6, epsilon_cutoff=0.5, keep=[3]) == [0, 3]
    assert kept(np.zeros(6), typical_p=0.2, keep=[5]) == [0, 1, 5]


def test_what_cannot_be_drawn_does_not_come_back():
    assert kept(FOUR, top_k=1, keep=[3], mask=[True, True, True, False]) == [0]
    assert kept([1.0, -INF, 0.0], top_k=1, keep=[1, 2]) == [0, 2]
    assert kept([1.0, INF, 0.0], top_k=1, keep=[0]) == [1]
    assert kept([1.0, INF, 0.0], INF, top_k=1, keep=[0]) == [0, 1]
    drawn = fs.sample_probs([5, 0, 3, 1], top_k=1, keep=[1, 3], size=600, u=np.arange(600) / 600)
    assert np.bincount(drawn).tolist() == [500, 0, 0, 100]


def test_xtc_removes_no_kept_entry():
    xtc = {"xtc_threshold": 0.15, "xtc_probability": 1.0, "xtc_u": 0.0}
    assert kept(FOUR, **xtc) == [2, 3]
    assert kept(FOUR, keep=[1], **xtc) == [1, 2, 3]
    # At temperature 0 the largest of what is left.
    assert fs.sample(FOUR, 0, u=0.9, temperature_last=True, keep=[1], **xtc) == 1
    assert fs.sample(FOUR, 0, u=0.9, keep=[1], **xtc) == 0


@pytest.mark.parametrize("n", [1, 5, 100, 1500, 5000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_kept_entries_join_any_filters(dtype, n, rng):
    x = (3 * rng.normal(size=(8, n))).astype(dtype)
    keep = rng.integers(n, size=4)
    for filters in ({"top_k": 3}, {"top_p": 0.5}, {"typical_p": 0.4}, {"top_h": 0.3}, {"p_less": True}, {"min_p": 0.3}):
        without, joined = fs.truncate(x, 0.7, **filters), fs.truncate(x, 0.7, keep=keep, **filters)
        without[:, keep] = fs.truncate(x, 0.7)[:, keep]
        np.testing.assert_array_equal(joined, without)
        u = rng.random(8)
        np.testing.assert_array_equal(
            fs.sample(x, 0.7, keep=keep, u=u, **filters), fs.sample(joined, u=u) if dtype != np.float16 else
            fs.sample(x, 0.7, keep=keep, u=u, mask=joined > -INF))  # fmt: skip


@pytest.mark.parametrize(
    "keep, error, match",
    [
        ([4], ValueError, "4.*0 to 3"),
        ([0, -1], ValueError, "-1"),
        ([2**63], ValueError, "9223372036854775808"),
        (3, ValueError, "sequence of indices"),
        ([[0, 1]], ValueError, "sequence of indices"),
        ([0.0], TypeError, "ints"),
        ([True, False, False, True], TypeError, "ints"),
        (["a"], TypeError, "ints"),
        (np.ma.masked_array([0, 1]), TypeError, "mask"),
    ],
    ids=str,
)
def test_bad_indices_raise(keep, error, match):
    x = np.tile(FOUR, (2, 1))
    for call in (
        lambda: fs.truncate(x, top_k=2, keep=keep),
        lambda: fs.truncate(FOUR, keep=keep),
        lambda: fs.sample(x, top_k=2, keep=keep),
        lambda: fs.sample(FOUR, top_k=2, keep=keep),
        lambda: fs.sample_probs(np.exp(FOUR), keep=keep, size=300),
        lambda: fs.Sampler(top_k=2, keep=keep)(FOUR),
        lambda: fs.Sampler(top_k=2, keep=keep)(x),
    ):
        with pytest.raises(error, match=f"keep.*{match}"):
            call()


# Sampler


def test_a_sampler_holds_order_and_keep(rng):
    given = {"top_k": 3, "min_p": 0.1, "order": ("min_p", "temperature", "top_k"), "keep": [0, 5]}
    keep = np.array([0, 5])
    sampler = fs.Sampler(1.5, rng=1, **(given | {"keep": keep}))
    keep[:] = 1
    assert sampler.order == given["order"] and sampler.keep.tolist() == [0, 5]
    copy = pickle.loads(pickle.dumps(sampler))
    generator = np.random.default_rng(1)
    x = rng.normal(size=(50, 30))
    for row in x:
        expected = fs.sample(row, 1.5, rng=generator, **given)
        assert sampler(row) == expected == copy(row)
    np.testing.assert_array_equal(sampler(x), fs.sample(x, 1.5, rng=generator, **given))
    sampler.keep, sampler.order, sampler.min_p = None, None, None
    assert sampler.keep is sampler.order is None
    np.testing.assert_array_equal(sampler(x), fs.sample(x, 1.5, rng=generator, top_k=3))
    with pytest.raises(ValueError, match="order"):
        sampler.order = ("min_p",)
    assert sampler.order is None


def test_mirostat_drops_no_kept_entry():
    sampler = fs.Sampler(mirostat_tau=0.5, keep=[3])
    assert {sampler(FOUR, u) for u in np.linspace(0, 0.999, 50)} <= {0, 3}
    sampler.mirostat_mu = 0.0
    assert sampler(FOUR, 0.99) == 3
