"""Diversity: texts, answers, behaviours and values that differ or do not, and whether a choice can matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Choice, SampleRow, SamplingParams, TestResult
from evalkit.steps.diagnoses.diversity import Diversity

Build = Callable[..., SampleRow]
LOCK = DiagnosisLock(step="spread", diagnosis="diversity", reads={"of": "s"}, roles=("of",))
WARM = SamplingParams(temperature=0.8)


def diagnosis(rows: list[SampleRow]) -> Diagnosis:
    made = Diversity(LOCK)
    for row in rows:
        made.add(row)
    return made.result()


def item(row: Build, name: str, texts: str, passed: str, **known: Any) -> list[SampleRow]:
    """One letter a text, one digit a verdict; the answer is the letter's lower case."""
    return [
        row(
            id=name,
            sample=index,
            text=text,
            answer=text.lower(),
            outcome="pass" if verdict == "1" else "fail",
            effective=WARM,
            selected=index == 0,
            **known,
        )
        for index, (text, verdict) in enumerate(zip(texts, passed, strict=True))
    ]


def test_texts_answers_and_room(row: Build) -> None:
    """Three items: all alike, two answers in three texts, all different; only the last two can gain by a choice."""
    rows = item(row, "same", "aaa", "000") + item(row, "near", "aAb", "110") + item(row, "far", "abc", "100")
    found = diagnosis(rows).metrics
    assert found["distinct_texts"] == pytest.approx((1 + 3 + 3) / 3)
    assert found["distinct_answers"] == pytest.approx((1 + 2 + 3) / 3)
    assert found["identical_texts"] == pytest.approx(1 / 3)
    assert found["effective_number"] == pytest.approx((1 + 1 / (4 / 9 + 1 / 9) + 3) / 3)
    assert (found["mixed"], found["oracle"], found["mean"]) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        pytest.approx((0 + 2 / 3 + 1 / 3) / 3),
    )
    assert found["room"] == pytest.approx(1 / 3)


def test_programs_behave_alike_though_their_texts_differ(row: Build) -> None:
    """Two programs that pass the same tests behave alike; one that dies otherwise does not."""

    def program(index: int, text: str, passed: tuple[bool, bool], error_class: str | None) -> SampleRow:
        tests = tuple(TestResult(one, label) for one, label in zip(passed, ("t1", "t2"), strict=True))
        return row(
            sample=index, text=text, answer=text, outcome="fail", tests=tests, tests_total=2, error_class=error_class
        )

    rows = [
        program(0, "x = 1", (True, False), "wrong_answer"),
        program(1, "y = 1", (True, False), "wrong_answer"),
        program(2, "z = 1", (True, False), "timeout"),
        program(3, "w = 1", (False, False), "wrong_answer"),
    ]
    assert diagnosis(rows).metrics["distinct_behaviours"] == 3.0


def test_candidates_that_were_drawn_and_are_the_same(row: Build) -> None:
    """The finding names count, temperature and samples; greedy answers are the same for another reason."""
    rows = item(row, "a", "xxx", "000") + item(row, "b", "yyy", "111") + item(row, "c", "pqr", "111")
    raised = {one.code: one for one in diagnosis(rows).raised}
    found = raised["identical_candidates"]
    assert found.values == {"identical": 2, "items": 3, "answers": 3, "temperature": 0.8}
    assert (found.samples, found.of_samples) == (("s/a", "s/b"), 2)
    greedy = [row(id=one.id, sample=one.sample, text=one.text) for one in rows]
    assert "identical_candidates" not in {one.code for one in diagnosis(greedy).raised}


def test_an_unknown_temperature_is_said_to_be_unknown(row: Build) -> None:
    """Recorded answers do not tell it."""
    rows = [row(id=name, sample=index, text="same", effective=None) for name in "ab" for index in range(2)]
    [found, _] = diagnosis(rows).raised
    assert (found.code, found.values["temperature"]) == ("identical_candidates", None)


def test_values_that_do_not_tell_candidates_apart(row: Build) -> None:
    """The tolerance is a tenth of a point, ends included, and not a hundredth more."""

    def scored(name: str, *values: float | None) -> list[SampleRow]:
        return [
            row(id=name, sample=index, text=f"{name}{index}", choice=Choice("rubric", value, 1, 1))
            for index, value in enumerate(values)
        ]

    rows = scored("a", 59.3, 59.3) + scored("b", 56.0, 55.9) + scored("c", 55.2, 45.2) + scored("d", 10.0, None)
    found = diagnosis(rows)
    assert found.metrics["identical_values"] == pytest.approx(1 / 3)
    assert found.metrics["near_values"] == pytest.approx(2 / 3)
    assert "identical_scores" in {one.code for one in found.raised}


def test_nothing_is_mixed(row: Build) -> None:
    """All pass or all fail: said with how many pass, and not where one item is mixed."""
    rows = item(row, "a", "pq", "00") + item(row, "b", "pq", "11")
    [found] = diagnosis(rows).raised
    assert (found.code, found.values) == ("nothing_mixed", {"items": 2, "passed": 1})
    assert diagnosis(rows + item(row, "c", "pq", "01")).raised == ()


def test_single_answers_have_nothing_to_differ_from(row: Build) -> None:
    """No table, no figure, a note; numbers that cannot be had are None."""
    found = diagnosis([row(id=str(index)) for index in range(5)])
    assert (found.tables, found.figures, found.raised) == ((), (), ())
    assert found.notes == ("No item has several answers, so there is nothing to tell apart.",)
    assert found.metrics["items"] == 0.0
    assert found.metrics["distinct_texts"] is None


def test_void_answers_are_no_answers(row: Build) -> None:
    """Two texts and a void one are two."""
    rows = [*item(row, "a", "pq", "01"), row(id="a", sample=2, outcome="void", text=None, effective=None)]
    assert diagnosis(rows).metrics["distinct_texts"] == 2.0


@given(order=st.permutations(list(range(9))))
def test_the_order_of_rows_does_not_matter(row: Build, order: list[int]) -> None:
    rows = item(row, "a", "ppq", "001") + item(row, "b", "xyz", "111") + item(row, "c", "xxx", "000")
    assert diagnosis([rows[place] for place in order]).metrics == diagnosis(rows).metrics
