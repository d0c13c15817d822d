"""What all tests share: the dtypes that stay what they are, and a generator with a fixed seed."""

import numpy as np
import pytest
from oracles import DTYPES


@pytest.fixture(params=DTYPES, ids=[dtype.name for dtype in DTYPES])
def dtype(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20240611)
