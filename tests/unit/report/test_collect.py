"""What counts, and where: rows become results."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from random import Random

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.errors import DataError
from evalkit.core.runfolder import RunRecord
from evalkit.core.types import Contribution, Limits, SampleRow, Share, Weighed
from evalkit.report.collect import collect
from evalkit.report.results import CriterionUse, LimitUse, Reading, Results, StepResults, decode, encode
from evalkit.report.tallies import CriterionTally
from evalkit.stats.intervals import estimate, wilson

Build = Callable[..., SampleRow]
RUN = RunRecord(id="r", name="n", state="complete", started="2026-01-01T00:00:00Z")


def step_of(rows: list[SampleRow]) -> StepResults:
    return collect(rows, RUN).steps["s"]


def test_counts_and_score(row: Build) -> None:
    """Void is in n and in no denominator."""
    rows = [
        row(id="a"),
        row(id="b", outcome="fail", error_class="wrong_answer"),
        row(id="c", outcome="void", reason="sandbox: gone"),
    ]
    measure = step_of(rows).all
    assert (measure.n, measure.scored, measure.void) == (3, 2, 1)
    assert (measure.score, measure.method) == (0.5, "wilson")
    assert measure.interval == wilson(1, 2)
    assert measure.metrics.classes == {"wrong_answer": 1}
    assert measure.metrics.pass_at_1.score == 0.5


def test_answers_are_averaged_within_items_first(row: Build) -> None:
    """Three items of four answers: the mean of item means, and the interval over three items."""
    outcomes = {"a": "ppp-", "b": "--p-", "c": "pppp"}
    rows = [
        row(id=item, sample=index, outcome="pass" if mark == "p" else "fail")
        for item, marks in outcomes.items()
        for index, mark in enumerate(marks)
    ]
    measure = step_of(rows).all
    expected = estimate([0.75, 0.25, 1.0])
    assert expected is not None
    assert (measure.n, measure.metrics.answers.n) == (3, 12)
    assert (measure.score, measure.interval, measure.method) == (expected.value, expected.interval, "mean_se")


def test_void_answers_leave_the_item_to_the_others(row: Build) -> None:
    """An item with one scored answer of two is scored by that one; void answers are counted as answers."""
    rows = [row(id="a", sample=0), row(id="a", sample=1, outcome="void"), row(id="b", outcome="void")]
    measure = step_of(rows).all
    assert (measure.n, measure.scored, measure.void, measure.score) == (2, 1, 1, 1.0)
    answers = measure.metrics.answers
    assert (answers.n, answers.scored, answers.passed, answers.void) == (3, 1, 1, 2)


def test_unselected_candidates_cost_and_do_not_count(row: Build) -> None:
    """Of three candidates one is scored; all three were generated."""
    rows = [
        row(sample=0, selected=False, outcome="fail", error_class="timeout"),
        row(sample=1, selected=True),
        row(sample=2, selected=False, outcome="fail"),
    ]
    measure = step_of(rows).all
    assert (measure.n, measure.score) == (1, 1.0)
    assert (measure.metrics.answers.candidates, measure.metrics.answers.n) == (3, 1)
    assert measure.metrics.tokens.completion == 12
    assert measure.metrics.seconds.generation == 1.5
    assert measure.metrics.classes == {}


def test_the_same_id_of_two_tasks_is_two_items(row: Build) -> None:
    """Ids are unique within a task only."""
    step = step_of([row(task="t"), row(task="u", category="d", outcome="fail")])
    assert (step.all.n, step.all.score) == (2, 0.5)
    assert (step.categories["c"].score, step.categories["d"].score) == (1.0, 0.0)


def test_an_item_in_two_categories_is_one_item(row: Build) -> None:
    """It is scored in each of them and once in all, also in the groups that pool them; every answer is still paid."""
    rows = [
        row(groups={"g": "x"}),
        row(category="d", outcome="fail", groups={"g": "x"}),
        row(id="i1", groups={"g": "x"}),
    ]
    step = step_of(rows)
    assert (step.all.n, step.all.score) == (2, 0.75)
    assert (step.groups["g"]["x"].n, step.groups["g"]["x"].score) == (2, 0.75)
    assert (step.categories["c"].n, step.categories["d"].n) == (2, 1)
    assert (step.categories["c"].score, step.categories["d"].score) == (1.0, 0.0)
    assert (step.all.metrics.answers.n, step.all.metrics.tokens.completion) == (3, 12)


def test_the_same_item_of_two_splits_is_two_items(row: Build) -> None:
    """A split has its own rows."""
    assert step_of([row(), row(category="d", split="train")]).all.n == 2


def test_micro_and_macro(row: Build) -> None:
    """Three of three and none of one: 75 % of items, 50 % of categories."""
    rows = [row(id=str(index)) for index in range(3)] + [row(task="u", category="d", outcome="fail")]
    step = step_of(rows)
    assert step.all.score == 0.75
    assert (step.macro.score, step.macro.categories) == (0.5, 2)


def test_a_category_without_scores_is_not_in_the_macro_mean(row: Build) -> None:
    """All void is unknown, not zero."""
    step = step_of([row(), row(category="d", outcome="void")])
    assert (step.macro.score, step.macro.categories) == (1.0, 1)
    assert (step.categories["d"].score, step.categories["d"].interval) == (None, None)


def test_groups_in_their_natural_order(row: Build) -> None:
    """Levels by difficulty, numbers by size, words by the alphabet."""
    levels = ["hard", "easy", "medium", "10", "9", "zebra", "apple", "inf"]
    rows = [row(id=level, groups={"level": level}) for level in levels]
    step = step_of(rows)
    expected = ["easy", "medium", "hard", "9", "10", "apple", "inf", "zebra"]
    assert list(step.categories["c"].groups["level"]) == expected
    assert step.groups["level"]["easy"].n == 1


def test_partial_scores(row: Build) -> None:
    """Scores that are shares: a mean with t, and pass@1 is not defined."""
    measure = step_of([row(id="a", outcome="score", score=0.5), row(id="b", outcome="score", score=0.75)]).all
    assert (measure.score, measure.method) == (0.625, "mean_se")
    assert (measure.metrics.pass_at_1.n, measure.metrics.pass_at_1.score) == (0, None)
    assert measure.metrics.answers.passed == 0


def test_tests_truncation_and_missing_answers(row: Build) -> None:
    """What is counted beside the score."""
    rows = [
        row(id="a", tests_passed=3, tests_total=3, finish_reason="length", sandbox_s=0.25),
        row(id="b", outcome="fail", error_class="no_code", finish_reason="length"),
        row(id="c", outcome="fail", error_class="no_answer"),
        row(id="d", outcome="fail", tests_passed=1, tests_total=5, error_class="wrong_answer", sandbox_s=0.5),
        row(id="e", outcome="fail"),
        row(id="f", outcome="void", finish_reason="length"),
    ]
    metrics = step_of(rows).all.metrics
    assert (metrics.tests.passed, metrics.tests.total, metrics.tests.share) == (4, 8, 0.5)
    assert (metrics.truncated, metrics.truncated_failed, metrics.no_answer) == (2, 1, 2)
    assert metrics.classes == {"no_answer": 1, "no_code": 1, "unknown": 1, "wrong_answer": 1}
    assert metrics.seconds.sandbox == 0.75


def test_what_one_row_does_not_know_the_sum_does_not(row: Build) -> None:
    """A sum with an unknown part is unknown, never too small. What was never asked is no unknown part."""
    known = step_of([row(id="a", usd=0.25), row(id="b", usd=0.5), row(id="c", outcome="void", text=None)]).all.metrics
    assert known.usd == 0.75
    assert known.tokens.prompt == 20
    unknown = step_of([row(id="a", usd=0.25), row(id="b", completion_tokens=None)]).all.metrics
    assert (unknown.usd, unknown.tokens.completion) == (None, None)


VOID_STAMP = (
    "INCOMPLETE: 3 of 100 answers of step s are void (3.0 %, the budget is 2.0 %). "
    "Run the same command again: only what is missing is asked for."
)


@pytest.mark.parametrize(
    ("run", "void", "expected"),
    [
        ({}, 0, ()),
        ({}, 2, ()),
        ({}, 3, (VOID_STAMP,)),
        ({"state": "incomplete", "error": "too many void"}, 3, (VOID_STAMP,)),
        ({"void_budget": 0.03}, 3, ()),
        (
            {"state": "interrupted", "error": "Ctrl-C"},
            0,
            ("INCOMPLETE: the run ended as 'interrupted': Ctrl-C. Run the same command again to finish it.",),
        ),
        (
            {"limit": 5},
            0,
            ("PARTIAL: a partial run, limited to 5 items per task. These are not the scores of its spec.",),
        ),
        ({"only": ("s",)}, 0, ("PARTIAL: a partial run, only of s.",)),
        (
            {"only": ("s",), "sandbox_warning": "WEAKER SANDBOX: so."},
            0,
            ("WEAKER SANDBOX: so.", "PARTIAL: a partial run, only of s."),
        ),
    ],
)
def test_stamps(row: Build, run: dict[str, object], void: int, expected: tuple[str, ...]) -> None:
    """What must stand wherever the numbers stand. A budget that is just met is met."""
    rows = [row(id=str(index), outcome="void" if index < void else "pass") for index in range(100)]
    record = RunRecord(**({"id": "r", "state": "complete", "started": ""} | run))  # type: ignore[arg-type]
    assert collect(rows, record).stamps == expected


def test_verdicts_within_reach_are_told_above_every_number(row: Build) -> None:
    """Tests that ran in the programs' own process are named, once for each task."""
    rows = [row(id=str(index), task=task, in_process=task != "far") for index in range(3) for task in ("a", "b", "far")]
    expected = (
        "REACHABLE VERDICTS: the tests of a, b ran in the programs' own process (in_process): a program that "
        "cheats can reach its verdict there."
    )
    assert (expected,) == collect(rows, RUN).stamps


