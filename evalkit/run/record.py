"""The run folder: `runs/<id>/`, a public contract (docs/run-folder.md). Every file is replaced whole or appended to.

`run.json` says what the machine and the clock said; `evalkit.lock` and `samples.jsonl` hold only what decides results,
so that the same spec over the same store gives the same bytes.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from msgspec import Struct

from evalkit import __version__
from evalkit.core.digest import digest
from evalkit.core.errors import PrerequisiteError, RunIncomplete, SpecError
from evalkit.core.expectation import Expected
from evalkit.core.runfolder import (
    EVENTS,
    FIGURES,
    LOCK,
    PARQUET,
    REPORT,
    RESULTS,
    RUN,
    SAMPLES,
    SPEC,
    VERDICTS,
    DiagnosisLock,
    Lock,
    ModelLock,
    RunRecord,
    TrainingLock,
)
from evalkit.core.types import Json, Progress, SampleRow
from evalkit.core.verdicts import VerdictRow
from evalkit.fetch import cache
from evalkit.plan import Plan, judges_of, model_lock, pairing_lock, pairing_models, task_locks
from evalkit.spec.model import DiagnoseStep

_PACKAGES = (
    "torch", "transformers", "tokenizers", "peft", "vllm", "jinja2", "jsonschema", "pyyaml", "docker", "pandas",
)  # fmt: skip


def environment() -> dict[str, Json]:
    """What the run ran on."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """Versions of the packages that decide results, where installed."""
    found = {"evalkit-spec": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Whatever the disk refuses inside is RunIncomplete: the store has kept what was obtained."""
    try:
        yield
    except OSError as error:
        raise RunIncomplete(
            f"{folder} cannot be written: {error.strerror or error}",
            hint="make room on the disk, or give another folder with --out, and run the same command again",
        ) from error


class UsedSandbox(Struct, frozen=True):
    """The sandbox of a run: its identity and what that is made of; empty where nothing was executed."""

    identity: str = ""
    parts: dict[str, Json] = {}


class RunFolder:
    """Writes one run's files, holding its lock so that no second process writes the same run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path / ".lock", timeout=0)

    def __enter__(self) -> RunFolder:
        try:
            with writing(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
                self._lock.acquire()
        except Timeout as error:
            raise PrerequisiteError(
                f"{self.path} is being written by another evalkit",
                hint="wait for it, or give another folder with --out",
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def write_record(self, record: RunRecord) -> None:
        with writing(self.path):
            cache.write_file(self.path / RUN, pretty(record))

    def write_lock(self, lock: Lock) -> None:
        with writing(self.path):
            cache.write_file(self.path / LOCK, pretty(lock))

    def write_spec(self, text: str) -> None:
        with writing(self.path):
            cache.write_file(self.path / SPEC, text.encode())

    def write_samples(self, rows: Iterable[SampleRow]) -> None:
        """One JSON line a row, streamed; the old file stays until the new one is whole."""
        self._write_lines(SAMPLES, rows)

    def write_verdicts(self, rows: Iterable[VerdictRow]) -> None:
        """The same for the verdicts about pairs."""
        self._write_lines(VERDICTS, rows)

    def _write_lines(self, name: str, rows: Iterable[Struct]) -> None:
        scratch = self.path / f".{name}.part"
        encoder = msgspec.json.Encoder()
        with writing(self.path):
            with scratch.open("wb") as stream:
                for row in rows:
                    stream.write(encoder.encode(row) + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
            scratch.replace(self.path / name)

    def forget_results(self) -> None:
        """Take away what was made from older rows, so that it cannot be taken for the new ones'."""
        with writing(self.path):
            for name in (RESULTS, REPORT, PARQUET, VERDICTS):
                (self.path / name).unlink(missing_ok=True)
            shutil.rmtree(self.path / FIGURES, ignore_errors=True)

    def events(self) -> EventLog:
        return EventLog(self.path / EVENTS)


