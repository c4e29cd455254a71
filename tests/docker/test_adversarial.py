"""Every program of the adversarial set comes to one of its classes; no cheat is ever passed."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Void
from evalkit.sandboxes.docker import ADAPTER
from evalkit.sandboxes.self_test import Case, cases, quick_cases, run_cases

_CASES = cases()


@pytest.fixture(scope="module")
def results(sandbox: Sandbox) -> dict[str, Future[Execution | Void]]:
    """All programs at once, side by side with each other's attacks."""
    return {case.name: sandbox.submit(case.program) for case in _CASES}


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_program(case: Case, results: dict[str, Future[Execution | Void]]) -> None:
    """The class is one that is right for this program."""
    result = results[case.name].result(300)
    assert isinstance(result, Execution), result
    assert result.outcome in case.expect, result
    assert (result.outcome == "passed") == (len(result.tests) > 0 and all(test.passed for test in result.tests))


def test_self_test(results: dict[str, Future[Execution | Void]]) -> None:
    """The self test of the command line runs the quick part in containers of its own, and finds nothing wrong."""
    findings = run_cases(ADAPTER, quick_cases(), {}, print)
    assert [finding for finding in findings if not finding.right] == []
    assert [case.name for case in _CASES if case.quick] == [finding.name for finding in findings]
