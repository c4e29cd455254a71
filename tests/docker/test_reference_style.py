"""Answers compared with a reference's: the program under test has no say in it, and learns nothing of the reference."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.core.ports import Sandbox
from evalkit.core.types import Completion, Execution, Prompt, Sample, Void
from evalkit.scorers.code import CodeScorer

OPTIONS = {"style": "reference", "tests": "inputs", "reference": "solution", "entry_point": "name", "extract": "none"}
MATRIX = "def f(n):\n    return [[i * 1.5, i * 2.5] for i in range(n)]\n"
FLOATS = "def {name}(n):\n    return [i * 1.25 for i in range(n)]\n"
INFINITE = "def f(n):\n    return [float('inf'), 1.0]\n"


def judge(sandbox: Sandbox, code: str, solution: str, **row: Any) -> Execution:
    found = submit(sandbox, code, solution, **row)
    assert isinstance(found, Execution), found
    return found


def submit(sandbox: Sandbox, code: str, solution: str, **row: Any) -> Execution | Void:
    known = {"inputs": [[1], [3]], "solution": solution, "name": "f", "atol": 1e-6, **row}
    scorer = CodeScorer({**OPTIONS, "atol": "atol"})
    program = scorer.program(
        Sample("t", "1", "t", "test", {}, Prompt(text=""), known), Completion("k", code, "stop", None, "0")
    )
    assert program is not None
    return sandbox.submit(program).result(120)


@pytest.mark.parametrize(
    ("code", "solution", "name"),
    [
        (MATRIX.replace("1.5", "(1 + 0.5)"), MATRIX, "f"),
        ("def f(n):\n    return [[i * 1.5 + 1e-9, i * 2.5] for i in range(n)]\n", MATRIX, "f"),
        (INFINITE, INFINITE, "f"),
        *((FLOATS.format(name=name),) * 2 + (name,) for name in ("copy", "reference", "rules", "given", "got", "inf")),
    ],
)
def test_what_is_right_passes(sandbox: Sandbox, code: str, solution: str, name: str) -> None:
    """Equal, or near; whatever the function is called."""
    found = judge(sandbox, code, solution, name=name)
    assert found.outcome == "passed", found


@pytest.mark.parametrize(
    ("code", "solution", "name"),
    [
        (  # a list that says how long it is, and holds nothing
            "class R(list):\n    __len__ = lambda s: 2\n    __iter__ = lambda s: iter(())\n\n\n"
            "def f(n):\n    return [R() for _ in range(n)]\n",
            MATRIX,
            "f",
        ),
        (  # a number that is told what is expected, behind a name that looks like a class
            "class F(float):\n    def __sub__(s, o):\n        print('TOLD', o)\n        return 0.0\n\n\n"
            "class C:\n    def __call__(s, n):\n        return [F(9)] * n\n\n\nConv = C()\n",
            FLOATS.format(name="Conv"),
            "Conv",
        ),
        ("def f(n):\n    return [0.0, 1.0]\n", INFINITE, "f"),
        ("def f(n):\n    return [float('-inf'), 1.0]\n", INFINITE, "f"),
        ("def f(n):\n    return 10 ** 5000\n", "def f(n):\n    return 1\n", "f"),
    ],
)
def test_what_is_wrong_does_not(sandbox: Sandbox, code: str, solution: str, name: str) -> None:
    """Nothing that the program returned takes part in the comparison, and it is told nothing."""
    found = judge(sandbox, code, solution, name=name)
    assert found.outcome == "wrong_answer", found
    assert "TOLD" not in found.stdout


@pytest.mark.parametrize(
    ("solution", "error"),
    [
        ("def f(n):\n    return 1 // (n - 3)\n", "ZeroDivisionError"),
        ("def f(n):\n    return 'x' * (1 << 40)\n", "MemoryError"),
        ("def f(n):\n    raise SystemExit\n", "SystemExit"),
    ],
)
def test_a_reference_that_fails_voids(sandbox: Sandbox, solution: str, error: str) -> None:
    """Nobody's answer can be judged then, and no model has failed."""
    found = submit(sandbox, "def f(n):\n    return 1 // (n - 3) if n != 3 else 0\n", solution)
    assert isinstance(found, Void)
    assert "the reference fails on input" in found.reason
    assert error in found.reason


def test_a_program_cannot_void_itself(sandbox: Sandbox) -> None:
    """What its own names are is its own affair."""
    code = "def __void__(*a):\n    pass\n\n\ndef f(n):\n    return __void__('me')\n"
    assert judge(sandbox, code, MATRIX).outcome == "wrong_answer"
