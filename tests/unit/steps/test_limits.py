"""Time limits by a reference program: timed once, before what it limits, and told when it does not pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest
from msgspec.structs import replace

from evalkit.core.keys import execution_key
from evalkit.core.types import (
    Completion,
    Execution,
    ExecutionClass,
    Fingerprint,
    Json,
    Limits,
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
from evalkit.steps.bench import Arm, Bench, Trial, limits_of
from evalkit.steps.fill import fill
from evalkit.steps.rows import rows

IDENTITY = "sandbox-1"
DECLARED = Limits(wall_s=10.0, cpu_s=5.0)


class TimedScorer:
    """Programs are `ITEM INDEX`, their references `reference ITEM`; `reference` None wants no such limits."""

    executes = True

    def __init__(self, options: dict[str, Json]) -> None:
        self._options = options

    def check(self, sample: Sample) -> None: ...

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return Program("", completion.text, ("assert True",), limits=DECLARED)

    def reference(self, sample: Sample) -> Reference | None:
        name = self._options.get("reference", f"reference {sample.id}")
        return None if name is None else Reference(Program("", name, ("assert True",), limits=DECLARED), 4.0)

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return ()

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        assert execution is not None
        passed = execution.outcome == "passed"
        return Score("pass" if passed else "fail", float(passed), error_class=None if passed else execution.outcome)


class Engine:
    """Answers with the prompt and the sample index."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        for request in requests:
            text = f"{request.prompt.text} {request.index}"
            yield Completion(request.key, text, "stop", request.sampling, "0" * 64)

    def close(self) -> None: ...


class ClockSandbox:
    """Every program needs the processor time written here, and times out above its limit; `outcomes` says otherwise
    (None: void)."""

    def __init__(self, cpu_s: dict[str, float], outcomes: dict[str, ExecutionClass | None] | None = None) -> None:
        self.ran: list[tuple[str, float]] = []
        self._cpu_s = cpu_s
        self._outcomes = outcomes or {}

    def submit(self, program: Program) -> Future[Execution | Void]:
        self.ran.append((program.code, program.limits.cpu_s))
        future: Future[Execution | Void] = Future()
        future.set_result(self._run(program))
        return future

    def _run(self, program: Program) -> Execution | Void:
        needs = self._cpu_s.get(program.code, 0.1)
        outcome = self._outcomes.get(program.code, "passed" if needs <= program.limits.cpu_s else "timeout")
        if outcome is None:
            return Void(program.key, "the engine is gone", "sandbox")
        used = min(needs, program.limits.cpu_s)
        tests = (TestResult(outcome == "passed", "a test"),)
        return Execution(program.key, outcome, tests, wall_s=used + 0.1, cpu_s=used, peak_mb=9.5)

    def close(self) -> None: ...


class Bag:
    """Tools over one store and sandbox."""

    sandbox_identity = IDENTITY

    def __init__(self, store: SqliteStore, sandbox: ClockSandbox) -> None:
        self.store, self._sandbox = store, sandbox
        self.listener = self
        self.notes: list[str] = []

    def engine(self, model: Model) -> Engine:
        return Engine()

    def sandbox(self) -> ClockSandbox:
        return self._sandbox

    def stage(self, step: str, task: str, total: int, done: int) -> None: ...

    def advance(self, step: str, task: str, progress: Progress) -> None: ...

    def note(self, text: str) -> None:
        self.notes.append(text)

    def finish(self) -> None: ...


