"""The process in which an isolated engine lives: `python -m evalkit.run.worker PARENT_PID`.

stdin and stdout carry frames. File descriptor 1 is moved away first and then shows where 2 shows, a log file: whatever
a library prints cannot break the stream. The process ends when its parent does, busy or not.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import BinaryIO

from msgspec.structs import replace

from evalkit.core import registry
from evalkit.core.errors import EvalkitError
from evalkit.core.ports import Engine, EngineAdapter, SummedUp
from evalkit.core.types import Completion, Request
from evalkit.run import frames

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve one parent until it closes or dies."""
    out = _protected_stdout()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    _die_with(int(sys.argv[1]))
    inbox: SimpleQueue[frames.ToWorker] = SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, inbox), daemon=True).start()
    code = 0
    try:
        serve(inbox, out)
    except BaseException:  # noqa: BLE001 - it goes into the log, whose end the parent reports as this death's reason
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    os._exit(code)  # the reading thread sits on stdin, which an ordinary end would wait for


def serve(inbox: SimpleQueue[frames.ToWorker], out: BinaryIO) -> None:
    """Answer messages until Close. An error that is no EvalkitError ends the process: the parent sees a death."""
    engine: Engine | None = None
    wanted: list[Request] = []
    while True:
        message = inbox.get()
        try:
            if isinstance(message, frames.Open):
                engine = _open(message, out)
                frames.write(out, frames.Ready())
            elif isinstance(message, frames.Generate):
                wanted += message.requests
                if message.last and engine is not None:
                    batch, wanted = wanted, []
                    _generate(engine, batch, out)
                    frames.write(out, frames.Done(_summary(engine)))
            else:
                break
        except EvalkitError as error:
            wanted = []
            frames.write(out, frames.Failed(type(error).__name__, error.message, error.hint, error.where))
    if engine is not None:
        engine.close()


def _open(message: frames.Open, out: BinaryIO) -> Engine:
    name, place = message.model.engine, message.adapter
    adapter: EngineAdapter = registry.load_from("engines", name, place) if place else registry.load("engines", name)
    model = replace(message.model, python=None)  # this process is that interpreter
    return adapter.open(model, lambda text: frames.write(out, frames.Notice(text)))


def _generate(engine: Engine, requests: list[Request], out: BinaryIO) -> None:
    for answer in engine.generate(requests):
        frames.write(out, frames.Answer(answer) if isinstance(answer, Completion) else frames.Voided(answer))


def _summary(engine: Engine) -> str:
    """A sentence for the record of the run, where the engine has one to say."""
    return engine.summary() if isinstance(engine, SummedUp) else ""


def _read(stream: BinaryIO, inbox: SimpleQueue[frames.ToWorker]) -> None:
    while (message := frames.read_to_worker(stream)) is not None:
        inbox.put(message)
    os._exit(0)  # the parent is gone: nobody waits for what the main thread still computes


def _protected_stdout() -> BinaryIO:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return out


def _die_with(parent: int) -> None:
    """Linux kills this process when the thread that started it ends; elsewhere the end of stdin has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(0)


if __name__ == "__main__":
    main()
