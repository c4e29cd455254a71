"""`expect:` of a step: the categories must be those that are asked, the conditions those that such a step can meet."""

from __future__ import annotations

from evalkit.core.expectation import ALL, OF_A_SCORE
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, Path

_KEYS = ("expect", "require")
_VERBS = ("bench", "compare", "judge")


def check(step: Node, at: Path, long: Node, diagnostics: Diagnostics) -> None:
    """Say which expectations of a step of the long form are about nothing."""
    for key in _KEYS:
        given = step.get(key)
        if given is None or not any(verb in step.map for verb in _VERBS):
            continue
        categories = _categories(step, long)
        for category, conditions in given.map.items():
            path: Path = (*at, key, category)
            if categories is not None and category not in categories:
                node = Node(category, conditions.place)
                message = f"no category '{category}' is asked {'in both steps' if 'compare' in step.map else 'here'}"
                diagnostics.unknown(node, path, message, categories, at_key=True)
            for claim, value in conditions.map.items():
                _check_claim(step, claim, value, (*path, claim), diagnostics)


def _check_claim(step: Node, claim: str, value: Node, path: Path, diagnostics: Diagnostics) -> None:
    if "compare" not in step.map and claim not in OF_A_SCORE:
        verb = "bench" if "bench" in step.map else "judge"
        message = f"`{claim}` is about a difference, and a `{verb}` step has a score"
        hint = "expect it of a `compare` step; here at_least and at_most"
        hint += ", where 0.5 is parity" if verb == "judge" else ""
        diagnostics.error(value.place, path, message, hint=hint, at_key=True)
    elif value.content is False:
        message = f"`{claim}: false` says nothing that a result could confirm"
        opposite = "worsens" if claim == "improves" else "improves"
        diagnostics.error(value.place, path, message, hint=f"leave it out, or expect {opposite}: true")


def _categories(step: Node, long: Node) -> list[str] | None:
    """The categories that a condition may name; None where a name before it is wrong already."""
    compared = step.get("compare") or step.get("of")
    if compared is None:
        return _of_bench(step, long)
    known = [_of_bench(long.map["steps"].get(use.content), long) for use in compared.items]
    if any(found is None for found in known):
        return None
    first, second = (found or [] for found in known)
    return [category for category in first if category in second]


def _of_bench(step: Node | None, long: Node) -> list[str] | None:
    suite = step.text("bench") if step is not None else None
    found = long.map["suites"].get(suite) if suite is not None else None
    return [*found.map, ALL] if found is not None else None
