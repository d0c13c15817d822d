"""integrations/torch.py beside PyTorch's own functions and distribution, and beside the functions for arrays."""

import math
import os
import re
import shutil
import warnings

import numpy as np
import pytest

import fastsoftmax as fs

torch = pytest.importorskip("torch")
import fastsoftmax.integrations.torch as fst  # noqa: E402
from fastsoftmax.integrations import _torch_ops as ops  # noqa: E402

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float32: 2e-6, torch.float64: 1e-14, torch.float16: 2e-3, torch.bfloat16: 2e-2}
REJECTED = 9000  # entries of a row that is drawn from by rejection
FUNCTIONS = {"softmax": torch.softmax, "log_softmax": torch.log_softmax, "logsumexp": torch.logsumexp}

needs_cxx = pytest.mark.skipif(shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler")
each_function = pytest.mark.parametrize("name", FUNCTIONS)


def of_arrays(name, x, temperature, dim):
    """The same by the function for arrays."""
    result = getattr(fs, name)(x, temperature, axis=dim)
    return torch.tensor(np.asarray(result, np.float64))


# Values


@each_function
@pytest.mark.parametrize("torch_dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape, dim", [((64,), -1), ((3, 5), 0), ((2, 3, 4), 1), ((), -1), ((4, 0), 0)], ids=str)
def test_values_are_those_of_arrays_and_close_to_those_of_torch(name, torch_dtype, shape, dim):
    if torch_dtype == torch.bfloat16:
        pytest.importorskip("ml_dtypes")
    x = torch.randn(shape).mul(3).to(torch_dtype)
    got = getattr(fst, name)(x, 0.7, dim=dim)
    assert got.dtype == torch_dtype
    np.testing.assert_array_equal(got.double(), of_arrays(name, x, 0.7, dim))
    wanted = FUNCTIONS[name](x.double() / 0.7, dim)
    assert got.shape == wanted.shape
    torch.testing.assert_close(got.double(), wanted, rtol=TOLERANCE[torch_dtype], atol=TOLERANCE[torch_dtype])


@each_function
def test_a_temperature_for_each_row(name):
    x, t = torch.randn(3, 5, dtype=torch.float64), torch.tensor([0.0, 0.5, math.inf], dtype=torch.float64)
    np.testing.assert_array_equal(getattr(fst, name)(x, t), of_arrays(name, x, t.numpy(), -1))
    got = getattr(fst, name)(x.T, t, dim=0)
    np.testing.assert_array_equal(got, of_arrays(name, x.T, t.numpy(), 0))


def test_keepdim():
    x = torch.randn(2, 3, 4)
    assert fst.logsumexp(x, dim=1, keepdim=True).shape == (2, 1, 4)
    np.testing.assert_array_equal(fst.logsumexp(x, dim=1, keepdim=True).squeeze(1), fst.logsumexp(x, dim=1))


def test_views_of_every_kind_are_read_as_they_are():
    x = torch.randn(6, 8)
    for view in (x.T, x[::2], x[:, ::3], x.expand(2, 6, 8), torch.as_strided(x, (3, 4), (1, 3))):
        np.testing.assert_array_equal(fst.softmax(view, 2.0), fst.softmax(view.contiguous(), 2.0))


# Gradients


def _gradients(function, x, t):
    assert torch.autograd.gradcheck(function, (x, t))
    assert torch.autograd.gradgradcheck(function, (x, t))


@each_function
@pytest.mark.parametrize("dim, t_shape", [(-1, ()), (-1, (4,)), (0, (5,)), (0, (1,)), (-1, (1,))], ids=str)
def test_gradients_of_the_logits_and_of_the_temperature(name, dim, t_shape):
    x = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    t = torch.rand(t_shape, dtype=torch.float64).add(0.5).requires_grad_()
    _gradients(lambda a, b: getattr(fst, name)(a, b, dim=dim), x, t)


@each_function
def test_gradients_of_more_dimensions(name):
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    t = torch.rand(2, 4, dtype=torch.float64).add(0.5).requires_grad_()
    _gradients(lambda a, b: getattr(fst, name)(a, b, dim=1), x, t)


@each_function
@pytest.mark.parametrize("torch_dtype", DTYPES, ids=str)
def test_gradients_of_every_dtype_are_close_to_those_of_torch(name, torch_dtype):
    if torch_dtype == torch.bfloat16:
        pytest.importorskip("ml_dtypes")
    x = torch.randn(3, 30).to(torch_dtype)
    ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
    weights = torch.randn(FUNCTIONS[name](theirs, -1).shape, dtype=torch.float64)
    (getattr(fst, name)(ours, 0.5).double() * weights).sum().backward()
    (FUNCTIONS[name](theirs / 0.5, -1) * weights).sum().backward()
    assert ours.grad.dtype == torch_dtype
    torch.testing.assert_close(
        ours.grad.double(), theirs.grad, rtol=10 * TOLERANCE[torch_dtype], atol=10 * TOLERANCE[torch_dtype]
    )


@each_function
def test_gradients_where_entries_have_no_probability(name):
    x = torch.tensor([[0.5, -math.inf, 1.0]], dtype=torch.float64, requires_grad=True)
    t = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    result = getattr(fst, name)(x, t)
    result[torch.isfinite(result)].sum().backward()
    assert torch.isfinite(x.grad).all() and torch.isfinite(t.grad)
    if name != "log_softmax":
        assert x.grad[0, 1] == 0


@each_function
def test_gradients_at_temperature_zero_are_zero(name):
    x = torch.randn(5, requires_grad=True)
    t = torch.zeros((), requires_grad=True)
    getattr(fst, name)(x, t)[..., :1].sum().backward() if name != "logsumexp" else fst.logsumexp(x, t).backward()
    assert (x.grad == 0).all() and t.grad == 0


# The compiler and transformations


@pytest.mark.parametrize("operator", [ops.softmax, ops.log_softmax, ops.logsumexp], ids=lambda o: o._name)
@pytest.mark.parametrize("dim", [-1, 0])
def test_operators_pass_opcheck(operator, dim):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    for t in (torch.tensor(0.7, dtype=torch.float64), torch.rand(4 if dim == 0 else 3).add(0.5).requires_grad_()):
        torch.library.opcheck(operator, (x, t, dim))


@pytest.mark.parametrize("size", [None, 3])
def test_the_draw_passes_opcheck(size):
    filters = [math.nan] * len(ops.FILTERS)
    u = torch.rand((5,) if size is None else (5, size), dtype=torch.float64)
    logits = torch.randn(5, 7)
    torch.library.opcheck(ops.sample, (logits, torch.tensor(0.7), u, -1, size, None, None, None, filters, "raise"))
    filters[ops.FILTERS.index("top_k")] = 2.0
    mask = torch.ones(5, 7, dtype=torch.bool)
    torch.library.opcheck(ops.sample, (logits, torch.tensor(0.7), u, -1, size, mask, logits, None, filters, "raise"))


@pytest.mark.parametrize("method", ["inversion", "rejection"])
def test_the_seeded_draw_passes_opcheck(method):
    filters = [math.nan] * len(ops.FILTERS)
    logits = torch.randn(3, REJECTED)
    for words in (
        (torch.tensor(7), None, None),
        (torch.tensor(2**64 - 1, dtype=torch.uint64), torch.arange(3), torch.tensor(5)),
        (torch.arange(3), torch.arange(3) - 5, torch.arange(3)),
    ):
        given = (logits, torch.tensor(0.7), None, -1, None, None, None, None, filters, "raise", *words, method)
        torch.library.opcheck(ops.sample, given)


def test_compiled_functions_give_the_same():
    def function(x, t):
        return fst.softmax(x * 2, t, dim=0).sum(-1), fst.log_softmax(x, 0.5), fst.logsumexp(x, t, dim=0)

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    x, t = torch.randn(4, 6, requires_grad=True), torch.rand(6) + 0.5
    for a, b in zip(compiled(x, t), function(x, t), strict=True):
        np.testing.assert_array_equal(a.detach(), b.detach())
    compiled(x, t)[1][:, 0].sum().backward()
    assert torch.isfinite(x.grad).all()


def test_compiled_draws_give_the_same():
    u = torch.rand(50, dtype=torch.float64)
    x = torch.randn(50, 20)

    def function(x, u):
        return fst.sample(x, 0.7, u=u, top_k=3, min_tokens_to_keep=2, return_logprob=True)

    for a, b in zip(torch.compile(function, fullgraph=True, backend="aot_eager")(x, u), function(x, u), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # PyTorch's own, in inductor
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=needs_cxx)])
def test_compiled_seeded_draws_give_the_same_and_are_compiled_once_for_all_steps(backend):
    x, keys = torch.randn(4, REJECTED), torch.tensor([3, -1, 2, 0])
    compiled = torch.compile(
        lambda x, step: fst.sample(x, 0.7, seed=2**64 - 1, keys=keys, step=step, method="rejection"),
        fullgraph=True, backend=backend,
    )  # fmt: skip
    for step in range(12):  # more than the compiler compiles for
        wanted = fs.sample(x, 0.7, seed=2**64 - 1, keys=keys, step=step, method="rejection")
        np.testing.assert_array_equal(compiled(x, step), wanted)
    np.testing.assert_array_equal(compiled(x, torch.tensor(11)), wanted)
    xtc = {"seed": 5, "xtc_threshold": 0.001, "xtc_probability": 0.5}
    compiled = torch.compile(lambda x: fst.sample(x, **xtc), fullgraph=True, backend=backend)
    np.testing.assert_array_equal(compiled(x), fs.sample(x, **xtc))


