"""A budget on the command line: planned, kept, and gone on from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit import cli

SPEC = """\
evalkit: 1
name: bought
models:
  shop: {engine: replay, file: answers.jsonl, fields: FIELDSPRICE}
tasks:
  sums:
    task: sums
    about: Ten sums.
    category: math
    data: [{file: sums.jsonl}]
    id: '{{ id }}'
    prompt: '{{ id }} + 1 = ?'
    score: {number: {answer: '{{ gold }}'}}
    max_tokens: 100
suites: {all: {math: {task: sums}}}
steps: {bench: {bench: all, model: shop, policy: greedy}}
BUDGET
"""
FIELDS = "{id: id, text: text, prompt_tokens: asked, completion_tokens: written}"
PRICE = ", price: {input_mtok: 0, output_mtok: 10000}"
"""A cent a token: ten tokens an answer, of at most a hundred."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    rows = [{"id": str(n), "gold": n + 1} for n in range(10)]
    answers = [{"id": str(n), "text": str(n + 1), "asked": 20, "written": 10} for n in range(10)]
    for name, some in (("sums", rows), ("answers", answers)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return tmp_path


def write(budget: str, price: str = PRICE) -> str:
    Path("spec.yaml").write_text(SPEC.replace("FIELDS", FIELDS).replace("PRICE", price).replace("BUDGET", budget))
    return "spec.yaml"


def test_a_budget_stops_and_a_larger_one_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 1.45 dollars five answers are bought; with more the other five are."""
    assert cli._run(["plan", write("budget: {usd: 1.45}")]) == 0
    assert "cost: at most $10.00; the budget is $1.45\n" in capsys.readouterr().out
    assert cli._run(["run", "spec.yaml"]) == 4
    said = capsys.readouterr().err
    assert "the budget is spent: 0.5 of 1.45 usd, and the next answer may take 1 more" in said
    assert "raise budget.usd and run again: what is stored is not asked again" in said
    [run] = (folder / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["state"] == "incomplete"
    assert cli._run(["plan", write("budget: {usd: 5.6}")]) == 0
    assert "10 requests: 5 in the store, 5 to ask" in capsys.readouterr().out
    assert cli._run(["run", "spec.yaml"]) == 0
    [step] = [one for path in (folder / "runs").glob("*/results.json") for one in [json.loads(path.read_text())]]
    assert step["steps"]["bench"]["all"]["metrics"]["usd"] == pytest.approx(1.0)


def test_what_is_stored_counts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The budget is of all answers that the run is made of: the second attempt has no money of its own."""
    write("budget: {usd: 1.45}")
    assert cli._run(["run", "spec.yaml"]) == 4
    capsys.readouterr()
    assert cli._run(["run", "spec.yaml"]) == 4
    assert "the budget is spent: 0.5 of 1.45 usd" in capsys.readouterr().err


def test_an_unknown_price_is_said_to_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a price the report says so, and never 0."""
    assert cli._run(["run", write("", price="")]) == 0
    [run] = (folder / "runs").iterdir()
    assert json.loads((run / "results.json").read_text())["steps"]["bench"]["all"]["metrics"]["usd"] is None
    assert "$0" not in (run / "report.md").read_text()


def test_half_a_price_is_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli._run(["check", write("", price=", price: {input_mtok: 3}")]) == 2
    assert "output_mtok" in capsys.readouterr().err
