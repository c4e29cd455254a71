"""Every number that a diagnosis gives is explained."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Choice, SampleRow
from evalkit.steps.diagnoses import KINDS

PAGE = (Path(__file__).parents[4] / "docs/diagnoses.md").read_text("utf-8")


@pytest.mark.parametrize("kind", ["diversity", "rubric", "consistency", "determinism", "errors"])
def test_every_metric_stands_in_the_docs(kind: str, row: Callable[..., SampleRow]) -> None:
    """Under the heading of its kind, in the first column of the table."""
    lock = DiagnosisLock(step="d", diagnosis=kind, reads={"of": "s", "again": "t", "greedy": "t"}, roles=("of",))
    made = KINDS[kind](lock)
    for step in ("s", "t"):
        made.add(row(step=step, choice=Choice("rubric", 1.0, 1, 1)))
        made.add(row(step=step, sample=1, outcome="fail", error_class="timeout"))
    section = PAGE.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    known = set(re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in section.splitlines() if "|" in line)))
    metrics = {re.sub(r"^share_.*", "share_CLASS", name) for name in made.result().metrics}
    assert metrics == known
