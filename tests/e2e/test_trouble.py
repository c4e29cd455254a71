"""What goes wrong around a run: a clear sentence, the right exit code, and nothing lost."""

from __future__ import annotations

import gzip
import json
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
PrivateDocker = Any  # the fixture `private_docker` of ../conftest.py
Need = Callable[[str], None]

TASK = """\
evalkit: 1
task: doubles
about: Functions that double, made for this test.
source: this test
license: CC0-1.0
category: code
data: [{file: doubles.jsonl}]
id: '{{ id }}'
prompt: 'Write f(x) that returns {{ text }}.'
score: {code: {style: asserts, tests: tests, entry_point: name}}
"""
SPEC = """\
evalkit: 1
name: doubles
models:
  recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: answer}}
suites:
  code: [./doubles.yaml]
steps:
  bench: {bench: code, model: recorded, policy: greedy}
sandbox: {kind: docker, workers: 1}
"""


def write_doubles(project: ProjectFolder, items: int, pause_s: float = 0.0) -> None:
    """A spec over recorded programs: two of three are right, each takes `pause_s` in the sandbox."""
    rows = [
        {"id": str(n), "name": "f", "text": f"{n} times x", "tests": [f"assert f(2) == {2 * n}"]} for n in range(items)
    ]
    answers = []
    for n in range(items):
        factor = n + 1 if n % 3 == 0 else n
        code = f"import time\n\ndef f(x):\n    time.sleep({pause_s})\n    return {factor} * x"
        answers.append({"id": str(n), "answer": f"```python\n{code}\n```"})
    lines = {"doubles.jsonl": rows, "answers.jsonl": answers}
    project.write({name: "".join(json.dumps(row) + "\n" for row in some) for name, some in lines.items()})
    project.write({"doubles.yaml": TASK, "spec.yaml": SPEC})


