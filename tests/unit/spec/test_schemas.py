"""The schemas: safe for editors of draft 7, described throughout, and completed with the plug-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema.validators import Draft7Validator, Draft202012Validator

from evalkit.core import registry
from evalkit.core.types import Json
from evalkit.spec import source
from evalkit.spec.schemas import Kind, compiled, schema_document

SPECS = Path(__file__).parents[2] / "specs"
KINDS: tuple[Kind, ...] = ("spec", "task", "rubric")
_FORBIDDEN = {"oneOf", "anyOf", "not", "unevaluatedProperties", "unevaluatedItems", "dependentRequired", "prefixItems"}


def _subschemas(node: Json, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for key, child in node.items():
            if key not in ("examples", "default", "enum", "const"):
                yield from _subschemas(child, f"{path}/{key}")
    if isinstance(node, list):
        for index, child in enumerate(node):
            yield from _subschemas(child, f"{path}/{index}")


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_draft_7_also_means(kind: Kind) -> None:
    """No keyword that an older editor ignores or reads differently, and nothing beside a $ref."""
    schema = schema_document(kind)
    Draft202012Validator.check_schema(schema)
    Draft7Validator.check_schema(schema)
    for path, node in _subschemas(schema):
        is_names = path.endswith(("/properties", "/$defs"))
        assert is_names or not _FORBIDDEN & set(node), path
        assert is_names or "$ref" not in node or set(node) == {"$ref"}, path


@pytest.mark.parametrize("kind", KINDS)
def test_maps_are_closed(kind: Kind) -> None:
    """A map that lists its keys takes no others; only `meta` and the engine's `options` are free."""
    for path, node in _subschemas(schema_document(kind)):
        if "properties" in node and "type" in node and not path.endswith(("/properties", "/if")):
            assert node.get("additionalProperties") is False, path


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_is_described(kind: Kind) -> None:
    """Descriptions are the hover text of editors and the reference."""
    schema = schema_document(kind)
    for path, node in _subschemas(schema):
        if path.endswith("/properties") and "/if/" not in path:
            for key, child in node.items():
                target = schema["$defs"][child["$ref"].rpartition("/")[2]] if "$ref" in child else child
                assert target.get("description"), f"{path}/{key}"


def test_every_reference_leads_somewhere() -> None:
    """The merged documents are self-contained."""
    for kind in KINDS:
        schema = schema_document(kind)
        for path, node in _subschemas(schema):
            if "$ref" in node:
                assert node["$ref"].rpartition("/")[0] == "#/$defs", path
                assert node["$ref"].rpartition("/")[2] in schema["$defs"], path


@pytest.mark.parametrize("path", sorted((SPECS / "valid").glob("*.yaml")), ids=lambda path: path.stem)
def test_valid_files_are_valid_in_both_drafts(path: Path) -> None:
    """What evalkit accepts, an editor with a draft 7 validator accepts."""
    text, _ = source.decode(path.read_bytes(), path.name)
    root = source.parse(text, path.name).node
    assert root is not None
    kind: Kind = "task" if "task" in root.map else "rubric" if "rubric" in root.map else "spec"
    plain = root.plain()
    assert list(Draft7Validator(schema_document(kind)).iter_errors(plain)) == []
    assert list(Draft202012Validator(schema_document(kind)).iter_errors(plain)) == []


def test_editors_are_told_less_than_the_interpreter() -> None:
    """`${n}` and `null` are fine in an editor; the interpreter has no more of them when it validates."""
    document = {"evalkit": 1, "seed": "${n}", "void_budget": None, "name": "run-${n}"}
    assert list(Draft7Validator(schema_document("spec")).iter_errors(document)) == []
    wrong = {tuple(error.absolute_path) for error in compiled("spec").iter_errors(document)}
    assert wrong == {("seed",), ("void_budget",), ("name",)}
    typo = {"evalkit": 1, "seed": "fifty", "sede": 1}
    assert len(list(Draft7Validator(schema_document("spec")).iter_errors(typo))) == 2


def test_plug_ins_are_in_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine, scorer or sandbox of somebody else is known to the editor as ours are."""
    monkeypatch.setattr(registry, "names", lambda group: [f"my_{group}"])
    schema = schema_document("spec")
    assert "my_engines" in schema["$defs"]["engine_name"]["enum"]
    assert "my_sandboxes" in schema["properties"]["sandbox"]["properties"]["kind"]["enum"]
    assert "my_scorers" in schema["$defs"]["task"]["properties"]["score"]["propertyNames"]["enum"]
