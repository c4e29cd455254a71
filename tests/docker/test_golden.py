"""Published programs with known verdicts, judged again."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import pytest

from evalkit import assets
from evalkit.core.ports import Sandbox
from evalkit.core.types import Completion, Execution, Prompt, Sample, Score
from evalkit.sandboxes.docker import ADAPTER
from evalkit.scorers.code import CodeScorer
from evalkit.stats.passk import pass_at_k
from evalkit.tasks.sampling import draw

_DATA = Path(__file__).parents[2].resolve().parent / "shared" / "data"
# Below the 3, 8 and 12 s of the records: no program that passes needs 0.2 s, and what never ends costs most of these
# tests' time.
_LIMITS = {"wall_s": 60.0, "cpu_s": 2.0}
_HUMANEVAL = {"style": "humaneval", "prompt": "prompt", "tests": "test", "entry_point": "entry_point"}
_LIFT18 = assets.folder("specs") / "data" / "lift18.jsonl"
_ASSERTS = {"style": "asserts", "tests": "test_list", "limits": _LIMITS}


class Judged(NamedTuple):
    """A published answer and what came of it here. `execution` is None where there was no code."""

    published: dict[str, Any]
    score: Score
    execution: Execution | None

    @property
    def passed(self) -> bool:
        return self.score.outcome == "pass"


class Answer(NamedTuple):
    """The task's row, the text to judge, and the row of the golden set."""

    row: dict[str, Any]
    text: str
    published: dict[str, Any]


def load(name: str) -> Any:
    path = _DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    if name.endswith(".json"):
        return json.loads(path.read_text("utf-8"))
    with gzip.open(path, "rt", encoding="utf-8") if name.endswith(".gz") else path.open(encoding="utf-8") as stream:
        return json.load(stream) if name.endswith(".json.gz") else [json.loads(line) for line in stream]


def rejudge(sandbox: Sandbox, options: dict[str, Any], answers: Iterable[Answer]) -> list[Judged]:
    """Every answer, all at once, by the scorer as a run would use it; none may be void."""
    scorer = CodeScorer({"limits": _LIMITS, **options})
    waiting = []
    for answer in answers:
        sample = Sample("golden", str(answer.row["task_id"]), "code", "test", {}, Prompt(text=""), answer.row)
        completion = Completion("k", answer.text, "recorded", None, "")
        program = scorer.program(sample, completion)
        waiting.append((answer, sample, completion, program and sandbox.submit(program)))
    found = []
    for answer, sample, completion, future in waiting:
        result = future.result(300) if future else None
        assert result is None or isinstance(result, Execution), result
        found.append(Judged(answer.published, scorer.score(sample, completion, result), result))
    return found


def wrong(judged: Iterable[Judged], field: str) -> list[object]:
    """The tasks whose verdict is not the one in `field`."""
    return [
        (one.published["task_id"], one.published[field], one.score)
        for one in judged
        if one.passed != bool(one.published[field])
    ]


# -- references --------------------------------------------------------------------------------------------------------


def test_humaneval_references(sandbox: Sandbox) -> None:
    """All 164 canonical solutions pass, as completions of their prompt."""
    tasks = load("humaneval/HumanEval.jsonl.gz")
    judged = rejudge(sandbox, _HUMANEVAL, [Answer(row, row["canonical_solution"], row) for row in tasks])
    assert [one.published["task_id"] for one in judged if not one.passed] == []
    assert len(judged) == 164


@pytest.mark.parametrize(
    ("name", "setup", "n"),
    [("mbpp/mbpp.jsonl.gz", "test_setup_code", 974), ("mbpp/sanitized-mbpp.json.gz", "test_imports", 427)],
)
def test_mbpp_references(name: str, setup: str, n: int, sandbox: Sandbox) -> None:
    """Every reference solution of MBPP passes all its asserts."""
    options = {**_ASSERTS, "setup": setup, "extract": "none", "limits": {"wall_s": 60.0, "cpu_s": 20.0}}
    judged = rejudge(sandbox, options, [Answer(row, row["code"], row) for row in load(name)])
    assert [(one.published["task_id"], one.score) for one in judged if not one.passed] == []
    assert n == len(judged)


