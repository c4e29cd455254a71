"""Exceptions that cross: by type name, message and nearest builtin, so that a test can catch what it expects."""

from __future__ import annotations

import builtins

from .codec import TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .codec import Json
    from .peer import Peer

_TEXT = 2000

_BUILTIN_ERRORS: dict[str, type[BaseException]] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException) and value.__name__ == name
}
MIRRORS: dict[type[BaseException], int] = {}  # local class → the number of the class that it mirrors


def builtin_ancestor(kind: type[BaseException]) -> str:
    """The nearest builtin exception of a class."""
    return next(step.__name__ for step in kind.__mro__ if _BUILTIN_ERRORS.get(step.__name__) is step)


def _crossed_text(error: BaseException) -> str:
    crossed = getattr(error, "crossed", None)
    return crossed[1] if crossed else BaseException.__str__(error)


def mirror(number: int, name: str, ancestor: str) -> type[BaseException]:
    """A local exception class for one of the other side, usable in `except`."""
    parent = _BUILTIN_ERRORS.get(ancestor, Exception)
    made = type(
        name if name.isidentifier() else "Error", (parent,), {"__module__": "candidate", "__str__": _crossed_text}
    )
    MIRRORS[made] = number
    return made


def exception_to(peer: Peer, error: BaseException) -> Json:
    """An exception as data: type name, nearest builtin, text, arguments, attributes; its own class as a handle."""
    kind = type(error)
    tree: dict[str, Json] = {"name": kind.__name__[:100], "base": builtin_ancestor(kind), "text": _text_of(error)}
    if kind is TooLarge:
        tree["base"] = "TooLarge"
        return tree
    try:
        if _BUILTIN_ERRORS.get(kind.__name__) is not kind:
            tree["class"] = peer.codec.encode(kind)
        if sum(len(arg) for arg in error.args if isinstance(arg, (str, bytes, list, dict))) < _TEXT:
            tree["args"] = peer.codec.encode(list(error.args))
        extra = [[key, peer.codec.encode(value)] for key, value in vars(error).items() if not key.startswith("_")]
        tree["extra"] = extra[:20]
    except Exception:  # noqa: BLE001 - an exception that cannot be told in full is told by name and text
        tree.pop("args", None)
    tree["line"] = _line_of(error)
    return tree


def _text_of(error: BaseException) -> str:
    try:
        return str(error)[:_TEXT]
    except BaseException as second:  # noqa: BLE001 - __str__ belongs to the program
        return f"(its text raised {type(second).__name__})"


def _line_of(error: BaseException) -> int:
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<candidate>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def exception_from(peer: Peer, tree: Json) -> BaseException:
    """The local exception for one that crossed; it carries `crossed` = (type name, text, line)."""
    name, base, text = str(tree["name"])[:100], tree["base"], str(tree["text"])[:_TEXT]
    if base == "TooLarge":
        return TooLarge(text)
    kind = peer.codec.decode(tree["class"]) if "class" in tree else _BUILTIN_ERRORS.get(base, Exception)
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        raise ValueError("an exception of no exception class")
    args = peer.codec.decode(tree["args"]) if "args" in tree else [text]
    if type(args) is not list:  # a range would be unrolled
        raise ValueError("arguments that are no list")
    error = _construct(kind, name, args, text)
    for key, value in [(str(key), peer.codec.decode(item)) for key, item in tree.get("extra", ())]:
        if key.isidentifier() and not key.startswith("_"):
            setattr(error, key, value)
    line = tree.get("line")
    error.crossed = (name, text, line if type(line) is int else 0)  # type: ignore[attr-defined]
    return error


def _construct(kind: type[BaseException], name: str, args: list[Any], text: str) -> BaseException:
    try:
        error = kind(*args)
    except TypeError:  # UnicodeDecodeError and the like want what did not cross
        parent = next(step for step in kind.__mro__ if step in (ValueError, OSError, Exception, BaseException))
        error = type(name if name.isidentifier() else "Error", (parent,), {})(text)
    return error
