"""The strict loader: scalars, places, refusals, and that it never raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.spec import source
from evalkit.spec.nodes import Node, Place, Span, find, walk


def _value(text: str) -> Any:
    parsed = source.parse(text, "x.yaml")
    assert parsed.diagnostics == ()
    assert parsed.node is not None
    return parsed.node.plain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-6", 1e-6),
        ("1E+3", 1000.0),
        ("5", 5),
        ("-5", -5),
        ("+5", 5),
        ("007", 7),
        ("0o17", 15),
        ("0x1F", 31),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.5e1", -5.0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_scalar_of_the_core_schema(text: str, expected: object) -> None:
    """Numbers, truth values and nothing, as YAML 1.2 writes them, with their exact type."""
    actual = _value(f"a: {text}\n")["a"]
    assert expected == actual
    assert type(expected) is type(actual)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "y", "N", "1:30", "12:30:45", "2026-11-21", "1_000", "0b11", "1e", "e5", ".", "+", "-x"],
)
def test_scalar_that_is_text(text: str) -> None:
    """What YAML 1.1 made truth values, sexagesimal numbers, dates or grouped numbers is text."""
    assert text == _value(f"a: {text}\n")["a"]


@pytest.mark.parametrize("text", ["'5'", '"5"'])
def test_quotes_make_text(text: str) -> None:
    """A quoted number is text."""
    assert _value(f"a: {text}\n") == {"a": "5"}


def test_places_of_keys_and_values() -> None:
    """Every value knows its line, column, length and style, and those of its key, counted in characters."""
    text = 'é: {b: "xy", c: [1, 23]}\nd:\n  - k: v\n  - |\n    foo\n'
    parsed = source.parse(text, "x.yaml")
    assert parsed.node is not None
    places = {path: node.place for path, node in walk(parsed.node)}
    assert {
        (): Place("x.yaml", Span(1, 1, 1), "block"),
        ("é",): Place("x.yaml", Span(1, 4, 21), "flow", Span(1, 1, 1)),
        ("é", "b"): Place("x.yaml", Span(1, 8, 4), "quoted", Span(1, 5, 1)),
        ("é", "c"): Place("x.yaml", Span(1, 17, 7), "flow", Span(1, 14, 1)),
        ("é", "c", 0): Place("x.yaml", Span(1, 18, 1), "plain"),
        ("é", "c", 1): Place("x.yaml", Span(1, 21, 2), "plain"),
        ("d",): Place("x.yaml", Span(3, 3, 1), "block", Span(2, 1, 1)),
        ("d", 0): Place("x.yaml", Span(3, 5, 1), "block"),
        ("d", 0, "k"): Place("x.yaml", Span(3, 8, 1), "plain", Span(3, 5, 1)),
        ("d", 1): Place("x.yaml", Span(4, 5, 1), "literal", None, 4),
    } == places


def test_windows_line_ends_and_byte_order_mark() -> None:
    """Neither changes a value or a place."""
    text, broken = source.decode(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "x.yaml")
    parsed = source.parse(text, "x.yaml")
    assert broken == ()
    assert parsed.node is not None
    b = find(parsed.node, ("b",))
    assert b == Node(2, Place("x.yaml", Span(2, 4, 1), "plain", Span(2, 1, 1)))


def test_larger_than_any_spec() -> None:
    """Size is bounded before the text is read."""
    _, broken = source.decode(b"#" * (5 << 20), "x.yaml")
    assert [found.message for found in broken] == ["the file is larger than 4 MiB"]


def test_deep_nesting_is_refused_at_once() -> None:
    """A hundred thousand brackets cost neither the stack nor time."""
    parsed = source.parse("a: " + "[" * 100_000, "x.yaml")
    assert [found.message for found in parsed.diagnostics] == ["nested deeper than 64 levels"]


def test_duplicate_key_keeps_the_first_value() -> None:
    """The second one is refused, and the tree stays readable."""
    parsed = source.parse("a: 1\nb: 2\na: 3\n", "x.yaml")
    assert parsed.node is not None
    assert parsed.node.plain() == {"a": 1, "b": 2}
    assert [(found.line, found.column, found.hint) for found in parsed.diagnostics] == [(3, 1, "first on line 1")]


_CORPUS = [
    "a: 1\nb: [x, {y: 'z'}]\n",
    "a:\n\tb: 1\n",
    "a: b: c\n",
    "a: [1, 2\n",
    "a: 'open\n",
    "a: *x\n",
    "a: &x 1\n",
    "a: !!int 1\n",
    "a: 1\na: 2\n",
    "--- {a: 1}\n--- b\n",
    "a: @x\n",
    "a: |\n  x\n  y\nb: >\n  z\n",
    "",
]


@pytest.mark.parametrize("text", _CORPUS)
def test_both_parsers_of_pyyaml_agree(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where libyaml is not compiled in, the slower parser gives the same tree, the same messages and lines."""
    fast = source.parse(text, "x.yaml")
    monkeypatch.setattr(source, "_LOADER", yaml.SafeLoader)
    slow = source.parse(text, "x.yaml")
    assert fast.node == slow.node
    assert [(f.message, f.line) for f in fast.diagnostics] == [(f.message, f.line) for f in slow.diagnostics]


_YAML_LIKE = st.text(
    st.sampled_from(
        [*"abc019 \n\t:-,?!&*#[]{}|>'\"%@`~.$\\<=\r", "é", "\x00", "\x85", "\u2028", "\ufeff", "\U0001f600"]
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(_YAML_LIKE | st.text(max_size=60))
def test_any_text_gives_a_tree_or_diagnostics(text: str) -> None:
    """Never an exception, and every diagnostic points into the text."""
    parsed = source.parse(text, "x.yaml")
    lines = source.LINE_BREAK.split(text)
    for found in parsed.diagnostics:
        assert found.severity == "error"
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert found.length >= 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    """Bytes that are not UTF-8 are a diagnostic."""
    text, broken = source.decode(raw, "x.yaml")
    assert broken or text == raw.decode("utf-8-sig")


_TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co"), exclude_characters="\u2028\u2029\x85")
)
_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_TEXTS, _JSON, max_size=4))
def test_json_is_read_as_it_is(document: dict[str, Any]) -> None:
    """Every JSON document of bounded depth is a YAML document with the same value."""
    assert document == _value(json.dumps(document, ensure_ascii=False))
