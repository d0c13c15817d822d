"""Tensors of other libraries, through DLPack: what is read, what is written to, what is rejected."""

import ctypes

import ml_dtypes
import numpy as np
import pytest
from oracles import DTYPES, bits

import fastsoftmax as fs

ARRAY_FUNCTIONS = [fs.softmax, fs.log_softmax, fs.logsumexp]
WRITING_FUNCTIONS = [fs.softmax, fs.log_softmax]


def by_name(value):
    return getattr(value, "__name__", None) or getattr(value, "name", None)


# DLPack


class Exporter:
    """An array of another library: nothing but the two methods of the DLPack protocol."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **keywords):
        return self._array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


@pytest.mark.parametrize("exported", [np.float32, np.float64, np.float16, np.int32], ids=by_name)
def test_dlpack_input_gives_what_the_array_gives(exported, rng):
    x = (3 * rng.normal(size=(4, 50))).astype(exported)
    u = rng.random(4)
    for function in ARRAY_FUNCTIONS:
        assert bits(function(Exporter(x), 0.5)) == bits(function(x, 0.5))
    assert bits(fs.sample(Exporter(x), u=u)) == bits(fs.sample(x, u=u))
    assert bits(fs.sample_probs(Exporter(np.abs(x)), u=u)) == bits(fs.sample_probs(np.abs(x), u=u))


def test_dlpack_input_with_strides_gives_what_the_array_gives(rng):
    x = rng.normal(size=(4, 50))[::2, ::-3]
    assert bits(fs.softmax(Exporter(x))) == bits(fs.softmax(x))


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
CODES = {"f": 2, "i": 0, "u": 1, "b": 6, "c": 5, "V": 4}  # V: bfloat16 of ml_dtypes


class RawExporter:
    """A tensor of another library, field by field; `deleted` counts the calls of its deleter."""

    def __init__(self, array, version=(1, 0), flags=0, strides=True, **fields):
        self.array, self.deleted, self.version = array, 0, version
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        steps = (ctypes.c_int64 * array.ndim)(*(step // array.itemsize for step in array.strides))
        self.managed = Managed() if version is None else Versioned(*version, flags=flags)
        self.managed.deleter = DELETER(self.delete)
        values = {
            "data": array.ctypes.data, "device_type": 1, "ndim": array.ndim, "code": CODES[array.dtype.kind],
            "bits": 8 * array.itemsize, "lanes": 1, "shape": shape, "strides": steps if strides else None, **fields,
        }  # fmt: skip
        for name, value in values.items():
            setattr(self.managed.tensor, name, value)

    def delete(self, _):
        self.deleted += 1

    def __dlpack__(self, **keywords):
        if self.version is None and keywords:
            raise TypeError("unexpected keyword argument")
        name = b"dltensor" if self.version is None else b"dltensor_versioned"
        return new_capsule(ctypes.addressof(self.managed), name, None)

    def __dlpack_device__(self):
        return 1, 0


VERSIONS = pytest.mark.parametrize("version", [None, (1, 0), (1, 9)])


@VERSIONS
@pytest.mark.parametrize("exported", [*DTYPES, np.bool_, np.int8, np.uint16, np.int32, np.uint64], ids=by_name)
def test_every_kind_of_dlpack_capsule_gives_what_the_array_gives(exported, version, rng):
    x = np.abs(3 * rng.normal(size=(4, 50))).astype(exported)
    u = rng.random(4)
    for layout in (x, x[:, ::-2], x.T[:4]):
        tensor = RawExporter(layout, version)
        for function in ARRAY_FUNCTIONS:
            assert bits(function(tensor, 0.5)) == bits(function(layout, 0.5))
        assert bits(fs.sample(tensor, u=u)) == bits(fs.sample(layout, u=u))
        assert bits(fs.sample_probs(tensor, u=u)) == bits(fs.sample_probs(layout, u=u))
        assert bits(fs.Sampler()(tensor, u)) == bits(fs.sample(layout, u=u))
        assert fs.Sampler()(RawExporter(layout[1], version), 0.7) == fs.sample(layout[1], u=0.7)
        assert fs.top_logprobs(tensor, 3)[0].tolist() == fs.top_logprobs(layout, 3)[0].tolist()
    moved = RawExporter(x, version, strides=False, data=x.ctypes.data - 24, byte_offset=24)
    assert bits(fs.softmax(moved)) == bits(fs.softmax(x))


@VERSIONS
def test_the_deleter_of_a_tensor_is_called_once_when_nothing_reads_it_any_more(version, rng):
    x = rng.normal(size=100)
    for call in (fs.softmax, fs.sample, fs.Sampler(rng=1), fs.Categorical, fs.truncate):
        tensor = RawExporter(x, version)
        for calls in (1, 2):
            call(tensor)
            assert tensor.deleted == calls
    of_call = RawExporter(np.ones(100, bool), version), RawExporter(x, version)
    fs.Sampler(rng=1)(x, mask=of_call[0], bias=of_call[1])
    assert [tensor.deleted for tensor in of_call] == [1, 1]


@pytest.mark.parametrize("masked", [False, True])
@VERSIONS
def test_a_tensor_does_not_leave_the_loop_of_a_sampler(version, masked, dtype, rng):
    class InTheLoop(fs.Sampler):
        def _draw_general(self, *arguments):
            raise AssertionError("the general path")

    x = rng.normal(size=100).astype(dtype)
    of_call = {"mask": rng.random(200)[::2] < 0.5, "bias": rng.normal(size=100).astype(np.float32)} if masked else {}
    of_tensors = {name: RawExporter(array, version) for name, array in of_call.items()}
    ours, theirs = InTheLoop(0.7, rng=1), InTheLoop(0.7, rng=1)
    for _ in range(20):
        assert ours(RawExporter(x, version), **of_tensors) == theirs(x, **of_call)


def test_a_tensor_that_cannot_be_read_raises_and_is_given_back(rng):
    x = rng.normal(size=100)
    bad = {
        "version 2": {"version": (2, 0)},
        "CPU memory": {"device_type": 2},
        "dimensions": {"ndim": 65},
        "no memory": {"data": None},
        "no such dtype": {"lanes": 4},
        "no such dtype ": {"bits": 128},
        "no such dtype  ": {"code": 3},
    }
    sampler = fs.Sampler(rng=1)
    for message, fields in bad.items():
        for name, call in {
            "x": fs.softmax, "logits": fs.sample, "logits ": sampler, "mask": lambda t: sampler(x, mask=t),
            "bias": lambda t: sampler(x, bias=t), "out": lambda t: fs.softmax(x, out=t),
        }.items():  # fmt: skip
            tensor = RawExporter(x, **fields)
            with pytest.raises(TypeError, match=f"^{name.strip()} .*{message.strip()}"):
                call(tensor)
            assert tensor.deleted >= 1
    assert sampler.step == 0 and sampler(x) == fs.Sampler(rng=1)(x)  # nothing was drawn

    class NoCapsule(RawExporter):
        def __dlpack__(self, **keywords):
            return self.result

    for NoCapsule.result in (None, 3, new_capsule(1, b"used_dltensor", None)):
        with pytest.raises(TypeError, match="capsule"):
            fs.softmax(NoCapsule(x))


def test_empty_tensors_need_no_memory():
    for shape in ((0, 3), (2, 0, 3)):
        empty = np.zeros(shape, np.float32)
        assert fs.softmax(RawExporter(empty, data=None)).shape == shape
        assert fs.sample(RawExporter(empty, data=None)).shape == shape[:-1]


@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_a_tensor_as_out_is_written_to_unless_that_would_be_wrong(function, dtype, rng):
    x = (3 * rng.normal(size=(4, 50))).astype(dtype)
    expected = bits(function(x))
    for out in (np.zeros_like(x), np.zeros_like(x.T).T, np.zeros((8, 50), dtype)[::2]):
        tensor = RawExporter(out)
        assert function(x, out=tensor) is tensor
        assert bits(out) == expected
    # Read-only, a copy, and without a version, which is the flag's place.
    for how in ({"flags": 1}, {"flags": 2}, {"flags": 3}, {"version": None}):
        out = x.copy()
        with pytest.raises(ValueError, match="read-only"):
            function(x, out=RawExporter(out, **how))
        with pytest.raises(ValueError, match="read-only"):
            function(RawExporter(out, **how), out=RawExporter(out, **how))
        assert bits(out) == bits(x)
    tensor = RawExporter(x)
    assert function(tensor, out=tensor) is tensor
    assert bits(x) == expected


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_jax_arrays_are_read_and_never_written_to(name):
    jax = pytest.importorskip("jax")
    x = jax.numpy.arange(6.0).astype(name).reshape(2, 3)
    before = np.array(x)
    assert bits(fs.softmax(x)) == bits(fs.softmax(before))
    for out in (x, before):
        with pytest.raises(ValueError, match="read-only"):
            fs.softmax(out, out=x)
    assert bits(np.array(x)) == bits(before)


# torch, whose tensors come by the C functions of their type


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["float32", "float64", "float16", "bfloat16", "int32", "uint8", "bool"])
def test_torch_tensors_give_what_the_arrays_give(name, torch, rng):
    full = torch.from_numpy(np.abs(3 * rng.normal(size=(4, 50)))).to(getattr(torch, name))
    u = rng.random(4)
    for tensor in (full, full[:, ::2], full.T[:4]):
        x = (tensor.float() if name == "bfloat16" else tensor).numpy()
        x = x.astype(ml_dtypes.bfloat16) if name == "bfloat16" else x
        m = rng.random(x.shape) < 0.7
        mask = torch.from_numpy(m)
        bias = torch.from_numpy(rng.normal(size=x.shape))
        for function in ARRAY_FUNCTIONS:
            assert bits(function(tensor, 0.5)) == bits(function(x, 0.5))
            assert bits(function(tensor, torch.tensor([[0.5], [1.0], [2.0], [3.0]]).double()[:, 0])) == bits(
                function(x, [0.5, 1.0, 2.0, 3.0])
            )
        for sample in (fs.sample, fs.sample_probs):
            expected = bits(sample(x, 0.5, u=u))
            assert bits(sample(tensor, 0.5, u=u)) == bits(sample(tensor, 0.5, u=torch.from_numpy(u))) == expected
            assert bits(sample(tensor, u=u, mask=mask, bias=bias)) == bits(sample(x, u=u, mask=m, bias=bias.numpy()))
        ours, theirs = fs.Sampler(0.7, rng=1, top_k=5), fs.Sampler(0.7, rng=1, top_k=5)
        assert bits(ours(tensor)) == bits(theirs(x))
        for row in range(4):
            assert ours(tensor[row]) == theirs(x[row])
            got = ours(tensor[row], mask=mask[row], bias=bias[row])
            assert got == theirs(x[row], mask=m[row], bias=bias[row].numpy())


@pytest.mark.parametrize("function", WRITING_FUNCTIONS, ids=by_name)
def test_a_torch_tensor_as_out_is_written_to(function, torch):
    x = torch.arange(12.0).reshape(3, 4)
    for dtype in (torch.float32, torch.bfloat16):
        for out in (torch.zeros(3, 4, dtype=dtype), torch.zeros(4, 3, dtype=dtype).T, x.to(dtype).clone()):
            given = x.to(dtype)
            assert function(given, out=out) is out
            assert torch.equal(out, torch.from_numpy(function(x.to(dtype).float())).to(dtype))
    x = x.clone()
    expected = torch.from_numpy(function(x))
    assert function(x, out=x) is x
    assert torch.equal(x, expected)


def test_torch_tensors_that_mean_something_else_than_their_memory_are_rejected(torch):
    z = torch.tensor([1 + 2j, 3 - 1j])
    negative = torch.imag(z.conj())
    assert negative.is_neg()
    sampler = fs.Sampler(rng=1)
    for tensor, message in (
        (negative, "negative bit.*resolve_neg"),
        (torch._neg_view(torch.ones(3, dtype=torch.bfloat16)), "negative bit"),
        (torch.ones(3, requires_grad=True), "detach"),
        (torch.nn.Parameter(torch.ones(3)), "detach"),
        (torch.eye(3).to_sparse(), "strided"),
        (z.conj(), "complex"),
        (torch._efficientzerotensor(3), "no memory"),
        (torch.zeros(3, dtype=torch.float8_e4m3fn), "no such dtype"),
    ):
        for call in (*ARRAY_FUNCTIONS, fs.sample, fs.truncate, sampler):
            with pytest.raises(TypeError, match=message):
                call(tensor)
        with pytest.raises(TypeError):
            fs.softmax(np.zeros(tensor.shape, np.float32), out=tensor)
        with pytest.raises(TypeError):
            sampler(np.zeros(tensor.shape, np.float32), bias=tensor)
    assert torch.equal(z, torch.tensor([1 + 2j, 3 - 1j])) and sampler.step == 0
    assert bits(fs.softmax(negative.resolve_neg())) == bits(fs.softmax(np.array([-2.0, 1.0], np.float32)))
    with pytest.raises((TypeError, ValueError), match="meta"):
        fs.softmax(torch.zeros(3, device="meta"))


def test_a_subclass_of_a_tensor_is_asked_itself(torch):
    class Doubled(torch.Tensor):
        def __dlpack__(self, **keywords):
            return (2.0 * self.as_subclass(torch.Tensor)).__dlpack__(**keywords)

    x = torch.arange(5.0)
    assert bits(fs.softmax(x.as_subclass(Doubled))) == bits(fs.softmax((2.0 * x).numpy()))
    assert fs.Sampler(0.0)(x.as_subclass(Doubled)) == 4


def test_a_torch_tensor_is_left_as_it_was(torch):
    x = torch.arange(5.0)
    for call in (fs.softmax, fs.sample, fs.Sampler(rng=1)):
        call(x)
    address = x.data_ptr()
    assert x.resize_(10_000).numel() == 10_000  # x.numpy() would forbid that for good
    assert x.data_ptr() != address
