"""Worker hosts at work: one thread each, a bounded queue before them, every future answered.

The pool has as many workers as there is work for: none at first, another one whenever a program waits and every worker
has one, up to the most that is allowed; a worker without work leaves after a while and takes its host with it.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from evalkit.core.ports import Notify
from evalkit.core.types import Execution, Program, Void
from evalkit.sandboxes.host import HostLost, NoHost, StartHost, WorkerHost
from evalkit.sandboxes.messages import BadReply, job_line, read_result, silence_s

IDLE_S = 30.0
_IN_FLIGHT = 3
_QUEUED_PER_WORKER = 16
_ATTEMPTS = 2
_TICK_S = 0.2
_DOWN_S = 5.0


def processors() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


class _Job:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.future: Future[Execution | Void] = Future()
        self.attempts = 0
        self.number = 0

    def answer(self, result: Execution | Void) -> None:
        self.future.set_result(result)

    def void(self, reason: str) -> None:
        self.answer(Void(key=self.program.key, reason=reason, by="sandbox"))


class Pool:
    """Any kind of sandbox that is made of worker hosts: implements the port `Sandbox`.

    `clock` tells the seconds of idleness and silence.
    """

    def __init__(
        self, start: StartHost, workers: int, notify: Notify, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.clock = clock
        self._start = start
        self._most = workers
        self._notify = notify
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._queue: deque[_Job] = deque()
        self._workers: set[_Worker] = set()  # with those that are leaving
        self._serving = 0
        self._free: set[_Worker] = set()  # those that hold no job, and will come for one
        self._started = 0
        self._closed = False
        self._down = ("", 0.0)
        atexit.register(self.close)

    @property
    def closed(self) -> bool:
        return self._closed

    def submit(self, program: Program) -> Future[Execution | Void]:
        """Queue a program; blocks while the queue is full."""
        job = _Job(program)
        with self._lock:
            while not self._closed and len(self._queue) >= self._most * _QUEUED_PER_WORKER:
                self._room.wait()
            if not self._closed:
                self._queue.append(job)
                self._grow()
                self._work.notify()
                return job.future
        job.void("the sandbox is closed")
        return job.future

    def _grow(self) -> None:
        """One worker more when a program waits that no free worker will take. Needs the lock."""
        if len(self._queue) > len(self._free) and self._serving < self._most:
            worker = _Worker(self, self._started)
            self._started += 1
            self._serving += 1
            self._workers.add(worker)
            self._free.add(worker)
            worker.start()

    def close(self) -> None:
        """Finish nothing more and leave nothing behind."""
        atexit.unregister(self.close)
        with self._lock:
            self._closed = True
            workers = list(self._workers)
            waiting, self._queue = list(self._queue), deque()
            self._work.notify_all()
            self._room.notify_all()
        for job in waiting:
            if job.future.set_running_or_notify_cancel():
                job.void("the sandbox was closed")
        for worker in workers:
            worker.join()

    # -- for the workers ---------------------------------------------------------------------------------------------

    def await_job(self, worker: _Worker) -> _Job | None:
        """The next job for a worker that has none; None when it is to leave for good."""
        with self._lock:
            self._free.add(worker)
            since = self.clock()
            while not self._closed:
                job = self._pop()
                if job is not None:
                    self._free.discard(worker)
                    return job
                if self.clock() - since >= IDLE_S:
                    break
                self._work.wait(_TICK_S)
            self._free.discard(worker)
            self._serving -= 1
            return None

    def spare_job(self) -> _Job | None:
        """A job to queue behind the one that runs, unless a free worker is there to take it."""
        with self._lock:
            return self._pop() if len(self._queue) > len(self._free) else None

    def _pop(self) -> _Job | None:
        """The next job that somebody still waits for. Needs the lock."""
        while self._queue:
            job = self._queue.popleft()
            self._room.notify()
            if job.future.set_running_or_notify_cancel():
                return job
        return None

    def forget(self, worker: _Worker) -> None:
        """A worker has left, and its host is gone."""
        with self._lock:
            self._workers.discard(worker)

    def start_host(self) -> WorkerHost:
        """A host, at the second try if need be. Raises NoHost."""
        reason = self._is_down()
        if reason:
            raise NoHost(reason)
        try:
            return self._start()
        except (HostLost, NoHost) as error:
            self._notify(f"a sandbox worker did not start, trying once more: {error}")
        try:
            return self._start()
        except HostLost as error:
            raise NoHost(f"no sandbox worker starts: {error}") from error

    def mark_down(self, reason: str) -> None:
        """No host can be started: for a while nobody needs to find that out again."""
        if self._is_down():  # a worker that was told so; a steady flow of programs must not put off the next try
            return
        self._notify(f"sandbox: {reason}")
        self._down = (reason, self.clock() + _DOWN_S)

    def _is_down(self) -> str:
        reason, until = self._down
        return reason if self.clock() < until else ""


class _Worker(threading.Thread):
    """Keeps one host busy. Results come in the order of the jobs, so the oldest is the one that is running."""

    def __init__(self, pool: Pool, index: int) -> None:
        super().__init__(name=f"sandbox-{index}", daemon=True)
        self._pool = pool
        self._host: WorkerHost | None = None
        self._flight: deque[_Job] = deque()
        self._unsent: deque[_Job] = deque()
        self._count = 0
        self._since = 0.0

    def run(self) -> None:
        try:
            while self._fill():
                self._step()
        finally:
            self._drop()
            self._void_all("the sandbox was closed")
            self._pool.forget(self)

    def _fill(self) -> bool:
        """Take jobs; False when it is time to leave."""
        if not self._flight and not self._unsent:
            first = self._pool.await_job(self)
            if first is None:
                return False
            self._unsent.append(first)
        while len(self._flight) + len(self._unsent) < _IN_FLIGHT:
            job = self._pool.spare_job()
            if job is None:
                break
            self._unsent.append(job)
        return not self._pool.closed

    def _step(self) -> None:
        try:
            if self._host is None:
                self._host = self._pool.start_host()
            self._send(self._host)
            self._receive(self._host)
        except NoHost as error:
            self._pool.mark_down(str(error))
            self._drop()
            self._void_all(str(error))
        except (HostLost, BadReply) as error:
            self._drop()
            self._try_again(str(error))
        except Exception as error:  # noqa: BLE001 - a defect of ours: told as void, and the thread lives on
            self._drop()
            self._void_all(f"the sandbox failed: {type(error).__name__}: {error}")

    def _send(self, host: WorkerHost) -> None:
        while self._unsent:
            job = self._unsent.popleft()
            self._count += 1
            job.number = self._count
            if not self._flight:
                self._since = self._pool.clock()
            self._flight.append(job)
            host.send(job_line(job.number, job.program))

    def _receive(self, host: WorkerHost) -> None:
        oldest = self._flight[0]
        left = self._since + silence_s(oldest.program) - self._pool.clock()
        if left <= 0:
            raise HostLost("the worker fell silent")
        for line in host.receive(min(left, _TICK_S)):
            if not self._flight:
                raise BadReply(f"an answer that nobody waits for: {line[:120]!r}")
            job = self._flight[0]
            result = read_result(line, job.number, job.program)
            self._flight.popleft()
            self._since = self._pool.clock()
            job.answer(result)

    def _try_again(self, reason: str) -> None:
        """Only the oldest job can be to blame; the others go along to the next host for free."""
        self._unsent.extendleft(reversed(self._flight))
        self._flight.clear()
        if not self._unsent:
            return
        oldest = self._unsent[0]
        oldest.attempts += 1
        if oldest.attempts >= _ATTEMPTS:
            self._unsent.popleft()
            oldest.void(f"lost twice: {reason}")

    def _void_all(self, reason: str) -> None:
        for job in (*self._flight, *self._unsent):
            job.void(reason)
        self._flight.clear()
        self._unsent.clear()

    def _drop(self) -> None:
        if self._host is not None:
            host, self._host = self._host, None
            host.close()
