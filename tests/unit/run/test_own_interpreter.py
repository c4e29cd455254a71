"""An engine in an environment of its own: a real one, with the fake engine in it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.core import registry
from evalkit.core.errors import PrerequisiteError
from evalkit.core.types import Completion, Model, Prompt, Request, SamplingParams
from evalkit.run.workers import CheckedEngine, IsolatedEngine, Worker, open_engine

PLUGIN = Path(__file__).parent / "fake_plugin"
ASKED = [Request(f"key-{number}", "task", str(number), Prompt(text="?"), SamplingParams()) for number in range(500)]


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake engine, registered in this process only."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    monkeypatch.setattr(registry, "_points", registry._points.__wrapped__)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, own_environment: Callable[..., Path]) -> str:
    """The interpreter of an environment with what evalkit needs and the fake's module, without metadata of either."""
    folder = tmp_path_factory.mktemp("own")
    place = own_environment(folder, "msgspec", "filelock", "platformdirs", "jinja2", "markupsafe")
    (place / "fake_engine.py").symlink_to(PLUGIN / "fake_engine.py")
    return str(folder / "bin" / "python")


def test_it_answers_from_there(python: str, tmp_path: Path) -> None:
    """The worker runs in that environment, with this evalkit, and nothing else of this environment in sight."""
    heard: list[str] = []
    engine = open_engine(Model("it", "fake", {"behaviour": "tells_where"}, python=python), heard.append)
    answers = list(engine.generate(ASKED))
    engine.close()
    assert len(answers) == len(ASKED)
    assert heard[0] == "opening the fake"
    assert heard[1] == f"{python} without pytest"


def test_a_kill_there_is_survived(python: str) -> None:
    """As anywhere: started again once, each request answered once."""
    heard: list[str] = []
    inner = IsolatedEngine(Model("it", "fake", {}, python=python), heard.append)
    answers = CheckedEngine(inner).generate(ASKED)
    found = [next(answers) for _ in range(5)]
    assert isinstance(inner._worker, Worker)
    os.kill(inner._worker.pid, signal.SIGKILL)
    found += answers
    inner.close()
    assert sorted(answer.key for answer in found) == sorted(request.key for request in ASKED)
    assert all(isinstance(answer, Completion) for answer in found)
    assert any("killed by SIGKILL" in text for text in heard)


def test_an_interpreter_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Exit code 4, before a process is started."""
    engine = open_engine(Model("it", "fake", {}, python=str(tmp_path / "none")), print)
    with pytest.raises(PrerequisiteError, match="there is no interpreter"):
        list(engine.generate(ASKED))
    engine.close()


def test_a_plug_in_that_is_not_there_is_said(tmp_path: Path, python: str) -> None:
    """An adapter of somebody else has to be installed there too."""
    model = Model("it", "elsewhere", {}, python=python)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "place", lambda group, name: "nowhere.engine:A")
        engine = IsolatedEngine(model, print)
        with pytest.raises(PrerequisiteError, match=r"the elsewhere plug-in \(nowhere.engine:A\) cannot be imported"):
            list(engine.generate(ASKED))
        engine.close()
