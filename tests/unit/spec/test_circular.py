"""Groups that are made of results: found in task files that a spec names, and only where they break something down."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.spec.load import load_spec

TASK = """\
evalkit: 1
task: mine
data: [{{file: {data}}}]
id: '{{{{ id }}}}'
prompt: '{{{{ q }}}}'
score: {{number: {{answer: '{{{{ gold }}}}'}}}}
{more}
"""
SPEC = """\
evalkit: 1
model: {{engine: replay, file: {file}, fields: {{id: id, text: text}}}}
suite: [./tasks/mine.yaml]
"""


def warnings(folder: Path, data: str, more: str, recorded: str = "answers.jsonl") -> list[tuple[str, str]]:
    (folder / "tasks").mkdir()
    (folder / "tasks/mine.yaml").write_text(TASK.format(data=data, more=more))
    (folder / "spec.yaml").write_text(SPEC.format(file=recorded))
    loaded = load_spec(folder / "spec.yaml")
    assert loaded.spec is not None, loaded.diagnostics
    return [(Path(found.file).name, found.code) for found in loaded.diagnostics]


@pytest.mark.parametrize(
    ("data", "more", "recorded"),
    [
        ("runs/x/mine.jsonl", "groups: [level]", "answers.jsonl"),
        ("mine.jsonl", "join: {file: old/samples.jsonl, on: id}", "answers.jsonl"),
        ("../mine.jsonl", "strata: difficulty", "answers.jsonl"),
        ("mine.jsonl", "groups: [level]\njoin: {file: ../levels.csv, on: id}", "answers.jsonl"),
        ("mine.jsonl", "groups: [Difficulty]", "tasks/answers.jsonl"),
    ],
)
def test_told_at_the_task(tmp_path: Path, data: str, more: str, recorded: str) -> None:
    """In the task's own file, where the file is named."""
    assert [("mine.yaml", "W011")] == warnings(tmp_path, data, more, recorded)


@pytest.mark.parametrize(
    ("data", "more"),
    [
        ("runs/x/mine.jsonl", ""),
        ("runs.jsonl", "groups: [difficulty]"),
        ("../mine.jsonl", "groups: [topic]"),
        ("mine.jsonl", "join: {file: ../tests.jsonl, on: id}"),
        ("runs/x/mine.jsonl", "groups: [level]  # evalkit: ignore[W012]"),
    ],
)
def test_silent_where_nothing_goes_round(tmp_path: Path, data: str, more: str) -> None:
    """Without groups, in another folder, or about something else; another code silences nothing."""
    expected = [("mine.yaml", "W011")] if "W012" in more else []
    assert expected == warnings(tmp_path, data, more)


def test_it_can_be_silenced(tmp_path: Path) -> None:
    """By a comment on the line of the file."""
    more = "groups: [level]\njoin: {file: ../runs/x/levels.csv, on: id}  # evalkit: ignore[W011]"
    assert [] == warnings(tmp_path, "mine.jsonl", more)
