"""Best-of-N in numbers: ways of picking over the same candidates, by hand; broken folders; what passes cost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from evalkit.core.digest import digest_text
from evalkit.core.errors import DataError
from evalkit.core.judging import Judged
from evalkit.core.runfolder import Lock, RunRecord, TaskLock
from evalkit.core.types import Choice, SampleRow
from evalkit.report.collect import collect
from evalkit.report.costs import extra_passes, totals
from evalkit.report.results import SelectionUse

Build = Callable[..., SampleRow]
RUN = RunRecord(id="r", state="complete")


def candidates(row: Build, item: str, marks: str, place: int, **known: object) -> list[SampleRow]:
    """One candidate a mark: `+` passes, `-` fails, `v` is void; values count down, the texts grow."""
    rows = []
    for index, mark in enumerate(marks):
        text = str(known.get("text", "a" * (index + 1)))
        values = {
            "id": item, "sample": index, "selected": index == place, "text": text, "text_sha256": digest_text(text),
            "outcome": {"+": "pass", "-": "fail", "v": "void"}[mark], "answer": mark,
            "choice": Choice("rubric", -float(index), index + 1, 1),
        }  # fmt: skip
        rows.append(row(**(values | known)))
    return rows


def use(rows: list[SampleRow]) -> SelectionUse:
    found = collect(rows, RUN).steps["s"].selection
    assert found is not None
    return found


def test_ways_of_picking(row: Build) -> None:
    """Three items by hand: all pass, two of three pass and the last was picked, all fail."""
    rows = [
        *candidates(row, "a", "+++", 0),
        *candidates(row, "b", "-++", 2),
        *candidates(row, "c", "---", 1),
    ]
    found = use(rows)
    rates = {name: rate.score for name, rate in found.rates.items()}
    expected = {
        "mean": (1 + 2 / 3 + 0) / 3, "first": 1 / 3, "selected": 2 / 3, "lowest_value": 2 / 3, "majority": 2 / 3,
        "shortest": 1 / 3, "longest": 2 / 3, "worst": 1 / 3, "oracle": 2 / 3,
    }  # fmt: skip
    assert expected == pytest.approx(rates)
    assert (1, 3, 3, 0, "rubric", False) == (
        found.mixed, found.items, found.candidates, found.left_out, found.by, found.oracle
    )  # fmt: skip
    assert found.efficiency == pytest.approx(1.0)
    assert found.pass_at_k == pytest.approx({"1": 5 / 9, "2": 2 / 3, "3": 2 / 3})


def test_majority_goes_to_the_earliest_of_equals(row: Build) -> None:
    """Two answers with one vote each, and one candidate without an answer, which has no vote."""
    rows = [
        *candidates(row, "a", "+", 0, answer="7"),
        row(id="a", sample=1, selected=False, outcome="fail", answer="8", choice=Choice("majority", 1.0, 1, 2)),
        row(id="a", sample=2, selected=False, outcome="fail", answer=None, choice=Choice("majority", 0.0, 3, 2)),
    ]
    assert use(rows).rates["majority"].score == 1.0


def test_no_mixed_item_leaves_nothing_to_select(row: Build) -> None:
    """No efficiency and no p where all candidates of each item end alike, and identical texts are counted."""
    rows = [*candidates(row, "a", "++", 0, text="same"), *candidates(row, "b", "--", 1)]
    found = use(rows)
    assert (None, None, 0, 1) == (found.efficiency, found.p, found.mixed, found.identical)


def test_a_picked_candidate_without_verdict_leaves_its_item_out(row: Build) -> None:
    """The rates are over items whose pick has a verdict."""
    found = use([*candidates(row, "a", "v+", 0), *candidates(row, "b", "+v", 0)])
    assert (1, 1, 1.0) == (found.items, found.left_out, found.rates["selected"].score)


def test_ties_and_missing_values_are_counted(row: Build) -> None:
    tied = candidates(row, "a", "+-", 0, choice=Choice("logprob", 1.0, 1, 2))
    blind = candidates(row, "b", "+-", 0, choice=Choice("logprob", None, 1, 2, reason="not known"))
    found = use([*tied, *blind])
    assert (2, 1) == (found.tied, found.without_value)
    assert "lowest_value" not in found.rates  # it is not known of every item


def test_shares_are_selected_by_too(row: Build) -> None:
    """Scores that are shares: the oracle takes the highest, and pass@k does not exist."""
    choice = Choice("rubric", 1.0, 1, 1)
    rows = [
        row(id="a", sample=n, selected=n == 0, outcome="score", score=score, choice=choice)
        for n, score in enumerate((0.25, 0.75))
    ]
    found = use(rows)
    assert {} == found.pass_at_k
    assert (0.5, 0.25, 0.75) == tuple(found.rates[name].score for name in ("mean", "selected", "oracle"))
    assert found.efficiency == pytest.approx(-1.0)


@pytest.mark.parametrize("place", [-1, None])
def test_not_one_selected_candidate_is_an_error(row: Build, place: int | None) -> None:
    """None or both of two candidates selected: such a folder has no score."""
    rows = candidates(row, "a", "+-", 0)
    broken = [row(id="a", sample=n, selected=place is None, choice=one.choice) for n, one in enumerate(rows)]
    with pytest.raises(DataError, match="of 2 candidates of item 'a' are selected, not one"):
        collect(broken, RUN)


def test_plain_answers_have_no_selection(row: Build) -> None:
    """Several answers that all count are no candidates."""
    assert collect([row(sample=0), row(sample=1)], RUN).steps["s"].selection is None


def test_the_oracle_is_called_so(row: Build) -> None:
    found = use(candidates(row, "a", "+-", 0, choice=Choice("tests", 1.0, 1, 1)))
    assert ("oracle", True) == (found.by, found.oracle)


def test_what_a_pass_costs(row: Build) -> None:
    """All candidates and failures are paid: 12 tokens for one pass; one more pass costs the rest of the tokens."""
    plain = [row(step="one", id=item, outcome=outcome, usd=None) for item, outcome in (("a", "pass"), ("b", "fail"))]
    three = [one for item in "ab" for one in candidates(row, item, "++", 0, step="three", usd=0.5)]
    found = collect([*plain, *three], RUN)
    first, second = found.steps["one"].all.metrics.per_pass, found.steps["three"].all.metrics.per_pass
    assert (1.0, None, 1.0, 8.0) == (first.passes, first.usd, first.seconds, first.tokens)
    assert (2.0, 1.0, 1.0, 8.0) == (second.passes, second.usd, second.seconds, second.tokens)
    tasks = tuple(
        TaskLock(step=step, category="c", task="t", split="test", origin="", sha256="0", items=("a", "b"))
        for step in ("one", "three")
    )
    [extra] = extra_passes(Lock(tasks=tasks), found.steps)
    assert ("one", "three", 2, 1.0, None, 1.0, 8.0) == (
        extra.first, extra.second, extra.items, extra.passes, extra.usd, extra.seconds, extra.tokens
    )  # fmt: skip
    [none] = extra_passes(Lock(tasks=tasks[::-1]), dict(reversed(found.steps.items())))
    assert (-1.0, None, None) == (none.passes, none.seconds, none.tokens)


def test_items_of_which_nothing_was_picked_are_left_out_and_counted(row: Build) -> None:
    """A judge that did not answer: the void stands in the first candidate's place, and no candidate has a choice."""
    lost = [
        row(id="b", sample=n, selected=n == 0, outcome="void" if n == 0 else "pass", choice=None, text="a")
        for n in range(3)
    ]
    found = use([*candidates(row, "a", "+-+", 0), *lost])
    assert (found.items, found.left_out) == (1, 1)


