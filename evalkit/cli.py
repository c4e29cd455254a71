"""The command line: flags become one function call, exceptions become exit codes. The only module that exits.

0 done and every gate passed · 1 a gate failed · 2 the spec or the command line is wrong · 3 a bug · 4 a prerequisite is
missing or the run is incomplete: mend it and run again · 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import click

from evalkit import __version__

_Command = TypeVar("_Command", bound=Callable[..., Any])
_BUG = 3
_INTERRUPTED = 130


def main() -> NoReturn:
    """The `evalkit` command."""
    sys.exit(_run(sys.argv[1:]))


def _run(arguments: list[str]) -> int:
    try:
        code = cli.main(args=arguments, prog_name="evalkit", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort as error:  # what click makes of Ctrl-C, and of any EOFError
        return _failed(error.__cause__) if isinstance(error.__cause__, EOFError) else _interrupted()
    except KeyboardInterrupt:
        return _interrupted()
    except click.ClickException as error:
        error.show()
        return 2
    except SystemExit:  # click's answer to a reader that went away, as in `evalkit schema | head`
        return 0
    except Exception as error:  # noqa: BLE001 - the last line of defence: a known error or a bug with its log
        return _failed(error)


def _interrupted() -> int:
    click.echo("interrupted: what was obtained is stored; run the same command again to continue", err=True)
    return _INTERRUPTED


def _failed(error: Exception) -> int:
    from evalkit import console
    from evalkit.core.errors import EvalkitError
    from evalkit.project import InvalidSpec

    if isinstance(error, InvalidSpec):
        console.show_diagnostics(error.screen)
        return error.exit_code
    if isinstance(error, EvalkitError):
        console.show_error(error)
        return error.exit_code
    from evalkit.buglog import write_bug_log

    console.show_bug(error, write_bug_log(error))
    return _BUG


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="evalkit")
def cli() -> None:
    """One committed YAML spec, one reproducible run, one honest report."""


def _places(command: _Command) -> _Command:
    """Options that say where a project keeps its things."""
    for option in reversed(
        (
            click.option(
                "--out", type=click.Path(path_type=Path), default="runs", help="Folder of runs.", show_default=True
            ),
            click.option(
                "--store",
                type=click.Path(path_type=Path),
                default=".evalkit",
                help="Folder of the store, which keeps every answer.",
                show_default=True,
            ),
            click.option(
                "--data",
                "data",
                multiple=True,
                type=click.Path(path_type=Path, exists=True, file_okay=False),
                help="A folder to look for data files in (also EVALKIT_DATA).",
            ),
        )
    ):
        command = option(command)
    return command


def _wishes(command: _Command) -> _Command:
    """Options that change what a run does."""
    for option in reversed(
        (
            click.option(
                "--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change one value of the spec."
            ),
            click.option("--limit", type=click.IntRange(min=1), help="At most so many items a task: a partial run."),
            click.option("--only", multiple=True, metavar="STEP", help="Only this step."),
            click.option(
                "--sandbox",
                "sandbox_kind",
                metavar="KIND",
                help="Where programs run, as if the spec said `sandbox: {kind: KIND}`.",
            ),
            click.option("--fresh", is_flag=True, help="Ask everything again, in a new run folder."),
        )
    ):
        command = option(command)
    return command


def _wish(overrides: tuple[str, ...], sandbox_kind: str | None, **others: Any) -> Any:
    """`--sandbox KIND` is one override more: it lands in the long form, the lock and the run's name."""
    from evalkit.project import Wish

    kind = () if sandbox_kind is None else (f"sandbox.kind={sandbox_kind}",)
    return Wish(overrides=(*overrides, *kind), **others)


def _project(out: Path = Path("runs"), store: Path = Path(".evalkit"), data: tuple[Path, ...] = ()) -> Any:
    from evalkit.project import Project

    named = tuple(Path(one) for one in os.environ.get("EVALKIT_DATA", "").split(os.pathsep) if one)
    return Project(out, store, (*data, *named))


