"""Filtered draws from the candidates of shards: any cut, in any order of arrival, gives the bits of the whole rows."""

import numpy as np
import pytest
import reference_rows
from breadth import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DTYPES
from rows_in_shards import INF, KINDS, LENGTHS, NAN, US, assert_same, bounds, make

import fastsoftmax as fs
from fastsoftmax import reference

TEMPERATURES = [0.0, 2.0**-100, 1e-3, 0.7, 1.0, 30.0, 2.0**100, INF]
# After top_k, any of these.
AFTER_TOP_K = {
    "top_p": 0.8, "min_p": 0.1, "top_a": 0.2, "p_less": True, "typical_p": 0.7, "top_h": 0.5, "top_n_sigma": 1.0,
    "epsilon_cutoff": 0.02, "eta_cutoff": 0.01, "min_tokens_to_keep": 2,
}  # fmt: skip
# After the temperature, where that comes last.
AT_LAST = {"temperature_last": True, "smoothing_factor": 0.3, "smoothing_curve": 1.5, "dynatemp_range": 0.4}
HOW = {"u": US, "size": US.size, "return_logprob": True, "on_invalid": "flag"}


def sent(x, k, shards, **operands):
    """The candidates of the shards as they travel; operands have an entry for each of the whole rows."""
    parts = []
    for a, b in shards:
        own = {name: value[..., a:b] for name, value in operands.items() if value is not None}
        parts.append(fs.candidates(x[..., a:b], k, offset=a, **own).to_bytes())
    return parts[1:] + parts[:1]  # not in order


def masses(x, parts, temperature, shards, **operands):
    total = 0
    for a, b in shards:
        own = {name: value[..., a:b] for name, value in operands.items() if value is not None}
        total = total + fs.mass_of_shard(x[..., a:b], parts, temperature, **own)
    return total


def assert_draws_are_those_of_the_rows(
    x, k, shards, temperature, mass=None, sums=None, mask=None, bias=None, **filters
):
    index, logprob = fs.sample(x, temperature, mask=mask, bias=bias, **filters, **HOW)
    parts = sent(x, k, shards, mask=mask, bias=bias)
    drawn = fs.sample_from_candidates(parts, temperature, mass=mass, sums=sums, entries=x.shape[-1], **filters, **HOW)
    assert_same(drawn[0], index)
    assert_same(drawn[1], logprob)


rows_and_cuts = {
    "seed": st.integers(0, 2**32),
    "n": st.sampled_from(LENGTHS) | st.integers(1, 9000),
    "dtype": st.sampled_from(DTYPES),
    "shape": st.sampled_from([(), (1,), (3,), (2, 2)]),
    "kind": st.sampled_from(KINDS),
    "data": st.data(),
}


def drawn_case(seed, n, dtype, shape, kind, data):
    """A row, its shards down to one entry, a mask and a bias or None, and a generator."""
    rng = np.random.default_rng(seed)
    x = make(kind, (*shape, n), dtype, rng)
    shards = bounds(n, data.draw(st.sets(st.integers(1, n), max_size=8)))
    mask = rng.random(x.shape) < 0.8 if data.draw(st.booleans()) else None
    bias = rng.normal(size=x.shape) if data.draw(st.booleans()) else None
    return x, shards, mask, bias, rng


@settings(max_examples=cases(150), deadline=None)
@given(**rows_and_cuts)
def test_top_k_from_any_cut_draws_what_the_whole_rows_draw(seed, n, dtype, shape, kind, data):
    x, shards, mask, bias, rng = drawn_case(seed, n, dtype, shape, kind, data)
    k = data.draw(st.sampled_from([1, 2, 20, 64, 600, 1500]))
    filters = {"top_k": rng.integers(1, k, size=shape, endpoint=True)}
    for name in data.draw(st.sets(st.sampled_from(sorted(AFTER_TOP_K)), max_size=3)):
        filters[name] = AFTER_TOP_K[name]
    filters["min_tokens_to_keep"] = min(k, filters.get("min_tokens_to_keep", 1))
    if data.draw(st.booleans()):
        filters |= AT_LAST
    if data.draw(st.booleans()):
        filters |= {"xtc_threshold": 0.1, "xtc_probability": 0.5, "xtc_u": rng.random(shape)}
    temperature = rng.choice(TEMPERATURES, size=shape)
    assert_draws_are_those_of_the_rows(x, k, shards, temperature, mask=mask, bias=bias, **filters)


