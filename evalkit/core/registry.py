"""Plug-ins by name. Our own adapters are registered the same way as anybody's: through entry points."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from evalkit.core.errors import PrerequisiteError, SpecError

Group = Literal["engines", "scorers", "sandboxes", "trainers", "exporters", "selectors"]
_SINGULAR = {
    "engines": "engine",
    "scorers": "scorer",
    "sandboxes": "sandbox",
    "trainers": "trainer",
    "exporters": "exporter",
    "selectors": "selector",
}


@cache
def _points(group: Group) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"evalkit.{group}")}


def names(group: Group) -> list[str]:
    """Everything registered in a group, sorted."""
    return sorted(_points(group))


def load(group: Group, name: str) -> Any:
    """The registered object. Raises SpecError for an unknown name, PrerequisiteError when it cannot be imported."""
    return load_from(group, name, place(group, name))


def load_from(group: Group, name: str, place: str) -> Any:
    """The object at `place` (`module:object`), which is registered under `name`, maybe in another environment only."""
    try:
        return EntryPoint(name, place, f"evalkit.{group}").load()
    except ImportError as error:
        raise PrerequisiteError(
            f"the {name} plug-in ({place}) cannot be imported: {error}",
            hint=f"install what it needs: pip install 'evalkit-spec[{name}]'",
        ) from error


def place(group: Group, name: str) -> str:
    """Where a registered object is: `module:object`. Raises SpecError for an unknown name."""
    point = _points(group).get(name)
    if point is None:
        near = get_close_matches(name, names(group), 1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names(group))}"
        raise SpecError(f"no {_SINGULAR[group]} is called '{name}'", hint=hint)
    return point.value
