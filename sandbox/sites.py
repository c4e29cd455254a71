"""Rewriting tests so that every assert statement is judged on its own and says what it saw."""

from __future__ import annotations

import ast
import functools
import reprlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

SITE = "__site__"
LEFT = "__left__"
RIGHT = "__right__"
REACH = "__reach__"
HELD = "__held__"
VOID = "__void__"
_LABEL = 200


class Site:
    """One assert statement of the source. `required`: nothing but its own failure may keep it from being reached."""

    def __init__(self, label: str, required: bool) -> None:
        self.label = label
        self.required = required


@functools.lru_cache(maxsize=32)  # a task's answers come one after the other, and its tests can be long
def rewrite_asserts(source: str, filename: str) -> tuple[CodeType, list[Site]]:
    """Compile `source` with every assert inside `with __site__(k):`. Returns (code, sites)."""
    tree = ast.parse(source, filename)
    rewriter = _Siter(source.splitlines())
    return compile(rewriter.visit(tree), filename, "exec", dont_inherit=True), rewriter.sites


@functools.lru_cache(maxsize=128)
def rewrite_test(source: str, filename: str) -> tuple[CodeType, set[int]]:
    """Compile one test of the `asserts` style; a failing comparison can tell both of its sides.

    Returns (code, numbers of the asserts that must be reached): a loop over an empty answer tests nothing.
    """
    watcher = _Watcher()
    tree = watcher.visit(ast.parse(source, filename))
    return compile(tree, filename, "exec", dont_inherit=True), watcher.required


def bound_names(source: str) -> list[str]:
    """The names that the top level of `source` binds."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return sorted(found)


def only_called(tests: list[str], name: str | None) -> str | None:
    """`name`, unless the tests use what it makes as objects: attributes of its calls, or of names bound to them."""
    if not name or not name[:1].isupper():
        return name
    try:
        nodes = [node for test in tests for node in ast.walk(ast.parse(test))]
    except (SyntaxError, ValueError):  # told where the tests are compiled
        return name
    made = {
        target.id
        for node in nodes
        if isinstance(node, ast.Assign) and _calls(node.value, name)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in nodes:
        if isinstance(node, ast.Attribute):
            owner = node.value
            if _calls(owner, name) or (isinstance(owner, ast.Name) and owner.id in {name, *made}):
                return None
    return name


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


class _Rewriter(ast.NodeTransformer):
    """Visits asserts in source order. A branch, a handler or an inner function may honestly stay unreached."""

    def __init__(self) -> None:
        self._optional = 0
        self._functions = 0

    def _visit_optional(self, node: ast.AST) -> ast.AST:
        self._optional += 1
        try:
            return self.generic_visit(node)
        finally:
            self._optional -= 1

    visit_If = visit_Try = visit_ClassDef = visit_TryStar = visit_Match = _visit_optional

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if node.name == "check" and not self._functions:
            self._functions += 1
            try:
                return self.generic_visit(node)
            finally:
                self._functions -= 1
        return self._visit_optional(node)

    visit_AsyncFunctionDef = visit_FunctionDef


class _Watcher(_Rewriter):
    """`assert a == b` → `assert __reach__(k) and __left__(a) == __right__(b) and __held__(k)`."""

    def __init__(self) -> None:
        super().__init__()
        self.required: set[int] = set()
        self._count = 0

    def visit_Assert(self, node: ast.Assert) -> ast.Assert:
        if not self._optional:
            self.required.add(self._count)
        reach, held = (_call(name, ast.copy_location(ast.Constant(self._count), node.test)) for name in (REACH, HELD))
        node.test = ast.copy_location(ast.BoolOp(ast.And(), [reach, _watched(node.test), held]), node.test)
        self._count += 1
        return node


class _Siter(_Rewriter):
    """Puts every assert inside `with __site__(k):`."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines
        self.sites: list[Site] = []

    def visit_Assert(self, node: ast.Assert) -> ast.With:
        label = " ".join(line.strip() for line in self._lines[node.lineno - 1 : node.end_lineno])
        self.sites.append(Site(label[:_LABEL], self._optional == 0))
        call = _call(SITE, ast.copy_location(ast.Constant(len(self.sites) - 1), node.test))
        node.test = _watched(node.test)
        return ast.copy_location(ast.With([ast.withitem(call, None)], [node]), node)


def _watched(test: ast.expr) -> ast.expr:
    """`a == b` → `__left__(a) == __right__(b)`."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        test.left = _call(LEFT, test.left)
        test.comparators = [_call(RIGHT, test.comparators[0])]
    return test


def _call(name: str, argument: ast.expr) -> ast.Call:
    """Located here and now: `ast.fix_missing_locations` walks the whole tree, and took a fifth of a judge's time."""
    function = ast.copy_location(ast.Name(name, ast.Load()), argument)
    return ast.copy_location(ast.Call(function, [argument], []), argument)


class _Short(reprlib.Repr):
    """`repr` that is short, quick for huge values, and asks nothing of the program."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = self.maxdeque = 12
        self.maxstring = self.maxother = 160

    def repr_int(self, value: int, level: int) -> str:
        return int.__repr__(value) if value.bit_length() < 400 else f"<int of {value.bit_length()} bits>"

    def repr_Remote(self, value: Any, level: int) -> str:
        return f"<{object.__getattribute__(value, '_evalkit_name')} object>"

    repr_RemoteValue = repr_Remote


short = _Short().repr
