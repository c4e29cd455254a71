"""Programs per second of the sandbox, beside one `docker run --rm` per program.

    python benchmarks/sandbox.py [--tasks HumanEval.jsonl.gz] [--workers 2] [--rounds 3] [--containers 8]

Without a task file the honest programs of the adversarial set are used. Rounds are interleaved; medians are printed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evalkit.core.types import Completion, Program, Prompt, Sample
from evalkit.sandboxes import engine, image
from evalkit.sandboxes.docker import ADAPTER
from evalkit.sandboxes.self_test import cases
from evalkit.scorers.code import CodeScorer

_OPTIONS = {"style": "humaneval", "prompt": "prompt", "tests": "test", "entry_point": "entry_point"}


def programs(path: Path | None) -> list[Program]:
    """The canonical solutions of a HumanEval file, or our honest programs."""
    if path is None:
        return [case.program for case in cases() if case.expect == ("passed",)]
    scorer = CodeScorer(_OPTIONS)
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    found = []
    for row in rows:
        sample = Sample("humaneval", row["task_id"], "code", "test", {}, Prompt(text=""), row)
        found.append(scorer.program(sample, Completion("k", row["canonical_solution"], "recorded", None, "")))
    return [program for program in found if program is not None]


def rate(run: Callable[[], int]) -> float:
    """Programs per second of one round."""
    began = time.perf_counter()
    return run() / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--containers", type=int, default=8, help="`docker run` per round")
    chosen = parser.parse_args()
    todo = programs(chosen.tasks)
    sandbox = ADAPTER.open({"workers": chosen.workers}, print)
    client = engine.require()
    name = image.require(client, {})

    def ours() -> int:
        results = [future.result() for future in [sandbox.submit(program) for program in todo]]
        wrong = [result for result in results if getattr(result, "outcome", "void") != "passed"]
        if wrong:
            raise SystemExit(f"not passed: {wrong[0]}")
        return len(results)

    def one_container(_: int) -> None:
        client.containers.run(name, ["-c", "pass"], entrypoint="python3", remove=True, network_mode="none")

    def docker_run() -> int:
        with ThreadPoolExecutor(chosen.workers) as threads:
            list(threads.map(one_container, range(chosen.containers)))
        return chosen.containers

    try:
        ours()  # containers start here
        found = [(rate(ours), rate(docker_run)) for _ in range(chosen.rounds)]
    finally:
        sandbox.close()
        client.close()
    mine, theirs = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"{len(todo)} programs, {chosen.workers} workers, median of {chosen.rounds} interleaved rounds")
    print(f"  docker run --rm per program  {theirs:8.1f} /s")
    print(f"  evalkit sandbox              {mine:8.1f} /s   {mine / theirs:.0f} x")


if __name__ == "__main__":
    main()
