"""What diagnoses take of rows, and what they leave."""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Choice, SampleRow
from evalkit.steps.diagnoses.diversity import Diversity
from evalkit.steps.diagnoses.facts import Groups

Build = Callable[..., SampleRow]


def groups(rows: list[SampleRow]) -> Groups:
    found = Groups()
    for row in rows:
        found.add(row)
    return found


def test_an_item_of_two_categories_is_one_of_the_whole(row: Build) -> None:
    """Each category has it, and all together once."""
    rows = [row(category=category, id=item) for category, item in (("all", "a"), ("all", "b"), ("hard", "a"))]
    found = groups(rows).by_category()
    assert {name: len(some) for name, some in found.items()} == {"all": 2, "hard": 1, "": 2}


def test_what_a_route_gave_up_is_another_models(row: Build) -> None:
    """Only the answers of the model that counts are the item's."""
    rows = [row(sample=n, selected=False, choice=Choice("route", 0.4, 1, 1)) for n in range(3)]
    rows.append(row(model="strong"))
    [group] = groups(rows).whole
    assert len(group.facts) == 1


def test_an_item_whose_judge_did_not_answer_is_left_out(row: Build) -> None:
    """The void stands where a verdict was: what is left of the item would be another one."""
    rows = [row(id="a", sample=0, outcome="void", reason="judge: not asked yet")]
    rows += [row(id="a", sample=n, selected=False, outcome="fail") for n in (1, 2)]
    rows += [row(id="b", sample=n, selected=n == 0) for n in range(3)]
    assert [group.name for group in groups(rows)] == ["s/b"]


def test_an_answer_that_is_missing_equals_no_other(row: Build) -> None:
    """`42` and nothing are two; nothing twice is two as well; where no answer was read at all nothing is counted."""

    def distinct(*answers: str | None) -> tuple[float | None, float | None]:
        made = Diversity(DiagnosisLock(step="d", diagnosis="diversity", reads={"of": "s"}))
        for index, answer in enumerate(answers):
            made.add(row(sample=index, text=f"t{index}", answer=answer))
        metrics = made.result().metrics
        return metrics["distinct_answers"], metrics["identical_answers"]

    assert distinct("42", None) == (2.0, 0.0)
    assert distinct("42", None, None) == (3.0, 0.0)
    assert distinct("42", "42") == (1.0, 1.0)
    assert distinct(None, None) == (None, None)
