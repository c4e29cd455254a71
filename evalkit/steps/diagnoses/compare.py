"""The verb `compare`: two steps item by item, and whether their difference is more than chance.

Items are the same by task, split and id. Only answers that count are compared; the answers to an item are averaged
first. An item that one side could not score is left out of both and counted; one that only one side has as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.digest import digest
from evalkit.core.runfolder import DiagnosisLock, Lock
from evalkit.core.types import Json, SampleRow, SamplingParams
from evalkit.stats.multiple import holm
from evalkit.stats.paired import fewest_flips, smallest_visible_difference
from evalkit.steps.diagnoses import setup
from evalkit.steps.diagnoses.contrast import Contrast, Pair, Side, contrast
from evalkit.steps.diagnoses.facts import WHOLE, label

LEVEL = 0.05
_NAMED, _SHOWN = 30, 10
_SHORT = 16
_ABOUT = (
    "Paired by item. p is the exact McNemar test where each item is solved or not, a permutation of signs elsewhere; "
    "intervals are Newcombe's method 10 and mean ± t·SE of the paired differences. Holm is p adjusted for all "
    "categories. Where interval and p disagree, p is the test. A difference below the smallest visible one cannot "
    "reach p below 0.05 with so many items."
)

_Item = tuple[str, str, str]
_Where = Literal["before", "after"]


class Compare:
    """The kind `compare`. It reads `before` and `after`; `run` says what these two are made of."""

    def __init__(self, lock: DiagnosisLock, run: Lock | None = None) -> None:
        self._before, self._after = lock.reads["before"], lock.reads["after"]
        self._run = run if run is not None else Lock()
        self._cells: dict[str, dict[_Item, Pair]] = {}
        self._found: dict[str, Contrast] | None = None
        self._sampling: dict[tuple[str, _Where], dict[SamplingParams | None, None]] = {}

    def add(self, row: SampleRow) -> None:
        if not row.selected:
            return
        where: _Where = "before" if row.step == self._before else "after"
        asked = _question(row)
        for category in (row.category, WHOLE):
            pairs = self._cells.setdefault(category, {})
            pair = pairs.setdefault((row.task, row.split, row.id), Pair(row.id))
            _take(pair.before if where == "before" else pair.after, row, asked)
        if row.text is not None:
            self._sampling.setdefault((row.category, where), {})[row.effective] = None

    def contrasts(self) -> dict[str, Contrast]:
        """The difference in each category, and of all of them under `WHOLE`. To be asked once all rows were added."""
        if self._found is None:
            categories = [name for name in self._cells if name != WHOLE]
            found = {name: contrast(self._cells[name].values()) for name in categories}
            alone = categories[0] if len(categories) == 1 else None
            whole = found[alone] if alone is not None else contrast(self._cells.get(WHOLE, {}).values())
            self._found = {**found, WHOLE: whole}
        return self._found

    def result(self) -> Diagnosis:
        found = self.contrasts()
        whole = found[WHOLE]
        pairs = list(self._cells.get(WHOLE, {}).values())
        gained, lost = self._flips(pairs)
        shown = {name: one for name, one in found.items() if name != WHOLE}
        shown |= {WHOLE: whole} if len(shown) != 1 else {}
        return Diagnosis(
            diagnosis="compare",
            of=(self._before, self._after),
            metrics={
                "difference": whole.difference,
                "p": whole.p,
                "gained": float(len(gained)),
                "lost": float(len(lost)),
                "n": float(whole.n),
            },
            tables=(self._scores(shown), self._items(shown), _flip_table(gained, lost), self._setup()),
            figures=(_figure(shown, self._before, self._after),) if whole.n else (),
            raised=tuple(self._raised(whole, pairs, gained, lost)),
            notes=tuple(self._notes(whole, pairs)),
        )

    def _flips(self, pairs: Iterable[Pair]) -> tuple[list[str], list[str]]:
        """The items whose score rose and those whose score fell, as `evalkit show` takes them."""
        scored = [(pair, pair.scores) for pair in pairs]
        gained = [f"{self._after}/{pair.name}" for pair, two in scored if two is not None and two[1] > two[0]]
        lost = [f"{self._after}/{pair.name}" for pair, two in scored if two is not None and two[1] < two[0]]
        return gained, lost

    def _scores(self, shown: Mapping[str, Contrast]) -> DiagnosisTable:
        columns = (
            Column("category"),
            Column("items", "count"),
            Column(self._before, "share"),
            Column(self._after, "share"),
            Column("difference", "points"),
            Column("95 % interval", "points_range"),
            Column("p", "p"),
            Column("Holm", "p"),
            Column("mid-p", "p"),
            Column("smallest visible", "points"),
        )
        tested = [name for name, one in shown.items() if name != WHOLE and one.p is not None]
        adjusted = dict(zip(tested, holm([shown[name].p or 0.0 for name in tested]), strict=True))
        rows: list[tuple[Json, ...]] = []
        for name, one in shown.items():
            visible = smallest_visible_difference(one.n) if one.counts is not None else None
            numbers = (one.n, one.before, one.after, one.difference, one.interval, one.p)
            rows.append((label(name), *numbers, adjusted.get(name), one.mid_p, visible))
        return DiagnosisTable("differences", f"{self._after} minus {self._before}", columns, tuple(rows), _ABOUT)

    def _items(self, shown: Mapping[str, Contrast]) -> DiagnosisTable:
        columns = (
            Column("category"),
            Column("both", "count"),
            Column(f"only {self._before}", "count"),
            Column(f"only {self._after}", "count"),
            Column("neither", "count"),
            Column("not scored on both sides", "count"),
            Column(f"asked only in {self._before}", "count"),
            Column(f"asked only in {self._after}", "count"),
        )
        rows: list[tuple[Json, ...]] = []
        for name, one in shown.items():
            pairs = list(self._cells.get(name, {}).values())
            known = one.counts
            counts = (known.both, known.lost, known.gained, known.neither) if known is not None else (None,) * 4
            left = [sum(not pair.after.asked for pair in pairs), sum(not pair.before.asked for pair in pairs)]
            rows.append((label(name), *counts, len(pairs) - one.n - sum(left), *left))
        about = "Items solved by both, by one alone, by neither. What is not scored on both sides is in no difference."
        return DiagnosisTable("items", "Which items", columns, tuple(rows), about)

    def _setup(self) -> DiagnosisTable:
        """What differs besides the answers; the same difference in several categories is one line."""
        lines: dict[setup.Line, list[str]] = {
            line: [] for line in setup.model_lines(self._run, self._before, self._after)
        }
        for category, line in setup.task_lines(self._run, self._before, self._after):
            lines.setdefault(line, []).append(category)
        for category in (name for name in self._cells if name != WHOLE):
            was, now = (
                list(map(setup.sampling_text, self._sampling.get((category, where), ())))
                for where in ("before", "after")
            )
            if was and now and sorted(was) != sorted(now):
                lines.setdefault(("sampling, as reported", "; ".join(was), "; ".join(now)), []).append(category)
        columns = (Column("what"), Column(self._before), Column(self._after), Column("in", "texts"))
        rows = tuple((*line, where or ["all"]) for line, where in lines.items())
        return DiagnosisTable("setup", "What differs in the set-up", columns, rows)

    def _raised(
        self, whole: Contrast, pairs: Sequence[Pair], gained: Sequence[str], lost: Sequence[str]
    ) -> Iterator[Raised]:
        steps: dict[str, Json] = {"before": self._before, "after": self._after}
        other = [pair for pair in pairs if pair.before.asked and pair.after.asked and _asked_otherwise(pair)]
        if other:
            names = tuple(f"{self._after}/{pair.name}" for pair in other[:_SHOWN])
            both = sum(pair.before.asked and pair.after.asked for pair in pairs)
            yield Raised("different_prompts", {**steps, "different": len(other), "items": both}, names, len(other))
        engines = setup.engine_lines(self._run, self._before, self._after)
        if engines:
            yield Raised("different_engines", {**steps, "lines": [list(line) for line in engines]})
        if whole.p is None or whole.interval is None:
            return
        values = {
            **steps,
            "n": whole.n,
            "difference": whole.difference,
            "low": whole.interval.low,
            "high": whole.interval.high,
            "p": whole.p,
            "gained": len(gained),
            "lost": len(lost),
            "flips": fewest_flips(),
            "too_few": whole.n < fewest_flips(),
            "visible": smallest_visible_difference(whole.n) if whole.counts is not None else None,
        }
        flips = [*gained, *lost]
        real = whole.p < LEVEL
        named = tuple(flips[:_SHOWN])
        yield Raised("difference_is_real" if real else "difference_is_noise", values, named, len(flips))

    def _notes(self, whole: Contrast, pairs: Sequence[Pair]) -> Iterator[str]:
        if not whole.n:
            yield "No item is scored in both steps: there is nothing to compare."
        for where, step, names in (
            ("before", self._before, [pair.name for pair in pairs if not pair.after.asked]),
            ("after", self._after, [pair.name for pair in pairs if not pair.before.asked]),
        ):
            if names:
                yield f"Only step {step} ({where}) has the {_items(len(names))} {', '.join(_cut(names))}."
        void = [pair.name for pair in pairs if pair.before.asked and pair.after.asked and pair.scores is None]
        if void:
            yield f"Left out on both sides, not scored on one of them: {_items(len(void))} {', '.join(_cut(void))}."


def _take(side: Side, row: SampleRow, asked: str) -> None:
    side.asked = True
    if row.score is not None and row.outcome != "void":
        side.scores.append(row.score)
    side.prompt = side.prompt or asked


def _question(row: SampleRow) -> str:
    """The digest of what was asked. Of a chat only what the user said: the turns between are answers."""
    if not row.earlier:
        return digest(row.prompt)[:_SHORT]
    return digest([message.content for message in row.prompt.messages if message.role != "assistant"])[:_SHORT]


def _asked_otherwise(pair: Pair) -> bool:
    return pair.before.prompt != pair.after.prompt


def _items(count: int) -> str:
    return f"{count} item{'' if count == 1 else 's'}"


def _cut(names: Sequence[str], most: int = _NAMED) -> list[str]:
    return [*names[:most], *([f"and {len(names) - most} more"] if len(names) > most else [])]


def _flip_table(gained: Sequence[str], lost: Sequence[str]) -> DiagnosisTable:
    columns = (Column("flip"), Column("items", "count"), Column("which", "texts"))
    rows = tuple((name, len(names), _cut(names)) for name, names in (("gained", gained), ("lost", lost)))
    return DiagnosisTable("flips", "Flips", columns, rows, "Items whose score rose and whose score fell.")


def _figure(shown: Mapping[str, Contrast], before: str, after: str) -> Figure:
    known = {name: one for name, one in shown.items() if one.interval is not None}
    ends = [one.interval for one in known.values() if one.interval is not None]
    return Figure(
        name="differences",
        kind="points",
        title=f"{after} minus {before}, with 95 % intervals",
        x_label="category",
        y_label="difference of scores",
        series=(
            Series(
                name="difference",
                x=tuple(float(index) for index in range(len(known))),
                y=tuple(one.difference for one in known.values()),
                low=tuple(end.low for end in ends),
                high=tuple(end.high for end in ends),
            ),
        ),
        ticks=tuple(map(label, known)),
        percent=("y",),
    )
