"""Finding the program in an answer. Which rule found it is part of the result: it moves published scores by points."""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from evalkit.scorers.evalplus_code import sanitize

Extract = Literal["entry_point", "first_block", "all_blocks", "closed_blocks", "evalplus", "none"]

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_START = re.compile(r"^(?:from\s+\S+\s+import\b|import\s+\w|(?:async\s+)?def\s+\w+\s*\(|class\s+\w|@\w)", re.MULTILINE)
_BUILTINS = frozenset(dir(builtins))


class Code(NamedTuple):
    """A program and the rule that found it. `text` None: there is none in the answer."""

    text: str | None
    rule: str | None


class Block(NamedTuple):
    """The inside of a fence; the last one may be cut off before its closing line."""

    text: str
    closed: bool


NOTHING = Code(None, None)


def extract(answer: str, how: Extract, entry_point: str | None, prompt: str = "") -> Code:
    """The program in an answer.

    `prompt` is code that an answer may continue (HumanEval): an answer that is only a function's body is put after it.
    """
    if how == "none":
        return _whole(answer, entry_point, prompt)
    if how == "evalplus":
        program = sanitize(answer, entry_point)
        return Code(program, "evalplus") if program.strip() else NOTHING
    blocks = fenced_blocks(answer)
    if not blocks:
        return _unfenced(answer, entry_point, prompt)
    if how == "all_blocks":
        return Code("\n\n".join(block.text for block in blocks), "all_blocks")
    if how == "closed_blocks":
        return _closed(answer, blocks)
    if how == "entry_point" and entry_point:
        found = _by_entry_point(blocks, entry_point) or _before_fence(answer, entry_point)
        if found is not None:
            return found
    return _first(blocks, entry_point, prompt)


def fenced_blocks(answer: str) -> list[Block]:
    """Every fenced block in order; a fence that is never closed runs to the end of the answer."""
    blocks: list[Block] = []
    opened: tuple[str, int] | None = None
    for match in _FENCE.finditer(answer):
        mark = match.group(1)
        if opened is None:
            opened = (mark, match.end() + 1)
        elif mark[0] == opened[0][0] and len(mark) >= len(opened[0]) and not match.group(0).strip().strip(mark[0]):
            blocks.append(Block(answer[opened[1] : match.start()], True))
            opened = None
    if opened is not None and answer[opened[1] :].strip():
        blocks.append(Block(answer[opened[1] :], False))
    return [block for block in blocks if block.text.strip()]


def preamble(prompt: str, entry_point: str | None) -> str:
    """What a code prompt gives before the function that is asked for: imports and helper functions."""
    if not entry_point:
        return ""
    found = re.search(rf"^(?:@[^\n]*\n)*(?:async\s+)?(?:def|class)\s+{re.escape(entry_point)}\b", prompt, re.MULTILINE)
    before = prompt[: found.start()] if found else ""
    return before if before.strip() and _tree(before) is not None else ""


def called_name(tests: Iterable[str], setup: str = "") -> str | None:
    """The function that asserts are about: the name they call most that is neither builtin nor from the setup."""
    calls: Counter[str] = Counter()
    for test in tests:
        calls.update(name for name in _names_called(test))
    given = _bound(_tree(setup))
    own = [name for name in calls if name not in _BUILTINS and name not in given]
    candidates = own or list(calls)
    return max(candidates, key=lambda name: calls[name]) if candidates else None


# -- rules -------------------------------------------------------------------------------------------------------------


def _whole(answer: str, entry_point: str | None, prompt: str) -> Code:
    if not answer.strip():
        return NOTHING
    if prompt and not (entry_point and _defines(answer, entry_point)):
        return Code(prompt + answer, "continuation")
    return Code(answer, "none")


def _by_entry_point(blocks: Sequence[Block], entry_point: str) -> Code | None:
    chosen = next((block for block in blocks if _defines(block.text, entry_point)), None)
    if chosen is None:
        return None
    others = [block.text for block in blocks if block is not chosen]
    helpers = _helpers(chosen.text, others)
    text = f"{helpers}\n\n{chosen.text}" if helpers else chosen.text
    rule = "entry_point+helpers" if helpers else "entry_point"
    return Code(text, rule if chosen.closed else f"{rule}, unclosed")


