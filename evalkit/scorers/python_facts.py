"""What the source of a Python program shows without being run: facts of its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypedDict, TypeGuard

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
_EMPTY_MAKERS = frozenset({"list", "dict", "set", "tuple", "str"})


class Facts(TypedDict):
    """`facts` by name, the names that the program `defines` (functions, classes, methods as `Class.name`, assigned
    globals), those that it `calls` (`open`, `os.system`), the `complexity` of its most complex function."""

    facts: dict[str, bool]
    defines: list[str]
    calls: list[str]
    complexity: int


def facts(source: str) -> Facts:
    """Everything that is known of a source; nothing holds of a text that is no Python. Meant for the helper process: a
    parser may take much memory."""
    try:
        tree = ast.parse(source)
        held = {name: holds(tree) for name, (holds, _) in FACTS.items()}
        return Facts(
            facts=held,
            defines=sorted(_defined(tree.body)),
            calls=sorted({ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}),
            complexity=max((complexity(one) for one in _functions(tree)), default=1),
        )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Facts(facts=dict.fromkeys(FACTS, False), defines=[], calls=[], complexity=1)


def complexity(function: _Function) -> int:
    """McCabe's cyclomatic complexity: one, and one for each place where the way can part.

    Those are `if` (also `elif`, in an expression and in a comprehension), each loop and each `for` of a comprehension,
    each `except`, each `and` or `or`, and each `case` but a last `case _`. A function inside is counted on its own.
    """
    return 1 + sum(_branches(node) for node in _own(function))


def _branches(node: ast.AST) -> int:
    if isinstance(node, ast.If | ast.IfExp | ast.For | ast.AsyncFor | ast.While | ast.ExceptHandler):
        return 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.Match):
        last = node.cases[-1]
        rest = isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None and last.guard is None
        return len(node.cases) - rest
    return 0


def _own(function: _Function) -> Iterator[ast.AST]:
    """What stands in a function and in none inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if not isinstance(node, _Function | ast.ClassDef):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


def missing(fact: str) -> str:
    """What to say where a fact does not hold."""
    return FACTS[fact][1]


def _has_return(tree: ast.Module) -> bool:
    returns = (node for function in _functions(tree) for node in ast.walk(function) if isinstance(node, ast.Return))
    return any(node.value is not None and not _is_none(node.value) for node in returns)


def _fully_annotated(tree: ast.Module) -> bool:
    methods = {id(node) for owner in ast.walk(tree) if isinstance(owner, ast.ClassDef) for node in owner.body}
    found = list(_functions(tree))
    return bool(found) and all(_annotated(function, method=id(function) in methods) for function in found)


def _annotated(function: _Function, *, method: bool) -> bool:
    """Every parameter and the result; `self` and `cls` need none, nor does the result of `__init__`."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    if method and not any(isinstance(mark, ast.Name) and mark.id == "staticmethod" for mark in function.decorator_list):
        positional = positional[1:]
    parameters = [*positional, *given.kwonlyargs, *(one for one in (given.vararg, given.kwarg) if one is not None)]
    result = function.returns is not None or (method and function.name == "__init__")
    return result and all(parameter.annotation is not None for parameter in parameters)


def _has_docstring(tree: ast.Module) -> bool:
    owners = (node for node in ast.walk(tree) if isinstance(node, _Function | ast.ClassDef))
    return any(ast.get_docstring(node) for node in owners)


def _handles_empty(tree: ast.Module) -> bool:
    """Some function asks whether one of its parameters is empty."""
    return any(_asks_if_empty(node, _parameters(function)) for function in _functions(tree) for node in _own(function))


def _asks_if_empty(node: ast.AST, names: set[str]) -> bool:
    """`not x`, `len(x) == 0`, `len(x) < 1`, `x == []`, `x is None` and their opposites; `x` or `len(x)` as a test."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _is_sized(node.operand, names)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        parts = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
        return any(_is_sized(part, names) for part in parts)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        sides = (node.left, node.comparators[0])
        return any(_is_sized(one, names) and _is_empty(other, one) for one, other in (sides, sides[::-1]))
    return False


def _is_sized(node: ast.expr, names: set[str]) -> bool:
    """A parameter, or its length."""
    if _is_length(node):
        node = node.args[0]
    return isinstance(node, ast.Name) and node.id in names


def _is_length(node: ast.expr) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "len" and len(node.args) == 1


def _is_empty(node: ast.expr, compared: ast.expr) -> bool:
    """What something empty is compared with: 0 and 1 for a length, else None and what holds nothing."""
    if _is_length(compared):
        return isinstance(node, ast.Constant) and node.value in (0, 1)
    if isinstance(node, ast.Constant):
        return node.value is None or node.value in ("", b"")
    if isinstance(node, ast.List | ast.Tuple):
        return not node.elts
    if isinstance(node, ast.Dict):
        return not node.keys
    return isinstance(node, ast.Call) and not node.args and ast.unparse(node.func) in _EMPTY_MAKERS


def _parameters(function: _Function) -> set[str]:
    given = function.args
    rest = [one for one in (given.vararg, given.kwarg) if one is not None]
    return {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs, *rest)}


def _no_bare_except(tree: ast.Module) -> bool:
    return not any(isinstance(node, ast.ExceptHandler) and node.type is None for node in ast.walk(tree))


def _no_print(tree: ast.Module) -> bool:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return not any(isinstance(called, ast.Name) and called.id == "print" for called in calls)


def _defined(body: Sequence[ast.stmt]) -> set[str]:
    found: set[str] = set()
    for node in body:
        if isinstance(node, _Function):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {node.name, *(f"{node.name}.{name}" for name in _defined(node.body))}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def _functions(tree: ast.Module) -> Iterator[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, _Function))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


FACTS: dict[str, tuple[Callable[[ast.Module], bool], str]] = {
    "parses": (lambda tree: True, "the program does not parse"),
    "has_return": (_has_return, "no function returns a value"),
    "fully_annotated": (_fully_annotated, "not every parameter and result is annotated"),
    "has_docstring": (_has_docstring, "no function or class has a docstring"),
    "handles_empty": (_handles_empty, "no function asks whether a parameter is empty"),
    "no_bare_except": (_no_bare_except, "an `except:` catches everything"),
    "no_print": (_no_print, "it prints"),
}
"""Each fact with what is said where it does not hold."""
