"""Paths into a JSON value."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.core.errors import SpecError
from evalkit.scorers.json_path import parse, values

WHOLE = {"a": {"b": [{"c": 1}, {"c": None}, {"d": 2}], "x y": "z"}, "e": [[1, 2], [3]]}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", [WHOLE]),
        ("$.a.b[*].c", [1, None]),
        ("$.a.b[0].c", [1]),
        ("$.a.b[-1].d", [2]),
        ("$.a.b[3]", []),
        ("$.a['x y']", ["z"]),
        ("$.e[*][*]", [1, 2, 3]),
        ("$.e[*][1]", [2]),
        ("$.a[0]", []),
        ("$.e.a", []),
        ("$.a.b[0][*]", [1]),
    ],
)
def test_what_a_path_finds(path: str, expected: list[Any]) -> None:
    """What is not there is left out."""
    assert expected == values(parse(path), WHOLE)


@pytest.mark.parametrize("path", ["", "a", "$..a", "$.a[", "$.a[b]", "$.", "$[1:2]", 5, None])
def test_what_is_no_path(path: Any) -> None:
    """Told, never guessed."""
    with pytest.raises(SpecError):
        parse(path)