@settings(max_examples=cases(100), deadline=None)
@given(**rows_and_cuts)
def test_min_p_from_any_cut_draws_what_the_whole_rows_draw(seed, n, dtype, shape, kind, data):
    x, shards, mask, bias, rng = drawn_case(seed, n, dtype, shape, kind, data)
    filters = {"min_p": rng.choice([0.01, 0.2, 1.0], size=shape), "top_n_sigma": data.draw(st.sampled_from([0.0, 1.0]))}
    temperature = rng.choice([0.0, 1e-3, 0.7, 30.0], size=shape)
    operands = {"mask": mask, "bias": bias}
    try:
        assert_draws_are_those_of_the_rows(x, 20, shards, temperature, **operands, **filters)
    except ValueError as error:
        assert "pass candidates a larger k" in str(error)
        assert_draws_are_those_of_the_rows(x, n, shards, temperature, **operands, **filters)


def assert_some_are_enough(draws_by, n):
    """100 candidates of each shard decide the draws, or say that it takes more; all n do."""
    try:
        draws_by(100)
    except ValueError as error:
        assert n > 100 and "pass candidates a larger k" in str(error)
        draws_by(n)


@settings(max_examples=cases(150), deadline=None)
@given(**rows_and_cuts)
def test_top_p_and_the_masses_of_any_cut_draw_what_the_whole_rows_draw(seed, n, dtype, shape, kind, data):
    x, shards, mask, bias, rng = drawn_case(seed, n, dtype, shape, kind, data)
    filters = {"top_p": rng.choice([0.0, 0.3, 0.9, 1 - 1e-12], size=shape)}
    filters |= data.draw(st.sampled_from([{}, {"min_p": 0.2}, {"typical_p": 0.5}, {"temperature_last": True}]))
    temperature = rng.choice([0.0, 2.0**-80, 1e-3, 0.7, 30.0, INF], size=shape)
    operands = {"mask": mask, "bias": bias}
    seen = np.ones(shape) if "temperature_last" in filters else temperature

    def draws_by(k):
        mass = masses(x, sent(x, k, shards, **operands), seen, shards, **operands)
        assert_draws_are_those_of_the_rows(x, k, shards, temperature, mass, **operands, **filters)

    assert_some_are_enough(draws_by, n)


@settings(max_examples=cases(100), deadline=None)
@given(**rows_and_cuts)
def test_top_n_sigma_and_the_sums_of_any_cut_draw_what_the_whole_rows_draw(seed, n, dtype, shape, kind, data):
    x, shards, mask, bias, rng = drawn_case(seed, n, dtype, shape, kind, data)
    filters = {"top_n_sigma": rng.choice([0.3, 1.0, 2.5], size=shape)}
    after = [{"eta_cutoff": 0.1}, {"typical_p": 0.5, "min_p": 0.1, "order": ("top_n_sigma", "min_p", "typical_p")}]
    filters |= data.draw(st.sampled_from([{}, {"temperature_last": True}, *after]))
    temperature = rng.choice([0.0, 1e-3, 0.7, 30.0], size=shape)
    operands = {"mask": mask, "bias": bias}
    sums = 0.0
    for a, b in shards:
        own = {name: value[..., a:b] for name, value in operands.items() if value is not None}
        sums = sums + fs.sums_of_shard(x[..., a:b], **own)
    assert_some_are_enough(
        lambda k: assert_draws_are_those_of_the_rows(x, k, shards, temperature, sums=sums, **operands, **filters), n
    )


