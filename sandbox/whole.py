"""Programs that are run whole: each test is a text for stdin and the text that must be printed.

The expected text stays with the runner. Every test has a process of its own, and the limits hold for each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

_LABEL = 200
_SHOWN = 80
_MEASURES = ("wall_s", "cpu_s", "peak_mb")


def judge(job: dict[str, Any], once: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    """Run the tests of a job one after the other; the result of the first that failed, with an entry for each test.

    `once(part)` runs one process and returns its result with what it `printed`. The measures are those of the costliest
    test. A program that ran out of time is not run again: it would use up its time on every test.
    """
    entries: list[list[Any]] = []
    verdict: dict[str, Any] = {}
    costs: dict[str, float] = dict.fromkeys(_MEASURES, 0.0)
    for text in job["tests"]:
        test = json.loads(text)
        label = _short(test["stdin"], _LABEL)
        if verdict.get("outcome") == "timeout":
            entries.append([False, label, "not run: " + verdict["message"]])
            continue
        result = _one(job, test, label, once)
        costs = {name: max(costs[name], result[name]) for name in _MEASURES}
        if "void" in result:
            return result
        entries += result["tests"]
        if not verdict or (verdict["outcome"] == "passed" and result["outcome"] != "passed"):
            verdict = result
    if not verdict:
        return {"id": job["id"], "void": "there are no tests", "stdout": "", "stderr": "", **costs}
    return {**verdict, **costs, "tests": entries}


def _one(
    job: dict[str, Any], test: dict[str, str], label: str, once: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    result = once({**job, "tests": [label], "stdin": test["stdin"]})
    printed = result.pop("printed")
    if result.get("outcome") == "passed":
        message = difference(printed, test["stdout"])
        if message:
            result.update(outcome="wrong_answer", message=message, tests=[[False, label, message]])
    return result


def printed(fd: int) -> str:
    """All that a program printed, after its end."""
    size = os.fstat(fd).st_size
    return os.pread(fd, size, 0).decode("utf-8", "backslashreplace")


def difference(got: str, expected: str) -> str:
    """Where two outputs differ; empty when only in spaces at the ends of lines or in empty lines at the end."""
    got_lines, expected_lines = _lines(got), _lines(expected)
    for index in range(min(len(got_lines), len(expected_lines))):
        left, right = got_lines[index], expected_lines[index]
        if left != right:
            return f"line {index + 1}: got {_short(left, _SHOWN)!r}, expected {_short(right, _SHOWN)!r}"
    if len(got_lines) != len(expected_lines):
        return f"got {len(got_lines)} lines, expected {len(expected_lines)}"
    return ""


def _lines(text: str) -> list[str]:
    # only newlines end a line: str.splitlines would also cut at form feeds and at U+2028
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _short(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 3] + "..."