def test_a_run_without_rows(row: Build) -> None:
    """No rows, no steps, and it is said."""
    results = collect([], RUN)
    assert results.steps == {}
    assert results.stamps == ("INCOMPLETE: nothing was measured; this run has no samples.",)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"evalkit": 1, "steps": {"s": {}}}'])
def test_results_that_cannot_be_read_say_what_to_do(content: bytes) -> None:
    """A file that was cut off, edited or never was one."""
    with pytest.raises(DataError, match=r"results\.json cannot be read") as caught:
        decode(content)
    assert "evalkit report RUN" in caught.value.hint


def test_results_of_another_version_are_not_guessed_at(row: Build) -> None:
    """Same shape, other meaning."""
    content = encode(collect([row()], RUN)).replace(b'"evalkit": 1', b'"evalkit": 2')
    with pytest.raises(DataError, match="it is of version 2, not of 1"):
        decode(content)


def schema() -> dict[str, object]:
    content = (resources.files("evalkit.report") / "schema" / "results.schema.json").read_text("utf-8")
    loaded: dict[str, object] = json.loads(content)
    jsonschema.Draft202012Validator.check_schema(loaded)
    jsonschema.Draft7Validator.check_schema(loaded)
    return loaded


def sorted_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    assert names == sorted(names)
    return dict(pairs)


