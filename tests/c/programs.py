"""The programs of tests/c: what each is linked with, and which sample of its cases each kind of run takes."""

from dataclasses import dataclass

from toolchains import AARCH64, CLANG, NATIVE, RELEASE, SANITIZED, WASM, WINDOWS, Toolchain

# What a program is linked with.
LIBRARY = "library"  # all of csrc/
OWN_POOL = "own pool"  # all but thread_pool.c, which it includes
ONE_SET = "one set"  # it includes the kernels or the vectors of one instruction set; built once for each
NOTHING = "nothing"  # it includes headers alone; built once for each set of FLAGS_OF_HEADERS

# What a program of ONE_SET is compiled with.
SET_FLAGS = {"scalar": (), "neon": (), "avx2": ("-march=x86-64-v3",), "avx512": ("-march=x86-64-v4",)}
FLAGS_OF_HEADERS = {"compiler": (), "portable": ("-U__SIZEOF_INT128__",)}

# The kinds of run: the toolchain, and which marker of pytest selects it.
KINDS: dict[str, tuple[Toolchain, str | None]] = {
    "ordinary": (NATIVE, None),
    "neon": (AARCH64, None),
    "wasm": (WASM, None),
    "windows": (WINDOWS, None),
    "clang": (CLANG, "slow"),
    "sanitized": (SANITIZED, "slow"),
    "release": (RELEASE, "slow"),
    "full": (RELEASE, "full"),
}
# The only instruction set of those machines that a program of ONE_SET is built for.
SETS_OF_KIND = {"neon": ["neon"], "wasm": ["scalar"]}


@dataclass(frozen=True)
class Program:
    """A program, and for each kind of run the value of its option: --every K takes one case in K."""

    name: str
    link: str
    option: str
    ordinary: int | None
    neon: int | None
    wasm: int | None
    windows: int | None
    clang: int | None
    sanitized: int | None
    release: int | None
    full: int | None
    alone: bool = False


TABLE = [
    #                                          ordinary  neon   wasm windows clang saniti. release full
    Program("bits", LIBRARY, "--every",          1499, 19001, 19001, 19001, 4001, 15013,  997,  101),
    Program("bits_filters", LIBRARY, "--every",  1999, 19001, 19001, 19001, 3989,  5003, 1999,  499),
    Program("bits_shards", LIBRARY, "--every",     97,   499,   499,   499,   97,   499,   29,    5),
    Program("guard", LIBRARY, "--every",           59,   599,  None,  None, None,   149,    7,    1),
    Program("guard_filters", LIBRARY, "--every",   59,  1499,  None,  None, None,   149,   19,    5),
    Program("segments", LIBRARY, "--every",        59,  1499,  None,  None,  199,   199,   11,    1),
    Program("draw", LIBRARY, "--every",           199,  3989,  3989,  3989, None,   397,   29,    7),
    Program("many", LIBRARY, "--every",            23,    28,    28,    28, None,     9,    3,    1),
    Program("filters", LIBRARY, "--every",          7,   397,   397,  None, None,    29,    3,    1),
    Program("ranking", LIBRARY, "--every",          5,   199,   199,  None, None,    29, None,    1),
    Program("reweighted", LIBRARY, "--every",       1,    97,    97,  None, None,    17, None, None),
    Program("rejection", LIBRARY, "--every",        3,    97,    97,    97,   97,    17,    1, None),
    Program("penalties", LIBRARY, "--every",        1,   199,   199,  None, None,     7, None, None),
    Program("plain", LIBRARY, "--every",            3,   199,   199,  None, None,    29, None,    1),
    Program("environment", LIBRARY, "--every",      3,   149,  None,  None, None,     4, None,    1),
    Program("exp_all", ONE_SET, "--stride",      4099,  None, 65537,  None, None, 65537,  257,   17),
    Program("half", ONE_SET, "--stride",          257,  None,  4099,  None, None,  4099,   31,    7),
    Program("seeded", ONE_SET, "--every",           5,    31,    31,  None, None,    11,    2,    1),
    Program("proposals", ONE_SET, "--every",        7,    59,    29,  None, None,    29,    1, None),
    Program("vectors", ONE_SET, "--every",          1,     1,     1,  None, None,     1, None, None),
    Program("accept", NOTHING, "--every",           1,  None,     1,  None, None,     1, None, None),
    Program("wide", NOTHING, "--every",             1,  None,     1,  None, None,     1, None, None),
    # What these see depends on when their threads run, or on the time they take: they have the machine to themselves.
    Program("race", LIBRARY, "--calls",           100,  None,  None,  None, None,   150, None, None, alone=True),
    Program("linear", LIBRARY, "--every",        None,  None,  None,  None, None,  None,    1, None, alone=True),
    Program("threads", OWN_POOL, "--every",       997,  None,  None,   997, None,   997,   97,   11, alone=True),
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A program in one kind of run; `variant` is the instruction set or the flags it is built for, if any."""

    program: Program
    kind: str
    variant: str = ""

    @property
    def sample(self) -> int:
        return getattr(self.program, self.kind)  # type: ignore[no-any-return]

    @property
    def toolchain(self) -> Toolchain:
        return KINDS[self.kind][0]

    def __str__(self) -> str:
        return "-".join(filter(None, (self.kind, self.program.name, self.variant)))


def variants(program: Program, kind: str) -> list[str]:
    if program.link == NOTHING:
        return list(FLAGS_OF_HEADERS)
    if program.link == ONE_SET:
        return SETS_OF_KIND.get(kind, list(SET_FLAGS))
    return [""]


RUNS = [
    Run(program, kind, variant)
    for alone in (False, True)
    for kind in KINDS
    for program in TABLE
    if program.alone == alone
    if getattr(program, kind) is not None
    for variant in variants(program, kind)
]
