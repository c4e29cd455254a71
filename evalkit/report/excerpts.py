"""What the report shows of single samples: a few failures, reasons of void, sampling as read back.

Taken in the same pass as the numbers; how much is kept does not grow with the run.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from evalkit.core.types import SampleRow, SamplingParams
from evalkit.report.text import one_line

PER_CATEGORY = 3
REFERENCES = 20
_REASONS = 50


class VoidReason(Struct):
    """One reason, how often it came, and the first sample that has it."""

    by_category: str
    reason: str
    first: str
    count: int = 0


class SamplingSeen(Struct):
    """One way of asking as the engine reported it; `effective` None means that the back end does not say, or that
    nothing was sampled: continuations were `weighed`."""

    category: str
    policy: str
    effective: SamplingParams | None
    weighed: bool = False
    answers: int = 0


class StepExcerpts(Struct):
    """What was kept of one step. `failures` maps category → class → first rows."""

    failures: dict[str, dict[str, list[SampleRow]]] = field(default_factory=dict)
    voids: dict[tuple[str, str], VoidReason] = field(default_factory=dict)
    sampling: dict[tuple[str, str, SamplingParams | None, bool], SamplingSeen] = field(default_factory=dict)
    answers_per_item: int = 0
    references: dict[tuple[str, str], str] = field(default_factory=dict)
    """By category and item, the first reference programs that do not pass, and how each ended."""

    def add(self, row: SampleRow) -> None:
        self.answers_per_item = max(self.answers_per_item, row.sample + 1)
        if row.reference is not None and row.reference != "passed" and len(self.references) < REFERENCES:
            self.references.setdefault((row.category, row.id), row.reference)
        if row.outcome == "void":
            self._add_void(row)
            return
        seen = (row.category, row.policy, row.effective, bool(row.likelihoods))
        self.sampling.setdefault(seen, SamplingSeen(*seen)).answers += 1
        if row.selected and failed(row):
            rows = self.failures.setdefault(row.category, {}).setdefault(row.error_class or "unknown", [])
            if len(rows) < PER_CATEGORY and all(row.id != other.id for other in rows):
                rows.append(row)

    def _add_void(self, row: SampleRow) -> None:
        key = (row.category, one_line(row.reason or "no reason was recorded", 200))
        if key not in self.voids and len(self.voids) >= _REASONS:
            key = (row.category, "other reasons")
        self.voids.setdefault(key, VoidReason(*key, first=name_of(row))).count += 1

    def examples(self, category: str, classes: Iterable[str]) -> list[SampleRow]:
        """A few failed rows of a category: the first of each class in the order given, then the second of each."""
        found = self.failures.get(category, {})
        queues = [found[name] for name in dict.fromkeys([*classes, *sorted(found)]) if name in found]
        chosen: list[SampleRow] = []
        for rank in range(PER_CATEGORY):
            for queue in queues:
                fresh = rank < len(queue) and all(queue[rank].id != row.id for row in chosen)
                if fresh and len(chosen) < PER_CATEGORY:
                    chosen.append(queue[rank])
        return chosen


class Excerpts(Struct):
    """What was kept of all steps."""

    steps: dict[str, StepExcerpts] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.steps.setdefault(row.step, StepExcerpts()).add(row)


def failed(row: SampleRow) -> bool:
    """Whether a row is one a reader would look at: failed, or scored less than half."""
    return row.outcome == "fail" or (row.outcome == "score" and row.score is not None and row.score < 0.5)


def name_of(row: SampleRow) -> str:
    """How `evalkit show` calls a sample; all answers to the item have this one name."""
    return f"{row.step}/{row.id}"
