"""What a user wants done: check, plan, run, look again. Each is one function; nothing here prints or exits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
from msgspec import Struct

from evalkit.core import registry
from evalkit.core.errors import PrerequisiteError, SpecError
from evalkit.core.ports import Listener, Notify, SandboxAdapter
from evalkit.core.runfolder import REPORT, RESULTS, RUN, Lock, RunRecord
from evalkit.core.types import Json, SampleRow

if TYPE_CHECKING:  # each command imports what it needs: `evalkit --help` must not wait for the rest
    from evalkit.plan import Plan
    from evalkit.report.compared import ComparedPair
    from evalkit.report.results import Results
    from evalkit.run.executor import Order, Outcome
    from evalkit.run.store import SqliteStore
    from evalkit.sandboxes.garbage import Removed
    from evalkit.sandboxes.self_test import Finding
    from evalkit.spec.load import Loaded


class Project(Struct, frozen=True):
    """Where a project keeps its things: run folders, the store, and folders in which data files are looked for."""

    runs: Path = Path("runs")
    store: Path = Path(".evalkit")
    folders: tuple[Path, ...] = ()


class Wish(Struct, frozen=True):
    """What a user asks of a run besides the spec."""

    overrides: tuple[str, ...] = ()
    limit: int | None = None
    only: tuple[str, ...] = ()
    fresh: bool = False


class InvalidSpec(SpecError):
    """A spec with errors; `screen` shows all of them with their places."""

    def __init__(self, screen: str) -> None:
        super().__init__("the spec is not valid")
        self.screen = screen


def load(path: Path, wish: Wish) -> Loaded:
    """The spec, checked and restricted to the wish. Raises InvalidSpec."""
    from evalkit.spec.diagnostics import render
    from evalkit.spec.load import load_spec

    loaded = load_spec(path, wish.overrides)
    if loaded.spec is None:
        raise InvalidSpec(render(loaded.diagnostics, loaded.sources))
    return loaded


def long_form(loaded: Loaded) -> str:
    """The long form of a spec as YAML."""
    from evalkit.spec.dump import dump

    return dump(loaded.long_form)


def make_plan(project: Project, path: Path, wish: Wish, notify: Notify) -> Plan:
    """What a run would do and what is there already. Starts no engine and no sandbox."""
    loaded = load(path, wish)
    store = _open_store(project)
    try:
        return _plan(project, loaded, wish, _target(project, loaded, wish), _Looking(store, notify))
    finally:
        store.close()


def run(project: Project, path: Path, wish: Wish, listener: Listener, command: Sequence[str]) -> Outcome:
    """Execute a spec and write its report; continues a run of the same spec that is not finished.

    Raises InvalidSpec, DataError, PrerequisiteError, ContractError, RunIncomplete: nothing that was obtained is lost.
    """
    from evalkit.report.write import write
    from evalkit.run.executor import execute

    loaded = load(path, wish)
    target = _target(project, loaded, wish)
    store = _open_store(project)
    try:
        listener.note(f"reading {path}")
        plan = _plan(project, loaded, wish, target, _Looking(store, listener.note))
        warning = _sandbox_warning(plan.spec.sandbox) if plan.executes else ""
        return execute(_order(loaded, wish, target, command, warning), plan, store, listener, write)
    finally:
        store.close()


def copy_report(folder: Path) -> str | None:
    """Copy the report to where the spec wants it. Returns a sentence when it was wanted and not done.

    A page of a part of the spec, or of a run that is not complete, never takes the place of a whole one.
    """
    from evalkit.fetch.cache import write_file
    from evalkit.run import record

    run_record = record.read(folder)
    to = run_record.report_to
    if to is None:
        return None
    if run_record.state != "complete" or run_record.limit is not None or run_record.only:
        return f"{to} is left as it is: this run is not the whole of its spec"
    try:
        write_file(Path(to), (folder / REPORT).read_bytes())
    except OSError as error:
        return f"the report could not be copied to {to}: {error.strerror or error}"
    return None


def _open_store(project: Project) -> SqliteStore:
    from evalkit.run.store import SqliteStore

    return SqliteStore(project.store)


class _Target(Struct, frozen=True):
    """Where a run goes, and the salt of its keys: not empty for a `--fresh` run, which shares no answers."""

    folder: Path
    salt: str


class _Looking(Struct, frozen=True):
    """With what a plan is made."""

    store: SqliteStore
    notify: Notify


def _plan(project: Project, loaded: Loaded, wish: Wish, target: _Target, looking: _Looking) -> Plan:
    from evalkit import plan
    from evalkit.run import record

    assert loaded.spec is not None
    spec = plan.restricted(loaded.spec, wish.limit, wish.only)
    sources = plan.Sources(
        store=looking.store,
        notify=looking.notify,
        folders=project.folders,
        identity=_identity(spec.sandbox),
        previous=record.read_lock(target.folder) or _last_lock(project, spec.name),
        salt=target.salt,
        limited=wish.limit is not None,
    )
    return plan.make(spec, sources)


def _identity(options: dict[str, Json]) -> str | None:
    """The sandbox's identity for the plan: None where no engine answers, which stops a run later and a plan never."""
    try:
        adapter = registry.load("sandboxes", str(options.get("kind", "docker")))
        found: str | None = adapter.identity(options)
    except PrerequisiteError:
        return None
    return found


