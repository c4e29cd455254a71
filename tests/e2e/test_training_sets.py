"""A training set beside the scores of a run: read once, in the lock, and told again without the file."""

from __future__ import annotations

import json

from tests.e2e.conftest import ProjectFolder

TASK = """\
  {name}:
    data: [{{file: {name}.jsonl}}]
    id: '{{{{ id }}}}'
    prompt: 'Say {{{{ x }}}}'
    score: {{number: '{{{{ x }}}}'}}
"""
SPEC = """\
evalkit: 1
name: trained
model: {engine: replay, file: answers.jsonl, fields: {id: id, text: text}}
suites:
  six: [math, code, art]
tasks:
TASKS
steps:
  before: {bench: six}
  made: {diagnose: composition, data: sets/train.jsonl, by: metadata.category, scores: before}
  line: {diagnose: order, data: sets/train.jsonl, by: metadata.category, scores: before}
"""
ALONE = """\
evalkit: 1
steps:
  made: {diagnose: composition, data: sets/train.jsonl, by: metadata.category}
"""
RIGHT = {"math": 5, "code": 3, "art": 1}
TRAINED = {"math": 40, "code": 20, "words": 10}


def lines(rows: list[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def files(spec: str) -> dict[str, str]:
    items = {name: [{"id": f"{name}{index}", "x": index} for index in range(6)] for name in RIGHT}
    answers = [
        {"id": f"{name}{i}", "text": str(i if i < right else 99)} for name, right in RIGHT.items() for i in range(6)
    ]
    trained = [{"metadata": {"category": name}} for name, count in TRAINED.items() for _ in range(count)]
    return {
        "spec.yaml": spec.replace("TASKS\n", "".join(TASK.format(name=name) for name in RIGHT)),
        "answers.jsonl": lines(list(answers)),
        "sets/train.jsonl": lines(list(trained)),
        **{f"{name}.jsonl": lines(list(rows)) for name, rows in items.items()},
    }


def test_a_training_set_beside_scores(project: ProjectFolder) -> None:
    """Plan, screen, report and lock; the file is read once for both steps, and may be gone afterwards."""
    project.write(files(SPEC))
    planned = project.evalkit("plan", "spec.yaml")
    assert "composition: reads sets/train.jsonl (70 rows in 3 categories) and the answers of before" in planned.out
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert done.err.count("reading sets/train.jsonl") == 1
    found = project.results()["diagnoses"]
    assert found["made"]["metrics"]["share_score_correlation"] == 1.0
    assert found["line"]["metrics"]["runs"] == 3.0
    assert {one["code"] for one in project.results()["findings"]} == {
        "dominant_category",
        "untrained_categories",
        "training_in_blocks",
        "late_category",
    }
    folder = project.run_folder()
    report = (folder / "report.md").read_text()
    assert "| art | 0 | 0.0 % | 16.7 % |" in report
    assert "1 of the 3 categories that 'before' scores are in no row: art." in report
    assert "The training set stands in blocks of one category" in done.out
    locked = json.loads((folder / "evalkit.lock").read_text())["diagnoses"]
    assert [one["training"]["file"] for one in locked] == ["sets/train.jsonl"] * 2
    assert str(project.path) not in (folder / "evalkit.lock").read_text()
    (project.path / "sets/train.jsonl").unlink()
    assert project.evalkit("report", "last").code == 0
    assert (folder / "report.md").read_text() == report


def test_a_training_set_alone(project: ProjectFolder) -> None:
    """No model is asked, and nothing is missing."""
    project.write(files(ALONE))
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "INCOMPLETE" not in done.out
    report = (project.run_folder() / "report.md").read_text()
    assert "INCOMPLETE" not in report
    assert "| math | 40 | 57.1 % |" in report
    assert "Reads" not in report
    assert "Sampling" not in report


def test_a_wrong_training_set_ends_the_plan(project: ProjectFolder) -> None:
    """Nothing is asked before it is mended; the line is named."""
    made = files(SPEC)
    project.write({**made, "sets/train.jsonl": made["sets/train.jsonl"] + '{"metadata": {}}\n'})
    for command in ("plan", "run"):
        done = project.evalkit(command, "spec.yaml")
        assert done.code == 2
        assert "sets/train.jsonl:71: the row names no category in 'metadata.category'" in done.err
    assert not list((project.path / "runs").glob("*"))
    (project.path / "sets/train.jsonl").unlink()
    done = project.evalkit("plan", "spec.yaml")
    assert done.code == 2
    assert "there is no training set sets/train.jsonl" in done.err
