"""Composition and order of a training set beside the scores of a step."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.errors import DataError
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import SampleRow
from evalkit.stats.intervals import wilson
from evalkit.steps.diagnoses import KINDS
from evalkit.tasks.training import read_training

Build = Callable[..., SampleRow]
Lock = Callable[..., DiagnosisLock]


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """A lock of a training set with these categories in this order."""

    def build(
        labels: Sequence[str], by: str = "category", kind: str = "composition", scores: str | None = "before"
    ) -> Any:
        path = tmp_path / "train.jsonl"
        path.write_text("".join(json.dumps({by: label}) + "\n" for label in labels))
        training = read_training("train.jsonl", path, by)
        reads = {} if scores is None else {"scores": scores}
        return DiagnosisLock(step="made", diagnosis=kind, reads=reads, training=training)

    return build


def diagnosis(lock: DiagnosisLock, rows: list[SampleRow]) -> Diagnosis:
    made = KINDS[lock.diagnosis](lock)
    for row in rows:
        made.add(row)
    return made.result()


def lines(found: Diagnosis) -> list[dict[str, Any]]:
    table = found.tables[0]
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


def codes(found: Diagnosis) -> list[str]:
    return [one.code for one in found.raised]


def scored(row: Build, passes: dict[str, str]) -> list[SampleRow]:
    """For each category a row an item: `110` is two passes and a fail."""
    return [
        row(step="before", category=name, id=str(index), outcome="pass" if one == "1" else "fail")
        for name, marks in passes.items()
        for index, one in enumerate(marks)
    ]


# composition


def test_shares_beside_scores(row: Build, lock: Lock) -> None:
    """Six, three and one of ten; d is measured and not trained. 1 / (.36 + .09 + .01) categories are as many."""
    passes = {"a": "1110", "b": "1100", "d": "1000"}
    found = diagnosis(lock("aaabbabaac"), scored(row, passes))
    assert found.metrics == {
        "rows": 10.0,
        "categories": 3.0,
        "largest_share": 0.6,
        "effective_categories": pytest.approx(1 / 0.46),
        "compared": 2.0,
        "share_score_correlation": 1.0,
        "share_score_p": 1.0,
    }
    a, b, c, d = lines(found)
    assert (a["category"], a["rows"], a["share"], a["score"], a["items"]) == ("a", 6, 0.6, 0.75, 4)
    assert a["95 % interval"] == wilson(3, 4)
    assert (b["share"], b["score"]) == (0.3, 0.5)
    assert (c["share"], c["score"], c["95 % interval"], c["items"]) == (0.1, None, None, 0)
    assert (d["rows"], d["share"], d["score"]) == (0, 0.0, 0.25)
    assert found.of == ("before",)


def test_without_scores_nothing_is_said_of_any(lock: Lock) -> None:
    found = diagnosis(lock("ab", scores=None), [])
    assert found.metrics == {"rows": 2.0, "categories": 2.0, "largest_share": 0.5, "effective_categories": 2.0}
    assert lines(found) == [{"category": "a", "rows": 1, "share": 0.5}, {"category": "b", "rows": 1, "share": 0.5}]
    assert (found.of, found.notes, found.raised) == ((), (), ())
    [figure] = found.figures
    assert [series.name for series in figure.series] == ["share of the training set"]


def test_a_clear_correlation_is_told_and_is_no_cause(row: Build, lock: Lock) -> None:
    """Five categories in the same order: of 120 orders two are as clear, p = 1/60."""
    found = diagnosis(
        lock("abbcccddddeeeee"), scored(row, {"a": "0000", "b": "1000", "c": "1100", "d": "1110", "e": "1111"})
    )
    [raised] = found.raised
    assert raised.code == "share_goes_with_score"
    assert raised.values == {"step": "before", "correlation": 1.0, "p": pytest.approx(1 / 60), "n": 5}
    table = found.tables[1]
    assert table.rows == (("share", "score of before", 5, 1.0, pytest.approx(1 / 60)),)
    assert "over all orders" in table.about
    assert table.about.endswith("a correlation is no cause.")


def test_four_categories_are_too_few_to_say(row: Build, lock: Lock) -> None:
    """Of 24 orders none has p below 0.05."""
    found = diagnosis(lock("abbcccdddd"), scored(row, {"a": "000", "b": "100", "c": "110", "d": "111"}))
    assert found.metrics["share_score_p"] == pytest.approx(1 / 12)
    assert found.notes == ("4 categories are too few: in no order of these values could p be below 0.05.",)
    assert codes(found) == []


NO_NAME = "No category of the training set (a, b) is called like one that before scores"
NO_SPREAD = "Over 2 of the categories there is no correlation: one of the two does not vary."


@pytest.mark.parametrize(
    ("labels", "passes", "note"),
    [
        ("ab", {"x": "1", "y": "0"}, f"{NO_NAME} (x, y)."),
        ("ab", {}, f"{NO_NAME} (none)."),
        ("ab", {"a": "1", "b": "0"}, NO_SPREAD),
        ("aab", {"a": "1", "b": "1"}, NO_SPREAD),
    ],
)
def test_why_there_is_no_correlation(row: Build, lock: Lock, labels: str, passes: dict[str, str], note: str) -> None:
    found = diagnosis(lock(labels), scored(row, passes))
    assert (found.metrics["share_score_correlation"], found.metrics["share_score_p"]) == (None, None)
    assert found.notes == (note,)
    assert len(found.tables) == 1
    assert "untrained_categories" not in codes(found)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("aaab", ["dominant_category"]),  # 75 % where half would be even
        ("aaabb", []),  # 60 % is not far from half
        ("aaaabcd", ["dominant_category"]),
        ("aaaabbcd", []),  # just half
        ("aaaa", []),  # alone it dominates nothing
    ],
)
def test_when_one_category_dominates(lock: Lock, labels: str, expected: list[str]) -> None:
    assert codes(diagnosis(lock(labels, scores=None), [])) == expected


def test_measured_and_not_trained(row: Build, lock: Lock) -> None:
    found = diagnosis(lock("ab"), scored(row, {"a": "1", "b": "0", "c": "0", "d": "0"}))
    [raised] = found.raised
    assert raised.code == "untrained_categories"
    assert raised.values == {"names": "c, d", "count": 2, "measured": 4, "step": "before"}


def test_groups_of_that_name_come_before_categories(row: Build, lock: Lock) -> None:
    """A training set by difficulty stands beside the scores by difficulty. An item's answers are averaged first; what
    was not selected or not scored does not count."""
    rows = [
        row(step="before", id="1", groups={"level": "hard"}, outcome="fail"),
        row(step="before", id="1", groups={"level": "hard"}, sample=1),
        row(step="before", id="2", groups={"level": "hard"}),
        row(step="before", id="3", groups={"level": "easy"}),
        row(step="before", id="4", groups={"level": "easy"}, outcome="fail", selected=False),
        row(step="before", id="5", groups={"level": "easy"}, outcome="void"),
    ]
    hard, easy = lines(diagnosis(lock(["hard", "hard", "easy"], by="metadata.level"), rows))
    assert (hard["category"], hard["score"], hard["items"]) == ("hard", 0.75, 2)
    assert (easy["category"], easy["score"], easy["items"]) == ("easy", 1.0, 1)


# order


def test_a_file_in_blocks(row: Build, lock: Lock) -> None:
    """Forty a, then twenty b, then ten c: three runs where (70 * 71 - 2100) / 70 = 41 are expected."""
    found = diagnosis(lock("a" * 40 + "b" * 20 + "c" * 10, kind="order"), scored(row, {"a": "1", "b": "0"}))
    assert found.metrics == {
        "rows": 70.0,
        "runs": 3.0,
        "expected_runs": 41.0,
        "runs_ratio": pytest.approx(3 / 41),
        "runs_p": pytest.approx(1 / 10_001),
        "largest_recency": pytest.approx(7.0),
        "compared": 2.0,
        "position_score_correlation": -1.0,
        "position_score_p": 1.0,
    }
    assert codes(found) == ["training_in_blocks", "late_category"]
    blocks, late = found.raised
    assert (blocks.values["category"], blocks.values["longest"], blocks.values["runs"]) == ("a", 40, 3)
    assert (late.values["category"], late.values["last"], late.values["share"]) == ("c", 1.0, pytest.approx(1 / 7))
    a, _, c = lines(found)
    assert (a["mean position"], a["of the first tenth"], a["of the last tenth"]) == (20 / 70, 1.0, 0.0)
    assert (c["mean position"], c["recency"], c["longest run"], c["score"]) == (65 / 70, pytest.approx(7.0), 10, None)
    assert found.tables[1].rows == ((3, 41.0, pytest.approx(3 / 41), pytest.approx(1 / 10_001)),)
    [figure] = found.figures
    assert figure.series[2].y[-2:] == (pytest.approx(3 / 7), 1.0)
    assert figure.series[0].x[0] == 0.05


def test_a_shuffled_file_raises_nothing(lock: Lock) -> None:
    """The shuffle is fixed; alternating rows are no blocks either."""
    labels = list("a" * 200 + "b" * 100 + "c" * 50)
    random.Random(3).shuffle(labels)
    shuffled = diagnosis(lock("".join(labels), kind="order", scores=None), [])
    assert codes(shuffled) == []
    assert shuffled.metrics["runs_ratio"] == pytest.approx(1, abs=0.1)
    alternating = diagnosis(lock("ab" * 50, kind="order", scores=None), [])
    assert alternating.metrics["runs_p"] == pytest.approx(1 / 10_001)
    assert codes(alternating) == []


def test_one_category_has_no_order(lock: Lock) -> None:
    found = diagnosis(lock("aaaa", kind="order", scores=None), [])
    assert (found.metrics["runs_p"], found.metrics["runs_ratio"], found.metrics["largest_recency"]) == (None, 1.0, 1.0)
    assert (found.notes, found.figures, found.raised) == (("One category only: its order says nothing.",), (), ())


def test_position_goes_with_score(row: Build, lock: Lock) -> None:
    """The later, the better: five categories one after the other."""
    passes = {"a": "0000", "b": "1000", "c": "1100", "d": "1110", "e": "1111"}
    found = diagnosis(lock("aabbccddee", kind="order"), scored(row, passes))
    assert found.raised[-1].code == "position_goes_with_score"
    assert found.raised[-1].values["p"] == pytest.approx(1 / 60)


# both


@pytest.mark.parametrize("kind", ["composition", "order"])
def test_a_lock_without_a_training_set(kind: str) -> None:
    """A run folder of other hands is told as such."""
    with pytest.raises(DataError, match="no training set for the step made"):
        KINDS[kind](DiagnosisLock(step="made", diagnosis=kind))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("kind", ["composition", "order"])
def test_the_order_of_rows_changes_nothing(row: Build, lock: Lock, kind: str, data: st.DataObject) -> None:
    labels = data.draw(st.text("abc", min_size=1, max_size=30))
    marks = st.dictionaries(st.sampled_from("abcd"), st.text("01", min_size=1, max_size=4))
    rows = scored(row, data.draw(marks))
    made = lock(labels, kind=kind)
    found = diagnosis(made, rows)
    assert diagnosis(made, data.draw(st.permutations(rows))) == found
    if kind == "composition":
        assert sum(line["share"] for line in lines(found)) == pytest.approx(1)
        assert 1 <= found.metrics["effective_categories"] <= found.metrics["categories"] + 1e-9


def test_one_late_row_hides_no_late_category(lock: Lock) -> None:
    """C has one row, at the very end: chance. B stands there with fifty of its hundred, and is told."""
    middle = ["A"] * 801 + ["B"] * 49
    random.Random(0).shuffle(middle)
    last = ["A"] * 99 + ["B"] * 50 + ["C"]
    found = diagnosis(lock(middle + last, kind="order", scores=None), [])
    assert [one.values["category"] for one in found.raised if one.code == "late_category"] == ["B"]
