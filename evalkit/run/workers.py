"""Engines as the steps see them: opened when first needed, isolated where they ask for it, and checked.

A worker that dies is started again once and only what it had not answered is asked again. After a second death the
rest is void, with the reason.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol

from evalkit.core import errors, registry
from evalkit.core.errors import ContractError, EvalkitError
from evalkit.core.keys import decisive
from evalkit.core.ports import Engine, EngineAdapter, Notify, Replicated
from evalkit.core.types import Completion, Model, Request, Void
from evalkit.fetch import interpreters
from evalkit.run import frames
from evalkit.run.fleet import Fleet

_REQUESTS_A_FRAME = 256
_DEATHS_ALLOWED = 1
_CLOSE_S = 10.0
_SHOWN = 100
"""Characters of a parameter's value in a message; a format can be long."""
_TAIL_LINES = 5
_TAIL_BYTES = 4096


def open_engine(model: Model, notify: Notify) -> Engine:
    """The engine for a model; nothing is loaded before the first request."""
    adapter: EngineAdapter = registry.load("engines", model.engine)
    if adapter.isolated:
        replicas = adapter.replicas(model) if isinstance(adapter, Replicated) else (model,)
        inner = Fleet(replicas, notify, IsolatedEngine) if len(replicas) > 1 else IsolatedEngine(replicas[0], notify)
        return CheckedEngine(inner, recorded=adapter.recorded)
    return CheckedEngine(_LazyEngine(lambda: adapter.open(model, notify)), recorded=adapter.recorded)


class CheckedEngine:
    """Holds any engine to the port: one answer for each request, made with the parameters that were asked for.

    Only of answers that were `recorded` it may be unknown how they were made.
    """

    def __init__(self, inner: Engine, *, recorded: bool = False) -> None:
        self.inner = inner
        self.recorded = recorded

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """As the port says. Requests with equal keys are asked once and answered each."""
        wanted = {request.key: request for request in requests}
        times = Counter(request.key for request in requests)
        for answer in self.inner.generate(list(wanted.values())):
            request = wanted.pop(answer.key, None)
            if request is None:
                raise ContractError(f"the engine gave an answer that was not asked for, or twice: {answer.key}")
            if isinstance(answer, Completion):
                if answer.effective is not None or not (self.recorded or request.continuations):
                    _check_effective(request, answer)
                _check_likelihoods(request, answer)
            for _ in range(times[answer.key]):
                yield answer
        if wanted:
            raise ContractError(f"the engine left {len(wanted)} of {len(times)} requests without an answer")

    def close(self) -> None:
        self.inner.close()


def _check_effective(request: Request, completion: Completion) -> None:
    """Every parameter that can change the answer is the declared one, the format of the answer included."""
    if completion.effective is None:
        raise ContractError(
            f"the engine does not say with which sampling parameters it answered (item {request.item} of "
            f"{request.task})",
            hint="an engine gives `effective` with every answer, read back from what it used; only one whose answers "
            "are `recorded` may leave it out",
        )
    declared, effective = decisive(request.sampling), decisive(completion.effective)
    different = [
        f"{name}: {getattr(declared, name)!r:.{_SHOWN}} was asked for, {getattr(effective, name)!r:.{_SHOWN}} was used"
        for name in declared.__struct_fields__
        if getattr(declared, name) != getattr(effective, name)
    ]
    if different:
        raise ContractError(
            f"the engine used other sampling parameters than declared ({'; '.join(different)})",
            hint="declare what the engine can do, or use another engine",
        )


def _check_likelihoods(request: Request, completion: Completion) -> None:
    """One likelihood for each continuation, each of them a number; none where nothing was to be weighed."""
    wanted, given = len(request.continuations), len(completion.likelihoods)
    if wanted != given:
        raise ContractError(
            f"the engine gave {given} likelihoods for {wanted} continuations (item {request.item} of {request.task})",
            hint="use an engine that weighs continuations",
        )
    if not all(math.isfinite(known.logprob) for known in completion.likelihoods):
        raise ContractError(
            f"the engine gave a likelihood that is not a number (item {request.item} of {request.task})",
            hint="use dtype: float32 (or bfloat16 on CUDA); float16 overflows in many models",
        )


class _LazyEngine:
    """An engine of this process, opened by the first request."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self._engine: Engine | None = None

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        if not requests:
            return
        if self._engine is None:
            self._engine = self._make()
        yield from self._engine.generate(requests)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None


class _Died(Exception):
    """The worker is gone; `reason` says how it went."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Channel(Protocol):
    """One worker. Raises _Died wherever the worker is found dead."""

    def send(self, message: frames.ToWorker) -> None: ...

    def receive(self) -> frames.ToParent: ...

    def stop(self, *, kill: bool) -> None: ...