def _last_lock(project: Project, name: str) -> Lock | None:
    from evalkit.run import record

    locks = [record.read_lock(path) for path, found in record.find(project.runs) if found.name == name]
    return locks[-1] if locks else None


def _target(project: Project, loaded: Loaded, wish: Wish) -> _Target:
    """The run folder of a spec: the last one of the same spec and wish, or the first.

    `--fresh` opens a new one with a salt of its own, and continues it while it is unfinished.
    """
    from evalkit.run import record

    assert loaded.spec is not None
    base = record.run_id(loaded.spec.name, loaded.digest, wish.limit, wish.only)
    made = [base, *(f"{base}-{n}" for n in range(2, 1000))]
    count = next(n for n, name in enumerate(made) if not (project.runs / name / RUN).exists())
    last = record.known(project.runs / made[count - 1]) if count else None
    salt = last.salt if last is not None else ""
    if wish.fresh and not (last is not None and salt and last.state != "complete"):
        return _Target(project.runs / made[count], uuid4().hex)
    return _Target(project.runs / made[max(count - 1, 0)], salt)


def _sandbox_warning(options: dict[str, Json]) -> str:
    adapter: SandboxAdapter = registry.load("sandboxes", str(options.get("kind", "docker")))
    return adapter.warning(options)


def _order(loaded: Loaded, wish: Wish, target: _Target, command: Sequence[str], sandbox_warning: str) -> Order:
    from evalkit.run import executor, record

    assert loaded.spec is not None
    started = RunRecord(
        id=target.folder.name,
        name=loaded.spec.name,
        about=loaded.spec.about,
        state="running",
        limit=wish.limit,
        only=wish.only,
        void_budget=loaded.spec.void_budget,
        started=record.now(),
        command=tuple(command),
        spec=loaded.spec.path,
        spec_sha256=loaded.digest,
        salt=target.salt,
        template=loaded.spec.report.template,
        report_to=loaded.spec.report.to,
        gpu_hour_usd=loaded.spec.cost.get("gpu_hour"),
        sandbox_warning=sandbox_warning,
        environment=record.environment(),
    )
    return executor.Order(target.folder, started, long_form(loaded))


# looking again


def runs(project: Project) -> list[tuple[Path, RunRecord]]:
    """Every run, oldest first. One that says `running` and holds no lock was killed: it is shown as interrupted."""
    from evalkit.run import record

    found = []
    for path, one in record.find(project.runs):
        killed = one.state == "running" and not record.is_running(path)
        found.append((path, msgspec.structs.replace(one, state="interrupted") if killed else one))
    return found


def find_run(project: Project, name: str) -> Path:
    """A run folder by path, by id, by the start of its id, or `last`. Raises SpecError naming what there is."""
    from evalkit.run import record

    if (Path(name) / RUN).is_file():
        return Path(name)
    known = [path for path, _ in record.find(project.runs)]
    matching = known[-1:] if name == "last" else [path for path in known if path.name.startswith(name)]
    exact = [path for path in matching if path.name == name]
    if len(exact or matching) == 1:
        return (exact or matching)[0]
    names = ", ".join(path.name for path in (matching or known)) or "none yet"
    problem = f"no run is called '{name}'" if not matching else f"several runs begin with '{name}'"
    raise SpecError(problem, hint=f"runs: {names}")


