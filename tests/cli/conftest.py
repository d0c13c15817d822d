"""Files that the command line reads."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def save(tmp_path: Path):  # type: ignore[no-untyped-def]
    def to_file(name: str, content: object) -> Path:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_bytes(content.encode())
        else:
            np.save(path, content, allow_pickle=True)
        return path

    return to_file
