"""A task that only a judge could score: the run is complete, and no page of it makes up a number."""

from __future__ import annotations

import json

from tests.e2e.conftest import ProjectFolder

SPEC = """\
evalkit: 1
models: {recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: text}}}
model: recorded
suite: [open]
tasks:
  open:
    data: [{file: rows.jsonl}]
    id: '{{ id }}'
    prompt: '{{ id }}?'
    score: {unscored: {}}
    groups: [kind]
"""


def test_answers_are_collected(project: ProjectFolder) -> None:
    """The run is complete; report and screen say that a judge is needed, and a second run asks nothing."""
    project.write(
        {
            "spec.yaml": SPEC,
            "rows.jsonl": "".join(json.dumps({"id": name, "kind": "k"}) + "\n" for name in "abc"),
            "answers.jsonl": "".join(json.dumps({"id": name, "text": name * 3}) + "\n" for name in "abc"),
        }
    )
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "bench/open: 3/3" in done.err
    assert "3 collected" in done.err
    assert "not scored: needs a judge" in done.out
    assert [(row["outcome"], row["score"], row["text"]) for row in project.rows()] == [
        ("unscored", None, text) for text in ("aaa", "bbb", "ccc")
    ]
    measure = project.results()["steps"]["bench"]["categories"]["open"]
    assert (measure["n"], measure["scored"], measure["void"], measure["unscored"]) == (3, 0, 0, 3)
    assert measure["score"] is None
    report = (project.run_folder() / "report.md").read_text()
    assert "| open | open (test) | 3 | 0 | 0 | not scored: needs a judge | – |" in report
    assert "%" not in report.partition("### What this run does not say")[0].partition("## Scores")[2].replace(
        "95 %", ""
    )
    shown = project.evalkit("show", "last", "b")
    assert "unscored  collected, not scored: needs a judge" in shown.out
