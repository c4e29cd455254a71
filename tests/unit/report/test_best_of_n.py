"""The template `best_of_n`: the example, its words, and runs that have not what it compares."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import pytest

from evalkit.core.runfolder import Lock, RunRecord, TaskLock
from evalkit.core.types import Choice, SampleRow
from evalkit.report import figures
from evalkit.report.arms import Arms, build
from evalkit.report.collect import collect
from evalkit.report.write import write

Build = Callable[..., SampleRow]
Golden = Callable[[Path, str], None]
ROOT = Path(__file__).resolve().parents[3]
RUN = RunRecord(id="r", state="complete", template="best_of_n")
CHOICE = Choice("majority", 1.0, 1, 1)


def folder_of(place: Path, rows: list[SampleRow]) -> str:
    """The report over these rows."""
    (place / "run.json").write_bytes(msgspec.json.encode(RUN))
    (place / "evalkit.lock").write_bytes(msgspec.json.encode(Lock()))
    (place / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    write(place)
    return (place / "report.md").read_text("utf-8")


def test_the_example(tmp_path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole page, kept under reports/examples for readers; without figures, which need a package."""
    monkeypatch.setattr(figures, "draw_all", lambda folder, diagnoses: {})
    runpy.run_path(str(ROOT / "tests/data/make_best_of_example.py"))["write"](tmp_path)
    write(tmp_path)
    golden(ROOT / "reports/examples/best_of_n.md", (tmp_path / "report.md").read_text("utf-8"))
    schema = json.loads((ROOT / "evalkit/report/schema/results.schema.json").read_text("utf-8"))
    jsonschema.validate(json.loads((tmp_path / "results.json").read_text("utf-8")), schema)


def test_without_candidates(tmp_path: Path, row: Build) -> None:
    """A run without Best-of-N says what is missing, and has its scores all the same."""
    report = folder_of(tmp_path, [row(id="a"), row(id="b", outcome="fail")])
    assert "Missing: No step picks one of several candidates" in report
    assert "50.0 % (1 of 2)" in report


def test_without_a_plain_arm(tmp_path: Path, row: Build) -> None:
    rows = [row(id="a", sample=n, selected=n == 0, choice=CHOICE) for n in range(2)]
    report = folder_of(tmp_path, rows)
    assert "Missing: No step gives one answer to each item without picking it" in report
    assert "**Status**: not a comparison" in report


def arms(row: Build, gains: int, losses: int, both: int = 4, by: str = "majority") -> str:
    """The sentence on a plain arm and one that picks, which differ in so many items."""
    rows = []
    for step, marks in (("one", "-" * gains + "+" * losses), ("three", "+" * gains + "-" * losses)):
        for place, mark in enumerate(marks + "+" * both):
            choice = Choice(by, 1.0, 1, 1) if step == "three" else None
            rows.append(row(step=step, id=str(place), outcome="pass" if mark == "+" else "fail", choice=choice))
    found = Arms()
    for one in rows:
        found.add(one)
    page = build(found, collect(rows, RUN))
    [pair] = page.pairs
    assert (gains, losses, both, 0) == (
        pair.only_second.total, pair.only_first.total, pair.both.total, pair.neither.total
    )  # fmt: skip
    return pair.sentence


def test_improved_needs_six_flips_one_way(row: Build) -> None:
    """Five flips one way are p = 0.062: nothing is said to have improved. Six are p = 0.031."""
    assert arms(row, 5, 0).startswith("No difference shown: three against one, 55.6 points")
    assert "exact McNemar p = 0.062" in arms(row, 5, 0)
    assert arms(row, 6, 0).startswith("Best-of-N improved the rate of passes: three against one, 60.0 points")
    assert arms(row, 0, 6).startswith("Best-of-N lowered the rate of passes: three against one, -60.0 points")


def test_an_oracle_is_no_gain(row: Build) -> None:
    """However many items it adds: it knows the verdicts."""
    assert arms(row, 9, 0, by="tests").startswith("A ceiling that no policy reaches, for the oracle knows the verdicts")


def test_nothing_that_differs_is_no_difference(row: Build) -> None:
    assert "0.0 points" in arms(row, 0, 0)


def test_several_answers_that_count_are_no_plain_arm(row: Build) -> None:
    """An item with several counting answers has no single verdict to be paired."""
    rows = [row(step="one", sample=n) for n in range(2)] + [row(step="three", choice=CHOICE)]
    found = Arms()
    for one in rows:
        found.add(one)
    assert (None, ()) == (build(found, collect(rows, RUN)).plain, build(found, collect(rows, RUN)).pairs)


