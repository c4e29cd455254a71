"""Values of subclasses: what they are at bottom, and how they cross."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MUTABLE = frozenset((list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict))
_OWN_MODULES = frozenset(("candidate", "tests", "__main__"))
HOMED = frozenset((int, float, str, tuple))

# How a subclass gives up its base value without running any method that it overrides.
BASES: dict[type, Callable[[Any], Any]] = {
    int: lambda value: int.__add__(value, 0),
    float: lambda value: float.__add__(value, 0.0) if value == value else float("nan"),
    str: lambda value: str.__add__("", value),
    bytes: lambda value: bytes.__add__(b"", value),
    bytearray: lambda value: bytearray.__add__(bytearray(), value),
    list: lambda value: list(list.__iter__(value)),
    tuple: lambda value: tuple(tuple.__iter__(value)),
    dict: lambda value: dict(dict.items(value)),
    set: lambda value: set(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
    deque: lambda value: deque(deque.__iter__(value), value.maxlen),
    complex: lambda value: complex.__add__(value, 0j),
    Decimal: lambda value: Decimal(Decimal.__str__(value)),
    Fraction: lambda value: Fraction(value.numerator, value.denominator),
}


def base_value(value: Any) -> Any:
    """A value of a subclass as what it is at bottom."""
    for ancestor in type(value).__mro__:
        if ancestor in BASES:
            return BASES[ancestor](value)
    raise TypeError("no value of a plain kind")


def form(kind: type, ancestor: type) -> str:
    """How a value of a subclass crosses. `plain`: as its base value. `home`: that, with a way back to its attributes.
    `live`: it stays where it is, for it has methods that change it or operators of its own.
    """
    steps = kind.__mro__[: kind.__mro__.index(ancestor)]
    own = [step for step in steps if step.__module__ in _OWN_MODULES]
    if ancestor in MUTABLE or any(not _OPERATORS.isdisjoint(step.__dict__) for step in own):
        return "live" if own else "plain"
    return "home" if ancestor in HOMED and (own or "_fields" in kind.__dict__) else "plain"


_ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "divmod")
_BITS = ("and", "or", "xor", "lshift", "rshift")
_OTHERS = ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "bool", "call", "enter")
_CONTAINER = ("len", "iter", "next", "getitem", "contains")
_OPERATORS = frozenset(f"__{side}{name}__" for name in _ARITHMETIC + _BITS for side in ("", "r", "i"))
_OPERATORS |= frozenset(f"__{name}__" for name in _OTHERS + _CONTAINER)