def test_an_entry_at_the_bound_of_top_n_sigma_is_not_guessed():
    x = np.zeros(64)
    x[:4], x[4:8] = 4.0, -4.0  # sigma is sqrt(2)
    parts = sent(x, 20, bounds(64, [30]))
    sums = fs.sums_of_shard(x[:30]) + fs.sums_of_shard(x[30:])
    near = 4.0 / np.sqrt(2.0)
    for n in (near * (1 - 1e-8), 1.0):
        assert_draws_are_those_of_the_rows(x, 20, bounds(64, [30]), 1.0, sums=sums, top_n_sigma=n)
    with pytest.raises(
        ValueError, match="top_n_sigma keeps all of the 20 entries that the shard at offset 0|offset 30"
    ):
        fs.sample_from_candidates(parts, top_n_sigma=near * (1 + 1e-8), sums=sums, u=0.5)
    x[40] = 3.999999999
    parts = sent(x, 20, bounds(64, [30]))
    sums = fs.sums_of_shard(x)
    sigma = np.sqrt(sums[2] / 64 - (sums[1] / 64) ** 2)
    with pytest.raises(ValueError, match="top_n_sigma cannot be decided for the row"):
        fs.sample_from_candidates(parts, top_n_sigma=1e-9 / sigma, sums=sums, u=0.5)


def test_rows_of_one_call_may_have_different_first_filters(dtype, rng):
    x = make("normal", (6, 4000), np.float64, rng)
    x[:, rng.integers(0, 4000, size=30)] += 9.0
    x = x.astype(dtype)
    shards = bounds(4000, [1000, 1777, 3001])
    filters = {
        "top_k": [40, 0, 0, 0, 40, 3],
        "top_p": [0.9, 0.4, 1.0, 1.0, 1.0, 0.5],
        "min_p": [0.0, 0.2, 0.3, 0.0, 0.0, 0.0],
        "top_n_sigma": [0.0, 0.0, 1.0, 0.6, 0.8, 0.0],
        "min_tokens_to_keep": [1, 3, 2, 1, 1, 5],
    }
    temperature = [0.7, 0.5, 1.0, 0.0, np.inf, 2.0]
    parts = sent(x, 100, shards)
    mass = masses(x, parts, np.where(np.array(temperature) == np.inf, 1.0, temperature), shards)
    sums = sum(fs.sums_of_shard(x[:, a:b]) for a, b in shards)
    assert_draws_are_those_of_the_rows(x, 100, shards, temperature, mass, sums, **filters)
    first, then = ("top_p", "top_n_sigma", "min_p"), ("top_n_sigma", "temperature", "top_p", "min_p")
    for order, seen in ((first, temperature[:3]), (then, temperature[:3]), ((*first, "temperature"), 1.0)):
        some = {name: value[:3] for name, value in filters.items() if name != "top_k"} | {"order": order}
        mass = masses(x[:3], sent(x[:3], 100, shards), seen, shards)
        assert_draws_are_those_of_the_rows(x[:3], 100, shards, temperature[:3], mass, sums[:3], **some)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_shards_of_one_entry_draw_the_same(kind, temperature, dtype, rng):
    x = make(kind, (2, 70), dtype, rng)
    shards = bounds(70, range(1, 70))
    assert_draws_are_those_of_the_rows(x, 5, shards, temperature, top_k=5, top_p=0.9)
    assert_draws_are_those_of_the_rows(x, 5, shards, temperature, top_k=[1, 3], typical_p=0.5)


def test_few_candidates_are_enough_for_the_nucleus_of_a_long_row(dtype, rng):
    """What travels for top_p alone: the best 256 of each of four shards, and a mass."""
    x = make("normal", (4, 20_000), np.float64, rng)
    x[:, rng.integers(0, 20_000, size=40)] += 12.0
    x = x.astype(dtype)
    shards = bounds(20_000, [5000, 9999, 15_001])
    parts = sent(x, 256, shards)
    for temperature in (0.01, 0.6, 1.0):
        mass = masses(x, parts, temperature, shards)
        for top_p in (0.1, 0.5, 0.9):
            assert_draws_are_those_of_the_rows(x, 256, shards, temperature, mass, top_p=top_p)


def test_masses_are_the_same_for_any_cut(dtype, rng):
    x = make("some -inf", (3, 3000), dtype, rng)
    parts = sent(x, 10, bounds(3000, [7, 1500]))
    for temperature in (0.01, 1.0, INF):
        whole = fs.mass_of_shard(x, parts, temperature)
        for cuts in ([1], [1024, 2048], range(1, 3000, 100)):
            assert_same(masses(x, parts, temperature, bounds(3000, cuts)), whole)


