"""Judge every canonical solution of MBPP+ by the rules of the task mbpp_plus, and print those that do not pass.

    python benchmarks/mbpp_plus.py mbppplus_v0.1.jsonl.gz [--workers 2]

Each solution answers its own task, so any failure is one of the comparison, of a limit, or of the data. Takes
one to three minutes with two processors.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evalkit import assets
from evalkit.core.ports import Sandbox
from evalkit.core.types import Completion, Execution, Prompt, Sample
from evalkit.sandboxes.docker import ADAPTER
from evalkit.scorers.code import CodeScorer
from evalkit.spec.load import load_task_file


def rows_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def scorer() -> CodeScorer:
    """The task's own scorer; only that the whole answer is the program is said here."""
    task = load_task_file(assets.folder("specs") / "tasks" / "mbpp_plus.yaml").task
    if task is None:
        raise SystemExit("the task file mbpp_plus.yaml cannot be read: evalkit check mbpp_plus")
    return CodeScorer({**task.scorer_options, "extract": "none"})


def failures(sandbox: Sandbox, judge: CodeScorer, rows: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each solution that did not pass."""
    waiting = []
    for row in rows:
        sample = Sample("mbpp_plus", row["task_id"], "code", "test", {}, Prompt(text=""), row)
        completion = Completion("k", row["canonical_solution"], "recorded", None, "")
        program = judge.program(sample, completion)
        waiting.append((sample, completion, sandbox.submit(program) if program else None))
    for sample, completion, future in waiting:
        result = future.result() if future else None
        if result is not None and not isinstance(result, Execution):
            yield f"{sample.id}: void, {result.reason}"
            continue
        score = judge.score(sample, completion, result)
        if score.outcome != "pass":
            yield f"{sample.id}: {score.error_class or score.outcome}, {score.reason or 'no reason'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", type=Path, help="MBPP+ as EvalPlus publishes it, .jsonl or .jsonl.gz")
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    rows, began = rows_of(chosen.tasks), time.perf_counter()
    sandbox = ADAPTER.open({"workers": chosen.workers}, print)
    try:
        failed = 0
        for line in failures(sandbox, scorer(), rows):
            failed += 1
            print(line, flush=True)
    finally:
        sandbox.close()
    print(f"{len(rows) - failed} of {len(rows)} canonical solutions pass ({time.perf_counter() - began:.0f} s)")


if __name__ == "__main__":
    main()
