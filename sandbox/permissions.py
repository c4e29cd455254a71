"""What a program may do to the objects of its tests."""

from __future__ import annotations

from .operations import OPERATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MODULE = "tests"
_ON_INSTANCES = frozenset(OPERATIONS) - {
    "enter",
    "exit",
    "await",
    "issubclass",
    "isinstance",
    "call",
    "iter",
    "next",
}


def permit(op: str, args: list[Any], exported: list[Any]) -> None:
    """Refuse everything but calls, iteration, and the public face of objects made from the tests' own classes."""
    if not args:
        raise PermissionError("nothing to do it to")
    target = args[0]
    if op in ("iter", "next") and hasattr(type(target), "__iter__"):
        return
    if op == "call" and any(target is one for one in exported) and (not isinstance(target, type) or _of_tests(target)):
        return
    if op == "isinstance" and len(args) == 2 and isinstance(args[1], type) and _of_tests(args[1]):
        return
    if op in _ON_INSTANCES and any(_of_tests(type(arg)) for arg in args):
        if op in ("getattr", "setattr", "delattr"):
            _permit_attribute(target, args[1])
        return
    raise PermissionError(f"{op} of {type(target).__name__} is not for programs")


def _permit_attribute(target: Any, name: Any) -> None:
    if not _of_tests(type(target)) or type(name) is not str or name.startswith("_"):
        raise PermissionError(f"attribute {name!r} is not for programs")


def _of_tests(kind: Any) -> bool:
    return getattr(kind, "__module__", None) == MODULE
