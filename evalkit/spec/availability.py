"""What the schema knows already and this version cannot do yet: a diagnostic at its place, never a pretence."""

from __future__ import annotations

from collections.abc import Iterator

from evalkit import __version__, assets
from evalkit.core import registry
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.expand_policies import is_inline
from evalkit.spec.nodes import Node, Path, walk

_VERBS = ("judge", "distil", "train", "compare")
_DIAGNOSES = ("ties",)
_SECTIONS = ("judges", "budget")
_STEP_KEYS = ("when", "expect", "require")
_MODEL_KEYS = ("route",)
_TEMPLATE = ".md.j2"


def check(root: Node, diagnostics: Diagnostics) -> None:
    """Say what in a document of right shape has to wait for a later version."""
    for section in _SECTIONS:
        _refuse(root, (), section, f"`{section}`", diagnostics)
    for path, policy in _policies(root):
        select = policy.get("select")
        if select is not None and select.is_map:
            _refuse(select, (*path, "select"), "judge", "`judge` in `select`", diagnostics)
    for path, model in _models(root):
        for key in _MODEL_KEYS:
            _refuse(model, path, key, "a model made of others (`route`)", diagnostics)
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
    kind = step.get("diagnose")
    if kind is not None and kind.content in _DIAGNOSES:
        diagnostics.error(kind.place, (*path, "diagnose"), _later(f"the diagnosis `{kind.content}`"))


def _check_template(report: Node | None, diagnostics: Diagnostics) -> None:
    template = report.get("template") if report is not None else None
    shipped = (assets.folder("reports") / "templates").glob(f"*{_TEMPLATE}")
    known = {"run", *(path.name.removesuffix(_TEMPLATE) for path in shipped if path.name[0] != "_")}
    if template is not None and template.content not in known:
        message = f"unknown report template '{template.content}'"
        diagnostics.unknown(template, ("report", "template"), message, known)


def _check_engine(model: Node, path: Path, diagnostics: Diagnostics) -> None:
    engine = model.get("engine")
    if engine is not None and engine.content not in registry.names("engines"):
        diagnostics.error(engine.place, (*path, "engine"), _later(f"the engine `{engine.content}`"))


def _refuse(node: Node, path: Path, key: str, what: str, diagnostics: Diagnostics) -> None:
    if key in node.map:
        diagnostics.error(node.map[key].place, (*path, key), _later(what), at_key=True)


def _later(what: str) -> str:
    return f"{what} is not yet available in evalkit {'.'.join(__version__.split('.')[:2])}"


def _policies(root: Node) -> Iterator[tuple[Path, Node]]:
    if "policy" in root.map:
        yield ("policy",), root.map["policy"]
    for name, policy in _entries(root, "policies"):
        yield ("policies", name), policy
    for name, step in _entries(root, "steps"):
        own = step.get("policy") if "bench" in step.map else None
        if own is not None and is_inline(own):
            yield ("steps", name, "policy"), own
    for section in ("suite", "suites"):
        for path, use in walk(root.get(section) or Node({})):
            if "task" in use.map and "policy" in use.map:
                yield (section, *path, "policy"), use.map["policy"]


def _models(root: Node) -> Iterator[tuple[Path, Node]]:
    if "model" in root.map:
        yield ("model",), root.map["model"]
    for name, model in _entries(root, "models"):
        yield ("models", name), model


def _entries(root: Node, section: str) -> list[tuple[str, Node]]:
    node = root.get(section)
    return list(node.map.items()) if node is not None else []
