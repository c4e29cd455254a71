"""A route between models against each of them alone: what is solved, what it costs, and whether it sent on the right
items.

All numbers that are set side by side are over the same items: those that every step read has a score for. What an item
costs is what all of its answers cost, also of those that were not kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from evalkit.core.diagnosis import Column, Diagnosis, DiagnosisTable, Figure, Raised, Series
from evalkit.core.runfolder import DiagnosisLock
from evalkit.core.types import Json, SampleRow
from evalkit.stats.intervals import Estimate, estimate
from evalkit.stats.paired import discordant, mcnemar_exact, newcombe_difference, sign_flip_p
from evalkit.steps.diagnoses.paid import Cost, sum_of
from evalkit.steps.diagnoses.routed import FATES, Item, Routed, fates, mean_of, ratio_of

_OF, _ALONE = "of", ("first", "then")
_ALPHA = 0.05
_MOST_NAMED = 10
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

_AXES = {"usd": "USD an item", "seconds": "seconds an item", "tokens": "answer tokens an item"}


class RouteDiagnosis:
    """The kind `route`. Roles: `of` the step with the route, `first` and `then` each of its models alone."""

    def __init__(self, lock: DiagnosisLock) -> None:
        self._steps = {role: Routed(lock.reads[role]) for role in (_OF, *_ALONE) if role in lock.reads}

    def add(self, row: SampleRow) -> None:
        for step in self._steps.values():
            if step.name == row.step:
                step.add(row)

    def result(self) -> Diagnosis:
        of, compared = self._steps[_OF], _Compared(self._steps)
        found = fates(of, self._steps["then"].scores if "then" in self._steps else None)
        metrics = _shares(self._steps) | compared.metrics()
        metrics |= {f"escalations_{name}": float(len(items)) for name, items in found.items()} if of.escalates else {}
        tables = [_models_table(of)]
        tables += [compared.against_table()] if len(self._steps) > 1 else []
        tables += [compared.costs_table()]
        tables += [_sent_table(found, of)] if of.escalates else []
        figure = compared.figure()
        return Diagnosis(
            diagnosis="route",
            of=tuple(step.name for step in self._steps.values()),
            metrics=metrics,
            tables=tuple(tables),
            figures=(figure,) if figure is not None else (),
            raised=tuple(_raised(of, metrics, len(compared.items), found)),
            notes=tuple(_notes(self._steps, compared)),
        )


def _shares(steps: Mapping[str, Routed]) -> dict[str, float | None]:
    of = steps[_OF]
    counts = [one.counts for one in of.items.values()]
    found = estimate(list(of.scores.values()))
    shares: dict[str, float | None] = {
        "items": float(len(counts)),
        "accuracy": found.value if found is not None else None,
        "share_escalated": ratio_of(sum(one.sent for one in of.items.values()), len(counts)) if of.escalates else None,
    }
    for role in _ALONE:
        if role in steps:
            shares[f"share_{role}"] = ratio_of(sum(model in steps[role].models for model in counts), len(counts))
    return shares


def _models_table(of: Routed) -> DiagnosisTable:
    rows = [_model_line(of, model) for model in of.models]
    total = estimate(list(of.scores.values()))
    cost = sum_of(one.cost for one in of.items.values())
    known = (total.value if total else None, _bounds(total))
    rows.append(("all", len(of.items), len(of.items), 1.0 if of.items else None, *known, *_cells(cost)))
    about = "An item counts for the model whose answer was kept. Costs are those of all answers that a model gave."
    return DiagnosisTable("models", "Who answers what", _MODELS, tuple(rows), about)


def _model_line(of: Routed, model: str) -> tuple[Json, ...]:
    asked = [one for one in of.items.values() if model in one.costs]
    counting = [one for one in asked if one.counts == model]
    found = estimate([mean_of(one.kept) for one in counting if one.kept])
    known = (found.value if found else None, _bounds(found))
    share = len(counting) / len(of.items)
    return (model, len(asked), len(counting), share, *known, *_cells(sum_of(one.costs[model] for one in asked)))


def _cells(cost: Cost) -> tuple[Json, ...]:
    return cost.answers, cost.tokens, cost.seconds, cost.usd


class _Compared:
    """The steps over the items that all of them have a score for."""

    def __init__(self, steps: Mapping[str, Routed]) -> None:
        self._steps = steps
        scores = {role: step.scores for role, step in steps.items()}
        self.items = [item for item in scores[_OF] if all(item in known for known in scores.values())]
        self._scores = {role: [known[item] for item in self.items] for role, known in scores.items()}
        self._pairs = {role: self._paired(role) for role in self._alone}
        self.costs = {role: sum_of(step.items[item].cost for item in self.items) for role, step in steps.items()}

    def metrics(self) -> dict[str, float | None]:
        found: dict[str, float | None] = {"usd_per_solved": self._per_solved(_OF)}
        for role in self._alone:
            difference, _, p = self._pairs[role]
            found |= {
                f"accuracy_{role}": mean_of(self._scores[role]) if self.items else None,
                f"difference_{role}": difference,
                f"p_{role}": p,
                f"usd_per_solved_{role}": self._per_solved(role),
            }
        if "then" in self._steps:
            blend, strong = self.costs[_OF], self.costs["then"]
            found["cost_ratio"] = ratio_of(blend.usd, strong.usd)
            found["seconds_ratio"] = ratio_of(blend.seconds, strong.seconds)
            found["tokens_ratio"] = ratio_of(blend.tokens, strong.tokens)
        return found

    def against_table(self) -> DiagnosisTable:
        rows = []
        for role in self._alone:
            difference, interval, p = self._pairs[role]
            means = [mean_of(self._scores[one]) if self.items else None for one in (_OF, role)]
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
                mean_of(self._scores[role]) if self.items else None,
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
        return ratio_of(self.costs[role].usd, math.fsum(self._scores[role])) if self.items else None

    def _paired(self, role: str) -> tuple[float | None, tuple[float, float] | None, float | None]:
        """The difference to one model alone, its interval, and p."""
        pairs = list(zip(self._scores[_OF], self._scores[role], strict=True))
        if not pairs:
            return None, None, None
        if any(score not in (0.0, 1.0) for pair in pairs for score in pair):
            differences = [route - alone for route, alone in pairs]
            return mean_of(differences), None, sign_flip_p(differences)
        verdicts = [(route == 1.0, alone == 1.0) for route, alone in pairs]
        only_route, only_alone = discordant(verdicts)
        both = sum(route and alone for route, alone in verdicts)
        neither = len(verdicts) - both - only_route - only_alone
        found = newcombe_difference(both, only_route, only_alone, neither)
        assert found is not None  # there are pairs
        return found.value, (found.interval.low, found.interval.high), mcnemar_exact(only_route, only_alone)


def _sent_table(found: Mapping[str, list[Item]], of: Routed) -> DiagnosisTable:
    total = len(of.items)
    rows = tuple((FATES[name], len(items), ratio_of(len(items), total)) for name, items in found.items())
    about = "Of all items. An escalation can only help where the first model is wrong and the second one is not."
    return DiagnosisTable("escalations", "Whether the right items were sent on", _SENT, rows, about)


def _raised(
    of: Routed, metrics: Mapping[str, float | None], compared: int, found: Mapping[str, list[Item]]
) -> Iterator[Raised]:
    """A route that costs as much as the strong model, or solves less, or sends on what needs no other model."""
    ratio, measure = metrics.get("cost_ratio"), "usd"
    if ratio is None:
        ratio, measure = metrics.get("seconds_ratio"), "seconds"
    if ratio is not None and ratio >= 1.0:
        yield Raised("route_no_cheaper", {"ratio": ratio, "measure": measure, "items": compared})
    difference, p = metrics.get("difference_then"), metrics.get("p_then")
    if difference is not None and p is not None and difference < 0 and p < _ALPHA:
        yield Raised("route_loses", {"difference": difference, "p": p, "items": compared})
    sent = sum(one.sent for one in of.items.values())
    counts = {name: len(found[name]) for name in ("helped", "wasted", "vain", "harmed")}
    if 2 * counts["wasted"] > sent:
        yield Raised("escalations_wasted", {"sent": sent, **counts}, *_named(of, found["wasted"]))
    clear = mcnemar_exact(counts["helped"], counts["harmed"]) < _ALPHA
    if counts["harmed"] > counts["helped"] and clear:
        yield Raised("escalations_harm", {"sent": sent, **counts}, *_named(of, found["harmed"]))


def _named(of: Routed, items: list[Item]) -> tuple[tuple[str, ...], int]:
    return tuple(f"{of.name}/{name}" for _, _, name in items[:_MOST_NAMED]), len(items)


def _notes(steps: Mapping[str, Routed], compared: _Compared) -> Iterator[str]:
    absent = [role for role in _ALONE if role not in steps]
    if absent:
        named = " and ".join({"first": "the first model", "then": "the second model"}[role] for role in absent)
        yield f"Not compared with {named} alone: the diagnosis names no such step."
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


def _bounds(found: Estimate | None) -> tuple[float, float] | None:
    return None if found is None else (found.interval.low, found.interval.high)
