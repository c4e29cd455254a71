"""Which keys a `diagnose` step of each kind has: what it cannot do without, and what would mean nothing there."""

from __future__ import annotations

from msgspec import Struct

from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node

TRAINING = ("composition", "order")
"""The kinds that are about a training set."""
_SHORT = ("consistency", "determinism")
"""The kinds with a short form: one without `of` is no long form, and what is wrong with it was said."""
_HINTS = {
    "of": "name a `bench` step",
    "again": "name the `bench` step that asked the same once more",
    "arms": "it is made by a `sweep` in a policy",
    "data": "name a file: data: train.jsonl",
}
_ANY = ("diagnose", "about", "meta", "when", "expect", "require")


class Keys(Struct, frozen=True):
    """The keys of a kind in the long form."""

    needed: tuple[str, ...]
    further: tuple[str, ...] = ()


KEYS = {
    "diversity": Keys(("of",)),
    "rubric": Keys(("of",)),
    "errors": Keys(("of",)),
    "consistency": Keys(("of",), ("greedy",)),
    "determinism": Keys(("of", "again")),
    "route": Keys(("of",), ("first", "then")),
    "sweep": Keys(("arms",), ("over",)),
    "ties": Keys(("of",), ("consistency",)),
    **dict.fromkeys(TRAINING, Keys(("data",), ("by", "scores"))),
}


def check(steps: dict[str, Node], diagnostics: Diagnostics) -> None:
    """Say what is missing or out of place in each `diagnose` step."""
    for name, step in steps.items():
        kind = step.text("diagnose")
        keys = KEYS.get(kind) if kind is not None else None
        if keys is None or (kind in _SHORT and "of" not in step.map):
            continue
        known = (*keys.needed, *keys.further)
        for key in keys.needed:
            if key not in step.map:
                message = f"the diagnosis `{kind}` needs `{key}`"
                hint = "name a `judge` step" if kind == "ties" else _HINTS[key]
                diagnostics.error(step.place, ("steps", name), message, hint=hint, at_key=True)
        for key, node in step.map.items():
            if key not in (*known, *_ANY):
                message = f"`{key}` means nothing to the diagnosis `{kind}`"
                hint = f"its keys: {', '.join(known)}"
                diagnostics.error(node.place, ("steps", name, key), message, hint=hint, at_key=True)
