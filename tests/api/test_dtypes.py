"""The dtype rule, line by line: what stays, what becomes float64, what is rejected, every memory layout."""

import math

import ml_dtypes
import numpy as np
import pytest
from oracles import DTYPES, bits

import fastsoftmax as fs

ARRAY_FUNCTIONS = [fs.softmax, fs.log_softmax, fs.logsumexp]
WRITING_FUNCTIONS = [fs.softmax, fs.log_softmax]
SIXTEEN_BIT = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


def by_name(value):
    return getattr(value, "__name__", None) or getattr(value, "name", None)


# What stays


@pytest.mark.parametrize("function", ARRAY_FUNCTIONS, ids=by_name)
def test_floating_dtypes_stay(function, dtype, rng):
    assert function(rng.normal(size=(3, 20)).astype(dtype)).dtype == dtype
    assert function(np.empty((0, 20), dtype)).dtype == dtype


@pytest.mark.parametrize("function", ARRAY_FUNCTIONS, ids=by_name)
def test_a_float64_temperature_does_not_widen_float32_logits(function, rng):
    x = rng.normal(size=(3, 20)).astype(np.float32)
    assert function(x, np.array([0.5, 1.0, 2.0])).dtype == np.float32
    assert function(x, np.float64(0.5)).dtype == np.float32


@pytest.mark.parametrize("temperature", [0.3, 1.0, 30.0])
@pytest.mark.parametrize("sixteen", SIXTEEN_BIT, ids=by_name)
@pytest.mark.parametrize("function", ARRAY_FUNCTIONS, ids=by_name)
def test_16_bit_types_are_computed_in_float32_and_rounded_once(function, sixteen, temperature, rng):
    x = (4 * rng.normal(size=(5, 1500))).astype(sixteen)
    expected = function(x.astype(np.float32), temperature).astype(sixteen)
    assert bits(function(x, temperature)) == bits(expected)


@pytest.mark.parametrize("sixteen", SIXTEEN_BIT, ids=by_name)
def test_every_16_bit_number_is_read_as_its_float32_value(sixteen):
    every = np.arange(2**16, dtype=np.uint16).view(sixteen).reshape(2**14, 4)
    with np.errstate(invalid="ignore"):  # A signalling NaN is quietened on conversion.
        widened = every.astype(np.float32)
    np.testing.assert_array_equal(
        fs.softmax(every).astype(np.float32), fs.softmax(widened).astype(sixteen).astype(np.float32)
    )


@pytest.mark.parametrize("sixteen", SIXTEEN_BIT, ids=by_name)
def test_draw_from_16_bit_types_is_the_draw_from_their_float32_values(sixteen, rng):
    x = (2 * rng.normal(size=(200, 40))).astype(sixteen)
    u = rng.random(200)
    for sample, row in ((fs.sample, x), (fs.sample_probs, np.abs(x))):
        assert bits(sample(row, 0.8, u=u)) == bits(sample(row.astype(np.float32), 0.8, u=u))


# What becomes float64


