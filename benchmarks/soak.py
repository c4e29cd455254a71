"""Many programs, honest and hostile by turns, and what they leave behind: nothing.

    python benchmarks/soak.py [--programs 100000] [--workers 2] [--every 10000] [--other 50] [--slow 500]

The programs are those of the adversarial set, in a seeded order: the quick honest ones, after every `--other` of them
one of the others, most of which are hostile, after every `--slow` one that only a time limit ends. Every class is
checked. Prints throughput and this
process' memory as it goes, then what is left: inside the containers before they are closed (processes, files, abstract
sockets), and outside after that (containers, child processes, threads, open files). Ends with 1 when a class was wrong,
something was void or left, or memory grew by more than `--growth` MiB after the first tenth.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Limits, Program, Void
from evalkit.sandboxes import engine, leftovers
from evalkit.sandboxes.docker import ADAPTER
from evalkit.sandboxes.self_test import Case, cases

_WINDOW = 64
_SEED = 1
_PROBES = 8
_PROBE = """
import json, os
def f():
    left = [os.path.join(place, name) for place in ('/tmp', '/dev/shm', '/dev/mqueue', '.')
            if os.path.isdir(place) and os.access(place, os.R_OK) for name in os.listdir(place)]
    uids = []
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            uids.append(os.stat(f'/proc/{pid}').st_uid)
        except OSError:
            pass
    sockets = [line.split()[7] for line in open('/proc/net/unix') if len(line.split()) > 7]
    print(json.dumps({'files': left, 'sockets': sockets, 'processes': len(uids)}))
    return True
"""


def endless(programs: list[Case], other: int, slow: int) -> Iterator[Case]:
    """Quick honest cases round and round, each round in another order, any other and a slow one now and then."""
    draw = random.Random(_SEED)
    slow_ones = [case for case in programs if "timeout" in case.expect]
    honest_ones = [case for case in programs if case.quick and case.expect == ("passed",)]
    other_ones = [case for case in programs if case not in slow_ones and case not in honest_ones]
    count = 0
    while True:
        draw.shuffle(honest_ones)
        for case in honest_ones:
            count += 1
            yield case
            if count % other == 0:
                yield draw.choice(other_ones)
            if count % slow == 0:
                yield draw.choice(slow_ones)


def probe(sandbox: Sandbox, workers: int) -> dict[str, Any]:
    """What a program sees of its container: the most of each kind over several programs at once."""
    limits = Limits(wall_s=30.0, cpu_s=5.0, memory_mb=256)
    program = Program("probe", _PROBE, ("assert f()",), entry_point="f", limits=limits)
    futures = [sandbox.submit(program) for _ in range(_PROBES * workers)]
    seen = []
    for future in futures:
        result = future.result()
        if not isinstance(result, Execution) or result.outcome != "passed":
            raise SystemExit(f"the probe did not pass: {result}")
        seen.append(json.loads(result.stdout))
    return {
        "files in containers": sorted({name for one in seen for name in one["files"]}),
        "sockets in containers": sorted({name for one in seen for name in one["sockets"]}),
        "processes in a container": max(one["processes"] for one in seen),
    }


def rss_mb() -> float:
    """This process' memory."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


def outside(client: Any) -> dict[str, Any]:
    """What this process holds outside of containers."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
    threads = sorted(thread.name for thread in threading.enumerate())
    containers = leftovers.mine(client)  # before the open files are counted: the client keeps its connection
    opened = len(os.listdir("/proc/self/fd"))
    return {"containers": containers, "children": children, "threads": threads, "open files": opened}


class Tally:
    """What came of the programs, and the lines that are printed about it."""

    def __init__(self, every: int, warm: int) -> None:
        self.wrong: Counter[str] = Counter()
        self.done = 0
        self.warm_mb = 0.0
        self._every = every
        self._warm = warm
        self._since = time.monotonic()

    def add(self, case: Case, result: Execution | Void) -> None:
        self.done += 1
        got = f"void: {result.reason}" if isinstance(result, Void) else result.outcome
        if got not in case.expect:
            self.wrong[f"{case.name}: {got}, expected {' or '.join(case.expect)}"] += 1
        if self.done == self._warm:
            self.warm_mb = rss_mb()
        if self.done % self._every == 0:
            now = time.monotonic()
            rate = self._every / (now - self._since)
            print(f"{self.done:>8} programs{rate:9.1f} /s{rss_mb():9.1f} MiB", flush=True)
            self._since = now


def run(sandbox: Sandbox, programs: int, tally: Tally, other: int, slow: int) -> None:
    """All programs, no more than a window of them at once."""
    waiting: deque[tuple[Case, Future[Execution | Void]]] = deque()
    for number, case in enumerate(endless(cases(), other, slow)):
        if number == programs:
            break
        if len(waiting) == _WINDOW:
            first, future = waiting.popleft()
            tally.add(first, future.result())
        waiting.append((case, sandbox.submit(msgspec.structs.replace(case.program, key=str(number)))))
    for case, future in waiting:
        tally.add(case, future.result())


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [f"{name}: {before[name]} before, {after[name]} after" for name in before if before[name] != after[name]]


def soak(chosen: argparse.Namespace) -> list[str]:
    """What was wrong."""
    client = engine.require()
    tally = Tally(chosen.every, max(1, chosen.programs // 10))
    opened_and_closed(chosen.workers)
    at_start = outside(client)
    sandbox = ADAPTER.open({"workers": chosen.workers}, print)
    try:
        inside = probe(sandbox, chosen.workers)
        run(sandbox, chosen.programs, tally, chosen.other, chosen.slow)
        grown = rss_mb() - tally.warm_mb
        found = differences(inside, probe(sandbox, chosen.workers))
    finally:
        sandbox.close()
    found += differences(at_start, outside(client))
    client.close()
    found += [f"{count} x {text}" for text, count in tally.wrong.items()]
    print(f"memory after the last program: {grown:+.1f} MiB since a tenth of them")
    if grown > chosen.growth:
        found.append(f"memory grew by {grown:.1f} MiB")
    return found


def opened_and_closed(workers: int) -> None:
    """What a first use leaves for good, such as imported modules, is no leak."""
    sandbox = ADAPTER.open({"workers": workers}, print)
    probe(sandbox, workers)
    sandbox.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=10_000, help="programs between two lines")
    parser.add_argument("--other", type=int, default=50, help="quick honest programs between two others")
    parser.add_argument("--slow", type=int, default=2000, help="programs between two that only a time limit ends")
    parser.add_argument("--growth", type=float, default=20.0, help="MiB that memory may grow by after the first tenth")
    found = soak(parser.parse_args())
    print("\n".join(found) or "nothing is left")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