def _before_fence(answer: str, entry_point: str) -> Code | None:
    """An answer that begins with the program and only closes a fence: no block defines the function, the text before
    the first fence does. Small models that continue a prompt's fence write so."""
    fence = _FENCE.search(answer)
    lead = answer[: fence.start()] if fence else ""
    start = _START.search(lead)
    if start is None or not _defines(lead, entry_point):
        return None
    return Code(_longest_parsing(lead[start.start() :]), "text before a fence")


def _closed(answer: str, blocks: Sequence[Block]) -> Code:
    """As strict harnesses do: what is labelled python and closed, else any closed block; a program that is cut off is
    none."""
    labelled = [part.partition("```") for part in answer.split("```python")[1:]]
    texts = [text.strip() for text, mark, _ in labelled if mark]
    if not labelled:
        texts = [block.text.strip() for block in blocks if block.closed]
    return Code("\n\n".join(texts), "closed_blocks") if any(texts) else NOTHING


def _first(blocks: Sequence[Block], entry_point: str | None, prompt: str) -> Code:
    block = blocks[0]
    body = _as_body(block.text, entry_point, prompt)
    if body is not None:
        return Code(body, "body in block")
    return Code(block.text, "first_block" if block.closed else "first_block, unclosed")


def _unfenced(answer: str, entry_point: str | None, prompt: str) -> Code:
    defines = entry_point is not None and _defines(answer, entry_point)
    if not defines:
        body = _as_body(answer, entry_point, prompt)
        if body is not None:
            return Code(body, "body")
    start = _START.search(answer)
    if start is not None and (defines or entry_point is None or _tree(answer[start.start() :]) is not None):
        return Code(_longest_parsing(answer[start.start() :]), "text")
    return NOTHING


def _as_body(text: str, entry_point: str | None, prompt: str) -> str | None:
    """`prompt` continued by a function's body, if the text is one; chat models lose the first line's indent."""
    if not prompt or not text.strip() or (entry_point and _defines(text, entry_point)):
        return None
    for body in (text, "    " + text.lstrip()):
        if not re.match(r"\s*\n[ \t]+\S|[ \t]+\S", "\n" + body.lstrip("\n")):
            continue
        whole = _longest_parsing(prompt + "\n" + body.lstrip("\n"), at_least=prompt)
        if whole is not None and _tree(whole) is not None:
            return whole
    return None


def _longest_parsing(text: str, at_least: str = "") -> str:
    """The text without the last lines that keep it from parsing; unchanged where nothing helps."""
    lines = text.splitlines(keepends=True)
    least = max(1, at_least.count("\n") + 2)
    for end in range(len(lines), least - 1, -1):
        part = "".join(lines[:end])
        if _tree(part) is not None:
            return part
    return text


def _helpers(chosen: str, others: Sequence[str]) -> str:
    """Definitions of the other blocks that the chosen one uses and lacks, the first definition of each name."""
    tree = _tree(chosen)
    if tree is None or not others:
        return ""
    offered: dict[str, tuple[ast.stmt, str]] = {}
    for text in others:
        for node in _statements(text):
            for name in _bound_by(node):
                offered.setdefault(name, (node, text))
    wanted, have, taken = _loaded(tree), _bound(tree), list[tuple[ast.stmt, str]]()
    while missing := [name for name in sorted(wanted - have) if name in offered]:
        node, text = offered[missing[0]]
        have |= _bound_by(node)
        wanted |= _loaded(node)
        taken.append((node, text))
    return "\n\n".join(_source(node, text) for node, text in reversed(taken))


# -- reading Python ----------------------------------------------------------------------------------------------------


def _tree(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _statements(text: str) -> list[ast.stmt]:
    tree = _tree(text)
    return tree.body if tree else []


def _defines(text: str, name: str) -> bool:
    tree = _tree(text)
    if tree is not None:
        return any(name in _bound_by(node) for node in tree.body)
    return re.search(rf"^(?:(?:async\s+)?def|class)\s+{re.escape(name)}\b", text, re.MULTILINE) is not None


def _bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {item.id for target in targets for item in ast.walk(target) if isinstance(item, ast.Name)}
    return set()


def _bound(tree: ast.Module | None) -> set[str]:
    return {name for node in tree.body for name in _bound_by(node)} if tree else set()


def _loaded(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _names_called(test: str) -> list[str]:
    tree = _tree(test)
    if tree is None:
        return []
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [call.id for call in calls if isinstance(call, ast.Name)]


def _source(node: ast.stmt, text: str) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(item.lineno for item in decorators)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])
