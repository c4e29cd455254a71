"""Several engines as one: real workers with the fake engine, and engines of this process for what they cannot show."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from evalkit.core import registry
from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.core.types import Completion, Model, Prompt, Request, SamplingParams, Void
from evalkit.run.fleet import Fleet
from evalkit.run.workers import CheckedEngine, open_engine

PLUGIN = Path(__file__).parent / "fake_plugin"
ASKED = [Request(f"key-{number}", "task", str(number), Prompt(text="?"), SamplingParams()) for number in range(1000)]


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fake engine, registered for this process and its workers."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGIN), *sys.path]))
    monkeypatch.syspath_prepend(str(PLUGIN))
    registry._points.cache_clear()
    yield
    registry._points.cache_clear()


def fake(log: Path, *behaviours: str) -> Model:
    """A model that wants a worker for each of the behaviours."""
    return Model("it", "fake", {"log": str(log), "replicas": list(behaviours)})


def test_every_request_is_answered_once_by_somebody(tmp_path: Path) -> None:
    """Two processes, both at work, in several calls."""
    heard: list[str] = []
    log = tmp_path / "log"
    engine = open_engine(fake(log, "good", "good"), heard.append)
    for _ in range(2):
        assert Counter(one.key for one in ASKED) == Counter(one.key for one in engine.generate(ASKED))
    assert list(engine.generate([])) == []
    engine.close()
    lines = log.read_text().splitlines()
    assert len({line for line in lines if line.startswith("open ")}) == 2
    assert lines.count("close") == 2
    assert sum(int(line.split()[1]) for line in lines if line.startswith("asked ")) == 2 * len(ASKED)
    assert heard == ["opening the fake"] * 2


def test_an_error_of_one_is_raised(tmp_path: Path) -> None:
    """With its class, when the others have stopped; the fleet can be closed."""
    engine = open_engine(fake(tmp_path / "log", "good", "fails_to_open"), lambda text: None)
    with pytest.raises(PrerequisiteError, match="the fake is missing"):
        list(engine.generate(ASKED))
    engine.close()


def test_the_death_of_one_voids_what_was_its_own(tmp_path: Path) -> None:
    """It is started again once, as any worker; the other goes on."""
    engine = open_engine(fake(tmp_path / "log", "good", "dies"), lambda text: None)
    found = list(engine.generate(ASKED))
    engine.close()
    assert Counter(one.key for one in ASKED) == Counter(one.key for one in found)
    voids = [one for one in found if isinstance(one, Void)]
    assert len(voids) == 125 - 2  # each of two workers gave one answer
    assert all("died 2 times" in one.reason for one in voids)


def test_when_all_are_lost_the_rest_is_void(tmp_path: Path) -> None:
    """With the reason, each once."""
    engine = open_engine(fake(tmp_path / "log", "dies", "dies"), lambda text: None)
    found = list(engine.generate(ASKED))
    engine.close()
    assert Counter(one.key for one in ASKED) == Counter(one.key for one in found)
    assert len([one for one in found if isinstance(one, Void)]) > 900


def test_a_caller_that_stops_early_gets_fresh_answers_next(tmp_path: Path) -> None:
    """Nothing of the abandoned call is left in the queue."""
    engine = open_engine(fake(tmp_path / "log", "good", "good"), lambda text: None)
    answers = engine.generate(ASKED)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert sorted(one.key for one in engine.generate(ASKED[:3])) == ["key-0", "key-1", "key-2"]
    engine.close()


class Lazy:
    """An engine that notes how much it was asked at a time."""

    spent = False

    def __init__(self, model: Model, notify: Notify) -> None:
        self.sizes: list[int] = []

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        self.sizes.append(len(requests))
        yield from (Void(one.key, "not now", "engine") for one in requests)

    def close(self) -> None: ...


def test_parts_are_large_and_several_for_each() -> None:
    """Enough for a batch, not so many that one engine has the rest alone; a few requests are shared by all."""
    made: list[Lazy] = []

    def start(model: Model, notify: Notify) -> Lazy:
        made.append(Lazy(model, notify))
        return made[-1]

    fleet = Fleet([Model("it", "fake", {})] * 2, print, start)
    list(CheckedEngine(fleet).generate(ASKED))
    assert sorted(size for one in made for size in one.sizes) == [125] * 8
    for one in made:
        one.sizes.clear()
    list(fleet.generate(ASKED[:10]))
    assert sorted(size for one in made for size in one.sizes) == [5, 5]
