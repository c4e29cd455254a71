"""Judge steps that say what to ask: the questions to both models become `bench` steps, and the judges compare these.

    duel: {judge: fair, suite: six, between: [base, gpt4], policy: exam}

is `duel-base` and `duel-gpt4`, which ask the same, and `duel: {judge: [fair], of: [duel-base, duel-gpt4]}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.expand_policies import is_inline
from evalkit.spec.nodes import Node, default, derived, with_entries

_ASKS = ("policy", "split", "sample")
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_-]+")


def spread(root: Node, diagnostics: Diagnostics) -> Node:
    """The document with the questions of its judge steps as steps. What is wrong with one goes to the diagnostics."""
    steps = root.get("steps")
    if steps is None or not any("judge" in step.map for step in steps.map.values()):
        return root
    found: dict[str, Node] = {}
    for name, step in steps.map.items():
        for made, node in _spread(root, name, step, diagnostics) if "judge" in step.map else [(name, step)]:
            if made != name and (made in steps.map or made in found):
                message = f"the step '{name}' makes a step '{made}', and there is one already"
                place = (steps.map.get(made) or step).place
                diagnostics.error(place, ("steps", made), message, hint="rename one of them", at_key=True)
            found[made] = node
    return with_entries(root, {**root.map, "steps": with_entries(steps, found)})


def _spread(root: Node, name: str, step: Node, diagnostics: Diagnostics) -> Iterator[tuple[str, Node]]:
    between = step.get("between")
    long = _with_list(step)
    if between is None or not _is_whole(name, step, diagnostics):
        if between is None:
            _check_long(name, step, diagnostics)
        yield name, long
        return
    policy = step.get("policy")
    if policy is not None and _is_sweep(root, policy):
        message = "a judge compares answers that were asked for in one way, and a sweep is several"
        hint = "write a step for each value"
        diagnostics.error(policy.place, ("steps", name, "policy"), message, hint=hint, at_key=True)
        yield name, long
        return
    asked = {"bench": step.map["suite"], **{key: step.map[key] for key in _ASKS if key in step.map}}
    made = [f"{name}-{_UNNAMEABLE.sub('-', str(model.content))}" for model in between.items]
    for bench, model in zip(made, between.items, strict=True):
        yield bench, Node({**asked, "model": model}, step.place)
    kept = {key: node for key, node in long.map.items() if key not in ("suite", "between", *_ASKS)}
    of = Node([derived(bench, model.place) for bench, model in zip(made, between.items, strict=True)], between.place)
    yield name, Node({"judge": kept.pop("judge"), "of": of, **kept}, step.place)


def _with_list(step: Node) -> Node:
    judge = step.map["judge"]
    return step if judge.is_list else Node({**step.map, "judge": Node([judge], judge.place)}, step.place)


def _is_whole(name: str, step: Node, diagnostics: Diagnostics) -> bool:
    """Whether a step with `between` says what is asked, of two models that differ."""
    between = step.map["between"]
    at = ("steps", name)
    if "of" in step.map:
        message = "`of` and `between` both say what is compared"
        diagnostics.error(step.map["of"].place, (*at, "of"), message, hint="keep one of the two", at_key=True)
        return False
    if "suite" not in step.map:
        message = "`between` needs `suite`: what both models are asked"
        diagnostics.error(between.place, (*at, "between"), message, hint="add suite: NAME", at_key=True)
        return False
    first, second = between.items
    if first.content == second.content:
        message = f"'{second.content}' is compared with itself"
        diagnostics.error(second.place, (*at, "between", 1), message, hint="name another model")
        return False
    return True


def _check_long(name: str, step: Node, diagnostics: Diagnostics) -> None:
    at = ("steps", name)
    if "of" not in step.map:
        message = "a `judge` step needs what is compared: `between` two models on a `suite`, or `of` two steps"
        hint = "for example between: [tuned, base], suite: six"
        diagnostics.error(step.place, at, message, hint=hint, at_key=True)
    for key in ("suite", *_ASKS):
        if key in step.map and "of" in step.map:
            message = f"`{key}` means nothing beside `of`: the steps that are compared say what is asked"
            diagnostics.error(step.map[key].place, (*at, key), message, hint="leave it out", at_key=True)


def _is_sweep(root: Node, policy: Node) -> bool:
    """Of a sweep that has a name only the arms are left here, called after it."""
    if policy.is_map and is_inline(policy):
        return "sweep" in policy.map
    policies = root.get("policies")
    names = policies.map if policies is not None else {}
    chosen = policy.map.values() if policy.is_map else [policy]
    return any(one.content not in names and any(name.startswith(f"{one.content}.") for name in names) for one in chosen)


def compares(root: Node) -> set[str]:
    """The judges that any `judge` step names."""
    steps = root.get("steps")
    named = [step.map["judge"] for step in (steps.map.values() if steps is not None else ()) if "judge" in step.map]
    return {one.content for node in named for one in (node.items if node.is_list else [node])}


DEFAULTS = {"swap": True, "retest": 0.1, "style": "letters", "reference": False}
"""What a judge that compares has where it says nothing."""


def with_defaults(judge: Node) -> Node:
    """A judge that compares, every setting written out."""
    missing = {key: default(value) for key, value in DEFAULTS.items() if key not in judge.map}
    return Node({**judge.map, **missing}, judge.place)
