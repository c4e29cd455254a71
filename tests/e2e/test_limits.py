"""Time limits that follow from the reference solution's own time, in the real sandbox."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
Need = Callable[[str], None]

TASK = """\
evalkit: 1
task: spins
about: A function that takes its time, made for this test.
source: this test
license: CC0-1.0
category: code
data: [{file: spins.jsonl}]
id: '{{ id }}'
prompt: 'Write f(x) that doubles x ({{ id }}).'
score: {code: {style: asserts, tests: tests, reference: solution}}
"""
SPEC = """\
evalkit: 1
name: spins
models:
  recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: answer}}
suites:
  code: [./spins.yaml]
steps:
  bench: {bench: code, model: recorded, policy: greedy}
sandbox: {workers: 2, wall_s: 600, cpu_s: 20%s}
"""
REFERENCE_S = 0.3


def spin(seconds: float, factor: int = 2) -> str:
    """A program that needs so much processor time, whatever the machine's speed and load."""
    return (
        "import time\n\ndef f(x):\n"
        f"    end = time.process_time() + {seconds}\n"
        "    while time.process_time() < end:\n        pass\n"
        f"    return {factor} * x\n"
    )


def write_spins(project: ProjectFolder) -> None:
    """Three items: an answer that is slow and right, a fair one, and a slow one whose reference is wrong."""
    rows = [
        {"id": "slow", "tests": ["assert f(2) == 4"], "solution": spin(REFERENCE_S)},
        {"id": "fair", "tests": ["assert f(3) == 6"], "solution": spin(REFERENCE_S)},
        {"id": "odd", "tests": ["assert f(4) == 8"], "solution": spin(0.0, factor=3)},
    ]
    needed_s = {"slow": 20 * REFERENCE_S, "fair": REFERENCE_S, "odd": 4.0}
    answers = [{"id": name, "answer": f"```python\n{spin(seconds)}```"} for name, seconds in needed_s.items()]
    lines = {"spins.jsonl": rows, "answers.jsonl": answers}
    project.write({name: "".join(json.dumps(row) + "\n" for row in some) for name, some in lines.items()})
    project.write({"spins.yaml": TASK, "fair.yaml": SPEC % ", reference_factor: 4"})


def executed(project: ProjectFolder) -> int:
    with closing(sqlite3.connect(project.path / ".evalkit" / "store.db")) as db:
        count: int = db.execute("select count(*) from executions").fetchone()[0]
        return count


@pytest.mark.docker
def test_a_multiple_of_the_reference(project: ProjectFolder, need: Need) -> None:
    """Twenty times slower than the reference times out, as fast as it passes; a wrong reference is told and limits
    nothing. Run again, nothing is executed and no byte differs."""
    need("docker")
    write_spins(project)
    planned = project.evalkit("plan", "fair.yaml")
    assert "; 3 reference programs" in planned.out, planned.err

    done = project.evalkit("run", "fair.yaml")
    assert done.code == 0, done.err
    rows = {row["id"]: row for row in project.rows()}
    assert {name: row["class"] for name, row in rows.items()} == {"slow": "timeout", "fair": None, "odd": None}
    assert {name: row["reference"] for name, row in rows.items()} == {
        "slow": "passed",
        "fair": "passed",
        "odd": "wrong_answer",
    }
    limit_s = rows["slow"]["limits"]["cpu_s"]
    assert 4 * REFERENCE_S <= limit_s < 20 * REFERENCE_S
    assert rows["odd"]["limits"] == {"wall_s": 600.0, "cpu_s": 20.0, "memory_mb": 1024, "output_kb": 64}
    assert rows["slow"]["cpu_s"] == pytest.approx(limit_s, abs=0.5)
    assert REFERENCE_S <= rows["fair"]["cpu_s"] < 4 * REFERENCE_S
    report = (project.run_folder() / "report.md").read_text()
    assert "1 of 3 programs (33.3 %) used 80 % or more of a time limit and timed out." in report
    assert "the reference program of 1 item does not pass its own tests" in report
    assert "the declared limits hold: odd (wrong_answer)" in report
    assert "the declared limits hold: odd" in done.err

    files = ("report.md", "results.json", "samples.jsonl", "samples.parquet", "evalkit.lock")
    before = {name: (project.run_folder() / name).read_bytes() for name in files}
    assert executed(project) == 6
    assert project.evalkit("run", "fair.yaml").code == 0
    assert executed(project) == 6
    assert before == {name: (project.run_folder() / name).read_bytes() for name in files}
    assert (
        "; 3 programs executed already; 3 reference programs, 3 timed already"
        in project.evalkit("plan", "fair.yaml").out
    )


@pytest.mark.docker
def test_without_a_factor_the_declared_limit_holds(project: ProjectFolder, need: Need) -> None:
    """The same slow answer passes: the time of a reference counts only where a spec asks for it."""
    need("docker")
    write_spins(project)
    project.write({"plain.yaml": SPEC % ""})
    done = project.evalkit("run", "plain.yaml")
    assert done.code == 0, done.err
    assert [(row["class"], row["reference"]) for row in project.rows()] == [(None, None)] * 3
    assert executed(project) == 3
    assert "No program came near a time limit" in (project.run_folder() / "report.md").read_text()
