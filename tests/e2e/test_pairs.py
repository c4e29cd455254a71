"""Two models compared by judges, from the spec to the verdicts in the run folder."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import ProjectFolder

SPEC = """\
evalkit: 1
name: duel
models:
  mine: {file: mine.jsonl, fields: {id: id, text: text}}
  theirs: {file: theirs.jsonl, fields: {id: id, text: text}}
  umpire: {file: judged.jsonl, fields: {id: id, text: text, seconds: s}}
  second: {file: rated.jsonl, fields: {id: id, text: text}}
suites: {facts: {knowledge: {task: facts}}}
tasks:
  facts:
    data: [{file: facts.jsonl}]
    id: '{{ id }}'
    prompt: '{{ q }}'
    score: {exact: {answer: '{{ gold }}'}}
judges:
  fair: {model: umpire, ask: [correctness], retest: 1.0}
  strict: {model: second, ask: [correctness], style: json, reference: true, retest: 1.0}
steps:
  duel: {judge: [fair, strict], suite: facts, between: [mine, theirs]}
cost: {gpu_hour: 3.6}
"""
ITEMS = [
    {"id": "1", "q": "What is 2 + 2?", "gold": "4"},
    {"id": "2", "q": "Who wrote Faust?", "gold": "Goethe"},
    {"id": "3", "q": "Which is the largest planet?", "gold": "Jupiter"},
    {"id": "4", "q": "What is the capital of Peru?", "gold": "Lima"},
]
MINE = {"1": "4", "2": "Goethe", "3": "Mars", "4": "Lima"}
THEIRS = {"1": "5", "2": "Schiller", "3": "Jupiter", "4": "Lima"}
# item → what `fair` says of mine first, and of theirs first
FAIR = {"1": ("[[A]]", "[[B]]"), "2": ("[[A]]", "[[A]]"), "3": ("[[C]]", "Hard to say")}


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _pair(item: str, first: str, second: str) -> str:
    return "/".join([item, *(hashlib.sha256(text.encode()).hexdigest()[:12] for text in (first, second))])


def _games(item: str) -> tuple[str, str]:
    return _pair(item, MINE[item], THEIRS[item]), _pair(item, THEIRS[item], MINE[item])


def _rated(winner: str, first: int, second: int) -> str:
    sides = {"answer_a": {"correctness": first}, "answer_b": {"correctness": second}}
    return f"```json\n{json.dumps({'reasoning': 'So it is.', **sides, 'winner': winner})}\n```"


@pytest.fixture
def duel(project: ProjectFolder) -> ProjectFolder:
    """Contestants and judges, all recorded; of the judges' answers each twice, for the retest."""
    said = [
        {"id": name, "text": text, "s": 2} for item in FAIR for name, text in zip(_games(item), FAIR[item], strict=True)
    ]
    rated = [
        {"id": name, "text": text}
        for item in FAIR
        for name, text in zip(_games(item), (_rated("A", 9, 2), _rated("B", 3, 8)), strict=True)
    ]
    project.write(
        {
            "spec.yaml": SPEC,
            "facts.jsonl": _lines(ITEMS),
            "mine.jsonl": _lines([{"id": name, "text": text} for name, text in MINE.items()]),
            "theirs.jsonl": _lines([{"id": name, "text": text} for name, text in THEIRS.items()]),
            "judged.jsonl": _lines(said * 2),
            "rated.jsonl": _lines(rated * 2),
        }
    )
    return project


def _verdicts(project: ProjectFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (project.run_folder() / "verdicts.jsonl").read_text().splitlines()]