def test_two_categories_in_a_plain_report(tmp_path: Path, row: Build) -> None:
    """A column for each category that picks, none for one that does not; a pass has a price for each."""
    rows = [row(step="one", category=name, task=name, id=f"{name}0") for name in ("math", "code", "talk")]
    for name, marks in (("math", "+-"), ("code", "--")):
        rows += [
            row(step="three", category=name, task=name, id=f"{name}0", sample=n, selected=n == 0, choice=CHOICE,
                outcome="pass" if mark == "+" else "fail")
            for n, mark in enumerate(marks)
        ]  # fmt: skip
    rows.append(row(step="three", category="talk", task="talk", id="talk0"))
    folder_of(tmp_path, rows)
    (tmp_path / "run.json").write_bytes(msgspec.json.encode(RunRecord(id="r", state="complete")))
    write(tmp_path)
    report = (tmp_path / "report.md").read_text("utf-8")
    assert "| pick | math | code | all | 95 % interval |" in report
    assert "| **as selected** | 100.0 % | 0.0 % | 50.0 % |" in report
    assert "| oracle: a pass wherever there is one | 100.0 % | 0.0 % | 50.0 % |" in report
    assert "| three | math | 2 | 20 | 8 | 1.0 s | – | 1 | 8 | 1.0 s |" in report
    assert "| three | code | 2 | 20 | 8 | 1.0 s | – | 0 | – | – |" in report
    assert "Cost in USD: unknown" in report


def test_an_extra_pass_in_words(tmp_path: Path, row: Build) -> None:
    """Known amounts only; where nothing is known, that; where there are no more passes, no price."""
    tasks = tuple(
        TaskLock(step=step, category="c", task="t", split="test", origin="", sha256="0", items=("a", "b"), model="m")
        for step in ("one", "three")
    )
    (tmp_path / "evalkit.lock").write_bytes(msgspec.json.encode(Lock(tasks=tasks)))
    (tmp_path / "run.json").write_bytes(msgspec.json.encode(RUN))
    plain = [row(step="one", id=item, outcome=outcome, usd=0.25) for item, outcome in (("a", "pass"), ("b", "fail"))]

    def told(**known: object) -> str:
        picked = [row(step="three", id=item, choice=CHOICE, **known) for item in "ab"]
        rows = [*plain, *picked]
        (tmp_path / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in rows))
        write(tmp_path)
        report = (tmp_path / "report.md").read_text("utf-8")
        return next(line for line in report.splitlines() if "extra pass" in line or "Each item that" in line)

    lead = "- Each item that three passes beyond one (1 more of 2) costs"
    assert told(usd=2.0, completion_tokens=50, seconds=2.0).startswith(
        f"{lead} 92 more answer tokens, 3.0 s more model time, $3.50. Whether"
    )
    assert told(usd=2.0, completion_tokens=None, seconds=None).startswith(f"{lead} $3.50. Whether")
    assert told(completion_tokens=None, seconds=None).startswith(f"{lead} an amount that is not known. Whether")
    assert told(outcome="fail").startswith("- three passes no more items than one over the same 2")


def test_long_lists_are_cut_with_a_count(row: Build) -> None:
    rows = [
        row(step=step, id=str(n), choice=choice)
        for step, choice in (("one", None), ("three", CHOICE))
        for n in range(70)
    ]
    found = Arms()
    for one in rows:
        found.add(one)
    page = build(found, collect(rows, RUN))
    assert (60, 10) == (len(page.pairs[0].both.shown), page.pairs[0].both.more)
    assert (40, 70) == (len(page.candidates[0].lines), page.candidates[0].total)


def test_an_item_of_two_categories_is_one_item(row: Build) -> None:
    """Both steps ask item a twice: the plain arm is still one, and the pair counts it once."""
    rows = [row(step="one", category=category, id="a") for category in ("all", "hard")]
    rows += [
        row(step="three", category=category, id="a", sample=n, selected=n == 0, choice=CHOICE)
        for category in ("all", "hard")
        for n in range(2)
    ]
    found = Arms()
    for one in rows:
        found.add(one)
    page = build(found, collect(rows, RUN))
    [pair] = page.pairs
    assert (page.plain, pair.n) == ("one", 1)


def test_ratios_of_two_suites_are_none(row: Build) -> None:
    """The plain arm asks an item more: its tokens are not those of the pairs."""
    rows = [row(step="one", id=name) for name in "ab"]
    rows += [row(step="three", id="a", sample=n, selected=n == 0, choice=CHOICE) for n in range(2)]
    found = Arms()
    for one in rows:
        found.add(one)
    [pair] = build(found, collect(rows, RUN)).pairs
    assert (pair.n, pair.tokens, pair.seconds) == (1, None, None)