@each_function
def test_vmap(name):
    function = getattr(fst, name)
    x, t = torch.randn(3, 4, 5), torch.tensor([0.5, 1.0, 2.0])
    both = torch.func.vmap(function)(x, t)
    only_x = torch.func.vmap(lambda a: function(a, 0.5, dim=0), in_dims=1, out_dims=1 if name != "logsumexp" else 0)(x)
    only_t = torch.func.vmap(lambda b: function(x[0], b))(t)
    for i in range(3):
        np.testing.assert_array_equal(both[i], function(x[i], t[i]))
        np.testing.assert_array_equal(only_t[i], function(x[0], t[i]))
    np.testing.assert_array_equal(only_x[1] if name == "logsumexp" else only_x[:, 1], function(x[:, 1], 0.5, dim=0))


# Draws


def test_a_draw_is_that_of_arrays():
    x, u = torch.randn(30, 50), torch.rand(30, dtype=torch.float64)
    mask, bias = torch.rand(30, 50) < 0.8, torch.randn(30, 50)
    got = fst.sample(x, 0.7, u=u, mask=mask, bias=bias, top_p=0.9, return_logprob=True)
    wanted = fs.sample(x, 0.7, u=u, mask=mask, bias=bias, top_p=0.9, return_logprob=True)
    assert got[0].dtype == torch.int64 and got[1].dtype == torch.float64
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(fst.sample(x.T, 0.7, u=u, dim=0), fs.sample(x, 0.7, u=u))


