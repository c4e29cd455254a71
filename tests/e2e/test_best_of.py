"""Best-of-N over published candidates: 50 problems with eight answers each and the scores of a reward model."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_GOLDEN = Path(__file__).resolve().parents[2].parent / "shared/data/golden/math_cot_bestof8"
_SPEC = """\
evalkit: 1
models: {recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: text, reward: reward}}}
tasks:
  problems:
    evalkit: 1
    task: problems
    about: The published problems.
    category: math
    data: [{file: problems.jsonl}]
    id: '{{ idx }}'
    prompt: '{{ question }}'
    score: {math_verify: {answer: '{{ gold }}'}}
    max_tokens: 1024
suites: {all: [problems]}
policies:
  reward:   {temperature: 0.7, best_of: 8, select: reward}
  majority: {temperature: 0.7, best_of: 8, select: majority}
  first:    {temperature: 0.7, best_of: 8, select: first}
  oracle:   {temperature: 0.7, best_of: 8, select: tests}
steps:
  one:      {bench: all, model: recorded}
  reward:   {bench: all, model: recorded, policy: reward}
  majority: {bench: all, model: recorded, policy: majority}
  first:    {bench: all, model: recorded, policy: first}
  oracle:   {bench: all, model: recorded, policy: oracle}
report: {template: best_of_n, to: best_of_n.md}
"""


@pytest.fixture
def done(project: Any, need: Callable[[str], None]) -> Any:
    """The project after the run."""
    need("data")
    with gzip.open(_GOLDEN / "samples.jsonl.gz", "rt", encoding="utf-8") as stream:
        problems = [json.loads(line) for line in stream]
    answers = [
        {"id": str(one["idx"]), "text": text, "reward": reward}
        for one in problems
        for text, reward in zip(one["samples"], one["reward"], strict=True)
    ]
    asked = [{name: one[name] for name in ("idx", "question", "gold")} for one in problems]
    project.write(
        {
            "spec.yaml": _SPEC,
            "answers.jsonl": "".join(json.dumps(one) + "\n" for one in answers),
            "problems.jsonl": "".join(json.dumps(one) + "\n" for one in asked),
        }
    )
    run = project.evalkit("run", "spec.yaml")
    assert run.code == 0, run.err
    return project


def test_published_selection_figures(done: Any) -> None:
    """Mean, first, majority, best and worst by reward, the oracle and pass@k are those that were published."""
    expected = json.loads((_GOLDEN / "expected.json").read_text("utf-8"))
    steps = done.results()["steps"]
    assert expected["majority_of_8"] == steps["majority"]["all"]["score"]
    assert expected["best_of_8_by_reward"] == steps["reward"]["all"]["score"]
    assert expected["first_sample"] == steps["first"]["all"]["score"]
    assert expected["pass_at_8_oracle"] == steps["oracle"]["all"]["score"]

    found = steps["reward"]["selection"]
    rates = {name: rate["score"] for name, rate in found["rates"].items()}
    wanted = {
        "mean": expected["mean_accuracy_of_8"],
        "first": expected["first_sample"],
        "selected": expected["best_of_8_by_reward"],
        "reward": expected["best_of_8_by_reward"],
        "lowest_value": expected["worst_of_8_by_reward"],
        "majority": expected["majority_of_8"],
        "oracle": expected["pass_at_8_oracle"],
    }
    assert wanted == pytest.approx({name: rates[name] for name in wanted})
    assert expected["pass_at_k"] == pytest.approx(found["pass@k"])
    assert (expected["problems_mixed_correctness"], 8, "reward") == (found["mixed"], found["candidates"], found["by"])
    answers: dict[str, set[str]] = {}
    for row in done.rows():
        if row["step"] == "reward":
            answers.setdefault(row["id"], set()).add(row["answer"])
    assert expected["problems_with_one_distinct_answer"] == sum(len(one) == 1 for one in answers.values())


def test_the_oracle_is_named(done: Any) -> None:
    """What saw the verdicts is never called by its plain name in numbers or report."""
    found = done.results()["steps"]["oracle"]["selection"]
    assert ("oracle", True, 1.0) == (found["by"], found["oracle"], found["efficiency"])
    report = (done.run_folder() / "report.md").read_text("utf-8")
    assert "by oracle (it knows the verdicts" in report


def test_the_report_beside_a_plain_arm(done: Any) -> None:
    """The first answers are the plain arm: 46 of 50; by reward 48, which is chance."""
    report = (done.path / "best_of_n.md").read_text("utf-8")
    assert "| one | 92.0 % (46 of 50) |" in report
    assert "- No difference shown: reward against one, 4.0 points" in report
    assert "only reward passes | 2 |" in report
    assert "- A ceiling that no policy reaches, for the oracle knows the verdicts: oracle against one" in report
    assert "improved" not in report
    assert 1 == report.count("With 50 items, fewer than 6 flips one way (12.0 points) cannot reach p < 0.05.")
    [extra] = [one for one in done.results()["extra_passes"] if one["second"] == "reward"]
    assert ("one", 50, 2.0, None) == (extra["first"], extra["items"], extra["passes"], extra["usd"])


def test_all_candidates_of_an_item_are_shown(done: Any) -> None:
    """A line a candidate, one of them picked, before the answers in full."""
    shown = done.evalkit("show", "last", "reward/0")
    assert 0 == shown.code, shown.err
    lines = shown.out.splitlines()
    assert "reward/0: 8 candidates, picked by reward" == lines[0]
    assert 1 == sum(" yes " in line for line in lines[1:11])
