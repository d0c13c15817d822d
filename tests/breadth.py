"""How many random cases a test tries: some in the ordinary run, five times as many in `.ci/run full`."""

import os

BREADTH = int(os.environ.get("TEST_BREADTH", "1"))


def cases(ordinary: int) -> int:
    """The number of cases, given that of the ordinary run."""
    return ordinary * BREADTH
