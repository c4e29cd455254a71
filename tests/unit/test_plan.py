"""From a spec to a plan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit import plan
from evalkit.core.errors import SpecError
from evalkit.core.runfolder import Lock, TaskLock
from evalkit.core.types import Execution
from evalkit.plan import PlannedStep, Sources, task_locks, with_limits
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec
from evalkit.spec.model import Spec
from evalkit.steps.bench import reference_of

Make = Callable[..., PlannedStep]

SPEC = """\
evalkit: 1
models: {recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: answer}}}
model: recorded
suite: [functions]
tasks:
  functions:
    data: [{file: functions.jsonl}]
    id: '{{ id }}'
    prompt: '{{ question }}'
    score: {code: {style: asserts, tests: tests, reference: solution}}
"""
ROWS = [
    {"id": "a", "question": "f?", "tests": ["assert f() == 1"], "solution": "def f(): return 1"},
    {"id": "b", "question": "f?", "tests": ["assert f() == 1"], "solution": "def f(): return 1"},
    {"id": "c", "question": "g?", "tests": ["assert g() == 2"], "solution": "def g(): return 2"},
]


@pytest.mark.parametrize(
    ("options", "sandbox", "expected"),
    [
        ({"tests": "t"}, {"workers": 2}, {"tests": "t"}),
        (
            {"tests": "t", "limits": {"cpu_s": 1}},
            {"cpu_s": 3, "wall_s": 9},
            {"tests": "t", "limits": {"cpu_s": 1, "wall_s": 9}},
        ),
        ({"tests": "t"}, {"reference_factor": 4}, {"tests": "t"}),
        ({"reference": "r"}, {"reference_factor": 4}, {"reference": "r", "reference_factor": 4}),
        (
            {"reference": "r", "reference_factor": 2},
            {"reference_factor": 4, "reference_floor_s": 3},
            {"reference": "r", "reference_factor": 2, "reference_floor_s": 3},
        ),
    ],
)
def test_limits_of_the_spec(options: dict[str, Any], sandbox: dict[str, Any], expected: dict[str, Any]) -> None:
    """They are for tasks that do not name their own; the rule about references is for tasks that have one."""
    assert with_limits(options, sandbox) == expected


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Plans a spec over three functions, two of them the same."""
    (tmp_path / "functions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    answers = [{"id": row["id"], "answer": row["solution"]} for row in ROWS]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))

    def planned(store: SqliteStore, sandbox: str, identity: str | None) -> PlannedStep:
        (tmp_path / "spec.yaml").write_text(f"{SPEC}sandbox: {sandbox}\n")
        loaded = load_spec(tmp_path / "spec.yaml")
        assert loaded.spec is not None, loaded.diagnostics
        [step] = plan.make(loaded.spec, Sources(store, notify=print, identity=identity)).steps
        return step

    return planned


def test_reference_programs_are_counted(tmp_path: Path, make: Make) -> None:
    """Different ones only, those that are timed already, and none where no factor asks for them."""
    store = SqliteStore(tmp_path / "store")
    asked = make(store, "{reference_factor: 4}", "image")
    assert (asked.references, asked.references_cached) == (2, 0)
    unknown = make(store, "{reference_factor: 4}", None)
    assert (unknown.references, unknown.references_cached) == (2, None)
    [arm] = asked.benches[0].arms
    first = reference_of(arm, arm.samples[0], "image")
    assert first is not None
    store.put_executions([Execution(first.program.key, "passed", (), cpu_s=0.1)])
    again = make(store, "{reference_factor: 4}", "image")
    assert (again.references, again.references_cached) == (2, 1)
    plain = make(store, "{cpu_s: 2}", "image")
    assert (plain.references, plain.references_cached) == (0, 0)
    store.close()


def test_the_lock_names_the_examples(tmp_path: Path) -> None:
    """Their ids, where they came from, and the reason of a miss once other ones are shown."""
    for split, names in (("test", "ab"), ("train", "xyz")):
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps({"id": n, "q": n}) + "\n" for n in names))
    text = """\
evalkit: 1
models: {recorded: {engine: replay, file: test.jsonl, fields: {id: id, text: q}}}
model: recorded
suite: [{task: letters, shots: SHOTS}]
tasks:
  letters:
    data: {test: [{file: test.jsonl}], train: [{file: train.jsonl}]}
    id: '{{ id }}'
    prompt: '{{ q }}'
    shots: {n: 1, split: train, answer: '{{ q }}', pick: first}
    score: {exact: {answer: '{{ q }}'}}
"""
    store = SqliteStore(tmp_path / "store")

    def locked(shots: int, before: Lock | None = None) -> tuple[TaskLock, str]:
        (tmp_path / "spec.yaml").write_text(text.replace("SHOTS", str(shots)))
        loaded = load_spec(tmp_path / "spec.yaml")
        assert loaded.spec is not None, loaded.diagnostics
        [step] = plan.make(loaded.spec, Sources(store, notify=print, previous=before)).steps
        [task] = plan.task_locks(loaded.spec, step.benches[0])
        return task, step.why

    two, _ = locked(2)
    assert (two.shots, two.shots_origin, len(two.shots_sha256)) == (("x", "y"), "train.jsonl", 64)
    none, why = locked(0, Lock(tasks=(two,)))
    assert (none.shots, none.shots_origin, none.shots_sha256) == ((), "", "")
    assert "letters: the examples changed" in why
    store.close()


