"""Routes in long form: a model that is made of others, by rules or by escalation.

by_level: {route: {rules: [{when: {difficulty: easy}, model: cheap}, {model: strong}]}}
unsure:   {route: {first: cheap, then: strong, when: {agreement: {below: 0.6}}, then_policy: greedy}}
"""

from __future__ import annotations

from evalkit.core.routing import as_text
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.expand_policies import Policies
from evalkit.spec.nodes import Node, Path

_ESCALATION = ("first", "then", "when")
_OPTIONAL = ("then_policy",)
_BESIDE = ("route", "meta")


def long_route(model: Node, path: Path, policies: Policies, diagnostics: Diagnostics) -> Node:
    """The model with every value of a rule in a list, as text. What is wrong with it goes to the diagnostics."""
    for key, node in model.map.items():
        if key not in _BESIDE:
            message = f"`{key}` says nothing of a route: it is made of other models"
            hint = "give it to the models of the route"
            diagnostics.error(node.place, (*path, key), message, hint=hint, at_key=True)
    route, at = model.map["route"], (*path, "route")
    _check(route, at, diagnostics)
    entries = dict(route.map)
    if "then_policy" in entries:
        policies.check_known(entries["then_policy"], (*at, "then_policy"))
    if "rules" in entries:
        entries["rules"] = Node([_long_rule(rule) for rule in entries["rules"].items], entries["rules"].place)
    kept = {key: node for key, node in model.map.items() if key == "meta"}
    return Node({"route": Node(entries, route.place), **kept}, model.place)


def _check(route: Node, at: Path, diagnostics: Diagnostics) -> None:
    given = [key for key in (*_ESCALATION, *_OPTIONAL) if key in route.map]
    missing = [key for key in _ESCALATION if key not in route.map]
    rules, first, then = route.get("rules"), route.get("first"), route.get("then")
    if rules is not None and given:
        message = f"`rules` and `{given[0]}` are two ways to choose a model"
        place = route.map[given[0]].place
        diagnostics.error(place, (*at, given[0]), message, hint="keep one of the two", at_key=True)
    elif rules is not None:
        _check_rules(rules, (*at, "rules"), diagnostics)
    elif missing:
        message = "a route needs `rules`, or `first`, `then` and `when`"
        hint = (
            f"add {' and '.join(f'`{key}`' for key in missing)}"
            if given
            else "rules: [{when: {...}, model: NAME}, {model: NAME}]"
        )
        diagnostics.error(route.place, at, message, hint=hint, at_key=True)
    elif first is not None and then is not None and first.content == then.content:
        message = f"'{then.content}' is asked first already"
        diagnostics.error(then.place, (*at, "then"), message, hint="name another model")


def _check_rules(rules: Node, at: Path, diagnostics: Diagnostics) -> None:
    for index, rule in enumerate(rules.items[:-1]):
        if "when" not in rule.map:
            after = rules.items[index + 1]
            message = "nothing gets to this rule: the one before has no `when` and fits every sample"
            diagnostics.error(after.place, (*at, index + 1), message, hint="give the other one a `when`, or move it")
            return


def _long_rule(rule: Node) -> Node:
    when = rule.get("when")
    if when is None:
        return rule
    fields = {name: _listed(node) for name, node in when.map.items()}
    return Node({**rule.map, "when": Node(fields, when.place)}, rule.place)


def _listed(node: Node) -> Node:
    items = node.items if node.is_list else [node]
    return Node([Node(as_text(item.content), item.place) for item in items], node.place)
