"""Progress of a run on stderr: bars in a terminal, now and then a plain line elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct

from evalkit.console.terminal import console_for
from evalkit.core.types import Progress
from evalkit.report import numbers
from evalkit.report.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class _Line(Struct):
    """How far one task of a step is. `asked` answers came since `began`; those from the store took no time."""

    step: str
    task: str
    total: int
    done: int
    began: float
    said: float
    asked: int = 0
    tokens: int = 0
    scored: int = 0
    value: float = 0.0
    void: int = 0
    unscored: int = 0
    early: int = 0
    bar: int | None = None
    closed: bool = False

    def add(self, progress: Progress) -> None:
        self.asked += progress.done
        self.done += progress.done
        self.tokens += progress.tokens
        self.scored += progress.scored
        self.value += progress.value
        self.void += progress.void
        self.unscored += progress.unscored
        self.early += progress.early

    def text(self, now: float) -> str:
        """Rate, time left, tokens/s, running score: what is known of them."""
        elapsed = now - self.began
        rate = self.asked / elapsed if self.asked and elapsed > 0 else None
        parts: list[str] = []
        if rate is not None:
            parts.append(f"{rate:.2g}/s" if rate < 10 else f"{rate:.0f}/s")
            if self.done < self.total:
                parts.append(f"{numbers.seconds((self.total - self.done) / rate)} left")
            if self.tokens:
                parts.append(f"{numbers.rate(self.tokens / elapsed)} tokens/s")
        if self.scored:
            parts.append(f"score {numbers.pct(self.value / self.scored)} of {numbers.count(self.scored)}")
        if self.void:
            parts.append(f"{numbers.count(self.void)} void")
        if self.unscored:
            parts.append(f"{numbers.count(self.unscored)} collected")
        return ", ".join(parts)

    @property
    def complete(self) -> bool:
        return self.done >= self.total and self.scored + self.void + self.unscored + self.early >= self.total


class Live:
    """A `Listener` (core/ports.py) that shows what it hears. May be called from any thread.

    `clock` gives seconds. Without a terminal one line per task is written every `every_s` seconds, and one at its end.
    """

    def __init__(
        self, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic, every_s: float = 10.0
    ) -> None:
        self._console = console_for(stream or sys.stderr)
        self._clock = clock
        self._every_s = every_s
        self._lines: dict[tuple[str, str], _Line] = {}
        self._last = clock()
        self._lock = Lock()
        self._bars: Bars | None = self._start_bars() if self._console.is_terminal else None

    def _start_bars(self) -> Bars:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bars

        bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}", markup=False),
            console=self._console,
        )
        bars.start()
        return bars

    def stage(self, step: str, task: str, total: int, done: int) -> None:
        """A task of a step begins: `done` of `total` answers are in the store already. The second model of a route adds
        to what the first one has."""
        with self._lock:
            line = self._line(step, task)
            line.total, line.done, line.closed = line.total + total, line.done + done, False
            self._show(line)
            if self._bars is None and done < total:
                stored = f", {numbers.count(done)} in the store" if done else ""
                self._write(f"{step}/{task}: {numbers.plural(total, 'answer')}{stored}")

    def advance(self, step: str, task: str, progress: Progress) -> None:
        """A task went on by so much."""
        with self._lock:
            now = self._clock()
            line = self._line(step, task)
            if progress.done:
                if not line.asked:  # its time starts where the engine finished the answers before
                    line.began = max(line.began, self._last)
                self._last = now
            line.add(progress)
            self._show(line)
            self._tell(line, now)

    def _line(self, step: str, task: str) -> _Line:
        key = (step, task)
        if key not in self._lines:
            now = self._clock()
            self._lines[key] = line = _Line(step, task, 0, 0, now, now)
            if self._bars is not None:
                line.bar = int(self._bars.add_task(f"{step}/{task}", total=0, told=""))
        return self._lines[key]

    def _show(self, line: _Line) -> None:
        if self._bars is not None and line.bar is not None:
            bar: TaskID = self._bars.task_ids[line.bar]
            self._bars.update(bar, total=line.total, completed=line.done, told=line.text(self._clock()))

    def _tell(self, line: _Line, now: float) -> None:
        if self._bars is None and not line.closed and (line.complete or now - line.said >= self._every_s):
            line.said = now
            line.closed = line.complete
            self._write(self._plain(line, now))

    def _plain(self, line: _Line, now: float) -> str:
        text = line.text(now)
        return f"{line.step}/{line.task}: {line.done:,}/{line.total:,}{f', {text}' if text else ''}"

    def _write(self, text: str) -> None:
        self._console.print(visible(text), soft_wrap=True)

    def note(self, text: str) -> None:
        """One sentence above the bars."""
        with self._lock:
            self._write(text)

    def finish(self) -> None:
        """Stop the bars, or say of every unfinished task how far it came."""
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None
                return
            now = self._clock()
            for line in self._lines.values():
                if not line.closed:
                    line.closed = True
                    self._write(self._plain(line, now))
