"""Answers that must be JSON of a certain shape.

    score: {json_schema: {schema: {type: object, required: [name]}}}
    score: {json_schema: {field: schema}}        # each row has its own

The JSON is the whole answer (`whole`), else what the last fenced block holds that is JSON (`fence`), else the first
object or list in the text (`bare`). JSON is meant strictly: no NaN, no comments. Schemas are checked by the package
jsonschema, in a helper process: a `pattern` in a schema is a regular expression and may not end.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Execution, Json, Sample, Score
from evalkit.scorers import bounded
from evalkit.scorers.plain import PlainScorer, whole_answer

_CHECK_S = 5
_SHOWN = 400
_BARE_STARTS = 200
_FENCE = re.compile(
    r"^[ \t]*(?P<mark>`{3,}|~{3,})[^\n]*\n(?P<body>.*?)(?:^[ \t]*(?P=mark)|\Z)", re.MULTILINE | re.DOTALL
)


class JsonSchemaScorer(PlainScorer):
    """The answer holds JSON, and the schema has nothing to say against it.

    Options: `schema`, a JSON Schema (draft 2020-12 unless it names another); or `field`, the field of the row that
    holds one, as an object or as JSON in a text.
    """

    reads_gold = False

    def __init__(self, options: dict[str, Json]) -> None:
        unknown = sorted(set(options) - {"schema", "field"})
        if unknown:
            raise SpecError(f"score.json_schema has no option '{unknown[0]}'", hint="known: schema, field")
        if ("schema" in options) == ("field" in options):
            raise SpecError("score.json_schema needs one of `schema` and `field`", hint="schema: {type: object}")
        if not isinstance(options.get("field", ""), str):
            raise SpecError(f"score.json_schema.field is the name of a field, not {options['field']!r}")
        self._field: str | None = options.get("field")
        self._schema = options.get("schema")
        if self._field is None:
            wrong = wrong_schema(self._schema)
            if wrong:
                raise SpecError(f"score.json_schema.schema is no JSON Schema: {wrong}")

    def check(self, sample: Sample) -> None:
        """Raises DataError for a row whose field holds no JSON Schema."""
        if self._field is not None:
            wrong = wrong_schema(self._schema_of(sample))
            if wrong:
                where = f"item {sample.id} of task {sample.task}"
                raise DataError(f"the field '{self._field}' is no JSON Schema: {wrong}", where=where)

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        found = find_json(whole_answer(sample, completion))
        if found is None:
            return Score("fail", 0.0, error_class="no_answer", reason="expected JSON")
        text, rule = found
        arguments = {"schema": self._schema_of(sample), "text": text}
        try:
            wrong = bounded.shared().call(f"{__name__}:first_violation", arguments, _CHECK_S)
        except bounded.Exceeded as error:
            return Score("void", None, reason=f"scorer: the schema could not be checked: {error.reason}")
        if wrong is None:
            return Score("pass", 1.0, answer=text[:_SHOWN], rule=rule)
        return Score("fail", 0.0, answer=text[:_SHOWN], error_class="wrong_answer", rule=rule, reason=wrong)

    def _schema_of(self, sample: Sample) -> Json:
        if self._field is None:
            return self._schema
        if self._field not in sample.row:
            where = f"item {sample.id} of task {sample.task}"
            raise DataError(f"no field '{self._field}', which `score.json_schema.field` names", where=where)
        value = sample.row[self._field]
        return _read(value) if isinstance(value, str) else value


def find_json(text: str) -> tuple[str, str] | None:
    """The JSON in an answer, as it stands there, and the rule that found it."""
    if _is_json(text):
        return text.strip(), "whole"
    for fence in reversed(list(_FENCE.finditer(text))):
        if _is_json(fence["body"]):
            return fence["body"].strip(), "fence"
    decoder = json.JSONDecoder(parse_constant=_refuse)
    for count, start in enumerate(re.finditer(r"[\[{]", text)):
        if count == _BARE_STARTS:
            break
        try:
            _, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        return text[start.start() : end], "bare"
    return None


def first_violation(schema: Json, text: str) -> str | None:
    """What the schema has to say against a JSON text, by the place that comes first. Runs in the helper process."""
    from jsonschema.validators import Draft202012Validator, validator_for
    from jsonschema_specifications import REGISTRY

    # an explicit registry: a `$ref` to elsewhere is an error, never a download
    validator = validator_for(schema, default=Draft202012Validator)(schema, registry=REGISTRY)
    errors = sorted(validator.iter_errors(json.loads(text)), key=lambda error: [str(part) for part in error.path])
    return None if not errors else f"at {errors[0].json_path}: {errors[0].message}"[:_SHOWN]


def wrong_schema(schema: Json) -> str:
    """Why a value is no JSON Schema; empty where it is one."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    if isinstance(schema, bool):
        return ""
    if not isinstance(schema, dict):
        return f"{str(schema)[:80]!r} is no object"
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        return f"at {error.json_path}: {error.message}"[:_SHOWN]
    return ""


def _is_json(text: str) -> bool:
    return _read(text) is not _NO_JSON


def _read(text: str) -> Json:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NO_JSON


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_NO_JSON = object()