@cli.command()
@click.argument("specs", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(specs: tuple[Path, ...]) -> int:
    """Check specs and task files: every mistake at once, with its place."""
    from evalkit import console, project

    checked = project.check(specs)
    console.show_diagnostics(checked.screen)
    console.say(checked.summary)
    return 0 if checked.errors == 0 else 2


@cli.command()
@click.argument("spec", type=click.Path(path_type=Path))
@_wishes
@_places
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(spec: Path, as_json: bool, out: Path, store: Path, data: tuple[Path, ...], **wish: Any) -> None:
    """Show what a run would do and what is stored already. Nothing is generated."""
    from evalkit import console, project

    planned = project.make_plan(_project(out, store, data), spec, _wish(**wish), console.progress_note)
    if as_json:
        console.show_json(project.plan_view(planned))
    else:
        console.show_plan(planned)


@cli.command()
@click.argument("spec", type=click.Path(path_type=Path))
@_wishes
@_places
def run(spec: Path, out: Path, store: Path, data: tuple[Path, ...], **wish: Any) -> int:
    """Execute a spec and write its report; continues an unfinished run of the same spec."""
    from evalkit import console, project
    from evalkit.console.live import Live

    live = Live()
    try:
        outcome = project.run(_project(out, store, data), spec, _wish(**wish), live, sys.argv[1:])
    finally:
        live.finish()
    console.show_results(project.results(outcome.folder), outcome.folder / "report.md")
    _tell_copy(outcome.folder)
    if outcome.problem is not None:
        console.show_error(outcome.problem)
        return outcome.problem.exit_code
    return 0


def _tell_copy(folder: Path) -> None:
    from evalkit import console, project

    not_copied = project.copy_report(folder)
    if not_copied is not None:
        console.progress_note(not_copied)


@cli.command()
@click.argument("what", type=click.Choice(["runs", "tasks"]), default="runs")
@_places
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def ls(what: str, as_json: bool, **places: Any) -> None:
    """List the runs, or the tasks that ship with evalkit."""
    from evalkit import console, project, taskview

    if what == "tasks":
        tasks = taskview.listing(_project(**places))
        console.show_json(tasks) if as_json else console.show_tasks(tasks)
        return
    found = [one for _, one in project.runs(_project(**places))]
    console.show_json(found) if as_json else console.show_runs(found)


@cli.command()
@click.argument("run_name", metavar="RUN|TASK")
@click.argument("sample", required=False)
@_places
@click.option(
    "--prompt", "prompt", is_flag=True, help="What a model would get for one item of TASK (its number or ID)."
)
@click.option("--split", help="With --prompt: of this split.")
@click.option("--model", help="With --prompt: for this model (embedded, a folder, a hub id).")
@click.option("--shots", type=click.IntRange(min=0), help="With --prompt: so many examples.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(run_name: str, sample: str | None, as_json: bool, prompt: bool, **others: Any) -> None:
    """Show a run's results, one SAMPLE of it (ID or STEP/ID) with everything known of it, a pair with its verdicts
    (STEP/ID of a judge step), or with --prompt what a model would get for an item of a task."""
    from evalkit import console, project

    asked = {name: others.pop(name) for name in ("split", "model", "shots")}
    places = others
    if prompt:
        _show_prompt(run_name, sample, as_json, _project(**places), **asked)
        return
    if any(value is not None for value in asked.values()):
        raise click.UsageError("--split, --model and --shots belong to --prompt")
    folder = project.find_run(_project(**places), run_name)
    if sample is None:
        results = project.results(folder)
        console.show_json(results) if as_json else console.show_results(results, folder / "report.md")
        return
    pairs = project.find_pairs(folder, sample)
    if pairs:
        console.show_json(pairs) if as_json else console.show_pairs(pairs)
        return
    rows = project.find_samples(folder, sample)
    if as_json:
        console.show_json(rows)
        return
    console.show_candidates(rows)
    for row in rows:
        console.show_sample(row)


def _show_prompt(task: str, item: str | None, as_json: bool, where: Any, **asked: Any) -> None:
    from evalkit import console, taskview

    found = taskview.shown(where, taskview.Question(task, item or "1", **asked), console.progress_note)
    console.show_json(found) if as_json else console.show_prompt(found)


@cli.command()
@click.argument("run_name", metavar="RUN")
@_places
def report(run_name: str, **places: Any) -> None:
    """Write a run's report again from its samples."""
    from evalkit import console, project

    folder = project.find_run(_project(**places), run_name)
    console.show_results(project.report(folder), folder / "report.md")
    _tell_copy(folder)


@cli.command()
@click.argument("run_name", metavar="RUN")
@click.option("--to", "form", required=True, metavar="FORM", help="xlsx, csv, jsonl, parquet, or a plug-in's form.")
@click.option(
    "--into", type=click.Path(path_type=Path), help="The file or folder to write. Default: in the run folder."
)
@_places
def export(run_name: str, form: str, into: Path | None, **places: Any) -> None:
    """Write a run's tests, answers, runs side by side and numbers as tables for other programs."""
    from evalkit import console, project

    console.show_written(project.export(project.find_run(_project(**places), run_name), form, into))


@cli.command()
@click.argument("spec", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="PATH=VALUE", help="Change one value of the spec.")
@click.option("--why", "why", metavar="PATH", help="Say where the value at PATH comes from.")
def expand(spec: Path, overrides: tuple[str, ...], why: str | None) -> None:
    """Print a spec in long form, or where one of its values comes from."""
    from evalkit import console, project

    loaded = project.load(spec, project.Wish(overrides=overrides))
    console.say(project.long_form(loaded).rstrip() if why is None else loaded.why(why))


@cli.command()
@click.argument("kind", type=click.Choice(["spec", "task", "rubric"]), default="spec")
def schema(kind: Literal["spec", "task", "rubric"]) -> None:
    """Print the JSON Schema of a document kind, for editors."""
    from evalkit import console
    from evalkit.spec.schemas import schema_document

    console.show_json(schema_document(kind))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path), default=".")
