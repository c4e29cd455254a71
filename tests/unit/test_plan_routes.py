"""Plans and runs of steps whose model is a route, from a spec with recorded answers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from evalkit import plan
from evalkit.console.live import Live
from evalkit.core.errors import DataError, SpecError
from evalkit.core.runfolder import Lock
from evalkit.core.types import Completion
from evalkit.plan import Plan, PlannedTask, Sources
from evalkit.project import Project, Wish, results, run
from evalkit.report.export import tables
from evalkit.run.record import UsedSandbox, lock_of, read_lock
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec
from evalkit.steps.bench import cells

SPEC = """\
evalkit: 1
models:
  cheap: {engine: replay, file: cheap.jsonl, fields: {id: id, text: text, seconds: s, completion_tokens: n}}
  strong: {engine: replay, file: strong.jsonl, fields: {id: id, text: text, seconds: s, completion_tokens: n}}
  by_level: {route: {rules: [{when: {level: [1, 2]}, model: cheap}, {model: strong}]}}
  unsure: {route: {first: cheap, then: strong, when: {agreement: {below: 0.6}}}}
  brief: {route: {first: cheap, then: strong, when: {rubric: {name: brief, below: 0.5}}, then_policy: greedy}}
rubrics:
  brief: [{name: short, points: 1, check: {max_lines: 1}}]
policies:
  vote: {temperature: 0.7, best_of: 3, select: majority}
  warm: {temperature: 0.7, samples: 3}
tasks:
  sums: {data: [{file: sums.jsonl}], id: '{{ id }}', prompt: '{{ q }}', score: {number: {field: gold}}}
  words: {data: [{file: words.jsonl}], id: '{{ id }}', prompt: '{{ q }}', score: {exact: {field: gold}}}
  letters:
    data: [{file: words.jsonl}]
    id: '{{ id }}'
    text: '{{ q }}'
    score: {choice: {options: options, answer: zero}}
suites:
  all: [words, sums]
  some: [letters]
cost: {gpu_hour: 3600}
steps:
  one: STEP
