"""Published programs with known verdicts, judged again.

`humaneval_samples` was judged where numpy was present; none of its 820 programs imports it, so an image without it
gives the same verdicts.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.ports import Sandbox
from evalkit.core.types import Completion, Execution, Prompt, Sample, Void
from evalkit.scorers.code import CodeScorer

_DATA = Path(__file__).parents[2].resolve().parent / "shared" / "data"
_LIMITS = {"wall_s": 60.0, "cpu_s": 10.0}
_HUMANEVAL = {
    "style": "humaneval",
    "prompt": "prompt",
    "tests": "test",
    "entry_point": "entry_point",
    "limits": _LIMITS,
}
_FILES = {
    "evalplus_llama3_8b_instruct": 105,
    "evalplus_llama3_8b": 45,
    "evalplus_mistral_7b_instruct": 74,
    "wizardcoder_15b": 98,
    "ldb_gpt35_0613": 123,
}


def rows(name: str) -> list[dict[str, Any]]:
    path = _DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        found = json.load(stream) if name.endswith(".json.gz") else [json.loads(line) for line in stream]
    return list(found)


def verdicts(sandbox: Sandbox, options: dict[str, Any], answers: list[tuple[dict[str, Any], str]]) -> list[str]:
    """pass, fail or void of each (row, answer), by the scorer as a run would use it."""
    scorer = CodeScorer(options)
    open_ones = []
    for row, text in answers:
        sample = Sample("golden", str(row["task_id"]), "code", "test", {}, Prompt(text=""), row)
        completion = Completion("k", text, "recorded", None, "")
        program = scorer.program(sample, completion)
        open_ones.append((sample, completion, program and sandbox.submit(program)))
    found = []
    for sample, completion, future in open_ones:
        result: Execution | Void | None = future.result(300) if future else None
        found.append(result.reason if isinstance(result, Void) else scorer.score(sample, completion, result).outcome)
    return found


@pytest.mark.parametrize("name", _FILES)
def test_humaneval_samples(name: str, sandbox: Sandbox) -> None:
    """Every one of the 164 published verdicts (with the prompt's preamble) is reproduced."""
    tasks = {row["task_id"]: row for row in rows("humaneval/HumanEval.jsonl.gz")}
    published = rows(f"golden/humaneval_samples/{name}.jsonl.gz")
    answers = [(tasks[row["task_id"]], row["code"]) for row in published]
    assert {"solution"} == {row["kind"] for row in published}
    found = verdicts(sandbox, {**_HUMANEVAL, "extract": "none"}, answers)
    assert ["pass" if row["pass_with_preamble"] else "fail" for row in published] == found
    assert _FILES[name] == found.count("pass")


def test_humaneval_references(sandbox: Sandbox) -> None:
    """All 164 canonical solutions pass, as completions of their prompt."""
    tasks = rows("humaneval/HumanEval.jsonl.gz")
    found = verdicts(sandbox, _HUMANEVAL, [(row, row["canonical_solution"]) for row in tasks])
    assert [row["task_id"] for row, outcome in zip(tasks, found, strict=True) if outcome != "pass"] == []


@pytest.mark.parametrize(
    ("name", "setup", "n"),
    [("mbpp/mbpp.jsonl.gz", "test_setup_code", 974), ("mbpp/sanitized-mbpp.json.gz", "test_imports", 427)],
)
def test_mbpp_references(name: str, setup: str, n: int, sandbox: Sandbox) -> None:
    """Every reference solution of MBPP passes all its asserts."""
    tasks = rows(name)
    assert n == len(tasks)
    options = {"style": "asserts", "tests": "test_list", "setup": setup, "extract": "none", "limits": _LIMITS}
    found = verdicts(sandbox, options, [(row, row["code"]) for row in tasks])
    assert [(row["task_id"], got) for row, got in zip(tasks, found, strict=True) if got != "pass"] == []


@pytest.mark.parametrize(("name", "n"), [("llama3_8b_instruct", 247), ("mistral_7b_instruct", 170)])
def test_mbpp_solutions(name: str, n: int, sandbox: Sandbox) -> None:
    """Every published solution of the EvalPlus subset gets the verdict of the sanitized asserts."""
    tasks = {row["task_id"]: row for row in rows("mbpp/sanitized-mbpp.json.gz")}
    published = rows(f"golden/mbpp_solutions/{name}.jsonl.gz")
    options = {"style": "asserts", "tests": "test_list", "setup": "test_imports", "extract": "none", "limits": _LIMITS}
    answers = [(tasks[int(str(row["task_id"]).rpartition("/")[2])], row["code"]) for row in published]
    found = verdicts(sandbox, options, answers)
    assert ["pass" if row["sanitized_pass"] else "fail" for row in published] == found
    assert n == found.count("pass")
