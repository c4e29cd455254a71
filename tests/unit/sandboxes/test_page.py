"""The memory that judge and runner share: what was added is there, whole, whoever died."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from sandbox.judging import Record
from sandbox.page import Page
from sandbox.verdict import Notes


@pytest.fixture
def page() -> Iterator[Page]:
    shared = Page()
    yield shared
    shared.close()


def test_lines_come_back_in_order(page: Page) -> None:
    """And none is there after a clearing."""
    assert page.lines() == []
    assert page.add(b"one\n")
    assert page.add(b"two\n")
    assert page.lines() == [b"one", b"two"]
    page.clear()
    assert page.lines() == []


def test_what_does_not_fit_is_refused_until_it_is_cleared(page: Page) -> None:
    """Nothing later, however short, may come before it."""
    assert not page.add(b"x" * (2 << 20))
    assert not page.add(b"short\n")
    assert page.lines() == []
    page.clear()
    assert page.add(b"short\n")


def test_a_killed_writer_loses_nothing(page: Page) -> None:
    """What was added before the kill is read after it."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        page.add(b"before\n")
        os.write(told, b"!")
        signal.pause()
    os.read(ready, 1)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(ready)
    os.close(told)
    assert page.lines() == [b"before"]


def test_only_the_last_line_wakes_the_reader(page: Page) -> None:
    """The others are in the page; together they are the notes of the job."""
    reader, writer = os.pipe()
    record = Record(writer, page)
    record.write(plan=["a", "b"])
    record.test(0, True)
    record.failure("wrong_answer", None, "got 1, expected 2")
    record.test(1, False, "got 1, expected 2")
    record.write(end=True)
    assert os.read(reader, 1 << 16) == b'{"end": true}\n'
    notes = Notes()
    for line in page.lines():
        notes.add(line)
    assert notes.plan == ["a", "b"]
    assert notes.tests == {0: (True, ""), 1: (False, "got 1, expected 2")}
    assert notes.failure is not None
    assert notes.failure.outcome == "wrong_answer"
    os.close(reader)
    os.close(writer)


def test_notes_that_overflow_go_through_the_pipe(page: Page) -> None:
    """A result for each of many thousand tests: none is lost, and the order stays."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        record = Record(writer, page)
        for index in range(5000):
            record.test(index, True, "x" * 400)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        passed_on = pipe.read().splitlines()
    os.waitpid(pid, 0)
    assert page.lines()
    assert passed_on
    notes = Notes()
    for line in (*page.lines(), *passed_on):
        notes.add(line)
    assert list(notes.tests) == list(range(5000))


def test_a_new_job_begins_with_an_empty_page(page: Page) -> None:
    """The notes of the job before do not count."""
    record = Record(-1, page)
    record.failure("wrong_answer", None, "of the job before")
    record.begin()
    assert page.lines() == []
    assert not record.failed
