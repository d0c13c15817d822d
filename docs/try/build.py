"""Makes the page: compiles the kernels for WebAssembly, and writes one HTML file that needs nothing else.

    python docs/try/build.py [FOLDER]        FOLDER/index.html, by default build/try/index.html

It takes clang, lld, wasi-libc, compiler-rt for wasm32 and a native C compiler (CC): the digest that the check in the
page is compared with is that of a native program.  FASTSOFTMAX_OBJECTS may name a folder that keeps objects, as for
the C tests.
"""

import base64
import gzip
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests" / "c"))

from toolchains import NATIVE, WASM, Builder, passes  # noqa: E402

# Which cases of tests/c/bits.c the page takes: a second or two of them.
EVERY, SEED = 40009, 1


def module(builder: Builder) -> bytes:
    """The kernels, what the page calls of them, and tests/c/bits.c as a function."""
    objects = builder.library(WASM)
    for source, *flags in ((HERE / "try.c",), (ROOT / "tests" / "c" / "bits.c", "-Dmain=bits_main")):
        objects = [*objects, builder.folder / f"page-{source.stem}.o"]
        builder.compile(WASM, source, objects[-1], *flags)
    program = builder.folder / "page.wasm"
    link = [*WASM.link, "-mexec-model=reactor", "-Wl,--strip-all"]
    subprocess.run([*WASM.compiler, *map(str, objects), "-o", str(program), *link, *WASM.libraries], check=True)
    return program.read_bytes()


def native_digest(builder: Builder) -> dict[str, object]:
    """What tests/c/bits.c prints here, of every instruction set of this machine."""
    printed = passes(NATIVE, builder.with_library("bits", NATIVE), "--every", EVERY, "--seed", SEED)
    digests = dict(re.findall(r"^digest (\w+) (\w+)$", printed, re.MULTILINE))
    (digest,) = set(digests.values())
    return {"every": EVERY, "seed": SEED, "sets": list(digests), "digest": digest}


def source_of_policy(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def page(wasm: bytes, native: dict[str, object]) -> str:
    style = "".join((HERE / name).read_text() for name in ("style.css", "narrow.css"))
    script = "".join((HERE / name).read_text() for name in ("kernels.js", "rows.js", "page.js"))
    # Nothing is loaded, and no text runs but this: the browser sees to it.
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {source_of_policy(script)} 'wasm-unsafe-eval'",
            f"style-src {source_of_policy(style)}",
            "worker-src blob:",
            "img-src data:",
            "form-action 'none'",
            "base-uri 'none'",
        ]
    )
    config = (ROOT / "fastsoftmax" / "_config.py").read_text()
    (version,) = re.findall(r'^__version__ = "(.+)"$', config, re.MULTILINE)
    parts = {
        "policy": policy,
        "style": style,
        "script": script,
        "version": version,
        "native": json.dumps(native),
        "module": base64.b64encode(gzip.compress(wasm, mtime=0)).decode(),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], (HERE / "page.html").read_text())


def build(folder: Path) -> Path:
    with tempfile.TemporaryDirectory() as work:
        builder = Builder(Path(work))
        text = page(module(builder), native_digest(builder))
    folder.mkdir(parents=True, exist_ok=True)
    to = folder / "index.html"
    to.write_text(text)
    return to


def main() -> None:
    for toolchain in (WASM, NATIVE):
        compilers = [tool for tool in toolchain.missing() if tool not in toolchain.runner]
        if compilers:
            raise SystemExit(f"the page cannot be built: there is no {' '.join(compilers)}")
    print(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "try"))


if __name__ == "__main__":
    main()