"""
SUMS = {"s1": [2, 2, 2], "s2": [2, 3, 4], "s3": [2, 2, 9]}
WORDS = {"w1": ["a", "b", "c"], "w2": ["b", "b", "b"]}
LEVELS = {"s1": 1, "s2": 2, "s3": 3, "w1": 3, "w2": 3}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks of five items; the cheap model answers three times, the strong one always rightly."""
    for name, said, gold in (("sums", SUMS, 2), ("words", WORDS, "b")):
        rows = [
            {"id": n, "q": f"{n}?", "gold": gold, "level": LEVELS[n], "options": ["b", "a"], "zero": 0} for n in said
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    answers = [(name, one) for name, said in (SUMS | WORDS).items() for one in said]
    right = [(name, 2 if name in SUMS else "b") for name in (SUMS | WORDS) for _ in range(3)]
    for model, texts, seconds in (("cheap", answers, 0.5), ("strong", right, 4.0)):
        rows = [{"id": name, "text": str(text), "s": seconds, "n": 7} for name, text in texts]
        (tmp_path / f"{model}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def planned(folder: Path, step: str, store: SqliteStore | None = None, spec: str = SPEC) -> Plan:
    (folder / "spec.yaml").write_text(spec.replace("STEP", step))
    loaded = load_spec(folder / "spec.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    told = store or SqliteStore(folder / "store")
    try:
        return plan.make(loaded.spec, Sources(told, notify=print))
    finally:
        if store is None:
            told.close()


def test_rules_give_each_model_its_items(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line for a category and model, none without items; a model that gets nothing is told."""
    [step] = planned(folder, "{bench: all, model: by_level}").steps
    assert step.tasks == (
        PlannedTask("sums", "sums", "test", 2, 2, 0, "cheap"),
        PlannedTask("words", "words", "test", 2, 2, 0, "strong"),
        PlannedTask("sums", "sums", "test", 1, 1, 0, "strong"),
    )
    assert (step.requests, step.why) == (5, "cheap: first run of this step; strong: first run of this step")
    planned(folder, "{bench: all, model: by_level}", spec=SPEC.replace("[1, 2]", "[1, 2, 3]"))
    assert capsys.readouterr().out == "the route 'by_level' sends nothing to model 'strong'\n"


def test_rows_and_lock_are_by_category_then_model(folder: Path) -> None:
    """The categories stand as the suite has them, whichever model a rule names first; the lock has route and models."""
    made = planned(folder, "{bench: all, model: by_level}")
    assert [(part.arms[0].category, part.model.name) for part in made.parts] == [
        ("words", "strong"), ("sums", "cheap"), ("sums", "strong")
    ]  # fmt: skip
    lock = lock_of(made, "", UsedSandbox())
    assert [(task.category, task.model, task.route, task.items) for task in lock.tasks] == [
        ("words", "strong", "by_level", ("w1", "w2")),
        ("sums", "cheap", "by_level", ("s1", "s2")),
        ("sums", "strong", "by_level", ("s3",)),
    ]
    assert set(lock.models) == {"cheap", "strong"}
    assert lock.routes == {"by_level": made.spec.routes["by_level"]}


def test_an_escalation_is_planned_at_most(folder: Path) -> None:
    """Without answers every item may get to the second model; with them it is what it is."""
    store = SqliteStore(folder / "store")
    step = "{bench: all, model: unsure, policy: vote}"
    [before] = planned(folder, step, store).steps
    assert [(task.category, task.model, task.items, task.at_most) for task in before.tasks] == [
        ("words", "cheap", 2, False),
        ("sums", "cheap", 3, False),
        ("words", "strong", 2, True),
        ("sums", "strong", 3, True),
    ]
    assert "strong: at most so many, for answers that are not there yet decide" in before.why
    assert before.tokens_exact is False
    first = before.benches[0]
    found = [
        Completion(
            cell.request.key, str((SUMS | WORDS)[cell.sample.id][cell.request.index]), "recorded", None, "0" * 64
        )
        for arm in first.arms
        for cell in cells(first, arm)
    ]
    store.put_completions(found)
    [after] = planned(folder, step, store).steps
    assert [(task.category, task.model, task.items, task.requests) for task in after.tasks[2:]] == [
        ("words", "strong", 1, 3), ("sums", "strong", 1, 3)
    ]  # fmt: skip
    assert not any(task.at_most for task in after.tasks)
    assert after.key == before.key
    store.close()


def test_the_key_knows_the_threshold(folder: Path) -> None:
    """The same models with another rule are another result."""
    step = "{bench: all, model: unsure, policy: vote}"
    [one] = planned(folder, step).steps
    [other] = planned(folder, step, spec=SPEC.replace("0.6", "0.7")).steps
    assert one.key != other.key


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{bench: all, model: unsure}", "asks whether answers agree, and policy 'greedy' of words gives one"),
        ("{bench: all, model: brief, policy: warm}", "of policy 'warm' of words several count"),
        ("{bench: some, model: unsure, policy: warm}", "of letters options are weighed: nothing is written"),
    ],
)
def test_what_an_escalation_cannot_read_is_refused(folder: Path, step: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        planned(folder, step)


def test_an_unknown_field_is_refused_before_anything_is_asked(folder: Path) -> None:
    with pytest.raises(DataError, match="asks for the field 'levle', and no row of task words has it") as told:
        planned(folder, "{bench: all, model: by_level}", spec=SPEC.replace("level: [", "levle: ["))
    assert "fields: category, gold, id, level, options, q, split, task, zero;" in told.value.hint


# runs


def done(folder: Path, steps: str) -> tuple[Path, list[dict[str, Any]]]:
    (folder / "spec.yaml").write_text(SPEC.replace("one: STEP", steps))
    outcome = run(Project(folder / "runs", folder / "store"), folder / "spec.yaml", Wish(), Live(), [])
    assert outcome.problem is None
    lines = (outcome.folder / "samples.jsonl").read_text().splitlines()
    return outcome.folder, [json.loads(line) for line in lines]


WORTH = """blend: {bench: all, model: unsure, policy: vote}
  small: {bench: all, model: cheap, policy: vote}
  large: {bench: all, model: strong, policy: vote}
  worth: {diagnose: route, of: blend, first: small, then: large}
"""


def test_a_run_is_reported_under_the_name_of_the_route(folder: Path) -> None:
    """Its rows name the model that answered; each item counts once; all that was asked was paid."""
    made, rows = done(folder, WORTH)
    blend = results(made).steps["blend"]
    assert (blend.model, blend.order, blend.all.n, blend.all.score) == ("unsure", ("words", "sums"), 5, 1.0)
    assert [(row["model"], row["id"]) for row in rows if row["step"] == "blend" and row["selected"]] == [
        ("cheap", "w2"), ("strong", "w1"), ("cheap", "s1"), ("cheap", "s3"), ("strong", "s2")
    ]  # fmt: skip
    asked = Counter(row["model"] for row in rows if row["step"] == "blend")
    assert asked == {"cheap": 15, "strong": 6}
    assert blend.all.metrics.usd == 0.5 * 15 + 4 * 6
    lock = read_lock(made)
    assert isinstance(lock, Lock)
    assert list(lock.routes) == ["unsure"]


def test_the_report_says_how_models_are_chosen(folder: Path) -> None:
    """Rules line by line, an escalation in a sentence, and the model beside each task."""
    text = (done(folder, "one: {bench: all, model: by_level}\n")[0] / "report.md").read_text()
    rules = "| where | model |\n| :-- | :-- |\n| level: 1 or 2 | cheap |\n| all others | strong |\n"
    assert f"Route **by_level**: the first rule that fits decides.\n\n{rules}\n" in text
    assert "| sums | sums (test) | strong | 1 |" in text
    text = (done(folder, "one: {bench: all, model: brief}\n")[0] / "report.md").read_text()
    said = "the answer gets less than 50.0 % of the points of the rubric brief."
    assert f"Route **brief**: cheap is asked first, and strong where {said}\n\nSampling" in text


def test_exported_items_have_the_answers_of_one_model(folder: Path) -> None:
    """Where the second model was asked it is its answers that stand side by side."""
    made, _ = done(folder, "one: {bench: all, model: unsure, policy: warm}\n")
    [pivot] = [list(table.rows) for table in tables(made) if table.name == "Pivot"]
    assert {row[2]: row[3:] for row in pivot if row[1] == "sums"} == {
        "s1": (True, True, True), "s2": (True, True, True), "s3": (True, True, False)
    }  # fmt: skip


def test_its_diagnosis_has_the_worth_of_it(folder: Path) -> None:
    """Two of five sent on; one of them the cheap model had right by chance, the first of three."""
    made, _ = done(folder, WORTH)
    found = results(made).diagnoses["worth"].metrics
    expected = {"items": 5.0, "accuracy": 1.0, "share_escalated": 0.4, "accuracy_first": 0.8, "accuracy_then": 1.0}
    expected |= {"escalations_helped": 1.0, "escalations_wasted": 1.0, "escalations_kept_right": 3.0}
    expected |= {"cost_ratio": 31.5 / 60, "usd_per_solved": 31.5 / 5, "usd_per_solved_first": 7.5 / 4}
    assert {name: found[name] for name in expected} == expected


def test_the_second_model_may_have_a_policy_of_its_own(folder: Path) -> None:
    """Many lines in the first of its three answers: asked once, whatever the step's policy."""
    path = folder / "cheap.jsonl"
    path.write_text(path.read_text().replace('"text": "2"', '"text": "1\\n2"'))
    _, rows = done(folder, "one: {bench: all, model: brief}\n")
    assert [(row["model"], row["id"], row["policy"]) for row in rows if row["model"] == "strong"] == [
        ("strong", name, "greedy") for name in SUMS
    ]
