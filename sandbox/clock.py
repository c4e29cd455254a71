"""When a program's time is up: processor time, and a wall clock that does not run while others have the processor."""

from __future__ import annotations

import os
import time

LONGEST_STRETCH = 9.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SHORTEST_LOOK_S = 0.02


class Clock:
    """The time limits of one run.

    The wall clock is for programs that sleep or wait. On a busy machine a program also waits for a processor, which is
    no fault of its own: the kernel counts that time (`/proc/PID/schedstat`), and it is added to the limit, up to
    LONGEST_STRETCH times the limit. A program that has had its processor time, in whatever processes, gets nothing.
    """

    def __init__(self, program_pid: int, judge_pid: int, wall_s: float, cpu_s: float) -> None:
        self._program_pid = program_pid
        self._judge_pid = judge_pid
        self._judge_waited_s = _waited_s(judge_pid)
        self._wall_s = wall_s
        self._cpu_s = cpu_s
        self._next_look_s = cpu_s
        self._began = time.monotonic()

    def passed_s(self) -> float:
        """Seconds of wall clock."""
        return time.monotonic() - self._began

    def left_s(self) -> float:
        """Seconds until this clock must be asked again; 0 or less: the wall clock's time is up."""
        left = self._wall_s - self.passed_s()
        if left <= 0 and self._others_cpu_s() < self._cpu_s:
            left += min(self._waiting_s(), LONGEST_STRETCH * self._wall_s)
        return left if left <= 0 else min(left, max(_SHORTEST_LOOK_S, self._next_look_s - self.passed_s()))

    def out_of_cpu(self) -> bool:
        """True when the program has used more than its processor time. Looks only when that is possible."""
        if self.passed_s() < self._next_look_s:
            return False
        used = cpu_s(self._program_pid)
        if used is None:
            return False
        self._next_look_s = self.passed_s() + max(_SHORTEST_LOOK_S, self._cpu_s - used)
        return used > self._cpu_s

    def _waiting_s(self) -> float:
        """How long program and judge stood ready without a processor. They take turns, so the two add up."""
        judge_s = _waited_s(self._judge_pid) - self._judge_waited_s
        return _waited_s(self._program_pid) + max(0.0, judge_s)

    def _others_cpu_s(self) -> float:
        """Processor seconds of all that is neither spawner, runner nor judge: the program's processes."""
        ours = (1, os.getpid(), self._judge_pid)
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) not in ours]
        return sum(cpu_s(pid) or 0.0 for pid in pids)


def _waited_s(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/schedstat", "rb") as stream:
            return int(stream.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # ended, or a kernel that does not count
        return 0.0


def cpu_s(pid: int) -> float | None:
    """Processor seconds of a process, its threads and the children it waited for; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return sum(map(int, fields[11:15])) / _TICKS_PER_S
