"""Candidates picked by a judge, from the spec to the report."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.conftest import ProjectFolder

QUESTION = "Is the answer correct?"
SPEC = """\
evalkit: 1
name: judged
models:
  recorded: {file: answers.jsonl, fields: {id: id, text: text}}
  umpire: UMPIRE
suites: {facts: [{task: facts}]}
tasks:
  facts:
    data: [{file: facts.jsonl}]
    id: '{{ id }}'
    prompt: '{{ q }}'
    score: {exact: {answer: '{{ gold }}'}}
judges:
  careful: {model: umpire, ask: [Is the answer correct?]}
policies:
  best2: {temperature: 0.8, best_of: 2, select: {judge: careful, on_tie: first}}
steps:
  one: {bench: facts, model: recorded, policy: best2}
cost: {gpu_hour: 3.6}
"""
ITEMS = [{"id": "1", "q": "What is 2 + 2?", "gold": "4"}, {"id": "2", "q": "Who wrote Faust?", "gold": "Goethe"}]
ANSWERS = {"1": ("4", "5"), "2": ("Schiller", "Goethe")}


def _project(project: ProjectFolder, umpire: str) -> None:
    answers = [{"id": name, "text": text} for name, texts in ANSWERS.items() for text in texts]
    project.write(
        {
            "facts.jsonl": "".join(json.dumps(item) + "\n" for item in ITEMS),
            "answers.jsonl": "".join(json.dumps(answer) + "\n" for answer in answers),
            "spec.yaml": SPEC.replace("UMPIRE", umpire),
        }
    )


def _recorded(said: dict[tuple[str, str], str]) -> str:
    rows = [
        {"id": f"{item}/{hashlib.sha256(text.encode()).hexdigest()[:12]}/{QUESTION}", "text": word}
        for (item, text), word in said.items()
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_recorded_judgements_in_words(project: ProjectFolder) -> None:
    """What is missing makes the run incomplete; then what the judge likes is picked, right or wrong, and what it did
    not say is no zero."""
    _project(project, "{file: judged.jsonl, fields: {id: id, text: text}}")
    said = {("1", "4"): "Yes.", ("1", "5"): "no", ("2", "Schiller"): "Hard to say"}
    project.write({"judged.jsonl": _recorded(said)})
    planned = project.evalkit("plan", "spec.yaml")
    assert "judge careful (umpire): at most 4 questions, 0 in the store" in planned.out
    assert "4 requests" not in planned.out
    assert "8 requests: 0 in the store, 8 to ask" in planned.out
    broken = project.evalkit("run", "spec.yaml")
    assert broken.code == 4
    assert "are void" in broken.err
    [void] = [row for row in project.rows() if row["id"] == "2" and row["selected"]]
    assert void["outcome"] == "void"
    assert void["reason"].startswith("judge: no recorded answer for item '2/")

    project.write({"judged.jsonl": _recorded({**said, ("2", "Goethe"): "No."})})
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "1 of 4 answers of the judge 'careful' are neither yes nor no" in done.err
    assert {row["id"]: (row["text"], row["outcome"]) for row in project.rows() if row["selected"]} == {
        "1": ("4", "pass"),
        "2": ("Goethe", "pass"),
    }
    measured = project.results()["steps"]["one"]["all"]["metrics"]["judging"]
    assert (measured["questions"], measured["unread"]) == (4, 1)
    report = (project.run_folder() / "report.md").read_text()
    assert "Judging: 4 questions about candidates, 1 of the answers neither yes nor no" in report
    lock = json.loads((project.run_folder() / "evalkit.lock").read_text())
    assert sorted(lock["models"]) == ["recorded", "umpire"]
    assert lock["tasks"][0]["judge"]["questions"] == [QUESTION]


@pytest.mark.model
def test_the_embedded_model_weighs(project: ProjectFolder, need: Callable[[str], None]) -> None:
    """A probability of yes for every candidate, the highest is picked; another rule for ties loads no model."""
    need("model")
    _project(project, "smollm2-135m")
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "loading umpire" in done.err
    rows = project.rows()
    values = {(row["id"], row["text"]): row["choice"]["value"] for row in rows}
    assert len(values) == 4
    assert all(0.0 < value < 1.0 for value in values.values())
    for item in ANSWERS:
        [picked] = [row for row in rows if row["id"] == item and row["selected"]]
        assert picked["choice"]["value"] == max(value for (name, _), value in values.items() if name == item)
    for row in rows:
        assert row["judged"]["questions"] == 1
        assert row["judged"]["prompt_tokens"] > 50
        assert row["judged"]["seconds"] > 0
        assert row["judged"]["usd"] == pytest.approx(row["judged"]["seconds"] / 1000)
    text = (project.path / "spec.yaml").read_text().replace("on_tie: first", "on_tie: shortest")
    (project.path / "spec.yaml").write_text(text)
    planned = project.evalkit("plan", "spec.yaml")
    assert "judge careful (umpire): 4 questions, every answer is stored" in planned.out
    again = project.evalkit("run", "spec.yaml")
    assert again.code == 0, again.err
    assert "loading" not in again.err


@pytest.mark.model
def test_a_kill_between_candidates_and_judging(project: ProjectFolder, need: Callable[[str], None]) -> None:
    """The candidates stay, and the judge is asked by the next run."""
    need("model")
    _project(project, "smollm2-135m")
    process = subprocess.Popen(
        project.command("run", "spec.yaml"), cwd=project.path, env=project.env, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = next(line for line in process.stderr if "judged by careful" in line)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert said == "one/facts, judged by careful: 4 answers\n"

    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    stages = [event for event in project.events() if event["event"] == "stage"]
    assert [(stage["task"], stage["stored"]) for stage in stages] == [
        ("facts", 0), ("facts, judged by careful", 0), ("facts", 4), ("facts, judged by careful", 0),
    ]  # fmt: skip
    assert all(row["outcome"] in ("pass", "fail") for row in project.rows())
    assert {row["judged"]["questions"] for row in project.rows()} == {1}
