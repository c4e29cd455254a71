"""The shipped spec of six categories on a CPU: a real model, a recorded opponent, a real judge on a real server."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ProjectFolder = Any  # the fixture `project` of conftest.py
ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "specs/phase1b_cpu.yaml"
SHARED_DATA = ROOT.parent / "shared" / "data"
CATEGORIES = ["math", "code", "reasoning", "knowledge", "instruction", "creativity"]
PARTS = [
    *("Results", "Critical insights", "Ties explained", "How far the judge can be trusted"),
    "Consistency: wobble",
    *("What was measured, and how", "Status", "Next actions", "Questions answered"),
    *("Claims that these verdicts do not support", "Set-up and files"),
]
pytestmark = [pytest.mark.docker, pytest.mark.model]


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="needs the benchmark data beside the checkout")
def test_six_categories_before_a_judge(project: ProjectFolder, llama_server: str) -> None:
    """Every pair has a verdict in both orders, the verifier stands beside the judge, and the same run asks nothing."""
    command = [
        *("run", str(SPEC), "--limit", "1", "--data", str(SHARED_DATA)),
        *("--set", f"models.umpire.base_url={llama_server}", "--set", "models.umpire.name=smol"),
        *("--set", "policies.exam.max_tokens=48"),
        *("--set", "policies.wobble.max_tokens=32", "--set", "policies.wobble.samples=2"),
    ]
    done = project.evalkit(*command)
    assert done.code == 0, done.err
    folder = project.run_folder()
    verdicts = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    assert [row["category"] for row in verdicts] == CATEGORIES
    for row in verdicts:
        orders = [game["swapped"] for game in row["games"] if not game.get("retest")]
        assert orders == [False, True]
        assert row["verdict"] in ("win", "loss", "tie", "inconsistent")
        assert row["opponent"]["chars"] > 0
    found = project.results()
    assert sorted(found["diagnoses"]) == ["duel", "ties", "wobble"]
    report = (folder / "report.md").read_text()
    assert re.findall(r"^## (.*)$", report, flags=re.MULTILINE) == PARTS
    first = (folder / "results.json").read_bytes()
    again = project.evalkit(*command)
    assert again.code == 0, again.err
    assert first == (folder / "results.json").read_bytes()
