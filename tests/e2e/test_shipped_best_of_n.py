"""The shipped Best-of-N spec on the embedded model: a few items, every part of its page, each number from the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_SPEC = Path(__file__).resolve().parents[2] / "specs/best_of_n.yaml"
_PARTS = (
    "Executive summary",
    "Configuration",
    "Items: one and three",
    "Selection: three",
    "Why",
    "Cost",
    "Expectation against result",
    "Next steps",
)


@pytest.mark.docker
@pytest.mark.model
@pytest.mark.network
def test_the_shipped_spec(project: Any, need: Callable[[str], None]) -> None:
    """Two arms over the same items; one of three candidates counts and all are judged; the page has all of its "
    "parts."""
    need("docker")
    need("model")
    run = project.evalkit("run", str(_SPEC), "--limit", "3")
    assert run.code == 0, run.err
    rows = project.rows()
    three = [row for row in rows if row["step"] == "three"]
    assert (len(rows), len(three)) == (6 + 18, 18)
    assert sum(row["selected"] for row in three) == 6
    assert {row["effective"]["temperature"] for row in three} == {0.8}
    assert all(row["choice"]["by"] == "rubric" and row["choice"]["criteria"] for row in three)
    assert all(row["outcome"] in ("pass", "fail") for row in three)
    results = project.results()
    solved = sum(row["outcome"] == "pass" for row in three if row["selected"])
    assert results["steps"]["three"]["all"]["metrics"]["answers"]["passed"] == solved
    [expectation] = results["expectations"]
    assert expectation["judgement"] != "confirmed"  # six items cannot show it, whatever they say
    headings = [
        line.lstrip("# ")
        for line in (project.run_folder() / "report.md").read_text("utf-8").splitlines()
        if line[:2] == "##"
    ]
    missing = [part for part in _PARTS if not any(heading.startswith(part) for heading in headings)]
    assert missing == []
