"""What a route names in a long form: models, a rubric. And the diagnosis that explains one."""

from __future__ import annotations

from collections.abc import Collection

from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, Path

_ALONE = ("first", "then")
_OF_ONE_MODEL = ("diversity", "rubric", "consistency", "determinism")
"""Diagnoses that set the answers to an item beside each other: they must be of one model."""


def parts(model: Node) -> list[tuple[Path, Node]]:
    """The models that a route is made of, each with its path below the model; none of a model that is no route."""
    route = model.get("route") or Node({})
    rules = route.get("rules") or Node([])
    found: list[tuple[Path, Node]] = [(("route", key), route.map[key]) for key in _ALONE if key in route.map]
    return found + [(("route", "rules", index, "model"), rule.map["model"]) for index, rule in enumerate(rules.items)]


def part_names(models: Node, name: str) -> set[str]:
    """The models that answer where `name` is asked: itself, or those of a route."""
    model = models.get(name)
    return {node.content for _, node in parts(model)} or {name} if model is not None else {name}


def own_policies(model: Node) -> dict[str, str]:
    """The policies that a route itself has for its models, by the model."""
    route = model.get("route") or Node({})
    then, policy = route.text("then"), route.text("then_policy")
    return {then: policy} if then is not None and policy is not None else {}


def rubric(model: Node) -> Node | None:
    """The name of the rubric that a route reads, where it reads one."""
    node: Node | None = model
    for key in ("route", "when", "rubric", "name"):
        node = node.get(key) if node is not None else None
    return node


def check(long: Node, models: Collection[str], diagnostics: Diagnostics) -> None:
    """Say which parts of a route are no model, and which diagnoses of routes are of something else."""
    defined = long.map["models"].map
    rubrics = long.get("rubrics")
    for name, model in defined.items():
        at: Path = ("models", name)
        for path, node in parts(model):
            if node.content not in models:
                known = {other for other in models if other not in defined or "route" not in defined[other].map}
                diagnostics.unknown(node, (*at, *path), f"unknown model '{node.content}'", known)
            elif node.content in defined and "route" in defined[node.content].map:
                message = f"'{node.content}' is a route itself: a route is made of models"
                hint = "name the models, or write it as one route"
                diagnostics.error(node.place, (*at, *path), message, hint=hint)
        named = rubric(model)
        if named is not None and (rubrics is None or named.content not in rubrics.map):
            path = (*at, "route", "when", "rubric", "name")
            known = set(rubrics.map) if rubrics is not None else set()
            diagnostics.unknown(named, path, f"unknown rubric '{named.content}'", known)
    for name, step in long.map["steps"].map.items():
        if "diagnose" in step.map:
            _check_diagnosis(step, ("steps", name), long, diagnostics)


def _check_diagnosis(step: Node, at: Path, long: Node, diagnostics: Diagnostics) -> None:
    if step.map["diagnose"].content != "route":
        _check_of_one_model(step, at, long, diagnostics)
        return
    of = step.get("of")
    model = _asked(of, long) if of is not None else None
    if of is None or model is None:
        return
    if "route" not in model.map:
        message = f"'{of.content}' asks one model: there is no route to explain"
        diagnostics.error(of.place, (*at, "of"), message, hint="name a `bench` step whose model is a route")
        return
    own = sorted({node.content for _, node in parts(model)})
    for key in _ALONE:
        alone = step.get(key)
        asked = (long.map["steps"].get(alone.content) or Node({})).text("model") if alone is not None else None
        if alone is not None and asked is not None and asked not in own:
            message = f"'{alone.content}' asks '{asked}', and the route is made of {' and '.join(own)}"
            hint = "name a `bench` step with one of these models alone"
            diagnostics.error(alone.place, (*at, key), message, hint=hint)


def _asked(step: Node, long: Node) -> Node | None:
    """The model that the `bench` step of this name asks."""
    bench = long.map["steps"].get(step.content) or Node({})
    return long.map["models"].get(bench.text("model") or "")


def _check_of_one_model(step: Node, at: Path, long: Node, diagnostics: Diagnostics) -> None:
    """The answers to an item that an escalation sends on are of two models."""
    of, kind = step.get("of"), step.map["diagnose"].content
    model = _asked(of, long) if of is not None else None
    if (
        of is not None
        and model is not None
        and "first" in (model.get("route") or Node({})).map
        and kind in _OF_ONE_MODEL
    ):
        message = f"'{of.content}' has answers of two models to one item: the diagnosis `{kind}` is of one model"
        diagnostics.error(of.place, (*at, "of"), message, hint="name a `bench` step with one model alone")
