"""Isolated engines with real processes: order, errors, deaths."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from evalkit.core import registry
from evalkit.core.errors import ContractError, PrerequisiteError
from evalkit.core.types import Completion, Model, Prompt, Request, SamplingParams, Void
from evalkit.run.workers import CheckedEngine, IsolatedEngine, Worker, open_engine

PLUGIN = Path(__file__).parent / "fake_plugin"
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is signalled on Linux only")


@pytest.fixture(autouse=True)
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fake engine, registered for this process and its workers."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(PLUGIN), *sys.path]))
    monkeypatch.syspath_prepend(str(PLUGIN))
    registry._points.cache_clear()
    yield
    registry._points.cache_clear()


def requests(n: int) -> list[Request]:
    prompt = Prompt(text="?")
    return [Request(f"key-{number}", "task", str(number), prompt, SamplingParams()) for number in range(n)]


def fake(log: Path | None = None, **source: str) -> Model:
    return Model("it", "fake", {**source, "log": str(log)} if log else dict(source))


def silent(text: str) -> None:
    """Nobody listens."""


def worker_of(engine: IsolatedEngine) -> Worker:
    assert isinstance(engine._worker, Worker)
    return engine._worker


def test_answers_every_request_and_tells_what_takes_long() -> None:
    """The common way: one answer each, notices on the way, over several frames."""
    heard: list[str] = []
    engine = open_engine(fake(), heard.append)
    answers = list(engine.generate(requests(600)))
    engine.close()
    assert [request.key for request in requests(600)] == [answer.key for answer in answers]
    assert heard == ["opening the fake"]


def test_starts_nothing_before_the_first_request(tmp_path: Path) -> None:
    """A run whose answers are all stored loads no model."""
    log = tmp_path / "log"
    engine = open_engine(fake(log), silent)
    assert list(engine.generate([])) == []
    engine.close()
    assert not log.exists()


def test_keeps_one_process_over_several_calls_and_closes_it(tmp_path: Path) -> None:
    """The model is loaded once; closing lets it clean up."""
    log = tmp_path / "log"
    engine = open_engine(fake(log), silent)
    for _ in range(3):
        list(engine.generate(requests(2)))
    engine.close()
    opened, *rest = log.read_text().splitlines()
    assert opened.startswith("open ")
    assert rest == ["asked 2", "asked 2", "asked 2", "close"]


def test_survives_a_kill_in_the_middle(tmp_path: Path) -> None:
    """SIGKILL while answers flow: each request is answered exactly once, only the unfinished are asked again."""
    log, heard = tmp_path / "log", []
    engine = IsolatedEngine(fake(log), heard.append)
    answers = CheckedEngine(engine).generate(requests(1000))
    keys = [next(answers).key for _ in range(10)]
    os.kill(worker_of(engine).pid, signal.SIGKILL)
    keys += [answer.key for answer in answers]
    engine.close()
    assert Counter({request.key: 1 for request in requests(1000)}) == Counter(keys)
    _, first, _, second, _ = log.read_text().splitlines()
    assert first == "asked 1000"
    assert 0 < int(second.removeprefix("asked ")) <= 990  # what was under way when the signal came may be lost
    assert heard[1].startswith("the engine's process died (killed by SIGKILL")


def test_gives_up_after_the_second_death() -> None:
    """What two workers could not do is void, with the signal and the last words; answers before that count."""
    engine = open_engine(fake(behaviour="dies"), silent)
    first, second, *rest = engine.generate(requests(4))
    assert isinstance(first, Completion)
    assert isinstance(second, Completion)
    reason = (
        "the engine's process died 2 times: killed by SIGKILL (often: out of memory); "
        "its last words: last words of the fake"
    )
    assert [Void("key-2", reason, "engine"), Void("key-3", reason, "engine")] == rest
    assert [Void("key-7", reason, "engine")] == list(engine.generate(requests(8)[7:]))
    engine.close()


def test_an_unexpected_error_is_a_death_with_a_reason() -> None:
    """A bug in an engine voids its requests and says what it was."""
    engine = open_engine(fake(behaviour="crashes"), silent)
    (answer,) = engine.generate(requests(1))
    engine.close()
    assert isinstance(answer, Void)
    assert "exit code 1" in answer.reason
    assert answer.reason.endswith("RuntimeError: a bug in the fake")


def test_noise_does_not_break_the_protocol() -> None:
    """Prints of libraries, also on descriptor 1, never reach the frames."""
    engine = open_engine(fake(behaviour="shouts"), silent)
    answers = list(engine.generate(requests(50)))
    engine.close()
    assert len(answers) == 50


def test_errors_cross_with_class_and_hint() -> None:
    """The parent raises what the worker raised."""
    engine = open_engine(fake(open="fails"), silent)
    with pytest.raises(PrerequisiteError) as caught:
        list(engine.generate(requests(1)))
    engine.close()
    assert str(caught.value) == "fake.py: the fake is missing"
    assert caught.value.hint == "install the fake"


def test_an_ignored_temperature_is_an_error() -> None:
    """Declared and effective parameters are compared on this side of the border."""
    engine = open_engine(fake(behaviour="ignores_temperature"), silent)
    with pytest.raises(ContractError, match=r"temperature: 0\.0 was asked for, 0\.7 was used"):
        list(engine.generate(requests(1)))
    engine.close()


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [("forgets_one", "gave 1 likelihoods for 2 continuations"), ("is_not_a_number", "likelihood that is not a number")],
)
def test_likelihoods_are_one_for_each_continuation(behaviour: str, expected: str) -> None:
    """Fewer than were asked for, or what is no number, is an error and no score."""
    asked = [msgspec.structs.replace(one, continuations=(" a", " b")) for one in requests(2)]
    engine = open_engine(fake(), silent)
    assert [2, 2] == [len(one.likelihoods) for one in engine.generate(asked) if isinstance(one, Completion)]
    engine.close()
    engine = open_engine(fake(behaviour=behaviour), silent)
    with pytest.raises(ContractError, match=expected):
        list(engine.generate(asked))
    engine.close()


def test_a_second_answer_is_an_error() -> None:
    """Twice answered is as wrong as not answered."""
    engine = open_engine(fake(behaviour="twice"), silent)
    with pytest.raises(ContractError, match="not asked for, or twice: key-1"):
        list(engine.generate(requests(2)))
    engine.close()


def test_requests_with_one_key_are_asked_once_and_answered_each(tmp_path: Path) -> None:
    """Two items with the same question share the answer."""
    log = tmp_path / "log"
    engine = open_engine(fake(log), silent)
    answers = list(engine.generate([*requests(2), *requests(1)]))
    engine.close()
    assert [answer.key for answer in answers] == ["key-0", "key-0", "key-1"]
    assert "asked 2" in log.read_text()


def test_voids_cross() -> None:
    """What the engine could not do arrives with its reason."""
    engine = open_engine(fake(behaviour="voids"), silent)
    assert [Void("key-0", "the fake would not", "engine")] == list(engine.generate(requests(1)))
    engine.close()


def test_an_abandoned_call_does_not_leak_into_the_next() -> None:
    """A caller that stops early gets a fresh worker, not the old one's answers."""
    engine = open_engine(fake(), silent)
    answers = engine.generate(requests(1000))
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert [answer.key for answer in engine.generate(requests(2))] == ["key-0", "key-1"]
    engine.close()