class EventLog:
    """Appends to `events.jsonl` what a Listener hears: stages, notes, and the counts of each task at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sums: dict[tuple[str, str], Progress] = {}

    def stage(self, step: str, task: str, total: int, done: int) -> None:
        self._write({"event": "stage", "step": step, "task": task, "total": total, "stored": done})

    def advance(self, step: str, task: str, progress: Progress) -> None:
        before = msgspec.structs.asdict(self._sums.get((step, task), Progress()))
        sums = {name: count + before[name] for name, count in msgspec.structs.asdict(progress).items()}
        self._sums[step, task] = Progress(**sums)

    def note(self, text: str) -> None:
        self._write({"event": "note", "text": text})

    def finish(self) -> None:
        for (step, task), progress in self._sums.items():
            self._write({"event": "progress", "step": step, "task": task, **msgspec.structs.asdict(progress)})
        self._sums.clear()

    def _write(self, event: dict[str, Json]) -> None:
        with writing(self._path.parent), self._path.open("ab") as stream:
            stream.write(msgspec.json.encode({"time": now(), **event}) + b"\n")


def lock_of(plan: Plan, spec_sha256: str, sandbox: UsedSandbox) -> Lock:
    """`evalkit.lock`: everything that decides the results, as digests and names."""
    trained = {step.name: step.training for step in plan.steps}
    return Lock(
        spec=spec_sha256,
        tasks=tuple(task for part in plan.parts for task in task_locks(plan.spec, part)),
        models=_models(plan),
        sandbox=sandbox.identity or None,
        sandbox_parts=sandbox.parts,
        packages=packages(),
        diagnoses=tuple(
            _diagnosis_lock(step, trained[step.name])
            for step in plan.spec.steps.values()
            if isinstance(step, DiagnoseStep)
        ),
        pairings=tuple(pairing_lock(plan.spec, pairing) for pairing in plan.pairings),
        routes={bench.route: plan.spec.routes[bench.route] for bench in plan.benches if bench.route},
        expectations=tuple(
            Expected(step.name, condition) for step in plan.spec.steps.values() for condition in step.expect
        ),
    )


def _diagnosis_lock(step: DiagnoseStep, training: TrainingLock | None) -> DiagnosisLock:
    return DiagnosisLock(
        step=step.name,
        diagnosis=step.diagnosis,
        reads=step.reads,
        roles=tuple(step.reads),
        options=step.options,
        training=training,
    )


def _models(plan: Plan) -> dict[str, ModelLock]:
    """Each model with all that decided answers of its: what enforces a format is known to the steps that have one."""
    found: dict[str, ModelLock] = {}
    for bench in plan.benches:
        lock = model_lock(bench)
        for name, judge in judges_of(bench).items():
            found.setdefault(name, judge)
        known = found.get(bench.model.name, lock)
        found[bench.model.name] = msgspec.structs.replace(lock, parts=known.parts | lock.parts)
    for pairing in plan.pairings:
        for name, judge in pairing_models(pairing).items():
            found.setdefault(name, judge)
    return found


def pretty(value: object) -> bytes:
    """Strict JSON with sorted keys, two spaces, a line break at the end."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=2) + b"\n"


def run_id(name: str, spec_sha256: str, limit: int | None, only: Iterable[str]) -> str:
    """`<name>-<eight digits>`: the same spec with the same restrictions is the same run."""
    return f"{name}-{digest([spec_sha256, limit, sorted(only)])[:8]}"


def read(path: Path) -> RunRecord:
    """The record of a run folder. Raises SpecError when there is none that can be read."""
    try:
        return msgspec.json.decode((path / RUN).read_bytes(), type=RunRecord)
    except FileNotFoundError as error:
        raise SpecError(f"{path} is no run folder (it has no run.json)", hint="`evalkit ls` lists the runs") from error
    except (OSError, msgspec.DecodeError) as error:
        raise SpecError(
            f"{path / RUN} cannot be read: {error}", hint="run the spec again: what is in the store is not asked again"
        ) from error


def read_lock(path: Path) -> Lock | None:
    """The lock of a run folder, or None where there is none that can be read."""
    try:
        return msgspec.json.decode((path / LOCK).read_bytes(), type=Lock)
    except (OSError, msgspec.DecodeError):
        return None


def known(path: Path) -> RunRecord | None:
    """The record of a run folder, or None where there is none that can be read: such a run is begun again."""
    try:
        return read(path)
    except SpecError:
        return None


def find(runs: Path) -> list[tuple[Path, RunRecord]]:
    """Every run folder below `runs` with a record that can be read, oldest first."""
    found = [(path.parent, one) for path in runs.glob(f"*/{RUN}") if (one := known(path.parent)) is not None]
    return sorted(found, key=lambda run: (run[1].started or "", run[1].id))


def is_running(path: Path) -> bool:
    """Whether a process holds this run's lock right now. Where the lock cannot even be tried, nobody writes."""
    lock = FileLock(path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False
