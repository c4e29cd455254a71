"""What unit tests share: a builder of sample rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evalkit.core.types import Message, Prompt, SampleRow, SamplingParams


def build_row(**known: Any) -> SampleRow:
    """A row that passed, of step s, category c, item i0, with anything changed."""
    values: dict[str, Any] = dict(
        step="s", task="t", category="c", split="test", id="i0", sample=0, selected=True, model="m", policy="greedy",
        groups={}, prompt=Prompt(messages=(Message("user", "What?"),)), prompt_sha256=None, completion="0" * 64,
        text="That.", answer=None, outcome="pass", score=1.0, error_class=None, rule=None, tests_passed=None,
        tests_total=None, tests=(), exception=None, stdout=None, stderr=None, reason=None, finish_reason="stop",
        prompt_tokens=10, completion_tokens=4, seconds=0.5, sandbox_s=None, usd=None,
        effective=SamplingParams(max_tokens=64),
    )  # fmt: skip
    values |= known
    if values["outcome"] == "fail" and "score" not in known:
        values["score"] = 0.0
    if values["outcome"] == "void":
        values["score"] = None
    return SampleRow(**values)


@pytest.fixture(scope="session")
def row() -> Callable[..., SampleRow]:
    """The builder of sample rows."""
    return build_row
