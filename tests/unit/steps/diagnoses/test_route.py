"""A route against its models alone: shares, scores in pairs, costs of all answers, and what became of escalations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Choice, SampleRow
from evalkit.stats.intervals import wilson
from evalkit.stats.paired import newcombe_difference
from evalkit.steps.diagnoses.route import RouteDiagnosis

Build = Callable[..., SampleRow]
LOCK = DiagnosisLock(step="why", diagnosis="route", reads={"of": "blend", "first": "small", "then": "large"})
LOCK_THEN = DiagnosisLock(step="why", diagnosis="route", reads={"of": "blend", "then": "large"})
ALONE = DiagnosisLock(step="why", diagnosis="route", reads={"of": "blend"})


def diagnosis(rows: list[SampleRow], lock: DiagnosisLock = LOCK) -> Diagnosis:
    made = RouteDiagnosis(lock)
    for row in rows:
        made.add(row)
    return made.result()


def lines(found: Diagnosis, name: str) -> list[dict[str, Any]]:
    [table] = [table for table in found.tables if table.name == name]
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


def outcome(passed: str) -> dict[str, Any]:
    return {"outcome": "pass" if passed == "1" else "fail"}


def alone(row: Build, step: str, model: str, passed: str, usd: float | None) -> list[SampleRow]:
    return [row(step=step, id=str(n), model=model, usd=usd, **outcome(one)) for n, one in enumerate(passed)]


def blend(row: Build, first: str, then: dict[int, str], usd: tuple[float | None, float | None]) -> list[SampleRow]:
    """The first model answers every item, the second those in `then`."""
    given_up = {"selected": False, "choice": Choice("route", 0.25, 1, 1)}
    rows = [
        row(step="blend", id=str(n), model="cheap", usd=usd[0], **outcome(one), **(given_up if n in then else {}))
        for n, one in enumerate(first)
    ]
    return rows + [row(step="blend", id=str(n), model="strong", usd=usd[1], **outcome(one)) for n, one in then.items()]


def worked(row: Build, usd: tuple[float | None, float | None] = (0.25, 1.0)) -> Diagnosis:
    """Ten items. Sent on: 6 to 9, of which one each is helped, wasted, vain, harmed. The strong one fails 8 and 9, and
    solves 5, which was kept."""
    first, strong = "1111100101", "1111111100"
    rows = blend(row, first, {6: "1", 7: "1", 8: "0", 9: "0"}, usd)
    rows += alone(row, "small", "cheap", first, usd[0])
    return diagnosis(rows + alone(row, "large", "strong", strong, usd[1]))


def test_what_became_of_each_item(row: Build) -> None:
    """One of each fate, and the one that should have been sent on."""
    fates = {name.removeprefix("escalations_"): n for name, n in worked(row).metrics.items() if "escalations_" in name}
    expected = {"helped": 1, "wasted": 1, "vain": 1, "harmed": 1, "kept_right": 5, "kept_wrong": 1, "missed": 1}
    assert fates == expected
    assert [line["share"] for line in lines(worked(row), "escalations")] == [n / 10 for n in expected.values()]


def test_shares_scores_and_costs_of_each_model(row: Build) -> None:
    """All ten answers of the first model were paid, six of them count."""
    cheap, strong, total = lines(worked(row), "models")
    assert (cheap["model"], cheap["items asked"], cheap["items that count"], cheap["share"]) == ("cheap", 10, 6, 0.6)
    assert (cheap["score"], cheap["95 % interval"], cheap["USD"]) == (5 / 6, wilson(5, 6), 2.5)
    assert (strong["items asked"], strong["share"], strong["score"], strong["USD"]) == (4, 0.4, 0.5, 4.0)
    assert (total["score"], total["answers"], total["answer tokens"], total["USD"]) == (0.7, 14, 56, 6.5)


def test_against_each_model_alone(row: Build) -> None:
    """In pairs on the same items: exact p and Newcombe's interval; costs and costs of a solved item."""
    found = worked(row)
    small, large = lines(found, "against")
    assert (small["against"], large["against"]) == ("small (cheap)", "large (strong)")
    assert (small["items"], small["score of the route"], small["score alone"], small["p"]) == (10, 0.7, 0.7, 1.0)
    assert large["difference"] == pytest.approx(-0.1)
    wanted = newcombe_difference(7, 0, 1, 2)
    assert wanted is not None
    assert large["95 % interval"] == wanted.interval
    assert [line["USD"] for line in lines(found, "costs")] == [6.5, 2.5, 10.0]
    assert [line["USD an item solved"] for line in lines(found, "costs")] == pytest.approx([6.5 / 7, 2.5 / 7, 10 / 8])
    metrics = {name: found.metrics[name] for name in ("share_escalated", "share_first", "share_then", "cost_ratio")}
    assert metrics == {"share_escalated": 0.4, "share_first": 0.6, "share_then": 0.4, "cost_ratio": 0.65}
    assert found.notes == ()