# -- greedy answers ----------------------------------------------------------------------------------------------------

_SAMPLES = {
    "evalplus_llama3_8b_instruct": 105,
    "evalplus_llama3_8b": 45,
    "evalplus_mistral_7b_instruct": 74,
    "wizardcoder_15b": 98,
    "ldb_gpt35_0613": 123,
}


@pytest.mark.parametrize("name", _SAMPLES)
def test_humaneval_samples(name: str, sandbox: Sandbox) -> None:
    """Every one of the 164 published verdicts (with the prompt's preamble) is reproduced."""
    tasks = {row["task_id"]: row for row in load("humaneval/HumanEval.jsonl.gz")}
    published = load(f"golden/humaneval_samples/{name}.jsonl.gz")
    assert {"solution"} == {row["kind"] for row in published}
    answers = [Answer(tasks[row["task_id"]], row["code"], row) for row in published]
    judged = rejudge(sandbox, {**_HUMANEVAL, "extract": "none"}, answers)
    assert wrong(judged, "pass_with_preamble") == []
    assert _SAMPLES[name] == sum(one.passed for one in judged)


@pytest.mark.parametrize(("name", "n"), [("llama3_8b_instruct", 247), ("mistral_7b_instruct", 170)])
def test_mbpp_solutions(name: str, n: int, sandbox: Sandbox) -> None:
    """Every published solution of the EvalPlus subset gets the verdict of the sanitized asserts."""
    tasks = {row["task_id"]: row for row in load("mbpp/sanitized-mbpp.json.gz")}
    published = load(f"golden/mbpp_solutions/{name}.jsonl.gz")
    answers = [Answer(tasks[int(str(row["task_id"]).rpartition("/")[2])], row["code"], row) for row in published]
    judged = rejudge(sandbox, {**_ASSERTS, "setup": "test_imports", "extract": "none"}, answers)
    assert wrong(judged, "sanitized_pass") == []
    assert n == sum(one.passed for one in judged)


# -- six sampled runs --------------------------------------------------------------------------------------------------

_RUNS = {"01": 437, "02": 423, "03": 420, "04": 396, "05": 430, "06": 431}
_CLASSES = {
    "passed": {"passed"},
    "failed": {"wrong_answer", "runtime_error"},
    "error": {"syntax_error", "runtime_error", "no_code"},
    # What ended the recorded program after 8 s may end itself, wrongly, just before this limit.
    "timeout": {"timeout", "wrong_answer", "runtime_error"},
}


# Its asserts in `if __name__ == "__main__":` failed in the record; here a program is a module, and the tests fail.
_MAIN_BLOCK = ("04", 674)


@pytest.fixture(scope="module")
def sandbox_with_numpy(client: object) -> Iterator[Sandbox]:
    """Like the image of the record: five answers of the six runs import numpy, and three of them are right."""
    pool = ADAPTER.open({"workers": 2, "packages": ["numpy==2.2.6"]}, print)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def runs(sandbox_with_numpy: Sandbox) -> dict[str, list[Judged]]:
    """All answers of all runs at once, so that a program that never ends holds nobody up."""
    tasks = {row["task_id"]: row for row in load("mbpp/mbpp.jsonl.gz")}
    rows = [row for run in _RUNS for row in load(f"golden/mbpp_runs/run_{run}.jsonl.gz")]
    options = {**_ASSERTS, "setup": "test_setup_code", "extract": "closed_blocks"}
    answers = [Answer(tasks[row["task_id"]], row["response"], row) for row in rows]
    judged = rejudge(sandbox_with_numpy, options, answers)
    return {run: [one for one in judged if one.published["run"] == run] for run in _RUNS}


@pytest.mark.network
@pytest.mark.parametrize("run", _RUNS)
def test_mbpp_run(run: str, runs: dict[str, list[Judged]]) -> None:
    """Each of the 964 answers has the recorded verdict, class and number of passed tests."""
    judged = runs[run]
    assert len(judged) == 964
    odd = []
    for one in judged:
        recorded = one.published["strict"]
        count = one.score.tests_passed or 0
        same_tests = recorded == "timeout" or one.published["tests_passed"] == count
        known = {"wrong_answer"} if (run, one.published["task_id"]) == _MAIN_BLOCK else _CLASSES[recorded]
        if (one.score.error_class or "passed") not in known or not same_tests:
            odd.append((one.published["task_id"], recorded, one.published["tests_passed"], one.score))
    assert odd == []
    assert _RUNS[run] == sum(one.passed for one in judged)


