"""Finding the program as EvalPlus 0.3.1 does (github.com/evalplus/evalplus, `sanitize`), to compare with its figures.

EvalPlus reads definitions with tree-sitter; Python's own parser gives the same on the text that it takes, for that text
parses. Its rules, written anew:

- Of the text, the run of two or more lines that parses and has the most lines that are not blank; the first of equals.
- Of its top level, all imports (but not those from `__future__`), and of classes, functions that hold a `return`, and
  assignments the first of each name. What is decorated is no definition.
- With an entry point, only definitions that it reaches by names. Any mention counts: an attribute, an argument.
- Where nothing is left, the run of lines as it is.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_DETECTED = re.compile(r"detected at line (\d+)")
_LINES = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")
_TAB = 8
_SETTLED = ("invalid character", "invalid decimal literal", "invalid non-printable character")
"""Mistakes of a token, which no later line mends; so is a bare `invalid syntax` in a line before the last."""

_Block = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Definition = _Block | ast.Assign | ast.AnnAssign


def sanitize(text: str, entry_point: str | None) -> str:
    """The program that EvalPlus 0.3.1 would run for an answer; never None, for it takes prose too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of strange escapes in an answer
        return _sanitized(longest_run(text), entry_point)


def _sanitized(run: str, entry_point: str | None) -> str:
    try:
        tree = ast.parse(run)
    except _NO_PROGRAM:
        return run
    source = _Source(run)
    imports = [source.of(node) for node in tree.body if _is_import(node)]
    definitions = _definitions(tree)
    if entry_point:
        reached = _reached(entry_point, {one.name: one.node for one in definitions})
        definitions = [one for one in definitions if one.name in reached]
    return "\n".join([*imports, *(source.of(one.node) for one in definitions)]).strip() or run


_NO_PROGRAM = (SyntaxError, ValueError, RecursionError, MemoryError)


# -- the lines that parse ----------------------------------------------------------------------------------------------


def longest_run(text: str) -> str:
    """The run of at least two lines that parses and has the most lines that are not blank; else the first line."""
    lines = text.split("\n")
    filled = [0]
    for line in lines:
        filled.append(filled[-1] + bool(line.strip()))
    best, chosen = 0, (0, 1)
    for start in range(len(lines)):
        if filled[-1] - filled[start] <= best:
            break
        end = _last_end(lines, filled, start, best)
        if end is not None:
            best = filled[end] - filled[start]
            chosen = start, _first_end(lines, filled, start, end)
    return "\n".join(lines[slice(*chosen)])


def _last_end(lines: list[str], filled: list[int], start: int, best: int) -> int | None:
    """The end of the longest run from `start` that parses and has more than `best` filled lines."""
    end = len(lines)
    while end > start + 1 and filled[end] - filled[start] > best:
        wrong = _first_mistake("\n".join(lines[start:end]), end - start)
        if wrong is None:
            return end
        end = min(end - 1, start + wrong - 1)
    return None


def _first_end(lines: list[str], filled: list[int], start: int, end: int) -> int:
    """The end of the shortest run with as many filled lines that parses as well."""
    for shorter in range(start + 2, end):
        if filled[shorter] == filled[end] and _first_mistake("\n".join(lines[start:shorter]), 0) is None:
            return shorter
    return end


def _first_mistake(text: str, count: int) -> int | None:
    """None where the text parses; else a line that no run from the first line on can hold, or `count` where only this
    run is known to be wrong."""
    try:
        ast.parse(text)
    except SyntaxError as error:
        found = error.lineno or count
        detected = _DETECTED.search(error.msg)
        if error.msg.startswith("unterminated string literal") and detected:
            return min(int(detected[1]) + 1, count)
        settled = error.msg == "invalid syntax" or error.msg.startswith(_SETTLED)
        return min(found, count) if settled and found < count and "\r" not in text else count
    except (ValueError, RecursionError, MemoryError):
        return count
    return None


# -- definitions -------------------------------------------------------------------------------------------------------


class _Named(NamedTuple):
    name: str | None
    node: _Definition


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__")


def _definitions(tree: ast.Module) -> list[_Named]:
    """The first definition of each name; those without a name share one."""
    found: dict[str | None, _Named] = {}
    for node in tree.body:
        if isinstance(node, _Definition) and not getattr(node, "decorator_list", ()):
            name = _name(node)
            returns = not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or _returns(node)
            if returns:
                found.setdefault(name, _Named(name, node))
    return list(found.values())


def _name(node: _Definition) -> str | None:
    """A definition's name: of an assignment, the first plain name among the target and what is assigned."""
    if isinstance(node, _Block):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    assigned = node.value if isinstance(node, ast.AnnAssign) or len(node.targets) == 1 else None
    return next((side.id for side in (target, assigned) if isinstance(side, ast.Name)), None)


def _returns(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Return) for inner in ast.walk(node))


def _reached(entry_point: str, definitions: Mapping[str | None, _Definition]) -> set[str]:
    reached, queue = {entry_point}, [entry_point]
    while queue:
        node = definitions.get(queue.pop())
        new = set(_mentioned(node)) - reached if node is not None else set()
        reached |= new
        queue += new
    return reached


def _mentioned(node: ast.AST) -> Iterator[str]:
    """Every identifier in a piece of code, whatever it stands for."""
    for inner in ast.walk(node):
        for field in ("id", "attr", "arg", "name", "asname", "module", "rest"):
            value = getattr(inner, field, None)
            if isinstance(value, str):
                yield from value.split(".")
        if isinstance(inner, ast.Global | ast.Nonlocal):
            yield from inner.names
        elif isinstance(inner, ast.MatchClass):
            yield from inner.kwd_attrs


# -- text --------------------------------------------------------------------------------------------------------------


class _Source:
    """A text whose statements are cut out as tree-sitter does: a class or function ends with the comments in it."""

    def __init__(self, text: str) -> None:
        self._lines = [line.encode("utf-8", "surrogatepass") for line in _LINES.findall(text)]

    def of(self, node: ast.stmt) -> str:
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        whole, end = self._lines[last], node.end_col_offset or 0
        lines = [*self._lines[first:last], whole[:end]]
        if isinstance(node, _Block):
            if whole[end:].lstrip().startswith(b"#"):
                lines[-1] = whole.rstrip(b"\r\n")
            lines += self._comments(node, last + 1, whole[len(lines[-1]) :])
        lines[0] = lines[0][node.col_offset :]
        return b"".join(lines).decode("utf-8", "surrogatepass")

    def _comments(self, node: _Block, after: int, between: bytes) -> list[bytes]:
        """The comment lines below a body that are indented like it, `between` and what else stands before them."""
        if node.body[0].lineno == node.lineno:
            return []
        indent = _indent(self._lines[node.body[0].lineno - 1])
        end = after
        for number in range(after, len(self._lines)):
            line = self._lines[number]
            if line.lstrip().startswith(b"#") and _indent(line) >= indent:
                end = number + 1
            elif line.strip():
                break
        if end == after:
            return []
        return [between, *self._lines[after : end - 1], self._lines[end - 1].rstrip(b"\r\n")]


def _indent(line: bytes) -> int:
    width = 0
    for byte in line:
        if byte == ord(" "):
            width += 1
        elif byte == ord("\t"):
            width += _TAB
        else:
            break
    return width
