"""Declared = effective, at every engine: a run whose engine used something else ends, and keeps nothing of it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
Golden = Callable[[Path, str], None]
HERE = Path(__file__).parent
_TASK = """\
evalkit: 1
task: words
about: Two questions, made for this test.
source: this test
license: CC0-1.0
data: [{file: words.jsonl}]
id: '{{ id }}'
turns:
  - '{{ q }}'
  - {ask: 'As JSON.', format: {json_schema: {type: object, properties: {word: {type: string}}}}}
score: {exact: {answer: '{}'}}
"""


@pytest.fixture
def asked(project: ProjectFolder) -> ProjectFolder:
    """A project with the lying engines installed and a spec for each of them."""
    inherited = project.env["PYTHONPATH"]
    project.env["PYTHONPATH"] = os.pathsep.join([str(HERE / "lying_plugin"), inherited])
    project.write({"words.yaml": _TASK, "words.jsonl": '{"id": "1", "q": "A word?"}\n{"id": "2", "q": "Another?"}\n'})
    for engine in ("cool", "cool_isolated", "silent", "unformatted", "honest"):
        project.write(
            {
                f"{engine}.yaml": f"evalkit: 1\nname: {engine}\nmodels: {{it: {{engine: {engine}, path: .}}}}\n"
                "suites: {s: [./words.yaml]}\npolicies: {warm: {temperature: 0.8, seed: 5, max_tokens: 64}}\n"
                "steps: {bench: {bench: s, model: it, policy: warm}}\n"
            }
        )
    return project


def stored(project: ProjectFolder) -> list[str]:
    with closing(sqlite3.connect(project.path / ".evalkit" / "store.db")) as store:
        return [text for (text,) in store.execute("select key from completions")]


@pytest.mark.parametrize("engine", ["cool", "cool_isolated", "silent", "unformatted"])
def test_another_parameter_than_declared_ends_the_run(asked: ProjectFolder, golden: Golden, engine: str) -> None:
    """In this process and in a worker: exit 4, the parameter with both values, and no answer of it is stored."""
    done = asked.evalkit("run", f"{engine}.yaml")
    assert done.code == 4, done.err
    golden(HERE / "screens" / f"{engine}.txt", done.err[done.err.index("error: ") :])
    assert len(stored(asked)) == (2 if engine == "unformatted" else 0)  # its first turn, without a format, was honest
    assert not list(asked.path.glob("runs/*/report.md"))


def test_an_engine_that_does_as_it_is_told_is_believed(asked: ProjectFolder) -> None:
    """The same spec: both turns of both items are stored, and each says how it was asked."""
    done = asked.evalkit("run", "honest.yaml")
    assert done.code == 0, done.err
    assert len(stored(asked)) == 4
    effective = [row["effective"] for row in asked.rows()]
    schema = '{"type":"object","properties":{"word":{"type":"string"}}}'
    assert [(one["temperature"], one["json_schema"]) for one in effective] == [(0.8, schema)] * 2
