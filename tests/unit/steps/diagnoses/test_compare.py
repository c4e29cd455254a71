"""Two steps item by item: counts, difference, interval and p of hand-made rows, and what a reader is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.diagnosis import Diagnosis
from evalkit.core.runfolder import DiagnosisLock, Lock, ModelLock, TaskLock
from evalkit.core.selection import Select
from evalkit.core.types import Message, Prompt, SampleRow, SamplingParams
from evalkit.stats.intervals import t_quantile
from evalkit.steps.diagnoses.compare import Compare
from evalkit.steps.diagnoses.contrast import Contrast, Counts, Pair, Side, contrast
from tests.unit.conftest import build_row

Build = Callable[..., SampleRow]
LOCK = DiagnosisLock(step="verdict", diagnosis="compare", reads={"before": "one", "after": "three"})


def compared(rows: list[SampleRow], run: Lock | None = None) -> Diagnosis:
    return made(rows, run).result()


def made(rows: list[SampleRow], run: Lock | None = None) -> Compare:
    found = Compare(LOCK, run)
    for one in rows:
        found.add(one)
    return found


def lines(found: Diagnosis, name: str) -> list[dict[str, Any]]:
    [table] = [table for table in found.tables if table.name == name]
    return [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]


def marked(row: Build, step: str, marks: str, category: str = "c", **known: object) -> list[SampleRow]:
    """One item a character: 1 passed, 0 failed, v void, a space was never asked."""
    outcomes = {"1": "pass", "0": "fail", "v": "void"}
    return [
        row(step=step, id=f"i{index}", category=category, outcome=outcomes[mark], **known)
        for index, mark in enumerate(marks)
        if mark != " "
    ]


def codes(found: Diagnosis) -> list[str]:
    return [raised.code for raised in found.raised]


BEFORE = "1" * 30 + "1" * 9 + "0" * 2 + "0" * 9
AFTER = "1" * 30 + "0" * 9 + "1" * 2 + "0" * 9


def test_the_worked_case(row: Build) -> None:
    """30 by both, 9 lost, 2 gained, 9 by neither: Newcombe 10 says -26.67 to -0.86, exact p .0654, mid-p .0386."""
    found = compared(marked(row, "one", BEFORE) + marked(row, "three", AFTER))
    [line] = lines(found, "differences")
    assert (line["category"], line["items"], line["one"], line["three"]) == ("c", 50, 0.78, 0.64)
    assert line["difference"] == pytest.approx(-0.14)
    assert line["95 % interval"] == pytest.approx((-0.2667, -0.0086), abs=5e-5)
    assert line["p"] == line["Holm"] == pytest.approx(0.065430, abs=5e-7)
    assert line["mid-p"] == pytest.approx(0.038574, abs=5e-7)
    assert line["smallest visible"] == 0.12
    [counts] = lines(found, "items")
    assert [counts[name] for name in ("both", "only one", "only three", "neither")] == [30, 9, 2, 9]
    assert found.metrics == {
        "difference": pytest.approx(-0.14),
        "p": pytest.approx(0.065430, abs=5e-7),
        "gained": 2.0,
        "lost": 9.0,
        "n": 50.0,
    }


def test_flips_are_named(row: Build) -> None:
    """As `evalkit show` takes them; beyond thirty they are counted."""
    gained, lost = lines(compared(marked(row, "one", BEFORE) + marked(row, "three", AFTER)), "flips")
    assert (gained["items"], gained["which"]) == (2, ["three/i39", "three/i40"])
    assert lost["which"] == [f"three/i{index}" for index in range(30, 39)]
    gained, lost = lines(compared(marked(row, "one", "0" * 40) + marked(row, "three", "1" * 40)), "flips")
    assert (len(gained["which"]), gained["which"][-1], lost["which"]) == (31, "and 10 more", [])


def test_void_is_left_out_in_pairs_and_counted(row: Build) -> None:
    """Of seven items two are void on one side, one was asked on one side only: four pairs."""
    found = compared(marked(row, "one", "1v0010 ") + marked(row, "three", "11v1111"))
    [counts] = lines(found, "items")
    assert counts["not scored on both sides"] == 2
    assert (counts["asked only in one"], counts["asked only in three"]) == (0, 1)
    assert found.metrics["n"] == 4.0
    assert found.notes == (
        "Only step three (after) has the 1 item i6.",
        "Left out on both sides, not scored on one of them: 2 items i1, i2.",
    )


def test_what_nothing_scores_is_left_out(row: Build) -> None:
    """An answer for a judge is neither a pass nor a failure."""
    rows = marked(row, "one", "1")
    found = compared([*rows, row(step="three", id="i0", outcome="unscored", score=None)])
    assert found.metrics == {"difference": None, "p": None, "gained": 0.0, "lost": 0.0, "n": 0.0}
    assert found.notes[0] == "No item is scored in both steps: there is nothing to compare."
    assert (codes(found), found.figures) == ([], ())


def test_only_what_counts_is_compared_and_answers_are_averaged(row: Build) -> None:
    """Two answers to an item are one score of it; candidates that were not picked are none."""
    before = [row(step="one", id=name, sample=k, outcome="fail" if k else "pass") for name in "ab" for k in (0, 1)]
    after = [
        row(step="three", id=name, sample=k, selected=k == 1, outcome="pass" if k else "fail")
        for name in "ab"
        for k in (0, 1, 2)
    ]
    found = compared(before + after)
    [line] = lines(found, "differences")
    assert (line["items"], line["one"], line["three"], line["difference"]) == (2, 0.5, 1.0, 0.5)
    assert (line["p"], line["mid-p"], line["smallest visible"]) == (0.5, None, None)  # 2 of 4 choices of signs


def test_scores_that_are_shares(row: Build) -> None:
    """Worked case: d = .25 .5 0 -.25 .75 .25, 16 of 64 choices of signs; the interval from t with five degrees."""
    differences = [0.25, 0.5, 0.0, -0.25, 0.75, 0.25]
    before = [row(step="one", id=str(i), outcome="score", score=0.25) for i in range(6)]
    after = [row(step="three", id=str(i), outcome="score", score=0.25 + d) for i, d in enumerate(differences)]
    [line] = lines(compared(before + after), "differences")
    error = (sum((d - 0.25) ** 2 for d in differences) / 5 / 6) ** 0.5
    half = t_quantile(0.975, 5) * error
    assert (line["p"], line["difference"]) == (0.25, 0.25)
    assert line["95 % interval"] == pytest.approx((0.25 - half, 0.25 + half))
    [counts] = lines(compared(before + after), "items")
    assert counts["both"] is None


def test_holm_over_categories(row: Build) -> None:
    """p .03125 and .25 of two categories become .0625 and .25; `all` is one test and stays as it is."""
    rows = marked(row, "one", "000000", "x", task="x") + marked(row, "three", "111111", "x", task="x")
    rows += marked(row, "one", "000", "y", task="y") + marked(row, "three", "111", "y", task="y")
    first, second, whole = lines(compared(rows), "differences")
    assert (first["category"], first["p"], first["Holm"]) == ("x", 0.03125, 0.0625)
    assert (second["category"], second["p"], second["Holm"]) == ("y", 0.25, 0.25)
    assert (whole["category"], whole["items"], whole["p"], whole["Holm"]) == ("all", 9, 2 / 2**9, None)
    [figure] = compared(rows).figures
    assert (figure.ticks, figure.series[0].y) == (("x", "y", "all"), (1.0, 1.0, 1.0))


def test_an_item_of_two_categories_is_one_of_all(row: Build) -> None:
    """Items are known by task, split and id."""
    rows = [one for name in ("x", "y") for step in ("one", "three") for one in marked(row, step, "11", name)]
    assert [line["items"] for line in lines(compared(rows), "differences")] == [2, 2, 2]


def test_noise_and_what_is_not(row: Build) -> None:
    """Five one-way flips are never enough, six are; the finding says what the items can show."""
    five = compared(marked(row, "one", "0" * 5 + "1" * 13) + marked(row, "three", "1" * 18))
    assert codes(five) == ["difference_is_noise"]
    values = five.raised[0].values
    assert (values["p"], values["gained"], values["lost"], values["flips"]) == (0.0625, 5, 0, 6)
    assert values["visible"] == pytest.approx(6 / 18)
    six = compared(marked(row, "one", "0" * 6 + "1" * 12) + marked(row, "three", "1" * 18))
    assert codes(six) == ["difference_is_real"]
    assert (six.raised[0].samples[0], six.raised[0].of_samples) == ("three/i0", 6)


def prompt(text: str) -> Prompt:
    return Prompt(messages=(Message("user", text),))


def test_other_prompts_are_told(row: Build) -> None:
    """The pairing compares two questions then; the answers between the turns of a chat are no part of them."""
    before, after = marked(row, "one", "11"), marked(row, "three", "1", prompt=prompt("Else?"))
    found = compared([*before, *after, row(step="three", id="i1")])
    assert codes(found) == ["different_prompts", "difference_is_noise"]
    assert (found.raised[0].values["different"], found.raised[0].values["items"]) == (1, 2)
    assert found.raised[0].samples == ("three/i0",)

    def chat(answer: str) -> Prompt:
        return Prompt(messages=(Message("user", "A?"), Message("assistant", answer), Message("user", "B?")))

    turns = [row(step=step, prompt=chat(step), earlier=(step,)) for step in ("one", "three")]
    assert codes(compared(turns)) == ["difference_is_noise"]


def locked(step: str, **known: Any) -> TaskLock:
    values: dict[str, Any] = dict(category="c", task="t", split="test", origin="o", sha256="a" * 64, items=("i0",))
    return TaskLock(step=step, **(values | known))


def test_what_differs_in_the_set_up(row: Build) -> None:
    """Model, engine, policy, selection, and the sampling as the engine reported it."""
    warm = SamplingParams(temperature=0.8, top_p=0.95, seed=3, max_tokens=64)
    picked = Select("majority")
    run = Lock(
        tasks=(
            locked("one", model="m", policy="greedy"),
            locked("three", model="n", policy="best3", samples=3, select=picked),
        ),
        models={
            "m": ModelLock(engine="transformers", parts={"torch": "2.13.0", "weights": "b" * 64}),
            "n": ModelLock(engine="transformers", parts={"torch": "2.12.0", "weights": "c" * 64}),
        },
    )
    found = compared([row(step="one"), row(step="three", effective=warm)], run)
    assert [tuple(line.values()) for line in lines(found, "setup")] == [
        ("model", "m", "n", ["all"]),
        ("model: torch", "2.13.0", "2.12.0", ["all"]),
        ("model: weights", "b" * 12, "c" * 12, ["all"]),
        ("policy", "greedy", "best3", ["c"]),
        ("answers to an item", "1", "3", ["c"]),
        ("selection", "none", "majority, on a tie first", ["c"]),
        (
            "sampling, as reported",
            "greedy, max_tokens 64",
            "temperature 0.8, top_p 0.95, seed 3, max_tokens 64",
            ["c"],
        ),
    ]
    assert codes(found) == ["different_engines", "difference_is_noise"]
    assert found.raised[0].values["lines"] == [["model: torch", "2.13.0", "2.12.0"]]


def test_other_weights_are_no_other_engine(row: Build) -> None:
    """What is compared may be the model; another kind of engine is told, and its parts are not set side by side."""
    models = {
        "m": ModelLock(engine="replay", parts={"file": "1"}),
        "n": ModelLock(engine="replay", parts={"file": "2"}),
    }
    run = Lock(tasks=(locked("one", model="m"), locked("three", model="n")), models=models)
    rows = [row(step="one"), row(step="three")]
    assert codes(compared(rows, run)) == ["difference_is_noise"]
    other = {**models, "n": ModelLock(engine="vllm", parts={"vllm": "1"})}
    run = Lock(tasks=run.tasks, models=other)
    assert codes(compared(rows, run)) == ["different_engines", "difference_is_noise"]
    assert [line["what"] for line in lines(compared(rows, run), "setup")] == ["model", "engine"]


def test_contrast_of_nothing() -> None:
    """No number is made up."""
    assert contrast([]) == Contrast(0)
    assert contrast([Pair("a", Side(True, [1.0]), Side(True, []))]) == Contrast(0)


SCORES = st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), min_size=1, max_size=14)
VERDICTS = st.lists(st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.0, 1.0])), min_size=1, max_size=40)


@given(st.one_of(SCORES, VERDICTS))
def test_swapping_the_steps_mirrors_everything(scores: list[tuple[float, float]]) -> None:
    """Difference and both intervals change their sign, p stays, gained and lost change places."""
    pairs = [Pair(str(index), Side(True, [one]), Side(True, [other])) for index, (one, other) in enumerate(scores)]
    found = contrast(pairs)
    back = contrast([Pair(pair.name, pair.after, pair.before) for pair in pairs])
    for one, other in ((found.interval, back.interval), (found.one_sided, back.one_sided)):
        assert one is not None
        assert other is not None
        assert one == pytest.approx((-other.high, -other.low), abs=1e-9)
    assert found.difference == pytest.approx(-(back.difference or 0.0), abs=1e-12)
    assert (found.p, found.mid_p, found.before, found.after) == (back.p, back.mid_p, back.after, back.before)
    if found.counts is not None:
        assert back.counts == Counts(found.counts.both, found.counts.gained, found.counts.lost, found.counts.neither)


@given(VERDICTS)
def test_intervals_hold_the_difference(scores: list[tuple[float, float]]) -> None:
    """And the one-sided bounds lie within the two-sided ones."""
    found = contrast([Pair(str(i), Side(True, [a]), Side(True, [b])) for i, (a, b) in enumerate(scores)])
    assert found.interval is not None
    assert found.one_sided is not None
    assert found.difference is not None
    assert found.interval.low <= found.one_sided.low <= found.difference <= found.one_sided.high <= found.interval.high


def test_rows_can_come_in_any_order() -> None:
    """Nothing depends on which step comes first."""
    rows = marked(build_row, "one", BEFORE) + marked(build_row, "three", AFTER)
    assert compared(rows[::-1]).metrics == compared(rows).metrics


def test_a_category_may_be_called_all(row: Build) -> None:
    """It is not the whole."""
    rows = [one for name, marks in (("all", "00"), ("x", "0000")) for one in marked(row, "one", marks, name, task=name)]
    rows += marked(row, "three", "11", "all", task="all") + marked(row, "three", "0000", "x", task="x")
    assert [(line["category"], line["items"]) for line in lines(compared(rows), "differences")] == [
        ("all", 2), ("x", 4), ("all", 6),
    ]  # fmt: skip
