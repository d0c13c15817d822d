"""What the tests of integrations share: a seed of PyTorch where it is used, models of transformers and llama.cpp."""

import contextlib
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


@pytest.fixture(scope="session")
def gguf_path(tmp_path_factory):
    pytest.importorskip("llama_cpp")
    pytest.importorskip("gguf")
    import llama_cpp_models

    return llama_cpp_models.write(tmp_path_factory.mktemp("gguf"))


@pytest.fixture(scope="session")
def llm_of_session(gguf_path):
    import llama_cpp_models

    with contextlib.closing(llama_cpp_models.load(gguf_path)) as llm:
        yield llm


@pytest.fixture
def llm(llm_of_session):
    """A llama_cpp.Llama, as it was made."""
    import llama_cpp_models

    yield llm_of_session
    llama_cpp_models.restore(llm_of_session)