def test_outlives_the_thread_that_opened_it() -> None:
    """Linux ties the death signal to a thread: it must not be the caller's."""
    engine = open_engine(fake(), silent)
    opener = threading.Thread(target=lambda: list(engine.generate(requests(1))))
    opener.start()
    opener.join()
    inner = engine.inner  # type: ignore[attr-defined]
    pid = worker_of(inner).pid
    assert len(list(engine.generate(requests(5)))) == 5
    assert pid == worker_of(inner).pid
    engine.close()


def test_leaves_no_log_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's log lives as long as the worker."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    engine = open_engine(fake(), silent)
    list(engine.generate(requests(1)))
    assert len(list(tmp_path.iterdir())) == 1
    engine.close()
    assert list(tmp_path.iterdir()) == []


PARENT = """
import sys
from evalkit.core.types import *
from evalkit.run.workers import open_engine
engine = open_engine(Model("it", "fake", {"behaviour": sys.argv[1]}), lambda text: None)
asked = [Request(str(n), "t", str(n), Prompt(text="?"), SamplingParams()) for n in range(1000)]
answers = engine.generate(asked)
next(answers)
print(engine.inner._worker.pid, flush=True)
list(answers)
"""


@ON_LINUX
@pytest.mark.parametrize("behaviour", ["spins", "good"])
def test_the_worker_dies_with_its_parent(behaviour: str) -> None:
    """Also when it is busy and reads nothing."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, behaviour], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    worker = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    ended, _, _ = select.select([worker], [], [], 30)
    os.close(worker)
    parent.stdout.close()
    assert [worker] == ended
