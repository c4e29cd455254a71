"""The adversarial programs, run through a sandbox: what was expected of each, and what came."""

from __future__ import annotations

from typing import NamedTuple

import yaml

from evalkit import assets
from evalkit.core.ports import Notify, SandboxAdapter
from evalkit.core.types import Execution, Json, Limits, Program

_LIMITS = Limits(wall_s=5.0, cpu_s=2.0, memory_mb=256)


class Case(NamedTuple):
    """One program of `sandbox/adversarial.yaml`. `expect` holds every class that is right for it."""

    name: str
    expect: tuple[str, ...]
    program: Program
    quick: bool


class Finding(NamedTuple):
    """One line of the self test."""

    name: str
    expected: str
    got: str

    @property
    def right(self) -> bool:
        return self.got in self.expected.split(" or ")


def cases() -> list[Case]:
    """Every adversarial and honest program, in file order."""
    rows = yaml.safe_load((assets.folder("sandbox") / "adversarial.yaml").read_text("utf-8"))
    return [_case(row) for row in rows]


def quick_cases() -> list[Case]:
    """A part of the set that takes seconds, with something of every kind."""
    return [case for case in cases() if case.quick]


def _case(row: dict[str, object]) -> Case:
    expect = row["expect"]
    tests = row.get("tests", ["assert f(2) == 4", "assert f(5) == 10"])
    if not isinstance(tests, list):
        raise TypeError(f"tests of {row['name']} are no list")
    check = any(str(test).lstrip().startswith("def check") for test in tests)
    program = Program(
        key=str(row["name"]),
        code=str(row["code"]),
        tests=tuple(str(test) for test in tests),
        style="check" if check else "asserts",
        setup=str(row.get("setup", "")),
        preamble=str(row.get("preamble", "")),
        entry_point=str(row.get("entry_point", "f")),
        limits=_LIMITS,
    )
    wanted = tuple(str(item) for item in expect) if isinstance(expect, list) else (str(expect),)
    return Case(str(row["name"]), wanted, program, bool(row.get("quick", False)))


def run_cases(adapter: SandboxAdapter, chosen: list[Case], options: dict[str, Json], notify: Notify) -> list[Finding]:
    """Open a sandbox of this kind, run the cases in it, and close it. Raises PrerequisiteError."""
    adapter.prepare(options, notify)
    sandbox = adapter.open(options, notify)
    try:
        futures = [(case, sandbox.submit(case.program)) for case in chosen]
        return [Finding(case.name, " or ".join(case.expect), _told(future.result())) for case, future in futures]
    finally:
        sandbox.close()


def _told(result: object) -> str:
    if isinstance(result, Execution):
        return result.outcome
    return f"void: {getattr(result, 'reason', result)}"