def test_no_docker_says_what_to_do(project: ProjectFolder) -> None:
    """Without an engine nothing runs: exit 4, one sentence, no fall-back to the host."""
    write_doubles(project, 3)
    project.env["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 4
    assert "Docker" in done.err
    assert "evalkit sandbox up" in done.err
    assert not (project.run_folder() / "samples.jsonl").exists()
    assert project.evalkit("plan", "spec.yaml").code == 0


def test_bad_input(project: ProjectFolder) -> None:
    """Each mistake is exit 2 with its place, and nothing ran."""
    write_doubles(project, 3)
    cases = {
        "broken: [yaml": "spec.yaml:2:",
        "stepz: {}": "unknown key 'stepz'",
        "steps: {bench: {bench: code, model: recordet, policy: greedy}}": "did you mean 'recorded'?",
    }
    for text, expected in cases.items():
        lines = [
            line
            for line in SPEC.splitlines()
            if not ((text.startswith("steps:") and "bench:" in line) or line == "steps:")
        ]
        project.write({"spec.yaml": "\n".join([lines[0], text, *lines[1:]]) + "\n"})
        done = project.evalkit("run", "spec.yaml")
        assert done.code == 2, (text, done.err)
        assert expected in done.err, (text, done.err)
    assert project.evalkit("run", "nowhere.yaml").code == 2
    assert not (project.path / "runs").exists()


def test_a_row_without_the_field(project: ProjectFolder) -> None:
    """The message names file, line and field."""
    write_doubles(project, 3)
    rows = (project.path / "doubles.jsonl").read_text().splitlines()
    rows[1] = json.dumps({"id": "1", "name": "f", "tests": ["assert True"]})
    project.write({"doubles.jsonl": "\n".join(rows) + "\n"})
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 2
    assert "doubles.jsonl:2" in done.err
    assert "'text'" in done.err


def test_a_missing_data_file(project: ProjectFolder) -> None:
    """The message lists the places tried and where to put the file."""
    write_doubles(project, 3)
    (project.path / "doubles.jsonl").unlink()
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 4
    assert "doubles.jsonl" in done.err


@pytest.mark.docker
def test_docker_stopped_in_the_middle(project: ProjectFolder, need: Need, private_docker: PrivateDocker) -> None:
    """The engine goes away while programs run: void, not wrong; with the engine back, the rerun completes."""
    items = 75  # half a minute: an engine gives its containers ten seconds to end
    write_doubles(project, items, pause_s=0.4)
    project.env["DOCKER_HOST"] = private_docker.host
    process = subprocess.Popen(
        project.command("run", "spec.yaml"), cwd=project.path, env=project.env, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: executions(project.path) >= 3, "some programs have run")
    private_docker.stop()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 4, err
    assert "void" in err
    before = project.rows()
    assert len(before) == items
    assert {row["outcome"] for row in before} <= {"pass", "fail", "void"}
    voids = [row for row in before if row["outcome"] == "void"]
    assert voids
    assert all(row["reason"].startswith("sandbox: ") and row["score"] is None for row in voids)
    assert "INCOMPLETE" in (project.run_folder() / "report.md").read_text()

    private_docker.start()
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    after = project.rows()
    assert [row["outcome"] for row in after] == ["fail" if n % 3 == 0 else "pass" for n in range(items)]
    judged = {row["id"]: row for row in before if row["outcome"] != "void"}
    assert all(row == judged[row["id"]] for row in after if row["id"] in judged)


@pytest.mark.docker
def test_image_removed_in_the_middle(project: ProjectFolder, need: Need, private_docker: PrivateDocker) -> None:
    """The image goes away, and then the container: void with that reason; the rerun builds it again and completes."""
    items = 30
    write_doubles(project, items, pause_s=0.4)
    project.env["DOCKER_HOST"] = private_docker.host
    process = subprocess.Popen(
        project.command("run", "spec.yaml"), cwd=project.path, env=project.env, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: executions(project.path) >= 3, "some programs have run")
    private_docker.remove_sandbox()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 4, err
    voids = [row["reason"] for row in project.rows() if row["outcome"] == "void"]
    assert voids
    assert all("the sandbox image" in reason and "is gone" in reason for reason in voids)

    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "building the sandbox image" in done.err
    lock = json.loads((project.run_folder() / "evalkit.lock").read_text())
    assert len(lock["sandbox"]) == 64
    assert {"base", "base_layers", "kind", "packages", "python", "seccomp", "worker"} == set(lock["sandbox_parts"])
    assert [row["outcome"] for row in project.rows()] == ["fail" if n % 3 == 0 else "pass" for n in range(items)]


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll a condition; fails when it does not come true."""
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline, f"waited too long until {what}"
        time.sleep(0.05)


def executions(folder: Path) -> int:
    """How many executions a project has stored."""
    path = folder / ".evalkit" / "store.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as db:
        try:
            return int(db.execute("select count(*) from executions").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def test_recorded_humaneval_samples(project: ProjectFolder, need: Need, golden: Path) -> None:
    """Published samples of five models, scored again: exactly the pass counts of their README."""
    need("docker")
    expected = {
        "evalplus_llama3_8b_instruct": 105,
        "evalplus_llama3_8b": 45,
        "evalplus_mistral_7b_instruct": 74,
        "wizardcoder_15b": 98,
        "ldb_gpt35_0613": 123,
    }
    models = "".join(
        f"  {name}: {{engine: replay, file: {golden}/{name}.jsonl.gz, fields: {{id: task_id, text: code}}}}\n"
        for name in expected
    )
    steps = "".join(f"  {name}: {{bench: code, model: {name}, policy: greedy}}\n" for name in expected)
    spec = f"evalkit: 1\nname: recorded\nmodels:\n{models}suites:\n  code: [humaneval]\nsteps:\n{steps}"
    project.write({"recorded.yaml": spec})
    done = project.evalkit("run", "recorded.yaml")
    assert done.code == 0, done.err
    steps_found = project.results()["steps"]
    passed = {name: round(found["all"]["score"] * 164) for name, found in steps_found.items()}
    assert passed == expected
    truth = {(name, row["task_id"]): row["pass_with_preamble"] for name in expected for row in published(golden, name)}
    assert {(row["model"], row["id"]): row["outcome"] == "pass" for row in project.rows()} == truth


def published(golden: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one model, with the verdict that must come out."""
    with gzip.open(golden / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture
def golden(need: Need) -> Path:
    """The folder of published HumanEval samples."""
    need("data")
    return Path(__file__).resolve().parents[3] / "shared" / "data" / "golden" / "humaneval_samples"
