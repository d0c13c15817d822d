"""What all tests share: the dtypes that are kept as they are, and a generator with a fixed seed."""

import copy
import functools
import inspect
import types

import numpy as np
import pytest
from oracles import DTYPES


@pytest.fixture(params=DTYPES, ids=[dtype.name for dtype in DTYPES])
def dtype(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(20240611)


def pytest_collection_modifyitems(items):
    """The tests of C last: while the others run, on one CPU, .ci/run compiles for them on another."""
    items.sort(key=lambda item: item.path.parent.name == "c")


def pytest_itemcollected(item):
    """Under pytest-run-parallel, whose threads share the fixtures: an `rng` for each, in the same state."""
    if not item.config.pluginmanager.hasplugin("run-parallel") or not hasattr(item, "obj"):
        return
    test = item.obj
    if "rng" not in inspect.signature(test).parameters:
        return

    def alone(*args, rng, **others):
        return test(*args, rng=clone(rng), **others)

    # With the globals of the test, in which the plugin looks for what is not to be run in parallel.
    clone = copy.deepcopy
    code = types.FunctionType(alone.__code__, test.__globals__, alone.__name__, None, alone.__closure__)
    code.__kwdefaults__ = alone.__kwdefaults__
    item.obj = functools.wraps(test)(code)