def test_two_judges(duel: ProjectFolder) -> None:
    """What a run costs is said before; then every pair has a verdict of each judge, and a second run asks nothing."""
    planned = duel.evalkit("plan", "spec.yaml")
    assert planned.code == 0, planned.err
    assert "Step duel (judge, after duel-mine, duel-theirs)" in planned.out
    assert "judge fair (umpire): at most 16 games, 0 in the store" in planned.out
    assert "3 steps, 40 requests: 0 in the store, 40 to ask" in planned.out
    done = duel.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    assert "duel: 2 of 12 answers of the judge 'fair' hold no verdict that can be read" in done.err
    rows = _verdicts(duel)
    assert [(row["id"], row["judge"], row["verdict"]) for row in rows] == [
        ("1", "fair", "win"), ("1", "strict", "win"),
        ("2", "fair", "inconsistent"), ("2", "strict", "win"),
        ("3", "fair", "invalid"), ("3", "strict", "win"),
        ("4", "fair", "tie"), ("4", "strict", "tie"),
    ]  # fmt: skip
    assert rows[0]["player"]["outcome"] == "pass"
    assert [game["usd"] for game in rows[0]["games"]] == [pytest.approx(0.002)] * 4
    assert [game["ratings"] for game in rows[1]["games"]] == [{"correctness": [9, 2]}, {"correctness": [3, 8]}] * 2
    assert (rows[6]["games"], rows[6]["reason"]) == ([], "both answers are the same text: nobody was asked")
    lock = json.loads((duel.run_folder() / "evalkit.lock").read_text())
    assert [one["judge"] for one in lock["pairings"][0]["judges"]] == ["fair", "strict"]
    assert lock["pairings"][0]["judges"][1]["reference"] is True
    assert sorted(lock["models"]) == ["mine", "second", "theirs", "umpire"]

    before = (duel.run_folder() / "verdicts.jsonl").read_bytes()
    again = duel.evalkit("run", "spec.yaml")
    assert again.code == 0, again.err
    assert before == (duel.run_folder() / "verdicts.jsonl").read_bytes()
    planned = duel.evalkit("plan", "spec.yaml")
    assert "judge fair (umpire): 12 games, every answer is stored" in planned.out


def test_a_pair_can_be_looked_at(duel: ProjectFolder) -> None:
    """The task, both answers, and each game with what the judge wrote."""
    assert duel.evalkit("run", "spec.yaml").code == 0
    shown = duel.evalkit("show", "last", "duel/2")
    assert shown.code == 0, shown.err
    for text in (
        "duel/2  facts (test), mine against theirs",
        "Who wrote Faust?",
        "── player: mine (pass, ",
        "── opponent: theirs (fail, ",
        "Schiller",
        "inconsistent  fair",
        "── player first (win)\n[[A]]",
        "── opponent first (loss)\n[[A]]",
        "── opponent first, asked again (loss)",
        "win  strict",
        "── opponent first (win; correctness 3 to 8)",
    ):
        assert text in shown.out
    as_json = json.loads(duel.evalkit("show", "last", "duel/2", "--json").out)
    assert [one["verdict"]["judge"] for one in as_json] == ["fair", "strict"]
    assert as_json[0]["opponent"]["text"] == "Schiller"
    assert "What is 2 + 2?" in duel.evalkit("show", "last", "duel-mine/1").out


def test_a_judge_that_is_silent_makes_the_run_incomplete(duel: ProjectFolder) -> None:
    """Missing games are void, over the budget; once they are there only they are asked."""
    judged = (duel.path / "judged.jsonl").read_text().splitlines(keepends=True)
    (duel.path / "judged.jsonl").write_text("".join(line for line in judged if '"3/' not in line))
    broken = duel.evalkit("run", "spec.yaml")
    assert broken.code == 4
    assert "1 of 8 verdicts of step 'duel' are void" in broken.err
    [void] = [row for row in _verdicts(duel) if row["verdict"] == "void"]
    assert (void["id"], void["judge"]) == ("3", "fair")
    assert void["reason"].startswith("judge: no recorded answer for item '3/")


def test_the_rest_of_a_spec_needs_no_judge(duel: ProjectFolder) -> None:
    """A part of the spec without the judge step writes no verdicts; the judge step alone brings what it compares."""
    alone = duel.evalkit("run", "spec.yaml", "--only", "duel-mine", "--out", "alone")
    assert alone.code == 0, alone.err
    assert list((duel.path / "alone").glob("*/verdicts.jsonl")) == []
    judged = duel.evalkit("run", "spec.yaml", "--only", "duel", "--limit", "2", "--out", "judged")
    assert judged.code == 0, judged.err
    [path] = (duel.path / "judged").glob("*/verdicts.jsonl")
    assert len(path.read_text().splitlines()) == 4


