"""docs/tasks.md: every key is there, and every example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evalkit.core.errors import SpecError
from evalkit.scorers.choice import ChoiceScorer
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
    assert len(EXAMPLES) == 5


SCORES = re.findall(r"^(score: \{choice: .*?\}\}) *#", PAGE, re.MULTILINE)


@pytest.mark.parametrize("number", range(len(SCORES)))
def test_every_example_of_multiple_choice_is_one(number: int, tmp_path: Path) -> None:
    """Without error or warning."""
    task = "evalkit: 1\ntask: t\ndata: [{file: t.jsonl}]\nid: '{{ id }}'\nprompt: '{{ q }}'\n"
    (tmp_path / "task.yaml").write_text(f"{task}{SCORES[number]}\n", "utf-8")
    loaded = load_task_file(tmp_path / "task.yaml")
    assert render(loaded.diagnostics, loaded.sources) == ""
    assert len(SCORES) == 7


def test_every_scorer_and_place_is_explained() -> None:
    """Scorers and the keys of a data source, and of the options of `choice` each one, where they belong."""
    definitions = schema_document("task")["$defs"]
    scorers = definitions["task"]["properties"]["score"]["propertyNames"]["enum"]
    table = PAGE.partition("| scorer | judges |")[2].partition("\n\n")[0]
    assert set(scorers) == set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in table.splitlines() if row)))
    places = PAGE.partition("A place is one of")[2].partition("## The prompt")[0]
    assert {name for name in definitions["task_source"]["properties"] if name not in places} == set()
    with pytest.raises(SpecError) as caught:
        ChoiceScorer({"none": "x"})
    options = caught.value.hint.removeprefix("known: ").split(", ")
    explained = {*re.findall(r"`(\w+)`", PAGE.partition("### Multiple choice")[2])}
    assert {*options, "acc", "acc_norm", "mc1", "mc2", "loglikelihood", "letter", "label"} <= explained
