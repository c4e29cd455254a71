"""What a step costs, and what of it the store has already."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from evalkit.core.digest import digest
from evalkit.core.runfolder import TrainingLock
from evalkit.core.types import Request
from evalkit.plan.judging import added_judging, judges_of, planned_judging, why_judged
from evalkit.plan.locks import model_lock, task_locks, why
from evalkit.plan.needs import needs
from evalkit.plan.planned import PlannedJudging, PlannedStep, PlannedTask, Sources
from evalkit.plan.tokens import prompt_tokens
from evalkit.spec.model import DiagnoseStep, Spec, TrainingFile
from evalkit.steps.bench import Bench, Cell, cells, chunks, reference_of, trial_of
from evalkit.steps.routing import only, sent
from evalkit.steps.turns import reached, wanted
from evalkit.tasks.training import read_training

_CHUNK = 512


class _Asked(Struct, frozen=True):
    """What one bench of a step costs: `missing` is what is not stored. Of a bench that comes after another one it is
    the most that it may be."""

    bench: Bench
    tasks: tuple[PlannedTask, ...]
    missing: tuple[Cell, ...]
    tokens: int
    exact: bool

    @property
    def requests(self) -> list[Request]:
        return [cell.request for cell in self.missing]

    @property
    def usd(self) -> float | None:
        """What is missing costs at most."""
        written = [request.sampling.max_tokens for request in self.requests if not request.continuations]
        return self.bench.rate.at_most(self.tokens, sum(written))


def planned_step(spec: Spec, benches: Sequence[Bench], sources: Sources) -> PlannedStep:
    """What all benches of a step cost together."""
    asked = [_asked(bench, sources) for bench in benches]
    tasks = [task for one in asked for task in one.tasks]
    requests = [request for one in asked for request in one.requests]
    references, timed = _references(benches, sources)
    judging = added_judging(planned_judging(one.bench, sources.store) for one in asked)
    step = benches[0].step
    known, unpriced = cost_of([*((one.bench.model.name, one.usd) for one in asked), *paid(judging)])
    return PlannedStep(
        name=step.name,
        verb="bench",
        needs=needs(step),
        key=_key(spec, benches),
        requests=sum(task.requests for task in tasks),
        cached=sum(task.cached for task in tasks),
        programs_cached=_programs_stored([one.bench for one in asked], sources),
        prompt_tokens=sum(one.tokens for one in asked),
        max_completion_tokens=sum(request.sampling.max_tokens for request in requests if not request.continuations),
        continuations=sum(len(request.continuations) for request in requests),
        tokens_exact=all(one.exact for one in asked),
        why="; ".join(filter(None, (_why(spec, asked, sources), why_judged(judging)))),
        tasks=tuple(tasks),
        benches=tuple(benches),
        references=references,
        references_cached=timed,
        judging=judging,
        usd=known,
        unpriced=unpriced,
    )


def paid(judging: Iterable[PlannedJudging]) -> Iterator[tuple[str, float | None]]:
    """The model of each judge, and what it costs at most."""
    return ((one.model, one.usd) for one in judging)


def cost_of(amounts: Iterable[tuple[str, float | None]]) -> tuple[float, tuple[str, ...]]:
    """The sum of what is known, and the models of which it is not."""
    found = list(amounts)
    unpriced = dict.fromkeys(model for model, usd in found if usd is None)
    return math.fsum(usd for _, usd in found if usd is not None), tuple(unpriced)


def _asked(declared: Bench, sources: Sources) -> _Asked:
    bench, at_most = _to_ask(declared, sources)
    tasks: list[PlannedTask] = []
    missing: list[Cell] = []
    for arm in bench.arms:
        asked = list(wanted(bench, arm, sources.store))
        cached = sum(stored for _, stored in asked)
        counts = (len(arm.samples), len(asked), cached)
        model = bench.model.name if bench.route else ""
        tasks.append(PlannedTask(arm.category, arm.task, arm.split, *counts, model, at_most))
        once = {cell.request.key: cell for cell, stored in asked if not stored}  # equal prompts are asked once
        missing += once.values()
    tokens, exact = prompt_tokens(bench.model, [cell.request.prompt for cell in missing])
    known = all(len(cell.earlier) == cell.request.turn for cell in missing)
    return _Asked(bench, tuple(tasks), tuple(missing), tokens, exact and known and not at_most)


def _to_ask(bench: Bench, sources: Sources) -> tuple[Bench, bool]:
    """The bench with every item that it may be asked, and whether some of them wait for answers of another model."""
    if bench.after is None:
        return bench, False
    found = sent(bench, sources.store, sources.identity or "")
    return only(bench, found.on | found.open), bool(found.open)


def _key(spec: Spec, benches: Sequence[Bench]) -> str:
    """Of what decides the answers of a step."""
    parts = [[model_lock(bench), task_locks(spec, bench)] for bench in benches]
    judges = {name: lock for bench in benches for name, lock in judges_of(bench).items()}
    route = spec.routes.get(benches[0].route)
    made_of = parts[0] if route is None else [route, parts]
    return digest([*made_of, judges] if judges else made_of)


def _why(spec: Spec, asked: Sequence[_Asked], sources: Sources) -> str:
    """Why answers are missing, of each model where there are several."""
    found = [(one, why(spec, one.bench, one.tasks, sources.previous)) for one in asked]
    if len(found) == 1:
        return found[0][1]
    return "; ".join(f"{one.bench.model.name}: {_reason(one, text)}" for one, text in found)


def _reason(one: _Asked, text: str) -> str:
    if any(task.at_most for task in one.tasks):
        return "at most so many, for answers that are not there yet decide"
    return text if one.tasks else "nothing is sent on to it"


def planned_diagnosis(step: DiagnoseStep, sources: Sources, read: dict[TrainingFile, TrainingLock]) -> PlannedStep:
    """It reads what other steps have, or a training set, and asks nothing. `read` remembers training sets seen before.

    Raises DataError for a training set that is not one.
    """
    training = _training(step, sources, read)
    compares = step.diagnosis == "compare"
    return PlannedStep(
        name=step.name,
        verb="compare" if compares else "diagnose",
        needs=needs(step),
        key=digest([step.diagnosis, step.reads, step.options, training]),
        why=f"{'compares' if compares else f'{step.diagnosis}: reads'} {_read(step, training)}",
        training=training,
    )


def _training(step: DiagnoseStep, sources: Sources, read: dict[TrainingFile, TrainingLock]) -> TrainingLock | None:
    given = step.training
    if given is None:
        return None
    if given not in read:
        sources.notify(f"reading {given.file}")
        read[given] = read_training(given.file, Path(given.path), given.by)
    return read[given]


def _read(step: DiagnoseStep, training: TrainingLock | None) -> str:
    """What a diagnosis reads, in words."""
    judged = [step.reads["of"]] if step.diagnosis == "ties" else []
    asked = [name for name in needs(step) if name not in judged]
    verdicts = f"the verdicts of {judged[0]}" if judged else ""
    answers = f"the answers of {', '.join(asked)}" if asked else ""
    rows = f"{training.file} ({training.rows} rows in {len(training.categories)} categories)" if training else ""
    return " and ".join(part for part in (rows, verdicts, answers) if part)


def _programs_stored(benches: Sequence[Bench], sources: Sources) -> int | None:
    if sources.identity is None or not any(bench.executes for bench in benches):
        return None
    return sum(_programs_of(bench, sources, sources.identity) for bench in benches)


def _programs_of(bench: Bench, sources: Sources, identity: str) -> int:
    found = 0
    for arm in bench.arms:
        if arm.scorer.executes:
            for some in chunks(cells(bench, arm), _CHUNK):
                last, completions = reached(bench, some, sources.store)
                trials = (
                    trial_of(arm, cell.sample, completions[cell.request.key], identity)
                    for cell in last
                    if cell.request.key in completions
                )
                keys = [one.program.key for one in trials if one is not None]
                found += len(sources.store.known("executions", keys))
    return found


def _references(benches: Sequence[Bench], sources: Sources) -> tuple[int, int | None]:
    """How many reference programs a step has to time, and how many of these are timed already."""
    arms = [arm for bench in benches for arm in bench.arms]
    found = (reference_of(arm, sample, sources.identity or "") for arm in arms for sample in arm.samples)
    keys = {reference.program.key for reference in found if reference is not None}
    if sources.identity is None:
        return len(keys), None
    return len(keys), len(sources.store.known("executions", keys)) if keys else 0
