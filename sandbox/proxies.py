"""Stand-ins for what stays on the other side: functions, objects, iterators, classes."""

from __future__ import annotations

import collections.abc
import operator
import types

from . import arrays, exceptions


def _call(target, /, *args, **keywords):
    return target(*args, **keywords)


def _enter(target):
    return type(target).__enter__(target)


def _leave(target):
    return type(target).__exit__(target, None, None, None)


def _awaited(target):
    import asyncio

    return asyncio.run(target)


OPERATIONS = {
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
    "enter": _enter,
    "exit": _leave,
    "await": _awaited,
}
_BINARY = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and_", "or_", "xor")
_OTHERS = ("getitem", "setitem", "delitem", "contains", "truth", "index", "neg", "pos", "abs", "invert")
_COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
for _name in _BINARY + _OTHERS + _COMPARE:
    OPERATIONS[_name] = getattr(operator, _name)


# -- handles ---------------------------------------------------------------------------------------------------------


def describe(number, value):
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


def stand_in(peer, number, kind, name, ancestor):
    """The local object that stands for the other side's `number`."""
    if kind == "exception":
        return exceptions.mirror(number, name, ancestor)
    if kind == "coroutine":
        return _await_there(peer, Remote(peer, number, name))
    chosen = {"function": RemoteFunction, "iterator": RemoteIterator}.get(kind, Remote)
    return chosen(peer, number, name)


async def _await_there(peer, remote):
    return peer.request("await", remote)


def number_of(peer, value):
    """The number of a stand-in that belongs to this peer, else None."""
    kind = type(value)
    if kind is Remote or kind is RemoteFunction or kind is RemoteIterator:  # `in` would ask a metaclass
        return object.__getattribute__(value, "_number")
    if kind is type and value in exceptions.MIRRORS:  # a mirrored class goes home as itself
        return exceptions.MIRRORS[value]
    return None


class RemoteFunction:
    """A function over there. It can be called, and that is all."""

    __slots__ = ("__name__", "_number", "_peer")

    def __init__(self, peer, number, name):
        self._peer = peer
        self._number = number
        self.__name__ = name

    def __call__(self, *args, **keywords):
        return self._peer.request("call", self, *args, **keywords)

    def __repr__(self):
        return f"<function {self.__name__}>"


class RemoteIterator:
    """An iterator or generator over there, consumed one item at a time."""

    __slots__ = ("__name__", "_number", "_peer")

    def __init__(self, peer, number, name):
        self._peer = peer
        self._number = number
        self.__name__ = name

    def __iter__(self):
        return self

    def __next__(self):
        return self._peer.request("next", self)

    def __getattr__(self, name):
        return self._peer.request("getattr", self, name)

    def __repr__(self):
        return f"<{self.__name__}>"


class Remote:
    """Any other object over there: what is done to it is done there.

    One exception: a comparison with a plain value of this side is decided here, so that an object whose `__eq__`
    always agrees equals nothing.
    """

    __slots__ = ("_name", "_number", "_peer")

    def __init__(self, peer, number, name):
        object.__setattr__(self, "_peer", peer)
        object.__setattr__(self, "_number", number)
        object.__setattr__(self, "_name", name)

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__dict__", "__doc__"):
            raise AttributeError(name)
        return _ask(self, "getattr", name)

    def __setattr__(self, name, value):
        _ask(self, "setattr", name, value)

    def __delattr__(self, name):
        _ask(self, "delattr", name)

    def __call__(self, *args, **keywords):
        return object.__getattribute__(self, "_peer").request("call", self, *args, **keywords)

    def __bool__(self):
        return _ask(self, "truth") is True

    def __hash__(self):
        return object.__getattribute__(self, "_number")

    def __eq__(self, other):
        return self is other or (type(other) is Remote and _ask(self, "eq", other) is True)

    def __ne__(self, other):
        return self is not other and (type(other) is not Remote or _ask(self, "ne", other) is True)

    def __iter__(self):
        return iter(_ask(self, "iter"))

    def __next__(self):
        return _ask(self, "next")

    def __str__(self):
        return _text(_ask(self, "str"))

    def __repr__(self):
        return _text(_ask(self, "repr"))

    def __format__(self, form):
        return _text(_ask(self, "format", form))

    def __contains__(self, item):
        return _ask(self, "contains", item) is True

    def __instancecheck__(self, value):
        return _ask_about(self, "isinstance", value)

    def __subclasscheck__(self, value):
        return _ask_about(self, "issubclass", value)

    def __enter__(self):
        return _ask(self, "enter")

    def __exit__(self, kind, error, trace):
        _ask(self, "exit")

    def __round__(self, digits=None):
        return _ask(self, "round", digits)


def _text(value):
    return value if type(value) is str else "<no text>"


def _ask(remote, op, *args):
    return object.__getattribute__(remote, "_peer").request(op, remote, *args)


def _ask_about(remote, op, value):
    return object.__getattribute__(remote, "_peer").request(op, value, remote) is True


def _forward(op):
    def method(self, *args):
        return _ask(self, op, *args)

    return method


def _reflect(op):
    def method(self, other):
        return object.__getattribute__(self, "_peer").request(op, other, self)

    return method


for _name in _BINARY:
    setattr(Remote, f"__{_name.strip('_')}__", _forward(_name))
    setattr(Remote, f"__r{_name.strip('_')}__", _reflect(_name))
for _name in (
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
    setattr(Remote, f"__{_name}__", _forward(_name))


# -- arguments that were changed over there -----------------------------------------------------------------------


def snapshot(value):
    """What a list, dict, set, array ... holds, to see later whether it was changed."""
    if arrays.is_array(value):
        return value.copy()
    return list(value.items()) if type(value) is dict else list(value)


def differs(before, value):
    """Whether `value` holds other objects than at its snapshot; what is inside them is their own affair."""
    if arrays.is_array(value):
        return arrays.differs(before, value)
    now = snapshot(value)
    if len(now) != len(before):
        return True
    if type(value) is dict:
        return any(now[n][0] is not item[0] or now[n][1] is not item[1] for n, item in enumerate(before))
    return any(now[n] is not item for n, item in enumerate(before))


def refill(old, new):
    """Give `old` the content of `new`. Raises TypeError when they are not of one kind."""
    if arrays.is_array(old) and arrays.is_array(new):
        arrays.refill(old, new)
    elif isinstance(old, (list, bytearray)) and isinstance(new, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set)) and type(new) is (dict if isinstance(old, dict) else set):
        old.clear()
        old.update(new)
    elif isinstance(old, collections.deque) and isinstance(new, collections.deque):
        old.clear()
        old.extend(new)
    else:
        raise TypeError("a change of kind")