def test_what_a_route_gave_up_is_no_candidate(row: Build) -> None:
    """The candidates of the second model are selected among; those of the first were one model's answers before."""
    given_up = candidates(row, "a", "-+", -1, choice=Choice("route", 0.5, 1, 1), model="cheap")
    found = use([*given_up, *candidates(row, "a", "+-", 0, model="strong")])
    assert (found.items, found.candidates, found.by) == (1, 2, "rubric")


def test_an_extra_pass_needs_the_same_items_judged(row: Build) -> None:
    """Where items of one step are void, those that the other passes more may be just these."""
    rows = [row(step="one", id="a"), row(step="one", id="b", outcome="void", text=None)]
    rows += [row(step="two", id="a"), row(step="two", id="b")]
    tasks = tuple(
        TaskLock(step=step, category="c", task="t", split="test", origin="", sha256="", items=("a", "b"))
        for step in ("one", "two")
    )
    assert extra_passes(Lock(tasks=tasks), collect(rows, RUN).steps) == ()


def test_a_judge_is_paid_too(row: Build) -> None:
    """The seconds of a step hold those of its judge; an unknown part leaves them unknown."""
    judged = Judged("careful", "umpire", 2, 0, 10, 0, 3.0, None)
    [measure] = [collect([row(seconds=2.0, judged=judged)], RUN).steps["s"].all]
    assert totals(measure)[1] == 5.0
    [measure] = [collect([row(seconds=2.0, judged=replace(judged, seconds=None))], RUN).steps["s"].all]
    assert totals(measure)[1] is None


def test_turns_that_came_are_paid_though_the_last_did_not(row: Build) -> None:
    """A chat whose last answer is void has cost its first."""
    rows = [row(outcome="void", text=None, earlier=("first",), seconds=2.0, completion_tokens=7)]
    assert totals(collect(rows, RUN).steps["s"].all)[1:] == (2.0, 7)