def test_entries_of_any_size_are_found(dtype, rng):
    most = {"float16": 6e4, "float64": 1e300}.get(dtype.name, 1e30)
    x = (rng.uniform(-1, 1, size=(3, 300)) * most).astype(dtype)
    x[1, ::2] = -INF
    x[2] = rng.uniform(-1, 1, size=300) / most
    for k in (1, 7, 200):
        c = fs.candidates(x, k, offset=0)
        for row, found in zip(x.astype(np.float64), c.indices, strict=True):
            expected = sorted(range(300), key=lambda i, row=row: (-row[i], i))[:k]
            assert [i for i in found if i >= 0] == sorted(i for i in expected if row[i] > -INF)
    assert_draws_are_those_of_the_rows(x, 50, bounds(300, [40, 200]), 1.0, top_k=50, top_p=0.9)


def test_ties_are_decided_by_the_index_across_shards():
    x = np.zeros(40)
    parts = sent(x, 3, bounds(40, [10, 11, 30]))
    drawn = {fs.sample_from_candidates(parts, top_k=3, u=u) for u in np.linspace(0, 0.99, 30)}
    assert drawn == {0, 1, 2}
    best = fs.candidates(x[10:], 3, offset=10)
    assert best.indices.tolist() == [10, 11, 12] and best.values.tolist() == [0.0] * 3


def test_top_k_before_and_after_other_filters_by_order(rng):
    x = rng.normal(size=(2, 500))
    shards = bounds(500, [100, 333])
    first = {"top_k": 30, "top_p": 0.7, "min_p": 0.05}
    assert_draws_are_those_of_the_rows(x, 30, shards, 0.8, order=("top_k", "temperature", "min_p", "top_p"), **first)
    assert_draws_are_those_of_the_rows(x, 300, shards, 0.8, order=("min_p", "top_k", "top_p"), **first)
    parts = sent(x, 30, shards)
    with pytest.raises(ValueError, match="top_k comes after top_p in row 0: put top_k before it"):
        fs.sample_from_candidates(parts, u=0.5, order=("top_p", "top_k", "min_p"), mass=1, **first)


@pytest.mark.parametrize(
    "filters, why",
    [
        ({}, "no filter is on"),
        ({"top_k": [5, 0]}, "no filter is on in row 1"),
        ({"top_k": 6}, "top_k is 6 in row 0, but the shard at offset 0 has sent its 5 best"),
        ({"top_k": 5, "min_tokens_to_keep": 7}, "top_k is 7"),
        ({"top_p": 0.9}, "top_p needs the mass of the whole row"),
        ({"min_p": 1e-9}, "min_p keeps all of the 5 entries"),
        ({"keep": [3], "top_k": 5}, "keep cannot be had from candidates"),
        ({"top_k": 5, "dynatemp_range": 0.5}, "dynatemp_range needs the whole row"),
        ({"top_k": 5, "smoothing_factor": 0.5}, "smoothing_factor needs the whole row"),
        ({"top_k": 5, "top_p": 0.9, "order": ("top_p", "top_k")}, "top_k comes after top_p"),
        ({"typical_p": 0.5}, "typical_p needs the entropy"),
        ({"top_n_sigma": 1.0}, "top_n_sigma needs the sums of the whole row"),
        ({"top_n_sigma": 1.0, "sums": [1.0]}, r"sums must have the shape \(2, 3\)"),
        ({"top_n_sigma": 1.0, "sums": np.zeros((2, 3))}, "sums of row 0 have no standard deviation"),
        ({"top_n_sigma": 9.0, "sums": [[100, 0, 100]] * 2}, "top_n_sigma keeps all of the 5 entries"),
        ({"top_a": 0.5}, "top_a needs the mass"),
        ({"p_less": True}, "p_less needs the squares"),
        ({"top_h": 0.5}, "top_h needs the entropy"),
        ({"epsilon_cutoff": 0.5}, "epsilon_cutoff needs the mass"),
        ({"eta_cutoff": 0.5}, "eta_cutoff needs the entropy"),
        ({"xtc_threshold": 0.1, "xtc_probability": 1.0, "xtc_u": 0.5}, "xtc needs the mass"),
        ({"top_k": 5, "temperature": [1.0, 1e300]}, r"2\*\*900 for a shard, got 1e\+300 \(row 1\)"),
        ({"top_k": 5, "entries": 101}, "they are of 100 entries, not 101"),
        ({"top_k": 5, "on_invalid": "ignore"}, "on_invalid must be"),
    ],
)
def test_what_candidates_do_not_decide_is_refused_by_name(filters, why, rng):
    parts = sent(rng.normal(size=(2, 100)), 5, bounds(100, [50]))
    with pytest.raises(ValueError, match=why):
        fs.sample_from_candidates(parts, u=0.5, **filters)


