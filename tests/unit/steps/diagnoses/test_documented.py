"""Every number that a diagnosis gives is explained."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.core.runfolder import DiagnosisLock, PairingLock, TrainingCategory, TrainingLock
from evalkit.core.types import Choice, SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.steps.diagnoses import KINDS
from evalkit.steps.diagnoses.duel import Duel

PAGE = (Path(__file__).parents[4] / "docs/diagnoses.md").read_text("utf-8")

CATEGORY = TrainingCategory(name="c", rows=1, mean_position=0.5, parts=(1.0,), longest_run=1)
TRAINING = TrainingLock(
    file="t.jsonl", sha256="0" * 64, by="category", rows=1, categories=(CATEGORY,), runs=1, expected_runs=1.0
)


def section(kind: str) -> set[str]:
    """The metrics under the heading of a kind, in the first column of the table."""
    told = PAGE.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in told.splitlines() if "|" in line)))


def test_those_of_a_judge_step_as_well(verdict: Callable[..., VerdictRow]) -> None:
    made = Duel(PairingLock(step="d", player="p", opponent="o", judges=()))
    made.hear(verdict())
    assert set(made.result().metrics) == section("judge")


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"sweep"}))
def test_every_metric_stands_in_the_docs(kind: str, row: Callable[..., SampleRow]) -> None:
    """Under the heading of its kind, in the first column of the table."""
    reads = {"of": "s", "again": "t", "greedy": "t", "scores": "s", "first": "t", "then": "t"}
    reads |= {"before": "s", "after": "t"}
    lock = DiagnosisLock(step="d", diagnosis=kind, reads=reads, roles=("of",), training=TRAINING)
    made = KINDS[kind](lock)
    for step in ("s", "t"):
        made.add(row(step=step, choice=Choice("rubric", 1.0, 1, 1)))
        made.add(row(step=step, sample=1, outcome="fail", error_class="timeout"))
    classes = r"^share_.*" if kind == "errors" else "^$"
    metrics = {re.sub(classes, "share_CLASS", name) for name in made.result().metrics}
    assert metrics == section(kind)
