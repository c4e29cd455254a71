"""Judge steps in a spec: whether their judges can compare, whether both steps ask the same, and who may judge whom."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from evalkit.core.types import Json
from evalkit.spec import routes
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.expand_judges import DEFAULTS, compares
from evalkit.spec.families import identity, shared_family
from evalkit.spec.nodes import Node, Path

_ASKED = ("task", "split", "sample", "shots")
_SAME_GAMES = ("swap", "retest")


def check(long: Node, picking: Collection[str], diagnostics: Diagnostics) -> None:
    """Say what of the judge steps of a long form cannot be done. `picking` are the judges of selectors and rubrics."""
    judges, comparing = _entries(long, "judges"), compares(long)
    for name, judge in judges.items():
        for key in DEFAULTS if name not in comparing and name in picking else ():
            if key in judge.map:
                message = f"`{key}` is for a judge that compares pairs, and '{name}' looks at one answer at a time"
                diagnostics.error(
                    judge.map[key].place, ("judges", name, key), message, hint="leave it out", at_key=True
                )
    for name, step in long.map["steps"].map.items():
        if "judge" in step.map:
            _check_judges(step, ("steps", name), long, diagnostics)
            for one in step.map["judge"].items:
                if one.content in judges and one.content in picking:
                    message = f"the judge '{one.content}' answers questions about one answer elsewhere"
                    hint = "give the judge that compares pairs a name of its own: its `ask` are criteria"
                    diagnostics.error(one.place, ("steps", name, "judge"), message, hint=hint)
            _check_sides(step, ("steps", name), long, diagnostics)


def _check_judges(step: Node, at: Path, long: Node, diagnostics: Diagnostics) -> None:
    judges = _entries(long, "judges")
    named = step.map["judge"].items
    for index, node in enumerate(named):
        path: Path = (*at, "judge", index)
        if node.content not in judges:
            diagnostics.unknown(node, path, f"unknown judge '{node.content}'", judges)
            continue
        if any(node.content == other.content for other in named[:index]):
            message = f"the judge '{node.content}' is named twice"
            diagnostics.error(node.place, path, message, hint="`retest` asks a judge once more")
        first, this = judges.get(named[0].content), judges[node.content]
        for key in _SAME_GAMES if first is not None and first != this else ():
            if first is not None and _plain(first, key) != _plain(this, key):
                message = f"the judges '{named[0].content}' and '{node.content}' differ in `{key}`"
                hint = "judges of one step play the same games, so that their verdicts can be set side by side"
                diagnostics.error(node.place, path, message, hint=hint)
        _refuse_contestants(node, step, long, diagnostics)


def _plain(judge: Node, key: str) -> Json:
    return judge.map[key].plain() if key in judge.map else None


def _refuse_contestants(named: Node, step: Node, long: Node, diagnostics: Diagnostics) -> None:
    """A judge whose model is one of the contestants judges its own answers."""
    judge = _entries(long, "judges")[named.content]
    models = long.map["models"].map
    for contestant in sorted(_contestants(step, long)):
        own = judge.text("model")
        if own == contestant or (own in models and contestant in models and _is_same(models[own], models[contestant])):
            called = "" if own == contestant else f" under the name '{own}'"
            message = f"the judge is a contestant: '{contestant}' would judge its own answers{called}"
            path: Path = ("judges", named.content, "model")
            diagnostics.error(judge.map["model"].place, path, message, hint="let another model judge")
            return


def _is_same(one: Node, other: Node) -> bool:
    mine = identity(one.plain())
    return bool(mine) and mine == identity(other.plain())


def _contestants(step: Node, long: Node) -> set[str]:
    """The models that answered in the two steps, those of a route each."""
    return {
        name
        for bench in _benches(step, long)
        for name in routes.part_names(long.map["models"], bench.text("model") or "")
    }


def _benches(step: Node, long: Node) -> Iterator[Node]:
    steps = long.map["steps"].map
    of = step.get("of")
    for node in of.items if of is not None else ():
        if node.content in steps and "bench" in steps[node.content].map:
            yield steps[node.content]


def _check_sides(step: Node, at: Path, long: Node, diagnostics: Diagnostics) -> None:
    of, benches = step.get("of"), list(_benches(step, long))
    if of is None or len(benches) != 2:
        return  # said where names are checked
    first, second = of.items
    if first.content == second.content:
        message = f"'{second.content}' is compared with itself"
        diagnostics.error(second.place, (*at, "of", 1), message, hint="name another step")
    elif _asked(benches[0], long) != _asked(benches[1], long):
        message = f"'{second.content}' does not ask what '{first.content}' asks"
        hint = "pairs are answers to the same items: the same tasks, splits and samples"
        diagnostics.error(second.place, (*at, "of", 1), message, hint=hint)


def _asked(bench: Node, long: Node) -> Json:
    """The items of a step, whoever is asked and however."""
    suite = _entries(long, "suites").get(bench.text("bench") or "")
    uses = suite.map.items() if suite is not None else ()
    return {name: {key: use.map[key].plain() for key in _ASKED if key in use.map} for name, use in uses}


def lint(long: Node, diagnostics: Diagnostics) -> None:
    """Warn about judges that are no outsiders, and about a single order."""
    judges, models = _entries(long, "judges"), long.map["models"].map
    told: set[tuple[str, str]] = set()
    for step in long.map["steps"].map.values():
        for named in step.map["judge"].items if "judge" in step.map else ():
            judge = judges.get(named.content)
            own = models.get(judge.text("model") or "") if judge is not None else None
            if judge is None or own is None:
                continue
            for contestant in sorted(_contestants(step, long)):
                family = _family(own, models.get(contestant))
                if family and (named.content, contestant) not in told:
                    told.add((named.content, contestant))
                    message = f"the judge is of the family of '{contestant}' ({family}): it may like its own kind"
                    diagnostics.warn("W015", judge.map["model"].place, ("judges", named.content, "model"), message)
    for name in sorted(compares(long)):
        swap = judges[name].get("swap") if name in judges else None
        if swap is not None and swap.content is False:
            message = (
                "in one order only, a judge that likes what stands first cannot be told from one that is convinced"
            )
            diagnostics.warn("W016", swap.place, ("judges", name, "swap"), message)


def _family(judge: Node, contestant: Node | None) -> str | None:
    if contestant is None or _is_same(judge, contestant):  # which is refused
        return None
    return shared_family(judge.plain(), contestant.plain())


def _entries(long: Node, section: str) -> dict[str, Node]:
    node = long.get(section)
    return node.map if node is not None else {}
