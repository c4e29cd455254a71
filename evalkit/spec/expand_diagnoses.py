"""Diagnoses that ask something of their own: the questions become `bench` steps, the diagnosis reads them.

    wobble: {diagnose: consistency, model: base, tasks: [gsm8k], split: train, sample: 200, policy: {samples: 10}}

is `wobble-samples` with that policy, `wobble-greedy` with the same at temperature 0, and
`wobble: {diagnose: consistency, of: wobble-samples, greedy: wobble-greedy}`.
"""

from __future__ import annotations

from collections.abc import Iterator

from evalkit.core.types import Json
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, default, derived, with_entries

SAMPLED: dict[str, Json] = {"temperature": 0.7, "samples": 10}
"""The policy of a `consistency` that names none."""
OTHER_BATCH = 4
"""Answers at a time where the same is asked again: another shape of batch than the usual ones."""
_ASKS = ("consistency", "determinism")
_DRAWN = ("temperature", "top_p", "top_k", "min_p", "samples", "best_of", "select", "sweep", "greedy")
_KEPT = ("model", "split", "sample")


def spread(root: Node, diagnostics: Diagnostics) -> Node:
    """The document with the questions of its diagnoses as steps. What is wrong with one goes to the diagnostics."""
    steps = root.get("steps")
    if steps is None or not any(map(_asks, steps.map.values())):
        return root
    found: dict[str, Node] = {}
    suites: dict[str, Node] = {}
    for name, step in steps.map.items():
        for made, node in _spread(root, name, step, diagnostics, suites) if _asks(step) else [(name, step)]:
            if made != name and made in steps.map:
                message = f"the diagnosis '{name}' makes a step '{made}', and there is one already"
                hint = "rename one of them"
                diagnostics.error(steps.map[made].place, ("steps", made), message, hint=hint, at_key=True)
            found[made] = node
    entries = {**root.map, "steps": with_entries(steps, found)}
    if suites:
        known = root.get("suites")
        entries["suites"] = Node({**(known.map if known else {}), **suites}, known.place if known else None)
    return with_entries(root, entries)


def _asks(step: Node) -> bool:
    """Whether a step is a diagnosis that says what to ask instead of naming a step to read."""
    return step.text("diagnose") in _ASKS and "of" not in step.map


def _spread(
    root: Node, name: str, step: Node, diagnostics: Diagnostics, suites: dict[str, Node]
) -> Iterator[tuple[str, Node]]:
    suite = _suite(name, step, diagnostics, suites)
    if suite is None:
        yield name, step
        return
    common = {"bench": suite, **{key: step.map[key] for key in _KEPT if key in step.map}}
    kind = step.text("diagnose")
    policy = step.get("policy")
    if policy is not None and _is_sweep(root, policy):
        message = "a diagnosis asks in one way, and a sweep is several"
        hint = "write a diagnosis for each value, or sweep a `bench` and read its arms with `of`"
        diagnostics.error(policy.place, ("steps", name, "policy"), message, hint=hint, at_key=True)
        yield name, step
        return
    if kind == "consistency":
        drawn = policy if policy is not None else default(SAMPLED)
        _check_drawn(root, name, drawn, diagnostics)
        first, second = f"{name}-samples", f"{name}-greedy"
        yield first, Node({**common, "policy": drawn}, step.place)
        yield second, Node({**common, "policy": _greedy(root, drawn)}, step.place)
        reads = {"of": first, "greedy": second}
    else:
        first, second = f"{name}-first", f"{name}-again"
        asked = {**common, "policy": policy if policy is not None else default("greedy")}
        yield first, Node(asked, step.place)
        again = {"repeat": default(1), "batch": default(OTHER_BATCH)}
        yield second, Node({**asked, **again}, step.place)
        reads = {"of": first, "again": second}
    kept = {key: step.map[key] for key in ("about", "meta") if key in step.map}
    yield name, Node({"diagnose": step.map["diagnose"], **{role: default(one) for role, one in reads.items()}, **kept})


def _suite(name: str, step: Node, diagnostics: Diagnostics, suites: dict[str, Node]) -> Node | None:
    """What is asked: a suite by name, or the step's own list of tasks as a suite of their own."""
    suite, tasks = step.get("suite"), step.get("tasks")
    if suite is not None and tasks is not None:
        message = "`suite` and `tasks` both say what is asked"
        diagnostics.error(tasks.place, ("steps", name, "tasks"), message, hint="keep one of the two", at_key=True)
    if suite is not None:
        return suite
    if tasks is None:
        kind = step.text("diagnose")
        message = f"`{kind}` needs `of`, a step to read, or what to ask: `suite` or `tasks`"
        hint = f"for example {{diagnose: {kind}, model: base, suite: six}}"
        diagnostics.error(step.place, ("steps", name), message, hint=hint, at_key=True)
        return None
    suites[f"{name}.tasks"] = tasks
    return derived(f"{name}.tasks", tasks.place)


def _policy_of(root: Node, policy: Node) -> Node:
    """The map that a policy is, or that the name stands for; empty for `greedy` and for a name that means nothing."""
    if policy.is_map:
        return policy
    policies = root.get("policies")
    named = policies.get(policy.content) if policies is not None else None
    return named if named is not None else Node({})


def _greedy(root: Node, policy: Node) -> Node:
    """The same policy with the likeliest token instead of a draw, and one answer."""
    entries = {key: node for key, node in _policy_of(root, policy).map.items() if key not in _DRAWN}
    return Node({"temperature": default(0), **entries}, policy.place)


def _is_sweep(root: Node, policy: Node) -> bool:
    """Of a sweep that has a name only the arms are left here, called after it."""
    if policy.is_map:
        return "sweep" in policy.map
    policies = root.get("policies")
    names = policies.map if policies is not None else {}
    return policy.content not in names and any(name.startswith(f"{policy.content}.") for name in names)


def _check_drawn(root: Node, name: str, policy: Node, diagnostics: Diagnostics) -> None:
    """Consistency is about several answers that can differ."""
    found = _policy_of(root, policy).map
    samples = found.get("samples") or found.get("best_of")
    temperature = found.get("temperature")
    drawn = temperature is not None and temperature.content != 0
    if samples is None or samples.content < 2 or not drawn:
        message = "consistency is about several answers that can differ: the policy draws none"
        hint = "for example policy: {temperature: 0.7, samples: 10}"
        diagnostics.error(policy.place, ("steps", name, "policy"), message, hint=hint, at_key=True)
