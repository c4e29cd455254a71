"""A route between models against each of them alone: what is solved, what it costs, and whether it sent on the right
items.

All numbers that are set side by side are over the same items: those that every step read has a score for. What an item
costs is what all of its answers cost, also of those that were not kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec import Struct, field

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Json, SampleRow
from evalkit.stats.intervals import Estimate, estimate
from evalkit.stats.paired import discordant, mcnemar_exact, newcombe_difference, sign_flip_p
from evalkit.steps.routing import BY

_OF, _ALONE = "of", ("first", "then")
_MODELS = (
    Column("model"),
    Column("items asked", "count"),
    Column("items that count", "count"),
    Column("share", "share"),
    Column("score", "share"),
    Column("95 % interval", "interval"),
    Column("answers", "count"),
    Column("answer tokens", "count"),
    Column("seconds", "seconds"),
    Column("USD", "usd"),
)
_AGAINST = (
    Column("against"),
    Column("items", "count"),
    Column("score of the route", "share"),
    Column("score alone", "share"),
    Column("difference", "points"),
    Column("95 % interval", "interval"),
    Column("p", "p"),
)
_COSTS = (
    Column("step"),
    Column("items", "count"),
    Column("score", "share"),
    Column("answers", "count"),
    Column("answer tokens", "count"),
    Column("seconds", "seconds"),
    Column("USD", "usd"),
    Column("USD an item solved", "usd"),
)
_SENT = (Column("what became of it"), Column("items", "count"), Column("share", "share"))
_FATES = {
    "helped": "sent on, and the second model's score is higher",
    "wasted": "sent on, and both solve it: it was not needed",
    "vain": "sent on, and the score is the same, below full: it did not help",
    "harmed": "sent on, and the second model's score is lower",
    "kept_right": "kept, and solved",
    "kept_wrong": "kept, and not solved",
    "missed": "of these, the second model alone has a higher score",
}

_AXES = {"usd": "USD an item", "seconds": "seconds an item", "tokens": "answer tokens an item"}

_Item = tuple[str, str, str]
_Number = TypeVar("_Number", int, float)


class _Cost(Struct):
    """Sums over answers. None once a part is not known."""

    answers: int = 0
    tokens: int | None = 0
    seconds: float | None = 0.0
    usd: float | None = 0.0

    def add(self, row: SampleRow) -> None:
        if row.text is None and row.outcome == "void":
            return  # nothing came back
        self.answers += 1
        self.tokens = _plus(self.tokens, row.completion_tokens)
        self.seconds = _plus(self.seconds, row.seconds)
        self.usd = _plus(self.usd, row.usd)


def _plus(total: _Number | None, part: _Number | None) -> _Number | None:
    return None if total is None or part is None else total + part


def _sum(costs: Iterable[_Cost]) -> _Cost:
    total = _Cost()
    for cost in costs:
        total.answers += cost.answers
        total.tokens = _plus(total.tokens, cost.tokens)
        total.seconds = _plus(total.seconds, cost.seconds)
        total.usd = _plus(total.usd, cost.usd)
    return total


class _Answered(Struct):
    """What a step has of one item: scores that count, those that would have counted, what each model cost."""

    kept: list[float] = field(default_factory=list)
    given_up: list[float] = field(default_factory=list)
    sent: bool = False
    counts: str = ""
    costs: dict[str, _Cost] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.costs.setdefault(row.model, _Cost()).add(row)
        if row.choice is not None and row.choice.by == BY:
            self.sent = True
            if row.choice.rank == 1 and row.score is not None:
                self.given_up.append(row.score)
        elif row.selected:
            self.counts = row.model
            if row.score is not None:
                self.kept.append(row.score)

    @property
    def cost(self) -> _Cost:
        return _sum(self.costs.values())


class _Step(Struct):
    """What a step has of every item, and the models that answered in the order of its rows."""

    name: str
    items: dict[_Item, _Answered] = field(default_factory=dict)
    models: dict[str, None] = field(default_factory=dict)

    def add(self, row: SampleRow) -> None:
        self.models.setdefault(row.model)
        self.items.setdefault((row.task, row.split, row.id), _Answered()).add(row)

    @property
    def escalates(self) -> bool:
        """Whether one model's answers decide, as far as rows can tell: several models and nothing sent on are rules."""
        return len(self.models) < 2 or any(one.sent for one in self.items.values())

    @property
    def scores(self) -> dict[_Item, float]:
        return {item: _mean(one.kept) for item, one in self.items.items() if one.kept}


def _mean(scores: Sequence[float]) -> float:
    return math.fsum(scores) / len(scores)


