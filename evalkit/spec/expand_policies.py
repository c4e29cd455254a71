"""Policies in long form: every sampling parameter written out."""

from __future__ import annotations

from evalkit.core.types import Json
from evalkit.spec import formats
from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, Path, Place, default, derived

BUILT_IN = "greedy"
_SHORT = "policy"
_DEFAULTS: dict[str, Json] = {
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "stop": [],
    "samples": 1,
}
_SAMPLING = frozenset({*_DEFAULTS, "greedy", "max_tokens", "best_of", "sweep", "format"})
"""A step's `policy` with one of these keys is a policy, not a map of categories; the schema lists them too."""
_PICKERS = ("by", "rubric", "judge")
_WHOLE = frozenset({"top_k", "max_tokens", "seed", "samples", "best_of"})


class Policies:
    """The policies of one spec: those it defines, the built-in one, and the one of the short form."""

    def __init__(self, root: Node, seed: Node, diagnostics: Diagnostics) -> None:
        self._seed = seed
        self._diagnostics = diagnostics
        defined = root.get("policies")
        self._place: Place | None = defined.place if defined else None
        self._known = {
            name: self._long(node, ("policies", name)) for name, node in (defined.map if defined else {}).items()
        }
        self._refuse_other_greedy(defined)
        self._default = self._short(root.get("policy"))

    def node(self) -> Node:
        """All policies, the built-in one included where it is used."""
        return Node(self._known, self._place)

    def named(self, given: Node, path: Path) -> Node:
        """A policy by its name. A map written in its place is defined as `policy.` and the names on its path."""
        if not given.is_map:
            return given
        around = path[:-1] if path[0] == "suite" else path[1:-1]
        name = ".".join((_SHORT, *map(str, around)))
        if name in self._known:
            message = f"a policy written here is called '{name}', and so is one of `policies`"
            self._diagnostics.error(given.place, path, message, hint="rename the other one", at_key=True)
        self._known[name] = self._long(given, path)
        return derived(name, given.place)

    def of_step(self, given: Node | None, suite: Node | None, path: Path) -> Node:
        """The policy of each category: what the step says, else what the suite says, else the step's `default`."""
        if given is not None and is_inline(given):
            given = self.named(given, path)
        chosen = dict(given.map) if given is not None and given.is_map else {"default": given or self._default}
        chosen.setdefault("default", self._default)
        for category, use in (suite.map if suite else {}).items():
            own = use.get("policy")
            if own is not None:
                chosen.setdefault(category, own)
        for category, node in chosen.items():
            self.check_known(node, (*path, category) if given is not None and given.is_map else path)
        return Node(chosen, given.place if given else None)

    def check_known(self, node: Node, path: Path) -> None:
        """Say where no policy has this name; the built-in one is made when it is first named."""
        if node.content == BUILT_IN:
            self._known.setdefault(BUILT_IN, self._long(derived({}, None), ("policies", BUILT_IN)))
        elif node.content not in self._known:
            known = {*self._known, BUILT_IN}
            self._diagnostics.unknown(node, path, f"unknown policy '{node.content}'", known)

    def _short(self, node: Node | None) -> Node:
        if node is None:
            return default(BUILT_IN)
        if not node.is_map:
            return node
        if _SHORT in self._known:
            message = f"`policy` defines '{_SHORT}', and so does `policies`"
            self._diagnostics.error(node.place, (_SHORT,), message, hint="rename the other one", at_key=True)
        self._known[_SHORT] = self._long(node, ("policy",))
        return derived(_SHORT, node.place)

    def _long(self, node: Node, path: Path) -> Node:
        given = node.map
        self._check_greedy(node, path)
        if "format" in given:
            formats.check(given["format"], (*path, "format"), self._diagnostics)
        entries = {key: _normal(key, child) for key, child in given.items() if key != "greedy"}
        entries.setdefault("seed", self._seed)
        for key, value in _DEFAULTS.items():
            entries.setdefault(key, default(value))
        if "select" in entries:
            entries["select"] = self._long_select(entries["select"], (*path, "select"))
        self._check_best_of(Node(entries, node.place), path)
        return Node(entries, node.place)

    def _long_select(self, node: Node, path: Path) -> Node:
        """`by`, what it needs, and `on_tie`. A rubric or a judge is a selector of its own."""
        entries = dict(node.map) if node.is_map else {"by": node}
        given = [key for key in _PICKERS if key in entries]
        if given == ["rubric"] or given == ["judge"]:
            entries["by"] = derived(given[0], entries[given[0]].place)
        elif len(given) == 2 and given[0] == "by" and entries["by"].content == given[1]:
            pass  # the long form itself
        elif given != ["by"] or entries["by"].content in _PICKERS:
            message = "`select` names one of `by`, `rubric`, `judge`"
            self._diagnostics.error(node.place, path, message, hint="for example select: majority", at_key=True)
            entries.setdefault("by", default("first"))
        entries.setdefault("on_tie", default("random" if entries["by"].content == "random" else "first"))
        return Node({key: entries[key] for key in ("by", "rubric", "judge", "on_tie") if key in entries}, node.place)

    def _check_best_of(self, policy: Node, path: Path) -> None:
        """One is picked of several that can differ, and something picks it."""
        best_of, select, samples = policy.get("best_of"), policy.get("select"), policy.map["samples"]
        if best_of is None:
            if select is not None:
                message = "`select` picks one of several candidates, and there is no `best_of`"
                self._diagnostics.error(select.place, (*path, "select"), message, hint="add best_of: 3", at_key=True)
            return
        if select is None:
            message = "`best_of` needs `select`: what picks the one that counts?"
            hint = "select: majority, logprob, first, {rubric: NAME}, ..."
            self._diagnostics.error(best_of.place, (*path, "best_of"), message, hint=hint, at_key=True)
        if samples.content > 1:
            message = "`samples` counts every answer and `best_of` one of them"
            self._diagnostics.error(samples.place, (*path, "samples"), message, hint="keep one of the two", at_key=True)
        if policy.map["temperature"].content == 0:
            message = "all candidates are the same at temperature 0: no choice among them can change anything"
            hint = "set a temperature, for example 0.8"
            self._diagnostics.error(best_of.place, (*path, "best_of"), message, hint=hint, at_key=True)

    def _check_greedy(self, node: Node, path: Path) -> None:
        greedy, temperature = node.get("greedy"), node.get("temperature")
        if greedy is None or temperature is None:
            return
        if greedy.content is True and temperature.content != 0:
            message = "`greedy: true` means temperature 0"
            self._diagnostics.error(temperature.place, (*path, "temperature"), message, hint="keep one of the two")
        if greedy.content is False and temperature.content == 0:
            message = "temperature 0 is greedy"
            self._diagnostics.error(
                greedy.place, (*path, "greedy"), message, hint="remove it, or raise the temperature"
            )

    def _refuse_other_greedy(self, defined: Node | None) -> None:
        node = defined.get(BUILT_IN) if defined else None
        if node is not None and self._known[BUILT_IN].map["temperature"].content != 0:
            message = f"`{BUILT_IN}` is built in and means temperature 0"
            self._diagnostics.error(node.place, ("policies", BUILT_IN), message, hint="use another name", at_key=True)


def is_inline(node: Node) -> bool:
    """Whether a step's `policy` is a policy itself, and no map from category to policy."""
    return not _SAMPLING.isdisjoint(node.map)


def _normal(key: str, node: Node) -> Node:
    """One form for equal values: `0` and `0.0` are the same temperature, a single stop is a list of one."""
    value = node.content
    if key == "stop" and isinstance(value, str):
        return Node([derived(value, node.place)], node.place)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Node(int(value) if key in _WHOLE else float(value), node.place)
    return node
