"""Everything a report template may show, gathered from the folder of one run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from evalkit.core.digest import digest
from evalkit.core.runfolder import Lock, RunRecord, TaskLock
from evalkit.core.types import SampleRow
from evalkit.report import breakdown, costs, verdict
from evalkit.report.arms import ArmsPage
from evalkit.report.breakdown import FieldTables, Table
from evalkit.report.costs import CostLine
from evalkit.report.diagnosed import DiagnosisPage, pages
from evalkit.report.excerpts import Excerpts, SamplingSeen, StepExcerpts, VoidReason
from evalkit.report.judged import JudgedPage
from evalkit.report.results import Expectation, ExtraPass, Finding, Measure, Results, StepResults

_ABSOLUTE = re.compile(
    r"""(?:^|(?<=[\s=('",]))(?:file:(?://)?)?(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\'"),]+[/\\])*(?=[^\s/\\])"""
)
_MEANING = {
    "wrong_answer": "an answer, and it is wrong",
    "no_answer": "no answer could be found in the text",
    "not_followed": "the answer does not follow every instruction",
    "undecided": "the comparison with the right answer did not end in time",
    "no_code": "no program could be found in the text",
    "syntax_error": "the program does not compile",
    "runtime_error": "the program ended with an exception",
    "timeout": "the program did not end in time",
    "memory": "the program needed too much memory",
    "output_limit": "the program printed too much",
    "violation": "the program tried what the sandbox forbids",
}


class ClassLine(Struct, frozen=True):
    """One class of failure over the categories, in the order of `StepPage.order`."""

    name: str
    meaning: str
    counts: tuple[int, ...]
    total: int


class Example(Struct, frozen=True):
    """A failed sample of a category."""

    category: str
    row: SampleRow


class StepPage(Struct, frozen=True, kw_only=True):
    """What there is to say of one step."""

    name: str
    results: StepResults
    verdict: str
    answers_per_item: int
    cautions: tuple[str, ...]
    unsaid: tuple[str, ...]
    breakdowns: tuple[FieldTables, ...]
    splits: tuple[Table, ...]
    split_classes: dict[str, tuple[ClassLine, ...]]
    classes: tuple[ClassLine, ...]
    examples: tuple[Example, ...]
    voids: tuple[VoidReason, ...]
    sampling: tuple[SamplingSeen, ...]
    tasks: tuple[TaskLock, ...]
    time_limits: str
    broken_references: str

    @property
    def order(self) -> tuple[str, ...]:
        return self.results.order


class ModelPage(Struct, frozen=True):
    """A model and what it is known by."""

    name: str
    engine: str
    digest: str
    parts: dict[str, str]


class Page(Struct, frozen=True, kw_only=True):
    """What there is to say of a run. Nothing in it depends on the clock, the machine or its paths.

    `judged` has one for each step in which judges compared. `arms` is there for the template that sets Best-of-N beside
    a plain arm.
    """

    title: str
    about: str
    stamps: tuple[str, ...]
    steps: tuple[StepPage, ...]
    findings: tuple[Finding, ...]
    expectations: tuple[Expectation, ...]
    diagnoses: tuple[DiagnosisPage, ...]
    costs: tuple[CostLine, ...]
    extra_passes: tuple[ExtraPass, ...]
    models: tuple[ModelPage, ...]
    lock: Lock
    lock_digest: str
    judged: tuple[JudgedPage, ...] = ()
    arms: ArmsPage | None = None


def build(run: RunRecord, lock: Lock, results: Results, excerpts: Excerpts, drawn: Mapping[str, str]) -> Page:
    """The page of a run. `drawn` has the path of each figure that could be drawn, by `STEP-NAME`."""
    return Page(
        title=run.name or "Evaluation run",
        about=run.about,
        stamps=results.stamps,
        steps=tuple(_step(name, results.steps[name], excerpts, lock) for name in results.order),
        findings=results.findings,
        expectations=results.expectations,
        diagnoses=pages(results.diagnoses, drawn),
        costs=costs.lines({name: results.steps[name] for name in results.order}),
        extra_passes=results.extra_passes,
        models=tuple(
            ModelPage(name, model.engine, digest(model), {key: portable(part) for key, part in model.parts.items()})
            for name, model in sorted(lock.models.items())
        ),
        lock=lock,
        lock_digest=digest(lock),
    )


def _step(name: str, results: StepResults, excerpts: Excerpts, lock: Lock) -> StepPage:
    seen = excerpts.steps.get(name, StepExcerpts())
    return StepPage(
        name=name,
        results=results,
        verdict=verdict.sentence(results),
        answers_per_item=seen.answers_per_item,
        cautions=tuple(verdict.cautions(results)),
        unsaid=tuple(verdict.unsaid(results, seen, _compared(name, lock))),
        breakdowns=breakdown.by_field(results),
        splits=breakdown.by_split(results),
        split_classes={task: tuple(_classes(list(found.splits.values()))) for task, found in results.splits.items()},
        classes=tuple(_classes([results.categories[name] for name in results.order])),
        examples=tuple(
            Example(category, row)
            for category in results.order
            for row in seen.examples(category, results.categories[category].metrics.classes)
        ),
        voids=tuple(seen.voids.values()),
        sampling=tuple(seen.sampling.values()),
        tasks=tuple(task for task in lock.tasks if task.step == name),
        time_limits=verdict.time_limits(results.all),
        broken_references=verdict.broken_references(results.all, seen),
    )


def _compared(name: str, lock: Lock) -> list[str]:
    """The steps that a step is compared with."""
    found = (list(one.reads.values()) for one in lock.diagnoses if one.diagnosis == "compare")
    return [other for steps in found if name in steps for other in steps if other != name]


def _classes(parts: Sequence[Measure]) -> Iterable[ClassLine]:
    """The passed answers and each class of failure, the most frequent first: together all scored answers, unless scores
    are shares."""
    totals: Counter[str] = Counter()
    for part in parts:
        totals.update(part.metrics.classes)
    if not totals:
        return
    passed = tuple(part.metrics.answers.passed for part in parts)
    yield ClassLine("passed", "", passed, sum(passed))
    for name, total in sorted(totals.items(), key=lambda pair: (-pair[1], pair[0])):
        counts = tuple(part.metrics.classes.get(name, 0) for part in parts)
        yield ClassLine(name, _MEANING.get(name, ""), counts, total)


def portable(text: str) -> str:
    """The text with the folders of absolute paths left out: they say nothing to a reader on another machine."""
    return _ABSOLUTE.sub("…/", text)
