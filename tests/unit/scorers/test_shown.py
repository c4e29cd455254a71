"""Gold answers as a judge is shown them."""

from __future__ import annotations

import pytest

from evalkit.core.types import Json, Prompt, Sample
from evalkit.scorers.shown import gold_text

ROW = {
    "gold": " 4 ", "several": ["four", "4"], "steps": "2+2=4 #### 4", "choices": ["3", "4"], "answer": 1,
    "solution": "def f(): return 4\n", "empty": "", "nothing": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("scorer", "options", "expected"),
    [
        ("exact", {"answer": "{{ gold }}"}, "4"),
        ("exact", {"field": "several"}, "four or 4"),
        ("number", {"answer": "{{ steps.split('####')[-1] }}"}, "4"),
        ("choice", {"options": "choices", "answer": "answer"}, "B: 4"),
        ("code", {"style": "asserts", "tests": "t", "reference": "solution"}, "def f(): return 4"),
        ("code", {"style": "asserts", "tests": "t"}, None),
        ("code", {"style": "asserts", "tests": "t", "reference": "absent"}, None),
        ("regex", {"pattern": "x"}, None),
        ("unscored", {}, None),
        ("exact", {"field": "empty"}, None),
        ("exact", {"field": "nothing"}, None),
        ("exact", {"field": "absent"}, None),
    ],
)
def test_gold_text(scorer: str, options: dict[str, Json], expected: str | None) -> None:
    sample = Sample("t", "1", "c", "test", {}, Prompt(text="2+2?"), ROW)
    assert expected == gold_text(scorer, options, sample)
