"""What the tests of integrations share: a seed of PyTorch, and tiny models of transformers."""

import pytest


@pytest.fixture(autouse=True)
def _seeded():
    pytest.importorskip("torch").manual_seed(20)


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
