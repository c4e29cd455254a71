"""Judges in a spec: whether what they name is there, what they ask, and whose answers they judge."""

from __future__ import annotations

from collections.abc import Iterator, Set

import jinja2

from evalkit.core import templates
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.expand_judges import DEFAULTS, compares
from evalkit.spec.nodes import Node, Path

_SHOWN = ("question", "prompt", "answer", "row")
_NEEDED = ("question", "answer")
_SHOWN_OF_PAIRS = ("prompt", "first", "second", "criteria", "reference", "row")
_NEEDED_OF_PAIRS = ("first", "second")


def check(long: Node, models: Set[str], diagnostics: Diagnostics) -> None:
    """Say what of the judges of a long form cannot be asked."""
    judges = _entries(long, "judges")
    for name, judge in judges.items():
        path: Path = ("judges", name)
        model = judge.map["model"]
        if model.content not in models:
            diagnostics.unknown(model, (*path, "model"), f"unknown model '{model.content}'", models)
        elif "route" in (long.map["models"].get(model.content) or Node({})).map:
            message = f"'{model.content}' is a route, and a judge is one model"
            diagnostics.error(model.place, (*path, "model"), message, hint="name one of its models")
        _check_policy(judge.map["policy"], path, long, diagnostics)
        if "prompt" in judge.map:
            pairs = name in compares(long) or (name not in named(long) and not DEFAULTS.keys().isdisjoint(judge.map))
            _check_prompt(judge.map["prompt"], (*path, "prompt"), pairs, diagnostics)
    for name, policy in long.map["policies"].map.items():
        select = policy.get("select")
        if select is not None:
            _check_rubric(select, ("policies", name, "select", "rubric"), long, diagnostics)
        named_judge = select.get("judge") if select is not None else None
        judge_node = judges.get(named_judge.content) if named_judge is not None else None
        if named_judge is not None and judge_node is not None and "ask" not in judge_node.map:
            message = f"the judge '{named_judge.content}' has no questions of its own to pick by"
            hint = 'add ask: ["Is the answer correct?"] to it'
            diagnostics.error(named_judge.place, ("policies", name, "select", "judge"), message, hint=hint)


def _check_rubric(select: Node, path: Path, long: Node, diagnostics: Diagnostics) -> None:
    """A rubric that asks names whom, where candidates are picked by it."""
    reference = select.get("rubric")
    rubric = _entries(long, "rubrics").get(select.text("rubric") or "")
    if reference is None or rubric is None or not any(_asks(one) for one in rubric.map["criteria"].items):
        return
    judges = _entries(long, "judges")
    judge = rubric.text("judge")
    if judge is None:
        message = f"the rubric '{reference.content}' asks a judge, and does not say which"
        diagnostics.error(reference.place, path, message, hint="add judge: NAME to it, and NAME to `judges`")
    elif judge not in judges:
        at: Path = ("rubrics", reference.content, "judge")
        diagnostics.unknown(rubric.map["judge"], at, f"unknown judge '{judge}'", judges)


def _asks(criterion: Node) -> bool:
    check = criterion.get("check")
    return check is not None and "ask" in check.map


def _check_policy(named_policy: Node, path: Path, long: Node, diagnostics: Diagnostics) -> None:
    """A judge is asked each question once."""
    policy = long.map["policies"].get(named_policy.content)
    if policy is None:
        return  # said where policies are made
    if policy.map["samples"].content > 1 or "best_of" in policy.map:
        message = f"the policy '{named_policy.content}' asks several times, and a judge is asked once"
        diagnostics.error(named_policy.place, (*path, "policy"), message, hint="give it a policy with one answer")


def _check_prompt(prompt: Node, path: Path, pairs: bool, diagnostics: Diagnostics) -> None:
    shown, needed = (_SHOWN_OF_PAIRS, _NEEDED_OF_PAIRS) if pairs else (_SHOWN, _NEEDED)
    try:
        used = templates.variables(prompt.content)
        templates.check_syntax(prompt.content)
    except jinja2.TemplateSyntaxError as error:
        message = f"this is not a valid template (its line {error.lineno}): {error.message}"
        diagnostics.error(prompt.place, path, message, hint=f"the syntax is Jinja2: {{{{ {needed[-1]} }}}}")
        return
    for name in sorted(used - set(shown)):
        message = f"a judge's prompt{' about pairs' if pairs else ''} has no '{name}'"
        diagnostics.error(prompt.place, path, message, hint=f"it has {', '.join(shown)} (row.NAME for a field)")
    for name in needed:
        if name not in used:
            what = f"the {name} answer" if pairs else f"the {name}"
            message = f"the judge would not see {what}: its prompt has no {{{{ {name} }}}}"
            hint = (
                "write {{ first }} and {{ second }} into it"
                if pairs
                else "write {{ question }} and {{ answer }} into it"
            )
            diagnostics.error(prompt.place, path, message, hint=hint)


def lint(long: Node, diagnostics: Diagnostics) -> None:
    """Warn where a model's answers are picked by its own judgement."""
    judges = _entries(long, "judges")
    models = long.map["models"].map
    told: set[tuple[str, str]] = set()
    for step in long.map["steps"].map.values():
        answering = step.text("model") or ""
        for name in _asked_in(step, long) if "bench" in step.map else ():
            judge = judges.get(name)
            model = judge.text("model") if judge is not None else None
            if judge is None or model is None or (name, answering) in told:
                continue
            if model == answering or (answering in models and _same(models.get(model), models[answering])):
                told.add((name, answering))
                message = f"the judge is the model that answers ('{answering}'): it may like its own mistakes"
                diagnostics.warn("W014", judge.map["model"].place, ("judges", name, "model"), message)


def _same(one: Node | None, other: Node) -> bool:
    return one is not None and one.plain() == other.plain()


def _asked_in(step: Node, long: Node) -> Iterator[str]:
    """The judges that pick among the answers of a bench."""
    for chosen in step.map["policy"].map.values():
        policy = long.map["policies"].get(chosen.content)
        select = policy.get("select") if policy is not None else None
        name = _judge_of(select, long) if select is not None else None
        if name is not None:
            yield name


def _judge_of(select: Node, long: Node) -> str | None:
    """The judge of a selector: its own, or that of its rubric."""
    rubric = _entries(long, "rubrics").get(select.text("rubric") or "")
    of_rubric = rubric.text("judge") if rubric is not None and rubric.is_map else None
    return select.text("judge") or of_rubric


def named(long: Node) -> set[str]:
    """Every judge that a selector or a rubric names."""
    selects = [policy.get("select") for policy in long.map["policies"].map.values()]
    found = {select.text("judge") for select in selects if select is not None}
    found |= {rubric.text("judge") for rubric in _entries(long, "rubrics").values() if rubric.is_map}
    return {name for name in found if name is not None}


def _entries(long: Node, section: str) -> dict[str, Node]:
    node = long.get(section)
    return node.map if node is not None else {}
