"""What every function of the package means, in plain Python: documentation that runs.

A row is a list of numbers, every other argument is a plain number or a list as long as the row, and each function takes
one row; the fast functions do the same to every row of an array. Nothing but the standard library is used, and nothing
is done for speed: the code is the formula.

Exponents ``(x_i - max x) / temperature`` are formed exactly, as fractions; filters and draws compare exact sums of
weights. The only rounding is that of ``math.exp``, ``math.log`` and ``math.log1p``, a few units in the last place of a
float64. A row that cannot be drawn from raises a ValueError that says why; no other argument is checked.

`SegmentedRows` is `softmax`, `log_softmax`, `logsumexp` or `sample` of each of its rows. `Categorical` and `Sampler`
are `sample` with the arguments that stay the same held, the seed too; but with a seed a Categorical takes u from
`seeded_uniform` in `_seeded.py`.
"""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from ._functions import *  # noqa: F403


def __getattr__(name: str) -> _typing.Any:
    """The functions are imported when one is asked for: most programs never do.

    This stands here and not in the package, because a module that has such a function gives all its names more slowly.
    """
    functions = _importlib.import_module(f"{__name__}._functions")
    if name == "__all__" or name in functions.__all__:
        return getattr(functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