@pytest.mark.parametrize("integer", ["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "?"])
def test_integers_and_bool_become_float64(integer):
    x = np.array([[0, 1, 2], [3, 0, 1]]).astype(integer)
    for function in ARRAY_FUNCTIONS:
        assert bits(function(x, 0.7)) == bits(function(x.astype(np.float64), 0.7))
    u = np.array([0.3, 0.6])
    assert bits(fs.sample(x, u=u)) == bits(fs.sample(x.astype(np.float64), u=u))
    assert bits(fs.sample_probs(x, u=u)) == bits(fs.sample_probs(x.astype(np.float64), u=u))


@pytest.mark.parametrize(
    "numbers",
    [
        [0.1, -0.5, 2.0],
        (1, 2, 3),
        [1, 0.5, -2],
        [float("-inf"), 0, -0.0],
        [2**53 + 1, 2**53, 0],
        [2**63, -(2**63), 2**64 - 1],
        [2**100, 1.5, -(2**70)],
        [True, 2.0, 1],
        [np.float64(0.25), 1.0],
        [[1, 2], [3.0, 4]],
        [1.0],
        list(range(-700, 700)),
    ],
    ids=str,
)
def test_a_list_is_the_float64_array_of_its_numbers(numbers):
    x = np.array([[float(b) for b in a] if isinstance(a, list) else float(a) for a in numbers])
    t = 3e17
    for function in (fs.softmax, fs.log_softmax, fs.logsumexp):
        result = function(numbers, t)
        assert np.asarray(result).dtype == np.float64
        np.testing.assert_array_equal(result, function(x, t))
    for axis in (-1, 0, None):
        for function in (fs.logsumexp, fs.entropy):
            np.testing.assert_array_equal(
                function(numbers, t, axis=axis, keepdims=True), function(x, t, axis=axis, keepdims=True), strict=True
            )
    u = np.full(x.shape[:-1], 0.6)
    np.testing.assert_array_equal(fs.sample(numbers, t, u=u), fs.sample(x, t, u=u))
    np.testing.assert_array_equal(fs.Sampler(t)(numbers, u), fs.sample(x, t, u=u))
    np.testing.assert_array_equal(fs.log_prob(numbers, 0 * u.astype(int), t), fs.log_prob(x, 0 * u.astype(int), t))


@pytest.mark.parametrize("numbers", [[np.float32(0.1), np.float32(2.0)], [np.float16(1.0), np.float16(3.0)]], ids=str)
def test_a_list_of_other_floats_keeps_their_dtype(numbers):
    assert fs.softmax(numbers).dtype == numbers[0].dtype
    np.testing.assert_array_equal(fs.softmax(numbers), fs.softmax(np.array(numbers)))


@pytest.mark.parametrize("row", [[math.nan, 1.0], [-math.inf, -math.inf], [0, math.nan, 2]], ids=str)
def test_a_list_that_cannot_be_drawn_from_has_the_error_of_its_array(row):
    for draw in (fs.sample, fs.sample_probs, fs.Sampler(), lambda x: fs.sample_without_replacement(x, 1)):
        with pytest.raises(ValueError) as of_array:
            draw(np.array(row))
        with pytest.raises(ValueError) as of_list:
            draw(row)
        assert str(of_list.value) == str(of_array.value)


@pytest.mark.parametrize("draw", [fs.softmax, fs.sample, fs.Sampler()], ids=["softmax", "sample", "Sampler"])
def test_a_list_of_anything_else_is_refused_as_before(draw):
    with pytest.raises(ValueError, match="too large for a float64"):
        draw([1.0, 10**400])
    for other in ([1.0, None], [1.0, "2"], [1.0, [2.0]], [1.0, 2j]):
        with pytest.raises((TypeError, ValueError), match="x|logits"):
            draw(other)


def test_lists_and_numbers_become_float64():
    for x in ([1, 2, 3], [1.0, 2.0, 3.0], (True, False), [[1, 2], [3, 4]], 5, 5.0):
        for function in ARRAY_FUNCTIONS:
            assert np.asarray(function(x)).dtype == np.float64
            np.testing.assert_array_equal(function(x), function(np.asarray(x, np.float64)))


# What is rejected

REFUSED = {
    "longdouble": np.ones(3, np.longdouble),
    "complex64": np.ones(3, np.complex64),
    "complex128": np.ones(3, np.complex128),
    "object": np.array([1.0, 2.0, 3.0], object),
    "str": np.array(["1", "2"]),
    "bytes": np.array([b"1", b"2"]),
    "list of str": ["1", "2"],
    "number and None": [1.0, None],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_dtypes_raise_type_error(kind):
    for function in (*ARRAY_FUNCTIONS, fs.sample, fs.sample_probs):
        with pytest.raises(TypeError):
            function(REFUSED[kind])


# Memory layouts


def big_endian(x):
    if x.dtype == ml_dtypes.bfloat16:
        pytest.skip("bfloat16 arrays have no other byte order")
    return x.astype(x.dtype.newbyteorder(">"))


def misaligned(x):
    raw = np.empty(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def strided(x):
    wide = np.zeros((x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[:, ::3] = x
    return wide[:, ::3]


def strided_rows(x):
    tall = np.zeros((2 * x.shape[0], x.shape[1] + 5), x.dtype)
    tall[::2, 5:] = x
    return tall[::2, 5:]


def negative_stride(x):
    return x[:, ::-1].copy()[:, ::-1]


def negative_row_stride(x):
    return x[::-1].copy()[::-1]


def fortran(x):
    return np.asfortranarray(x)


def odd_stride(x):
    """Entries of a packed record: the stride is no multiple of the item size."""
    records = np.zeros(x.shape, np.dtype([("tag", np.uint8), ("value", x.dtype)]))
    records["value"] = x
    return records["value"]


def read_only(x):
    copy = x.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = [
    big_endian,
    misaligned,
    strided,
    strided_rows,
    negative_stride,
    negative_row_stride,
    fortran,
    odd_stride,
    read_only,
]
WRITABLE_LAYOUTS = [layout for layout in LAYOUTS if layout is not read_only]


@pytest.mark.parametrize("n", [5, 64, 1500])
@pytest.mark.parametrize("layout", LAYOUTS, ids=by_name)
def test_layout_changes_no_bit_of_the_result(layout, dtype, n, rng):
    x = (3 * rng.normal(size=(6, n))).astype(dtype)
    u = rng.random(6)
    other = layout(x)
    np.testing.assert_array_equal(other.astype(x.dtype), x)
    for function in ARRAY_FUNCTIONS:
        assert bits(function(other, 0.9)) == bits(function(x, 0.9))
    assert bits(fs.sample(other, 0.9, u=u)) == bits(fs.sample(x, 0.9, u=u))
    p, other_p = np.abs(x), layout(np.abs(x))
    assert bits(fs.sample_probs(other_p, u=u)) == bits(fs.sample_probs(p, u=u))


def test_broadcast_rows_change_no_bit_of_the_result(dtype, rng):
    x = rng.normal(size=30).astype(dtype)
    repeated = np.broadcast_to(x, (4, 30))
    assert bits(fs.softmax(repeated)) == bits(np.stack([fs.softmax(x)] * 4))


def test_input_is_left_as_it_was(dtype, rng):
    x = rng.normal(size=(3, 50)).astype(dtype)
    before = x.copy()
    for function in ARRAY_FUNCTIONS:
        function(x)
    fs.sample(x, u=0.5, bias={0: 1.0}, mask=np.ones(50, bool))
    assert bits(x) == bits(before)


# out=


@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_out_is_filled_and_returned(function, dtype, rng):
    x = rng.normal(size=(3, 50)).astype(dtype)
    out = np.empty_like(x)
    assert function(x, 0.5, out=out) is out
    assert bits(out) == bits(function(x, 0.5))


@pytest.mark.parametrize("layout", WRITABLE_LAYOUTS, ids=by_name)
@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_out_may_have_any_layout(function, layout, dtype, rng):
    x = rng.normal(size=(6, 50)).astype(dtype)
    out = layout(np.zeros_like(x))
    assert function(x, 0.5, out=out) is out
    np.testing.assert_array_equal(out.astype(dtype), function(x, 0.5))


@pytest.mark.parametrize("n", [7, 64, 1500, 70_000])
@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_in_place_gives_the_bits_of_a_fresh_result(function, dtype, n, rng):
    x = (3 * rng.normal(size=(2, n))).astype(dtype)
    expected = function(x, 0.7)
    assert function(x, 0.7, out=x) is x
    assert bits(x) == bits(expected)


@pytest.mark.parametrize("layout", WRITABLE_LAYOUTS, ids=by_name)
@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_in_place_works_on_any_layout(function, layout, dtype, rng):
    x = rng.normal(size=(6, 50)).astype(dtype)
    expected = function(x)
    other = layout(x)
    function(other, out=other)
    np.testing.assert_array_equal(other.astype(dtype), expected)


@pytest.mark.parametrize("shift", [1, 3, 16, 640, 1499])
@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_partial_overlap_gives_what_a_copy_would(function, dtype, shift, rng):
    for forward in (True, False):
        buffer = (3 * rng.normal(size=1500 + shift)).astype(dtype)
        x, out = (buffer[:-shift], buffer[shift:]) if forward else (buffer[shift:], buffer[:-shift])
        expected = function(x.copy())
        function(x, out=out)
        assert bits(out) == bits(expected)


@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_overlap_of_whole_arrays_gives_what_a_copy_would(function, dtype, rng):
    views = {
        "reversed": lambda x: x[:, ::-1],
        "rows reversed": lambda x: x[::-1],
        "transposed": lambda x: x.T,
    }
    for view in views.values():
        x = rng.normal(size=(40, 40)).astype(dtype)
        expected = function(x.copy())
        out = view(x)
        function(x, out=out)
        assert bits(out) == bits(expected)


def test_temperature_may_overlap_out(rng):
    x = np.abs(rng.normal(size=(30, 30))) + 0.5
    expected = fs.softmax(x.copy(), x[:, 0].copy())
    fs.softmax(x, x[:, 0], out=x)
    assert bits(x) == bits(expected)


@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_read_only_out_raises_value_error(function, dtype):
    x = np.ones((2, 3), dtype)
    out = read_only(x)
    with pytest.raises(ValueError):
        function(x, out=out)
    with pytest.raises(ValueError):
        function(out, out=out)
    assert (out == 1).all()


@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_out_of_another_shape_or_dtype_raises(function, dtype):
    x = np.ones((2, 3), dtype)
    for shape in [(3, 2), (2, 4), (6,), (1, 2, 3)]:
        out = np.full(shape, 7, dtype)
        with pytest.raises(ValueError):
            function(x, out=out)
        assert (out == 7).all()
    for other in (t for t in DTYPES if t != dtype):
        out = np.full((2, 3), 7, other)
        with pytest.raises((TypeError, ValueError)):
            function(x, out=out)
        assert (out == 7).all()
    with pytest.raises(TypeError):
        function(x, out=[[0.0] * 3] * 2)
