"""What the source of a Python program shows without being run: facts of its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TypeAlias

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


def facts(source: str) -> dict[str, bool]:
    """Each fact by its name; all are false of a text that is no Python. Meant for the helper process: a parser may take
    much memory."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return dict.fromkeys(FACTS, False)
    return {name: holds(tree) for name, (holds, _) in FACTS.items()}


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


def _functions(tree: ast.Module) -> Iterator[_Function]:
    return (node for node in ast.walk(tree) if isinstance(node, _Function))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


FACTS: dict[str, tuple[Callable[[ast.Module], bool], str]] = {
    "parses": (lambda tree: True, "the program does not parse"),
    "has_return": (_has_return, "no function returns a value"),
    "fully_annotated": (_fully_annotated, "not every parameter and result is annotated"),
    "has_docstring": (_has_docstring, "no function or class has a docstring"),
}
"""Each fact with what is said where it does not hold."""
