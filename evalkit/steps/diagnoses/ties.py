"""The kind `ties`: the verdicts of a `judge` step crossed with what the tasks' own scorers say of the same answers.

A tie between two right answers is no hidden ability, and one between two wrong answers is none at all. Where the
player's answers were also drawn several times, ties are set beside how often those are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Json, SampleRow
from evalkit.core.verdicts import Verdict, VerdictRow
from evalkit.stats.intervals import mean
from evalkit.stats.paired import mcnemar_exact
from evalkit.steps.diagnoses.facts import Groups, label
from evalkit.steps.diagnoses.heard import (
    BOTH,
    NEITHER,
    ONLY_OPPONENT,
    ONLY_PLAYER,
    TRUTHS,
    UNKNOWN,
    Heard,
    Pair,
    lone_right,
    named,
)

_VERDICTS: tuple[Verdict, ...] = ("win", "loss", "tie", "inconsistent", "invalid", "void")
_CONSISTENT = 0.6
_MANY = 0.2
_ABOUT = (
    "Each line is a verdict, each column what the task's own scorer says of the two answers. Unverifiable: the task "
    "has no such scorer, its score is a share, or an answer is void."
)
_ABOUT_SAMPLES = (
    "The player's several answers to the same items. Consistent: the most frequent answer is at least "
    f"{_CONSISTENT:.0%} of them. Right: the share of the answers that is right, on average over items."
)


class _Drawn(Struct, frozen=True):
    """The several answers to an item: the share of the most frequent one, and the share that is right."""

    modal: float
    right: float


class Ties:
    """Roles: `of` is the `judge` step, `consistency` a step with several answers of the player to each item."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._reads = lock.reads
        self._heard, self._groups = Heard(), Groups()

    def add(self, row: SampleRow) -> None:
        if row.step == self._reads.get("consistency"):
            self._groups.add(row)

    def hear(self, row: VerdictRow) -> None:
        """Take a verdict of the step that is explained."""
        self._heard.hear(row)

    def result(self) -> Diagnosis:
        pairs, drawn = self._heard.whole, dict(self._drawn())
        tables = self._heard.tables()
        return Diagnosis(
            diagnosis="ties",
            of=tuple(self._reads.values()),
            metrics=self._metrics(pairs, drawn),
            tables=tuple(self._tables(tables, drawn)),
            figures=(_figure(pairs),) if pairs else (),
            raised=tuple(self._raised(pairs)),
            notes=tuple(self._notes(pairs, drawn)),
        )

    def _drawn(self) -> Iterator[tuple[tuple[str, str, str], _Drawn]]:
        for key, group in self._groups.items():
            judged = group.judged
            if len(judged) < 2:
                continue
            keys = [fact.behaviour for fact in judged]
            most = max((keys.count(one) for one in keys if one is not None), default=1)
            yield (
                (key[1], key[2], key[3]),
                _Drawn(most / len(judged), sum(fact.passed is True for fact in judged) / len(judged)),
            )

    def _metrics(self, pairs: Sequence[Pair], drawn: Mapping[tuple[str, str, str], _Drawn]) -> dict[str, float | None]:
        ties = _of(pairs, "tie")
        seen = [drawn[pair.item] for pair in ties if pair.item in drawn]
        alone = [pair for pair in pairs if pair.truth in (ONLY_PLAYER, ONLY_OPPONENT)]
        return {
            "pairs": float(len(pairs)),
            "ties": float(len(ties)),
            "ties_both_right": float(_count(ties, BOTH)),
            "ties_both_wrong": float(_count(ties, NEITHER)),
            "ties_one_right": float(_count(ties, ONLY_PLAYER) + _count(ties, ONLY_OPPONENT)),
            "ties_unverifiable": float(_count(ties, UNKNOWN)),
            "wins_of_wrong_answers": float(sum(pair.right[0] is False for pair in _of(pairs, "win"))),
            "one_right": float(len(alone)),
            "missed": float(len(_missed(pairs))),
            "named_wrong": float(len(_named_wrong(pairs))),
            "p": mcnemar_exact(*lone_right(pairs)) if alone else None,
            "ties_drawn": float(len(seen)),
            "ties_consistent": mean([float(one.modal >= _CONSISTENT) for one in seen]),
            "ties_share_right": mean([one.right for one in seen]),
        }

    def _tables(
        self, by_category: Mapping[str, Sequence[Pair]], drawn: Mapping[tuple[str, str, str], _Drawn]
    ) -> Iterator[DiagnosisTable]:
        yield _ties_table(by_category, self._heard.models)
        yield _cross_table(by_category, self._heard.models)
        if drawn:
            yield _drawn_table(by_category, drawn)

    def _raised(self, pairs: Sequence[Pair]) -> Iterator[Raised]:
        ties = _of(pairs, "tie")
        names: dict[str, Json] = {"player": self._heard.models[0], "opponent": self._heard.models[1], "ties": len(ties)}
        known = [pair for pair in ties if pair.truth != UNKNOWN]
        wrong, right = [pair for pair in ties if pair.truth == NEITHER], [pair for pair in ties if pair.truth == BOTH]
        missed, against = _missed(pairs), _named_wrong(pairs)
        if len(wrong) >= max(2, _MANY * len(known)):
            yield Raised(
                "ties_both_wrong", {**names, "count": len(wrong), "known": len(known)}, named(wrong), len(wrong)
            )
        if len(right) >= max(2, len(known) / 2):
            yield Raised(
                "ties_both_right", {**names, "count": len(right), "known": len(known)}, named(right), len(right)
            )
        if missed or against:
            one_right = sum(pair.truth in (ONLY_PLAYER, ONLY_OPPONENT) and pair.worth is not None for pair in pairs)
            values = {**names, "missed": len(missed), "wrong": len(against), "one_right": one_right}
            both = [*against, *missed]
            yield Raised("judge_missed", values, named(both), len(both))

    def _notes(self, pairs: Sequence[Pair], drawn: Mapping[tuple[str, str, str], _Drawn]) -> Iterator[str]:
        if not pairs:
            yield "No pair was judged: there is nothing to explain."
        unknown = _count(pairs, UNKNOWN)
        if unknown:
            yield f"{unknown} of {len(pairs)} pairs are unverifiable: only the judge speaks of them."
        ties = _of(pairs, "tie")
        if "consistency" in self._reads and ties:
            seen = sum(pair.item in drawn for pair in ties)
            yield f"{seen} of {len(ties)} ties are of items to which the player was also asked for several answers."