def test_a_contestant_does_not_judge(duel: ProjectFolder) -> None:
    text = SPEC.replace("fair: {model: umpire", "fair: {model: theirs")
    duel.write({"spec.yaml": text})
    refused = duel.evalkit("run", "spec.yaml")
    assert refused.code == 2
    assert "the judge is a contestant: 'theirs' would judge its own answers" in refused.err


def _by_the_embedded_model(duel: ProjectFolder) -> None:
    """The same duel judged by a model that writes a few words, most likely without a verdict."""
    text = SPEC.replace(
        "umpire: {file: judged.jsonl, fields: {id: id, text: text, seconds: s}}", "umpire: smollm2-135m"
    )
    text = text.replace("retest: 1.0}", "retest: 1.0, policy: brief}", 1).replace(
        "judge: [fair, strict]", "judge: fair"
    )
    duel.write({"spec.yaml": text.replace("steps:", "policies: {brief: {max_tokens: 8}}\nsteps:")})


@pytest.mark.model
def test_the_embedded_model_judges_and_is_killed(duel: ProjectFolder, need: Callable[[str], None]) -> None:
    """What was answered before the kill is not asked again, and every pair has its verdict in the end."""
    need("model")
    _by_the_embedded_model(duel)
    process = subprocess.Popen(
        duel.command("run", "spec.yaml"), cwd=duel.path, env=duel.env, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = next(line for line in process.stderr if "judged by fair" in line)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert said == "duel/pairs, judged by fair: 12 answers\n"

    done = duel.evalkit("run", "spec.yaml")
    assert done.code == 0, done.err
    rows = _verdicts(duel)
    assert [row["id"] for row in rows] == ["1", "2", "3", "4"]
    assert {row["verdict"] for row in rows[:3]} <= {"win", "loss", "tie", "inconsistent", "invalid"}
    assert all(game["text"] is not None and game["effective"]["max_tokens"] == 8 for game in rows[0]["games"])
    again = duel.evalkit("run", "spec.yaml")
    assert again.code == 0, again.err
    assert "loading" not in again.err
    assert rows == _verdicts(duel)


def test_a_budget_is_for_judges_too(duel: ProjectFolder) -> None:
    """A cent a token of the answers, at most eight each and two in fact: of 0.10 dollars two games are bought."""
    counted = "fields: {id: id, text: text, prompt_tokens: asked, completion_tokens: written}"
    price = "price: {input_mtok: 0, output_mtok: 10000}"
    text = SPEC.replace("fields: {id: id, text: text, seconds: s}", f"{counted}, {price}")
    text = text.replace("retest: 1.0}", "retest: 1.0, policy: brief}", 1).replace(
        "judge: [fair, strict]", "judge: fair"
    )
    text = text.replace("steps:", "policies: {brief: {max_tokens: 8}}\nsteps:").replace("cost: {gpu_hour: 3.6}\n", "")
    judged = [json.loads(line) for line in (duel.path / "judged.jsonl").read_text().splitlines()]
    duel.write(
        {
            "judged.jsonl": _lines([{**row, "asked": 100, "written": 2} for row in judged]),
            "spec.yaml": f"{text}budget: {{usd: 0.1}}\n",
        }
    )
    planned = duel.evalkit("plan", "spec.yaml")
    assert "cost: at most $1.28" in planned.out
    stopped = duel.evalkit("run", "spec.yaml")
    assert stopped.code == 4
    assert "the budget is spent: 0.04 of 0.1 usd, and the next answer may take 0.08 more" in stopped.err
    assert list(duel.path.glob("runs/*/verdicts.jsonl")) == []
    duel.write({"spec.yaml": f"{text}budget: {{usd: 0.4}}\n"})
    assert "judge fair (umpire): 12 games, 2 in the store" in duel.evalkit("plan", "spec.yaml").out
    assert duel.evalkit("run", "spec.yaml").code == 0
    [path] = duel.path.glob("runs/*/verdicts.jsonl")
    games = [game for line in path.read_text().splitlines() for game in json.loads(line)["games"]]
    assert [game["usd"] for game in games] == [pytest.approx(0.02)] * 12
