"""Six recorded runs on MBPP, judged again by the shipped spec: the verdicts of their record, and tables of them."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import openpyxl
import pytest

from evalkit.stats.passk import pass_at_k

_ROOT = Path(__file__).resolve().parents[2]
_DATA = _ROOT.parent / "shared" / "data"
_RUNS = _DATA / "golden/mbpp_runs"
# The shipped spec with one of its three splits: the others are judged in tests/docker.
_SPEC = f"""\
evalkit: 1
extends: {_ROOT}/specs/mbpp_runs.yaml
name: mbpp_validation
vars: {{runs: {_RUNS}}}
suites: {{splits: {{test: null, train: null}}}}
steps: {{runs: {{bench: splits, model: recorded, policy: runs}}}}
"""


@pytest.fixture
def done(project: Any, need: Callable[[str], None]) -> Any:
    """The project after the run."""
    need("docker")
    need("data")
    project.write({"spec.yaml": _SPEC})
    run = project.evalkit("run", "spec.yaml", "--data", str(_DATA))
    assert run.code == 0, run.err
    return project


@pytest.mark.docker
@pytest.mark.network
def test_recorded_runs(done: Any) -> None:
    """Passes of each run, pass@k over runs, tokens and endings as recorded, levels from elsewhere; the workbook."""
    expected = json.loads((_RUNS / "expected.json").read_text("utf-8"))
    recorded = []
    for number in range(1, 7):
        with gzip.open(_RUNS / f"run_{number:02d}.jsonl.gz", "rt", encoding="utf-8") as stream:
            recorded += [row for row in map(json.loads, stream) if row["split"] == "validation"]
    metrics = done.results()["steps"]["runs"]["all"]["metrics"]

    passed = [expected["runs"][f"{number:02d}"]["by_split_strict"]["validation"] for number in range(1, 7)]
    assert passed == [[one["passed"], one["judged"]] for one in metrics["by_answer"]]
    counts = Counter({row["task_id"]: 0 for row in recorded})
    counts.update(row["task_id"] for row in recorded if row["strict"] == "passed")
    found = {k: rate["score"] for k, rate in metrics["pass@k"].items()}
    assert {k: fmean(pass_at_k(6, c, int(k)) for c in counts.values()) for k in ("1", "2", "5")} == pytest.approx(found)
    assert metrics["tokens"] == {
        name: sum(row[f"{name}_tokens"] for row in recorded) for name in ("prompt", "completion")
    }
    assert metrics["truncated"] == sum(row["finish_reason"] == "length" for row in recorded)
    levels = done.results()["steps"]["runs"]["groups"]["difficulty"]
    assert {"easy", "medium", "hard", "not rated"} == set(levels)
    assert levels["easy"]["score"] > levels["hard"]["score"]
    _check_workbook(done, recorded)


def _check_workbook(done: Any, recorded: list[dict[str, Any]]) -> None:
    exported = done.evalkit("export", "last", "--to", "xlsx", "--into", "runs.xlsx")
    assert (0, "wrote runs.xlsx\n") == (exported.code, exported.out), exported.err
    book = openpyxl.load_workbook(done.path / "runs.xlsx", read_only=True)
    header, *answers = book["Answers"].iter_rows(values_only=True)
    verdicts = {(row[header.index("id")], row[header.index("sample")]): row[header.index("pass")] for row in answers}
    assert verdicts == {(str(row["task_id"]), int(row["run"]) - 1): row["strict"] == "passed" for row in recorded}
    assert 91 == sum(1 for _ in book["Pivot"].iter_rows())
