"""Two models before a judge, from the spec to the session's report: who is preferred, who is right, and the ties."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.e2e.conftest import ProjectFolder

SPEC = """\
evalkit: 1
name: duel
models:
  mine: {file: mine.jsonl, fields: {id: id, text: text}}
  theirs: {file: theirs.jsonl, fields: {id: id, text: text}}
  umpire: {file: judged.jsonl, fields: {id: id, text: text}}
suites: {facts: {sums: {task: facts}}}
tasks:
  facts:
    data: [{file: facts.jsonl}]
    id: '{{ id }}'
    prompt: '{{ q }}'
    score: {exact: {answer: '{{ gold }}'}}
judges:
  fair: {model: umpire, ask: [correctness], retest: 1.0}
steps:
  duel:   {judge: fair, suite: facts, between: [mine, theirs], expect: {sums: {at_least: 0.5}, all: {at_least: 0.9}}}
  wobble: {diagnose: consistency, suite: facts, model: mine, policy: {temperature: 0.7, samples: 3}}
  ties:   {diagnose: ties, of: duel, consistency: wobble}
report: {template: session, to: session.md}
"""
ITEMS = [{"id": f"q{n:02}", "q": f"What is {n} + {n}?", "gold": str(2 * n)} for n in range(24)]
# What each kind of item is: mine, theirs, and the judge's letter with mine first, and with theirs first.
KINDS = {
    "wins wrongly": ("It is surely forty-two, as everybody knows.", "GOLD", ("A", "B")),
    "both right": ("GOLD", "GOLD", None),
    "both wrong": ("no idea", "none", ("C", "C")),
    "first wins": ("forty", "fifty", ("A", "A")),
}
OF = ["wins wrongly"] * 10 + ["both right"] * 8 + ["both wrong"] * 4 + ["first wins"] * 2


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _game(item: str, first: str, second: str) -> str:
    return "/".join([item, *(hashlib.sha256(text.encode()).hexdigest()[:12] for text in (first, second))])


@pytest.fixture
def duel(project: ProjectFolder) -> ProjectFolder:
    """Contestants and judge, all recorded: mine four times, the judge's words twice."""
    mine, theirs, judged = [], [], []
    for item, kind in zip(ITEMS, OF, strict=True):
        one, other, said = KINDS[kind]
        one, other = one.replace("GOLD", item["gold"]), other.replace("GOLD", item["gold"])
        mine += [{"id": item["id"], "text": one}] * 2 + [{"id": item["id"], "text": item["gold"]}] * 2
        theirs.append({"id": item["id"], "text": other})
        for letter, (first, second) in zip(said or "", ((one, other), (other, one)), strict=False):
            judged += [{"id": _game(item["id"], first, second), "text": f"So: [[{letter}]]"}] * 2
    project.write(
        {
            "spec.yaml": SPEC,
            "facts.jsonl": _lines(ITEMS),
            "mine.jsonl": _lines(mine),
            "theirs.jsonl": _lines(theirs),
            "judged.jsonl": _lines(judged),
        }
    )
    return project


def test_a_session(duel: ProjectFolder) -> None:
    """The judge prefers what is wrong, and the report says so first; ties are what the scorer makes of them."""
    planned = duel.evalkit("plan", "spec.yaml")
    assert planned.code == 0, planned.err
    assert "ties: reads the verdicts of duel and the answers of wobble-samples" in planned.out
    done = duel.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "serious: The judge gave wins to wrong answers (step duel). 10 of 10 wins of mine" in done.out
    assert "Step duel: mine against theirs, judged" in done.out
    found = duel.results()
    judged, ties = found["diagnoses"]["duel"]["metrics"], found["diagnoses"]["ties"]["metrics"]
    assert (24, 10, 0, 12, 2, 17 / 24) == tuple(
        judged[name] for name in ("pairs", "wins", "losses", "ties", "inconsistent", "score")
    )
    assert (8 / 24, 18 / 24, 10, 1.0) == tuple(
        judged[name] for name in ("player_right", "opponent_right", "wins_of_wrong_answers", "retest_agreement")
    )
    assert (12, 8, 4, 12) == tuple(ties[name] for name in ("ties", "ties_both_right", "ties_both_wrong", "ties_drawn"))
    assert (8 + 4 / 3) / 12 == pytest.approx(ties["ties_share_right"])
    assert ["judged_win_wrong", "preferred_not_right"] == [one["code"] for one in found["findings"][:2]]
    judgements = [(one["category"], one["found"], one["judgement"]) for one in found["expectations"]]
    assert [("sums", 17 / 24, "confirmed"), ("all", 17 / 24, "refuted")] == judgements
    report = (duel.path / "session.md").read_text("utf-8")
    preferred = "**mine** is preferred to **theirs** in sums although it has fewer right answers there."
    assert f"In the eyes of the judge fair, {preferred}" in report
    assert "8 of the ties have the same text on both sides: no judge was asked." in report
    assert "`duel/q00`" in report

    again = duel.evalkit("report", "last")
    assert again.code == 0, again.err
    assert report == (duel.run_folder() / "report.md").read_text("utf-8")