def test_draws_from_one_row_and_in_numbers():
    x = torch.randn(50)
    one, many = fst.sample(x), fst.sample(x, num_samples=1000)
    assert one.shape == () and one.dtype == torch.int64 and many.shape == (1000,)
    assert fst.sample(x.expand(4, 50), num_samples=7).shape == (4, 7)
    assert fst.sample(x.expand(0, 50)).shape == (0,)


def test_a_generator_gives_the_uniforms():
    x = torch.randn(20, 50)
    for generator in (torch.Generator().manual_seed(3), None):
        torch.manual_seed(3)
        drawn = fst.sample(x, 0.7, generator=generator)
        u = torch.rand(20, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        np.testing.assert_array_equal(drawn, fs.sample(x, 0.7, u=u))


def test_keys_make_a_draw_independent_of_its_batch():
    x = torch.randn(8, 100)
    u = torch.from_numpy(fs.keyed_uniforms(7, np.arange(8), 5))
    batch = fst.sample(x, u=u)
    assert [int(fst.sample(x[i], u=u[i])) for i in range(8)] == batch.tolist()


@pytest.mark.parametrize("n", [50, REJECTED])
@pytest.mark.parametrize("method", ["inversion", "rejection"])
def test_a_seeded_draw_is_that_of_arrays(n, method):
    x = torch.randn(4, n)
    unsigned = torch.tensor([0, 1, 2**63, 2**64 - 1], dtype=torch.uint64)
    for words in (
        {"seed": 7},
        {"seed": 2**64 - 1, "step": 2**64 - 1, "keys": [5, -1, 2**62, 0]},
        {"seed": torch.tensor(3), "keys": torch.tensor([5, -1, 2, 0]), "step": torch.tensor(9)},
        {"seed": unsigned, "keys": unsigned, "step": unsigned},
        {"seed": np.arange(4), "keys": np.arange(4, dtype=np.int8)},
    ):
        numbers = {name: ops.number_or_array(value, name) for name, value in words.items()}
        for options in ({}, {"top_k": 20}, {"xtc_threshold": 0.001, "xtc_probability": 0.5}, {"return_logprob": True}):
            got = fst.sample(x, 0.7, **words, method=method, **options)
            wanted = fs.sample(x.numpy(), 0.7, **numbers, method=method, **options)
            for a, b in zip(*(r if options.get("return_logprob") else (r,) for r in (got, wanted)), strict=True):
                np.testing.assert_array_equal(a, b)
    alone = [int(fst.sample(x[i], seed=7, keys=torch.tensor(i), method=method)) for i in range(4)]
    drawn = fst.sample(x, seed=7, method=method)
    assert drawn.dtype == torch.int64 and alone == drawn.tolist()
    np.testing.assert_array_equal(fst.sample(x.T, dim=0, seed=7, method=method), drawn)
    if n == REJECTED:
        assert (fst.sample(x, seed=7) != fst.sample(x, seed=7, method="rejection")).any()


def test_a_seeded_draw_leaves_the_generator_of_torch_alone():
    before = torch.random.get_rng_state()
    fst.sample(torch.randn(4, 50, generator=torch.Generator()), seed=7, xtc_threshold=0.01, xtc_probability=0.5)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_xtc_takes_its_coins_first():
    x = torch.zeros(500, 10)
    torch.manual_seed(5)
    drawn = fst.sample(x, xtc_threshold=0.05, xtc_probability=0.5)
    torch.manual_seed(5)
    coins, u = torch.rand(500, dtype=torch.float64), torch.rand(500, dtype=torch.float64)
    np.testing.assert_array_equal(drawn, fs.sample(x, u=u, xtc_u=coins, xtc_threshold=0.05, xtc_probability=0.5))


# Errors


def test_a_tensor_on_another_device_is_called_so():
    x = torch.randn(3, device="meta")
    for call in (lambda: fst.softmax(x), lambda: fst.logsumexp(x), lambda: fst.sample(x, u=torch.rand(()).double())):
        with pytest.raises((TypeError, NotImplementedError), match="(x|logits) is on meta.*cpu"):
            call()


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda x: fst.softmax(x, -1.0), ValueError, "temperature"),
        (lambda x: fst.softmax(x, dim=3), IndexError, "axis 3 is out of bounds"),
        (lambda x: fst.sample(x, top_q=3), TypeError, "unexpected keyword argument 'top_q'"),
        (lambda x: fst.sample(x, u=torch.rand(2), generator=torch.Generator()), ValueError, "u and generator"),
        (lambda x: fst.sample(x, u=torch.rand(2), seed=1), ValueError, "u and seed are both given"),
        (lambda x: fst.sample(x, generator=torch.Generator(), seed=1), ValueError, "generator and seed are both given"),
        (lambda x: fst.sample(x, num_samples=3, seed=1), ValueError, "num_samples cannot be given with a seed"),
        (lambda x: fst.sample(x, keys=torch.arange(2)), ValueError, "keys needs a seed"),
        (lambda x: fst.sample(x, step=3), ValueError, "step needs a seed"),
        (lambda x: fst.sample(x, method="rejection"), ValueError, "method needs a seed"),
        (lambda x: fst.sample(x, method="alias", seed=1), ValueError, 'method must be "inversion" or "rejection"'),
        (lambda x: fst.sample(x, seed=-1), ValueError, "seed must be at least 0"),
        (lambda x: fst.sample(x, seed=torch.tensor([1, -1])), ValueError, "seed must be at least 0.*at index 1"),
        (lambda x: fst.sample(x, seed=2**64), ValueError, "seed must be at least 0 and below"),
        (lambda x: fst.sample(x, seed=torch.tensor([0.5, 1.0])), TypeError, "seed must be integers"),
        (lambda x: fst.sample(x, seed=1, keys=torch.arange(3)), ValueError, "keys must have the shape of the rows"),
        (lambda x: fst.sample(x, seed=1, keys=torch.arange(2, device="meta")), TypeError, "keys is on meta"),
        (lambda x: fst.sample(x * math.nan), ValueError, "logits: row 0 has nan at entry 0"),
    ],
)
def test_errors_are_those_of_arrays(call, error, words):
    with pytest.raises(error, match=words):
        call(torch.randn(2, 3))


