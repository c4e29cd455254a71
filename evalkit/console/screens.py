"""Screens that stand still: plan, results, runs, one sample, what is missing."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from evalkit.console.terminal import console_for, wrote_plainly
from evalkit.core.digest import short
from evalkit.core.errors import EvalkitError
from evalkit.core.runfolder import RunRecord
from evalkit.core.types import Contribution, Json, SampleRow
from evalkit.report import numbers
from evalkit.report.text import one_line, visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from evalkit.doctor import Check
    from evalkit.plan import Foreseen, Plan, PlannedStep
    from evalkit.plan.planned import PlannedJudging
    from evalkit.report.results import CategoryMeasure, Expectation, Measure, Results, StepResults
    from evalkit.sandboxes.garbage import Removed

_SEVERITY = re.compile(r"^(?P<place>.*?:\d+:\d+: )?(?P<word>error|warning|note): ")
_STYLES = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_JUDGED = {"confirmed": "green", "refuted": "bold red", "inconclusive": "yellow"}
_OUTCOMES = {"pass": "bold green", "fail": "bold red", "score": "bold", "void": "bold yellow", "unscored": "bold"}


def say(text: str, style: str = "") -> None:
    """A result that is text already, as it is: never wrapped, so that it can be copied and compared."""
    if not wrote_plainly(sys.stdout, visible(text)):
        console_for(sys.stdout).print(visible(text), style=style, soft_wrap=True)


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


def add_row(table: Table, *cells: str | Text, style: str | None = None) -> None:
    table.add_row(*(visible(cell) if isinstance(cell, str) else cell for cell in cells), style=style)


def show_bug(error: BaseException, log: Path | None) -> None:
    """Something that is evalkit's fault, and where its log was written."""
    from rich.text import Text

    console = console_for(sys.stderr)
    what = f"{type(error).__name__}: {visible(str(error))}"
    console.print(Text.assemble(("bug: ", _STYLES["error"]), what), soft_wrap=True)
    kept = f"please report it with {log}" if log else "the log could not be written here"
    console.print(Text.assemble(("  hint: ", "bold"), f"this is a mistake in evalkit; {kept}"), soft_wrap=True)


def table_of(*columns: str) -> Table:
    """A table without frame; a column whose name starts with `>` holds numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        numeric = column.startswith(">")
        table.add_column(
            column.removeprefix(">"), justify="right" if numeric else "left", no_wrap=numeric, overflow="fold"
        )
    return table


def show_plan(plan: Plan) -> None:
    """What a run would do and what the store already has."""
    console = console_for(sys.stdout)
    for step in plan.steps:
        after = f", after {', '.join(step.needs)}" if step.needs else ""
        say(f"Step {step.name} ({step.verb}{after}), key {short(step.key)}", "bold")
        if step.tasks:
            console.print(_plan_table(step))
            say(f"  why: {step.why}")
            say(f"  {_tokens(step)}{_programs(step)}")
        else:
            say(f"  {step.why}")
        for judging in step.judging:
            say(f"  {_judging(judging)}")
        for one in step.foreseen:
            say(f"  expects {_foreseen(one)}")
        say("")
    judges = [one for step in plan.steps for one in step.judging]
    requests = sum(step.requests for step in plan.steps) + sum(one.requests for one in judges)
    cached = sum(step.cached for step in plan.steps) + sum(one.cached for one in judges)
    say(
        f"{numbers.plural(len(plan.steps), 'step')}, {numbers.plural(requests, 'request')}: "
        f"{numbers.count(cached)} in the store, {numbers.count(requests - cached)} to ask",
        "bold",
    )
    cost = _cost(plan)
    if cost:
        say(cost)


def _cost(plan: Plan) -> str:
    """What is to ask costs at most, where there is a price or a budget; of whom that is not known."""
    budget = plan.spec.budget.usd
    if budget is None and not plan.spec.prices:
        return ""
    unpriced = dict.fromkeys(name for step in plan.steps for name in step.unpriced)
    said = f"cost: at most {numbers.usd(math.fsum(step.usd for step in plan.steps))}"
    if unpriced:
        said += f", without {', '.join(unpriced)}, of which it is not known before"
    return said if budget is None else f"{said}; the budget is {numbers.usd(budget)}"


def _foreseen(one: Foreseen) -> str:
    """What is known of an expectation before the run."""
    about = f"{one.expected} in {one.category}: with {numbers.plural(one.items, 'item')}"
    if one.pairs_needed is not None:
        needed = numbers.count(one.pairs_needed)
        return f"{about} it will most likely be inconclusive; about {needed} are needed where one item in ten differs"
    if not one.possible:
        return f"{about} no outcome can confirm it"
    points = "" if one.visible is None else f" ({numbers.points(one.visible)})"
    return f"{about}, fewer than {one.flips} one-way flips{points} cannot reach p < 0.05"


def _plan_table(step: PlannedStep) -> Table:
    routed = any(task.model for task in step.tasks)
    models = ("model",) if routed else ()
    table = table_of("  category", "task", *models, ">items", ">requests", ">in the store", ">to ask")
    for task in step.tasks:
        counts = (task.items, task.requests, task.cached, task.requests - task.cached)
        asked = (f"{task.model}{', at most' if task.at_most else ''}",) if routed else ()
        add_row(table, f"  {task.category}", f"{task.task} ({task.split})", *asked, *map(numbers.count, counts))
    return table


def _tokens(step: PlannedStep) -> str:
    asked = f"{'' if step.tokens_exact else 'about '}{numbers.count(step.prompt_tokens)} prompt tokens"
    if step.continuations and not step.max_completion_tokens:
        return f"{asked}, {numbers.plural(step.continuations, 'continuation')} to weigh, no answer tokens"
    weighed = f", {numbers.plural(step.continuations, 'continuation')} to weigh" if step.continuations else ""
    return f"{asked}{weighed}, at most {numbers.count(step.max_completion_tokens)} answer tokens"


def _judging(one: PlannedJudging) -> str:
    most = "at most " if one.candidates_ahead else ""
    about = "about " if not one.tokens_exact and not most else ""
    answers = (
        f"{numbers.plural(one.continuations, 'continuation')} to weigh"
        if one.continuations
        else f"at most {numbers.count(one.max_completion_tokens)} answer tokens"
    )
    noun = "game" if one.compares else "question"
    asked = f"judge {one.judge} ({one.model}): {most}{numbers.plural(one.requests, noun)}"
    if one.cached == one.requests:
        return f"{asked}, every answer is stored"
    tokens = f"{most}{about}{numbers.count(one.prompt_tokens)} prompt tokens"
    return f"{asked}, {numbers.count(one.cached)} in the store; {tokens}, {answers}"


def _programs(step: PlannedStep) -> str:
    said = ""
    if step.programs_cached is not None:
        said += f"; {numbers.plural(step.programs_cached, 'program')} executed already"
    if step.references:
        said += f"; {numbers.plural(step.references, 'reference program')}"
        said += "" if step.references_cached is None else f", {numbers.count(step.references_cached)} timed already"
    return said


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


def section(title: str, text: str | None, note: str = "") -> None:
    if text is None:
        return
    say("")
    say(f"── {title}{f' ({one_line(note)})' if note else ''}", "bold")
    say(text)


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