def random_rows(random: Random, row: Build) -> list[SampleRow]:
    """Anything that may stand in a run folder."""
    rows = []
    for _ in range(random.randrange(12)):
        outcome = random.choice(["pass", "fail", "score", "void"])
        rows.append(
            row(
                step=random.choice("st"), category=random.choice("cd"), id=random.choice("abc"),
                sample=random.randrange(3), selected=random.random() < 0.8, outcome=outcome,
                score={"pass": 1.0, "fail": 0.0, "score": random.random(), "void": None}[outcome],
                error_class=random.choice([None, "timeout", "no_code"]), groups=random.choice([{}, {"g": "x"}]),
                tests_passed=1, tests_total=random.choice([None, 2]), usd=random.choice([None, 0.5]),
                seconds=random.choice([None, 1.0]), sandbox_s=random.choice([None, 0.1]),
                finish_reason=random.choice(["stop", "length", "recorded"]),
                cpu_s=random.choice([None, 0.1, 5.0]), limits=random.choice([None, Limits(), Limits(cpu_s=1.0)]),
                reference=random.choice([None, "passed", "timeout"]),
            )
        )  # fmt: skip
    return rows


def test_results_file_keeps_its_schema(row: Build) -> None:
    """Whatever rows a run has: strict JSON that the published schema accepts and that reads back to the same."""
    validator = jsonschema.Draft202012Validator(schema())
    for seed in range(150):
        results = collect(random_rows(Random(seed), row), RUN)
        content = encode(results)
        plain = json.loads(
            content, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"), object_pairs_hook=sorted_keys
        )
        validator.validate(plain)
        read = decode(content)
        assert encode(read) == content
        assert read.order == results.order


