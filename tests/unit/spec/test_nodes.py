"""Paths as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.spec.nodes import Path, format_path, parse_path


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("steps", "one", "model"), "steps.one.model"),
        (("suite", 0), "suite[0]"),
        (("models", "Qwen2.5", "hub"), 'models."Qwen2.5".hub'),
        (("a", 1, 2, "b"), "a[1][2].b"),
    ],
)
def test_path_and_text(path: Path, text: str) -> None:
    """A path is written as one would say it, and read back."""
    assert text == format_path(path)
    parts = parse_path(text)
    assert parts is not None
    assert path == tuple(part.part for part in parts)


@pytest.mark.parametrize("text", ["", ".a", "[0]", "a..b", "a b", "a.", 'a"b"', "a[x]", "a[0]b"])
def test_not_a_path(text: str) -> None:
    """What is no path is refused as a whole."""
    assert parse_path(text) is None


_PARTS = st.text(st.characters(exclude_characters='"', codec="utf-8"), min_size=1) | st.integers(0, 99)


@given(st.text(st.characters(exclude_characters='"', codec="utf-8"), min_size=1), st.lists(_PARTS))
def test_every_path_is_read_back(first: str, rest: list[str | int]) -> None:
    """Whatever stands in a key that has no double quote in it."""
    path = (first, *rest)
    parts = parse_path(format_path(path))
    assert parts is not None
    assert path == tuple(part.part for part in parts)
