"""Screens that stand still: results, runs, one sample, what is missing."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from evalkit.console.printing import add_row, say, section, table_of
from evalkit.console.terminal import console_for, wrote_plainly
from evalkit.core.errors import EvalkitError
from evalkit.core.runfolder import RunRecord
from evalkit.core.types import Contribution, Json, SampleRow
from evalkit.report import numbers
from evalkit.report.text import one_line, visible

if TYPE_CHECKING:
    from rich.table import Table

    from evalkit.doctor import Check
    from evalkit.report.results import CategoryMeasure, Expectation, Measure, Results, StepResults
    from evalkit.sandboxes.garbage import Removed

_SEVERITY = re.compile(r"^(?P<place>.*?:\d+:\d+: )?(?P<word>error|warning|note): ")
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_JUDGED = {"confirmed": "green", "refuted": "bold red", "inconclusive": "yellow"}
_OUTCOMES = {"pass": "bold green", "fail": "bold red", "score": "bold", "void": "bold yellow", "unscored": "bold"}


def progress_note(text: str) -> None:
    """One sentence about what takes long, on stderr."""
    if not wrote_plainly(sys.stderr, visible(text)):
        console_for(sys.stderr).print(visible(text), soft_wrap=True)


def show_json(value: Json) -> None:
    """A result for other programs: strict JSON, two spaces, in the order of its fields."""
    encoded = msgspec.json.format(msgspec.json.encode(value), indent=2)
    sys.stdout.write(f"{encoded.decode()}\n")


def show_diagnostics(text: str) -> None:
    """Rendered diagnostics of a spec, on stderr; nothing where there are none."""
    lines = text.rstrip("\n").split("\n")
    if not text or wrote_plainly(sys.stderr, "\n".join(map(visible, lines))):
        return
    from rich.text import Text

    console = console_for(sys.stderr)
    for line in lines:
        shown = Text(visible(line))
        found = _SEVERITY.match(line)
        if found:
            shown.stylize(_STYLES[found["word"]], found.start("word"), found.end("word") + 1)
        console.print(shown, soft_wrap=True)


def show_error(error: EvalkitError) -> None:
    """What went wrong and what to do."""
    from rich.text import Text

    console = console_for(sys.stderr)
    console.print(Text.assemble(("error: ", _STYLES["error"]), visible(str(error))), soft_wrap=True)
    if error.hint:
        console.print(Text.assemble(("  hint: ", "bold"), visible(error.hint)), soft_wrap=True)


def show_bug(error: BaseException, log: Path | None) -> None:
    """Something that is evalkit's fault, and where its log was written."""
    from rich.text import Text

    console = console_for(sys.stderr)
    what = f"{type(error).__name__}: {visible(str(error))}"
    console.print(Text.assemble(("bug: ", _STYLES["error"]), what), soft_wrap=True)
    kept = f"please report it with {log}" if log else "the log could not be written here"
    console.print(Text.assemble(("  hint: ", "bold"), f"this is a mistake in evalkit; {kept}"), soft_wrap=True)


def show_results(results: Results, report_path: Path | str | None = None) -> None:
    """The table of a finished run, in the figures of its report."""
    from evalkit.console.judged import show_verdicts

    console = console_for(sys.stdout)
    for name in results.order:
        step = results.steps[name]
        say(f"Step {name}: {step.model}", "bold")
        console.print(_results_table(step))
        say("")
    show_verdicts(results)
    for one in results.expectations:
        say(_expectation(one), _JUDGED[one.judgement])
    for finding in results.findings:
        style = _STYLES["error"] if finding.severity == "serious" else _STYLES["warning"]
        line = f"{finding.severity}: {finding.title} (step {finding.step}). {finding.evidence}"
        say(line, style if finding.severity != "info" else "")
    for stamp in results.stamps:
        say(stamp, _STYLES["warning"])
    if report_path is not None:
        say(f"report: {report_path}")


def _expectation(one: Expectation) -> str:
    from evalkit.report.expected import printed

    words, found, interval = printed(one)
    return f"{one.judgement}: {words} in {one.category} (step {one.step}). Found {found} ({interval}): {one.reason}."


def _results_table(step: StepResults) -> Table:
    table = table_of("category", ">n", ">scored", ">void", ">score", ">95 % interval", ">cut off", ">tokens/s")
    for name in step.order:
        add_row(table, name, *_measured(step.categories[name]))
    if len(step.order) > 1:
        table.add_section()
        add_row(table, "all items (micro)", *_measured(step.all), style="bold")
        add_row(table, "all categories (macro)", "", "", "", numbers.pct(step.macro.score))
    return table


def _measured(measure: Measure | CategoryMeasure) -> tuple[str, ...]:
    metrics = measure.metrics
    return (
        numbers.count(measure.n),
        numbers.count(measure.scored),
        numbers.count(measure.void),
        numbers.score(measure.score, measure.unscored),
        numbers.interval(measure.interval),
        numbers.count(metrics.truncated if metrics.generated else None),
        numbers.rate(numbers.per(metrics.tokens.completion, metrics.seconds.generation)),
    )


