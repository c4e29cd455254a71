"""Progress: plain lines by the clock, bars in a terminal."""

from __future__ import annotations

import io
from threading import Thread

import pytest

from evalkit.console.live import Live
from evalkit.core.ports import Listener
from evalkit.core.types import Progress


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def listener() -> tuple[Listener, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return Live(stream=stream, clock=clock), stream, clock


def test_plain_lines() -> None:
    """A line at the start, one each ten seconds, one at the end of a task: done, rate, time left, tokens/s, score."""
    live, stream, clock = listener()
    live.note("loading the model")
    live.stage("bench", "arithmetic", 12, 2)
    for second in range(10):
        clock.now += 2.5
        live.advance("bench", "arithmetic", Progress(done=1, tokens=50, scored=1, value=second % 2))
    live.advance("bench", "arithmetic", Progress(scored=2, value=2))
    live.finish()
    assert stream.getvalue().splitlines() == [
        "loading the model",
        "bench/arithmetic: 12 answers, 2 in the store",
        "bench/arithmetic: 6/12, 0.4/s, 15.0 s left, 20.0 tokens/s, score 50.0 % of 4",
        "bench/arithmetic: 10/12, 0.4/s, 5.0 s left, 20.0 tokens/s, score 50.0 % of 8",
        "bench/arithmetic: 12/12, 0.4/s, 20.0 tokens/s, score 58.3 % of 12",
    ]


def test_nothing_to_do_is_no_noise() -> None:
    """A task that is all in the store says one thing when it is scored."""
    live, stream, _ = listener()
    live.stage("bench", "arithmetic", 50, 50)
    live.advance("bench", "arithmetic", Progress(scored=50, value=20))
    live.finish()
    assert stream.getvalue() == "bench/arithmetic: 50/50, score 40.0 % of 50\n"


def test_a_second_model_adds_to_the_first() -> None:
    """A route asks two models for one task: the line goes on, and is told again at its end."""
    live, stream, clock = listener()
    live.stage("blend", "sums", 4, 4)
    live.advance("blend", "sums", Progress(scored=4, value=1))
    live.stage("blend", "sums", 2, 0)
    clock.now += 2
    live.advance("blend", "sums", Progress(done=2, tokens=10, scored=2, value=2))
    live.finish()
    assert stream.getvalue().splitlines() == [
        "blend/sums: 4/4, score 25.0 % of 4",
        "blend/sums: 2 answers",
        "blend/sums: 6/6, 1/s, 5.0 tokens/s, score 50.0 % of 6",
    ]


def test_an_unfinished_task_is_told_at_the_end() -> None:
    """After an interruption one sees how far each task came."""
    live, stream, clock = listener()
    live.stage("bench", "code", 10, 0)
    clock.now += 4
    live.advance("bench", "code", Progress(done=2, tokens=10, scored=1, value=1, void=1))
    live.finish()
    assert stream.getvalue().splitlines()[-1] == (
        "bench/code: 2/10, 0.5/s, 16.0 s left, 2.5 tokens/s, score 100.0 % of 1, 1 void"
    )


def test_the_clock_of_a_task_starts_where_the_one_before_ended() -> None:
    """Tasks are announced together and asked one after the other."""
    live, stream, clock = listener()
    live.stage("bench", "first", 1, 0)
    live.stage("bench", "second", 1, 0)
    clock.now += 100
    live.advance("bench", "first", Progress(done=1, tokens=5, scored=1, value=1))
    clock.now += 10
    live.advance("bench", "second", Progress(done=1, tokens=50, scored=1))
    assert stream.getvalue().splitlines()[-1] == "bench/second: 1/1, 0.1/s, 5.0 tokens/s, score 0.0 % of 1"


def test_a_note_cannot_drive_the_terminal() -> None:
    """Notes carry text of libraries and servers."""
    live, stream, _ = listener()
    live.note("fetched [red]x[/red] \x1b[2J")
    assert stream.getvalue() == "fetched [red]x[/red] ␛[2J\n"


def test_many_threads() -> None:
    """No increment is lost and no line is torn."""
    live, stream, _ = listener()
    live.stage("bench", "code", 800, 0)

    def work() -> None:
        for _ in range(100):
            live.advance("bench", "code", Progress(done=1, scored=1, value=1))

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stream.getvalue().splitlines()[-1] == "bench/code: 800/800, score 100.0 % of 800"


def test_bars_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar per task with counts and score, notes above it, and the cursor given back."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    stream, clock = Terminal(), Clock()
    live = Live(stream=stream, clock=clock)
    live.stage("bench", "arithmetic", 4, 1)
    clock.now += 2
    live.note("a note")
    live.advance("bench", "arithmetic", Progress(done=3, tokens=30, scored=4, value=1))
    live.finish()
    shown = stream.getvalue()
    assert "bench/arithmetic" in shown
    assert "4/4" in shown
    assert "1.5/s, 15.0 tokens/s, score 25.0 % of 4" in shown
    assert "a note\n" in shown
    assert shown.rstrip("\n").endswith("\x1b[?25h")


def test_collected_answers_end_a_task() -> None:
    """A task that nothing scores is complete when its answers are there."""
    live, stream, _ = listener()
    live.stage("bench", "open", 2, 0)
    live.advance("bench", "open", Progress(done=2, unscored=2))
    assert stream.getvalue().splitlines()[-1] == "bench/open: 2/2, 2 collected"
