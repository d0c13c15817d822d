"""The C API for compiled callers: Cython, Numba, ctypes, C and C++ get the functions, the bits and the codes.

What is compiled here is compiled as a user would: Cython modules outside the checkout, against the package as it is
imported; C programs against the folder that get_include() names.  A missing compiler, Cython or Numba skips by name.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toolchains import CC, CSRC, NATIVE, ROOT, Builder

import fastsoftmax as fs
from fastsoftmax import _core
from fastsoftmax._args.filters import RECORD
from fastsoftmax._args.steps import STEPS
from fastsoftmax.integrations import numba as c_api

PXD = (ROOT / "fastsoftmax" / "_core.pxd").read_text(encoding="utf-8")
HEADER = (CSRC / "fastsoftmax.h").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "compiled.md").read_text(encoding="utf-8")
OK, NAN, NO_MASS, NO_MEMORY, ARGUMENT = range(5)
TEMPERATURES = [0.0, 0.7, 1.0, 30.0, np.inf]

needs_compiler = pytest.mark.skipif(shutil.which(CC[0]) is None, reason=f"no C compiler ({CC[0]})")
both_types = pytest.mark.parametrize("kind", ["f32", "f64"])


def of_page(language: str) -> dict[str, str]:
    """The files that docs/compiled.md shows, by the name in their first line."""
    found = re.findall(rf"^```{language}\n(\S+ ([\w.]+).*?\n.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return {name: text for text, name in found}


def run(command: list[Any], cwd: Path) -> str:
    """What a command prints, with the package that these tests import; a failure shows all of it."""
    path = os.pathsep.join([str(Path(fs.__file__).parent.parent), str(cwd)])
    environment = {**os.environ, "PYTHONPATH": path, "CFLAGS": "-O1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cythonize(*names: str, folder: Path) -> None:
    pytest.importorskip("Cython")
    run([sys.executable, "-m", "Cython.Build.Cythonize", "-i", "-j", str(len(names)), *names], folder)


def dtype_of(kind: str) -> np.dtype[Any]:
    return np.dtype(np.float32 if kind == "f32" else np.float64)


def function(name: str, kind: str) -> Any:
    return getattr(c_api, f"{name}_{kind}")


# --- what is declared -------------------------------------------------------------------------------------------


def test_the_functions_declared_are_those_exported_documented_and_ready_for_numba() -> None:
    declared = set(re.findall(r"^cdef \w+ (\w+)\(", PXD, re.MULTILINE))
    assert declared == set(_core.__pyx_capi__)
    assert all(callable(getattr(c_api, name)) for name in declared - {"no_filters"})  # there: filters()
    undocumented = {name for name in declared if name.replace("_f32", "_f64") not in PAGE}
    assert undocumented == set()


def test_every_function_exported_has_its_c_name_in_the_header() -> None:
    in_c = set(re.findall(r"\bfs_(\w+)\(", HEADER))
    ours = set(_core.__pyx_capi__) - {"keyed_uniform"}  # in C, a count of 1
    missing = {name for name in ours if name not in in_c}
    assert {name.rpartition("_")[0] for name in missing} == {"log_softmax_rows", "logsumexp_rows"}  # a loop in C


def test_filters_and_codes_are_those_of_the_header() -> None:
    fields = re.search(r"typedef struct \{([^}]*)\} fs_filters;", HEADER)[1]  # type: ignore[index]
    in_c = re.findall(r"^ *(int64_t|double) (\w+);", fields, re.MULTILINE)
    in_cython = re.findall(
        r"^    (int64_t|double) (\w+)$", PXD.partition("ctypedef struct filters_t:")[2], re.MULTILINE
    )
    assert in_c == in_cython
    assert [name for _, name in in_c] == list(RECORD.names or ())
    codes = re.search(r"typedef enum \{([^}]*)\} fs_status;", HEADER)[1]  # type: ignore[index]
    names = re.findall(r"^ *(FS_\w+)", codes, re.MULTILINE)[:7]
    assert [(name, str(i)) for i, name in enumerate(names)] == re.findall(r"(FS_[A-Z_]+) = (\d)", PXD)[1:]
    assert re.findall(r"FS_ABI_VERSION (?:= )?(\d+)", HEADER + PXD) == [str(c_api.abi_version())] * 2


def test_the_steps_of_the_filters_have_the_names_and_numbers_of_the_header() -> None:
    steps = re.search(r"typedef enum \{([^}]*)\} fs_step;", HEADER)[1]  # type: ignore[index]
    assert [name.lower() for name in re.findall(r"FS_(\w+)", steps)] == list(STEPS)
    assert "FS_TOP_K = 1," in steps


def test_the_include_folder_has_the_header_and_every_source() -> None:
    here = {path.relative_to(CSRC).as_posix(): path.read_bytes() for path in CSRC.rglob("*.[ch]")}
    include = Path(fs.get_include())
    assert {path.relative_to(include).as_posix() for path in include.rglob("*.[ch]")} == set(here)
    # A checkout has an egg-info next to what is installed, which lists sources.
    found = [dist.files or [] for dist in metadata.distributions(name="fastsoftmax")]
    installed = next((files for files in found if any(file.name == "RECORD" for file in files)), None)
    if installed is None or any("__editable__" in file.name for file in installed):
        pytest.skip("fastsoftmax is not installed from a wheel")
    folder = "fastsoftmax/include/"
    included = {
        file.as_posix().partition(folder)[2]: file.read_binary() for file in installed if folder in file.as_posix()
    }
    assert sorted(included) == sorted(here)
    assert [name for name in here if included[name] != here[name]] == []
    assert "_core.pxd" in {file.name for file in installed}


# --- what the functions do, through their addresses --------------------------------------------------------------


@both_types
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n", [1, 10, 64, 65, 3000])
def test_one_row_has_the_bits_of_python(kind: str, temperature: float, n: int, rng: np.random.Generator) -> None:
    x = rng.normal(0, 3, n).astype(dtype_of(kind))
    out, single = np.empty_like(x), np.empty(1)
    for name, expected in (("softmax", fs.softmax), ("log_softmax", fs.log_softmax)):
        assert function(name, kind)(x.ctypes.data, n, temperature, out.ctypes.data) == OK
        np.testing.assert_array_equal(out, expected(x, temperature))
    assert function("logsumexp", kind)(x.ctypes.data, n, temperature, single.ctypes.data) == OK
    assert single[0].astype(x.dtype) == fs.logsumexp(x, temperature)
    assert function("entropy", kind)(x.ctypes.data, n, temperature, single.ctypes.data) == OK
    assert single[0].astype(x.dtype) == fs.entropy(x, temperature)

    u, index, p = rng.random(20), np.empty(20, np.int64), np.exp(x)
    for weights, values, expected in (("", x, fs.sample), ("_probs", p, fs.sample_probs)):
        drawn = expected(values, temperature, size=u.size, u=u)
        one = function(f"draw{weights}", kind)
        assert [one(values.ctypes.data, n, temperature, v) for v in u] == drawn.tolist()
        many = function(f"draw_many{weights}", kind)
        assert many(values.ctypes.data, n, temperature, u.size, u.ctypes.data, index.ctypes.data) == OK
        np.testing.assert_array_equal(index, drawn)


@both_types
@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("n", [4, 64, 300])
def test_many_rows_have_the_bits_of_python(kind: str, temperature: float, n: int, rng: np.random.Generator) -> None:
    x = rng.normal(0, 3, (50, n)).astype(dtype_of(kind))
    out, sums, index, u = np.empty_like(x), np.empty(50), np.empty(50, np.int64), rng.random(50)
    for name, expected in (("softmax", fs.softmax), ("log_softmax", fs.log_softmax)):
        assert function(f"{name}_rows", kind)(x.ctypes.data, 50, n, temperature, out.ctypes.data) == OK
        np.testing.assert_array_equal(out, expected(x, temperature))
    assert function("logsumexp_rows", kind)(x.ctypes.data, 50, n, temperature, sums.ctypes.data) == OK
    np.testing.assert_array_equal(sums.astype(x.dtype), fs.logsumexp(x, temperature))
    draw = function("draw_rows", kind)
    assert draw(x.ctypes.data, 50, n, temperature, u.ctypes.data, index.ctypes.data) == OK
    np.testing.assert_array_equal(index, fs.sample(x, temperature, u=u))


@both_types
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"top_k": 5},
        {"top_p": 0.5, "min_p": 0.01},
        {"typical_p": 0.3, "temperature_last": True},
        {"xtc_threshold": 0.05, "xtc_probability": 0.5, "min_tokens_to_keep": 2},
    ],
    ids=lambda parameters: "+".join(parameters) or "none",
)
def test_a_filtered_draw_is_that_of_python(kind: str, parameters: dict[str, Any], rng: np.random.Generator) -> None:
    x = rng.normal(0, 2, 500).astype(dtype_of(kind))
    record, scratch = c_api.filters(**parameters), np.empty(c_api.scratch_size(x.size), np.uint8)
    for u, coin in rng.random((20, 2)):
        address = record.ctypes.data
        drawn = function("draw_filtered", kind)(x.ctypes.data, x.size, 0.8, address, coin, u, scratch.ctypes.data)
        coins = {"xtc_u": coin} if "xtc_threshold" in parameters else {}
        assert drawn == fs.sample(x, 0.8, u=u, **parameters, **coins)


def test_filters_are_checked_and_neutral_unless_named() -> None:
    with pytest.raises(TypeError, match="top_kk is not a filter; there are: top_k, top_p"):
        c_api.filters(top_kk=3)
    with pytest.raises(TypeError, match="top_p must be one value here"):
        c_api.filters(top_p=[0.5, 0.6])
    with pytest.raises(ValueError, match=r"top_p must be in \[0, 1\]"):
        c_api.filters(top_p=1.5)
    neutral = np.empty(1, RECORD)
    name = b"void (__pyx_t_11fastsoftmax_5_core_filters_t *)"
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    pointer = get(_core.__pyx_capi__["no_filters"], name)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(pointer)(neutral.ctypes.data)
    assert neutral == c_api.filters()


def test_keyed_uniforms_are_those_of_python() -> None:
    keys = np.array([0, 7, 2**64 - 1], np.uint64)
    u = np.empty(3)
    c_api.keyed_uniforms(3, keys.ctypes.data, 3, 5, 0, u.ctypes.data)
    np.testing.assert_array_equal(u, fs.keyed_uniforms(3, keys, 5))
    assert [c_api.keyed_uniform(3, int(key), 5, 0) for key in keys] == u.tolist()


@both_types
def test_codes_say_why_a_row_has_no_draw(kind: str) -> None:
    x = np.zeros((4, 3), dtype_of(kind))
    x[1, 2], x[2] = np.nan, -np.inf
    index, u, out, sums = np.empty(4, np.int64), np.full(4, 0.5), np.empty_like(x), np.empty(4)
    draw_rows = function("draw_rows", kind)
    assert draw_rows(x.ctypes.data, 4, 3, 1.0, u.ctypes.data, index.ctypes.data) == OK
    assert index.tolist() == [1, -NAN, -NO_MASS, 1]
    for name in ("softmax", "log_softmax"):
        assert function(f"{name}_rows", kind)(x.ctypes.data, 4, 3, 1.0, out.ctypes.data) == OK
        assert np.isnan(out[1:3]).all() and not np.isnan(out[[0, 3]]).any()
        for row, code in ((x[1].copy(), NAN), (x[2].copy(), NO_MASS)):
            assert function(name, kind)(row.ctypes.data, 3, 1.0, row.ctypes.data) == code  # in place
            assert np.isnan(row).all()
    assert function("logsumexp_rows", kind)(x.ctypes.data, 4, 3, 1.0, sums.ctypes.data) == OK
    assert np.isnan(sums[1]) and sums[2] == -np.inf


@both_types
def test_bad_arguments_are_rejected_before_anything_is_written(kind: str) -> None:
    x, out = np.zeros((2, 3), dtype_of(kind)), np.full((2, 3), 7, dtype_of(kind))
    index, u, sums = np.full(2, 7), np.array([0.5, 1.0]), np.full(2, 7.0)
    assert function("draw_rows", kind)(x.ctypes.data, 2, 3, 1.0, u.ctypes.data, index.ctypes.data) == ARGUMENT
    assert function("draw", kind)(x.ctypes.data, 3, 1.0, -0.1) == -ARGUMENT
    for n, temperature in ((3, -1.0), (3, np.nan), (0, 1.0)):
        for name, to in (("softmax", out), ("log_softmax", out), ("logsumexp", sums)):
            assert function(f"{name}_rows", kind)(x.ctypes.data, 2, n, temperature, to.ctypes.data) == ARGUMENT
            assert function(name, kind)(x.ctypes.data, n, temperature, to.ctypes.data) == ARGUMENT
    assert (out == 7).all() and (index == 7).all() and (sums == 7).all()


def test_threads_may_call_at_once(rng: np.random.Generator) -> None:
    x = rng.normal(0, 3, 5000)
    u = rng.random(400)
    expected = fs.sample(x, size=u.size, u=u).tolist()

    def draw_all(_: int) -> list[int]:
        return [c_api.draw_f64(x.ctypes.data, x.size, 1.0, v) for v in u]  # ctypes lets go of the GIL

    with ThreadPoolExecutor(4) as pool:
        assert all(drawn == expected for drawn in pool.map(draw_all, range(8)))


# --- Cython ------------------------------------------------------------------------------------------------------


@needs_compiler
def test_cython_modules_of_the_page_build_without_a_header_and_run(tmp_path: Path) -> None:
    files = of_page("cython")
    assert set(files) == {"mean_payoff.pyx", "top_two.pyx"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    cythonize(*files, folder=tmp_path)
    payoff = "import mean_payoff, numpy; print(mean_payoff.mean_payoff(numpy.array([0.0, 1.0]), 1.0, 7, 100_000))"
    # three standard deviations of the mean of 100,000 draws are 0.0042, and the seed is fixed
    assert abs(float(run([sys.executable, "-c", payoff], tmp_path)) - np.e / (1 + np.e)) < 0.0042
    draw = "import top_two, numpy; print([top_two.top_two(numpy.arange(4.0), u) for u in (0.0, 0.26, 0.27, 0.999)])"
    assert run([sys.executable, "-c", draw], tmp_path) == "[2, 2, 3, 3]\n"  # 1 / (1 + e) = 0.2689
    bad = "import mean_payoff, numpy; mean_payoff.mean_payoff(numpy.array([0.0, numpy.nan]), 1.0, 7, 10)"
    with pytest.raises(AssertionError, match=f"no payoff can be chosen: code {NAN}"):
        run([sys.executable, "-c", bad], tmp_path)


@needs_compiler
def test_a_module_made_for_another_signature_is_rejected(tmp_path: Path) -> None:
    other = tmp_path / "other" / "fastsoftmax"
    other.mkdir(parents=True)
    (other / "__init__.py").touch()
    (other / "_core.pxd").write_text(PXD.replace("int64_t draw_f64(const double *x", "int64_t draw_f64(const float *x"))
    source = other.parent / "stale.pyx"
    source.write_text("from fastsoftmax._core cimport draw_f64\n\ndef f():\n    return draw_f64(NULL, 0, 1.0, 0.5)\n")
    pytest.importorskip("Cython")
    path = {**os.environ, "PYTHONPATH": str(other.parent), "CFLAGS": "-O0"}
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-i", source.name]
    subprocess.run(command, cwd=other.parent, env=path, check=True, capture_output=True)
    shutil.move(next(other.parent.glob("stale.*.[sp][oy]*")), tmp_path)
    with pytest.raises(AssertionError, match="TypeError: .*draw_f64.*wrong signature"):
        run([sys.executable, "-c", "import stale"], tmp_path)


@needs_compiler
def test_cython_particle_filter_finds_the_exact_likelihood(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples" / "cython_particle_filter", tmp_path, dirs_exist_ok=True)
    cythonize("particle_filter.pyx", folder=tmp_path)
    lines = run([sys.executable, "compare.py"], tmp_path).splitlines()
    assert lines[-1] == "The particles find the exact likelihood."


# --- Numba -------------------------------------------------------------------------------------------------------


def test_numba_draws_what_python_draws(rng: np.random.Generator) -> None:
    numba = pytest.importorskip("numba")
    draw_f32, draw_filtered_f32, scratch_size = c_api.draw_f32, c_api.draw_filtered_f32, c_api.scratch_size

    @numba.njit(parallel=True)
    def draw(x, u, filters, index):  # type: ignore[no-untyped-def]
        for i in numba.prange(x.shape[0]):
            scratch = np.empty(scratch_size(x.shape[1]), np.uint8)
            row = x[i]
            index[0, i] = draw_f32(row.ctypes.data, row.size, 0.7, u[i])
            index[1, i] = draw_filtered_f32(
                row.ctypes.data, row.size, 0.7, filters.ctypes.data, 1.0, u[i], scratch.ctypes.data
            )

    x, u, index = rng.normal(0, 3, (100, 40)).astype(np.float32), rng.random(100), np.empty((2, 100), np.int64)
    draw(x, u, c_api.filters(top_k=3), index)
    np.testing.assert_array_equal(index[0], fs.sample(x, 0.7, u=u))
    np.testing.assert_array_equal(index[1], fs.sample(x, 0.7, u=u, top_k=3))


def test_the_module_for_numba_does_not_import_it() -> None:
    code = "import sys; sys.modules['numba'] = None; import fastsoftmax.integrations.numba as d; print(d.abi_version())"
    assert run([sys.executable, "-c", code], ROOT) == f"{c_api.abi_version()}\n"


# --- C and C++ ---------------------------------------------------------------------------------------------------


def link(builder: Builder, source: Path, program: Path) -> Path:
    """A program against the header of get_include() and the kernels of the C tests, with every warning an error."""
    NATIVE.compile(source, program.with_suffix(".o"), "-pedantic", csrc=Path(fs.get_include()))
    objects = [program.with_suffix(".o"), *builder.library(NATIVE)]
    subprocess.run([*CC, *map(str, objects), "-o", str(program), "-lm", "-pthread"], check=True)
    return program


@needs_compiler
def test_c_program_of_the_page_prints_what_it_says(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "three.c").write_text(of_page("c")["three.c"])
    program = link(builder, tmp_path / "three.c", tmp_path / "three")
    assert run([program], tmp_path) == "0.186 0.307 0.506\n1\n"
    assert "prints `0.186 0.307 0.506` and `1`" in PAGE


@needs_compiler
def test_c_bigram_text_has_the_exact_stationary_distribution(builder: Builder, tmp_path: Path) -> None:
    source = ROOT / "examples" / "bigram_text.c"
    lines = run([link(builder, source, tmp_path / "bigram_text"), source], tmp_path).splitlines()
    assert lines[-1] == "The letters come as often as they should."


@needs_compiler
@pytest.mark.parametrize("language", [["-x", "c", "-std=c11"], ["-x", "c++", "-std=c++11"]], ids=["c", "c++"])
def test_the_header_stands_alone(language: list[str], tmp_path: Path) -> None:
    if "c++" in language and shutil.which("c++") is None:
        pytest.skip("no c++")
    compiler = ["c++"] if "c++" in language else CC
    flags = [*language, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", f"-I{fs.get_include()}", "-"]
    text = '#include "fastsoftmax.h"\nint main(void) { return fs_draw_f32(0, 0, 1.0, 0.5) == -FS_ARGUMENT; }\n'
    subprocess.run([*compiler, *flags], input=text, text=True, check=True)


@needs_compiler
def test_a_c_extension_gets_the_functions_from_capsules(tmp_path: Path) -> None:
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        pytest.skip("no Python.h")
    (tmp_path / "exported.c").write_text(of_page("c")["exported.c"])
    include = [f"-I{sysconfig.get_path(where)}" for where in ("include", "platinclude")]
    shared = ["-bundle", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-shared"]
    module = f"exported{sysconfig.get_config_var('EXT_SUFFIX')}"
    run([*CC, "-fPIC", "-Wall", "-Werror", *include, *shared, "exported.c", "-o", module], tmp_path)
    draw = "import exported; print([exported.draw(u) for u in (0.0, 0.1, 0.5, 1.0)])"
    assert run([sys.executable, "-c", draw], tmp_path) == f"[0, 1, 2, {-ARGUMENT}]\n"


# --- what it costs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [True, False], ids=["draw", "softmax"])
@pytest.mark.parametrize("n", [10, 64])
def test_the_c_api_adds_at_most_five_percent_to_short_rows(draws: bool, n: int, rng: np.random.Generator) -> None:
    x = rng.normal(0, 3, n).astype(np.float32)

    def median_ratio() -> float:
        def once(through: bool) -> float:
            return _core._time_c_api(x.copy(), 0.7, 2000, draws, through)

        return float(np.median([once(True) / once(False) for _ in range(31)]))

    # A jump to the C function: what is more than that is there in every attempt, noise is not.
    assert min(median_ratio() for _ in range(5)) <= 1.05