def show_runs(runs: Sequence[RunRecord]) -> None:
    """All runs of a project, in the order given."""
    table = table_of("run", "state", "started", ">took", "spec")
    for run in runs:
        add_row(table, run.id, _state_of(run), run.started or numbers.DASH, numbers.seconds(run.seconds), run.spec)
    if runs:
        console_for(sys.stdout).print(table)
    else:
        say("no runs yet: evalkit run SPEC makes one")


def _state_of(run: RunRecord) -> str:
    return run.state if run.limit is None else f"{run.state}, limit {numbers.count(run.limit)}"


def show_sample(row: SampleRow) -> None:
    """One answer and everything known of it."""
    from rich.text import Text

    from evalkit.report.excerpts import name_of
    from evalkit.report.render import prompt_text, weighed_lines

    verdict = Text.assemble((row.outcome, _OUTCOMES[row.outcome]), f"  {_judgement(row)}")
    console = console_for(sys.stdout)
    nth = f", answer {row.sample}" if row.sample else ""
    about = f"  {row.task} ({row.split}), {row.model}, policy {row.policy}{nth}"
    console.print(Text.assemble((visible(name_of(row)), "bold"), visible(about)), soft_wrap=True)
    console.print(verdict, soft_wrap=True)
    section("prompt", prompt_text(row.prompt))
    if row.likelihoods:
        section("weighed, by log-probability", weighed_lines(row.likelihoods), numbers.seconds(row.seconds))
    else:
        section("answer", row.text, _cost_of(row))
    if row.answer is not None and row.answer != row.text:
        section("read as the answer", row.answer, f"rule {row.rule}" if row.rule else "")
    if row.tests:
        lines = [f"{'ok  ' if test.passed else 'FAIL'} {test.label}" + _below(test.message) for test in row.tests]
        section("tests", "\n".join(lines), f"{row.tests_passed} of {row.tests_total} passed")
    if row.criteria:
        points = [(name, _points(one), one.reason) for name, one in row.criteria.items()]
        lines = [f"{given}  {name}{f': {why}' if why else ''}" for name, given, why in points]
        section("criteria", "\n".join(lines), "points of the rubric")
    section("stdout", row.stdout or None)
    section("stderr", row.stderr or None)


def _points(given: Contribution) -> str:
    points = numbers.amount(given.points)
    return points if given.of is None else f"{points} of {numbers.amount(given.of)}"


def _below(message: str) -> str:
    return "".join(f"\n     {line}" for line in message.splitlines())


def _judgement(row: SampleRow) -> str:
    known = (row.error_class, row.exception, row.reason)
    score = [] if row.score is None or row.outcome != "score" else [numbers.pct(row.score)]
    return ", ".join([*score, *(one_line(part, 300) for part in known if part)])


def _cost_of(row: SampleRow) -> str:
    cut = ", cut off at max_tokens" if row.finish_reason == "length" else ""
    return f"{numbers.count(row.completion_tokens)} tokens in {numbers.seconds(row.seconds)}{cut}"


def show_doctor(checks: Sequence[Check]) -> None:
    """What evalkit found of what it needs."""
    from rich.text import Text

    table = table_of("", "", "")
    table.show_header = False
    for check in checks:
        word, style = _state_of_check(check)
        detail = check.found if check.ok or not check.hint else f"{check.found}\n→ {check.hint}"
        add_row(table, Text(word, style), check.name, detail)
    console_for(sys.stdout).print(table)
    missing = sum(check.needed and not check.ok for check in checks)
    say(f"\n{numbers.plural(missing, 'thing')} missing" if missing else "\nnothing needed is missing", "bold")


def _state_of_check(check: Check) -> tuple[str, str]:
    if check.ok:
        return "ok", "green"
    return ("missing", "bold red") if check.needed else ("optional", "yellow")


def show_written(paths: Sequence[Path]) -> None:
    """The files that a command made."""
    for path in paths:
        say(f"wrote {path}")


def show_removed(removed: Removed) -> None:
    """What was collected from the engine, and what stays because a container needs it."""
    for name in removed.images:
        say(f"removed image {name}")
    for name in removed.in_use:
        say(f"kept image {name}: a container uses it")
    containers, images = (
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((removed.containers, "container"), (len(removed.images), "image"))
    )
    freed = "" if removed.freed_mb is None else f", {removed.freed_mb:.1f} MB freed"
    say(f"{containers} and {images} removed{freed}")


def show_sandbox_test(results: Iterable[tuple[str, str, str]]) -> None:
    """Hostile programs: what should become of each and what did."""
    from rich.text import Text

    table = table_of("", "program", "expected", "ended as")
    for name, expected, got in results:
        verdict = Text("ok", "green") if got in expected.split(" or ") else Text("BROKEN", "bold red")
        add_row(table, verdict, name, expected, got)
    console_for(sys.stdout).print(table)
