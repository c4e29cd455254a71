"""Obtaining what the store lacks: completions from the engine, executions from the sandbox, both at the same time.

Whatever comes back is made durable first and counted after. Everything here may be interrupted at any instant and
started again; what is stored is not asked for again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from time import monotonic

import msgspec

from evalkit.core.ports import Tools
from evalkit.core.types import Completion, Execution, Program, Progress, Request, Void
from evalkit.steps.bench import Arm, Bench, Cell, cells, chunks, program_of

_CELLS = 2048
"""Completions looked up and handed to the engine at a time: enough for full batches, little to hold."""
_FLUSH_ROWS = 64
_FLUSH_S = 0.5
_NOTHING = Progress()


Place = tuple[Arm, Cell]


def fill(bench: Bench, tools: Tools) -> None:
    """Obtain every completion and execution that the store lacks.

    Raises what the engine raises (PrerequisiteError, ContractError) and RunIncomplete when the store cannot be
    written; all that was obtained until then is stored.
    """
    _Filling(bench, tools).run()


class _Filling:
    def __init__(self, bench: Bench, tools: Tools) -> None:
        self._bench = bench
        self._tools = tools
        self._progress = {arm.category: _NOTHING for arm in bench.arms}
        self._fresh: list[Completion] = []
        self._voids: list[Void] = []
        self._flushed_at = monotonic()
        self._places: dict[str, list[Place]] = {}
        self._running: dict[Future[Execution | Void], str] = {}
        self._waiting: dict[str, list[tuple[Place, Completion]]] = defaultdict(list)

    def run(self) -> None:
        self._announce()
        for some in chunks(self._all_cells(), _CELLS):
            self._fill_chunk(some)
        self._collect(everything=True)

    def _all_cells(self) -> Iterator[Place]:
        for arm in self._bench.arms:
            for cell in cells(self._bench, arm):
                yield arm, cell

    def _announce(self) -> None:
        for arm in self._bench.arms:
            keys = [cell.request.key for cell in cells(self._bench, arm)]
            known = self._tools.store.known("completions", keys)
            done = sum(key in known for key in keys)
            self._tools.listener.stage(self._bench.step.name, arm.category, len(keys), done)

    def _fill_chunk(self, some: list[Place]) -> None:
        store = self._tools.store
        self._places = defaultdict(list)
        for arm, cell in some:
            self._places[cell.request.key].append((arm, cell))
        stored = store.completions(list(self._places))
        for completion in stored.values():  # `stage` has counted them as done
            self._judge(completion)
        wanted = [places[0][1].request for key, places in self._places.items() if key not in stored]
        if wanted:
            self._generate(wanted)
        self._report()

    def _generate(self, wanted: list[Request]) -> None:
        answers = self._tools.engine(self._bench.model).generate(wanted)
        try:
            for answer in answers:
                if isinstance(answer, Void):
                    self._voids.append(answer)
                else:
                    self._fresh.append(answer)
                if len(self._fresh) + len(self._voids) >= _FLUSH_ROWS or monotonic() - self._flushed_at > _FLUSH_S:
                    self._flush()
        finally:
            self._flush()

    def _flush(self) -> None:
        """Make durable what came back, and only then count it and send its program on."""
        fresh, voids = self._fresh, self._voids
        self._fresh, self._voids = [], []
        if fresh:
            self._tools.store.put_completions(fresh)
        if voids:
            self._tools.store.put_voids(voids)
        self._flushed_at = monotonic()
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
            program = self._program(arm, cell, completion)
            if program is None:
                self._count(arm, cell, completion, None)
            else:
                self._execute(program, (arm, cell), completion)

    def _program(self, arm: Arm, cell: Cell, completion: Completion) -> Program | None:
        if not arm.scorer.executes:
            return None
        return program_of(arm, cell.sample, completion, self._tools.sandbox_identity)

    def _execute(self, program: Program, place: Place, completion: Completion) -> None:
        if program.key not in self._waiting:
            stored = self._tools.store.executions([program.key]).get(program.key)
            if stored is not None:
                self._count(*place, completion, stored)
                return
            self._running[self._tools.sandbox().submit(program)] = program.key
        self._waiting[program.key].append((place, completion))

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
            self._report()

    def _settle(self, result: Execution | Void) -> None:
        for (arm, cell), completion in self._waiting.pop(result.key):
            if isinstance(result, Void):
                self._add(arm, void=1)
            else:
                self._count(arm, cell, completion, result)

    def _count(self, arm: Arm, cell: Cell, completion: Completion, execution: Execution | None) -> None:
        score = arm.scorer.score(cell.sample, completion, execution)
        if score.value is None:
            self._add(arm, void=1)
        else:
            self._add(arm, scored=1, value=score.value)

    def _add(self, arm: Arm, **more: float) -> None:
        now = self._progress[arm.category]
        sums = {name: getattr(now, name) + count for name, count in more.items()}
        self._progress[arm.category] = msgspec.structs.replace(now, **sums)

    def _report(self) -> None:
        for category, progress in self._progress.items():
            if progress != _NOTHING:
                self._tools.listener.advance(self._bench.step.name, category, progress)
                self._progress[category] = _NOTHING
