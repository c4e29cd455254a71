"""Tables for other programs, read back with other programs."""

from __future__ import annotations

import csv
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import openpyxl
import pytest
from pyarrow import parquet

from evalkit.core import runfolder
from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.types import Choice, Message, Prompt, SampleRow, TestResult
from evalkit.report.export import export
from evalkit.report.write import write
from evalkit.report.xlsx import text_for_cell

Build = Callable[..., SampleRow]
_PASSED = TestResult(True, "assert f(1) == 1")
_FAILED = TestResult(False, "assert f(2) == 4", "got 3, expected 4")


def asking(text: str) -> Prompt:
    return Prompt(messages=(Message("user", text),))


@pytest.fixture
def folder(tmp_path: Path, row: Build) -> Path:
    """A run in which two items were answered twice each, and one once and void."""
    example = Path(__file__).parents[2] / "data/run_example"
    for name in (runfolder.RUN, runfolder.LOCK):
        (tmp_path / name).write_bytes((example / name).read_bytes())
    rows = [
        row(
            id="a",
            sample=0,
            prompt=asking("=1+1"),
            tests=(_PASSED, _FAILED),
            outcome="fail",
            error_class="wrong_answer",
        ),
        row(id="a", sample=1, prompt=asking("=1+1"), tests=(_PASSED,), outcome="pass"),
        row(id="b", sample=0, prompt=asking("b\x00\x1b[31m"), outcome="fail", error_class="no_code"),
        row(id="b", sample=1, prompt=asking("x" * 40_000), outcome="fail", error_class="no_code"),
        row(id="-c", sample=0, outcome="void", score=None, reason="engine: away"),
    ]
    (tmp_path / runfolder.SAMPLES).write_bytes(b"\n".join(msgspec.json.encode(one) for one in rows))
    write(tmp_path)
    return tmp_path


def test_candidates_are_traced(tmp_path: Path, row: Build) -> None:
    """Each answer with its completion, its text's digest, and what the selector made of it; the oracle by its name."""
    (tmp_path / runfolder.RUN).write_bytes(b'{"id": "r", "state": "complete"}')
    (tmp_path / runfolder.LOCK).write_bytes(b"{}")
    rows = [
        row(sample=0, selected=False, completion="a" * 64, text_sha256="1" * 64, choice=Choice("tests", 0.5, 2, 1)),
        row(sample=1, completion="b" * 64, text_sha256="2" * 64, choice=Choice("tests", 1.0, 1, 1)),
        row(id="plain", completion="c" * 64),
    ]
    (tmp_path / runfolder.SAMPLES).write_bytes(b"\n".join(msgspec.json.encode(one) for one in rows))
    write(tmp_path)
    names = ("completion", "text_sha256", "selected", "selector", "value", "rank")
    assert [
        ("a" * 64, "1" * 64, False, "oracle", 0.5, 2),
        ("b" * 64, "2" * 64, True, "oracle", 1.0, 1),
        ("c" * 64, None, True, None, None, None),
    ] == [tuple(one[name] for name in names) for one in rows_of(tmp_path, "answers")]


def rows_of(folder: Path, name: str) -> list[dict[str, object]]:
    export(folder, "jsonl")
    return [json.loads(line) for line in (folder / "export-jsonl" / f"{name}.jsonl").read_text().splitlines()]


def test_one_row_a_test(folder: Path) -> None:
    """The columns of hand-made sheets come first; an answer without tests has one row."""
    rows = rows_of(folder, "evaluation_results")
    assert ["id", "problem_statement", "test_case_statement", "test_output", "reason"] == list(rows[0])[:5]
    assert [
        ("a", "assert f(1) == 1", "PASS", None, 0),
        ("a", "assert f(2) == 4", "FAIL", "got 3, expected 4", 0),
        ("a", "assert f(1) == 1", "PASS", None, 1),
        ("b", None, "FAIL", "no_code", 0),
        ("b", None, "FAIL", "no_code", 1),
        ("-c", None, "VOID", "engine: away", 0),
    ] == [(one["id"], one["test_case_statement"], one["test_output"], one["reason"], one["sample"]) for one in rows]


def test_runs_side_by_side(folder: Path) -> None:
    """The long table, items against runs, and pass@k of each item; a void answer is neither passed nor failed."""
    assert [("a", False), ("a", True), ("b", False), ("b", False), ("-c", None)] == [
        (one["id"], one["pass"]) for one in rows_of(folder, "answers")
    ]
    assert [("a", False, True), ("b", False, False), ("-c", None, None)] == [
        (one["id"], one["run_01_pass"], one["run_02_pass"]) for one in rows_of(folder, "pivot")
    ]
    assert [("a", 2, 1, 0.5, 1.0), ("b", 2, 0, 0.0, 0.0), ("-c", 0, 0, None, None)] == [
        (one["id"], one["n"], one["c"], one["pass@1"], one["pass@2"]) for one in rows_of(folder, "pass_at_k")
    ]
    means = [one for one in rows_of(folder, "pass_at_k_means") if one["category"] == "all"]
    assert [(1, 2, 0.25), (2, 2, 0.5)] == [(one["k"], one["n"], one["score"]) for one in means]


