"""The types say what comes out: results.py and rejected.py, by mypy, by pyright, and run."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import subprocess
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import numpy as np
import pytest

import fastsoftmax as fs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = [str(HERE / "results.py"), str(HERE / "rejected.py")]


def load(name: str) -> Any:
    """A file of this folder as a module of its own."""
    spec = importlib.util.spec_from_file_location(f"typing_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def functions_of(name: str, **replaced: Any) -> dict[str, Callable[[], None]]:
    """Those without parameters and result, which are there to be run; with other values of global names."""
    module = load(name)
    vars(module).update(replaced)
    found = vars(module).items()
    return {
        key: value for key, value in found if inspect.isfunction(value)
        and value.__module__ == f"typing_{name}" and not inspect.signature(value).parameters
        and inspect.signature(value).return_annotation == "None"
    }  # fmt: skip


def matches(value: object, kind: Any) -> bool:
    """Whether a value is of a type: of that very class, dtype and number of dimensions, not of a subclass."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if kind is None or kind is types.NoneType:
        return value is None
    if origin in (Union, types.UnionType):
        return any(matches(value, one) for one in args)
    if origin is Literal:
        return value in args
    if origin is np.ndarray:
        return type(value) is np.ndarray and fits_shape(value.ndim, args[0]) and fits_dtype(value.dtype, args[1])
    if origin is tuple:
        if type(value) is not tuple:
            return False
        if args[-1] is Ellipsis:
            return all(matches(part, args[0]) for part in value)
        return len(value) == len(args) and all(map(matches, value, args))
    if origin is fs.Sampler:
        return type(value) is fs.Sampler and (args[0] is bool or matches(value.return_logprob, args[0]))
    if origin in (fs.TopLogprobs, fs.DraftVerdict, fs.TreeVerdict):
        fields = typing.get_type_hints(origin)
        parts = [args[0] if isinstance(fields[name], TypeVar) else fields[name] for name in origin._fields]
        return type(value) is origin and all(map(matches, value, parts))
    if origin is dict:
        return type(value) is dict
    assert origin is None and isinstance(kind, type), kind
    return isinstance(value, kind) if issubclass(kind, np.random.Generator) else type(value) is kind


def fits_shape(ndim: int, shape: Any) -> bool:
    if get_origin(shape) is types.UnionType:
        return any(fits_shape(ndim, one) for one in get_args(shape))
    lengths = get_args(shape)
    return Ellipsis in lengths or ndim == len(lengths)


def fits_dtype(dtype: np.dtype[Any], kind: Any) -> bool:
    (scalar,) = get_args(kind)
    return scalar is Any or dtype.type is scalar


def test_values_have_the_types_that_are_claimed() -> None:
    claimed = set()

    def check(value: Any, kind: Any) -> Any:
        line = sys._getframe(1).f_lineno
        claimed.add(line)
        shown = f"{type(value).__name__} {getattr(value, 'dtype', '')}"
        assert matches(value, kind), f"line {line} of results.py: {shown} {value!r} is no {kind}"
        return value

    for run in functions_of("results", assert_type=check).values():
        run()
    tree = ast.parse((HERE / "results.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    claims = {call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "assert_type"}
    assert claimed == claims and len(claims) > 100


@pytest.mark.parametrize(
    "value, kind",
    [
        (np.float64(1), float),
        (True, int),
        (np.zeros(3, np.float32), np.ndarray[Any, np.dtype[np.float64]]),
        (np.zeros((1, 3)), np.ndarray[tuple[int], np.dtype[np.float64]]),
        ((1, 0.5), tuple[int, int]),
        ((1, 0.5, 2), tuple[int, float]),
        (fs.TopLogprobs(np.zeros(1), np.zeros(1, np.int64), 1), fs.TopLogprobs[None]),
        (fs.Sampler(return_logprob=True), fs.Sampler[Literal[False]]),
    ],
)
def test_a_value_of_another_type_is_noticed(value: object, kind: Any) -> None:
    assert not matches(value, kind)


@pytest.mark.parametrize("name", functions_of("rejected"))
def test_what_the_checkers_reject_raises(name: str) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        functions_of("rejected")[name]()


def test_every_rejected_call_is_silenced_once() -> None:
    source = (HERE / "rejected.py").read_text(encoding="utf-8")
    assert source.count("# type: ignore\n") == len(functions_of("rejected"))


def run_checker(module: str, *options: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    done = subprocess.run([sys.executable, "-m", module, *options, *FILES], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr


def test_mypy_agrees() -> None:
    run_checker("mypy", "--strict")


def test_pyright_agrees() -> None:
    run_checker("pyright", "--pythonpath", sys.executable)


def test_the_types_are_installed() -> None:
    assert (Path(fs.__file__).parent / "py.typed").is_file()


def test_every_public_name_is_claimed() -> None:
    """Of each name of the package, results.py has a call or an attribute."""
    tree = ast.parse((HERE / "results.py").read_text(encoding="utf-8"))
    used = {
        node.attr for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "fs"
    }  # fmt: skip
    assert set(fs.__all__) - used == {"reference", "schedules"}  # modules; schedules is imported by its name
