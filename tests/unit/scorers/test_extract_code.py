"""Which rule finds the program in which answer."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.scorers.extract_code import NOTHING, Block, Code, Extract, called_name, extract, fenced_blocks, preamble

_PROMPT = (
    'import math\n\n\ndef helper(x):\n    return x\n\n\ndef f(x):\n    """Twice x.\n    >>> f(2)\n    4\n    """\n'
)
_F = "def f(x):\n    return 2 * x\n"


def test_the_first_block_that_defines_the_function_wins() -> None:
    """A later alternative does not override it, a usage example is not it."""
    other = "def f(x):\n    return x + x\n"
    answer = f"Run:\n```python\nprint(f(2))\n```\nCode:\n```python\n{_F}```\nOr:\n```python\n{other}```\n"
    assert Code(_F, "entry_point") == extract(answer, "entry_point", "f")


def test_helpers_come_from_the_other_blocks() -> None:
    """Only what the chosen block uses and lacks, in an order that works; the rest of the other blocks stays out."""
    answer = (
        "```\nimport os\nfrom math import floor\nN = 3\nresult = f(3)\n```\n"
        "```python\ndef inner(x):\n    return floor(x) + N\n```\n"
        "```python\ndef f(x):\n    return inner(x)\n```\n"
    )
    code = extract(answer, "entry_point", "f")
    assert code.rule == "entry_point+helpers"
    assert code.text is not None
    assert "import os" not in code.text
    assert "result" not in code.text
    space: dict[str, object] = {}
    exec(code.text, space)
    assert space["f"](2.5) == 5  # type: ignore[operator]


def test_a_truncated_block_is_still_a_block() -> None:
    """The fence that is never closed runs to the end of the answer, and the rule says so."""
    assert Code(_F, "entry_point, unclosed") == extract(f"Here:\n```python\n{_F}", "entry_point", "f")


def test_a_block_that_does_not_parse_is_still_found() -> None:
    """A syntax error is the model's, and for the sandbox to tell."""
    broken = "def f(x)\n    return 2 * x\n"
    assert Code(broken, "entry_point") == extract(f"```py\n{broken}```", "entry_point", "f")


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_fences(fence: str) -> None:
    """Backticks and tildes; a longer fence may hold a shorter one."""
    assert [Block("x = 1\n", True)] == fenced_blocks(f"{fence}python title\nx = 1\n{fence}\n")


def test_an_indented_fence_and_an_empty_one() -> None:
    """A fence in a list item counts; an empty block is none."""
    assert [Block("   x = 1\n", True)] == fenced_blocks("1. so\n   ```python\n   x = 1\n   ```\n\n```\n\n```\n")


def test_text_without_a_fence() -> None:
    """From the first definition on, without the prose after it."""
    answer = f"Sure! Here it is:\n\nfrom math import pi\n\n{_F}\nThis doubles x.\nIt's easy.\n"
    code = extract(answer, "entry_point", "f")
    assert code.rule == "text"
    assert f"from math import pi\n\n{_F}\n" == code.text


@pytest.mark.parametrize(
    "body",
    [
        "    return 2 * x\n",
        "return 2 * x",
        "    y = x\n    return y + x\n\nThat is all.",
        "y = x\n    return y + x\n",
        "\n    return 2 * x",
    ],
)
def test_a_body_continues_the_prompt(body: str) -> None:
    """A completion without a head, with or without the first indent, with or without prose behind it."""
    code = extract(body, "entry_point", "f", _PROMPT)
    assert code.rule == "body"
    space: dict[str, object] = {}
    exec(str(code.text), space)
    assert space["f"](2) == 4  # type: ignore[operator]


def test_a_body_in_a_block_continues_the_prompt() -> None:
    """The same inside a fence."""
    code = extract("```python\n    return 2 * x\n```", "entry_point", "f", _PROMPT)
    assert code.rule == "body in block"
    assert str(code.text).startswith(_PROMPT)


