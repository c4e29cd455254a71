"""Schemas that hold whole, schemas that would only hold in part: told apart, and tried against xgrammar itself."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.core.errors import SpecError
from evalkit.engines.enforced import check_enforced

INTEGER = {"type": "integer"}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "array", "uniqueItems": True}, "at $: `uniqueItems`"),
        ({"type": "object", "properties": {"a": {"not": {}}}}, "at $.properties.a: `not` needs a `type` beside it"),
        ({"type": "integer", "multipleOf": 3}, "at $: `multipleOf`"),
        ({"type": "string", "pattern": "a", "maxLength": 3}, "at $: `maxLength` beside `pattern`"),
        ({"type": "string", "pattern": "(?=a)b"}, "at $: look-around"),
        ({"type": "string", "format": "idn-email"}, "at $: the string format 'idn-email'"),
        ({"$ref": "#/$defs/a", "minimum": 1, "$defs": {"a": INTEGER}}, "at $: `minimum` beside `$ref`"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"minimum": 1}}}, "at $.$defs.a: `minimum` needs a `type`"),
        ({"anyOf": [INTEGER, {"type": "string", "minItems": 1}]}, "at $.anyOf[1]: `minItems`"),
        ({"oneOf": [INTEGER]}, "at $: `oneOf` needs a `type`"),
        ({"allOf": [INTEGER, INTEGER]}, "at $: several parts of `allOf`"),
        ({"enum": ["a", 1], "type": "string"}, "at $: 1 is not of the `type` beside it"),
        ({"type": "object", "required": ["b"]}, "at $: `b` is required and not in `properties`"),
        ({"type": "object", "properties": {"a": False}}, "at $.properties.a: `false` allows no value"),
        ({"type": ["integer", "null"], "maxLength": 1}, "at $: `maxLength`"),
        ({"type": "array", "prefixItems": [INTEGER], "items": {"if": {}}}, "at $.items: `if` needs a `type`"),
        ({"typ": "string"}, "at $: `typ` needs a `type`"),
    ],
)
def test_what_would_not_hold_is_refused(schema: dict[str, Any], said: str) -> None:
    """With its place, and what to do."""
    with pytest.raises(SpecError) as caught:
        check_enforced(json.dumps(schema))
    assert said in caught.value.message
    assert "docs/tasks.md" in caught.value.hint


names = st.sampled_from(["a", "b", "c d", "é"])
bounds = st.tuples(st.integers(-3, 12), st.integers(0, 9))
leaves = st.one_of(
    st.builds(lambda pair: {"type": "integer", "minimum": pair[0], "maximum": sum(pair)}, bounds),
    st.builds(lambda pair: {"type": "number", "minimum": pair[0], "exclusiveMaximum": sum(pair) + 1}, bounds),
    st.builds(lambda n: {"type": "string", "minLength": n, "maxLength": 2 * n}, st.integers(0, 2)),
    st.sampled_from([{"type": "string", "pattern": "^[a-c]{1,3}$"}, {"type": ["null", "boolean"]}]),
    st.lists(st.integers(0, 99) | st.text(max_size=3) | st.none(), min_size=1, max_size=3).map(lambda v: {"enum": v}),
    st.one_of(st.text(max_size=3), st.booleans()).map(lambda value: {"const": value}),
)  # fmt: skip


def _object(fields: dict[str, Any], required: int) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)[:required], "title": "an object"}


def _list(items: dict[str, Any], least: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": least, "maxItems": least + 1}


schemas = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(_object, st.dictionaries(names, inner, max_size=3), st.integers(0, 3)),
        st.builds(_list, inner, st.integers(0, 2)),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        inner.map(lambda part: part if "$ref" in json.dumps(part) else {"$ref": "#/$defs/x", "$defs": {"x": part}}),
    ),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(schema=schemas, seed=st.integers(0, 999))
def test_what_is_let_through_holds(schema: dict[str, Any], seed: int) -> None:
    """Any walk that a grammar allows, byte by byte, ends in a document that the schema accepts."""
    xgrammar = pytest.importorskip("xgrammar", reason="xgrammar is not installed")
    if "$defs" in json.dumps(schema) and "$defs" not in schema:
        return  # a reference is to the root's definitions
    check_enforced(json.dumps(schema))
    end = 256
    vocabulary = xgrammar.TokenizerInfo(
        [bytes([byte]) for byte in range(end)] + [b"<end>"], vocab_type=xgrammar.VocabType.RAW, stop_token_ids=[end]
    )
    compiled = xgrammar.GrammarCompiler(vocabulary, max_threads=1).compile_json_schema(
        json.dumps(schema), any_whitespace=False
    )
    written = _walk(xgrammar, xgrammar.GrammarMatcher(compiled), end, random.Random(seed))
    if written is not None:
        jsonschema.Draft202012Validator(schema).validate(json.loads(written))


def _walk(xgrammar: Any, matcher: Any, end: int, chance: random.Random) -> str | None:
    """A document drawn evenly from what is allowed, printable characters only; None where it does not end soon."""
    bits, written = xgrammar.allocate_token_bitmask(1, end + 1), bytearray()
    for _ in range(400):
        matcher.fill_next_token_bitmask(bits)
        words = [int(word) & 0xFFFFFFFF for word in bits[0]]
        allowed = [token for token in range(end + 1) if words[token // 32] >> (token % 32) & 1]
        assert allowed, bytes(written)
        ascii_only = [token for token in allowed if token == end or 32 <= token < 127]
        token = chance.choice(ascii_only or allowed)
        if end in allowed and chance.random() < 0.5:
            token = end
        assert matcher.accept_token(token)
        if token == end:
            return written.decode()
        written.append(token)
    return None