def find_samples(folder: Path, wanted: str) -> list[SampleRow]:
    """The completions of one sample: `ID`, or `STEP/ID` or `TASK/ID` where an id stands in several."""
    from evalkit.report.folder import read_rows

    chosen = [row for row in read_rows(folder) if wanted in (row.id, f"{row.step}/{row.id}", f"{row.task}/{row.id}")]
    if not chosen:
        raise SpecError(
            f"no sample of {folder.name} is called '{wanted}'", hint="the report and samples.jsonl name the samples"
        )
    return chosen


def find_pairs(folder: Path, wanted: str) -> list[ComparedPair]:
    """The verdicts of a judge step about an item, `STEP/ID`; nothing where the step is none."""
    from evalkit.report.compared import compared

    return compared(folder, wanted)


def results(folder: Path) -> Results:
    """The numbers of a run as its report has them."""
    from evalkit.report.results import decode

    try:
        return decode((folder / RESULTS).read_bytes())
    except OSError as error:
        raise SpecError(f"{folder} has no results yet", hint="run the same spec again: it continues") from error


def report(folder: Path) -> Results:
    """Write a run's report again from its samples. Raises PrerequisiteError while the run is being written."""
    from evalkit.report.write import write
    from evalkit.run.record import RunFolder, writing

    with RunFolder(folder), writing(folder):
        return write(folder)


def export(folder: Path, form: str, target: Path | None) -> list[Path]:
    """Write a run's tables for other programs; returns the files. Without a target they go into the run folder."""
    from evalkit.report.export import export as write_tables

    return write_tables(folder, form, target)


# documents


class Checked(Struct, frozen=True):
    """What `check` found: the screen with every diagnostic, and one closing sentence."""

    screen: str
    summary: str
    errors: int


def check(paths: Sequence[Path]) -> Checked:
    """Check spec and task files; every mistake of every file is on the screen."""
    from evalkit.spec.diagnostics import render
    from evalkit.spec.load import check as check_file

    screens, errors, read = [], 0, set[Path]()
    for path in paths:
        found = check_file(path)
        screens += [render(found.diagnostics, found.sources)] if found.diagnostics else []
        errors += sum(one.severity == "error" for one in found.diagnostics)
        read.update(found.files)
    files = f"{len(paths)} file{'s' if len(paths) != 1 else ''} checked, {len(read)} read"
    return Checked("\n".join(screens), f"{files}: {errors or 'no'} error{'s' if errors != 1 else ''}", errors)


_LARGE = ("benches", "pairing")
"""Parts of a planned step that hold its samples."""


def plan_view(plan: Plan) -> list[dict[str, Json]]:
    """A plan as plain data, without the samples."""
    return [
        {name: msgspec.to_builtins(getattr(step, name)) for name in step.__struct_fields__ if name not in _LARGE}
        for step in plan.steps
    ]


# the sandbox


def sandbox_up(notify: Notify) -> str:
    """Bring Docker up where that is possible (Debian, root), and build the image. Returns one sentence."""
    from evalkit.sandboxes.docker import bring_up

    bring_up(notify)
    return sandbox_build(notify)


def sandbox_build(notify: Notify, path: Path | None = None) -> str:
    """Build the sandbox image of a spec, or the shipped one, unless it is there. Returns what it consists of."""
    from evalkit.sandboxes.docker import build, describe

    options = _sandbox_options(path)
    return f"the sandbox is ready: image {build(notify, options)}\n{describe(options)}"


def sandbox_test(notify: Notify, path: Path | None, kind: str | None, everything: bool) -> list[Finding]:
    """Hostile and honest programs: what should become of each, and what became of it."""
    from evalkit.sandboxes.self_test import cases, quick_cases, run_cases

    options = _sandbox_options(path)
    adapter = registry.load("sandboxes", kind or str(options.get("kind", "docker")))
    return run_cases(adapter, cases() if everything else quick_cases(), options, notify)


def sandbox_gc(everything: bool) -> Removed:
    """Remove what dead runs and former workers left in the engine, or all images of ours."""
    from evalkit.sandboxes.docker import collect

    return collect(everything)


def _sandbox_options(path: Path | None) -> dict[str, Json]:
    if path is None:
        return {}
    spec = load(path, Wish()).spec
    assert spec is not None
    return spec.sandbox