@pytest.mark.parametrize(
    "wrong",
    [{"seed": 2**64}, {"seed": -1}, {"seed": 1, "keys": torch.arange(3)}, {"seed": 1, "num_samples": 2}],
    ids=str,
)
def test_errors_of_compiled_seeded_draws_are_the_same(wrong):
    x = torch.randn(2, 3)
    with pytest.raises(ValueError) as error:
        fst.sample(x, **wrong)
    with pytest.raises(Exception, match=re.escape(str(error.value))):
        torch.compile(lambda x: fst.sample(x, **wrong), fullgraph=True, backend="aot_eager")(x)


def test_the_advice_about_rows_that_cannot_be_drawn_from_works():
    x = torch.tensor([[math.nan, 0.0], [0.0, -math.inf]])
    index, logprob = fst.sample(x, on_invalid="flag", return_logprob=True)
    assert index.tolist() == [-1, 0] and logprob[0].isnan() and logprob[1] == 0
    compiled = torch.compile(lambda x: fst.sample(x, on_invalid="flag"), fullgraph=True, backend="aot_eager")
    assert compiled(x).tolist() == [-1, 0]


# The distribution


def both(**arguments):
    return fst.Categorical(**arguments), torch.distributions.Categorical(**arguments)


@pytest.mark.parametrize("shape", [(5,), (1,), (4, 5), (2, 3, 6)], ids=str)
@pytest.mark.parametrize("what", ["logits", "probs"])
@pytest.mark.parametrize("torch_dtype", DTYPES[:2], ids=str)
def test_the_distribution_is_that_of_torch(shape, what, torch_dtype):
    values = torch.randn(shape, dtype=torch_dtype)
    ours, theirs = both(**{what: values if what == "logits" else values.exp()})
    tolerance = {"rtol": 10 * TOLERANCE[torch_dtype], "atol": 10 * TOLERANCE[torch_dtype]}
    assert isinstance(ours, torch.distributions.Distribution) and isinstance(ours, torch.distributions.Categorical)
    for name in ("probs", "logits"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name), **tolerance)
    torch.testing.assert_close(ours.entropy(), theirs.entropy(), **tolerance)
    np.testing.assert_array_equal(ours.mode, theirs.mode)
    for name in ("batch_shape", "event_shape", "param_shape", "support", "has_enumerate_support"):
        assert str(getattr(ours, name)) == str(getattr(theirs, name))
    for expand in (True, False):
        np.testing.assert_array_equal(ours.enumerate_support(expand), theirs.enumerate_support(expand))
    for draws in ((), (3,), (2, 3)):
        drawn = ours.sample(draws)
        assert drawn.shape == theirs.sample(draws).shape and drawn.dtype == torch.int64
        torch.testing.assert_close(ours.log_prob(drawn), theirs.log_prob(drawn), **tolerance)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's own: it will be deprecated
        assert ours.sample_n(2).shape == theirs.sample_n(2).shape
    wide_ours, wide_theirs = ours.expand((7, *shape[:-1])), theirs.expand((7, *shape[:-1]))
    assert wide_ours.batch_shape == wide_theirs.batch_shape and type(wide_ours) is fst.Categorical
    torch.testing.assert_close(wide_ours.logits, wide_theirs.logits, **tolerance)
    assert wide_ours.sample().shape == (7, *shape[:-1])
    other = torch.randn(shape, dtype=torch_dtype)
    divergence = torch.distributions.kl_divergence(ours, fst.Categorical(logits=other))
    wanted = torch.distributions.kl_divergence(theirs, torch.distributions.Categorical(logits=other))
    torch.testing.assert_close(divergence, wanted, **tolerance)


