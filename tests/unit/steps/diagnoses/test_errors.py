"""Classes of failure by category and group."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.steps.diagnoses.errors import Errors

Build = Callable[..., SampleRow]
LOCK = DiagnosisLock(step="e", diagnosis="errors", reads={"of": "s"}, roles=("of",))


def diagnosis(rows: list[SampleRow]) -> Diagnosis:
    made = Errors(LOCK)
    for row in rows:
        made.add(row)
    return made.result()


def some(row: Build) -> list[SampleRow]:
    """Two passes; nine wrong answers, four of them cut off; three exceptions of two types."""
    rows = [row(id=f"p{n}", groups={"level": "easy"}) for n in range(2)]
    rows += [
        row(
            id=f"w{n}",
            outcome="fail",
            error_class="wrong_answer",
            groups={"level": "hard" if n < 6 else "easy"},
            finish_reason="length" if n < 4 else "stop",
        )
        for n in range(9)
    ]
    rows += [
        row(id=f"x{n}", outcome="fail", error_class="runtime_error", exception=name, groups={"level": "hard"})
        for n, name in enumerate(("KeyError", "TypeError", "KeyError"))
    ]
    return rows


def test_classes_and_their_shares(row: Build) -> None:
    """Nine of twelve failures are wrong answers; each class names its first samples."""
    found = diagnosis(some(row))
    classes, exceptions, levels = found.tables
    assert classes.rows == (
        ("wrong_answer", 9, 0.75, ["s/w0", "s/w1", "s/w2"]),
        ("runtime_error", 3, 0.25, ["s/x0", "s/x1", "s/x2"]),
    )
    assert exceptions.rows == (("KeyError", 2), ("TypeError", 1))
    assert levels.rows == (
        ("easy", 5, pytest.approx(3 / 5), pytest.approx(3 / 5), 0.0),
        ("hard", 9, 1.0, pytest.approx(6 / 9), pytest.approx(3 / 9)),
    )
    assert found.metrics["failed"] == 12.0
    assert found.metrics["share_wrong_answer"] == 0.75


def test_what_is_raised(row: Build) -> None:
    """One class over half, a third of the failures cut off; of few failures nothing is made."""
    raised = {one.code: one.values for one in diagnosis(some(row)).raised}
    assert raised == {
        "dominant_failure": {"error_class": "wrong_answer", "count": 9, "failed": 12},
        "cut_off_failures": {"cut": 4, "failed": 12},
    }
    assert diagnosis(some(row)[:8]).raised == ()


def test_shares_and_voids_are_no_failures(row: Build) -> None:
    """Only what passed or failed has a class."""
    rows = [row(outcome="score", score=0.2), row(outcome="void", text=None), row(outcome="unscored", score=None)]
    found = diagnosis(rows)
    assert found.metrics["answers"] == 0.0
    assert found.notes == ("No answer failed.",)


@given(order=st.permutations(list(range(14))))
def test_the_order_of_rows_changes_no_count(row: Build, order: list[int]) -> None:
    rows = some(row)
    assert diagnosis([rows[place] for place in order]).metrics == diagnosis(rows).metrics
