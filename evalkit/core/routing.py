"""Models made of others: which model is asked what."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from evalkit.core.types import Json


class RouteRule(Struct, frozen=True):
    """The samples whose fields have one of the values that `when` gives for each go to `model`; all, where it is
    empty."""

    model: str
    when: dict[str, tuple[str, ...]] = {}


class Escalation(Struct, frozen=True):
    """The second model is asked where a number about the first one's answers is `below` this one.

    `agreement`: the share of the answers that are the most frequent one. `rubric`: the share of the points of the
    rubric of this name that the answer which counts gets.
    """

    by: Literal["agreement", "rubric"]
    below: float
    rubric: str | None = None


class Route(Struct, frozen=True):
    """Either `rules`, of which the first that fits decides, or `first` and `then` with `when` between them.

    `then_policy` is how the second model is asked, by its name; None is the way of the step.
    """

    rules: tuple[RouteRule, ...] = ()
    first: str | None = None
    then: str | None = None
    when: Escalation | None = None
    then_policy: str | None = None


def as_text(value: Json) -> str:
    """How a value is compared: `3`, `3.0` and `'3'` are the same one, and so are `true` and `'true'`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
