"""How long evalkit takes to start: wall time of whole processes, medians, interleaved with bare Python.

    python benchmarks/startup.py

Prints one line a command. The house limits are 150 ms for `--help` and 500 ms for `check` (CPU time of the process).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

_RUNS = 11
_SPECS = sorted(str(path) for path in (Path(__file__).resolve().parent.parent / "specs").glob("*.yaml"))
_COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "evalkit --help": [sys.executable, "-m", "evalkit", "--help"],
    "evalkit check specs/*.yaml": [sys.executable, "-m", "evalkit", "check", *_SPECS],
}


def measure(command: list[str]) -> tuple[float, float]:
    """Wall and CPU milliseconds of one process."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    start = time.perf_counter()
    process = os.posix_spawn(
        command[0],
        command,
        dict(os.environ),
        file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)],
    )
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - start
    os.close(quiet)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in _COMMANDS}
    for _ in range(_RUNS + 1):
        for name, command in _COMMANDS.items():
            results[name].append(measure(command))
    print(f"{'command':<28} {'wall ms':>8} {'cpu ms':>8}   (medians of {_RUNS}, first run left out)")
    for name, times in results.items():
        wall, cpu = (statistics.median(column) for column in zip(*times[1:], strict=True))
        print(f"{name:<28} {wall:>8.0f} {cpu:>8.0f}")


if __name__ == "__main__":
    main()
