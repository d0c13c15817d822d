"""DataError: a command cannot use its data."""

from __future__ import annotations


class DataError(Exception):
    """The data cannot be used: exit status 1.  The message is one line that says what is wrong and where."""
