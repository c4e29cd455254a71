"""What a selector's value is worth: within items, pooled, by criterion, and in what it picked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Choice, Contribution, SampleRow
from evalkit.steps.diagnoses.rubric import RubricValidity

Build = Callable[..., SampleRow]
LOCK = DiagnosisLock(step="validity", diagnosis="rubric", reads={"of": "s"}, roles=("of",))


def diagnosis(rows: list[SampleRow]) -> Diagnosis:
    made = RubricValidity(LOCK)
    for row in rows:
        made.add(row)
    return made.result()


def item(row: Build, name: str, values: Sequence[float], passed: str, picked: int = 0) -> list[SampleRow]:
    return [
        row(
            id=name,
            sample=index,
            outcome="pass" if verdict == "1" else "fail",
            selected=index == picked,
            choice=Choice("rubric", value, 1, 1, {"short": Contribution(-value, 10.0)}),
        )
        for index, (value, verdict) in enumerate(zip(values, passed, strict=True))
    ]


def worked(row: Build) -> list[SampleRow]:
    """Pass vectors 100, 111, 000, 011 with picks 0, 0, 1, 2; values 5, 3, 4 and 6, 2, 8 in the mixed ones."""
    rows = item(row, "1", [5, 3, 4], "100", 0) + item(row, "2", [1, 1, 1], "111", 0)
    return rows + item(row, "3", [7, 7, 7], "000", 1) + item(row, "4", [6, 2, 8], "011", 2)


def test_the_worked_case(row: Build) -> None:
    """Random .50, selected .75, oracle .75, efficiency 1; of four pairs within items three are right."""
    found = diagnosis(worked(row)).metrics
    assert (found["mean"], found["selected"], found["oracle"], found["worst"]) == (0.5, 0.75, 0.75, 0.25)
    assert (found["efficiency"], found["gap_to_oracle"]) == (1.0, 0.0)
    assert (found["within_auc"], found["pairs"], found["mixed_items"]) == (0.75, 4.0, 2.0)


def test_criteria_are_judged_one_by_one(row: Build) -> None:
    """A criterion that gives the opposite points has the opposite AUC."""
    [validity, *_] = diagnosis(worked(row)).tables
    assert [(line[0], line[1]) for line in validity.rows] == [("rubric", 0.75), ("short", 0.25)]
    assert validity.rows[0][8:] == (pytest.approx((5 + 1 + 1 + 1 + 2 + 8) / 6), pytest.approx((3 + 4 + 21 + 6) / 6))


def test_without_a_mixed_item_nothing_is_estimated(row: Build) -> None:
    """A table in which winner and verdict agree perfectly between items still says nothing within them: never .5."""
    rows = item(row, "a", [9, 9, 9], "111") + item(row, "b", [1, 1, 1], "000")
    found = diagnosis(rows)
    assert found.metrics["within_auc"] is None
    assert found.metrics["pooled_auc"] == 1.0
    assert found.metrics["efficiency"] is None
    assert [one.code for one in found.raised] == ["rubric_not_estimable"]
    assert found.figures == ()
    assert "not estimable" in found.notes[0]


def test_a_value_that_knows_nothing(row: Build) -> None:
    """Half of the pairs right: raised with its interval and p."""
    rows = [one for n in range(4) for one in item(row, str(n), [1, 2], "10" if n % 2 else "01")]
    [found] = diagnosis(rows).raised
    assert (found.code, found.values["auc"], found.values["p"]) == ("rubric_blind", 0.5, 1.0)


def test_gains_and_losses_of_the_picks(row: Build) -> None:
    """Ten mixed items, each time the pass, or each time the failure: 2 · 2^-10 that picks are random."""
    gains = [one for n in range(10) for one in item(row, str(n), [2, 1], "10", 0)]
    losses = [one for n in range(10) for one in item(row, str(n), [1, 2], "10", 1)]
    raised = {one.code: one.values for one in diagnosis(gains).raised}
    assert raised["selection_gains"]["p"] == pytest.approx(2 / 1024)
    raised = {one.code: one.values for one in diagnosis(losses).raised}
    assert (raised["selection_loses"]["selected"], raised["selection_loses"]["mean"]) == (0.0, 0.5)


def test_the_curve_is_that_of_mixed_items(row: Build) -> None:
    """From nothing above to everything above, in steps of the values that are there."""
    [figure] = diagnosis(worked(row)).figures
    assert figure.series[0].x == (0.0, 0.0, 1 / 3, 1 / 3, 2 / 3, 1.0, 1.0)
    assert figure.series[0].y == (0.0, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 1.0)


def test_candidates_without_a_verdict_are_left_out(row: Build) -> None:
    """A void pick takes its item out of the selection; its other candidates still rank."""
    rows = item(row, "a", [3, 2, 1], "101", 0)
    rows[0] = row(id="a", sample=0, outcome="void", text=None, selected=True, choice=rows[0].choice)
    found = diagnosis(rows).metrics
    assert (found["selected"], found["within_auc"]) == (None, 0.0)
