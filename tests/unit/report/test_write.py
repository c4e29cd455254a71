"""From a run folder to its three files: the example, hostile text, determinism, memory, trouble."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from markdown_it import MarkdownIt

from evalkit.core.errors import DataError, SpecError
from evalkit.core.runfolder import Lock, ModelLock, RunRecord, TaskLock
from evalkit.core.types import Contribution, Limits, Message, Prompt, SampleRow, SamplingParams, TestResult, Weighed
from evalkit.report.render import environment
from evalkit.report.write import write

Build = Callable[..., SampleRow]
Golden = Callable[[Path, str], None]
ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "tests" / "data" / "run_example"


def make_folder(place: Path, rows: list[SampleRow], *, lock: Lock | None = None, **run: Any) -> Path:
    known = {"id": "r", "name": "a run", "state": "complete", "started": "2026-01-01T00:00:00Z"} | run
    place.mkdir(parents=True, exist_ok=True)
    (place / "run.json").write_bytes(msgspec.json.encode(RunRecord(**known)))  # type: ignore[arg-type]
    (place / "evalkit.lock").write_bytes(msgspec.json.encode(lock or Lock()))
    (place / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return place


def locked(**known: Any) -> TaskLock:
    values = {"step": "s", "category": "c", "task": "t", "split": "test", "origin": "", "sha256": "0", "items": ()}
    return TaskLock(**(values | known))


def report_of(folder: Path) -> str:
    write(folder)
    return (folder / "report.md").read_text(encoding="utf-8")


def test_the_example(tmp_path: Path, golden: Golden) -> None:
    """The whole page of a run, kept under reports/examples for readers."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "run")
    golden(ROOT / "reports" / "examples" / "quickstart.md", report_of(folder))


