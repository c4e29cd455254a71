"""Answers that the prompt began: what is judged as a whole is judged with its beginning."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.core import registry
from evalkit.core.types import Completion, Message, Prompt, Sample
from evalkit.scorers.code import CodeScorer


def begun(prefill: str, **row: Any) -> Sample:
    prompt = Prompt((Message("user", "?"), Message("assistant", prefill)))
    return Sample("t", "1", "t", "test", {}, prompt, row)


def completion(text: str) -> Completion:
    return Completion("k", text, "stop", None, "")


def test_a_program_is_its_beginning_and_the_answer() -> None:
    """A function's head in the prefill, its body from the model."""
    head = "def double(n):\n"
    sample = begun(f"Here it is:\n```python\n{head}", prompt=head, test="def check(f): assert f(2) == 4", name="double")
    options = {"style": "humaneval", "prompt": "prompt", "tests": "test", "entry_point": "name"}
    program = CodeScorer(options).program(sample, completion("    return 2 * n\n"))
    assert program is not None
    assert program.code.strip() == "def double(n):\n    return 2 * n"


@pytest.mark.parametrize(
    ("scorer", "options", "prefill", "text"),
    [
        ("json_schema", {"schema": {"type": "object", "required": ["a"]}}, '{"a": ', "1}"),
        ("math_verify", {"answer": "$\\frac{1}{2}$"}, "$\\boxed{", "1/2}$"),
    ],
)
def test_a_value_is_its_beginning_and_the_answer(scorer: str, options: Any, prefill: str, text: str) -> None:
    """Neither part is one."""
    if scorer == "math_verify":
        pytest.importorskip("math_verify")
    made = registry.load("scorers", scorer)(options)
    assert made.score(begun(prefill), completion(text), None).outcome == "pass"
    assert made.score(begun(prefill), completion(""), None).outcome == "fail"


def test_an_answer_that_is_looked_for_is_the_models() -> None:
    """A number that the prompt said first is not the model's answer."""
    number = registry.load("scorers", "number")({"answer": "7"})
    assert number.score(begun("Step 7:"), completion(" I do not know."), None).error_class == "no_answer"