def test_a_workbook_holds_no_formula(folder: Path) -> None:
    """Texts that look like formulas stay texts, control characters are replaced, a long text is cut with a mark."""
    [path] = export(folder, "xlsx")
    book = openpyxl.load_workbook(path)
    names = ["Evaluation_Results", "Answers", "Pivot", "Pass_at_k", "Scores", "Pass_at_k_means", "Classes", "Run"]
    assert names == book.sheetnames
    sheet = book["Evaluation_Results"]
    header = sheet["A1"]
    assert ("id", True, "FFCCCCCC") == (header.value, header.font.b, header.fill.fgColor.rgb)
    assert ["FF90EE90", "FFFFB6C1"] == [sheet[place].fill.fgColor.rgb for place in ("D2", "D3")]
    assert ("=1+1", "s") == (sheet["B2"].value, sheet["B2"].data_type)
    assert "b\ufffd\ufffd[31m" == sheet["B5"].value
    assert 32_767 == len(sheet["B6"].value)
    assert sheet["B6"].value.endswith(" … [cut]")
    assert {"s", "n", "b"} >= {cell.data_type for one in book for line in one.iter_rows() for cell in line}
    with zipfile.ZipFile(path) as packed:
        assert not [name for name in packed.namelist() if b"<f>" in packed.read(name)]


def test_a_text_that_looks_like_an_escape_is_kept() -> None:
    """Excel reads _x0041_ as A."""
    assert "_x005F_x0041_ _y" == text_for_cell("_x0041_ _y")


def test_csv_is_harmless_in_a_spreadsheet(folder: Path) -> None:
    """An apostrophe stands before what would run."""
    export(folder, "csv")
    with (folder / "export-csv/evaluation_results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert ("'=1+1", "'-c") == (rows[0]["problem_statement"], rows[-1]["id"])


def test_parquet_has_types(folder: Path) -> None:
    """Counts are numbers, verdicts are booleans."""
    export(folder, "parquet")
    table = parquet.read_table(folder / "export-parquet/answers.parquet")
    assert [False, True, False, False, None] == table["pass"].to_pylist()
    assert [0, 1, 0, 1, 0] == table["sample"].to_pylist()


def test_the_set_up_is_complete(folder: Path) -> None:
    """Seed, sampling and versions, which hand-made sheets lack."""
    names = {str(one["name"]) for one in rows_of(folder, "run")}
    assert {"tasks.0.sampling.seed", "tasks.0.sampling.top_p", "packages.evalkit-spec", "command"} <= names


def test_where_it_goes(folder: Path, tmp_path: Path) -> None:
    """Into the run folder, or where the user says; nothing half-written is left."""
    target = tmp_path / "elsewhere" / "table.xlsx"
    assert [target] == export(folder, "xlsx", target)
    assert [target] == list(target.parent.iterdir())


def test_a_form_that_is_not_known(folder: Path) -> None:
    """The error names those that are."""
    with pytest.raises(SpecError, match="no exporter is called 'xls'"):
        export(folder, "xls")


def test_a_missing_package_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the line that installs it."""
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(PrerequisiteError, match="XlsxWriter") as caught:
        export(folder, "xlsx")
    assert "evalkit-spec[xlsx]" in (caught.value.hint or "")


def test_a_place_that_cannot_be_written(folder: Path) -> None:
    """No bare exception."""
    (folder / "file").write_text("")
    for form in ("xlsx", "csv"):
        with pytest.raises(PrerequisiteError, match="cannot be written"):
            export(folder, form, folder / "file" / "below")


def test_answers_that_nothing_scores_are_exported(folder: Path, row: Build) -> None:
    """They are what they are: not scored. A cell that says `header` is a cell."""
    rows = [row(id="header", outcome="unscored", score=None), row(id="v", outcome="void", score=None)]
    (folder / runfolder.SAMPLES).write_bytes(b"\n".join(msgspec.json.encode(one) for one in rows))
    write(folder)
    assert ["UNSCORED", "VOID"] == [one["test_output"] for one in rows_of(folder, "evaluation_results")]
    whole = next(one for one in rows_of(folder, "scores") if one["level"] == "all")
    assert (2, 0, 1, 1) == tuple(whole[name] for name in ("n", "scored", "void", "unscored"))
    (path,) = export(folder, "xlsx")
    assert not openpyxl.load_workbook(path)["Evaluation_Results"]["A2"].font.bold
