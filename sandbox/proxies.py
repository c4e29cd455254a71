"""Stand-ins for what stays on the other side: functions, objects, iterators, classes."""

from __future__ import annotations

import types

from . import exceptions
from .codec import PLAIN_TYPES, base_value
from .operations import BINARY, COMPARE, OPERATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from .codec import Handle
    from .peer import Peer

# -- handles ---------------------------------------------------------------------------------------------------------


def describe(number: int, value: Any) -> Handle:
    """What the other side gets to know of an object: number, kind, name, builtin ancestor of an exception class."""
    kind = type(value)
    name, ancestor = kind.__name__, ""
    if isinstance(value, type):
        name = type.__getattribute__(value, "__name__")
        word = "class"
        if issubclass(value, BaseException):
            word, ancestor = "exception", exceptions.builtin_ancestor(value)
    elif isinstance(value, types.CoroutineType):
        word = "coroutine"
    elif hasattr(kind, "__next__"):
        word = "iterator"
    elif isinstance(value, (types.FunctionType, types.MethodType, types.BuiltinFunctionType)):
        word, name = "function", value.__name__
    else:
        word = "object"
    return [number, word, str(name)[:100], ancestor]


def stand_in(peer: Peer, number: int, kind: str, name: str, ancestor: str, base: Any = None) -> Any:
    """The local object that stands for the other side's `number`; `base` is the value of one that is at home there."""
    if kind == "home":
        return _HOMES[type(base)](peer, number, name, base)
    if kind == "value":
        return RemoteValue(peer, number, name, PLAIN_TYPES.get(ancestor, object))
    if kind == "exception":
        return exceptions.mirror(number, name, ancestor)
    if kind == "coroutine":
        return _await_there(peer, Remote(peer, number, name))
    chosen = {"function": RemoteFunction, "iterator": RemoteIterator}.get(kind, Remote)
    return chosen(peer, number, name)


async def _await_there(peer: Peer, remote: Remote) -> Any:
    return peer.request("await", remote)


def number_of(peer: Peer, value: Any) -> int | None:
    """The number of a stand-in that belongs to this peer, else None."""
    kind = type(value)
    if any(kind is one for one in _STAND_INS):  # `in` would ask a metaclass
        number: int = object.__getattribute__(value, "_evalkit_number")
        return number
    if kind is type and value in exceptions.MIRRORS:  # a mirrored class goes home as itself
        return exceptions.MIRRORS[value]
    return None


