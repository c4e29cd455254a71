"""The sentences of a report, each from the numbers that call for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evalkit.core.runfolder import RunRecord
from evalkit.core.types import ExecutionClass, Limits, SampleRow, SamplingParams
from evalkit.report import verdict
from evalkit.report.collect import collect
from evalkit.report.excerpts import StepExcerpts
from evalkit.report.results import StepResults

Build = Callable[..., SampleRow]
RUN = RunRecord(id="r", state="complete", started="")


def made(rows: list[SampleRow]) -> tuple[StepResults, StepExcerpts]:
    seen = StepExcerpts()
    for one in rows:
        seen.add(one)
    return collect(rows, RUN).steps["s"], seen


def outcomes(row: Build, passed: int, failed: int, void: int = 0, **known: object) -> list[SampleRow]:
    marks = ["pass"] * passed + ["fail"] * failed + ["void"] * void
    return [row(id=str(index), outcome=outcome, **known) for index, outcome in enumerate(marks)]


def test_the_finding(row: Build) -> None:
    """Counts, rate, interval, void: one line."""
    step, _ = made(outcomes(row, 28, 92, void=1))
    assert verdict.sentence(step) == (
        "**m** solved 28 of 120 items: 23.3 % (95 % interval 16.7 to 31.7 %). "
        "1 answer could not be measured: void, not counted."
    )


def test_the_finding_of_several_answers(row: Build) -> None:
    """Where items are answered more than once, or scored in shares, nothing is called solved."""
    step, _ = made([row(id=str(item), sample=k, outcome="fail" if k else "pass") for item in range(9) for k in (0, 1)])
    assert verdict.sentence(step) == (
        "**m** scored 50.0 % (95 % interval 22.7 to 77.3 %) on average over 9 items. Nothing is void."
    )
    shares, _ = made([row(id=str(item), outcome="score", score=item / 10) for item in range(10)])
    assert "solved" not in verdict.sentence(shares)


def test_the_finding_of_nothing(row: Build) -> None:
    """All void is no score, not zero."""
    step, _ = made(outcomes(row, 0, 0, void=2))
    assert verdict.sentence(step) == "**m** has no score: none of 2 items could be scored."


def test_no_caution_without_cause(row: Build) -> None:
    """A large clean category needs none."""
    step, _ = made(outcomes(row, 200, 200))
    assert verdict.cautions(step) == []


def test_wide_intervals(row: Build) -> None:
    """A category whose interval is wider than twenty points is named with it."""
    step, _ = made(outcomes(row, 10, 10) + outcomes(row, 200, 200, category="big"))
    assert verdict.cautions(step) == ["Wide intervals, too wide to rank anything by: c (29.9 to 70.1 % from 20 items)."]


def test_floor_and_ceiling(row: Build) -> None:
    """None of 100 is not a rate of zero."""
    step, _ = made(outcomes(row, 0, 100) + outcomes(row, 100, 0, category="d"))
    assert verdict.cautions(step) == [
        "Nothing in c was solved. The true rate may still be up to 3.7 %, and a loss of ability cannot show here.",
        "Everything in d was solved. The true rate may still be as low as 96.3 %, and a gain cannot show here.",
    ]


def test_micro_and_macro_apart(row: Build) -> None:
    """Where the two means differ by two points, the reader is asked to say which."""
    step, _ = made(outcomes(row, 150, 150) + outcomes(row, 120, 30, task="u", category="d"))
    assert verdict.cautions(step) == [
        "The categories differ in size: 60.0 % counts each item alike, 65.0 % each category alike. "
        "Say which of the two you quote."
    ]


def test_truncation_and_its_bound(row: Build) -> None:
    """Cut answers are counted, and how much they can hide is said."""
    step, _ = made([*outcomes(row, 100, 100), row(id="x", outcome="fail", finish_reason="length")])
    assert verdict.cautions(step) == [
        "Cut off at `max_tokens`: 1 of 201 answers (0.5 %), of which 1 failed. "
        "With room to finish, the score could be anything up to 50.2 %."
    ]


def test_missing_answers(row: Build) -> None:
    """Ten of 210 without an answer are few, eleven of 211 are said."""
    few, _ = made(outcomes(row, 100, 100) + [row(id=f"x{i}", outcome="fail", error_class="no_code") for i in range(10)])
    assert verdict.cautions(few) == []
    many, _ = made(
        outcomes(row, 100, 100) + [row(id=f"x{i}", outcome="fail", error_class="no_code") for i in range(11)]
    )
    [caution] = verdict.cautions(many)
    assert caution.startswith("In 11 of 211 answers (5.2 %) no answer could be found")


def test_names_are_no_markup(row: Build) -> None:
    """A category may be called anything."""
    step, _ = made(outcomes(row, 1, 1, category="<b>|*x*"))
    assert "&lt;b&gt;\\|\\*x\\* (" in verdict.cautions(step)[0]


def test_what_a_greedy_run_does_not_say(row: Build) -> None:
    """The smallest difference that the items can show, and what one greedy answer leaves open."""
    step, seen = made(outcomes(row, 10, 10) + outcomes(row, 3, 2, category="tiny"))
    claims = verdict.unsaid(step, seen)
    assert claims[0] == (
        "That any other model or setting does better or worse: nothing was compared. Between two runs on these items, "
        "one answer each, a difference below 30.0 points in c (20 items) cannot reach p < 0.05 "
        "(exact McNemar needs 6 flips one way)."
    )
    assert claims[1] == "How the model does when it is sampled: each item was asked once, greedily."


def test_what_was_compared_is_not_called_uncompared(row: Build) -> None:
    """With what the step was compared is said; about anything else it still says nothing."""
    said = verdict.unsaid(*made(outcomes(row, 5, 5)), compared=["three", "four"])[0]
    assert said.startswith(
        "That any model or setting but that of step three or four does better or worse: nothing else was compared."
    )


def test_what_fewer_than_six_items_can_show(row: Build) -> None:
    """Nothing at all."""
    step, seen = made(outcomes(row, 3, 2))
    assert "With fewer than 6 items no paired comparison can reach p < 0.05." in verdict.unsaid(step, seen)[0]


def test_what_one_random_answer_leaves_open(row: Build) -> None:
    """One draw per item says nothing of the next; several do; recordings say nothing of how they were made."""
    hot = SamplingParams(temperature=0.8)
    once = verdict.unsaid(*made(outcomes(row, 3, 3, effective=hot)))
    assert any("Another seed gives other answers" in claim for claim in once)
    twice = verdict.unsaid(*made([row(sample=k, effective=hot) for k in (0, 1)]))
    assert not any("each item was asked once" in claim for claim in twice)
    recorded = verdict.unsaid(*made(outcomes(row, 3, 3, effective=None)))
    assert any("they are recordings" in claim for claim in recorded)


def test_many_groups(row: Build) -> None:
    """Break-downs invite stories."""
    rows = [row(id=str(i), groups={"level": str(i % 4)}) for i in range(12)]
    assert verdict.unsaid(*made(rows))[-1].startswith("That one of the 4 groups above is special")
    assert not any("groups above" in claim for claim in verdict.unsaid(*made(outcomes(row, 6, 6))))


def programs(row: Build, calm: int, timeouts: int, slow: int, wrong: int = 0) -> list[SampleRow]:
    known = {"limits": Limits(wall_s=10.0, cpu_s=5.0), "sandbox_s": 5.0}
    kinds = [{"cpu_s": 0.1}] * calm + [{"cpu_s": 4.5}] * slow
    kinds += [{"cpu_s": 5.0, "outcome": "fail", "error_class": "timeout"}] * timeouts
    kinds += [{"cpu_s": 4.5, "outcome": "fail", "error_class": "wrong_answer"}] * wrong
    return [row(id=str(index), **known, **kind) for index, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            (161, 2, 1),
            "3 of 164 programs (1.8 %) used 80 % or more of a time limit; of these 2 timed out and 1 passed. "
            "The limits, not only the programs, may have decided these.",
        ),
        (
            (8, 2, 0),
            "2 of 10 programs (20.0 %) used 80 % or more of a time limit; all of them timed out. "
            "The limits, not only the programs, may have decided these.",
        ),
        (
            (9, 0, 1),
            "1 of 10 programs (10.0 %) used 80 % or more of a time limit and passed. "
            "The limits, not only the programs, may have decided this one.",
        ),
        (
            (8, 1, 0, 1),
            "2 of 10 programs (20.0 %) used 80 % or more of a time limit; of these 1 timed out. "
            "The limits, not only the programs, may have decided these.",
        ),
        (
            (9, 0, 0, 1),
            "1 of 10 programs (10.0 %) used 80 % or more of a time limit. "
            "The limits, not only the programs, may have decided this one.",
        ),
        ((7, 0, 0), "No program came near a time limit: all used less than 80 % of each."),
        ((0, 0, 0), ""),
    ],
)
def test_time_limits(row: Build, counts: tuple[int, ...], expected: str) -> None:
    """How many programs were near a limit, and how these ended; nothing where no program was judged."""
    step, _ = made([row(id="text"), *programs(row, *counts)])
    assert verdict.time_limits(step.all) == expected


def test_references_that_do_not_pass(row: Build) -> None:
    """Told by item with the way they ended, the first ones by name."""
    ends: list[ExecutionClass] = ["wrong_answer", "passed", "timeout"]
    step, seen = made([row(id=f"item_{n}", sample=k, reference=end) for n, end in enumerate(ends) for k in (0, 1)])
    assert verdict.broken_references(step.all, seen) == (
        "Data worth a look: the reference program of 2 items does not pass its own tests. It limits nothing there, the "
        "declared limits hold: item_0 (wrong_answer), item_2 (timeout)."
    )
    many, seen = made([row(id=str(n), reference="timeout") for n in range(50)])
    assert verdict.broken_references(many.all, seen).endswith(", 19 (timeout) and 30 more.")
    none, seen = made([row(reference="passed"), row(id="j")])
    assert verdict.broken_references(none.all, seen) == ""


def test_the_finding_of_what_needs_a_judge(row: Build) -> None:
    """No number is made up, and beside a score the rest is named."""
    collected = [row(id=str(item), task="open", category="open", outcome="unscored", score=None) for item in range(3)]
    step, _ = made([*collected[:2], row(id="2", task="open", category="open", outcome="void")])
    assert verdict.sentence(step) == (
        "**m** has no score: 2 answers collected, not scored: needs a judge. "
        "1 answer could not be measured: void, not counted."
    )
    mixed, _ = made([*collected, *outcomes(row, 28, 92)])
    assert verdict.sentence(mixed).endswith(
        "Nothing is void. Beside these, 3 items collected and not scored: needs a judge."
    )


def test_cut_off_answers_that_nothing_scores(row: Build) -> None:
    """They are told, and none of them failed."""
    rows = [row(id=str(item), outcome="unscored", score=None, finish_reason="length") for item in range(3)]
    step, _ = made([*rows, row(id="3", outcome="unscored", score=None)])
    assert verdict.cautions(step) == ["Cut off at `max_tokens`: 3 of 4 answers (75.0 %)."]
