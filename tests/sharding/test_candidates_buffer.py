"""Candidates as a buffer: its size, what is refused, and the arguments they are made from."""

import pickle

import numpy as np
import pytest
from rows_in_shards import assert_same, make

import fastsoftmax as fs


@pytest.mark.parametrize(
    "arguments, error, why",
    [
        ({"k": 0}, ValueError, "k must be from 1"),
        ({"k": 2.0}, TypeError, "k must be an int"),
        ({"k": [3, 4]}, TypeError, "for a top_k of each row pass the largest"),
        ({"offset": -1}, ValueError, "offset must be from 0"),
        ({"offset": 1.0}, TypeError, "offset must be an int"),
        ({"mask": np.ones((3, 9), bool)}, ValueError, "mask"),
        ({"logits_shard": np.zeros((2, 0))}, ValueError, "has no entries"),
        ({"logits_shard": ["a"]}, TypeError, "logits_shard must be"),
    ],
)
def test_bad_arguments_of_candidates_name_themselves(arguments, error, why):
    given = {"logits_shard": np.zeros((2, 9)), "k": 3, "offset": 0, **arguments}
    with pytest.raises(error, match=why):
        fs.candidates(**given)


def test_candidates_are_an_immutable_buffer_of_a_known_size(dtype, rng):
    x = make("normal", (2, 3, 50), dtype, rng)
    for k in (1, 20, 50, 80):
        c = fs.candidates(x, k, offset=7)
        assert c.nbytes == len(c.to_bytes()) == fs.candidates_nbytes((2, 3), k, dtype)
        assert c.values.shape == c.indices.shape == (2, 3, min(k, 50)) and c.shape == (2, 3)
        back = fs.Candidates.from_bytes(bytearray(c.to_bytes()))
        assert back == c == pickle.loads(pickle.dumps(c)) and hash(back) == hash(c)
        assert (c.k, c.entries, c.offset, c.dtype) == (k, 50, 7, dtype.name)
        taken = np.take_along_axis(x, c.indices - 7, -1)
        assert (c.values == taken.astype(c.values.dtype)).all() and (np.diff(c.indices) > 0).all()
        with pytest.raises(AttributeError, match="immutable"):
            c.k = 3
        with pytest.raises(ValueError, match="read-only"):
            c.values[...] = 0
    assert fs.candidates(x, 1, offset=7) != fs.candidates(x, 1, offset=8)
    assert repr(fs.candidates(x[0, 0], 20, offset=7)).startswith("<Candidates: the best 20 of entries 7 to 57: one row")
    with pytest.raises(TypeError, match="are made by candidates"):
        fs.Candidates()


def test_the_array_that_a_collective_fills_is_a_list_of_buffers(rng):
    x = rng.normal(size=(2, 90))
    parts = [fs.candidates(x[:, i : i + 30], 5, offset=i) for i in (0, 30, 60)]
    every = np.frombuffer(b"".join(c.to_bytes() for c in parts), np.uint8).reshape(3, -1)
    draw = {"top_k": 5, "u": [0.2, 0.7]}
    expected = fs.sample(x, **draw)
    for buffers in (every, list(every), parts, iter(parts)):
        assert_same(fs.sample_from_candidates(buffers, **draw), expected)
    one = fs.candidates(x, 5, offset=0)
    for buffer in (one, one.to_bytes(), bytearray(one.to_bytes()), memoryview(one.to_bytes())):
        assert_same(fs.sample_from_candidates(buffer, **draw), expected)


@pytest.mark.parametrize("size", [(), (1,), (3,), (0,), (2, 0)])
def test_batches_of_any_shape_have_a_size(size):
    x = np.zeros((*size, 30), np.float32)
    c = fs.candidates(x, 4, offset=0)
    assert c.nbytes == fs.candidates_nbytes(size, 4, "float32")
    assert np.shape(fs.sample_from_candidates([c.to_bytes()], top_k=4, u=0.5)) == size


def test_hostile_bytes_are_refused(rng):
    good = fs.candidates(rng.normal(size=(2, 100)), 5, offset=3).to_bytes()
    for length in [*range(60), len(good) - 1]:
        with pytest.raises(ValueError, match="candidates: these bytes are damaged"):
            fs.Candidates.from_bytes(good[:length])
    with pytest.raises(ValueError, match="damaged"):
        fs.Candidates.from_bytes(good + b"\0")
    with pytest.raises(TypeError, match="buffer protocol"):
        fs.Candidates.from_bytes("text")
    # Whatever a byte becomes: the same rows, an error, or a row that cannot be drawn from; nothing outside of the row.
    refused = 0
    for at in range(len(good)):
        for change in (1, 0x80, 0xFF):
            hostile = bytearray(good)
            hostile[at] ^= change
            try:
                c = fs.Candidates.from_bytes(hostile)
                rest = fs.candidates(np.zeros((2, c.offset)), 5, offset=0) if 0 < c.offset < 1000 else None
                index = fs.sample_from_candidates([c] if rest is None else [c, rest], top_k=5, u=0.9, on_invalid="flag")
            except (ValueError, MemoryError):
                refused += 1
                continue
            assert ((index >= -1) & (index < c.offset + c.entries)).all()
    assert refused > len(good) // 2


def test_numbers_that_do_not_ascend_are_refused(rng):
    c = fs.candidates(rng.normal(size=(1, 100)), 4, offset=0)
    start = len(c.to_bytes()) - 16
    for numbers in ([3, 2, 5, 6], [3, 3, 5, 6], [3, 4, 5, 100], [2**32 - 1, 4, 5, 6], [3, 4, 5, 2**32 - 1]):
        hostile = c.to_bytes()[:start] + np.array(numbers, "<u4").tobytes()
        with pytest.raises(ValueError, match="do not ascend"):
            fs.Candidates.from_bytes(hostile)
        with pytest.raises(ValueError, match="do not ascend"):
            fs.sample_from_candidates([hostile], top_k=2, u=0.5)
