"""The text to learn: the documentation topics of Python, or the bytes of a file."""

from __future__ import annotations

import re

_PARAGRAPHS = re.compile(r"\n\s*\n")


def documentation() -> str:
    """The prose of the topics behind Python's ``help()``, one paragraph a line, each paragraph once.

    The topics differ between Python versions, and so does the model.

    Raises
    ------
    ImportError
        If this Python was installed without ``pydoc_data``.
    """
    from pydoc_data.topics import topics

    paragraphs: dict[str, None] = {}
    for topic in topics.values():
        for block in _PARAGRAPHS.split(topic):
            paragraph = " ".join(block.split())
            # Keep sentences; leave out titles, grammar, tables and code.
            if paragraph[:1].isupper() and paragraph.endswith("."):
                paragraphs[paragraph] = None
    return "".join(f"{paragraph}\n" for paragraph in paragraphs)


def decode(data: bytes) -> str:
    """UTF-8 bytes as text, without byte-order mark, with newlines as line ends.

    Raises
    ------
    ValueError
        If the bytes are not UTF-8; the message has the offset of the first bad byte.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise ValueError(f"not UTF-8: byte 0x{byte:02x} at offset {error.start}, {error.reason}") from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
