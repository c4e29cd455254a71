"""Several engines of one model as one: each in a process of its own, all fed from one queue, answers as they come.

A part of the requests goes to whichever engine is free. Parts are large, so that each engine batches well, and there
are several for each, so that none waits long for the others at the end.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol

from evalkit.core.ports import Engine, Notify
from evalkit.core.types import Completion, Model, Request, Void

_PARTS_EACH = 4
_SMALLEST_PART = 32
_Told = Completion | Void | str | BaseException | None
"""What a thread says: an answer, a sentence for the user, the error that ended it, or that it has ended."""


class Member(Engine, Protocol):
    """An engine that may be lost for good; what it is asked then is Void."""

    @property
    def spent(self) -> bool: ...


class Fleet:
    """See the module. `start` makes the engine of a model, which tells the user through the Notify that it is given."""

    def __init__(self, models: Sequence[Model], notify: Notify, start: Callable[[Model, Notify], Member]) -> None:
        self._notify = notify
        self._told: SimpleQueue[_Told] = SimpleQueue()
        self._leaving = Event()
        self._engines = [start(model, self._told.put) for model in models]

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """As the port says. An error of one engine is raised when all have stopped."""
        parts = _parts(requests, len(self._engines))
        threads = [
            Thread(target=self._work, args=(engine, parts), daemon=True) for engine in self._engines[: len(parts)]
        ]
        for thread in threads:
            thread.start()
        running, failure = len(threads), None
        try:
            while running:
                told = self._told.get()
                if told is None:
                    running -= 1
                elif isinstance(told, str):
                    self._notify(told)
                elif isinstance(told, BaseException):
                    failure = failure or told
                    parts.clear()
                else:
                    yield told
        finally:
            if running:  # the caller lost interest
                self._abandon(parts, running)
        if failure is not None:
            raise failure
        while parts:  # nobody was left to ask: each says why
            yield from self._engines[0].generate(parts.popleft())

    def close(self) -> None:
        """End every engine, and tell what each has to say of its work."""
        for engine in self._engines:
            engine.close()
        while not self._told.empty():
            told = self._told.get()
            if isinstance(told, str):
                self._notify(told)

    def _work(self, engine: Member, parts: deque[Sequence[Request]]) -> None:
        try:
            while parts and not engine.spent:
                try:
                    part = parts.popleft()
                except IndexError:  # another engine was faster
                    break
                answers = engine.generate(part)
                for answer in answers:
                    self._told.put(answer)
                    if self._leaving.is_set():
                        parts.clear()
                        getattr(answers, "close", lambda: None)()
        except BaseException as error:  # noqa: BLE001 - raised by the thread that asked
            self._told.put(error)
        finally:
            self._told.put(None)

    def _abandon(self, parts: deque[Sequence[Request]], running: int) -> None:
        """Have every thread stop at its next answer, and forget what they say."""
        parts.clear()
        self._leaving.set()
        while running:
            running -= self._told.get() is None
        self._leaving.clear()


def _parts(requests: Sequence[Request], engines: int) -> deque[Sequence[Request]]:
    size = max(_SMALLEST_PART, math.ceil(len(requests) / (engines * _PARTS_EACH)))
    size = min(size, max(1, math.ceil(len(requests) / engines)))
    return deque(requests[place : place + size] for place in range(0, len(requests), size))