WEIGHING = """\
evalkit: 1
models: {recorded: {engine: replay, file: answers.jsonl, fields: FIELDS}}
model: recorded
policy: {temperature: 0.7, samples: 3, max_tokens: 100}
suite: [letters, words]
tasks:
  letters:
    data: [{file: rows.jsonl}]
    id: '{{ id }}'
    text: '{{ question }}'
    score: {choice: {options: options, answer: right, continuation: CONTINUATION}}
  words:
    data: [{file: rows.jsonl}]
    id: '{{ id }}'
    prompt: '{{ question }}'
    score: {choice: {options: options, answer: right, by: letter}}
"""


def weighing(folder: Path, store: SqliteStore, fields: str, continuation: str = "' {{ option }}'") -> PlannedStep:
    rows = [{"id": name, "question": f"{name}?", "options": ["x", "y", "z"][:n], "right": 0} for name, n in WEIGHED]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "answers.jsonl").write_text('{"id": "a", "logprobs": [-1, -2], "text": "A"}\n')
    (folder / "spec.yaml").write_text(WEIGHING.replace("FIELDS", fields).replace("CONTINUATION", continuation))
    loaded = load_spec(folder / "spec.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    (step,) = plan.make(loaded.spec, Sources(store, notify=print)).steps
    return step


WEIGHED = (("a", 2), ("b", 3))
RECORDED = "{id: id, text: text, likelihoods: logprobs}"


def test_what_is_weighed_is_asked_once_and_costs_no_answer_tokens(tmp_path: Path) -> None:
    """However many samples the policy wants; the lock says that no sampling plays a part, and what is weighed."""
    store = SqliteStore(tmp_path / "store")
    step = weighing(tmp_path, store, RECORDED)
    letters, words = step.tasks
    assert (2, 6) == (letters.requests, words.requests)
    assert (5, 600) == (step.continuations, step.max_completion_tokens)
    lock, other = task_locks(load(tmp_path), step.benches[0])
    assert (1, None) == (lock.samples, lock.sampling)
    assert other.sampling is not None
    assert (3, 0.7) == (other.samples, other.sampling.temperature)
    again = weighing(tmp_path, store, RECORDED, "' {{ label }}'")
    assert lock.prompts != task_locks(load(tmp_path), again.benches[0])[0].prompts
    store.close()


def test_an_engine_that_cannot_weigh_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """With what to do about it."""
    store = SqliteStore(tmp_path / "store")
    with pytest.raises(SpecError, match="model 'recorded' has recorded answers only"):
        weighing(tmp_path, store, "{id: id, text: text}")
    store.close()


def load(folder: Path) -> Spec:
    loaded = load_spec(folder / "spec.yaml")
    assert loaded.spec is not None
    return loaded.spec


SPLITS = """\
evalkit: 1
models: {recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: q}}}
model: recorded
suite: {first: {task: letters, split: test}, second: {task: letters, split: dev}}
tasks:
  letters:
    data: {test: [{file: test.jsonl}], dev: [{file: dev.jsonl}]}
    id: '{{ id }}'
    prompt: '{{ q }}'
    score: {exact: {answer: '{{ q }}'}}
"""


@pytest.mark.parametrize(("other", "refused"), [("a?", False), ("b?", True)])
def test_one_recorded_answer_serves_one_prompt(tmp_path: Path, other: str, refused: bool) -> None:
    """Two splits with ids in common would be scored by the same answers; the same question twice is one question."""
    for name, question in (("test", "a?"), ("dev", other), ("answers", "a?")):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": "1", "q": question}) + "\n")
    (tmp_path / "spec.yaml").write_text(SPLITS)
    store = SqliteStore(tmp_path / "store")
    if not refused:
        [step] = plan.make(load(tmp_path), Sources(store, notify=print)).steps
        assert [1, 1] == [task.requests for task in step.tasks]
    else:
        with pytest.raises(SpecError, match=r"item '1' of task 'letters', and 'first' \(split 'test'\) and ") as caught:
            plan.make(load(tmp_path), Sources(store, notify=print))
        assert "'second' (split 'dev') ask" in caught.value.message
        assert "ids that tell the splits apart" in caught.value.hint
    store.close()


def test_one_recorded_answer_serves_one_prompt_in_all_steps(tmp_path: Path) -> None:
    """Also where two steps ask the two splits."""
    for name in ("test", "dev", "answers"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": "1", "q": name}) + "\n")
    steps = "suites: {x: {letters: {task: letters}}, y: {letters: {task: letters, split: dev}}}\n"
    steps += "steps: {one: {bench: x, model: recorded}, two: {bench: y, model: recorded}}\n"
    lines = [line for line in SPLITS.splitlines(keepends=True) if not line.startswith(("model:", "suite:"))]
    (tmp_path / "spec.yaml").write_text("".join(lines) + steps)
    store = SqliteStore(tmp_path / "store")
    with pytest.raises(SpecError, match="with different prompts"):
        plan.make(load(tmp_path), Sources(store, notify=print))
    store.close()
