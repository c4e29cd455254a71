"""Which samples a report shows: chosen by rule, and few however long the run."""

from __future__ import annotations

from collections.abc import Callable

from evalkit.core.types import SampleRow
from evalkit.report.excerpts import StepExcerpts

Build = Callable[..., SampleRow]


def seen(rows: list[SampleRow]) -> StepExcerpts:
    excerpts = StepExcerpts()
    for row in rows:
        excerpts.add(row)
    return excerpts


def fail(row: Build, item: str, error_class: str, **known: object) -> SampleRow:
    return row(id=item, outcome="fail", error_class=error_class, **known)


def test_one_of_each_class_first(row: Build) -> None:
    """The first of each class in the order given, then the second of each, three in all."""
    rows = [fail(row, f"w{i}", "wrong_answer") for i in range(5)] + [fail(row, f"t{i}", "timeout") for i in range(2)]
    excerpts = seen(rows)
    assert [one.id for one in excerpts.examples("c", ["wrong_answer", "timeout"])] == ["w0", "t0", "w1"]
    assert [one.id for one in excerpts.examples("c", ["timeout"])] == ["t0", "w0", "t1"]
    assert excerpts.examples("elsewhere", ["timeout"]) == []


def test_an_item_is_shown_once(row: Build) -> None:
    """Several answers to one item are one example, whatever their classes."""
    rows = [
        fail(row, "a", "timeout", sample=0),
        fail(row, "a", "timeout", sample=1),
        fail(row, "a", "memory", sample=2),
    ]
    assert [one.sample for one in seen(rows).examples("c", ["timeout", "memory"])] == [0]


def test_only_what_counts_and_failed(row: Build) -> None:
    """Passes, void rows and candidates that were not selected are no failures; a low share is one."""
    rows = [
        row(id="pass"),
        row(id="void", outcome="void", reason="sandbox: gone"),
        fail(row, "candidate", "timeout", selected=False),
        row(id="low", outcome="score", score=0.2),
        row(id="high", outcome="score", score=0.8),
    ]
    assert [one.id for one in seen(rows).examples("c", [])] == ["low"]


def test_reasons_of_void(row: Build) -> None:
    """Counted by reason with the first sample of each; past fifty reasons they are joined."""
    rows = [row(id=f"a{i}", outcome="void", reason=f"engine: {i % 2}\nmore") for i in range(4)]
    voids = list(seen(rows).voids.values())
    assert [(one.reason, one.first, one.count) for one in voids] == [
        ("engine: 0 more", "s/a0", 2),
        ("engine: 1 more", "s/a1", 2),
    ]
    many = seen([row(id=f"a{i}", outcome="void", reason=f"engine: {i}") for i in range(500)]).voids
    assert len(many) == 51
    assert sum(one.count for one in many.values()) == 500


def test_what_is_kept_does_not_grow(row: Build) -> None:
    """A thousand failures keep three."""
    excerpts = seen([fail(row, str(i), "timeout") for i in range(1000)])
    assert sum(len(rows) for classes in excerpts.failures.values() for rows in classes.values()) == 3
    assert len(excerpts.sampling) == 1
