"""A small model that is sure of some answers, and a recorded one for the rest: routes on a real model."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
Need = Callable[[str], None]
ROOT = Path(__file__).resolve().parents[2]
ROWS = [json.loads(line) for line in (ROOT / "specs/data/arithmetic.test.jsonl").read_text().splitlines()]
_DEADLINE_S = 300

SPEC = """\
evalkit: 1
name: blend
models:
  small: smollm2-135m
  large: {file: large.jsonl, fields: {id: id, text: text, seconds: s, completion_tokens: n}}
  by_level: {route: {rules: [{when: {difficulty: [easy]}, model: small}, {model: large}]}}
  unsure: {route: {first: small, then: large, when: {agreement: {below: BELOW}}, then_policy: greedy}}
policies:
  vote: {temperature: 0.8, best_of: 3, select: majority, max_tokens: 24}
suites:
  sums: {arithmetic: {task: arithmetic, sample: 12}}
steps:
  rules: {bench: sums, model: by_level}
  blend: {bench: sums, model: unsure, policy: vote}
  alone: {bench: sums, model: small, policy: vote}
  best: {bench: sums, model: large}
  worth: {diagnose: route, of: blend, first: alone, then: best}
"""


def written(project: ProjectFolder, below: float) -> None:
    """The recorded model is right but for every fifth item; each answer took five seconds."""
    recorded = [
        {"id": row["id"], "text": f"{row['answer'] + (number % 5 == 4)}", "s": 5.0, "n": 3}
        for number, row in enumerate(ROWS)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in recorded)
    project.write({"large.jsonl": lines, "spec.yaml": SPEC.replace("BELOW", str(below))})


def stages(project: ProjectFolder, step: str) -> list[tuple[int, int]]:
    events = project.events()
    return [(one["total"], one["stored"]) for one in events if one["event"] == "stage" and one["step"] == step]


@pytest.mark.model
def test_a_small_model_and_a_recorded_one(project: ProjectFolder, need: Need) -> None:
    """Rules and escalation on the same items; the diagnosis adds up; the report again is the same to the byte."""
    need("model")
    written(project, 0.6)
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    rows, results = project.rows(), project.results()
    assert {name: step["model"] for name, step in results["steps"].items()} == {
        "rules": "by_level", "blend": "unsure", "alone": "small", "best": "large"
    }  # fmt: skip
    assert all(step["all"]["scored"] == 12 for step in results["steps"].values())
    by_rule = {(row["groups"]["difficulty"] == "easy", row["model"]) for row in rows if row["step"] == "rules"}
    assert by_rule == {(True, "small"), (False, "large")}
    _check_escalation([row for row in rows if row["step"] == "blend"], results["diagnoses"]["worth"])

    folder = project.run_folder()
    before = {name: (folder / name).read_bytes() for name in ("results.json", "report.md", "evalkit.lock")}
    assert project.evalkit("report", "last").code == 0
    assert before == {name: (folder / name).read_bytes() for name in before}


def _check_escalation(rows: list[dict[str, Any]], found: dict[str, Any]) -> None:
    """What is sent on is what disagrees, and one model counts for each item."""
    answers: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["model"] == "small":
            answers.setdefault(row["id"], []).append(row)
    votes = {name: Counter(row["answer"] for row in some if row["answer"]) for name, some in answers.items()}
    unsure = {name for name, counts in votes.items() if max(counts.values(), default=0) / 3 < 0.6}
    assert 0 < len(unsure) < 12
    assert {row["id"] for row in rows if row["model"] == "large"} == unsure
    assert {row["id"]: row["model"] for row in rows if row["selected"]} == {
        name: "large" if name in unsure else "small" for name in answers
    }
    assert all(row["choice"]["by"] == "route" for name in unsure for row in answers[name])
    metrics = found["metrics"]
    assert metrics["share_escalated"] == len(unsure) / 12
    solved = sum(row["score"] for row in rows if row["selected"])
    assert metrics["accuracy"] == pytest.approx(solved / 12)
    assert metrics["seconds_ratio"] == pytest.approx(sum(row["seconds"] for row in rows) / (12 * 5.0))


@pytest.mark.model
def test_another_threshold_asks_only_the_second_model(project: ProjectFolder, need: Need) -> None:
    """Every answer of the first one is in the store, and those of the second for what disagreed before."""
    need("model")
    written(project, 0.6)
    command = ("run", "spec.yaml", "--only", "blend")
    assert project.evalkit(*command).code == 0
    first_run = project.run_folder()
    sent = stages(project, "blend")[1][0]
    written(project, 1.0)
    planned = project.evalkit("plan", "spec.yaml", "--only", "blend").out
    assert "small: every answer is stored; large: " in planned
    assert project.evalkit(*command).code == 0
    [folder] = [path.parent for path in (project.path / "runs").glob("*/run.json") if path.parent != first_run]
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    told = [(one["total"], one["stored"]) for one in events if one["event"] == "stage"]
    assert told[0] == (36, 36)
    assert told[1][1] == sent < told[1][0] <= 12


@pytest.mark.model
def test_killed_while_the_first_model_answers(project: ProjectFolder, need: Need) -> None:
    """The next run asks for what is missing, and only then decides what is sent on."""
    need("model")
    written(project, 0.6)
    command = project.command("run", "spec.yaml", "--only", "blend")
    process = subprocess.Popen(command, cwd=project.path, env=project.env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + _DEADLINE_S
    while _stored(project.path) < 8:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline, "no answer came"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = _stored(project.path)
    assert stored < 36
    done = project.evalkit("run", "spec.yaml", "--only", "blend")
    assert done.code == 0, done.err
    rows = project.rows()
    assert Counter(row["id"] for row in rows if row["selected"]) == {row["id"]: 1 for row in rows}
    assert Counter(row["model"] for row in rows)["small"] == 36
    assert stages(project, "blend")[-2] == (36, stored)


def _stored(project: Path) -> int:
    import sqlite3
    from contextlib import closing

    path = project / ".evalkit" / "store.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            found: int = connection.execute("SELECT count(*) FROM completions").fetchone()[0]
        except sqlite3.OperationalError:
            return 0
    return found
