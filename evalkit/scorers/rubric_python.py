"""Checks of the Python program in an answer, whose source is read and never run.

The program is the first fenced block, or the code that an answer without one begins with or holds.
"""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.types import Json
from evalkit.scorers import python_facts
from evalkit.scorers.python_facts import Facts
from evalkit.scorers.rubric_answer import Answer, Check, Finding, met, texts, whole_number

PREFIX = "python."


def _of_program(judge: Callable[[Facts], Finding]) -> Check:
    def find(answer: Answer, _: object) -> Finding:
        program = answer.program
        if program is None:
            return Finding(0.0, "there is no program")
        if not program["facts"]["parses"]:
            return Finding(0.0, python_facts.missing("parses"))
        return judge(program)

    return Check(find)


def fact(name: str) -> Check:
    """A plain fact, as `python.has_return`."""
    return _of_program(lambda program: met(program["facts"][name], python_facts.missing(name)))


def _defines(written: Json) -> Check:
    names = texts("python.defines", written, "python.defines: [solve]")

    def judge(program: Facts) -> Finding:
        absent = [name for name in names if name not in program["defines"]]
        return met(not absent, f"it does not define {', '.join(absent)}")

    return _of_program(judge)


def _forbidden_calls(written: Json) -> Check:
    names = texts("python.forbidden_calls", written, "python.forbidden_calls: [eval, exec, open]")

    def judge(program: Facts) -> Finding:
        called = [name for name in names if name in program["calls"]]
        return met(not called, f"it calls {', '.join(called)}")

    return _of_program(judge)


def _max_complexity(written: Json) -> Check:
    limit = whole_number("python.max_complexity", written)
    return _of_program(
        lambda program: met(program["complexity"] <= limit, f"a function has the complexity {program['complexity']}")
    )


MAKERS: dict[str, Callable[[Json], Check]] = {
    "python.defines": _defines,
    "python.forbidden_calls": _forbidden_calls,
    "python.max_complexity": _max_complexity,
}
