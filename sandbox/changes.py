"""Arguments that were changed on the other side are changed here too."""

from __future__ import annotations

from collections import deque

from . import arrays

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def snapshot(value: Any) -> Any:
    """What a list, dict, set, array ... holds, to see later whether it was changed."""
    if arrays.is_array(value):
        return value.copy()
    return list(value.items()) if isinstance(value, dict) else list(value)


def differs(before: Any, value: Any) -> bool:
    """Whether `value` holds other objects than at its snapshot; what is inside them is their own affair."""
    if arrays.is_array(value):
        return arrays.differs(before, value)
    now = snapshot(value)
    if len(now) != len(before):
        return True
    if isinstance(value, dict):
        return any(now[n][0] is not item[0] or now[n][1] is not item[1] for n, item in enumerate(before))
    return any(now[n] is not item for n, item in enumerate(before))


def refill(old: Any, new: Any) -> None:
    """Give `old` the content of `new`. Raises TypeError when they are not of one kind."""
    if arrays.is_array(old) and arrays.is_array(new):
        arrays.refill(old, new)
    elif isinstance(old, (list, bytearray)) and isinstance(new, (list, bytearray)):
        old[:] = new
    elif isinstance(old, dict) and isinstance(new, dict):
        old.clear()
        for key, item in new.items():
            old[key] = item
    elif isinstance(old, set) and isinstance(new, set):
        old.clear()
        old.update(new)
    elif isinstance(old, deque) and isinstance(new, deque):
        old.clear()
        old.extend(new)
    else:
        raise TypeError("a change of kind")
