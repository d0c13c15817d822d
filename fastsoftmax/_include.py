"""get_include: the folder with the C header and the sources of the kernels."""

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
        If the folder is missing from the installation.

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
    # In the package where it is installed, next to the package in a checkout.
    for folder in (package / "include", package.parent / "csrc"):
        if (folder / "fastsoftmax.h").is_file():
            return str(folder)
    raise FileNotFoundError(f"fastsoftmax.h is missing from {package / 'include'}: install fastsoftmax again")