def test_all_entries_draw_with_any_filter(rng):
    x = rng.normal(size=(2, 60))
    shards = bounds(60, [5, 40])
    for filters in ({}, {"typical_p": 0.5, "keep": [3]}, {"dynatemp_range": 0.5, "top_p": 0.5}):
        assert_draws_are_those_of_the_rows(x, 60, shards, 0.8, **filters)


@pytest.mark.parametrize("mass", [3, 2**61])
def test_a_wrong_mass_is_an_error_or_asks_for_more(mass, rng):
    parts = sent(rng.normal(size=(2, 100)), 5, bounds(100, [50]))
    with pytest.raises(ValueError, match="less than the candidates alone have|pass candidates a larger k"):
        fs.sample_from_candidates(parts, top_p=0.5, mass=mass, u=0.5)
    with pytest.raises(TypeError, match="mass must be integers"):
        fs.sample_from_candidates(parts, top_p=0.5, mass=0.5, u=0.5)


def test_rows_that_cannot_be_drawn_from_raise_in_every_process(dtype):
    x = np.zeros((3, 300), dtype)
    x[1, 217] = NAN
    x[2] = -INF
    parts = sent(x, 8, bounds(300, [100, 200]))
    with pytest.raises(ValueError, match="candidates: row 1 has nan at entry 217; fix it, or pass on_invalid"):
        fs.sample_from_candidates(parts, top_k=8, u=0.5)
    assert_draws_are_those_of_the_rows(x, 8, bounds(300, [100, 200]), 1.0, top_k=8)
    parts = sent(x[[0, 2]], 8, bounds(300, [100]))
    with pytest.raises(ValueError, match="row 1 has no entry above -inf that is allowed"):
        fs.sample_from_candidates(parts, top_k=8, u=0.5)
    assert fs.mass_of_shard(x[[2]], sent(x[[2]], 8, bounds(300, []))).tolist() == [0]


def test_shards_that_do_not_make_a_row_are_errors():
    x = np.zeros((2, 100), np.float32)
    a, b, c = (fs.candidates(x[:, i : i + 30], 5, offset=i) for i in (0, 30, 60))
    draw = {"top_k": 3, "u": 0.5}
    with pytest.raises(ValueError, match="entries 30 to 60 are missing"):
        fs.sample_from_candidates([c, a], **draw)
    with pytest.raises(ValueError, match="entry 30 is in two of them"):
        fs.sample_from_candidates([b, a, b], **draw)
    with pytest.raises(ValueError, match="entries 0 to 30 are missing"):
        fs.sample_from_candidates([b], **draw)
    with pytest.raises(ValueError, match="pass those of the same rows"):
        fs.sample_from_candidates([a, fs.candidates(x[:1, 30:], 5, offset=30)], **draw)
    with pytest.raises(ValueError, match="there are none"):
        fs.sample_from_candidates([], **draw)
    with pytest.raises(TypeError, match="not int"):
        fs.sample_from_candidates(7, **draw)
    with pytest.raises(TypeError, match="u must be the uniforms"):
        fs.sample_from_candidates([a], top_k=3, u=None)
    with pytest.raises(ValueError, match="an entry above the largest candidate"):
        fs.mass_of_shard(x + 1, [a, b, c])
    with pytest.raises(ValueError, match="logits_shard has rows of shape"):
        fs.mass_of_shard(x[:1], [a, b, c])
    with pytest.raises(ValueError, match=r"2\*\*90"):
        fs.mass_of_shard(x, [a, b, c], 2.0**100)


