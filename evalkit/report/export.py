"""A run's tables for other programs: every test, every answer, items against runs, pass@k, and the report's numbers.

The first table has the columns of hand-made MBPP sheets: id, problem_statement, test_case_statement, test_output,
reason. Rows are read from the run folder as they are asked for; of the answers only what items add up to is held.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from evalkit.core import registry, runfolder
from evalkit.core.errors import SpecError
from evalkit.core.ports import Exporter
from evalkit.core.types import Json, SampleRow
from evalkit.report.attempts import ks_for
from evalkit.report.folder import read_lock, read_rows, read_run
from evalkit.report.render import prompt_text
from evalkit.report.results import Measure, Results, decode
from evalkit.report.selection import selector_name
from evalkit.report.tables import measure_lines
from evalkit.stats.passk import pass_at_k
from evalkit.steps.routing import BY

Cells = tuple[Json, ...]
_TESTS = ("id", "problem_statement", "test_case_statement", "test_output", "reason", "step", "category", "sample")
_ANSWERS = (
    "model_run_id", "step", "model", "category", "split", "id", "sample", "pass", "outcome", "score", "class", "rule",
    "tests_passed", "tests_total", "finish_reason", "prompt_tokens", "completion_tokens", "seconds", "sandbox_s",
    "reason", "completion", "text_sha256", "selected", "selector", "value", "rank",
)  # fmt: skip
_SCORES = (
    "step", "model", "level", "category", "field", "value", "n", "scored", "void", "unscored", "score", "low", "high",
    "method", "pass@1", "tests_share", "truncated", "no_answer", "completion_tokens", "generation_s", "weighing_s",
    "usd", "programs", "near_limit",
)  # fmt: skip
_OUTPUTS = {"pass": "PASS", "fail": "FAIL", "score": "SCORE", "void": "VOID", "unscored": "UNSCORED"}


class Table(Struct, frozen=True):
    """One table. `rows` can be read once."""

    name: str
    columns: tuple[str, ...]
    rows: Iterator[Cells]


def export(folder: Path, form: str, target: Path | None = None) -> list[Path]:
    """Write a run's tables in a form (`xlsx`, `csv`, `jsonl`, `parquet`, or a plug-in's); returns what was written.

    Without a `target` they go into the run folder. Raises SpecError for a form that is not known or a run without
    results, PrerequisiteError for a package that is missing.
    """
    exporter: Exporter = registry.load("exporters", form)
    return exporter.export(tables(folder), target or folder / exporter.target(folder.name))


def tables(folder: Path) -> Iterator[Table]:
    """The tables of a run, in the order of their use."""
    results = _results(folder)
    yield Table("Evaluation_Results", _TESTS, _tests(folder))
    yield Table("Answers", _ANSWERS, _answers(folder))
    items = _Items()
    for row in read_rows(folder):
        items.add(row)
    if items.most > 1:
        yield Table("Pivot", ("step", "category", "id", *items.names()), items.pivot())
        ks = ks_for(items.most)
        yield Table("Pass_at_k", ("step", "category", "id", "n", "c", *(f"pass@{k}" for k in ks)), items.pass_at_k(ks))
    yield Table("Scores", _SCORES, _scores(results))
    yield Table("Pass_at_k_means", ("step", "category", "k", "n", "score", "low", "high"), _passes(results))
    yield Table("Classes", ("step", "category", "class", "answers"), _classes(results))
    yield Table("Run", ("of", "name", "value"), _run(folder))


def _results(folder: Path) -> Results:
    try:
        return decode((folder / runfolder.RESULTS).read_bytes())
    except OSError as error:
        raise SpecError(f"{folder} has no results yet", hint="run the same spec again: it continues") from error


# -- rows --------------------------------------------------------------------------------------------------------------


def run_name(row: SampleRow) -> str:
    """A name for all k-th answers of a model: one run over all items."""
    return f"{row.model}-{row.sample + 1:02d}"


def _tests(folder: Path) -> Iterator[Cells]:
    """One row a test; one row an answer that has none."""
    for row in read_rows(folder):
        problem, place = prompt_text(row.prompt), (row.step, row.category, row.sample)
        for test in row.tests:
            output = "PASS" if test.passed else "FAIL"
            yield (row.id, problem, test.label, output, test.message or _why(row, test.passed), *place)
        if not row.tests:
            yield (row.id, problem, None, _OUTPUTS[row.outcome], _why(row, row.outcome == "pass"), *place)


def _why(row: SampleRow, passed: bool) -> str | None:
    if passed:
        return None
    return ": ".join(part for part in (row.error_class, row.reason or row.exception) if part) or None


def _answers(folder: Path) -> Iterator[Cells]:
    for row in read_rows(folder):
        passed = {"pass": True, "fail": False}.get(row.outcome)
        known = {"model_run_id": run_name(row), "pass": passed, "class": row.error_class, **_choice(row)}
        yield tuple(known[name] if name in known else getattr(row, name) for name in _ANSWERS)


def _choice(row: SampleRow) -> dict[str, Json]:
    choice = row.choice
    if choice is None:
        return {"selector": None, "value": None, "rank": None}
    return {"selector": selector_name(choice.by), "value": choice.value, "rank": choice.rank}


class _Items:
    """Which answers to each item passed."""

    def __init__(self) -> None:
        self._items: dict[tuple[str, str, str], dict[int, bool | None]] = {}
        self.most = 0

    def add(self, row: SampleRow) -> None:
        if row.choice is not None and row.choice.by == BY:  # another model was asked: these are not the item's answers
            return
        answers = self._items.setdefault((row.step, row.category, row.id), {})
        answers[row.sample] = {"pass": True, "fail": False}.get(row.outcome)
        self.most = max(self.most, row.sample + 1)

    def names(self) -> tuple[str, ...]:
        return tuple(f"run_{place + 1:02d}_pass" for place in range(self.most))

    def pivot(self) -> Iterator[Cells]:
        for item, answers in self._items.items():
            yield (*item, *(answers.get(place) for place in range(self.most)))

    def pass_at_k(self, ks: tuple[int, ...]) -> Iterator[Cells]:
        for item, answers in self._items.items():
            judged = [passed for passed in answers.values() if passed is not None]
            n, c = len(judged), sum(judged)
            yield (*item, n, c, *(pass_at_k(n, c, k) if k <= n else None for k in ks))


# -- numbers of the report ---------------------------------------------------------------------------------------------


def _scores(results: Results) -> Iterator[Cells]:
    for line in measure_lines(results):
        yield tuple(line[name] for name in _SCORES)


def _measures(results: Results) -> Iterator[tuple[str, str, Measure]]:
    for step_name in results.order:
        step = results.steps[step_name]
        yield step_name, "all", step.all
        for name in step.order:
            yield step_name, name, step.categories[name]


def _passes(results: Results) -> Iterator[Cells]:
    for step, category, measure in _measures(results):
        rates = {"1": measure.metrics.pass_at_1, **measure.metrics.pass_at_k}
        for k, rate in rates.items():
            yield (step, category, int(k), rate.n, rate.score, *(rate.interval or (None, None)))


def _classes(results: Results) -> Iterator[Cells]:
    for step, category, measure in _measures(results):
        yield (step, category, "passed", measure.metrics.answers.passed)
        for name, count in measure.metrics.classes.items():
            yield (step, category, name, count)
        yield (step, category, "cut off at max_tokens", measure.metrics.truncated)


def _run(folder: Path) -> Iterator[Cells]:
    """Everything that `run.json` and `evalkit.lock` say, a line a value."""
    for of, document in (("run", read_run(folder)), ("lock", read_lock(folder))):
        for name, value in _leaves(msgspec.to_builtins(document)):
            yield (of, name, value)


def _leaves(value: Json, name: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list | tuple) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{name}.{index}")
    elif isinstance(value, list | tuple):
        yield name, ", ".join(str(inner) for inner in value)
    else:
        yield name, value
