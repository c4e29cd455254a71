"""Formats end to end: the task of two turns, and a policy with a schema, on the real model."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
Need = Callable[[str], None]
_NUMBER = '{"type":"object","properties":{"answer":{"type":"integer","minimum":0,"maximum":999}},"required":["answer"]}'


@pytest.mark.model
@pytest.mark.docker
def test_a_specification_first_and_code_second(project: ProjectFolder, need: Need) -> None:
    """The first answer is the JSON that its turn wants, the second is free; the lock says which is which."""
    need("model")
    need("docker")
    pytest.importorskip("xgrammar", reason="xgrammar is not installed")
    spec = "evalkit: 1\nname: ir\nmodel: smollm2-135m\nsuite: [lift18_ir]\npolicy: {max_tokens: 48}\n"
    project.write({"ir.yaml": spec})
    done = project.evalkit("run", "ir.yaml", "--limit", "2")
    assert done.code == 0, done.err
    rows = project.rows()
    assert len(rows) == 2
    for row in rows:
        [specified] = row["earlier"]
        assert specified.startswith('{"intent": {"summary": "')
        assert row["effective"]["json_schema"] is None
        assert row["prompt"]["messages"][1] == {"role": "assistant", "content": specified}
        assert row["outcome"] in ("pass", "fail")
    lock = json.loads((project.run_folder() / "evalkit.lock").read_text())
    first, second = lock["tasks"][0]["formats"]
    assert (len(first), second) == (64, None)
    assert "xgrammar" in lock["models"]["smollm2-135m"]["parts"]
    again = project.evalkit("run", "ir.yaml", "--limit", "2")
    assert (again.code, again.out) == (0, done.out)


@pytest.mark.model
def test_a_policy_with_a_schema(project: ProjectFolder, need: Need) -> None:
    """Every answer is the JSON that was asked for, says so, and is told apart from a free one in the store."""
    need("model")
    pytest.importorskip("xgrammar", reason="xgrammar is not installed")
    project.write(
        {
            "sums.yaml": "evalkit: 1\nname: sums\nmodel: smollm2-135m\nsuite: [arithmetic]\n"
            f"policy: {{format: {{json_schema: {_NUMBER}}}, max_tokens: 16}}\n"
        }
    )
    done = project.evalkit("run", "sums.yaml", "--limit", "4")
    assert done.code == 0, done.err
    rows = project.rows()
    assert [list(json.loads(row["text"])) for row in rows] == [["answer"]] * 4
    assert {row["finish_reason"] for row in rows} == {"stop"}
    assert {row["effective"]["json_schema"] for row in rows} == {_NUMBER}
    assert "JSON by a schema" in (project.run_folder() / "report.md").read_text()
    free = project.evalkit("plan", "sums.yaml", "--limit", "4", "--set", "policy.format=null", "--json")
    assert json.loads(free.out)[0]["cached"] == 0


def test_what_cannot_be_made_to_hold_is_refused_before_anything_is_asked(project: ProjectFolder, need: Need) -> None:
    """In the plan already, with the place in the schema."""
    need("model")
    pytest.importorskip("xgrammar", reason="xgrammar is not installed")
    project.write(
        {
            "unique.yaml": "evalkit: 1\nmodel: smollm2-135m\nsuite: [arithmetic]\n"
            "policy: {format: {json_schema: {type: array, uniqueItems: true}}}\n"
        }
    )
    done = project.evalkit("plan", "unique.yaml")
    assert done.code == 2
    assert "a `format` that cannot be made to hold: at $: `uniqueItems`" in done.err