class RouteDiagnosis:
    """The kind `route`. Roles: `of` the step with the route, `first` and `then` each of its models alone."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._steps = {role: _Step(lock.reads[role]) for role in (_OF, *_ALONE) if role in lock.reads}

    def add(self, row: SampleRow) -> None:
        for step in self._steps.values():
            if step.name == row.step:
                step.add(row)

    def result(self) -> Diagnosis:
        of, compared, fates = self._steps[_OF], _Compared(self._steps), _fates(self._steps)
        metrics = {**_shares(self._steps), **compared.metrics()}
        metrics |= {f"escalations_{name}": float(count) for name, count in fates.items()} if of.escalates else {}
        tables = [_models_table(of)]
        tables += [compared.against_table()] if len(self._steps) > 1 else []
        tables += [compared.costs_table()]
        tables += [_sent_table(fates, of)] if of.escalates else []
        figure = compared.figure()
        return Diagnosis(
            diagnosis="route",
            of=tuple(step.name for step in self._steps.values()),
            metrics=metrics,
            tables=tuple(tables),
            figures=(figure,) if figure is not None else (),
            notes=tuple(_notes(self._steps, compared)),
        )


def _shares(steps: Mapping[str, _Step]) -> dict[str, float | None]:
    of = steps[_OF]
    counts = [one.counts for one in of.items.values()]
    found = estimate(list(of.scores.values()))
    shares: dict[str, float | None] = {
        "items": float(len(counts)),
        "accuracy": found.value if found is not None else None,
        "share_escalated": _ratio(sum(one.sent for one in of.items.values()), len(counts)) if of.escalates else None,
    }
    for role in _ALONE:
        if role in steps:
            shares[f"share_{role}"] = _ratio(sum(model in steps[role].models for model in counts), len(counts))
    return shares


def _models_table(of: _Step) -> DiagnosisTable:
    rows = [_model_line(of, model) for model in of.models]
    total = estimate(list(of.scores.values()))
    cost = _sum(one.cost for one in of.items.values())
    known = (total.value if total else None, _bounds(total))
    rows.append(("all", len(of.items), len(of.items), 1.0 if of.items else None, *known, *_cells(cost)))
    about = "An item counts for the model whose answer was kept. Costs are those of all answers that a model gave."
    return DiagnosisTable("models", "Who answers what", _MODELS, tuple(rows), about)


def _model_line(of: _Step, model: str) -> tuple[Json, ...]:
    asked = [one for one in of.items.values() if model in one.costs]
    counting = [one for one in asked if one.counts == model]
    found = estimate([_mean(one.kept) for one in counting if one.kept])
    known = (found.value if found else None, _bounds(found))
    share = len(counting) / len(of.items)
    return (model, len(asked), len(counting), share, *known, *_cells(_sum(one.costs[model] for one in asked)))


def _cells(cost: _Cost) -> tuple[Json, ...]:
    return cost.answers, cost.tokens, cost.seconds, cost.usd


class _Compared:
    """The steps over the items that all of them have a score for."""

    def __init__(self, steps: Mapping[str, _Step]) -> None:
        self._steps = steps
        scores = {role: step.scores for role, step in steps.items()}
        self.items = [item for item in scores[_OF] if all(item in known for known in scores.values())]
        self._scores = {role: [known[item] for item in self.items] for role, known in scores.items()}
        self.costs = {role: _sum(step.items[item].cost for item in self.items) for role, step in steps.items()}

    def metrics(self) -> dict[str, float | None]:
        found: dict[str, float | None] = {"usd_per_solved": self._per_solved(_OF)}
        for role in self._alone:
            difference, _, p = self._paired(role)
            found |= {
                f"accuracy_{role}": _mean(self._scores[role]) if self.items else None,
                f"difference_{role}": difference,
                f"p_{role}": p,
                f"usd_per_solved_{role}": self._per_solved(role),
            }
        if "then" in self._steps:
            blend, strong = self.costs[_OF], self.costs["then"]
            found["cost_ratio"] = _ratio(blend.usd, strong.usd)
            found["seconds_ratio"] = _ratio(blend.seconds, strong.seconds)
            found["tokens_ratio"] = _ratio(blend.tokens, strong.tokens)
        return found

    def against_table(self) -> DiagnosisTable:
        rows = []
        for role in self._alone:
            difference, interval, p = self._paired(role)
            means = [_mean(self._scores[one]) if self.items else None for one in (_OF, role)]
            rows.append((self._label(role), len(self.items), *means, difference, interval, p))
        about = (
            "On the same items, in pairs: the score of the route minus that of one model alone. p is the exact McNemar "
            "test where each item is solved or not, a permutation of signs elsewhere."
        )
        return DiagnosisTable("against", "The route against each model alone", _AGAINST, tuple(rows), about)

    def costs_table(self) -> DiagnosisTable:
        rows = tuple(
            (
                self._label(role),
                len(self.items),
                _mean(self._scores[role]) if self.items else None,
                *_cells(self.costs[role]),
                self._per_solved(role),
            )
            for role in self._steps
        )
        about = "On the same items. What was answered and not kept was paid for all the same."
        return DiagnosisTable("costs", "What it costs", _COSTS, rows, about)

    def figure(self) -> Figure | None:
        """Score against cost: in USD an item, else in seconds, else in tokens; None where none is known of all."""
        for name, label in _AXES.items():
            totals = {role: getattr(cost, name) for role, cost in self.costs.items()}
            if self.items and all(total is not None for total in totals.values()):
                series = tuple(self._point(role, total / len(self.items)) for role, total in totals.items())
                return Figure("cost", "points", "Score against cost", label, "score", series, percent=("y",))
        return None

    @property
    def _alone(self) -> list[str]:
        return [role for role in _ALONE if role in self._steps]

    def _label(self, role: str) -> str:
        step = self._steps[role]
        return f"{step.name} ({' and '.join(step.models)})" if step.models else step.name

    def _point(self, role: str, x: float) -> Series:
        found = estimate(self._scores[role])
        assert found is not None  # there are items
        return Series(self._label(role), (x,), (found.value,), (found.interval.low,), (found.interval.high,))

    def _per_solved(self, role: str) -> float | None:
        return _ratio(self.costs[role].usd, math.fsum(self._scores[role])) if self.items else None

    def _paired(self, role: str) -> tuple[float | None, tuple[float, float] | None, float | None]:
        """The difference to one model alone, its interval, and p."""
        pairs = list(zip(self._scores[_OF], self._scores[role], strict=True))
        if not pairs:
            return None, None, None
        if any(score not in (0.0, 1.0) for pair in pairs for score in pair):
            differences = [route - alone for route, alone in pairs]
            return _mean(differences), None, sign_flip_p(differences)
        verdicts = [(route == 1.0, alone == 1.0) for route, alone in pairs]
        only_route, only_alone = discordant(verdicts)
        both = sum(route and alone for route, alone in verdicts)
        neither = len(verdicts) - both - only_route - only_alone
        found = newcombe_difference(both, only_route, only_alone, neither)
        assert found is not None  # there are pairs
        return found.value, (found.interval.low, found.interval.high), mcnemar_exact(only_route, only_alone)


def _fates(steps: Mapping[str, _Step]) -> dict[str, int]:
    """How often sending on was right, and keeping: of items that have the scores which say so."""
    found = dict.fromkeys(_FATES, 0)
    strong = steps["then"].scores if "then" in steps else {}
    if not strong:
        del found["missed"]
    for item, one in steps[_OF].items.items():
        if not one.kept or (one.sent and not one.given_up):
            continue
        kept = _mean(one.kept)
        if one.sent:
            before = _mean(one.given_up)
            same = "wasted" if kept == 1.0 else "vain"
            found["helped" if kept > before else "harmed" if kept < before else same] += 1
        else:
            found["kept_right" if kept == 1.0 else "kept_wrong"] += 1
            if kept < 1.0 and strong.get(item, 0.0) > kept:
                found["missed"] += 1
    return found


def _sent_table(fates: Mapping[str, int], of: _Step) -> DiagnosisTable:
    total = len(of.items)
    rows = tuple((_FATES[name], count, count / total if total else None) for name, count in fates.items())
    about = "Of all items. An escalation can only help where the first model is wrong and the second one is not."
    return DiagnosisTable("escalations", "Whether the right items were sent on", _SENT, rows, about)


def _notes(steps: Mapping[str, _Step], compared: _Compared) -> Iterator[str]:
    absent = [role for role in _ALONE if role not in steps]
    if absent:
        named = " and ".join(f"`{role}`" for role in absent)
        yield f"Not compared with {named}: the step names no bench of that model alone."
    if not steps[_OF].escalates:
        yield "Rules chose the model, so nothing was sent on: there is no share of escalations."
    left_out = len(steps[_OF].items) - len(compared.items)
    if left_out:
        items = "1 item is" if left_out == 1 else f"{left_out} items are"
        yield f"{items} left out of the comparison: not every step has a score there."
    if not compared.items:
        yield "No item has a score in every step, so nothing can be compared."
    elif any(cost.usd is None for cost in compared.costs.values()):
        yield (
            "The cost in USD is not known of every answer: it takes their seconds and `cost: {gpu_hour: ...}`, or the "
            "price of a server."
        )


def _ratio(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def _bounds(found: Estimate | None) -> tuple[float, float] | None:
    return None if found is None else (found.interval.low, found.interval.high)
