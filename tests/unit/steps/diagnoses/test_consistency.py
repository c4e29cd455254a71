"""Wobble or inability: four kinds of items, what is recoverable, and figures of k answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow, TestResult
from evalkit.stats.intervals import wilson
from evalkit.steps.diagnoses.consistency import Consistency

Build = Callable[..., SampleRow]
BOTH = DiagnosisLock(
    step="w", diagnosis="consistency", reads={"greedy": "g", "of": "s"}, roles=("of", "greedy")
)  # fmt: skip
ALONE = DiagnosisLock(step="w", diagnosis="consistency", reads={"of": "s"}, roles=("of",))


def diagnosis(rows: list[SampleRow], lock: DiagnosisLock = BOTH) -> Diagnosis:
    made = Consistency(lock)
    for row in rows:
        made.add(row)
    return made.result()


def item(row: Build, name: str, answers: str, greedy: str | None) -> list[SampleRow]:
    """One letter an answer: `A` is right; a dot is no answer."""
    rows = [
        row(id=name, sample=index, answer=None if one == "." else one, outcome="pass" if one == "A" else "fail")
        for index, one in enumerate(answers)
    ]
    if greedy is not None:
        rows.append(row(step="g", id=name, answer=greedy, outcome="pass" if greedy == "A" else "fail"))
    return rows


def test_each_item_is_one_of_four(row: Build) -> None:
    """Stable right, wobbly, reachable, unreachable; a quarter of all is recoverable."""
    rows = item(row, "stable", "AAAAB", "A") + item(row, "wobbly", "AABBC", "A")
    rows += item(row, "reachable", "ABBBC", "B") + item(row, "unreachable", "BBCDE", "B")
    found = diagnosis(rows)
    names = ("stable_right", "wobbly", "reachable", "unreachable", "recoverable")
    assert [found.metrics[name] for name in names] == [0.25] * 5
    assert found.tables[1].rows == (("c", 1, 1, 1, 1),)
    assert found.tables[0].rows[0][-1] == wilson(1, 4)
    [raised] = found.raised
    assert (raised.code, raised.samples, raised.values["count"]) == ("recoverable_items", ("s/reachable",), 1)


def test_figures_of_ten_answers(row: Build) -> None:
    """Counts 6, 3, 1: modal rate .6, agreement .4, entropy .897946; majority right, one pass is not all."""
    found = diagnosis(item(row, "x", "AAAAAABBBC", "B")).metrics
    assert found["modal_rate"] == 0.6
    assert found["agreement"] == pytest.approx(0.4)
    assert found["entropy"] == pytest.approx(0.897946, abs=1e-6)
    assert (found["mean"], found["majority"], found["any_right"], found["all_right"]) == (0.6, 1.0, 1.0, 0.0)
    assert (found["greedy"], found["recoverable"]) == (0.0, 1.0)


def test_answers_that_are_missing_agree_with_nothing(row: Build) -> None:
    """Three answers without an answer are not one opinion."""
    assert diagnosis(item(row, "x", "...A", "A")).metrics["modal_rate"] == 0.25


def test_programs_are_compared_by_what_they_do(row: Build) -> None:
    """Texts differ, behaviours are two."""

    def program(index: int, passed: tuple[bool, bool]) -> SampleRow:
        tests = tuple(TestResult(one, label) for one, label in zip(passed, ("t1", "t2"), strict=True))
        outcome = "pass" if all(passed) else "fail"
        return row(sample=index, text=f"v{index}", answer=f"v{index}", outcome=outcome, tests=tests, tests_total=2)

    rows = [program(0, (True, True)), program(1, (True, True)), program(2, (True, False))]
    found = diagnosis(rows, ALONE)
    assert found.metrics["modal_rate"] == pytest.approx(2 / 3)
    assert found.metrics["majority"] == 1.0


def test_without_greedy_the_most_frequent_answer_stands_for_it(row: Build) -> None:
    """It is said; a tie between right and wrong is not right."""
    rows = item(row, "a", "AABB", None) + item(row, "b", "AAAB", None)
    found = diagnosis(rows, ALONE)
    assert found.metrics["greedy"] is None
    assert (found.metrics["recoverable"], found.metrics["wobbly"]) == (0.5, 0.5)
    assert found.notes == ("There is no greedy answer: the most frequent one stands for it.",)


def test_items_that_cannot_be_judged_are_left_out_and_counted(row: Build) -> None:
    """One answer is no consistency; a void greedy answer leaves nothing to recover from."""
    rows = item(row, "one", "A", "A") + item(row, "two", "AB", "A")
    rows += [row(id="void", sample=index) for index in range(2)]
    rows.append(row(step="g", id="void", outcome="void", text=None))
    found = diagnosis(rows)
    assert found.metrics["items"] == 1.0
    assert found.notes[0].startswith("2 items are left out")


def test_consistent_is_not_right(row: Build) -> None:
    """Four times the same wrong answer is consistent."""
    rows = item(row, "a", "BBBB", "B") + item(row, "b", "AAAB", "A") + item(row, "c", "ABCD", "A")
    [square] = [table for table in diagnosis(rows).tables if table.name == "square"]
    assert square.rows == (("consistent", 1, 1, 0.5), ("inconsistent", 1, 0, 1.0))


@given(items=st.lists(st.tuples(st.text("AB.", min_size=2, max_size=6), st.sampled_from("AB")), min_size=1, max_size=8))
def test_kinds_are_a_partition(row: Build, items: list[tuple[str, str]]) -> None:
    """Every item is of exactly one kind; recoverable ones are the reachable; bounds hold."""
    rows = [one for index, (answers, greedy) in enumerate(items) for one in item(row, str(index), answers, greedy)]
    found = {name: value or 0.0 for name, value in diagnosis(rows).metrics.items()}
    kinds = [found[name] for name in ("stable_right", "wobbly", "reachable", "unreachable")]
    assert sum(kinds) == pytest.approx(1.0)
    assert found["recoverable"] == found["reachable"]
    assert found["all_right"] <= found["mean"] <= found["any_right"]
    assert found["greedy"] + found["recoverable"] + found["unreachable"] == pytest.approx(1.0)
