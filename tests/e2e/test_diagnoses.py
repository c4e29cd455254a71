"""Diagnoses of recorded answers, through the command line: every number can be counted by hand."""

from __future__ import annotations

import json

import pytest

from tests.e2e.conftest import ProjectFolder

SPEC = """\
evalkit: 1
name: why
model: {engine: replay, file: answers.jsonl, fields: {id: id, text: text, reward: reward}}
suites:
  six: [toy]
tasks:
  toy:
    data: [{file: toy.jsonl}]
    id: '{{ id }}'
    prompt: 'Say {{ x }}'
    score: {number: '{{ x }}'}
policies:
  best3: {temperature: 0.8, best_of: 3, select: reward}
steps:
  three: {bench: six, policy: best3}
  spread: {diagnose: diversity, of: three}
  validity: {diagnose: rubric, of: three}
  faults: {diagnose: errors, of: three}
  wobble: {diagnose: consistency, suite: six, policy: {temperature: 0.7, samples: 3}}
  floor: {diagnose: determinism, suite: six}
"""
# item → the reward of each candidate, negative where the candidate is wrong (the sign is not part of it)
CANDIDATES = {
    "q0": (0.9, -0.1, -0.2),
    "q1": (-0.1, 0.5, 0.4),
    "q2": (-0.3, -0.2, -0.1),
    "q3": (0.3, 0.2, 0.1),
    "q4": (-0.8, 0.3, -0.1),
    "q5": (0.7, 0.7, 0.7),
}


def written(project: ProjectFolder) -> None:
    rows = [{"id": name, "x": index} for index, name in enumerate(CANDIDATES)]
    answers = [
        {"id": name, "text": str(index) if reward > 0 else f"{90 + index}", "reward": abs(reward)}
        for index, (name, rewards) in enumerate(CANDIDATES.items())
        for reward in rewards
    ]
    project.write(
        {
            "spec.yaml": SPEC,
            "toy.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
            "answers.jsonl": "".join(json.dumps(row) + "\n" for row in answers),
        }
    )


def test_diagnoses_of_recorded_answers(project: ProjectFolder) -> None:
    """Three of six items are mixed; the reward is right in five of their six pairs of a pass and a failure."""
    written(project)
    done = project.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    found = {name: one["metrics"] for name, one in project.results()["diagnoses"].items()}
    assert list(project.results()["steps"]) == sorted(
        ["three", "wobble-samples", "wobble-greedy", "floor-first", "floor-again"]
    )

    spread = found["spread"]
    assert (spread["items"], spread["mixed"], spread["identical_values"]) == (6, 0.5, pytest.approx(1 / 6))
    assert spread["distinct_answers"] == pytest.approx(9 / 6)  # two in each mixed item, one in the others
    assert spread["identical_texts"] == 0.5
    assert spread["room"] == pytest.approx(5 / 6 - 10 / 18)

    validity = found["validity"]
    assert (validity["within_auc"], validity["pairs"], validity["mixed_items"]) == (pytest.approx(5 / 6), 6, 3)
    assert (validity["mean"], validity["worst"]) == (pytest.approx(10 / 18), pytest.approx(2 / 6))
    assert (validity["selected"], validity["oracle"]) == (pytest.approx(4 / 6), pytest.approx(5 / 6))
    assert validity["efficiency"] == pytest.approx(0.4)

    faults = found["faults"]
    assert (faults["answers"], faults["failed"], faults["share_wrong_answer"]) == (18, 8, 1)

    wobble = found["wobble"]
    assert (wobble["greedy"], wobble["mean"]) == (0.5, pytest.approx(10 / 18))
    assert (wobble["stable_right"], wobble["wobbly"]) == (pytest.approx(2 / 6), pytest.approx(1 / 6))
    assert (wobble["recoverable"], wobble["unreachable"]) == (pytest.approx(2 / 6), pytest.approx(1 / 6))
    assert wobble["any_right"] == pytest.approx(5 / 6)

    floor = project.results()["diagnoses"]["floor"]
    assert floor["metrics"]["other_texts"] in (0, None)
    assert floor["notes"]  # recorded answers say nothing about it

    folder = project.run_folder()
    report = (folder / "report.md").read_bytes()
    for name in found:
        assert f": {name}\n" in report.decode()
    again = project.evalkit("run", "spec.yaml")
    assert (again.code, again.out) == (0, done.out)
    assert (folder / "report.md").read_bytes() == report
