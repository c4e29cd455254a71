"""Obtaining what the store lacks: completions from the engine, executions from the sandbox, both at the same time.

Whatever comes back is made durable first and counted after. Everything here may be interrupted at any instant and
started again; what is stored is not asked for again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait

import msgspec

from evalkit.core.ports import Tools
from evalkit.core.types import Completion, Execution, Program, Progress, Request, Void
from evalkit.steps.bench import Arm, Bench, Cell, Trial, cells, chunks, limits_of, trial_of
from evalkit.steps.keeping import keep
from evalkit.steps.routing import admitted
from evalkit.steps.turns import following, wanted

_CELLS = 2048
"""Completions looked up and handed to the engine at a time: enough for full batches, little to hold."""
_NOTHING = Progress()
_NAMED = 5
"""How many items with a reference that does not pass are named in a note; the report has more."""


Place = tuple[Arm, Cell]


def fill(bench: Bench, tools: Tools) -> None:
    """Obtain every completion and execution that the store lacks. A bench that comes after another one is filled
    after it.

    Raises what the engine raises (PrerequisiteError, ContractError) and RunIncomplete when the store cannot be
    written; all that was obtained until then is stored.
    """
    identity = tools.sandbox_identity if bench.executes else ""
    _Filling(admitted(bench, tools.store, identity), tools).run()


class _Filling:
    def __init__(self, bench: Bench, tools: Tools) -> None:
        self._bench = bench
        self._tools = tools
        self._progress = {arm.category: _NOTHING for arm in bench.arms}
        self._places: dict[str, list[Place]] = {}
        self._later: list[Place] = []
        """Places of the turns after those that are being asked."""
        self._running: dict[Future[Execution | Void], str] = {}
        self._waiting: dict[str, list[tuple[Place, Completion]]] = defaultdict(list)
        self._untimed: dict[str, dict[str, Trial]] = {}
        """Trials, by their program's key, that wait for the reference with this key."""
        self._broken: dict[str, dict[str, None]] = defaultdict(dict)
        """By category, the items whose reference program does not pass."""

    def run(self) -> None:
        self._announce()
        for some in chunks(self._all_cells(), _CELLS):
            self._fill_chunk(some)
        self._collect(everything=True)
        self._tell_broken()

    def _all_cells(self) -> Iterator[Place]:
        for arm in self._bench.arms:
            for cell in cells(self._bench, arm):
                yield arm, cell

    def _announce(self) -> None:
        for arm in self._bench.arms:
            stored = [known for _, known in wanted(self._bench, arm, self._tools.store)]
            self._tools.listener.stage(self._bench.step.name, arm.category, len(stored), sum(stored))

    def _fill_chunk(self, some: list[Place]) -> None:
        """All turns of some chats: a later one is asked when the answers before it are stored."""
        while some:
            self._later = []
            self._fill_turn(some)
            some = self._later

    def _fill_turn(self, some: list[Place]) -> None:
        store = self._tools.store
        self._places = defaultdict(list)
        for arm, cell in some:
            self._places[cell.request.key].append((arm, cell))
        stored = store.completions(list(self._places))
        for completion in stored.values():  # `stage` has counted them as done
            self._judge(completion)
        missing = [places[0][1].request for key, places in self._places.items() if key not in stored]
        if missing:
            self._generate(missing)
        self._report()

    def _generate(self, missing: list[Request]) -> None:
        keep(self._tools.engine(self._bench.model).generate(missing), self._tools.store, self._settle_answers)

    def _settle_answers(self, fresh: list[Completion], voids: list[Void]) -> None:
        """Count what is stored now, and send its programs on."""
        for void in voids:
            for arm, _ in self._places[void.key]:
                self._add(arm, void=1)
        for completion in fresh:
            places = self._places[completion.key]
            self._add(places[0][0], tokens=completion.completion_tokens or 0)
            for arm, _ in places:
                self._add(arm, done=1)
            self._judge(completion)
        self._collect(everything=False)
        self._report()

    # judging

    def _judge(self, completion: Completion) -> None:
        for arm, cell in self._places[completion.key]:
            after = following(self._bench, cell, completion)
            if after is not None:  # the score is that of the last turn
                self._later.append((arm, after))
                self._add(arm, early=1)
                continue
            trial = self._trial(arm, cell, completion)
            if trial is None:
                self._count(arm, cell, completion, None)
            else:
                self._execute(trial, (arm, cell), completion)

    def _trial(self, arm: Arm, cell: Cell, completion: Completion) -> Trial | None:
        if not arm.scorer.executes:
            return None
        return trial_of(arm, cell.sample, completion, self._tools.sandbox_identity)

    def _execute(self, trial: Trial, place: Place, completion: Completion) -> None:
        key = trial.program.key
        if key in self._waiting:
            self._waiting[key].append((place, completion))
            return
        stored = self._tools.store.executions([key]).get(key)
        if stored is not None:
            self._count(*place, completion, stored)
        else:
            self._waiting[key].append((place, completion))
            self._begin(trial)

    def _begin(self, trial: Trial) -> None:
        """Run a program at once, or after the reference that limits it."""
        if trial.reference is None:
            if trial.program.key not in self._untimed:  # else it runs already, as a reference of others
                self._submit(trial.program)
            return
        reference = trial.reference.program
        timed = self._tools.store.executions([reference.key]).get(reference.key)
        if timed is not None:
            self._submit_limited(trial, timed)
        else:
            begun = reference.key in self._untimed or reference.key in self._waiting
            self._untimed.setdefault(reference.key, {})[trial.program.key] = trial
            if not begun:
                self._submit(reference)

    def _submit_limited(self, trial: Trial, timed: Execution) -> None:
        if timed.outcome != "passed":
            for (arm, cell), _ in self._waiting[trial.program.key]:
                self._broken[arm.category][cell.sample.id] = None
        self._submit(msgspec.structs.replace(trial.program, limits=limits_of(trial, timed)))

    def _submit(self, program: Program) -> None:
        self._running[self._tools.sandbox().submit(program)] = program.key

    def _collect(self, *, everything: bool) -> None:
        """Store the executions that have ended; with `everything`, wait for all of them."""
        while self._running:
            timeout = None if everything else 0
            ended, _ = wait(self._running, timeout=timeout, return_when=FIRST_COMPLETED)
            if not ended:
                return
            results = [future.result() for future in ended]
            for future in ended:
                del self._running[future]
            self._tools.store.put_executions([one for one in results if isinstance(one, Execution)])
            self._tools.store.put_voids([one for one in results if isinstance(one, Void)])
            for result in results:
                self._settle(result)
            for result in results:
                self._release(result)
            self._report()

    def _release(self, result: Execution | Void) -> None:
        """Go on with the programs that waited for this one to be timed."""
        trials = self._untimed.pop(result.key, {}).values()
        if isinstance(result, Void):
            voids = [
                Void(trial.program.key, f"the reference program was not timed: {result.reason}", result.by)
                for trial in trials
            ]
            self._tools.store.put_voids(voids)
            for void in voids:
                self._settle(void)
            return
        # another run over the same store may have been first: what is stored is what all later runs will see
        timed = self._tools.store.executions([result.key])[result.key] if trials else result
        for trial in trials:
            self._submit_limited(trial, timed)

    def _settle(self, result: Execution | Void) -> None:
        for (arm, cell), completion in self._waiting.pop(result.key, ()):
            if isinstance(result, Void):
                self._add(arm, void=1)
            else:
                self._count(arm, cell, completion, result)

    def _count(self, arm: Arm, cell: Cell, completion: Completion, execution: Execution | None) -> None:
        score = arm.scorer.score(cell.sample, completion, execution)
        if score.outcome == "unscored":
            self._add(arm, unscored=1)
        elif score.value is None:
            self._add(arm, void=1)
        else:
            self._add(arm, scored=1, value=score.value)

    def _tell_broken(self) -> None:
        for category, items in self._broken.items():
            named = ", ".join(list(items)[:_NAMED]) + (", …" if len(items) > _NAMED else "")
            self._tools.listener.note(
                f"{category}: the reference program of {len(items)} of the items does not pass its own tests, so it "
                f"limits nothing there and the declared limits hold: {named}"
            )

    def _add(self, arm: Arm, **more: float) -> None:
        now = self._progress[arm.category]
        sums = {name: getattr(now, name) + count for name, count in more.items()}
        self._progress[arm.category] = msgspec.structs.replace(now, **sums)

    def _report(self) -> None:
        for category, progress in self._progress.items():
            if progress != _NOTHING:
                self._tools.listener.advance(self._bench.step.name, category, progress)
                self._progress[category] = _NOTHING