@pytest.mark.network
@pytest.mark.parametrize("run", _RUNS)
def test_mbpp_run_against_its_publisher(run: str, runs: dict[str, list[Judged]]) -> None:
    """The verdicts that differ from the publisher's own are the documented ones: an assert's message that was read as
    part of a tuple, which is always true."""
    differ = [
        [one.published["task_id"], one.published["published_passed"], one.published["strict"]]
        for one in runs[run]
        if one.passed != one.published["published_passed"]
    ]
    assert load("golden/mbpp_runs/expected.json")["runs"][run]["differ"] == differ


@pytest.mark.network
def test_mbpp_runs_pass_at_k(runs: dict[str, list[Judged]]) -> None:
    """Passes by run and split, passes of each task, and the unbiased pass@k of six runs."""
    expected = load("golden/mbpp_runs/expected.json")
    passes: dict[str, int] = {}
    for run, judged in runs.items():
        splits: dict[str, list[int]] = {}
        for one in judged:
            passes[str(one.published["task_id"])] = passes.get(str(one.published["task_id"]), 0) + one.passed
            counts = splits.setdefault(one.published["split"], [0, 0])
            counts[0] += one.passed
            counts[1] += 1
        assert expected["runs"][run]["by_split_strict"] == splits
    assert expected["per_task_c_strict"] == passes
    found = {str(k): fmean(pass_at_k(6, c, k) for c in passes.values()) for k in (1, 2, 3, 5, 6)}
    assert found == pytest.approx(expected["pass_at_k_strict"], abs=1e-12)


# -- wrong in known ways -----------------------------------------------------------------------------------------------

_ENDINGS = {
    "passed": {None},
    "failed": {"wrong_answer"},
    "missing": {"runtime_error"},  # another function is defined
    "syntax": {"syntax_error"},
    "timeout": {"timeout"},
}


def statement(function: str, test: dict[str, Any]) -> str:
    """A recorded pair of arguments and result as an assert statement."""
    expected = tuple(test["expected"]) if test["expected_type"] == "tuple" else test["expected"]
    same = "is" if expected is None or isinstance(expected, bool) else "=="
    return f"assert {function}({', '.join(map(repr, test['args']))}) {same} {expected!r}"


def test_lift18_candidates(sandbox: Sandbox) -> None:
    """30 candidates of 18 functions end as recorded, with as many of the 88 recorded pairs right; and by the tests that
    ship, which are others, the same candidates pass."""
    recorded = {row["name"]: row for row in load("lift18/cases.jsonl")}
    shipped = {row["id"]: row for row in map(json.loads, _LIFT18.read_text("utf-8").splitlines())}
    assert (18, 88) == (len(shipped), sum(len(row["tests"]) for row in recorded.values()))
    assert {name: (row["function"], row["category"], row["complexity"]) for name, row in recorded.items()} == {
        name: (row["function"], row["category"], row["complexity"]) for name, row in shipped.items()
    }
    candidates = [{**row, "task_id": f"{row['name']}/{row['candidate']}"} for row in load("lift18/candidates.jsonl")]
    options = {"style": "asserts", "tests": "tests", "entry_point": "function"}

    def judged(rows: dict[str, dict[str, Any]]) -> list[Judged]:
        answers = [
            Answer({**rows[row["name"]], "task_id": row["name"]}, f"```python\n{row['code']}```", row)
            for row in candidates
        ]
        return rejudge(sandbox, options, answers)

    pairs = {
        name: {**row, "tests": [statement(row["function"], test) for test in row["tests"]]}
        for name, row in recorded.items()
    }
    for one in (found := judged(pairs)):
        known = one.published
        assert one.score.error_class in _ENDINGS[known["outcome"]], (known, one.score)
        if known["outcome"] != "timeout":
            assert (known["tests_passed"], known["tests_total"]) == (one.score.tests_passed or 0, known["tests_total"])
    assert (30, []) == (len(found), wrong(found, "passed"))
    assert [] == wrong(judged(shipped), "passed")


