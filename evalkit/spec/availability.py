"""What the schema knows already and this version cannot do yet: a diagnostic at its place, never a pretence."""

from __future__ import annotations

from collections.abc import Iterator

from evalkit import __version__, assets
from evalkit.core import registry
from evalkit.spec import engines
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, Path

_VERBS = ("distil", "train")
_STEP_KEYS = ("when", "require")
_EXPECTING = ("bench", "compare", "judge")
_TEMPLATE = ".md.j2"


def check(root: Node, diagnostics: Diagnostics) -> None:
    """Say what in a document of right shape has to wait for a later version."""
    for path, model in _models(root):
        _check_engine(model, path, diagnostics)
    _check_template(root.get("report"), diagnostics)
    for name, step in _entries(root, "steps"):
        _check_step(step, ("steps", name), diagnostics)


def _check_step(step: Node, path: Path, diagnostics: Diagnostics) -> None:
    verb = next((verb for verb in _VERBS if verb in step.map), None)
    if verb is not None:  # what else such a step holds will come with it
        _refuse(step, path, verb, f"a `{verb}` step", diagnostics)
        return
    for key in _STEP_KEYS:
        _refuse(step, path, key, f"`{key}` on a step", diagnostics)
    if not any(verb in step.map for verb in _EXPECTING):
        _refuse(step, path, "expect", "`expect` on such a step", diagnostics)


def _check_template(report: Node | None, diagnostics: Diagnostics) -> None:
    template = report.get("template") if report is not None else None
    shipped = (assets.folder("reports") / "templates").glob(f"*{_TEMPLATE}")
    known = {"run", *(path.name.removesuffix(_TEMPLATE) for path in shipped if path.name[0] != "_")}
    if template is not None and template.content not in known:
        message = f"unknown report template '{template.content}'"
        diagnostics.unknown(template, ("report", "template"), message, known)


def _check_engine(model: Node, path: Path, diagnostics: Diagnostics) -> None:
    engine = engines.kind_of(model)
    if engine is not None and engine.content not in registry.names("engines"):
        diagnostics.error(engine.place, (*path, "engine"), _later(f"the engine `{engine.content}`"))


def _refuse(node: Node, path: Path, key: str, what: str, diagnostics: Diagnostics) -> None:
    if key in node.map:
        diagnostics.error(node.map[key].place, (*path, key), _later(what), at_key=True)


def _later(what: str) -> str:
    return f"{what} is not yet available in evalkit {'.'.join(__version__.split('.')[:2])}"


def _models(root: Node) -> Iterator[tuple[Path, Node]]:
    if "model" in root.map:
        yield ("model",), root.map["model"]
    for name, model in _entries(root, "models"):
        yield ("models", name), model


def _entries(root: Node, section: str) -> list[tuple[str, Node]]:
    node = root.get(section)
    return list(node.map.items()) if node is not None else []