def bench(items: int, samples: int = 1, **options: Json) -> Bench:
    policy = Policy("p", temperature=0.7, samples=samples)
    asked = tuple(Sample("t", str(n), "code", "test", {}, Prompt(text=str(n)), {}) for n in range(items))
    arm = Arm("code", "t", "test", asked, policy, SamplingParams(0.7), TimedScorer(options), "", "")
    step = BenchStep("b", "s", "m", {"default": "p"})
    return Bench(step, Model("m", "echo", {}), Fingerprint("echo", {}), (arm,))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty store."""
    made = SqliteStore(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("measured_s", "floor_s", "expected_s"),
    [(0.3, 1.0, 2.0), (0.01, 1.0, 1.0), (0.01, 0.2, 1.0), (0.5, 1.0, 2.0), (1.0, 2.5, 4.0), (2.0, 1.0, 5.0)],
)
def test_the_limit_is_a_multiple_in_whole_seconds(measured_s: float, floor_s: float, expected_s: float) -> None:
    """Four times the reference, never below the floor, rounded up, never above what is declared."""
    program = Program("k", "", (), limits=DECLARED)
    timed = Execution("r", "passed", (), cpu_s=measured_s)
    limits = limits_of(Trial(program, Reference(program, 4.0, floor_s)), timed)
    assert limits == replace(DECLARED, cpu_s=expected_s)


@pytest.mark.parametrize(
    "timed",
    [None, Execution("r", "wrong_answer", (), cpu_s=0.1), Execution("r", "passed", (), cpu_s=None)],
    ids=["not timed", "does not pass", "processor time not known"],
)
def test_without_a_measured_reference_the_declared_limits_hold(timed: Execution | None) -> None:
    """Nothing is guessed."""
    program = Program("k", "", (), limits=DECLARED)
    assert limits_of(Trial(program, Reference(program, 4.0)), timed) == DECLARED


def test_a_slow_answer_times_out_and_a_fair_one_passes(store: SqliteStore) -> None:
    """The declared limit would let both pass; what held is in the rows."""
    sandbox = ClockSandbox({"reference 0": 0.3, "reference 1": 0.3, "0 0": 4.8, "1 0": 0.9})
    fill(bench(2), Bag(store, sandbox))
    found = list(rows(bench(2), store, IDENTITY))
    assert [row.outcome for row in found] == ["fail", "pass"]
    assert [row.error_class for row in found] == ["timeout", None]
    assert [row.limits for row in found] == [replace(DECLARED, cpu_s=2.0)] * 2
    assert [(row.cpu_s, row.peak_mb, row.reference) for row in found] == [(2.0, 9.5, "passed"), (0.9, 9.5, "passed")]


def test_a_reference_is_timed_once_and_first(store: SqliteStore) -> None:
    """Four answers to each of three items: three references under the declared limits, each before its answers."""
    sandbox = ClockSandbox({})
    fill(bench(3, 4), Bag(store, sandbox))
    assert sorted(sandbox.ran) == sorted(
        [(f"reference {n}", 5.0) for n in range(3)] + [(f"{n} {k}", 1.0) for n in range(3) for k in range(4)]
    )
    order = [code for code, _ in sandbox.ran]
    for n in range(3):
        assert all(order.index(f"reference {n}") < order.index(f"{n} {k}") for k in range(4))


def test_a_warm_store_executes_nothing_and_says_the_same(store: SqliteStore) -> None:
    """Also on a machine where the reference would be timed differently; another answer gets the limit of the store."""
    fill(bench(2, 2), Bag(store, ClockSandbox({"reference 0": 0.3, "0 1": 4.0})))
    before = list(rows(bench(2, 2), store, IDENTITY))
    slower = ClockSandbox({"reference 0": 2.0})
    fill(bench(2, 2), Bag(store, slower))
    assert slower.ran == []
    assert list(rows(bench(2, 2), store, IDENTITY)) == before
    fill(bench(2, 3), Bag(store, slower))
    assert sorted(slower.ran) == [("0 2", 2.0), ("1 2", 1.0)]


def test_programs_without_a_reference_keep_their_keys(store: SqliteStore) -> None:
    """The key of what does not use the rule is what it always was."""
    fill(bench(1, reference=None), Bag(store, ClockSandbox({})))
    key = execution_key(Program("", "0 0", ("assert True",), limits=DECLARED), IDENTITY)
    assert store.known("executions", [key]) == {key}
    [row] = rows(bench(1, reference=None), store, IDENTITY)
    assert (row.limits, row.reference) == (DECLARED, None)


def test_a_reference_that_does_not_pass_is_told(store: SqliteStore) -> None:
    """The declared limit holds for its items, and a note names them."""
    tools = Bag(store, ClockSandbox({"0 0": 4.8, "1 0": 4.8}, {"reference 0": "wrong_answer"}))
    fill(bench(2), tools)
    found = list(rows(bench(2), store, IDENTITY))
    assert [(row.outcome, row.reference, row.limits) for row in found] == [
        ("pass", "wrong_answer", DECLARED),
        ("fail", "passed", replace(DECLARED, cpu_s=1.0)),
    ]
    assert tools.notes == [
        "code: the reference program of 1 of the items does not pass its own tests, so it limits nothing there and the "
        "declared limits hold: 0"
    ]


def test_a_reference_that_cannot_be_run_leaves_its_answers_void(store: SqliteStore) -> None:
    """No verdict under a limit that is not known; the next run times it and goes on."""
    fill(bench(2), Bag(store, ClockSandbox({}, {"reference 0": None})))
    found = list(rows(bench(2), store, IDENTITY))
    assert [(row.outcome, row.reason) for row in found] == [
        ("void", "sandbox: the reference program was not timed: the engine is gone"),
        ("pass", None),
    ]
    mended = ClockSandbox({})
    fill(bench(2), Bag(store, mended))
    assert mended.ran == [("reference 0", 5.0), ("0 0", 1.0)]
    assert [row.outcome for row in rows(bench(2), store, IDENTITY)] == ["pass", "pass"]


def test_the_time_that_is_stored_counts(store: SqliteStore) -> None:
    """Another run over the same store was first with the reference: its time limits, not the one measured here."""

    class Overtaken(ClockSandbox):
        def submit(self, program: Program) -> Future[Execution | Void]:
            if program.code == "reference 0":
                store.put_executions([Execution(program.key, "passed", (), cpu_s=0.7)])
            return super().submit(program)

    sandbox = Overtaken({"reference 0": 0.1})
    fill(bench(1), Bag(store, sandbox))
    assert sandbox.ran == [("reference 0", 5.0), ("0 0", 3.0)]
    [row] = rows(bench(1), store, IDENTITY)
    assert row.limits == replace(DECLARED, cpu_s=3.0)


@pytest.mark.parametrize("reference_first", [True, False])
def test_a_program_that_is_also_a_reference_runs_once(store: SqliteStore, reference_first: bool) -> None:
    """An answer of one task is, letter by letter, the reference of another: one execution serves both."""
    [timed], [plain] = bench(1, reference="0 0").arms, bench(1, reference=None).arms
    arms = (replace(timed, category="timed"), replace(plain, category="plain"))
    both = replace(bench(1), arms=arms if reference_first else arms[::-1])
    sandbox = ClockSandbox({})
    fill(both, Bag(store, sandbox))
    assert sandbox.ran == [("0 0", 5.0), ("0 0", 1.0)]
    assert [row.outcome for row in rows(both, store, IDENTITY)] == ["pass", "pass"]
