"""docs/tasks.md: every key is there, and every example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evalkit.spec.diagnostics import render
from evalkit.spec.load import load_task_file
from evalkit.spec.schemas import schema_document

PAGE = (Path(__file__).parents[3] / "docs/tasks.md").read_text("utf-8")
EXAMPLES = [
    block for block in re.findall(r"```yaml\n(.*?)\n```\n", PAGE, re.DOTALL) if block.startswith("evalkit: 1\n")
]


def test_every_key_is_explained() -> None:
    """Those of a task and those of its examples, in a table."""
    schema = schema_document("task")["$defs"]["task"]["properties"]
    keys = {*schema, *schema["shots"]["properties"]} - {"score"}
    explained = {key for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert keys <= explained


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_is_a_task(number: int, tmp_path: Path) -> None:
    """Without error or warning."""
    (tmp_path / "task.yaml").write_text(EXAMPLES[number] + "\n", "utf-8")
    loaded = load_task_file(tmp_path / "task.yaml")
    assert render(loaded.diagnostics, loaded.sources) == ""
    assert len(EXAMPLES) == 4
