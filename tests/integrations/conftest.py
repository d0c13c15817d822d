"""What the tests of integrations share: a seed of PyTorch where a test uses it, and tiny models of transformers."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _seeded():
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(20)


@pytest.fixture(scope="session")
def llama():
    pytest.importorskip("transformers")
    import tiny_models

    return tiny_models.make_llama()


@pytest.fixture(scope="session")
def t5():
    pytest.importorskip("transformers")
    import tiny_models

    return tiny_models.make_t5()
