"""Sweeps: of a policy with several values for a setting one policy for each, of a step that uses it one step for each.

    three: {bench: code, policy: {temperature: 0.8, samples: 5, sweep: {top_p: [0.9, 1.0]}}}

is the steps `three-top_p_0_9` and `three-top_p_1`, and `three` is the diagnosis that sets them side by side. Several
settings give every combination of their values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product

from msgspec import Struct

from evalkit.core.types import Json
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.expand_policies import is_inline
from evalkit.spec.nodes import Node, Path, derived, with_entries
from evalkit.spec.validate import prune

_MOST = 50
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_]+")
_SHORT_STEP, _SHORT_SUITE = "bench", "suite"


class Variant(Struct, frozen=True):
    """One combination of values: `label` for people, `suffix` for names, and the policy with these values."""

    label: str
    suffix: str
    policy: Node


class Sweep(Struct, frozen=True):
    """The variants of one policy, and the settings in which they differ."""

    settings: tuple[str, ...]
    variants: tuple[Variant, ...]


def spread(root: Node, diagnostics: Diagnostics) -> Node:
    """The document without sweeps: their variants in their place. What is wrong with one goes to the diagnostics."""
    return _Spreading(root, diagnostics).spread()


class _Spreading:
    def __init__(self, root: Node, diagnostics: Diagnostics) -> None:
        self._root = root
        self._diagnostics = diagnostics
        policies = root.get("policies")
        self._named = {
            name: self._sweep(node, ("policies", name))
            for name, node in (policies.map if policies else {}).items()
            if "sweep" in node.map
        }
        short = root.get("policy")
        self._short = short
        self._short_sweep = self._sweep(short, ("policy",)) if short is not None and "sweep" in short.map else None

    def spread(self) -> Node:
        self._root = prune(self._root, self._refuse_in_suites())
        if not self._named and self._short_sweep is None and not self._inline():
            return self._root
        entries = dict(self._root.map)
        if self._named:
            entries["policies"] = self._policies(entries["policies"])
        if self._short_sweep is not None or (self._short is not None and self._short.content in self._named):
            entries.pop("policy")
        entries["steps"] = self._steps()
        return with_entries(self._root, entries)

    def _inline(self) -> bool:
        steps = self._root.get("steps")
        given = (step.get("policy") for step in (steps.map.values() if steps else ()) if "bench" in step.map)
        return any(policy is not None and "sweep" in policy.map for policy in given)

    def _policies(self, policies: Node) -> Node:
        found: dict[str, Node] = {}
        for name, node in policies.map.items():
            sweep = self._named.get(name)
            if sweep is None:
                found[name] = node
            else:
                found |= {f"{name}.{variant.suffix}": variant.policy for variant in sweep.variants}
        return with_entries(policies, found)

    def _steps(self) -> Node:
        given = self._root.get("steps")
        if given is None:
            suite = self._root.get("suite")
            if suite is None:
                return derived({}, None)
            name = suite.content if isinstance(suite.content, str) else _SHORT_SUITE
            given = Node({_SHORT_STEP: Node({"bench": derived(name, suite.place)}, suite.place)}, suite.place)
        found: dict[str, Node] = {}
        for name, step in given.map.items():
            for made, node in self._spread_step(name, step):
                if made != name and made in given.map:
                    message = f"the sweep of '{name}' makes a step '{made}', and there is one already"
                    place = given.map[made].place
                    self._diagnostics.error(place, ("steps", made), message, hint="rename one of them", at_key=True)
                found[made] = node
        return with_entries(given, found)

    def _spread_step(self, name: str, step: Node) -> Iterator[tuple[str, Node]]:
        if "bench" not in step.map:
            yield name, step
            return
        given = step.get("policy")
        arms = list(self._arms(name, given if given is not None else self._short))
        if not arms:
            yield name, step
            return
        sweep = arms[0][2]
        steps = {variant.label: f"{name}-{_UNNAMEABLE.sub('_', variant.suffix)}" for variant, _, _ in arms}
        for variant, policy, _ in arms:
            kept = {key: node for key, node in step.map.items() if key not in ("policy", "expect", "require")}
            yield steps[variant.label], Node({**kept, "policy": policy}, step.place)
        diagnosis = {"diagnose": "sweep", "arms": steps, "over": list(sweep.settings)}
        conditions = {key: step.map[key] for key in ("expect", "require") if key in step.map}
        if conditions:
            message = "a step of several arms has no score of its own to expect something of"
            key, node = next(iter(conditions.items()))
            self._diagnostics.error(node.place, ("steps", name, key), message, hint="write the arms as steps")
        yield name, derived(diagnosis, step.place)

    def _arms(self, step: str, policy: Node | None) -> Iterator[tuple[Variant, Node, Sweep]]:
        """Each variant with what the step's `policy` is then; nothing where no sweep is meant."""
        if policy is None:
            return
        if not policy.is_map:
            if policy.content in self._named:
                sweep = self._named[policy.content]
                for variant in sweep.variants:
                    yield variant, derived(f"{policy.content}.{variant.suffix}", policy.place), sweep
        elif is_inline(policy):
            if "sweep" in policy.map:
                short = policy is self._short and self._short_sweep
                sweep = short or self._sweep(policy, ("steps", step, "policy"))
                for variant in sweep.variants:
                    yield variant, variant.policy, sweep
        else:
            yield from self._arms_of_categories(step, policy)

    def _arms_of_categories(self, step: str, policy: Node) -> Iterator[tuple[Variant, Node, Sweep]]:
        if "default" not in policy.map and self._short is not None:
            policy = self._with_default(step, policy, self._short)
        swept = {category: node for category, node in policy.map.items() if node.content in self._named}
        if len({node.content for node in swept.values()}) > 1:
            category, node = list(swept.items())[1]
            message = "two sweeps in one step: which combinations are meant?"
            hint = "one policy with several settings in its `sweep`, or two steps"
            self._diagnostics.error(node.place, ("steps", step, "policy", category), message, hint=hint)
        if not swept:
            return
        first = next(iter(swept.values()))
        sweep = self._named[first.content]
        for variant in sweep.variants:
            chosen = {
                category: derived(f"{first.content}.{variant.suffix}", node.place) if category in swept else node
                for category, node in policy.map.items()
            }
            yield variant, with_entries(policy, chosen), sweep

    def _with_default(self, step: str, policy: Node, short: Node) -> Node:
        """The step's policies with the spec's one for the rest, as where nothing is swept."""
        if not short.is_map:
            return with_entries(policy, {**policy.map, "default": short})
        if self._short_sweep is not None:
            message = "the other categories have the sweep of `policy`, which has no name"
            hint = "define it under `policies`, and name it as `default`"
            self._diagnostics.error(policy.place, ("steps", step, "policy"), message, hint=hint, at_key=True)
        return policy

    def _sweep(self, policy: Node, path: Path) -> Sweep:
        swept, at = policy.map["sweep"], (*path, "sweep")
        for key, values in swept.map.items():
            if key in policy.map:
                message = f"`{key}` has a value here and several in `sweep`"
                self._diagnostics.error(policy.map[key].place, (*path, key), message, hint="keep one of the two")
            self._refuse_twice(values, (*at, key))
        kept = {key: node for key, node in policy.map.items() if key != "sweep"}
        combinations = list(product(*(values.items for values in swept.map.values())))
        if len(combinations) > _MOST:
            message = f"{len(combinations)} combinations are more than {_MOST}"
            self._diagnostics.error(swept.place, at, message, hint="sweep over fewer values", at_key=True)
        settings = tuple(swept.map)
        return Sweep(
            settings,
            tuple(
                _variant(settings, values, Node({**kept, **dict(zip(settings, values, strict=True))}, policy.place))
                for values in combinations[:_MOST]
            ),
        )

    def _refuse_twice(self, values: Node, path: Path) -> None:
        seen: list[Json] = []
        for index, value in enumerate(values.items):
            plain = value.plain()
            if plain in seen:
                message = f"the value {_shown(plain)} is there twice"
                self._diagnostics.error(value.place, (*path, index), message, hint="each arm differs from the others")
            seen.append(plain)

    def _refuse_in_suites(self) -> list[Path]:
        """Returns the paths of what is refused, so that nothing more is said of it."""
        found = []
        for path, policy in _suite_policies(self._root):
            if "sweep" in policy.map or policy.content in (() if policy.is_map else self._named):
                message = "a sweep belongs to a step: here it would hide how many arms there are"
                hint = "give the step a map from category to policy"
                self._diagnostics.error(policy.place, path, message, hint=hint, at_key=True)
                found.append(path)
        return found