# -- a hundred samples a task ------------------------------------------------------------------------------------------

_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")


def cut(text: str) -> str:
    """The answer up to the first stop sequence, as the generation would have ended."""
    return text[: min((text.find(stop) for stop in _STOPS if stop in text), default=len(text))]


def test_codegen_samples(sandbox: Sandbox) -> None:
    """The recorded verdict of each of 2,000 samples; with the recorded counts of the other tasks, the set's pass@k."""
    expected = load("golden/codegen16b_humaneval/expected.json")
    tasks = {row["task_id"]: row for row in load("humaneval/HumanEval.jsonl.gz")}
    answers = []
    for row in load("golden/codegen16b_humaneval/samples.jsonl.gz"):
        task = {**tasks[row["task_id"]], "prompt": row["prompt"]}
        for index, (text, passed) in enumerate(zip(row["samples"], row["passed"], strict=True)):
            answers.append(Answer(task, cut(text), {"task_id": row["task_id"], "sample": index, "passed": passed}))
    judged = rejudge(sandbox, {**_HUMANEVAL, "extract": "none"}, answers)
    assert len(judged) == 2000
    assert wrong(judged, "passed") == []
    passes = {name: 0 for name in expected["samples_passed"]}
    for one in judged:
        passes[one.published["task_id"]] += one.passed
    assert expected["samples_passed"] == passes
    counts = {**expected["n_c"], **{name: [100, c] for name, c in passes.items()}}
    found = {k: fmean(pass_at_k(n, c, int(k)) for n, c in counts.values()) for k in expected["pass_at_k"]}
    assert found == pytest.approx(expected["pass_at_k"], abs=1e-12)


# -- many inputs against a reference -----------------------------------------------------------------------------------

_PLUS = {
    "style": "reference",
    "tests": ["base_input", "plus_input"],
    "reference": "canonical_solution",
    "entry_point": "entry_point",
    "atol": "atol",
    "values": "mbpp_plus",
    "limits": {"wall_s": 60.0, "cpu_s": 20.0},
}


@pytest.fixture(scope="module")
def some_of_mbpp_plus() -> dict[str, dict[str, Any]]:
    """Twenty of the 399 tasks, drawn by a seed; all of them take some three minutes."""
    tasks = {row["task_id"]: row for row in load("mbppplus/mbppplus_v0.1.jsonl.gz")}
    assert 399 == len(tasks)
    return {name: tasks[name] for name in draw(dict.fromkeys(tasks, ""), 20, seed="0", task="mbpp_plus")}


def test_mbpp_plus_references(sandbox: Sandbox, some_of_mbpp_plus: dict[str, dict[str, Any]]) -> None:
    """The reference agrees with itself on every input, by each rule of comparison."""
    answers = [Answer(row, row["canonical_solution"], row) for row in some_of_mbpp_plus.values()]
    judged = rejudge(sandbox, {**_PLUS, "extract": "none"}, answers)
    assert [(one.published["task_id"], one.score, one.execution) for one in judged if not one.passed] == []
    assert 20 == len(judged)


@pytest.mark.parametrize("name", ["llama3_8b_instruct", "mistral_7b_instruct"])
def test_mbpp_plus_verdicts(name: str, sandbox: Sandbox, some_of_mbpp_plus: dict[str, dict[str, Any]]) -> None:
    """EvalPlus's own verdicts on published answers to the same tasks."""
    published = {f"Mbpp/{row['task_id']}": row for row in load(f"golden/mbpp_solutions/{name}.jsonl.gz")}
    answers = [
        Answer(row, published[task]["code"], published[task])
        for task, row in some_of_mbpp_plus.items()
        if task in published
    ]
    judged = rejudge(sandbox, {**_PLUS, "extract": "evalplus"}, answers)
    assert wrong(judged, "published_plus_pass") == []
    assert len(judged) > 15
