"""Answers are durable before they count, whatever ends the asking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from evalkit.core.types import Completion, Void
from evalkit.run.store import SqliteStore
from evalkit.steps.keeping import keep


class Interrupted(SqliteStore):
    """The first time, the user interrupts in the middle of it."""

    tries = 0

    def put_completions(self, completions: Sequence[Completion]) -> None:
        self.tries += 1
        if self.tries == 1:
            raise KeyboardInterrupt
        super().put_completions(completions)


def test_an_interrupt_in_the_middle_of_storing_loses_nothing(tmp_path: Path) -> None:
    answers = [Completion(f"k{n}", "x", "stop", None, "") for n in range(3)]
    store = Interrupted(tmp_path / "store")
    settled: list[Completion] = []

    def settle(fresh: list[Completion], voids: list[Void]) -> None:
        settled.extend(fresh)

    with pytest.raises(KeyboardInterrupt):
        keep(iter(answers), store, settle)
    assert {answer.key for answer in answers} == store.known("completions", [answer.key for answer in answers])
    assert settled == []
    store.close()