def _suite_policies(root: Node) -> Iterator[tuple[Path, Node]]:
    suites = root.get("suites")
    found: list[tuple[Path, Node]] = [
        (("suites", name), suite) for name, suite in (suites.map if suites else {}).items()
    ]
    short = root.get("suite")
    found += [(("suite",), short)] if short is not None else []
    for path, suite in found:
        uses: list[tuple[str | int, Node]] = [*suite.map.items(), *enumerate(suite.items)]
        for key, use in uses:
            if "policy" in use.map:
                yield (*path, key, "policy"), use.map["policy"]


def _variant(settings: tuple[str, ...], values: tuple[Node, ...], policy: Node) -> Variant:
    shown = [_shown(value.plain()) for value in values]
    label = ", ".join(shown) if len(settings) == 1 else ", ".join(map(" ".join, zip(settings, shown, strict=True)))
    pairs = zip(settings, shown, strict=True)
    named = (f"{key}-{_UNNAMEABLE.sub('_', text) if key == 'select' else text}" for key, text in pairs)
    return Variant(label, ".".join(named).replace("+", ""), policy)


def _shown(value: Json) -> str:
    """A value in a name and in a table: `0.2`, `majority`, `careful` for the rubric of that name."""
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values())
    return str(value).removesuffix(".0")  # in full: two seeds that differ in their last digit are two arms