@pytest.mark.parametrize("what", ["logits", "probs"])
def test_gradients_through_the_distribution_are_those_of_torch(what):
    values = torch.randn(6, 5, dtype=torch.float64)
    values = values if what == "logits" else values.exp()
    index = torch.randint(5, (6,))
    gradients = []
    for kind in (fst.Categorical, torch.distributions.Categorical):
        x = values.clone().requires_grad_()
        d = kind(**{what: x})
        (d.log_prob(index).sum() + 0.3 * d.entropy().sum() + d.probs[:, 0].square().sum()).backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


def test_a_temperature_and_a_mask():
    x = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.3, 1.0, 2.0, 0.7], dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([True, True, False, True, False, True])
    ours = fst.Categorical(logits=x, temperature=t, mask=mask)
    theirs = torch.distributions.Categorical(logits=x[:, mask] / t[:, None])
    torch.testing.assert_close(ours.probs[:, mask], theirs.probs)
    assert (ours.probs[:, ~mask] == 0).all() and (ours.logits[:, ~mask] == -math.inf).all()
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    assert mask[ours.sample((500,))].all()
    for a, b in zip(
        torch.autograd.grad(ours.entropy().sum() + ours.logits[:, mask].square().sum(), (x, t)),
        torch.autograd.grad(theirs.entropy().sum() + theirs.logits.square().sum(), (x, t)),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_weights_at_a_temperature():
    weights = torch.tensor([4.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    d = fst.Categorical(probs=weights, temperature=0.5)
    torch.testing.assert_close(d.probs, torch.tensor([16.0, 0.0, 1.0], dtype=torch.float64) / 17)
    assert 1 not in d.sample((2000,)).tolist()
    d.log_prob(torch.tensor(0)).backward()
    assert torch.isfinite(weights.grad).all()
    assert fst.Categorical(probs=weights.detach(), temperature=0.0).sample() == 0


def test_frequencies_are_the_probabilities():
    d = fst.Categorical(logits=torch.tensor([0.0, 1.0, 2.0, -math.inf]), temperature=1.5)
    drawn = torch.bincount(d.sample((200_000,)), minlength=4) / 200_000
    assert (drawn - d.probs).abs().max() < 0.006 and drawn[3] == 0  # five standard deviations


def test_a_seed_of_torch_fixes_the_draws():
    d = fst.Categorical(logits=torch.randn(10, 4))
    torch.manual_seed(1)
    first = d.sample((5,))
    torch.manual_seed(1)
    np.testing.assert_array_equal(d.sample((5,)), first)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({}, "but not both"),
        ({"logits": torch.zeros(3), "probs": torch.ones(3)}, "but not both"),
        ({"logits": torch.tensor(1.0)}, "at least one-dimensional"),
        ({"logits": torch.tensor([[0.0, 1.0], [math.nan, 0.0]])}, r"logits\[1, 0\] is nan"),
        ({"probs": torch.tensor([0.5, -0.5])}, r"probs\[1\] is -0.5"),
        ({"probs": torch.zeros(2, 3)}, r"no entry of row \[0\]"),
        ({"logits": torch.zeros(2), "mask": torch.tensor([False, False])}, "no entry has"),
    ],
    ids=str,
)
def test_parameters_of_which_no_distribution_can_be_made(arguments, words):
    with pytest.raises(ValueError, match=words):
        fst.Categorical(**arguments, validate_args=True)


def test_values_outside_the_support_are_refused_as_by_torch():
    d = fst.Categorical(logits=torch.zeros(3), validate_args=True)  # the compiler of PyTorch switches the default off
    with pytest.raises(ValueError, match="support"):
        d.log_prob(torch.tensor(3))
    unchecked = fst.Categorical(logits=torch.zeros(3), validate_args=False)
    with pytest.raises((RuntimeError, IndexError)):
        unchecked.log_prob(torch.tensor(3))
