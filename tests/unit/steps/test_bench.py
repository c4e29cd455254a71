"""Filling a bench: nothing asked twice, nothing lost, and a kill at any instant ends in the rows of a clean run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.core.types import (
    Completion,
    Execution,
    Fingerprint,
    Json,
    Message,
    Model,
    Program,
    Progress,
    Prompt,
    Reference,
    Request,
    Sample,
    SamplingParams,
    Score,
    TestResult,
    Void,
)
from evalkit.run.store import SqliteStore
from evalkit.spec.model import BenchStep, Policy
from evalkit.steps.bench import Arm, Bench
from evalkit.steps.fill import fill
from evalkit.steps.rows import rows


class Killed(BaseException):
    """The process ends here."""


class Fuse:
    """Burns after some operations; after that nothing works any more, as in a dead process."""

    def __init__(self, operations: int | None = None) -> None:
        self.left = operations

    def burn(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Killed


class FusedStore:
    """A store whose process can die before or after any of its operations."""

    def __init__(self, store: SqliteStore, fuse: Fuse) -> None:
        self._store, self._fuse = store, fuse

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def fused(*arguments: Any) -> Any:
            self._fuse.burn()
            result = method(*arguments)
            self._fuse.burn()
            return result

        return fused


class EchoEngine:
    """Answers with the prompt and the sample index; remembers what it was asked."""

    def __init__(self, fuse: Fuse) -> None:
        self.asked: list[str] = []
        self._fuse = fuse

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        for request in sorted(requests, key=lambda request: request.key):
            self._fuse.burn()
            self.asked.append(request.key)
            text = f"{request.prompt.messages[0].content} {request.index}"
            yield Completion(request.key, text, "stop", request.sampling, "0" * 64, 5, 2, 0.25)

    def close(self) -> None: ...


class InstantSandbox:
    """Runs a program at once: it passes when its text has an even length."""

    def __init__(self, fuse: Fuse) -> None:
        self.ran: list[str] = []
        self._fuse = fuse

    def submit(self, program: Program) -> Future[Execution | Void]:
        self._fuse.burn()
        self.ran.append(program.key)
        passed = len(program.code) % 2 == 0
        future: Future[Execution | Void] = Future()
        outcome = "passed" if passed else "wrong_answer"
        future.set_result(Execution(program.key, outcome, (TestResult(passed, "even"),), wall_s=0.01))
        return future

    def close(self) -> None: ...


class LengthScorer:
    """A scorer that needs execution."""

    executes = True

    def __init__(self, options: dict[str, Json]) -> None: ...

    def check(self, sample: Sample) -> None: ...

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return Program("", completion.text, ("assert True",))

    def reference(self, sample: Sample) -> Reference | None:
        return Reference(Program("", f"reference {sample.id}", ("assert True",)), 4.0)

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return ()

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        assert execution is not None
        passed = execution.outcome == "passed"
        return Score("pass" if passed else "fail", float(passed), tests_passed=execution.tests_passed, tests_total=1)


class TextScorer(LengthScorer):
    """A scorer that needs none."""

    executes = False

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return None

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        return Score("pass", 1.0, answer=completion.text)


class Bag:
    """Tools over one store, engine and sandbox."""

    sandbox_identity = "sandbox-1"

    def __init__(self, store: SqliteStore, operations: int | None = None) -> None:
        fuse = Fuse(operations)
        self.store = FusedStore(store, fuse)
        self.only_engine, self.only_sandbox = EchoEngine(fuse), InstantSandbox(fuse)
        self.listener = self
        self.heard: dict[str, Progress] = {}

    def engine(self, model: Model) -> EchoEngine:
        return self.only_engine

    def sandbox(self) -> InstantSandbox:
        return self.only_sandbox

    def stage(self, step: str, task: str, total: int, done: int) -> None: ...

    def advance(self, step: str, task: str, progress: Progress) -> None:
        before = self.heard.get(task, Progress())
        names = Progress.__struct_fields__
        self.heard[task] = Progress(*(getattr(before, name) + getattr(progress, name) for name in names))

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def sample(task: str, n: int) -> Sample:
    return Sample(task, str(n), task, "test", {}, Prompt((Message("user", f"{task} {n}"),)), {})


def bench(items: int, samples: int, salt: str = "") -> Bench:
    policy = Policy("p", temperature=0.7, samples=samples)
    arms = tuple(
        Arm(
            name,
            name,
            "test",
            tuple(sample(name, n) for n in range(items)),
            policy,
            SamplingParams(0.7),
            scorer,
            "",
            "",
        )
        for name, scorer in (("text", TextScorer({})), ("code", LengthScorer({})))
    )
    step = BenchStep("b", "s", "m", {"default": "p"})
    return Bench(step, Model("m", "echo", {}), Fingerprint("echo", {}), arms, salt)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(0, 60), max_size=6), items=st.integers(1, 7), samples=st.integers(1, 3))
def test_kills_and_reruns_end_like_a_clean_run(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int], items: int, samples: int
) -> None:
    """Whatever instants a run is killed at, running it again gives the same rows, and nothing stored is asked again."""
    work = bench(items, samples)
    clean = SqliteStore(tmp_path_factory.mktemp("clean"))
    fill(work, Bag(clean))
    store = SqliteStore(tmp_path_factory.mktemp("killed"))
    for operations in kills:
        tools = Bag(store, operations)
        stored = store.known("completions", _keys(work))
        executed = store.known("executions", _programs(work, clean))
        with suppress(Killed):
            fill(work, tools)
        assert stored.isdisjoint(tools.only_engine.asked)
        assert executed.isdisjoint(tools.only_sandbox.ran)
    fill(work, Bag(store))
    assert list(rows(work, store, "sandbox-1")) == list(rows(work, clean, "sandbox-1"))
    assert store.check() == []
    clean.close()
    store.close()


def _keys(work: Bench) -> list[str]:
    from evalkit.steps.bench import cells

    return [cell.request.key for arm in work.arms for cell in cells(work, arm)]


def _programs(work: Bench, store: SqliteStore) -> list[str]:
    from evalkit.steps.bench import cells, trial_of

    found = store.completions(_keys(work))
    trials = [
        trial_of(arm, cell.sample, found[cell.request.key], "sandbox-1")
        for arm in work.arms
        for cell in cells(work, arm)
    ]
    return [trial.program.key for trial in trials if trial is not None]


def test_a_second_fill_asks_nothing(tmp_path: Path) -> None:
    """Everything is in the store: no engine call, no execution, and the listener still hears the score."""
    store, work = SqliteStore(tmp_path), bench(5, 2)
    fill(work, Bag(store))
    again = Bag(store)
    fill(work, again)
    assert again.only_engine.asked == []
    assert again.only_sandbox.ran == []
    assert again.heard["text"] == Progress(done=0, tokens=0, scored=10, value=10.0)


def test_more_samples_ask_only_for_the_new_ones(tmp_path: Path) -> None:
    """Raising `samples` from 3 to 8 asks for five more of each item."""
    store = SqliteStore(tmp_path)
    fill(bench(2, 3), Bag(store))
    more = Bag(store)
    fill(bench(2, 8), more)
    assert len(more.only_engine.asked) == 2 * 2 * 5


def test_a_salt_asks_everything_again(tmp_path: Path) -> None:
    """A fresh run shares no answers with the one before."""
    store = SqliteStore(tmp_path)
    fill(bench(2, 1), Bag(store))
    fresh = Bag(store)
    fill(bench(2, 1, salt="again"), fresh)
    assert len(fresh.only_engine.asked) == 4


def test_equal_prompts_are_asked_once(tmp_path: Path) -> None:
    """Two items with one prompt share one completion and still give two rows."""
    store, work = SqliteStore(tmp_path), bench(1, 1)
    twin = Sample("text", "twin", "text", "test", {}, work.arms[0].samples[0].prompt, {})
    arm = Arm("text", "text", "test", (*work.arms[0].samples, twin), *_rest(work.arms[0]))
    doubled = Bench(work.step, work.model, work.fingerprint, (arm,))
    tools = Bag(store)
    fill(doubled, tools)
    assert len(tools.only_engine.asked) == 1
    assert [row.id for row in rows(doubled, store, "")] == ["0", "twin"]
    assert tools.heard["text"].done == 2


def _rest(arm: Arm) -> tuple[Any, ...]:
    return (arm.policy, arm.sampling, arm.scorer, arm.origin, arm.sha256)


def test_what_is_missing_is_void_with_its_reason(tmp_path: Path) -> None:
    """A row never turns into a wrong answer because something outside the model failed."""
    store, work = SqliteStore(tmp_path), bench(1, 1)
    [first, second] = list(rows(work, store, "sandbox-1"))
    assert (first.outcome, first.score, first.reason) == ("void", None, "not generated yet")
    store.put_voids([Void(first.completion, "the worker died", "engine")])
    assert next(rows(work, store, "sandbox-1")).reason == "engine: the worker died"
    store.put_completions([Completion(second.completion, "abc", "stop", None, "0" * 64)])
    assert list(rows(work, store, "sandbox-1"))[1].reason == "not executed yet"