def test_the_schema_refuses_what_is_not_a_result(row: Build) -> None:
    """A schema that accepts anything would be no contract."""
    validator = jsonschema.Draft202012Validator(schema())
    good = json.loads(encode(collect([row()], RUN)))
    for path, bad in (
        (("steps", "s", "all", "score"), 1.5),
        (("steps", "s", "all", "n"), -1),
        (("steps", "s", "all", "extra"), 0),
        (("steps", "s", "all", "interval"), [0.5]),
        (("evalkit",), 2),
    ):
        broken = json.loads(json.dumps(good))
        place = broken
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = bad
        assert not validator.is_valid(broken), path


@given(st.randoms(use_true_random=False), st.lists(st.sampled_from(["pass", "fail", "void"]), min_size=1, max_size=20))
def test_order_of_rows_does_not_change_scores(row: Build, random: Random, outcomes: list[str]) -> None:
    """Rows in any order: the same counts, scores and intervals."""
    rows = [row(id=str(index // 2), sample=index % 2, outcome=outcome) for index, outcome in enumerate(outcomes)]
    shuffled = rows[:]
    random.shuffle(shuffled)

    def numbers(results: Results) -> object:
        total = results.steps["s"].all
        return (total.n, total.scored, total.void, total.score, total.interval, total.metrics.answers)

    assert numbers(collect(rows, RUN)) == numbers(collect(shuffled, RUN))


@pytest.mark.parametrize(
    ("known", "near"),
    [
        ({"cpu_s": 3.99, "sandbox_s": 7.99}, False),
        ({"cpu_s": 4.0, "sandbox_s": 4.2}, True),
        ({"cpu_s": 0.1, "sandbox_s": 8.0}, True),
        ({"cpu_s": None, "sandbox_s": None}, False),
        ({"cpu_s": 0.0, "sandbox_s": 0.0, "outcome": "fail", "error_class": "timeout"}, True),
        ({"cpu_s": 4.9, "sandbox_s": 5.0, "outcome": "fail", "error_class": "wrong_answer"}, True),
    ],
)
def test_near_a_limit(row: Build, known: dict[str, object], near: bool) -> None:
    """Four fifths of the processor time or of the wall time, whatever the verdict; a timeout always."""
    use = step_of([row(limits=Limits(wall_s=10.0, cpu_s=5.0), **known)]).all.metrics.limits
    assert (use.programs, use.near) == (1, int(near))


def test_the_limits_that_held(row: Build) -> None:
    """Each program counts against its own limit; void, unselected and unexecuted ones do not count."""
    tight, wide = Limits(wall_s=10.0, cpu_s=1.0), Limits(wall_s=10.0, cpu_s=5.0)
    rows = [
        row(id="a", limits=tight, cpu_s=0.9, sandbox_s=1.0),
        row(id="b", limits=wide, cpu_s=0.9, sandbox_s=1.0),
        row(id="c", limits=tight, cpu_s=1.0, sandbox_s=1.1, outcome="fail", error_class="timeout"),
        row(id="d", outcome="void", reason="sandbox: gone", limits=tight, cpu_s=1.0),
        row(id="e", selected=False, limits=tight, cpu_s=1.0),
        row(id="f", outcome="fail", error_class="no_code"),
    ]
    assert step_of(rows).all.metrics.limits == LimitUse(3, 2, 1, 1, (1.0, 5.0), (10.0, 10.0))


def test_broken_references_are_counted_by_item(row: Build) -> None:
    """Two answers to an item whose reference does not pass are one item; one that passes is none."""
    known = {"limits": Limits(), "cpu_s": 0.1, "sandbox_s": 0.1}
    rows = [
        row(id="a", sample=0, reference="wrong_answer", **known),
        row(id="a", sample=1, reference="wrong_answer", outcome="void"),
        row(id="b", reference="passed", **known),
        row(id="c", **known),
    ]
    assert step_of(rows).all.metrics.limits.broken_references == 1


def test_results_without_limits_can_be_read(row: Build) -> None:
    """The files of before have no such block."""
    results = collect([row()], RUN)
    plain = json.loads(encode(results))
    for measure in (plain["steps"]["s"]["all"], *plain["steps"]["s"]["categories"].values()):
        del measure["metrics"]["limits"]
    assert decode(json.dumps(plain).encode()) == results


def test_what_other_rules_make_of_the_answers(row: Build) -> None:
    """Shares are summed over scored answers, not averaged; void answers count in none."""
    rows = [
        row(id="a", readings={"strict": Share(0.0), "instructions": Share(3.0, 3)}),
        row(id="b", outcome="fail", readings={"strict": Share(0.0), "instructions": Share(1.0, 5)}),
        row(id="c", outcome="fail", readings={"strict": Share(1.0)}),
        row(id="d", outcome="void", readings={"strict": Share(1.0)}),
        row(id="e"),
    ]
    expected = {"strict": Reading(3, 1.0, 3, 1 / 3, 2), "instructions": Reading(2, 4.0, 8, 0.5, 0)}
    found = collect(rows, RUN)
    assert expected == found.steps["s"].all.metrics.readings
    schema = json.loads(resources.files("evalkit.report").joinpath("schema/results.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(encode(found)), schema)
    assert found == decode(encode(found))


def test_criteria_without_an_end_have_no_share() -> None:
    """Points are summed; there is nothing that they are a part of."""
    tally = CriterionTally()
    tally.add(Contribution(45.0, None, "3 of $.effects[*]"))
    tally.add(Contribution(15.0, None))
    assert tally.measure() == CriterionUse(2, 60.0, None, None, 0)


def test_what_the_criteria_of_a_rubric_gave(row: Build) -> None:
    """Points are summed over scored answers; void answers and those of other scorers count in none."""

    def given(short: float, typed: float) -> dict[str, Contribution]:
        return {"short": Contribution(short, 30.0), "typed": Contribution(typed, 10.0, None if typed else "no types")}

    rows = [
        row(id="a", outcome="score", score=1.0, criteria=given(30.0, 10.0)),
        row(id="b", outcome="score", score=0.375, criteria=given(15.0, 0.0)),
        row(id="c", outcome="void", criteria=given(30.0, 10.0)),
        row(id="d"),
    ]
    expected = {"short": CriterionUse(2, 45.0, 60.0, 0.75, 1), "typed": CriterionUse(2, 10.0, 20.0, 0.5, 1)}
    found = collect(rows, RUN)
    assert expected == found.steps["s"].all.metrics.criteria
    schema = json.loads(resources.files("evalkit.report").joinpath("schema/results.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads(encode(found)), schema)
    assert found == decode(encode(found))


def test_answers_that_nothing_scores_are_neither_void_nor_zero(row: Build) -> None:
    """They are counted, cut-off ones too, and are in no mean: the scored category alone makes the score."""
    rows = [
        row(id="a", category="open", outcome="unscored", score=None, finish_reason="length"),
        row(id="b", category="open", outcome="unscored", score=None),
        row(id="c", category="open", outcome="void", reason="engine: gone"),
        row(id="d", category="math"),
        row(id="e", category="math", outcome="fail", error_class="wrong_answer"),
    ]
    step = step_of(rows)
    measure = step.categories["open"]
    assert (measure.n, measure.scored, measure.void, measure.unscored) == (3, 0, 1, 2)
    assert (measure.score, measure.interval, measure.method) == (None, None, None)
    assert (measure.metrics.answers.unscored, measure.metrics.answers.scored, measure.metrics.truncated) == (2, 0, 1)
    assert measure.metrics.classes == {}
    assert (step.all.score, step.all.scored, step.all.unscored, step.macro.categories) == (0.5, 2, 2, 1)
    schema = json.loads((resources.files("evalkit.report") / "schema" / "results.schema.json").read_text())
    jsonschema.validate(json.loads(encode(collect(rows, RUN))), schema)


def test_several_answers_to_an_item(row: Build) -> None:
    """pass@k over the items that have k judged answers, and each answer in turn; nothing of both for single answers."""
    outcomes = {"a": "p---", "b": "pp--", "c": "pv--"}
    names = {"p": "pass", "-": "fail", "v": "void"}
    rows = [
        row(id=item, sample=index, outcome=names[mark])
        for item, marks in outcomes.items()
        for index, mark in enumerate(marks)
    ]
    metrics = step_of(rows).all.metrics
    assert {"1": 3, "2": 3} == {k: rate.n for k, rate in metrics.pass_at_k.items()}
    assert metrics.pass_at_k["1"] == metrics.pass_at_1
    assert metrics.pass_at_k["2"].score == pytest.approx((1 / 2 + 5 / 6 + 2 / 3) / 3)
    assert [(0, 3, 3), (1, 2, 1), (2, 3, 0), (3, 3, 0)] == [
        (one.sample, one.judged, one.passed) for one in metrics.by_answer
    ]
    single = step_of([row(id="a"), row(id="b")]).all.metrics
    assert ({}, ()) == (single.pass_at_k, single.by_answer)


def test_weighed_answers_are_not_generated_ones(row: Build) -> None:
    """Their time makes no rate of tokens, none of them can be cut off; generated ones beside them count."""
    known = (Weighed(" A", -1.0, 1, True), Weighed(" B", -2.0, 1, False))
    weighed = dict(likelihoods=known, text="", finish_reason="weighed", completion_tokens=None, seconds=0.25)
    rows = [row(category="arc", id="w0", **weighed), row(category="arc", id="w1", **weighed), row(category="math")]
    results = collect(rows, RUN).steps["s"]
    arc, both = results.categories["arc"].metrics, results.all.metrics
    assert (2, 2, False) == (arc.answers.candidates, arc.answers.weighed, arc.generated)
    assert (None, None, 0.5) == (arc.tokens.completion, arc.seconds.generation, arc.seconds.weighing)
    assert (20, 0) == (arc.tokens.prompt, arc.truncated)
    assert (3, 1, True) == (
        both.answers.candidates,
        results.categories["math"].metrics.answers.candidates,
        both.generated,
    )
    assert (4, 0.5, 0.5) == (both.tokens.completion, both.seconds.generation, both.seconds.weighing)


def test_a_reading_of_shares_judges_nothing_otherwise(row: Build) -> None:
    """A share of 0.86 neither passes nor fails; verdicts that differ are counted."""
    shares = [row(id="a", readings={"mc2": Share(0.86)}), row(id="b", outcome="fail", readings={"mc2": Share(1.0)})]
    loose = {"loose": Share(1.0)}
    verdicts = [row(id="a", readings=loose), row(id="b", outcome="fail", readings=loose)]
    assert step_of(shares).all.metrics.readings["mc2"].otherwise is None
    assert step_of(verdicts).all.metrics.readings["loose"].otherwise == 1
    schema = json.loads((resources.files("evalkit.report") / "schema" / "results.schema.json").read_text())
    jsonschema.validate(json.loads(encode(collect(shares, RUN))), schema)