def test_the_reference_gives_the_same(rng):
    x = rng.normal(0, 2, size=(4, 300))
    shards = bounds(300, [64, 65, 200])
    fast = sent(x, 40, shards)
    for filters in ({"top_k": 12, "top_p": 0.8}, {"min_p": 0.2}, {"top_p": 0.4}, {"top_n_sigma": 1.2}):
        u = rng.random(4)
        mass = masses(x, fast, 0.8, shards)
        of_all = {"mass": mass, "sums": sum(fs.sums_of_shard(x[:, a:b]) for a, b in shards)}
        index, logprob = fs.sample_from_candidates(fast, 0.8, u=u, return_logprob=True, **of_all, **filters)
        for row, i, log, one in zip(x.tolist(), index, logprob, u, strict=True):
            slow = [reference.candidates(row[a:b], 40, offset=a) for a, b in shards]
            total = sum(reference.mass_of_shard(row[a:b], slow, 0.8) for a, b in shards)
            sums = np.sum([reference.sums_of_shard(row[a:b]) for a, b in shards], axis=0).tolist()
            given = {"top_p": {"mass": total}, "top_n_sigma": {"sums": sums}}.get(next(iter(filters)), {})
            expected = reference.sample_from_candidates(slow, 0.8, u=one, return_logprob=True, **given, **filters)
            assert expected[0] == i == reference.sample(row, 0.8, u=one, **filters)
            assert abs(expected[1] - log) < 1e-13
    assert reference_rows.sample(x, 0.8, u=u, **filters).tolist() == index.tolist()


def test_penalties_masks_and_biases_by_shard_are_those_of_the_whole_rows(dtype, rng):
    """Each shard penalises its own entries, by the tokens of the context that it has; DRY counts the whole context."""
    n, offsets = 2000, [0, 300, 1024, 1500]
    x = make("normal", (2, n), dtype, rng)
    context = [rng.integers(0, n, size=200).tolist(), [5, 300, 301, 5, 300] * 5]
    how = {"repetition": 1.3, "frequency": 0.2, "presence": 0.1}
    whole = fs.penalize(x, context, **how)
    mask = rng.random(x.shape) < 0.9
    bias = {7: 1.5, 299: -1.0, 300: 2.0, 1999: 0.5}
    parts = []
    for a, b in zip(offsets, [*offsets[1:], n], strict=True):
        own_tokens = [[token - a for token in row if a <= token < b] for row in context]
        shard = fs.penalize(x[:, a:b], own_tokens, **how)
        assert_same(shard, np.ascontiguousarray(whole[:, a:b]))
        own_bias = {i - a: v for i, v in bias.items() if a <= i < b}
        parts.append(fs.candidates(shard, 50, offset=a, mask=mask[:, a:b], bias=own_bias))
    drawn = fs.sample_from_candidates(parts, 0.8, top_k=50, top_p=0.95, return_logprob=True, u=[0.3, 0.8])
    expected = fs.sample(whole, 0.8, mask=mask, bias=bias, top_k=50, top_p=0.95, return_logprob=True, u=[0.3, 0.8])
    assert_same(drawn[0], expected[0])
    assert_same(drawn[1], expected[1])


def test_dry_by_shard_sees_the_whole_context_in_a_row_of_the_whole_length(dtype, rng):
    n = 900
    x = make("normal", (n,), dtype, rng)
    context = [1, 500, 700, 1, 500, 700, 1, 500]
    whole = fs.penalize(x, context, dry_multiplier=0.8, repetition=1.1)
    assert whole[700] < x[700]
    for a, b in bounds(n, [300, 650]):
        row = np.zeros(n, dtype)
        row[a:b] = x[a:b]
        fs.penalize(row, context, dry_multiplier=0.8, repetition=1.1, out=row)
        assert_same(row[a:b], whole[a:b])
