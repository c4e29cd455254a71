"""Answers that must be JSON of a certain shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Prompt, Sample, Score
from evalkit.scorers.json_schema import JsonSchemaScorer, find_json

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
GOOD = '{"name": "Ada"}'


def sample(**row: Any) -> Sample:
    return Sample("t", "1", "t", "test", {}, Prompt(text="?"), row)


def scored(text: str, schema: object = SCHEMA) -> Score:
    scorer = JsonSchemaScorer({"schema": schema})
    return scorer.score(sample(), Completion("k", text, "stop", None, ""), None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (GOOD, (GOOD, "whole")),
        (f"\n {GOOD}\n", (GOOD, "whole")),
        ("3", ("3", "whole")),
        (f"Here:\n```json\n{GOOD}\n```\nDone.", (GOOD, "fence")),
        (f"```\n[1]\n```\nno, rather\n~~~\n{GOOD}\n~~~", (GOOD, "fence")),
        (f"```json\n{GOOD}\n```\n```python\nprint(1)\n```", (GOOD, "fence")),
        (f"```json\n{GOOD}", (GOOD, "fence")),
        (f"It is {GOOD}, so {{x}}", (GOOD, "bare")),
        (f"{{x}} [y] {GOOD}", (GOOD, "bare")),
        ("NaN", None),
        ('{"a": NaN}', None),
        ("{'name': 'Ada'}", None),
        ("no JSON", None),
        ("", None),
        ("[" * 100_000, None),
        ("{" * 100_000, None),
    ],
)
def test_where_json_is_found(text: str, found: tuple[str, str] | None) -> None:
    """The whole answer, the last fenced block that is JSON, the first object or list of the text."""
    assert found == find_json(text)


def test_the_schema_decides() -> None:
    """What it objects to is the reason; answers without JSON have none."""
    assert Score("pass", 1.0, answer=GOOD, rule="whole") == scored(GOOD)
    reason = "at $.name: 3 is not of type 'string'"
    wrong = Score("fail", 0.0, answer='{"name": 3}', error_class="wrong_answer", rule="whole", reason=reason)
    assert wrong == scored('{"name": 3}')
    assert Score("fail", 0.0, error_class="no_answer", reason="expected JSON") == scored("Ada")


def test_each_row_may_have_its_own_schema() -> None:
    """As an object, or as JSON in a text."""
    scorer = JsonSchemaScorer({"field": "schema"})
    for schema in (SCHEMA, json.dumps(SCHEMA)):
        row = sample(schema=schema)
        scorer.check(row)
        assert "pass" == scorer.score(row, Completion("k", GOOD, "stop", None, ""), None).outcome
    for wrong in ("no JSON", 3, None, {"type": "thing"}, '{"type": 3}'):
        with pytest.raises(DataError, match="'schema' is no JSON Schema"):
            scorer.check(sample(schema=wrong))
    with pytest.raises(DataError, match="no field 'schema'"):
        scorer.check(sample())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "score.json_schema needs one of `schema` and `field`"),
        ({"schema": {}, "field": "x"}, "score.json_schema needs one of"),
        ({"schema": {"type": "thing"}}, "score.json_schema.schema is no JSON Schema: at"),
        ({"schema": [1]}, "score.json_schema.schema is no JSON Schema"),
        ({"schema": {}, "draft": 7}, "score.json_schema has no option 'draft'"),
        ({"field": 3}, "score.json_schema.field is the name of a field"),
    ],
)
def test_wrong_options_are_mistakes_of_the_task_file(options: dict[str, Any], message: str) -> None:
    """They are found when the spec is checked."""
    with pytest.raises(SpecError, match=message):
        JsonSchemaScorer(options)


def test_what_cannot_be_checked_is_void() -> None:
    """A pattern without end, and a reference to elsewhere: never a wrong answer, never a download."""
    slow = scored(json.dumps("a" * 60 + "b"), {"pattern": "^(a+)+$"})
    assert ("void", None) == (slow.outcome, slow.value)
    assert "it did not end within its processor time" in (slow.reason or "")
    far = scored("{}", {"$ref": "https://example.org/schema.json"})
    assert "void" == far.outcome
    assert "Unresolvable" in (far.reason or "")
