"""What one side may ask the other to do, by name."""

from __future__ import annotations

import copy
import math
import operator

from .codec import base_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


def _call(target: Any, /, *args: Any, **keywords: Any) -> Any:
    return target(*args, **keywords)


def _enter(target: Any) -> Any:
    return type(target).__enter__(target)


def _leave(target: Any, error: BaseException | None = None) -> bool:
    return bool(type(target).__exit__(target, type(error) if error else None, error, None))


def _reversed(target: Any) -> list[Any]:
    return list(reversed(target))


def _awaited(target: Coroutine[Any, Any, Any]) -> Any:
    import asyncio

    return asyncio.run(target)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": _call,
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "iter": iter,
    "next": next,
    "len": len,
    "str": str,
    "repr": repr,
    "hash": hash,
    "int": int,
    "float": float,
    "complex": complex,
    "round": round,
    "divmod": divmod,
    "format": format,
    "isinstance": isinstance,
    "issubclass": issubclass,
    "reversed": _reversed,
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": math.trunc,
    "bytes": bytes,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "base": base_value,
    "enter": _enter,
    "exit": _leave,
    "await": _awaited,
}
BINARY = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and_", "or_", "xor")
_OTHERS = ("getitem", "setitem", "delitem", "contains", "truth", "index", "neg", "pos", "abs", "invert")
COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
for _name in BINARY + _OTHERS + COMPARE:
    OPERATIONS[_name] = getattr(operator, _name)
