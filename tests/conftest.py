"""What all tests share: the dtypes that stay what they are, a generator with a fixed seed, the C kernels."""

import numpy as np
import pytest
from c_kernels import Builder
from oracles import DTYPES


@pytest.fixture(params=DTYPES, ids=[dtype.name for dtype in DTYPES])
def dtype(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20240611)


@pytest.fixture(scope="session")
def builder(tmp_path_factory):
    return Builder(tmp_path_factory.mktemp("c"))
