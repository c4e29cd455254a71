"""Two steps compared and what was expected of them, through the command line: every number can be counted by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.e2e.conftest import ROOT, ProjectFolder

SCHEMA = ROOT / "evalkit/report/schema/results.schema.json"

SPEC = """\
evalkit: 1
name: versus
models:
  old: {engine: replay, file: old.jsonl, fields: {id: id, text: text}}
  new: {engine: replay, file: new.jsonl, fields: {id: id, text: text}}
suites:
  six: {sums: {task: toy}}
tasks:
  toy:
    data: [{file: toy.jsonl}]
    id: '{{ id }}'
    prompt: 'Say {{ x }}'
    score: {number: '{{ x }}'}
steps:
  one: {bench: six, model: old, expect: {all: {at_least: 0.9}}}
  three: {bench: six, model: new}
  verdict:
    compare: [one, three]
    expect:
      all: {improves: true, better_by: 0.05, worsens: true}
      sums: {no_worse_than: 0.05, at_most: 0.99}
"""
N = 18
OLD = "1" * 9 + "0" * 9
NEW = "1" * 9 + "1" * 7 + "0" * 2


def written(project: ProjectFolder, spec: str = SPEC, new: str = NEW) -> None:
    answers = {
        name: [{"id": f"q{i}", "text": str(i) if mark == "1" else "99"} for i, mark in enumerate(marks)]
        for name, marks in (("old", OLD), ("new", new))
    }
    files = {f"{name}.jsonl": rows for name, rows in answers.items()}
    files["toy.jsonl"] = [{"id": f"q{i}", "x": str(i)} for i in range(N)]
    project.write({name: "".join(json.dumps(row) + "\n" for row in rows) for name, rows in files.items()})
    project.write({"spec.yaml": spec})


def judged(results: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(one["step"], one["category"], one["condition"], one["judgement"]) for one in results["expectations"]]


JUDGED = [
    ("one", "all", "at_least", "refuted"),  # 9 of 18: 29.0 to 71.0 %
    ("verdict", "all", "improves", "confirmed"),  # 7 gained, none lost: p = 0.0156
    ("verdict", "all", "better_by", "confirmed"),
    ("verdict", "all", "worsens", "refuted"),
    ("verdict", "sums", "no_worse_than", "confirmed"),
    ("verdict", "sums", "at_most", "confirmed"),  # 16 of 18: 67.2 to 96.9 %
]


def test_a_comparison_of_recorded_answers(project: ProjectFolder) -> None:
    """Seven of 18 items gained: 38.9 points, p = 2 / 2^7; each expectation is judged, on screen and in the report."""
    written(project)
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    results = project.results()
    assert results["diagnoses"]["verdict"]["metrics"] == {
        "difference": pytest.approx(7 / 18), "p": 2 / 2**7, "gained": 7.0, "lost": 0.0, "n": 18.0,
    }  # fmt: skip
    Draft202012Validator(json.loads(SCHEMA.read_text())).validate(results)
    assert judged(results) == JUDGED
    assert [(one["code"], one["step"]) for one in results["findings"]] == [("difference_is_real", "verdict")]
    assert "confirmed: improves: true in all (step verdict). Found 38.9 points" in done.out
    assert "refuted: at_least: 0.9 in all (step one). Found 50.0 %" in done.out

    report = (project.run_folder() / "report.md").read_text()
    assert "| verdict | all | improves: true | 38.9 points |" in report
    assert report.index("## Expected and found") < report.index("## Findings") < report.index("## Scores of step one")
    assert "## Comparison: verdict" in report
    assert "three/q9" in report
    assert "any model or setting but that of step three" in report

    project.evalkit("report", "last")
    assert judged(project.results()) == JUDGED


def test_noise_is_called_so(project: ProjectFolder) -> None:
    """Five flips one way are not enough, whatever the scores look like."""
    written(project, new="1" * 9 + "1" * 5 + "0" * 4)
    assert project.evalkit("run", "spec.yaml").code == 0
    results = project.results()
    assert ("verdict", "all", "improves", "inconclusive") in judged(results)
    [finding] = results["findings"]
    assert finding["code"] == "difference_is_noise"
    assert finding["evidence"] == (
        "'three' minus 'one' is 27.8 points over 18 items (5 gained, 0 lost); p: 0.062. The smallest difference that "
        "18 items can show is 33.3 points: 6 flips, all one way."
    )


def test_the_plan_says_what_cannot_be_shown(project: ProjectFolder) -> None:
    """Before anything is asked, for people and as JSON."""
    written(project)
    done = project.evalkit("plan", "spec.yaml")
    assert done.code == 0, done.err
    assert (
        "expects improves: true in all: with 18 items, fewer than 6 one-way flips (33.3 points) cannot reach p < 0.05"
    ) in done.out
    assert "expects at_least: 0.9 in all: with 18 items no outcome can confirm it" in done.out
    assert "about 248 are needed where one item in ten differs" in done.out
    steps = {step["name"]: step for step in json.loads(project.evalkit("plan", "spec.yaml", "--json").out)}
    assert steps["verdict"]["verb"] == "compare"
    assert steps["verdict"]["foreseen"][0]["visible"] == pytest.approx(6 / 18)


def test_arms_that_cannot_differ(project: ProjectFolder) -> None:
    """Nothing is asked: the spec is wrong."""
    written(project, SPEC.replace("three: {bench: six, model: new}", "three: {bench: six, model: old}"))
    for command in ("plan", "run"):
        done = project.evalkit(command, "spec.yaml")
        assert done.code == 2
        assert "the answers of steps 'one' and 'three' cannot differ: model, items, prompts" in done.err


def test_a_part_of_the_spec(project: ProjectFolder) -> None:
    """`--only` the comparison asks what it reads; of one bench only its own expectations are judged."""
    written(project)
    assert project.evalkit("run", "spec.yaml", "--only", "verdict").code == 0
    assert judged(project.results()) == JUDGED
    (project.run_folder() / "run.json").unlink()
    assert project.evalkit("run", "spec.yaml", "--only", "one").code == 0
    assert judged(project.results()) == JUDGED[:1]