class IsolatedEngine:
    """An engine in a process of its own. `start` makes a worker; tests of the protocol may give another."""

    def __init__(self, model: Model, notify: Notify, start: Callable[[], Channel] | None = None) -> None:
        self.model = model
        self.notify = notify
        self._start = start or (lambda: Worker(model.python))
        self._worker: Channel | None = None
        self._deaths: list[str] = []
        self._summary = ""

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """As the port says; a request whose answer was lost with two workers is Void."""
        pending = {request.key: request for request in requests}
        complete = False
        try:
            while pending and not self.spent:
                try:
                    for answer in self._ask(list(pending.values())):
                        pending.pop(answer.key, None)
                        yield answer
                    break
                except _Died as death:
                    self._mourn(death, len(pending))
            complete = True
        finally:
            if not complete:  # an error, or the caller lost interest: the worker is in the middle of something
                self._drop(kill=True)
        if self.spent:
            reason = f"the engine's process died {len(self._deaths)} times: {self._deaths[-1]}"
            yield from (Void(key, reason, "engine") for key in pending)

    @property
    def spent(self) -> bool:
        """Whether no worker is started any more: they died too often."""
        return len(self._deaths) > _DEATHS_ALLOWED

    def close(self) -> None:
        """End the worker; what its engine says of its work is told now."""
        self._drop(kill=False)
        if self._summary:
            self.notify(self._summary)
            self._summary = ""

    def _ask(self, requests: list[Request]) -> Iterator[Completion | Void]:
        worker = self._ready()
        for place in range(0, len(requests), _REQUESTS_A_FRAME):
            part = tuple(requests[place : place + _REQUESTS_A_FRAME])
            worker.send(frames.Generate(part, last=place + _REQUESTS_A_FRAME >= len(requests)))
        while not isinstance(message := self._hear(worker), frames.Done):
            if isinstance(message, frames.Answer):
                yield message.completion
            elif isinstance(message, frames.Voided):
                yield message.void
        self._summary = message.summary

    def _ready(self) -> Channel:
        if self._worker is None:
            self._worker = self._start()
            place = registry.place("engines", self.model.engine) if self.model.python is not None else ""
            self._worker.send(frames.Open(self.model, place))
            while not isinstance(self._hear(self._worker), frames.Ready):
                pass
        return self._worker

    def _hear(self, worker: Channel) -> frames.ToParent:
        """The next message, after telling or raising what is not for the caller."""
        message = worker.receive()
        if isinstance(message, frames.Notice):
            self.notify(message.text)
        elif isinstance(message, frames.Failed):
            kind = getattr(errors, message.kind, EvalkitError)
            error: EvalkitError = kind(message.message, hint=message.hint, where=message.where)
            raise error
        return message

    def _mourn(self, death: _Died, unfinished: int) -> None:
        self._deaths.append(death.reason)
        self._drop(kill=True)
        if not self.spent:
            self.notify(f"the engine's process died ({death.reason}); starting it again for {unfinished} requests")

    def _drop(self, *, kill: bool) -> None:
        if self._worker is not None:
            self._worker.stop(kill=kill)
            self._worker = None


class Worker:
    """The process behind an isolated engine, and its log file; `python` is the interpreter where it is not this one.

    It is started from a thread that lives as long as it does: Linux sends the signal of a dead parent when the starting
    *thread* ends, and the caller's thread may end early.
    """

    def __init__(self, python: str | None = None) -> None:
        self._command = [*interpreters.command(python, "evalkit.run.worker"), str(os.getpid())]
        self._environment = dict(os.environ) if python is None else interpreters.environment()
        self._environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        descriptor, name = tempfile.mkstemp(prefix="evalkit-worker-", suffix=".log")
        self._log = Path(name)
        self._started = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._keeper = threading.Thread(target=self._keep, args=(descriptor,), daemon=True, name="evalkit-worker")
        self._keeper.start()
        self._started.wait()
        if self._failure is not None:
            raise errors.PrerequisiteError(f"no worker process could be started: {self._failure}") from self._failure

    @property
    def pid(self) -> int:
        return self._running().pid

    def send(self, message: frames.ToWorker) -> None:
        try:
            frames.write(_pipe(self._running().stdin), message)
        except OSError as error:
            raise self._death() from error

    def receive(self) -> frames.ToParent:
        message = frames.read_to_parent(_pipe(self._running().stdout))
        if message is None:
            raise self._death()
        return message

    def stop(self, *, kill: bool) -> None:
        """End the process, gently or not, and remove its log."""
        process = self._running()
        if not kill:
            try:
                frames.write(_pipe(process.stdin), frames.Close())
                process.wait(_CLOSE_S)
            except (OSError, subprocess.TimeoutExpired):
                kill = True
        if kill:
            process.kill()
        for pipe in (process.stdin, process.stdout):
            try:
                _pipe(pipe).close()
            except OSError:  # what was buffered for a dead worker cannot be flushed
                continue
        self._keeper.join()
        self._log.unlink(missing_ok=True)

    def _keep(self, log: int) -> None:
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=self._environment
            )
        except OSError as error:
            self._failure = error
        finally:
            os.close(log)
            self._started.set()
        if self._process is not None:
            self._process.wait()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise errors.PrerequisiteError("no worker process is running")
        return self._process

    def _death(self) -> _Died:
        process = self._running()
        try:
            code = process.wait(_CLOSE_S)
        except subprocess.TimeoutExpired:
            return _Died("it closed its output and does not end")
        how = f"killed by {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        tail = _tail(self._log)
        return _Died(f"{how}; its last words: {tail}" if tail else how)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the worker was started without pipes")
    return stream


def _signal_name(number: int) -> str:
    name = signal.Signals(number).name if number in signal.Signals.__members__.values() else f"signal {number}"
    return f"{name} (often: out of memory)" if number == signal.SIGKILL else name


def _tail(log: Path) -> str:
    try:
        lines = log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace").splitlines()
    except OSError:
        return ""
    return " | ".join(line.strip() for line in lines[-_TAIL_LINES:] if line.strip())
