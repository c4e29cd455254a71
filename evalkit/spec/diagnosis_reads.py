"""Whether the steps that a diagnosis reads have what it is about: several answers, candidates, the same questions."""

from __future__ import annotations

from collections.abc import Iterator

from evalkit.core.types import Json
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node

_SEVERAL = ("diversity", "consistency")


def readable(step: Node, key: str | int, target: Node) -> bool:
    """Whether a step of this verb can be read: the answers of a `bench`, but for `ties` the verdicts of a `judge`, and
    beside them a `consistency` with the answers that it reads itself."""
    if step.text("diagnose") == "ties" and key == "of":
        return "judge" in target.map
    if key == "consistency" and target.text("diagnose") == "consistency":
        return True
    return "bench" in target.map


def check(long: Node, diagnostics: Diagnostics) -> None:
    """Say of each `diagnose` step of a long form which of the steps that it reads cannot answer it."""
    steps = long.map["steps"].map
    for name, step in steps.items():
        kind = step.text("diagnose")
        if kind is None:
            continue
        for key, message, hint in _problems(kind, step, long):
            if step.map[key].place is not None:  # what was made of a short form was checked there
                diagnostics.error(step.map[key].place, ("steps", name, key), message, hint=hint)


def _problems(kind: str, step: Node, long: Node) -> Iterator[tuple[str, str, str]]:
    """The key of the step that is read, what is wrong with it, and a hint."""
    of, greedy, again = (_bench(step, key, long) for key in ("of", "greedy", "again"))
    if of is not None and kind in _SEVERAL and not any(_answers(one) > 1 for one in _policies(of, long)):
        message = f"'{step.text('of')}' has one answer to each item: {kind} is about several"
        yield "of", message, "for example policy: {temperature: 0.7, samples: 10}"
    if of is not None and kind == "rubric" and not any("best_of" in one.map for one in _policies(of, long)):
        message = f"'{step.text('of')}' selects nothing: there is no value of candidates to judge"
        yield "of", message, "for example policy: {temperature: 0.8, best_of: 3, select: logprob}"
    drawn = _bench(step, "consistency", long)
    if drawn is not None and not any(_answers(one) > 1 for one in _policies(drawn, long)):
        message = f"'{step.text('consistency')}' has one answer to each item: consistency is about several"
        yield "consistency", message, "for example policy: {temperature: 0.7, samples: 10}"
    if greedy is not None and any(_number(one, "temperature", 0) > 0 for one in _policies(greedy, long)):
        message = f"'{step.text('greedy')}' draws its answers: greedy ones are at temperature 0"
        yield "greedy", message, "name a step whose policy is greedy"
    if of is not None and again is not None and _asked(of, long) != _asked(again, long):
        message = f"'{step.text('again')}' does not ask what '{step.text('of')}' asks"
        yield "again", message, "the same suite, model and policy, with repeat: 1"


def _bench(step: Node, key: str, long: Node) -> Node | None:
    """The `bench` step that a key names, if all that it names itself is known."""
    name = step.text(key)
    found = long.map["steps"].map.get(name) if name is not None else None
    if found is None or "bench" not in found.map or found.text("bench") not in long.map["suites"].map:
        return None
    known = long.map["policies"].map
    return found if all(name in known for name in _policy_names(found, long)) else None


def _policy_names(bench: Node, long: Node) -> list[str]:
    uses = long.map["suites"].map[bench.text("bench") or ""].map.values()
    named = [*bench.map["policy"].map.values(), *(use.map["policy"] for use in uses if "policy" in use.map)]
    return [str(node.content) for node in named]


def _policies(bench: Node, long: Node) -> list[Node]:
    """All policies by which a step asks."""
    return [long.map["policies"].map[name] for name in _policy_names(bench, long)]


def _answers(policy: Node) -> float:
    return max(_number(policy, "samples", 1), _number(policy, "best_of", 1))


def _number(policy: Node, key: str, otherwise: float) -> float:
    node = policy.get(key)
    return float(node.content) if node is not None else otherwise


def _asked(bench: Node, long: Node) -> tuple[Json, ...]:
    suite = long.map["suites"].map[bench.text("bench") or ""]
    return suite.plain(), bench.map["model"].plain(), bench.map["policy"].plain()
