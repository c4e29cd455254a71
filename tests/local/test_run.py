"""A whole run whose programs go through the local sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.sandboxes import local

ROOT = Path(__file__).resolve().parents[2]
_FILES = {
    "doubles.yaml": "evalkit: 1\ntask: doubles\nabout: Functions that double, made for this test.\nsource: this test\n"
    "license: CC0-1.0\ncategory: code\ndata: [{file: rows.jsonl}]\nid: '{{ id }}'\nprompt: '{{ text }}'\n"
    "score: {code: {style: asserts, tests: tests, entry_point: name}}\n",
    "spec.yaml": "evalkit: 1\nname: doubles\n"
    "models:\n  recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: answer}}\n"
    "suites:\n  code: [./doubles.yaml]\nsteps:\n  bench: {bench: code, model: recorded, policy: greedy}\n",
    "rows.jsonl": '{"id": "1", "name": "f", "text": "double", "tests": ["assert f(2) == 4"]}\n'
    '{"id": "2", "name": "f", "text": "treble", "tests": ["assert f(2) == 6"]}\n',
    "answers.jsonl": '{"id": "1", "answer": "```python\\ndef f(x):\\n    return 2 * x\\n```"}\n'
    '{"id": "2", "answer": "```python\\ndef f(x):\\n    return 2 * x\\n```"}\n',
}


@pytest.fixture
def evalkit(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The command, in a project with recorded programs and no Docker engine."""
    problem = local._problem()
    if problem is not None:
        pytest.skip(problem.message)
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text)
    nowhere = f"unix://{tmp_path}/no.sock"
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120", "PYTHONPATH": str(ROOT), "DOCKER_HOST": nowhere}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "evalkit", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    return run


def test_a_run_says_that_its_sandbox_was_weaker(
    evalkit: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """The warning is in the report's first lines and on the terminal, also when every verdict is stored already; the
    identity is in the lock. Without being asked for it, nothing runs there."""
    assert evalkit("run", "spec.yaml").returncode == 4
    for _ in range(2):
        done = evalkit("run", "spec.yaml", "--sandbox", "local")
        assert done.returncode == 0, done.stderr
        assert "WEAKER SANDBOX: programs ran in the local sandbox" in done.stdout
    assert "warning: WEAKER SANDBOX" not in done.stderr  # nothing was run the second time, and it is said all the same
    [report] = tmp_path.glob("runs/*/report.md")
    assert any(line.startswith("> **WEAKER SANDBOX: ") for line in report.read_text().splitlines()[:5])
    rows = [json.loads(line) for line in (report.parent / "samples.jsonl").read_text().splitlines()]
    assert ["pass", "fail"] == [row["outcome"] for row in sorted(rows, key=lambda row: row["id"])]
    assert json.loads((report.parent / "evalkit.lock").read_text())["sandbox"] == local.ADAPTER.identity({})
    first = report.read_bytes()
    assert evalkit("report", report.parent.name).returncode == 0
    assert first == report.read_bytes()


def test_the_self_test(evalkit: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`sandbox test --kind local` shows the quick part of the set, with a warning."""
    done = evalkit("sandbox", "test", "--kind", "local")
    assert "WEAKER SANDBOX" in done.stderr
    assert done.returncode == 0, done.stdout
    assert "BROKEN" not in done.stdout
    assert "fork bomb" in done.stdout
