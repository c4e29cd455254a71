"""The pool, with containers that do as the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest

from evalkit.core.types import Execution, Program, Void
from evalkit.sandboxes import messages as messages_module
from evalkit.sandboxes import pool as pool_module
from evalkit.sandboxes.container import ContainerLost
from evalkit.sandboxes.engine import EngineLost
from evalkit.sandboxes.pool import Pool


class FakeContainer:
    """Passes every program but those whose code says otherwise. `born` counts them."""

    born = 0
    closed = 0
    refuse = ""

    def __init__(self, *_: object) -> None:
        if FakeContainer.refuse:
            raise EngineLost(FakeContainer.refuse)
        FakeContainer.born += 1
        self.number = FakeContainer.born
        self.waiting: list[dict[str, object]] = []

    def send(self, line: bytes) -> None:
        self.waiting.append(json.loads(line))

    def receive(self, timeout_s: float) -> list[bytes]:
        if not self.waiting:
            return []
        job = self.waiting.pop(0)
        code = str(job["code"])
        if code == "deadly" or (code == "deadly once" and self.number == 1):
            raise ContainerLost("it died")
        if code == "babble":
            return [b"what?"]
        tree = {
            "id": job["id"],
            "outcome": "passed",
            "wall_s": 0,
            "cpu_s": 0,
            "peak_mb": 1,
            "stdout": code,
            "stderr": "",
        }
        return [json.dumps(tree).encode()]

    def close(self) -> None:
        FakeContainer.closed += 1


@pytest.fixture
def make_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Pool]]:
    """Pools over fake containers, closed at the end."""
    made: list[Pool] = []
    monkeypatch.setattr(pool_module, "start_with_retry", FakeContainer)
    FakeContainer.born, FakeContainer.closed, FakeContainer.refuse = 0, 0, ""

    def make(workers: int = 1) -> Pool:
        made.append(Pool("image", "{}", workers, 1024, lambda text: None))
        return made[-1]

    yield make
    for one in made:
        one.close()


def program(code: str) -> Program:
    return Program(key=code, code=code, tests=("assert True",))


def test_every_program_gets_its_own_answer(make_pool: Callable[..., Pool]) -> None:
    """Many programs over several containers: nothing is mixed up, nothing is lost."""
    pool = make_pool(3)
    futures = {str(n): pool.submit(program(str(n))) for n in range(500)}
    for name, future in futures.items():
        result = future.result(20)
        assert isinstance(result, Execution)
        assert (name, name) == (result.key, result.stdout)


def test_a_lost_program_is_tried_again(make_pool: Callable[..., Pool]) -> None:
    """The container dies under a program: a fresh one takes it, and those behind it, over."""
    pool = make_pool()
    first, second = pool.submit(program("deadly once")), pool.submit(program("b"))
    assert [future.result(20).outcome for future in (first, second)] == ["passed", "passed"]  # type: ignore[union-attr]
    assert FakeContainer.born == 2


@pytest.mark.parametrize("code", ["deadly", "babble"])
def test_lost_twice_is_void(make_pool: Callable[..., Pool], code: str) -> None:
    """A program that no container survives is void with the reason; its neighbours are judged."""
    pool = make_pool()
    futures = [pool.submit(program(name)) for name in (code, "b", "c", "d")]
    lost = futures[0].result(20)
    assert isinstance(lost, Void)
    assert lost.reason.startswith("lost twice: ")
    assert lost.by == "sandbox"
    assert [future.result(20).outcome for future in futures[1:]] == ["passed"] * 3  # type: ignore[union-attr]


def test_no_engine_voids_at_once(make_pool: Callable[..., Pool]) -> None:
    """Every program says why; none waits for an engine that is gone."""
    pool = make_pool(2)
    FakeContainer.refuse = "no Docker engine answers"
    results = [pool.submit(program(str(n))).result(20) for n in range(50)]
    assert {"no Docker engine answers"} == {result.reason for result in results if isinstance(result, Void)}
    assert len([result for result in results if isinstance(result, Void)]) == 50


def test_close_answers_what_is_open(make_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing resolves every future as void, also those of a submit that was blocked by the full queue."""
    stuck = threading.Event()
    monkeypatch.setattr(FakeContainer, "receive", lambda self, timeout_s: stuck.set() or [])
    pool = make_pool()
    futures = []

    def submit_many() -> None:
        futures.extend(pool.submit(program(str(n))) for n in range(40))

    thread = threading.Thread(target=submit_many)
    thread.start()
    assert stuck.wait(10)
    pool.close()
    thread.join(10)
    assert len(futures) == 40
    assert all(isinstance(future.result(0), Void) for future in futures)
    assert FakeContainer.closed == 1


def test_submit_after_close_is_void(make_pool: Callable[..., Pool]) -> None:
    """A closed pool answers instead of hanging."""
    pool = make_pool()
    pool.close()
    assert Void(key="a", reason="the sandbox is closed", by="sandbox") == pool.submit(program("a")).result(1)


def test_silence_is_not_waited_out_for_ever(make_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that says nothing past the program's limit and the grace is replaced, then the program is void."""
    monkeypatch.setattr(messages_module, "_GRACE_S", -1000.0)
    pool = make_pool()
    result = pool.submit(program("a")).result(20)
    assert Void(key="a", reason="lost twice: the container fell silent", by="sandbox") == result
