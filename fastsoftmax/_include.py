"""Where the C header and the sources of the kernels are."""

from __future__ import annotations

from pathlib import Path


def get_include() -> str:
    """The folder of ``fastsoftmax.h`` and of the C sources that go with it.

    Returns
    -------
    str
        An absolute path: for the ``-I`` of a C compiler, or the ``include_dirs`` of an extension.

    Raises
    ------
    FileNotFoundError
        Where the folder was left out when the package was packed again.

    Notes
    -----
    A C program is compiled with every ``.c`` file of the folder; ``fastsoftmax.h`` names the flags.  A Cython module
    that cimports ``fastsoftmax._core`` needs neither.  See docs/compiled.md.

    Examples
    --------
    >>> from pathlib import Path
    >>> import fastsoftmax
    >>> (Path(fastsoftmax.get_include()) / "fastsoftmax.h").is_file()
    True
    """
    package = Path(__file__).resolve().parent
    # Beside the modules where they are installed, beside the package in a checkout.
    for folder in (package / "include", package.parent / "csrc"):
        if (folder / "fastsoftmax.h").is_file():
            return str(folder)
    raise FileNotFoundError(f"fastsoftmax.h is missing from {package / 'include'}: install fastsoftmax again")
