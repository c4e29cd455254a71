"""PID 1 of the container: hands out disposable processes and cleans up after them.

It is the only one that is root (with SETUID, SETGID, KILL, CHOWN and nothing else). It never sees a job, an answer or a
verdict: the runner asks for a process (b"A") and later says that it is done with it (b"F").
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import socket
import sys

from . import candidate, runner, sweeping

_RUNNER_UID = 1000
_UIDS = 50_000
_ENVIRONMENT = {"HOME": "/tmp", "TMPDIR": "/tmp", "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
_WORK = "/work"
_OUTPUT = "/dev/shm"  # its size is limited; memory files are not, and programs may not make them
_KEPT_WARM = (
    "array, bisect, cmath, collections, contextlib, copy, datetime, decimal, enum, fractions, functools, hashlib, "
    "heapq, itertools, json, math, numbers, operator, random, re, statistics, string, struct, sys, textwrap, "
    "threading, time, typing, unicodedata"
)


class _Child:
    """A process that waits for a program: its pid, uid, folder, and our ends of its channel and output."""

    def __init__(self, uid):
        self.uid = uid
        self.folder = f"{_WORK}/{uid}"
        os.mkdir(self.folder, 0o700)
        os.chown(self.folder, uid, uid)
        ours, theirs = socket.socketpair()
        self.out, self.err = _output(), _output()
        self.channel = ours
        self.pid = os.fork()
        if self.pid == 0:
            candidate.run(uid, self.folder, theirs.fileno(), self.out, self.err)
        theirs.close()

    def hand_over(self, control):
        tree = json.dumps({"pid": self.pid, "uid": self.uid}).encode()
        socket.send_fds(control, [tree], [self.channel.fileno(), self.out, self.err])
        self.channel.close()
        os.close(self.out)
        os.close(self.err)


class _Spawner:
    def __init__(self, control, runner_pid, first_uid):
        self._control = control
        self._runner_pid = runner_pid
        self._first_uid = first_uid
        self._count = 0
        self._spare = None
        self._current = None
        self._oom_seen = _oom_kills()

    def serve(self):
        """Until the runner goes away."""
        self._spare = self._fresh()
        while True:
            message = self._control.recv(16)
            if message == b"A":
                self._current, self._spare = self._spare or self._fresh(), None
                self._current.hand_over(self._control)
            elif message == b"F":
                report = self._finish(self._current)
                self._control.send(json.dumps(report).encode())
                if not report["clean"]:
                    return
                self._spare = self._fresh()
            else:
                return

    def _fresh(self):
        self._count = (self._count + 1) % _UIDS
        return _Child(self._first_uid + self._count)

    def _finish(self, child):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        _, status, usage = os.wait4(child.pid, 0)
        known = {1, self._runner_pid}
        left, clean = sweeping.sweep(child.uid, child.folder, known)
        sweeping.reap()
        oom = _oom_kills()
        report = {
            "status": status,
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 4),
            "peak_mb": round(usage.ru_maxrss / 1024, 1),
            "left": left,
            "oom": oom > self._oom_seen,
            "clean": clean,
        }
        self._oom_seen = oom
        return report


def _output():
    fd = os.open(_OUTPUT, os.O_TMPFILE | os.O_EXCL | os.O_RDWR, 0o600)
    os.fchmod(fd, 0o666)  # for programs that open /dev/stdout
    return fd


def _oom_kills():
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as stream:
                for line in stream:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0


def _warm_up():
    """Do once what each program would do alike: after a fork every page that is touched is a page copied."""
    for name in _KEPT_WARM.split(", "):
        __import__(name)
    sys.path[:] = [place for place in sys.path if place not in ("", os.getcwd(), os.environ.get("PYTHONPATH"))]
    sys.argv[:] = ["program"]
    for name in [name for name in sys.modules if name.partition(".")[0] == __package__]:
        del sys.modules[name]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(_ENVIRONMENT)
    gc.collect()
    gc.freeze()
    gc.disable()


def _start_runner(control, kept):
    pid = os.fork()
    if pid == 0:
        try:
            kept.close()
            os.setsid()
            os.setgroups([])
            os.setresgid(_RUNNER_UID, _RUNNER_UID, _RUNNER_UID)
            os.setresuid(_RUNNER_UID, _RUNNER_UID, _RUNNER_UID)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            runner.run(control, candidate.FILE_BYTES)
        finally:
            os._exit(1)
    return pid


def main():
    """Start the runner, give it stdin and stdout, serve it."""
    first_uid = int(os.environ.get("EVALKIT_FIRST_UID", "100000"))
    _warm_up()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = _start_runner(theirs, ours)
    theirs.close()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    _Spawner(ours, pid, first_uid).serve()


if __name__ == "__main__":
    main()