def test_the_example_is_what_its_script_makes(tmp_path: Path) -> None:
    """Nobody edits the example's rows by hand."""
    runpy.run_path(str(EXAMPLE.parent / "make_run_example.py"))["write"](tmp_path)
    for path in sorted(EXAMPLE.iterdir()):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_same_rows_same_bytes(tmp_path: Path) -> None:
    """Another folder, another time, another machine: the same three files."""
    first = shutil.copytree(EXAMPLE, tmp_path / "first")
    second = shutil.copytree(EXAMPLE, tmp_path / "elsewhere" / "second")
    record = msgspec.json.decode((second / "run.json").read_bytes(), type=RunRecord)
    other = msgspec.structs.replace(
        record, id="other", started="2030-12-31T23:59:59Z", seconds=1.5, environment={"host": "x"}, command=("y",)
    )
    (second / "run.json").write_bytes(msgspec.json.encode(other))
    write(first)
    write(second)
    for name in ("results.json", "report.md", "samples.parquet"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    write(first)
    assert before == {path.name: path.read_bytes() for path in first.iterdir()}


def test_no_absolute_path_in_the_report(tmp_path: Path, row: Build) -> None:
    """Folders of the machine are left out wherever the lock or a reason names one; other slashes stay."""
    place = "/home/someone/models/final"
    lock = Lock(
        tasks=(locked(origin=f"file:{place}/x.jsonl"), locked(category="d", origin="hub org/name@abc")),
        models={"m": ModelLock(engine="e", parts={"adapter": f"{place}/adapter", "also": "C:\\Users\\me\\w.bin"})},
    )  # fmt: skip
    rows = [
        row(outcome="void", reason=f"engine: no such file: '{place}/w.bin'"),
        row(id="j", outcome="fail", reason=f"see {place}/log, 3 / 4 of it, and https://example.org/a/b"),
    ]
    report = report_of(make_folder(tmp_path, rows, lock=lock, state="incomplete", error=f"lost {place}/x"))
    assert "someone" not in report
    assert "Users" not in report
    for kept in ("…/x.jsonl", "…/adapter", "…/w.bin", "hub org/name@abc", "3 / 4 of it", "//example.org/a/b"):
        assert kept in report, kept


HOSTILE = {
    "fences": "```\n# not a heading\n````\n~~~\n`````md\n| a | b |\n",
    "html": "<script>alert(1)</script></details><!-- <img src=x onerror=y>",
    "table": "a | b\n|---|---|\n| c | d |\n\n# heading\n\n- list\n\n> quote",
    "escapes": "\x1b[2J\x1b]0;title\x07\x9b31m\r\x08\x00 \u202egnp.exe \ufeff",
    "long line": "x" * 300_000,
    "many lines": "line\n" * 50_000,
    "links": "[click](javascript:alert(1)) ![i](http://e.org/t.png) <http://e.org> http://e.org www.e.org",
    "jinja": "{{ page.lock }} {% for x in y %} {# c #}",
    "empty": "",
    "spaces": " \n\t\n ",
    "reference": "[x]: http://e.org\n\n    indented code\n\n---\n***",
}


def hostile_rows(row: Build) -> list[SampleRow]:
    """Every text of a row holds every hostile text once."""
    rows = []
    for index, text in enumerate(HOSTILE.values()):
        broken = TestResult(passed=False, label=text[:2000], message=text)
        common = {
            "id": f"{index}{text[:40]}", "category": f"c{index}", "text": text, "outcome": "fail", "answer": text,
            "reason": text, "exception": text[:50], "error_class": text[:30] or "other", "stdout": text, "stderr": text,
            "prompt": Prompt(messages=(Message("system", text), Message("user", text))),
            "groups": {text[:20]: text[:20]},
        }  # fmt: skip
        rows.append(row(**common))
        rows.append(row(**common | {"id": f"t{index}", "tests": (broken,) * 6, "tests_total": 6, "tests_passed": 0}))
        rows.append(row(**common | {"id": f"v{index}", "outcome": "void"}))
        rows.append(row(**common | {"id": f"p{index}", "prompt": Prompt(text=text), "stderr": None}))
    return rows


def structure(page: str) -> list[str]:
    """Headings of a page, and a check that nothing else than we wrote became markup."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(page)
    inline = [child for token in tokens if token.type == "inline" for child in token.children or []]
    kinds = {token.type for token in tokens} | {child.type for child in inline}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "code_block", "hr", "s_open"}, kinds
    return [
        tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"
    ]  # fmt: skip


def test_hostile_text_cannot_break_the_page(tmp_path: Path, row: Build) -> None:
    """Whatever a model, a program or a spec wrote: headings are ours, tables are whole, nothing is active."""
    rows = hostile_rows(row)
    lock = Lock(
        tasks=(locked(category="|", task="<b>", split="`", origin="http://e.org|x", sha256="|", items=("|",)),),
        models={"<i>|": ModelLock(engine="`|`", parts={"|": "\n# x"})}, sandbox="|<b>", packages={"|": "<b>"},
    )  # fmt: skip
    written = {"name": "# <b>name</b> | `x`", "about": "- <b>\n\n# not a heading", "error": "<b>|`", "state": "failed"}
    folder = make_folder(tmp_path, rows, lock=lock, **written)
    report = report_of(folder)
    headings = structure(report)
    ours = [
        "Scores",
        "How answers ended",
        "Void",
        "Failed samples",
        "Cost and time",
        "What this run does not say",
        "Set-up",
    ]
    assert [heading for heading in headings[1:] if not heading.startswith("By")] == ours
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", report)
    assert len(report) < 400_000
    for block in re.findall(r"(?:^\|.*\|$\n?)+", re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", report), flags=re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(widths) == 1, block


def test_half_characters_are_shown(row: Build) -> None:
    """A lone surrogate, which no file can hold, is still printable."""
    template = environment().from_string("{{ text | cell }} {{ text | fence }} {{ text | code }}")
    assert template.render(text="a\ud800b").encode().count(b"a\\\\ud800b") + 2 == 3


def test_templates_fail_loudly_and_run_no_code() -> None:
    """A name that does not exist is an error; Python's insides are out of reach."""
    from jinja2.exceptions import SecurityError, UndefinedError

    with pytest.raises(UndefinedError):
        environment().from_string("{{ page.missing }}").render(page={})
    with pytest.raises(SecurityError):
        environment().from_string("{{ page.__class__.__mro__ }}").render(page="")


def test_several_answers_to_an_item(tmp_path: Path, row: Build) -> None:
    """The page says that items were answered several times and how that was counted."""
    rows = [row(id=str(i), sample=k, outcome="pass" if (i + k) % 3 else "fail") for i in range(10) for k in range(4)]
    report = report_of(make_folder(tmp_path, rows))
    assert "Each item was answered up to 4 times" in report
    assert "**m** scored 65.0 % (95 % interval 55.8 to 74.2 %) on average over 10 items." in report


def test_an_item_in_two_categories_was_not_answered_several_times(tmp_path: Path, row: Build) -> None:
    """There are more answers than items, and each was asked once wherever it stands."""
    report = report_of(make_folder(tmp_path, [row(), row(category="d", outcome="fail"), row(id="i1")]))
    assert "Each item was answered" not in report
    assert "**m** scored 75.0 %" in report


def test_several_steps(tmp_path: Path, row: Build) -> None:
    """Each step has its finding and its section."""
    report = report_of(make_folder(tmp_path, [row(step="one"), row(step="two", model="n", outcome="fail")]))
    assert "Step one: **m** solved 1 of 1 items" in report
    assert "Step two: **n** solved 0 of 1 items" in report
    assert [name for name in structure(report) if name.startswith("Scores")] == [
        "Scores of step one",
        "Scores of step two",
    ]


def test_costs_where_a_price_is_known(tmp_path: Path, row: Build) -> None:
    """Dollars per solved item from raw values: $0.11 over 14 of 18."""
    rows = [
        row(id=str(i), usd=0.11 / 18, outcome="pass" if i < 14 else "fail", error_class="timeout") for i in range(18)
    ]
    report = report_of(make_folder(tmp_path, rows))
    assert "A solved item cost $0.0079." in report
    assert "| USD |" in report
    assert "unknown" not in report


def test_time_limits(tmp_path: Path, row: Build) -> None:
    """A table of the categories that have programs and of all, the limits that held, and data worth a look."""
    known = {"limits": Limits(wall_s=10.0, cpu_s=2.0), "sandbox_s": 1.0}
    rows = [
        row(id="a", **known, cpu_s=0.2),
        row(id="b", **known, cpu_s=2.0, outcome="fail", error_class="timeout", reference="passed"),
        row(id="c", category="d", cpu_s=1.0, sandbox_s=1.1, limits=Limits(), reference="wrong_answer"),
        row(id="e", category="text"),
    ]
    report = report_of(make_folder(tmp_path, rows))
    section = report[report.index("### Time limits") : report.index("### Failed samples")]
    assert section == (
        "### Time limits\n\n"
        "1 of 3 programs (33.3 %) used 80 % or more of a time limit and timed out. The limits, not only the programs, "
        "may have decided this one.\n\n"
        "| category | programs | processor limit | wall clock limit | near a limit | of these timed out | "
        "of these passed |\n"
        "| :-- | --: | :-: | :-: | --: | --: | --: |\n"
        "| c | 2 | 2 s | 10 s | 1 (50.0 %) | 1 | 0 |\n"
        "| d | 1 | 5 s | 10 s | 0 | 0 | 0 |\n"
        "| **all** | 3 | 2 to 5 s | 10 s | 1 (33.3 %) | 1 | 0 |\n\n"
        "Data worth a look: the reference program of 1 item does not pass its own tests. It limits nothing there, the "
        "declared limits hold: c (wrong_answer).\n\n"
    )
    calm = report_of(make_folder(tmp_path / "calm", rows[:1]))
    assert "### Time limits\n\nNo program came near a time limit: all used less than 80 % of each.\n\n###" in calm
    assert "Time limits" not in report_of(make_folder(tmp_path / "text", rows[3:]))


def test_rows_of_before(tmp_path: Path, row: Build) -> None:
    """Runs whose rows have no limits yet can still be reported, and nothing is said of what is not known."""
    folder = make_folder(tmp_path, [row(sandbox_s=9.9), row(id="j")])
    lines = [msgspec.json.decode(line) for line in (folder / "samples.jsonl").read_bytes().splitlines()]
    for line in lines:
        for name in ("cpu_s", "peak_mb", "limits", "reference"):
            del line[name]
    (folder / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    assert "Time limits" not in report_of(folder)


def test_criteria_of_a_rubric(tmp_path: Path, row: Build) -> None:
    """What each gave, of how much, and how many answers got all of it."""
    rows = [
        row(id="a", outcome="score", score=1.0, criteria={"short": Contribution(30.0, 30.0)}),
        row(id="b", outcome="score", score=0.25, criteria={"short": Contribution(7.5, 30.0, "41 lines")}),
    ]
    report = report_of(make_folder(tmp_path, rows))
    assert "### By criterion" in report
    assert "| c | short | 2 | 37.5 of 60 | 62.5 % | 1 (50.0 %) |" in report
    assert "### By criterion" not in report_of(make_folder(tmp_path / "other", [row()]))


def test_stamps_come_first(tmp_path: Path, row: Build) -> None:
    """A limited, broken run says so before its first number."""
    rows = [row(), row(id="j", outcome="void", reason="sandbox: Docker went away")]
    report = report_of(make_folder(tmp_path, rows, limit=2, state="incomplete", error="too many void"))
    head = report.split("**m** solved")[0]
    assert head.count("> **INCOMPLETE") == 1
    assert head.count("> **PARTIAL: a partial run, limited to 2 items per task.") == 1


def test_a_run_without_rows(tmp_path: Path) -> None:
    """Nothing measured is a page that says it, not a crash."""
    report = report_of(make_folder(tmp_path, []))
    assert "INCOMPLETE: nothing was measured" in report
    structure(report)


def test_sampling_as_read_back(tmp_path: Path, row: Build) -> None:
    """What the engine reported stands in the set-up, one line for each way of asking."""
    hot = SamplingParams(temperature=0.8, top_p=0.95, top_k=20, seed=7, max_tokens=99, stop=("a", "b"))
    report = report_of(
        make_folder(tmp_path, [row(), row(id="j", effective=hot, policy="hot"), row(id="k", effective=None)])
    )
    assert "| c | greedy | greedy, max_tokens 64 | 1 |" in report
    assert "| c | hot | temperature 0.8, top_p 0.95, top_k 20, seed 7, max_tokens 99, 2 stop strings | 1 |" in report
    assert "| c | greedy | not known (recorded answers) | 1 |" in report


def test_not_a_run_folder(tmp_path: Path, row: Build) -> None:
    """Each missing or broken file is named with what to do, and no half-made file is left."""
    with pytest.raises(DataError, match=r"run\.json") as missing:
        write(tmp_path)
    assert "evalkit ls" in missing.value.hint
    folder = make_folder(tmp_path / "run", [row()])
    (folder / "samples.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(DataError, match=r"samples\.jsonl:1"):
        write(folder)
    (folder / "evalkit.lock").write_text("[]")
    with pytest.raises(DataError, match=r"evalkit\.lock"):
        write(folder)
    (folder / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"run\.json"):
        write(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["evalkit.lock", "run.json", "samples.jsonl"]


@pytest.mark.parametrize("name", ["run.json", "evalkit.lock", "samples.jsonl"])
def test_a_folder_in_the_place_of_a_file(tmp_path: Path, row: Build, name: str) -> None:
    """What cannot be read is named, with what to do."""
    folder = make_folder(tmp_path, [row()])
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(DataError, match=f"{name}: cannot be read: Is a directory") as caught:
        write(folder)
    assert "a file that you may read" in caught.value.hint


def test_a_lock_in_yaml(tmp_path: Path, row: Build) -> None:
    """A lock may be written as YAML too."""
    folder = make_folder(tmp_path, [row()])
    (folder / "evalkit.lock").write_text("spec: abc\npackages:\n  torch: 2.13.0\n")
    assert "| torch | 2.13.0 |" in report_of(folder)


def test_unknown_template(tmp_path: Path, row: Build) -> None:
    """The templates that exist are named."""
    with pytest.raises(SpecError, match="nosuch") as error:
        write(make_folder(tmp_path, [row()], template="nosuch"))
    assert error.value.hint == "templates: best_of_n, run, session"


def test_the_page_says_what_stands_before_each_item(tmp_path: Path) -> None:
    """A score with examples is another number than one without."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "run")
    assert "solved example" not in report_of(folder)
    lock = json.loads((folder / "evalkit.lock").read_text())
    lock["tasks"][0] |= {
        "shots": ["a", "b", "c"],
        "shots_each": 2,
        "shots_origin": "/x/train.jsonl",
        "shots_sha256": "ab" * 32,
    }
    (folder / "evalkit.lock").write_text(json.dumps(lock))
    assert "2 solved examples before each item, from …/train.jsonl (abababababab)." in report_of(folder)


def test_answers_side_by_side(tmp_path: Path, row: Build) -> None:
    """A line for each k and one for each answer; a category that was answered less often has a dash."""
    rows = [row(id=item, sample=index, outcome="pass" if index else "fail") for item in "ab" for index in range(2)]
    rows += [row(id="c", category="d", prompt_tokens=None)]
    report = report_of(make_folder(tmp_path, rows))
    assert "| c | 50.0 % | 9.5 to 90.5 % | 100.0 % | 34.2 to 100.0 % |" in report
    assert "| d | 100.0 % | 20.7 to 100.0 % | – | – |" in report
    assert "| 1 | 0 of 2 | 1 of 1 | 1 of 3 |\n| 2 | 2 of 2 | – | 2 of 2 |\n" in report
    assert "| items | 3 | | 2 | |\n\npass@k is" in report
    assert "An answer took 4.0 tokens and 0.5 s on average." in report


def test_the_average_answer_leaves_out_what_was_weighed(tmp_path: Path, row: Build) -> None:
    """Weighed answers take no tokens to write."""
    known = (Weighed(" A", -1.0, 1, True), Weighed(" B", -2.0, 1, False))
    weighed = dict(likelihoods=known, text="", finish_reason="weighed", completion_tokens=None, effective=None)
    report = report_of(make_folder(tmp_path, [row(id="a"), row(category="w", id="w", **weighed)]))
    assert "An answer took 4.0 tokens and 0.5 s on average." in report


def test_the_report_tells_weighed_answers_apart(tmp_path: Path, row: Build) -> None:
    """No rate, no cut-off count, and what such numbers do not say."""
    known = (Weighed(" A", -1.0, 1, True), Weighed(" B", -2.0, 1, False))
    one = row(
        likelihoods=known, text="", finish_reason="weighed", completion_tokens=None, effective=None, outcome="fail"
    )
    text = report_of(make_folder(tmp_path, [one]))
    assert "| c | 1 | \u2013 | 0.5 s | 10 | \u2013 | \u2013 |" in text
    assert "none: continuations were weighed" in text
    assert "What the model would write where options were weighed" in text
    assert "they are recordings" not in text
    assert '   -1.0000  " A"  (1 token, greedy)' in text
    assert "with an empty text" not in text
