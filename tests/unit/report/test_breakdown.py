"""Scores broken down: two means, tables that are worth reading, splits of one task, and a published set."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from evalkit.core.runfolder import Lock, RunRecord
from evalkit.core.types import SampleRow
from evalkit.report import breakdown
from evalkit.report.collect import collect
from evalkit.report.results import StepResults, decode, encode
from evalkit.report.write import write
from evalkit.stats.intervals import wilson
from evalkit.stats.strata import macro_estimate

Build = Callable[..., SampleRow]
GOLDEN = Path(__file__).parents[4] / "shared/data/golden/mmlu_predictions"
RUN = RunRecord(id="r", name="n", state="complete", started="2026-01-01T00:00:00Z")


def graded(build: Build, groups: dict[str, str], *, field: str = "level", **known: Any) -> list[SampleRow]:
    """One item a mark of each value: p passes, - fails, v is void."""
    outcomes = {"p": "pass", "-": "fail", "v": "void"}
    return [
        build(id=f"{value}{number}", groups={field: value}, outcome=outcomes[mark], **known)
        for value, marks in groups.items()
        for number, mark in enumerate(marks)
    ]


def step_of(rows: list[SampleRow]) -> StepResults:
    return collect(rows, RUN).steps["s"]


def report_of(folder: Path, rows: list[SampleRow]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(msgspec.json.encode(RUN))
    (folder / "evalkit.lock").write_bytes(msgspec.json.encode(Lock()))
    (folder / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    write(folder)
    return (folder / "report.md").read_text("utf-8")


def test_micro_and_macro_are_told_apart(row: Build) -> None:
    """Five of eight items, and the mean of 3/4, 1/2 and 1/2; a void item is in neither."""
    step = step_of(graded(row, {"easy": "ppp-", "hard": "p-v", "none": "p-"}))
    means = step.categories["c"].group_means["level"]
    assert means == step.group_means["level"]
    assert (means.micro.n, means.micro.score, means.micro.interval) == (8, 5 / 8, wilson(5, 8))
    expected = macro_estimate([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert expected is not None
    macro = means.macro
    assert (macro.groups, macro.score, macro.interval) == (3, pytest.approx(7 / 12), expected.interval)
    assert ("strata_se", None) == (macro.method, macro.reason)


def test_a_group_of_one_item_leaves_no_interval(tmp_path: Path, row: Build) -> None:
    """With a reason, in the results and in the report."""
    rows = graded(row, {"easy": "pp-", "hard": "p"})
    macro = step_of(rows).categories["c"].group_means["level"].macro
    assert (macro.groups, macro.score, macro.interval, macro.method) == (2, pytest.approx(5 / 6), None, None)
    assert "1 of 2 groups have one scored item" == macro.reason
    report = report_of(tmp_path, rows)
    assert "| c | **all items** (micro mean) | | 4 | | 75.0 % | 30.1 to 95.4 % |" in report
    assert "| c | **all groups** (macro mean) | | | | 83.3 % | – |" in report
    assert "No interval of the macro mean of c: 1 of 2 groups have one scored item." in report


def test_nothing_scored(row: Build) -> None:
    """No mean at all, and why; and no table."""
    step = step_of(graded(row, {"easy": "v", "hard": "v"}))
    macro = step.group_means["level"].macro
    assert (0, None, "no item is scored") == (macro.groups, macro.score, macro.reason)
    assert () == breakdown.by_field(step)


@pytest.mark.parametrize(
    ("groups", "note"),
    [
        ({"easy": "pp-"}, "No table for c: all items have the same level, easy."),
        ({"a": "p", "b": "-", "d": "p"}, "No table for c: every item has another level."),
    ],
)
def test_a_table_that_says_nothing_is_not_printed(
    tmp_path: Path, row: Build, groups: dict[str, str], note: str
) -> None:
    """One value, or as many as items: the numbers stay in results.json."""
    rows = graded(row, groups)
    report = report_of(tmp_path, rows)
    assert note in report
    assert "| category | level |" not in report
    assert "groups above" not in report
    assert set(groups) == set(step_of(rows).categories["c"].groups["level"])


def test_of_many_values_the_ends_are_printed(tmp_path: Path, row: Build) -> None:
    """Sixty-one subjects: the ten lowest, the ten highest, and how many lie between; all are in results.json."""
    groups = {f"s{number:02}": "p" * number + "-" * (61 - number) for number in range(61)}
    rows = graded(row, groups)
    step = step_of(rows)
    (found,) = breakdown.by_field(step)
    (table,) = found.tables
    values = [line.value for line in table.lines]
    assert [*(f"s{n:02}" for n in range(10)), None, *(f"s{n:02}" for n in range(51, 61))] == values
    assert (41, 20) == (table.lines[10].left_out, breakdown.printed([found]))
    assert 61 == len(step.categories["c"].groups["level"])
    assert "| c | … 41 more, all of them in `results.json` … | | | | | |" in report_of(tmp_path, rows)
    few = step_of(graded(row, dict(list(groups.items())[:60])))
    assert 60 == breakdown.printed(breakdown.by_field(few))


def test_several_splits_of_one_task(tmp_path: Path, row: Build) -> None:
    """A table of splits with their scores, lengths and times, and one of how answers ended; pooled over categories."""
    rows = [
        row(id="1", category="train", task="mbpp", split="train", seconds=2.0, completion_tokens=10),
        row(id="2", category="train", task="mbpp", split="train", seconds=4.0, completion_tokens=20),
        row(id="3", category="test", task="mbpp", split="test", outcome="fail", error_class="timeout"),
        row(id="4", category="more", task="mbpp", split="test", finish_reason="length"),
        row(id="5", category="other", task="gsm8k"),
    ]
    results = collect(rows, RUN)
    splits = results.steps["s"].splits
    assert ["mbpp"] == list(splits)
    assert {"train": (2, 1.0), "test": (2, 0.5)} == {k: (m.n, m.score) for k, m in splits["mbpp"].splits.items()}
    assert (0.75, 0.75) == (splits["mbpp"].means.micro.score, splits["mbpp"].means.macro.score)
    assert results == decode(encode(results))
    report = report_of(tmp_path, rows)
    assert "### mbpp by split" in report
    assert "| mbpp | train | 2 | 2 | 0 | 100.0 % | 34.2 to 100.0 % | 0 | 15 | 3.0 s |" in report
    assert "| mbpp | test | 2 | 2 | 0 | 50.0 % | 9.5 to 90.5 % | 1 | 4 | 0.5 s |" in report
    assert "| mbpp | **all splits** (macro mean) | | | | 75.0 % |" in report
    assert "| timeout | the program did not end in time | 0 | 1 (50.0 %) |" in report
    assert "by split" not in report_of(tmp_path / "one", rows[2:])
    grouped = [msgspec.structs.replace(one, groups={"split": one.split}) for one in rows]
    assert ["No table for other: all items have the same split, test."] == [
        note for found in breakdown.by_field(step_of(grouped)) for note in found.notes
    ]


def test_several_answers_to_an_item(row: Build) -> None:
    """The answers are averaged within items before either mean."""
    rows = [
        row(id=item, sample=sample, groups={"level": level}, outcome=outcome)
        for item, level, marks in (("a", "easy", "pp"), ("b", "easy", "p-"), ("d", "hard", "--"), ("e", "hard", "p-"))
        for sample, outcome in enumerate("pass" if mark == "p" else "fail" for mark in marks)
    ]
    means = step_of(rows).group_means["level"]
    assert (4, 0.5, "mean_se") == (means.micro.n, means.micro.score, means.micro.method)
    assert (2, 0.5) == (means.macro.groups, means.macro.score)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the published files of ../shared/data are not here")
def test_published_predictions_by_subject(row: Build) -> None:
    """28 subjects of MMLU: micro 0.4536, macro 0.4492, and each subject's count."""
    expected = json.loads((GOLDEN / "expected.json").read_text("utf-8"))["checkpoint-0"]
    with gzip.open(GOLDEN / "predictions.jsonl.gz", "rt", encoding="utf-8") as stream:
        lines = [json.loads(line) for line in stream]
    rows = [
        row(
            id=f"{line['subject']}/{line['i']}",
            groups={"subject": line["subject"]},
            outcome="pass" if line["prediction"] == line["gold"] else "fail",
        )
        for line in lines
        if line["checkpoint"] == "checkpoint-0"
    ]
    category = step_of(rows).categories["c"]
    means = category.group_means["subject"]
    assert (6786, 28) == (means.micro.n, means.macro.groups)
    assert expected["micro"] == pytest.approx(means.micro.score, abs=1e-12)
    assert expected["macro"] == pytest.approx(means.macro.score, abs=1e-12)
    assert expected["per_subject"] == {
        subject: [measure.metrics.answers.passed, measure.n] for subject, measure in category.groups["subject"].items()
    }