def test_the_figure_has_cost_and_score(row: Build) -> None:
    [figure] = worked(row).figures
    assert (figure.x_label, figure.kind, figure.percent) == ("USD an item", "points", ("y",))
    assert [(one.name, one.x, one.y) for one in figure.series] == [
        ("blend (cheap and strong)", (0.65,), (0.7,)),
        ("small (cheap)", (0.25,), (0.7,)),
        ("large (strong)", (1.0,), (0.8,)),
    ]
    assert (figure.series[0].low[0], figure.series[0].high[0]) == wilson(7, 10)


def test_a_cost_that_is_not_known_is_none(row: Build) -> None:
    """With a note; the figure then has seconds."""
    found = worked(row, (None, None))
    assert (found.metrics["cost_ratio"], found.metrics["usd_per_solved"]) == (None, None)
    assert found.metrics["seconds_ratio"] == pytest.approx(1.4)
    assert found.figures[0].x_label == "seconds an item"
    assert "cost: {gpu_hour: ...}" in found.notes[0]


def test_only_items_with_a_score_in_every_step_are_compared(row: Build) -> None:
    """What is void in one is left out of all of them, and said."""
    rows = blend(row, "11", {}, (0.25, 1.0)) + alone(row, "small", "cheap", "11", 0.25)
    rows += [*alone(row, "large", "strong", "1", 1.0), row(step="large", id="1", model="strong", outcome="void")]
    found = diagnosis(rows)
    assert [line["items"] for line in lines(found, "against")] == [1, 1]
    assert [line["USD"] for line in lines(found, "costs")] == [0.25, 0.25, 1.0]
    assert found.notes == ("1 item is left out of the comparison: not every step has a score there.",)


def test_shares_of_a_score_are_permuted(row: Build) -> None:
    """Where items are not solved or unsolved there is no McNemar test: six equal differences give 2 / 2^6."""
    scores = [{"outcome": "score", "score": 0.5}, {"outcome": "score", "score": 0.25}]
    rows = [row(step="blend", id=str(n), model="cheap", **scores[0]) for n in range(6)]
    rows += [row(step="small", id=str(n), model="cheap", **scores[1]) for n in range(6)]
    lock = DiagnosisLock(step="why", diagnosis="route", reads={"of": "blend", "first": "small"})
    [line] = lines(diagnosis(rows, lock), "against")
    assert (line["difference"], line["95 % interval"], line["p"]) == (0.25, None, 2 / 64)


def test_rules_send_nothing_on(row: Build) -> None:
    """Two models and no escalation: there is no share of them, and no table of what became of them."""
    rows = [row(step="blend", id="0", model="cheap"), row(step="blend", id="1", model="strong")]
    found = diagnosis(rows, ALONE)
    assert found.metrics["share_escalated"] is None
    assert [table.name for table in found.tables] == ["models", "costs"]
    assert [note.partition(":")[0] for note in found.notes] == [
        "Not compared with the first model and the second model alone",
        "Rules chose the model, so nothing was sent on",
        "The cost in USD is not known of every answer",
    ]


def test_of_nothing_nothing_is_said() -> None:
    """A step without rows has no numbers, and no division by its items."""
    found = diagnosis([])
    assert (found.metrics["accuracy"], found.metrics["share_escalated"], found.metrics["p_then"]) == (None, None, None)
    assert found.figures == ()


def test_what_is_raised(row: Build) -> None:
    """A route that costs no less, loses to the strong model, sends on what is solved already, and makes it worse."""
    rows = blend(row, "1" * 10, {n: "0" if n < 8 else "1" for n in range(10)}, (0.25, 1.0))
    found = diagnosis(rows + alone(row, "large", "strong", "1" * 10, 1.0), LOCK_THEN)
    assert {one.code: one.values for one in found.raised} == {
        "route_no_cheaper": {"ratio": 1.25, "measure": "usd", "items": 10},
        "route_loses": {"difference": -0.8, "p": 2 / 2**8, "items": 10},
        "escalations_harm": {"sent": 10, "helped": 0, "wasted": 2, "vain": 0, "harmed": 8},
    }
    assert found.raised[-1].samples == tuple(f"blend/{n}" for n in range(8))
    rows = blend(row, "111", {0: "1", 1: "1"}, (None, None))
    [wasted] = diagnosis(rows, ALONE).raised
    assert (wasted.code, wasted.samples, wasted.of_samples) == ("escalations_wasted", ("blend/0", "blend/1"), 2)
    assert worked(row).raised == ()


@given(data=st.data())
def test_each_item_has_one_fate_and_the_blend_costs_the_sum(data: st.DataObject, row: Build) -> None:
    """However the verdicts fall."""
    first = data.draw(st.text("01", min_size=1, max_size=12))
    places = st.integers(0, len(first) - 1)
    then = data.draw(st.dictionaries(places, st.sampled_from("01"), min_size=1))
    found = diagnosis(blend(row, first, then, (0.25, 1.0)), ALONE)
    fates = {name: n for name, n in found.metrics.items() if name.startswith("escalations_")}
    assert sum(n or 0 for n in fates.values()) == len(first)
    cheap, strong, total = lines(found, "models")
    assert cheap["items that count"] + strong["items that count"] == len(first)
    assert total["USD"] == cheap["USD"] + strong["USD"] == 0.25 * len(first) + len(then)
    right = sum(then.get(n, one) == "1" for n, one in enumerate(first))
    assert total["score"] == pytest.approx(right / len(first))