def init(folder: Path) -> None:
    """Write a first spec with ten toy samples that runs at once, without a model."""
    from evalkit import console
    from evalkit.starter import write_starter

    console.show_written(write_starter(folder))


@cli.command()
def doctor() -> int:
    """Check what runs need: packages, device, model, sandbox, disk."""
    from evalkit import console
    from evalkit.doctor import examine

    checks = examine()
    console.show_doctor(checks)
    return 0 if all(one.ok for one in checks if one.needed) else 4


@cli.group()
def data() -> None:
    """The data of tasks."""


@data.command("fetch")
@click.argument("tasks", nargs=-1, required=True, metavar="TASK...")
@_places
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def fetch_data(tasks: tuple[str, ...], as_json: bool, **places: Any) -> int:
    """Bring the data of tasks onto this machine, every split, and say where it is."""
    from evalkit import console, taskview

    found = taskview.fetch(_project(**places), tasks, console.progress_note)
    console.show_json(found) if as_json else console.show_fetched(found)
    problem = taskview.missing(found)
    if problem is None:
        return 0
    console.show_error(problem)
    return problem.exit_code


@cli.group()
def sandbox() -> None:
    """The place where generated programs run."""


@sandbox.command()
def up() -> None:
    """Bring Docker up (on Debian as root) and build the sandbox image."""
    from evalkit import console, project

    console.say(project.sandbox_up(console.progress_note))


@sandbox.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
def build(spec: Path | None) -> None:
    """Build the sandbox image, that of SPEC or the shipped one, and say from what."""
    from evalkit import console, project

    console.say(project.sandbox_build(console.progress_note, spec))


@sandbox.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option("--kind", metavar="KIND", help="Which sandbox: docker, or local (weaker). Default: that of SPEC, docker.")
@click.option("--all", "everything", is_flag=True, help="The whole set (minutes), not only its quick part.")
def test(spec: Path | None, kind: str | None, everything: bool) -> int:
    """Run hostile programs in the sandbox, that of SPEC or the shipped one, and show what became of them."""
    from evalkit import console, project

    findings = project.sandbox_test(console.progress_note, spec, kind, everything)
    console.show_sandbox_test(findings)
    return 0 if all(finding.right for finding in findings) else 4


@sandbox.command()
@click.option("--all", "everything", is_flag=True, help="Remove the images of today too; the next run builds them.")
def gc(everything: bool) -> None:
    """Remove containers of dead runs, and images of former workers and packages."""
    from evalkit import console, project

    console.show_removed(project.sandbox_gc(everything))
