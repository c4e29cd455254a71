"""Answers as they come: made durable some at a time, and handed on only then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic

from evalkit.core.ports import Store
from evalkit.core.types import Completion, Void

_ROWS = 64
_SECONDS = 0.5

Settle = Callable[[list[Completion], list[Void]], None]
"""Counts what is stored now, and sends it on."""


def keep(answers: Iterable[Completion | Void], store: Store, settle: Settle) -> None:
    """Store every answer and then settle it, a few dozen or half a second's worth at a time.

    What came before an engine fails is stored and settled all the same; its error goes on.
    """
    fresh: list[Completion] = []
    voids: list[Void] = []
    flushed_at = monotonic()
    try:
        for answer in answers:
            if isinstance(answer, Void):
                voids.append(answer)
            else:
                fresh.append(answer)
            if len(fresh) + len(voids) >= _ROWS or monotonic() - flushed_at > _SECONDS:
                some, fresh, lost, voids = fresh, [], voids, []
                _flush(some, lost, store, settle)
                flushed_at = monotonic()
    finally:
        _flush(fresh, voids, store, settle)


def _flush(fresh: list[Completion], voids: list[Void], store: Store, settle: Settle) -> None:
    try:
        _put(fresh, voids, store)
    except KeyboardInterrupt:  # it came in the middle of the transaction, which was given up
        _put(fresh, voids, store)
        raise
    settle(fresh, voids)


def _put(fresh: list[Completion], voids: list[Void], store: Store) -> None:
    if fresh:
        store.put_completions(fresh)
    if voids:
        store.put_voids(voids)
