"""A sweep: several arms side by side, paired with the first, and what a reader may not make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats.intervals import wilson
from evalkit.steps.diagnoses.sweep import Sweep

Build = Callable[..., SampleRow]
LOCK = DiagnosisLock(
    step="warm", diagnosis="sweep", reads={"0.2": "warm-a", "0.8": "warm-b"}, options={"over": ["temperature"]}
)


def diagnosis(rows: list[SampleRow], lock: DiagnosisLock = LOCK) -> Diagnosis:
    made = Sweep(lock)
    for row in rows:
        made.add(row)
    return made.result()


def lines(found: Diagnosis) -> list[dict[str, Any]]:
    [table] = found.tables
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


def arm(row: Build, step: str, passed: str, category: str = "c") -> list[SampleRow]:
    return [
        row(step=step, id=str(index), category=category, outcome="pass" if one == "1" else "fail", usd=0.25)
        for index, one in enumerate(passed)
    ]


def test_arms_are_paired_with_the_first(row: Build) -> None:
    """Nine and two discordant items: p = 0.0654, the worked case of the exact McNemar test; costs are sums."""
    found = diagnosis(arm(row, "warm-a", "11" + "0" * 9) + arm(row, "warm-b", "00" + "1" * 9))
    first, second = lines(found)
    assert (first["arm"], first["difference to the first"], first["p"]) == ("0.2", None, None)
    assert first["score"] == pytest.approx(2 / 11)
    assert first["95 % interval"] == wilson(2, 11)
    assert second["difference to the first"] == pytest.approx(7 / 11)
    assert second["p"] == pytest.approx(0.065430, abs=1e-6)
    assert (second["answers"], second["tokens an answer"], second["seconds"], second["USD"]) == (11, 4.0, 5.5, 2.75)
    assert found.metrics == {"0.2": pytest.approx(2 / 11), "0.8": pytest.approx(9 / 11)}


def test_candidates_cost_and_only_the_selected_count(row: Build) -> None:
    """Three candidates of one item: three answers paid, one score."""
    rows = [
        row(step="warm-a", sample=index, selected=index == 1, outcome="pass" if index == 1 else "fail")
        for index in range(3)
    ]
    [line] = lines(diagnosis(rows))
    assert (line["items"], line["score"], line["answers"], line["USD"]) == (1, 1.0, 3, None)


def test_several_answers_to_an_item_are_averaged_first(row: Build) -> None:
    """Half solved is no yes or no: signs are permuted. Two of three items differ, both downwards: 2 of 4 ways."""
    rows = [
        row(step=step, id=str(item), sample=index, outcome="pass" if item + index > least else "fail")
        for step, least in (("warm-a", 0), ("warm-b", 1))
        for item in range(3)
        for index in range(2)
    ]
    second = lines(diagnosis(rows))[1]
    assert second["difference to the first"] == pytest.approx(-1 / 3)
    assert second["p"] == 0.5


def test_items_of_one_arm_alone_are_not_compared(row: Build) -> None:
    """A void item leaves the pair."""
    rows = arm(row, "warm-a", "110")
    rows += [row(step="warm-b", id="0", outcome="fail"), row(step="warm-b", id="1", outcome="void", text=None)]
    second = lines(diagnosis(rows))[1]
    assert (second["items"], second["difference to the first"]) == (1, -1.0)


def test_the_figure_stands_at_the_values(row: Build) -> None:
    """Numbers are places on the axis in their order; words and combinations are ticks."""
    lock = DiagnosisLock(
        step="w",
        diagnosis="sweep",
        reads={"0.2": "warm-b", "0.8": "warm-a"},
        roles=("0.8", "0.2"),
        options=LOCK.options,
    )
    [figure] = diagnosis(arm(row, "warm-a", "11") + arm(row, "warm-b", "10"), lock).figures
    assert (figure.kind, figure.x_label, figure.ticks) == ("lines", "temperature", ())
    assert (figure.series[0].x, figure.series[0].y) == ((0.2, 0.8), (0.5, 1.0))
    words = DiagnosisLock(
        step="w", diagnosis="sweep", reads={"first": "warm-a", "majority": "warm-b"}, options={"over": ["select"]}
    )
    [figure] = diagnosis(arm(row, "warm-a", "11") + arm(row, "warm-b", "10"), words).figures
    assert (figure.kind, figure.ticks, figure.series[0].y) == ("points", ("first", "majority"), (1.0, 0.5))


def test_categories_and_all(row: Build) -> None:
    """With several categories the whole has lines of its own."""
    rows = arm(row, "warm-a", "11", "math") + arm(row, "warm-a", "00", "code")
    rows = [msg if msg.category == "math" else _moved(row, msg) for msg in rows]
    assert [(line["category"], line["score"]) for line in lines(diagnosis(rows))] == [
        ("math", 1.0),
        ("code", 0.0),
        ("all", 0.5),
    ]


def _moved(row: Build, one: SampleRow) -> SampleRow:
    return row(step=one.step, category=one.category, task="other", id=one.id, outcome=one.outcome)


def test_nothing_was_asked() -> None:
    """An arm without rows has no line, and no number is made up for it."""
    found = diagnosis([])
    assert found.metrics == {}
    assert found.tables[0].rows == ()
    assert found.figures == ()


@given(order=st.permutations(list(range(8))))
def test_the_order_of_rows_does_not_matter(row: Build, order: list[int]) -> None:
    rows = arm(row, "warm-a", "1100") + arm(row, "warm-b", "0110")
    assert lines(diagnosis([rows[index] for index in order])) == lines(diagnosis(rows))
