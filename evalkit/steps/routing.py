"""Routes: which model is asked which item.

Rules read the data and decide before anything is asked. An escalation reads the first model's answers in the store, and
nothing else: so filling, planning, resuming and reporting cannot come to different ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.errors import DataError, SpecError
from evalkit.core.ports import Store
from evalkit.core.routing import RouteRule, as_text
from evalkit.core.types import Choice, Contribution, Json, Sample
from evalkit.steps.bench import Arm, Bench, Gate
from evalkit.steps.known import Item, Known, Mark, candidate, items, picked

BY = "route"
"""What a choice says of answers that were not kept because another model was asked."""
_OWN = ("category", "task", "split")


# rules


def partition(name: str, rules: Sequence[RouteRule], arms: Sequence[Arm]) -> dict[str, tuple[Arm, ...]]:
    """The arms of each model of the route `name`, in the order of its rules; arms without samples are left out.

    Raises DataError for a field that no row of a task has, SpecError for a sample that no rule fits.
    """
    parts: dict[str, list[Arm]] = {rule.model: [] for rule in rules}
    for arm in arms:
        chosen = _by_model(name, rules, arm)
        for model, part in parts.items():
            if model in chosen:
                part.append(replace(arm, samples=tuple(chosen[model])))
    return {model: tuple(part) for model, part in parts.items() if part}


def _by_model(name: str, rules: Sequence[RouteRule], arm: Arm) -> dict[str, list[Sample]]:
    fields = {field for sample in arm.samples for field in (*sample.row, *sample.groups)}
    chosen: dict[str, list[Sample]] = {}
    for sample in arm.samples:
        rule = next((rule for rule in rules if _fits(name, rule, sample, fields)), None)
        if rule is None:
            message = f"no rule of the route '{name}' fits sample '{sample.id}' of {arm.category}"
            raise SpecError(message, hint="let the last rule have no `when`: it fits every sample")
        chosen.setdefault(rule.model, []).append(sample)
    return chosen


def _fits(name: str, rule: RouteRule, sample: Sample, fields: set[str]) -> bool:
    """Whether all fields of a rule fit. What the sample itself is comes first: so a rule may ask about a field that
    only the rows of some tasks have."""
    for field in _OWN:
        if field in rule.when and getattr(sample, field) not in rule.when[field]:
            return False
    for field, values in rule.when.items():
        if field in _OWN:
            continue
        if field not in fields:
            raise DataError(
                f"the route '{name}' asks for the field '{field}', and no row of task {sample.task} has it",
                hint=f"fields: {', '.join(sorted({*_OWN, *fields}))}; where only some tasks have a field, "
                "put `task` or `category` beside it in `when`",
            )
        if _value(name, field, sample) not in values:
            return False
    return True


def _value(name: str, field: str, sample: Sample) -> str | None:
    """A sample's value of a field as text; None where it has none."""
    value: Json = sample.groups[field] if field in sample.groups else sample.row.get(field)
    if isinstance(value, dict | list):
        kind = "map" if isinstance(value, dict) else "list"
        message = f"the route '{name}' asks for the field '{field}', which holds a {kind}"
        raise DataError(message, hint="a rule compares a text, a number, true or false", where=sample.where)
    return None if value is None else as_text(value)


# escalation


class Decision(Struct, frozen=True):
    """What a gate makes of a model's answers to an item. `escalates` is None while one of them may still change."""

    escalates: bool | None
    value: float | None = None
    criteria: Mapping[str, Contribution] = {}
    reason: str | None = None


def decide(gate: Gate, item: Sequence[Known], found: Sequence[Mark]) -> Decision:
    """Whether the next model is asked. Where a rubric cannot judge the answer, it is: nothing speaks for the answer."""
    if not all(one.settled for one in item):
        return Decision(None)
    if gate.rubric is None:
        votes = Counter(one.score.answer for one in item if one.score.answer is not None)
        share = max(votes.values(), default=0) / len(item)
        return Decision(share < gate.when.below, share)
    counted = next(one for one, mark in zip(item, found, strict=True) if mark.selected)
    [valued] = gate.rubric.values(counted.cell.sample, [replace(candidate(counted), score=None)])
    low = valued.value is None or valued.value < gate.when.below
    return Decision(low, valued.value, valued.criteria, valued.reason)


def marks(bench: Bench, arm: Arm, some: Sequence[Item], store: Store) -> list[list[Mark]]:
    """One mark for each answer to each item. None counts where the next model was asked: rank 1 has then what would
    have counted."""
    found = picked(bench, arm, some, store)
    gate = bench.gate
    if gate is None:
        return found
    return [_passed_on(decide(gate, item, its), its) for item, its in zip(some, found, strict=True)]


def _passed_on(decision: Decision, found: list[Mark]) -> list[Mark]:
    if not decision.escalates:
        return found
    counted = sum(mark.selected for mark in found)
    given, reason = dict(decision.criteria), decision.reason
    return [
        Mark(False, Choice(BY, decision.value, 1 if mark.selected else 2, counted, given, reason), mark.judged)
        for mark in found
    ]


class Sent(Struct, frozen=True):
    """Items by category and id: those that are `on` their way to the second model, and those that are `open` because
    an answer of the first one may still change."""

    on: frozenset[tuple[str, str]]
    open: frozenset[tuple[str, str]]


def sent(bench: Bench, store: Store, identity: str) -> Sent:
    """What the first model's answers send to a bench that comes after it."""
    assert bench.after is not None
    categories = {arm.category for arm in bench.arms}
    decided = {
        (arm.category, name): decision.escalates
        for arm in bench.after.arms
        if arm.category in categories
        for name, decision in _decisions(bench.after, arm, store, identity)
    }
    return Sent(
        frozenset(item for item, escalates in decided.items() if escalates),
        frozenset(item for item, escalates in decided.items() if escalates is None),
    )


def _decisions(first: Bench, arm: Arm, store: Store, identity: str) -> Iterator[tuple[str, Decision]]:
    assert first.gate is not None
    for some in items(first, arm, store, identity):
        for item, found in zip(some, picked(first, arm, some, store), strict=True):
            yield item[0].cell.sample.id, decide(first.gate, item, found)


def admitted(bench: Bench, store: Store, identity: str) -> Bench:
    """The bench with the items that are sent to it; one that comes after none is itself."""
    return bench if bench.after is None else only(bench, sent(bench, store, identity).on)


def only(bench: Bench, wanted: Set[tuple[str, str]]) -> Bench:
    """A bench with some of its items, by category and id; nothing decides any more which they are."""
    arms = (
        replace(arm, samples=tuple(sample for sample in arm.samples if (arm.category, sample.id) in wanted))
        for arm in bench.arms
    )
    return replace(bench, arms=tuple(arm for arm in arms if arm.samples), after=None)
