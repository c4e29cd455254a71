"""A real engine, the real image, real containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Limits, Program
from evalkit.sandboxes import engine
from evalkit.sandboxes.docker import ADAPTER, build

LIMITS = Limits(wall_s=20.0, cpu_s=5.0, memory_mb=512)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/docker/" in item.path.as_posix():
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """The engine's client; without an engine these tests say so and are skipped."""
    if not engine.answers():
        pytest.skip("no Docker engine answers")
    build(print)
    found = engine.connect()
    yield found
    found.close()


@pytest.fixture(scope="session")
def sandbox(client: Any) -> Iterator[Sandbox]:
    """Two containers, shared by the tests that leave them as they were."""
    pool = ADAPTER.open({"workers": 2}, print)
    yield pool
    pool.close()


@pytest.fixture
def open_pool(client: Any) -> Iterator[Callable[..., Sandbox]]:
    """Pools of a test's own, closed after it."""
    made: list[Sandbox] = []

    def make(workers: int = 1) -> Sandbox:
        made.append(ADAPTER.open({"workers": workers}, print))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


@pytest.fixture
def judge(sandbox: Sandbox) -> Callable[..., Execution]:
    """What the sandbox says of a program whose tests are about `f`."""

    def run(code: str, *tests: str, **more: Any) -> Execution:
        program = Program(key="k", code=code, tests=tests, **{"entry_point": "f", "limits": LIMITS, **more})
        result = sandbox.submit(program).result(120)
        assert isinstance(result, Execution), result
        return result

    return run