class RemoteFunction:  # no docstring: `__doc__` is the one over there
    __slots__ = ("__name__", "_evalkit_number", "_evalkit_peer")

    def __init__(self, peer: Peer, number: int, name: str) -> None:
        object.__setattr__(self, "_evalkit_peer", peer)
        object.__setattr__(self, "_evalkit_number", number)
        object.__setattr__(self, "__name__", name)

    def __call__(self, *args: object, **keywords: object) -> object:  # `inspect` can evaluate these
        return self._evalkit_peer.request("call", self, *args, **keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__doc__":
            raise AttributeError(name)
        try:
            return self._evalkit_peer.request("getattr", self, name)
        except (
            PermissionError
        ) as error:  # what the tests do not show is not there: `hasattr` and `getattr` with a default
            raise AttributeError(str(error)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name in RemoteFunction.__slots__:
            object.__setattr__(self, name, value)
        else:
            self._evalkit_peer.request("setattr", self, name, value)

    __doc__ = property(lambda self: self.__getattr__("__doc__"))

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"


class RemoteIterator:
    """An iterator or generator over there, consumed one item at a time."""

    __slots__ = ("__name__", "_evalkit_number", "_evalkit_peer")

    def __init__(self, peer: Peer, number: int, name: str) -> None:
        self._evalkit_peer = peer
        self._evalkit_number = number
        self.__name__ = name

    def __iter__(self) -> RemoteIterator:
        return self

    def __next__(self) -> Any:
        return self._evalkit_peer.request("next", self)

    def __getattr__(self, name: str) -> Any:
        return self._evalkit_peer.request("getattr", self, name)

    def __repr__(self) -> str:
        return f"<{self.__name__}>"


class Remote:
    """Any other object over there: what is done to it is done there.

    Two exceptions. A comparison with a plain value of this side is decided here, so that an object whose `__eq__`
    always agrees equals nothing. And while the peer is `guarded`, the other operators do not take plain values of this
    side: in `abs(f(x) - 1.5) < 1e-6`, `3 < f(x)` or `4 in f(x)` they would be told what is expected.
    """

    __doc__ = property(lambda self: _doc(self))
    __slots__ = ("_evalkit_name", "_evalkit_number", "_evalkit_peer")

    def __init__(self, peer: Peer, number: int, name: str) -> None:
        object.__setattr__(self, "_evalkit_peer", peer)
        object.__setattr__(self, "_evalkit_number", number)
        object.__setattr__(self, "_evalkit_name", name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__dict__", "__doc__"):
            raise AttributeError(name)
        if name in _ANSWERS and _guarded(self):
            raise AttributeError(f"'{name}' of a program's object is not asked about plain values")
        return _ask(self, "getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        _ask(self, "setattr", name, value)

    def __delattr__(self, name: str) -> None:
        _ask(self, "delattr", name)

    def __call__(self, *args: object, **keywords: object) -> object:  # `inspect` can evaluate these
        return object.__getattribute__(self, "_evalkit_peer").request("call", self, *args, **keywords)

    def __bool__(self) -> bool:
        return _ask(self, "truth") is True

    def __hash__(self) -> Any:  # what they say there; `hash` takes nothing but an int
        try:
            return _ask(self, "hash")
        except PermissionError:  # an object that the tests do not show is at least itself
            return object.__getattribute__(self, "_evalkit_number")

    def __eq__(self, other: object) -> bool:
        return self is other or (_is_remote(other) and _ask(self, "eq", other) is True)

    def __ne__(self, other: object) -> bool:
        return self is not other and (not _is_remote(other) or _ask(self, "ne", other) is True)

    def __iter__(self) -> Iterator[Any]:
        return iter(_ask(self, "iter"))

    def __next__(self) -> Any:
        return _ask(self, "next")

    def __str__(self) -> str:
        return _text(_ask(self, "str"))

    def __repr__(self) -> str:
        return _text(_ask(self, "repr"))

    def __format__(self, form: str) -> str:
        return _text(_ask(self, "format", form))

    def __contains__(self, item: Any) -> bool:
        if _guarded(self) and not _is_remote(item):
            return any(found is item or found == item for found in self)
        return _ask(self, "contains", item) is True

    def __instancecheck__(self, value: Any) -> bool:
        return _ask_about(self, "isinstance", value)

    def __subclasscheck__(self, value: Any) -> bool:
        return _ask_about(self, "issubclass", value)

    def __enter__(self) -> Any:
        return _ask(self, "enter")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, AssertionError):  # an assert is not theirs to suppress
            _ask(self, "exit")
            return False
        return _ask(self, "exit", error) is True

    def __reversed__(self) -> Iterator[Any]:
        return iter(_ask(self, "reversed"))

    def __copy__(self) -> Any:
        return _ask(self, "copy")

    def __deepcopy__(self, memo: Any) -> Any:
        return _ask(self, "deepcopy")

    def __round__(self, digits: Any = None) -> Any:
        return _ask(self, "round", digits)


def _text(value: Any) -> str:
    return value if type(value) is str else "<no text>"


def _doc(remote: Remote) -> Any:
    try:
        return _ask(remote, "getattr", "__doc__")
    except PermissionError:
        return None


def _ask(remote: Remote, op: str, *args: Any) -> Any:
    return object.__getattribute__(remote, "_evalkit_peer").request(op, remote, *args)


def _ask_about(remote: Remote, op: str, value: Any) -> bool:
    return object.__getattribute__(remote, "_evalkit_peer").request(op, value, remote) is True


def _guarded(remote: Remote) -> bool:
    peer: Peer = object.__getattribute__(remote, "_evalkit_peer")
    return peer.guarded


def _forward(op: str) -> Callable[..., Any]:
    def method(self: Remote, *args: Any) -> Any:
        return _ask(self, op, *args)

    return method


def _forward_binary(op: str) -> Callable[..., Any]:
    def method(self: Remote, other: Any, *more: Any) -> Any:
        if not _is_remote(other):
            if type(self) is RemoteValue and (_guarded(self) or op in COMPARE):
                return OPERATIONS[op](self._evalkit_value(), other)
            if _guarded(self):
                return NotImplemented
        return _ask(self, op, other, *more)

    return method


def _reflect(op: str) -> Callable[..., Any]:
    def method(self: Remote, other: Any) -> Any:
        if not _is_remote(other) and _guarded(self):
            return OPERATIONS[op](other, self._evalkit_value()) if type(self) is RemoteValue else NotImplemented
        return object.__getattribute__(self, "_evalkit_peer").request(op, other, self)

    return method


# Methods of plain data that say yes or no to a plain value; an object that only looks like plain data is not asked.
_ANSWERS = frozenset(("startswith", "endswith", "issubset", "issuperset", "isdisjoint"))

for _name in (*BINARY, "divmod"):
    setattr(Remote, f"__{_name.strip('_')}__", _forward_binary(_name))
    setattr(Remote, f"__r{_name.strip('_')}__", _reflect(_name))
for _name in (
    "floor",
    "ceil",
    "trunc",
    "bytes",
    "getitem",
    "setitem",
    "delitem",
    "neg",
    "pos",
    "abs",
    "invert",
    "len",
    "index",
    "int",
    "float",
    "complex",
):
    setattr(Remote, f"__{_name}__", _forward(_name))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Remote, f"__{_name}__", _forward_binary(_name))


class RemoteValue(Remote):
    """A list, dict, int ... of a class of the program's own: its methods are over there, for plain values it is the
    list, dict, int ... that it is at bottom."""

    __slots__ = ("_evalkit_base",)

    def __init__(self, peer: Peer, number: int, name: str, base: type) -> None:
        super().__init__(peer, number, name)
        object.__setattr__(self, "_evalkit_base", base)

    __class__ = property(lambda self: object.__getattribute__(self, "_evalkit_base"))
    __hash__ = Remote.__hash__

    def _evalkit_value(self) -> Any:
        value = _ask(self, "base")
        return _NOTHING if any(type(value) is one for one in _STAND_INS) else value

    def __eq__(self, other: object) -> Any:
        if self is other or _is_remote(other):
            return self is other or _ask(self, "eq", other) is True
        return self._evalkit_value() == other

    def __ne__(self, other: object) -> Any:
        if self is other or _is_remote(other):
            return self is not other and _ask(self, "ne", other) is True
        return self._evalkit_value() != other


_NOTHING = object()


def _is_remote(value: Any) -> bool:
    kind = type(value)
    return kind is Remote or kind is RemoteValue


def _home(base: type) -> Callable[..., Any]:
    """The local class for an int, str, tuple ... of a class over there: a plain value with attributes over there."""

    def make(kind: type, peer: Peer, number: int, name: str, value: Any) -> Any:
        made: Any = base.__new__(kind, value)
        made.__dict__.update(_evalkit_remote=Remote(peer, number, name), _evalkit_number=number)
        return made

    def attribute(self: Any, name: str) -> Any:
        return getattr(self.__dict__["_evalkit_remote"], name)

    members: dict[str, Callable[..., Any]] = {
        "__new__": make,
        "__init__": lambda self, *args: None,
        "__getattr__": attribute,
        "__str__": lambda self: str(self.__dict__["_evalkit_remote"]),
        "__repr__": lambda self: repr(self.__dict__["_evalkit_remote"]),
        "__copy__": lambda self: self,
        "__deepcopy__": lambda self, memo: self,
        "__reduce_ex__": lambda self, protocol: (base, (base_value(self),)),
    }
    return type(base.__name__, (base,), members)


_HOMES = {base: _home(base) for base in (int, float, str, tuple)}
_STAND_INS = (Remote, RemoteValue, RemoteFunction, RemoteIterator, *_HOMES.values())
