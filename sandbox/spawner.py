"""PID 1 of the container: hands out disposable processes and cleans up after them.

It is the only one that is root (with SETUID, SETGID, KILL, CHOWN and nothing else). It never sees a job, an answer or a
verdict: the runner asks for a process (b"A") and later says that it is done with it (b"F").
"""

from __future__ import annotations

import _socket
import gc
import os
import resource
import signal
import socket
import struct
import sys

from . import candidate, confinement, inherit, rehearsal, report, runner, sweeping

_UIDS = 50_000
_ENVIRONMENT = {"HOME": "/tmp", "TMPDIR": "/tmp", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_ENVIRONMENT.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")  # threads are rationed
_PACKAGES = "/opt/evalkit-packages"
_FDS = struct.Struct("iii")
_OUTPUT = "/dev/shm"  # its size is limited; memory files are not, and programs may not make them
_KEPT_WARM = (
    "array, bisect, cmath, collections, contextlib, copy, datetime, decimal, enum, fractions, functools, hashlib, "
    "heapq, itertools, json, math, numbers, operator, random, re, statistics, string, struct, sys, textwrap, "
    "time, typing, unicodedata"
)


class _Child:
    """A process that waits for a program: its pid, cell, and our ends of its channel and output."""

    __slots__ = ("_channel", "_err", "_out", "cell", "pid")

    def __init__(self, cell: confinement.Cell, standing: candidate.Standing) -> None:
        self.cell = cell
        self._channel, theirs = _socket.socketpair()  # without the classes of `socket`: less memory is touched
        self._out, self._err = _output(), _output()
        self.pid = cell.fork()
        if self.pid == 0:
            standing.run(cell, theirs.fileno(), self._out, self._err)
        theirs.close()

    def hand_over(self, control: socket.socket) -> None:
        fds = _FDS.pack(self._channel.fileno(), self._out, self._err)
        told = report.pack_ready(report.Ready(self.pid, self.cell.uid))
        control.sendmsg([told], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        self._channel.close()
        os.close(self._out)
        os.close(self._err)


class _Spawner:
    def __init__(
        self, control: socket.socket, runner_pid: int, cells: confinement.Confinement, standing: candidate.Standing
    ) -> None:
        self._control = control
        self._cells = cells
        self._standing = standing
        self._runner_pid = runner_pid
        self._first_uid = 0
        self._count = 0
        self._oom_file = _oom_file()
        self._oom_seen = _oom_kills(self._oom_file)

    def serve(self, first_uid: int) -> None:
        """Until the runner goes away. The next process is forked while the runner sees to the last one's result."""
        self._first_uid = first_uid
        spare = self._fresh()
        current: _Child | None = None
        while True:
            message = self._control.recv(16)
            if message == b"A" and current is None:
                current = spare
                current.hand_over(self._control)
            elif message == b"F" and current is not None:
                end = self._finish(current)
                self._control.send(report.pack_end(end))
                if not end.clean:
                    self._control.recv(16)  # the runner has a result to write first
                    return
                spare, current = self._fresh(), None
            else:
                return

    def _fresh(self) -> _Child:
        self._count = (self._count + 1) % _UIDS
        return _Child(self._cells.cell(self._first_uid + self._count), self._standing)

    def _finish(self, child: _Child) -> report.End:
        try:  # a context manager of contextlib would touch a dozen pages more
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has not come to its `setsid` yet, or has ended
            os.kill(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        left, clean = child.cell.sweep({1, self._runner_pid})
        sweeping.reap()
        oom = _oom_kills(self._oom_file)
        end = report.End(
            status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, left, oom > self._oom_seen, clean
        )
        self._oom_seen = oom
        return end


def _output() -> int:
    fd = os.open(_OUTPUT, os.O_TMPFILE | os.O_EXCL | os.O_RDWR, 0o600)
    os.fchmod(fd, 0o666)  # for programs that open /dev/stdout
    return fd


def _oom_file() -> int | None:
    """Where the kernel counts what it killed for memory (cgroup v2, v1); None where it does not say."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            return os.open(path, os.O_RDONLY)
        except OSError:
            continue
    return None


def _oom_kills(counted: int | None) -> int:
    """Read by descriptor and as bytes: a text file's objects would be a fifth of what the spawner touches."""
    if counted is None:
        return 0
    try:
        _, _, rest = os.pread(counted, 512, 0).partition(b"oom_kill ")
    except OSError:
        return 0
    return int(rest.split(None, 1)[0]) if rest else 0


def _warm_up() -> candidate.Standing:
    """Do once what each program would do alike: after a fork every page that is touched is a page copied."""
    for name in _KEPT_WARM.split(", "):
        __import__(name)
    rehearsal.rehearse()
    sys.path[:] = [place for place in sys.path if place not in ("", os.getcwd(), os.environ.get("PYTHONPATH"))]
    if os.path.isdir(_PACKAGES):  # after the standard library, before what the base image has
        sites = [n for n, place in enumerate(sys.path) if place.endswith(("site-packages", "dist-packages"))]
        sys.path.insert(min(sites, default=len(sys.path)), _PACKAGES)
        _ENVIRONMENT["PYTHONPATH"] = _PACKAGES  # for programs that start another Python
    sys.argv[:] = ["program"]
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
    standing = candidate.Standing()
    inherit.page_tables()
    gc.collect()
    gc.freeze()
    gc.disable()
    return standing


def _start_runner(control: socket.socket, kept: socket.socket, cells: confinement.Confinement) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            kept.close()
            os.setsid()
            cells.become_runner()
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            runner.run(control, candidate.FILE_BYTES)
        finally:
            os._exit(1)
    return pid


def main() -> None:
    """Start the runner, give it stdin and stdout, serve it."""
    cells = confinement.choose()
    first_uid = int(os.environ.get("EVALKIT_FIRST_UID", "100000"))  # before the environment is the programs'
    standing = _warm_up()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = _start_runner(theirs, ours, cells)
    theirs.close()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    _Spawner(ours, pid, cells, standing).serve(first_uid)


if __name__ == "__main__":
    main()
