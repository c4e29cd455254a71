"""Containers at work: one thread each, a bounded queue before them, every future answered."""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections import deque
from concurrent.futures import Future

from evalkit.core.ports import Notify
from evalkit.core.types import Execution, Program, Void
from evalkit.sandboxes.container import Container, ContainerLost, start_with_retry
from evalkit.sandboxes.engine import EngineLost
from evalkit.sandboxes.messages import BadReply, job_line, read_result, silence_s

_IN_FLIGHT = 3
_QUEUED_PER_WORKER = 16
_ATTEMPTS = 2
_TICK_S = 0.2
_DOWN_S = 5.0


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
    """The Docker sandbox: implements the port `Sandbox`."""

    def __init__(self, image: str, seccomp: str, workers: int, memory_mb: int, notify: Notify) -> None:
        self.image = image
        self.seccomp = seccomp
        self.memory_mb = memory_mb
        self.notify = notify
        self.closed = threading.Event()
        self._queue: queue.Queue[_Job | None] = queue.Queue(workers * _QUEUED_PER_WORKER)
        self._down = ("", 0.0)
        self._workers = [_Worker(self, index) for index in range(workers)]
        atexit.register(self.close)
        for worker in self._workers:
            worker.start()

    def submit(self, program: Program) -> Future[Execution | Void]:
        """Queue a program; blocks while the queue is full."""
        job = _Job(program)
        while not self.closed.is_set():
            try:
                self._queue.put(job, timeout=_TICK_S)
            except queue.Full:
                continue
            if self.closed.is_set():
                self._drain()
            return job.future
        job.void("the sandbox is closed")
        return job.future

    def close(self) -> None:
        """Finish nothing more and leave nothing behind."""
        atexit.unregister(self.close)
        self.closed.set()
        for worker in self._workers:
            worker.join()
        self._drain()

    def take(self, timeout_s: float) -> _Job | None:
        """The next job that somebody still waits for, or None."""
        try:
            job = self._queue.get(timeout=timeout_s) if timeout_s else self._queue.get_nowait()
        except queue.Empty:
            return None
        return job if job is not None and job.future.set_running_or_notify_cancel() else None

    def mark_down(self, reason: str) -> None:
        """The engine is gone: for a while nobody needs to find that out again."""
        if not self.down():
            self.notify(f"sandbox: {reason}")
        self._down = (reason, time.monotonic() + _DOWN_S)

    def down(self) -> str:
        """Why nothing can run at the moment; empty when it can be tried."""
        reason, until = self._down
        return reason if time.monotonic() < until else ""

    def _drain(self) -> None:
        while (job := self.take(0)) is not None or not self._queue.empty():
            if job is not None:
                job.void("the sandbox was closed")


class _Worker(threading.Thread):
    """Keeps one container busy. Results come in the order of the jobs, so the oldest is the one that is running."""

    def __init__(self, pool: Pool, index: int) -> None:
        super().__init__(name=f"sandbox-{index}", daemon=True)
        self._pool = pool
        self._container: Container | None = None
        self._flight: deque[_Job] = deque()
        self._unsent: deque[_Job] = deque()
        self._count = 0
        self._since = 0.0

    def run(self) -> None:
        try:
            while not self._pool.closed.is_set():
                self._fill()
                if self._flight or self._unsent:
                    self._step()
        finally:
            self._drop()
            self._void_all("the sandbox was closed")

    def _fill(self) -> None:
        while len(self._flight) + len(self._unsent) < _IN_FLIGHT:
            idle = not self._flight and not self._unsent
            job = self._pool.take(_TICK_S if idle else 0)
            if job is None:
                return
            self._unsent.append(job)

    def _step(self) -> None:
        try:
            if self._container is None:
                reason = self._pool.down()
                if reason:
                    raise EngineLost(reason)
                self._container = start_with_retry(
                    self._pool.image, self._pool.seccomp, self._pool.memory_mb, self._pool.notify
                )
            self._send(self._container)
            self._receive(self._container)
        except EngineLost as error:
            self._pool.mark_down(str(error))
            self._drop()
            self._void_all(str(error))
        except (ContainerLost, BadReply) as error:
            self._drop()
            self._try_again(str(error))
        except Exception as error:  # noqa: BLE001 - a defect of ours: told as void, and the thread lives on
            self._drop()
            self._void_all(f"the sandbox failed: {type(error).__name__}: {error}")

    def _send(self, container: Container) -> None:
        while self._unsent:
            job = self._unsent.popleft()
            self._count += 1
            job.number = self._count
            if not self._flight:
                self._since = time.monotonic()
            self._flight.append(job)
            container.send(job_line(job.number, job.program))

    def _receive(self, container: Container) -> None:
        oldest = self._flight[0]
        left = self._since + silence_s(oldest.program) - time.monotonic()
        if left <= 0:
            raise ContainerLost("the container fell silent")
        for line in container.receive(min(left, _TICK_S)):
            if not self._flight:
                raise BadReply(f"an answer that nobody waits for: {line[:120]!r}")
            job = self._flight[0]
            result = read_result(line, job.number, job.program)
            self._flight.popleft()
            self._since = time.monotonic()
            job.answer(result)

    def _try_again(self, reason: str) -> None:
        """Only the oldest job can be to blame; the others go along to the next container for free."""
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
        if self._container is not None:
            self._container.close()
            self._container = None