@pytest.mark.parametrize("answer", ["", "I cannot do that.", "The function f doubles x.", "```\n```"])
def test_no_code(answer: str) -> None:
    """Nothing that could be run."""
    assert extract(answer, "entry_point", "f", _PROMPT) == NOTHING


def test_the_wrong_function_is_run_and_fails_by_itself() -> None:
    """A block without the entry point is taken as it is: the sandbox says NameError."""
    assert Code("def g(x):\n    return x\n", "first_block") == extract(
        "```\ndef g(x):\n    return x\n```", "entry_point", "f"
    )


def test_other_rules() -> None:
    """first_block, all_blocks and none do what their names say."""
    answer = "```\na = 1\n```\n```\nb = 2\n```\n"
    assert Code("a = 1\n", "first_block") == extract(answer, "first_block", "f")
    assert Code("a = 1\n\n\nb = 2\n", "all_blocks") == extract(answer, "all_blocks", "f")
    assert Code(answer, "none") == extract(answer, "none", "f")
    assert Code(_PROMPT + "    return 1", "continuation") == extract("    return 1", "none", "f", _PROMPT)
    assert Code(_F, "none") == extract(_F, "none", "f", _PROMPT)
    assert extract(" \n", "none", "f") == NOTHING


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("```python\na = 1\n```\nOutput:\n```\n1\n```\n```python\nb = 2\n```", "a = 1\n\nb = 2"),
        ("```python\na = 1\n```\nthen\n```python\nb = ", "a = 1"),
        ("```\na = 1\n```\n```py\nb = 2\n```", "a = 1\n\nb = 2"),
        ("```\na = 1\n```\n```\nb = ", "a = 1"),
        ("```python\na = 1", None),
        ("```\na = 1", None),
        ("```python\n```", None),
        (_F, _F),
    ],
)
def test_closed_blocks(answer: str, expected: str | None) -> None:
    """All blocks labelled python, else all blocks; one that is never closed does not count."""
    assert expected == extract(answer, "closed_blocks", "f").text


def test_preamble() -> None:
    """Imports and helpers before the function; nothing where there is nothing, or where it would not run."""
    assert preamble(_PROMPT, "f") == "import math\n\n\ndef helper(x):\n    return x\n\n\n"
    assert preamble(_F, "f") == ""
    assert preamble("Write a function f.", "f") == ""
    assert preamble("Do this:\n\ndef f(x):", "f") == ""
    assert preamble(_PROMPT, None) == ""


@pytest.mark.parametrize(
    ("tests", "setup", "expected"),
    [
        (["assert set(similar((3, 4))) == set((4, 5))"], "", "similar"),
        (["assert math.isclose(area(4, 20), 400.0)"], "import math", "area"),
        (
            ["assert is_balanced(make(root)) == False", "assert is_balanced(root)"],
            "def make(x): return x",
            "is_balanced",
        ),
        (["assert sum(10, 15) == 6", "assert sum(4, 6) == 3"], "", "sum"),
        (["assert neg_nos([-1, 4]) == -1,-6"], "", "neg_nos"),
        (["assert x == 1"], "", None),
        (["assert ("], "", None),
    ],
)
def test_called_name(tests: list[str], setup: str, expected: str | None) -> None:
    """What the asserts are about, builtins and the setup's names aside."""
    assert expected == called_name(tests, setup)


@given(st.text(), st.sampled_from(get_args(Extract)))
def test_any_answer_is_read(answer: str, how: Extract) -> None:
    """No answer breaks the extraction; a rule is given exactly when a program is."""
    code = extract(answer, how, "f", _PROMPT)
    assert (code.text is None) == (code.rule is None)


def test_a_program_before_a_fence_that_is_only_closed() -> None:
    """A small model that goes on as if the fence were open: the words after it are no program."""
    answer = "def double(x):\n    return 2 * x\n\nprint(double(2))\n```\n\nThis function doubles its input.\n"
    found = extract(answer, "entry_point", "double")
    assert Code("def double(x):\n    return 2 * x\n\nprint(double(2))\n", "text before a fence") == found
