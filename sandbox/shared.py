"""Builtin functions and types that exist on both sides, by name."""

from __future__ import annotations

import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SHARED_MODULES = ("builtins", "math", "operator", "_operator")


def shared_name(value: Any) -> str | None:
    """`module:qualified.name` of a builtin function, method descriptor or type; None for anything else."""
    if isinstance(value, types.BuiltinFunctionType):
        module, name = value.__module__, value.__qualname__
        if not isinstance(getattr(value, "__self__", None), (types.ModuleType, type, type(None))):
            return None
    elif isinstance(value, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        module, name = value.__objclass__.__module__, value.__qualname__
    elif isinstance(value, type):
        module, name = value.__module__, value.__qualname__
    else:
        return None
    if module not in _SHARED_MODULES:
        return None
    try:
        return f"{module}:{name}" if shared_value(f"{module}:{name}") is value else None
    except (AttributeError, ImportError):
        return None


def shared_value(name: str) -> Any:
    """The object that `shared_name` named."""
    module, _, path = name.partition(":")
    if module not in _SHARED_MODULES:
        raise ValueError(f"module {module!r} is not shared")
    found = __import__(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found
