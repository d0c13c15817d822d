"""What the C tests share: objects and programs that are built once, and a pool that works ahead of the tests."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
from toolchains import Builder


@pytest.fixture(scope="session")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return Builder(tmp_path_factory.mktemp("c"))


class Ahead:
    """Calls `work` with the parameter of every selected test of a module, one call for each CPU at a time.

    A test gets the result of its own parameter, and fails or is skipped as if it had made the call itself.  What is to
    run `alone` is called by its test, after all the others."""

    def __init__(self, module: Any, items: list[pytest.Item], builder: Builder) -> None:
        self.builder = builder
        self.parameters = [
            parameter
            for item in items
            if getattr(item, "module", None) is module and hasattr(item, "callspec")
            for parameter in item.callspec.params.values()
        ]
        self.pool = ThreadPoolExecutor(os.cpu_count())
        self.futures: dict[Any, Future[Any]] = {}

    def result(
        self, work: Callable[[Any], Any], parameter: Any, alone: Callable[[Any], bool] = lambda parameter: False
    ) -> Any:
        for other in self.parameters:
            if type(other) is type(parameter) and other not in self.futures and not alone(other):
                self.futures[other] = self.pool.submit(work, other)
        if alone(parameter):
            wait(self.futures.values())
            with self.builder.while_none_compile_ahead():
                return work(parameter)
        return self.futures[parameter].result()


@pytest.fixture(scope="module")
def ahead(request: pytest.FixtureRequest, builder: Builder) -> Iterator[Ahead]:
    ahead = Ahead(request.module, request.session.items, builder)
    yield ahead
    ahead.pool.shutdown(cancel_futures=True)
