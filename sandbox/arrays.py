"""Arrays and scalars of numpy as plain data: type, shape and bytes, in both directions.

Only arrays of the base class and of numbers, booleans, texts and times cross this way. Subclasses, arrays of objects
and records stay where they are and cross as handles. numpy is imported here when the first array arrives, never before.
"""

from __future__ import annotations

import binascii
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import EllipsisType
    from typing import Any, Protocol, TypeGuard

    from .codec import Json

    class Array(Protocol):
        """As much of numpy's array as is needed here."""

        dtype: Any
        shape: tuple[int, ...]

        @property
        def size(self) -> int: ...
        def copy(self) -> Array: ...
        def tobytes(self) -> bytes: ...
        def __setitem__(self, key: EllipsisType, value: Array, /) -> None: ...


_DTYPE = re.compile(r"[<>|](?:[biufcS][0-9]{1,5}|U[0-9]{1,5}|[Mm]8(?:\[[0-9]{0,4}[A-Za-z]{1,2}\])?)\Z")
_MAX_DIMENSIONS = 32


def is_array(value: Any) -> TypeGuard[Array]:
    """Whether `value` is an array of numpy's own class that can cross."""
    numpy = _loaded(type(value))
    return numpy is not None and type(value) is numpy.ndarray and _DTYPE.match(value.dtype.str) is not None


def is_scalar(value: Any) -> bool:
    """Whether `value` is a scalar of one of numpy's own types that can cross."""
    numpy = _loaded(type(value))
    if numpy is None or not isinstance(value, numpy.generic):
        return False
    return value.dtype.type is type(value) and _DTYPE.match(value.dtype.str) is not None


def pack(value: Any) -> Json:
    """The JSON form of an array or a scalar."""
    text = binascii.b2a_base64(value.tobytes(), newline=False).decode("ascii")
    return [value.dtype.str, list(value.shape), text]


def unpack_array(payload: Json) -> Any:
    """The array. Raises ValueError or TypeError for what `pack` never makes, and without numpy."""
    name, shape, text = payload
    if type(name) is not str or _DTYPE.match(name) is None:
        raise ValueError(f"no array of {name!r} crosses")
    if type(shape) is not list or len(shape) > _MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("no shape")
    numpy = _imported()
    content = bytearray(binascii.a2b_base64(text))
    dtype = numpy.dtype(name)
    if 0 in shape or (dtype.itemsize == 0 and not shape):
        return numpy.zeros(shape, dtype)
    if dtype.kind == "b":  # a byte that is neither 0 nor 1 would be a truth value of its own
        return (numpy.frombuffer(content, "u1") != 0).reshape(shape)
    return numpy.frombuffer(content, dtype).reshape(shape)


def unpack_scalar(payload: Json) -> Any:
    """The scalar. Raises like `unpack_array`."""
    array = unpack_array(payload)
    if array.shape != ():
        raise ValueError("a scalar has no shape")
    return array[()]


def refill(old: Array, new: Array) -> None:
    """Give the array `old` the content of `new`. Raises TypeError when they are not of one kind."""
    if old.dtype != new.dtype or old.size != new.size:
        raise TypeError("a change of kind")
    if old.shape != new.shape:
        old.shape = new.shape
    old[...] = new


def differs(before: Array, value: Array) -> bool:
    """Whether the array `value` is not what its copy `before` was."""
    return before.shape != value.shape or before.dtype != value.dtype or before.tobytes() != value.tobytes()


def _imported() -> Any:
    try:
        import numpy
    except ImportError as error:
        raise ValueError(f"an array where numpy is not installed: {error}") from None
    return numpy


def _loaded(kind: type) -> Any:
    """numpy, where it is loaded and the type may be one of its own."""
    if kind.__module__ != "numpy":
        return None
    numpy = sys.modules.get("numpy")
    return numpy if hasattr(numpy, "ndarray") and hasattr(numpy, "generic") else None