def _of(pairs: Sequence[Pair], verdict: Verdict) -> list[Pair]:
    return [pair for pair in pairs if pair.verdict == verdict]


def _count(pairs: Sequence[Pair], truth: str) -> int:
    return sum(pair.truth == truth for pair in pairs)


def _missed(pairs: Sequence[Pair]) -> list[Pair]:
    """One side alone is right, and the judge did not say so."""
    return [
        pair for pair in pairs if pair.truth in (ONLY_PLAYER, ONLY_OPPONENT) and pair.verdict in ("tie", "inconsistent")
    ]


def _named_wrong(pairs: Sequence[Pair]) -> list[Pair]:
    """One side alone is right, and the judge said the other."""
    against = {ONLY_PLAYER: "loss", ONLY_OPPONENT: "win"}
    return [pair for pair in pairs if against.get(pair.truth) == pair.verdict]


def _columns(models: tuple[str, str]) -> tuple[Column, ...]:
    names = {ONLY_PLAYER: f"only {models[0]} right", ONLY_OPPONENT: f"only {models[1]} right"}
    return tuple(Column(names.get(one, one), "count") for one in TRUTHS)


def _ties_table(by_category: Mapping[str, Sequence[Pair]], models: tuple[str, str]) -> DiagnosisTable:
    rows = []
    for name, pairs in by_category.items():
        ties = _of(pairs, "tie")
        rows.append((label(name), len(ties), len(ties) / len(pairs), *(_count(ties, one) for one in TRUTHS)))
    columns = (Column("category"), Column("ties", "count"), Column("of all pairs", "share"), *_columns(models))
    about = "What stands behind the ties. Inconsistent pairs are no ties: there the judge contradicts itself."
    return DiagnosisTable("ties", "Ties, and who is right", columns, tuple(rows), about)


def _cross_table(by_category: Mapping[str, Sequence[Pair]], models: tuple[str, str]) -> DiagnosisTable:
    rows: list[tuple[Json, ...]] = []
    for name, pairs in by_category.items():
        if all(pair.truth == UNKNOWN for pair in pairs):
            continue
        for verdict in _VERDICTS:
            found = _of(pairs, verdict)
            if found:
                rows.append((label(name), verdict, len(found), *(_count(found, one) for one in TRUTHS)))
        only = lone_right(pairs)
        title = f"all, {_p(only)}" if sum(only) else "all"
        rows.append((label(name), title, len(pairs), *(_count(pairs, one) for one in TRUTHS)))
    columns = (Column("category"), Column("verdict"), Column("pairs", "count"), *_columns(models))
    about = f"{_ABOUT} The p is McNemar's exact one: which side alone is right."
    return DiagnosisTable("cross", "Verdicts, and who is right", columns, tuple(rows), about)


def _p(only: tuple[int, int]) -> str:
    value = mcnemar_exact(*only)
    return "p < 0.001" if value < 0.0005 else f"p = {value:.3f}"


def _drawn_table(
    by_category: Mapping[str, Sequence[Pair]], drawn: Mapping[tuple[str, str, str], _Drawn]
) -> DiagnosisTable:
    rows: list[tuple[Json, ...]] = []
    for name, pairs in by_category.items():
        for title, some in (("tie", _of(pairs, "tie")), ("any other", [one for one in pairs if one.verdict != "tie"])):
            seen = [drawn[pair.item] for pair in some if pair.item in drawn]
            if not seen:
                continue
            consistent = mean([float(one.modal >= _CONSISTENT) for one in seen])
            stable = mean([float(one.right >= 1.0) for one in seen])
            never = mean([float(one.right <= 0.0) for one in seen])
            rows.append((label(name), title, len(seen), consistent, mean([one.right for one in seen]), stable, never))
    columns = (
        Column("category"),
        Column("verdict"),
        Column("items with draws", "count"),
        Column("consistent", "share"),
        Column("right", "share"),
        Column("always right", "share"),
        Column("never right", "share"),
    )
    return DiagnosisTable("drawn", "Do the tied items wobble?", columns, tuple(rows), _ABOUT_SAMPLES)


def _figure(pairs: Sequence[Pair]) -> Figure:
    shown = [verdict for verdict in _VERDICTS if _of(pairs, verdict)]
    series = tuple(
        Series(
            truth,
            tuple(float(place) for place in range(len(shown))),
            tuple(_count(_of(pairs, verdict), truth) / len(pairs) for verdict in shown),
        )
        for truth in TRUTHS
    )
    return Figure(
        name="truth",
        kind="bars",
        title="Verdicts, and who is right",
        x_label="verdict",
        y_label="share of pairs",
        series=series,
        ticks=tuple(shown),
        percent=("y",),
    )
