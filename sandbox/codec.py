"""Values as plain data: what may cross between the tests and the untrusted program.

A value crosses *by base value*: a subclass of int, str, list ... arrives as an int, str, list, so that nothing the
program defined (`__eq__`, `__hash__`, `__class__`) takes part in a comparison on the other side. Everything that is
not plain data stays where it is and crosses as a numbered handle.

The form is JSON: null, true, numbers, strings and arrays stand for themselves, anything else is an object with
one key, its tag.
"""

from __future__ import annotations

import datetime
import math
import pathlib
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction

from . import arrays

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any, Literal, TypeAlias

    Json: TypeAlias = Any  # a tree of JSON. Nothing says of which form: where it comes in, the other side made it
    Handle: TypeAlias = list[Any]  # number, kind, name, builtin ancestor: see `proxies.describe`
    Encoder: TypeAlias = Callable[["Codec", Any, int], Json]
    Decoder: TypeAlias = Callable[["Codec", Json, int], Any]

MAX_DEPTH = 150
_MAX_ITEMS = 2_000_000
_WIDE = 1 << 62
MUTABLE = frozenset((list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict))
_OWN_MODULES = frozenset(("candidate", "tests", "__main__"))
_HOMED = frozenset((int, float, str, tuple))


class TooLarge(Exception):
    """The value is nested too deep, or its text is longer than a frame may be."""


class Malformed(Exception):
    """The other side sent what no honest peer sends."""


PLAIN_TYPES: dict[str, type] = {
    kind.__name__: kind
    for kind in (int, float, str, bool, list, tuple, dict, set, frozenset, bytes, bytearray, complex, type, object)
}
PLAIN_TYPES["NoneType"] = type(None)
_PLAIN_NAMES = {kind: name for name, kind in PLAIN_TYPES.items()}


class Marks:
    """The lists, dicts, sets ... of one request, numbered alike on both sides, so that a reply can name them."""

    def __init__(self) -> None:
        self.known: list[Any] = []
        self.numbers: dict[int, int] = {}  # id → number

    def add(self, value: Any) -> None:
        self.numbers[id(value)] = len(self.known)
        self.known.append(value)

    def take_over(self, value: Any) -> None:
        """`value` is what the last one added was a plain copy of."""
        del self.numbers[id(self.known.pop())]
        self.add(value)


class Codec:
    """Both directions. `export(value)` numbers a value that stays here; `adopt(payload)` makes the stand-in for
    one that stayed there; `own(number)` finds what was exported; `number_of(value)` is the other side's number
    of a stand-in, or None. `share(value)` names a builtin function that exists on both sides, or gives None.
    `errors` are two functions for exceptions as values, out and in. `live`: values of own classes stay here.
    """

    errors: tuple[Callable[[BaseException], Json], Callable[[Json], BaseException]] | None = None
    live = False

    def __init__(
        self,
        export: Callable[[Any], Handle],
        adopt: Callable[..., Any],
        own: Callable[[Json], Any],
        number_of: Callable[[Any], int | None],
        share: Callable[[Any], str | None],
        resolve: Callable[[Json], Any],
    ) -> None:
        self._export = export
        self._adopt = adopt
        self._own = own
        self._number_of = number_of
        self._share = share
        self._resolve = resolve
        self._marks = Marks()
        self._collecting = False

    def mark(self, marks: Marks, collecting: bool) -> None:
        """Which marks the next calls use, and whether they number what they meet."""
        self._marks = marks
        self._collecting = collecting

    # -- out ---------------------------------------------------------------------------------------------------

    def encode(self, value: Any, depth: int = 0) -> Json:
        """The JSON form. Raises TooLarge."""
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            return value if -_WIDE < value < _WIDE else {"i": hex(value)}
        if kind is float:
            return value if math.isfinite(value) else {"f": repr(value)}
        if depth > MAX_DEPTH:
            raise TooLarge(f"nested deeper than {MAX_DEPTH} levels")
        if kind in MUTABLE:
            return self._encode_mutable(value, kind, depth)
        encoder = _ENCODERS.get(kind)
        if encoder is not None:
            return encoder(self, value, depth + 1)
        return self._encode_other(value, kind, depth)

    def _encode_mutable(self, value: Any, kind: type, depth: int) -> Json:
        number = self._marks.numbers.get(id(value))
        if number is not None:
            return {"u": number}
        tree = self.encode_content(value, kind, depth)
        if self._collecting:
            self._marks.add(value)
        return tree

    def _encode_array(self, value: arrays.Array) -> Json:
        number = self._marks.numbers.get(id(value))
        if number is not None:
            return {"u": number}
        if self._collecting:
            self._marks.add(value)
        return {"N": arrays.pack(value)}

    def encode_content(self, value: Any, kind: type, depth: int = 0) -> Json:
        """The JSON form of a list, dict, set, array ... itself, even where it is marked."""
        if arrays.is_array(value):
            return {"N": arrays.pack(value)}
        return self.encode_items(value, depth + 1) if kind is list else _ENCODERS[kind](self, value, depth + 1)

    def _encode_other(self, value: Any, kind: type, depth: int) -> Json:
        number = self._number_of(value)
        if number is not None:
            return {"o": number}
        if arrays.is_array(value):
            return self._encode_array(value)
        if arrays.is_scalar(value):
            return {"n": arrays.pack(value)}
        if isinstance(value, type):
            name = _PLAIN_NAMES.get(value)
            if name is not None:
                return {"T": name}
        shared = self._share(value)
        if shared is not None:
            return {"S": shared}
        if self.errors is not None and issubclass(kind, BaseException):
            return {"x": self.errors[0](value)}
        for ancestor in kind.__mro__:
            if ancestor in _SUBCLASSABLE:
                return self._encode_subclass(value, ancestor, depth)
        return {"h": self._export(value)}

    def _encode_subclass(self, value: Any, ancestor: type, depth: int) -> Json:
        number = self._marks.numbers.get(id(value))
        if number is not None:
            return {"u": number}
        form = _form(type(value), ancestor)
        if form == "live" and self.live:
            return {"h": [self._export(value)[0], "value", type(value).__name__[:100], ancestor.__name__]}
        tree = self.encode(_SUBCLASSABLE[ancestor](value), depth)
        if form == "home":
            return {"w": [tree, [self._export(value)[0], "home", type(value).__name__[:100], ancestor.__name__]]}
        if self._collecting and ancestor in MUTABLE:
            self._marks.take_over(value)
        return tree

    def encode_items(self, items: Collection[Any], depth: int) -> list[Json]:
        if len(items) > _MAX_ITEMS:
            raise TooLarge(f"more than {_MAX_ITEMS} items")
        return [self.encode(item, depth) for item in items]

    def encode_pairs(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> list[Json]:
        return [[self.encode(key, depth), self.encode(item, depth)] for key, item in pairs]

    # -- in ----------------------------------------------------------------------------------------------------

    def decode(self, tree: Json, depth: int = 0) -> Any:
        """The value. Raises Malformed."""
        kind = type(tree)
        if kind is list:
            self._check(depth)
            return self._marked([self.decode(item, depth + 1) for item in tree])
        if kind is not dict:
            return tree
        self._check(depth)
        if len(tree) != 1:
            raise Malformed(f"an object with {len(tree)} keys")
        ((tag, payload),) = tree.items()
        decoder = _DECODERS.get(tag)
        if decoder is None:
            raise Malformed(f"unknown tag {tag[:20]!r}")
        try:
            return decoder(self, payload, depth + 1)
        except (TypeError, ValueError, KeyError, IndexError, ArithmeticError, AttributeError) as error:
            raise Malformed(f"tag {tag!r}: {error}") from None

    def _check(self, depth: int) -> None:
        if depth > MAX_DEPTH + 50:
            raise Malformed("nested too deep")

    def decode_items(self, trees: Json, depth: int) -> list[Any]:
        if type(trees) is not list:
            raise Malformed("items are no array")
        return [self.decode(tree, depth) for tree in trees]

    def _marked(self, value: Any) -> Any:
        if self._collecting:
            self._marks.add(value)
        return value

    def decode_mutable(self, make: Callable[[list[Any]], Any], trees: Json, depth: int) -> Any:
        return self._marked(make(self.decode_items(trees, depth)))

    def decode_dict(self, trees: Json, depth: int) -> Any:
        return self._marked(self.decode_pairs(trees, depth))

    def decode_bytes(self, text: Json) -> Any:
        return self._marked(bytearray.fromhex(text))

    def decode_array(self, payload: Json) -> Any:
        return self._marked(arrays.unpack_array(payload))

    def decode_mark(self, number: Json) -> Any:
        if type(number) is not int or number < 0:
            raise Malformed("no value has this mark")
        return self._marks.known[number]

    def decode_pairs(self, trees: Json, depth: int) -> dict[Any, Any]:
        if type(trees) is not list:
            raise Malformed("pairs are no array")
        return {self.decode(key, depth): self.decode(item, depth) for key, item in trees}

    def decode_handle(self, payload: Json) -> Any:
        return self._adopt(payload)

    def decode_home(self, payload: Json, depth: int) -> Any:
        base = self.decode(payload[0], depth)
        if type(base) not in _HOMED:
            raise Malformed("no value of a subclass")
        return self._adopt(payload[1], base)

    def decode_counter(self, trees: Json, depth: int) -> Any:
        return self._marked(Counter(self.decode_pairs(trees, depth)))

    def decode_default(self, payload: Json, depth: int) -> Any:
        made: defaultdict[Any, Any] = defaultdict(self.decode(payload[0], depth))
        made.update(self.decode_pairs(payload[1], depth))
        return self._marked(made)

    def decode_error(self, tree: Json) -> BaseException:
        if self.errors is None:
            raise Malformed("no exceptions as values")
        return self.errors[1](tree)

    def decode_own(self, number: Json) -> Any:
        return self._own(number)

    def decode_shared(self, name: Json) -> Any:
        return self._resolve(name)


def _form(kind: type, ancestor: type) -> str:
    """How a value of a subclass crosses. `plain`: as its base value. `home`: that, with a way back to its attributes.
    `live`: it stays where it is, for it has methods that change it or operators of its own.
    """
    steps = kind.__mro__[: kind.__mro__.index(ancestor)]
    own = [step for step in steps if step.__module__ in _OWN_MODULES]
    if ancestor in MUTABLE or any(not _OPERATORS.isdisjoint(step.__dict__) for step in own):
        return "live" if own else "plain"
    return "home" if ancestor in _HOMED and (own or "_fields" in kind.__dict__) else "plain"


_ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "divmod")
_BITS = ("and", "or", "xor", "lshift", "rshift")
_OTHERS = ("eq", "ne", "lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "bool", "call", "enter")
_CONTAINER = ("len", "iter", "next", "getitem", "contains")
_OPERATORS = frozenset(f"__{side}{name}__" for name in _ARITHMETIC + _BITS for side in ("", "r", "i"))
_OPERATORS |= frozenset(f"__{name}__" for name in _OTHERS + _CONTAINER)


def _zone(value: datetime.datetime | datetime.time) -> float | Literal[False] | None:
    """The seconds of a fixed time zone, None for none; False where the zone is of another kind."""
    if value.tzinfo is None:
        return None
    if type(value.tzinfo) is not datetime.timezone:
        return False
    return value.tzinfo.utcoffset(None).total_seconds()


def _encode_moment(codec: Codec, value: Any, depth: int) -> Json:
    zone = _zone(value)
    if zone is False:
        return {"h": codec._export(value)}
    if type(value) is datetime.time:
        return {"ti": [value.hour, value.minute, value.second, value.microsecond, zone, value.fold]}
    day = [value.year, value.month, value.day]
    return {"dt": [*day, value.hour, value.minute, value.second, value.microsecond, zone, value.fold]}


def _decode_moment(make: Callable[..., Any], payload: Json) -> Any:
    *numbers, zone, fold = payload
    zone = None if zone is None else datetime.timezone(datetime.timedelta(seconds=zone))
    return make(*numbers, zone, fold=fold)


def _encode_float_pair(codec: Codec, value: complex, depth: int) -> Json:
    return {"c": [codec.encode(value.real), codec.encode(value.imag)]}


_ENCODERS: dict[type, Encoder] = {
    tuple: lambda codec, value, depth: {"t": codec.encode_items(value, depth)},
    dict: lambda codec, value, depth: {"d": codec.encode_pairs(value.items(), depth)},
    set: lambda codec, value, depth: {"s": codec.encode_items(value, depth)},
    frozenset: lambda codec, value, depth: {"z": codec.encode_items(value, depth)},
    bytes: lambda codec, value, depth: {"b": value.hex()},
    bytearray: lambda codec, value, depth: {"B": value.hex()},
    complex: _encode_float_pair,
    Decimal: lambda codec, value, depth: {"D": str(value)},
    Fraction: lambda codec, value, depth: {"q": [codec.encode(value.numerator), codec.encode(value.denominator)]},
    range: lambda codec, value, depth: {"r": codec.encode_items((value.start, value.stop, value.step), depth)},
    slice: lambda codec, value, depth: {"l": codec.encode_items((value.start, value.stop, value.step), depth)},
    deque: lambda codec, value, depth: {"Q": [codec.encode_items(value, depth), value.maxlen]},
    type({}.keys()): lambda codec, value, depth: {"k": codec.encode_items(value, depth)},
    type({}.values()): lambda codec, value, depth: {"v": codec.encode_items(value, depth)},
    type({}.items()): lambda codec, value, depth: {"y": codec.encode_pairs(value, depth)},
    datetime.datetime: _encode_moment,
    datetime.time: _encode_moment,
    datetime.date: lambda codec, value, depth: {"da": [value.year, value.month, value.day]},
    datetime.timedelta: lambda codec, value, depth: {"td": [value.days, value.seconds, value.microseconds]},
    Counter: lambda codec, value, depth: {"C": codec.encode_pairs(value.items(), depth)},
    OrderedDict: lambda codec, value, depth: {"O": codec.encode_pairs(value.items(), depth)},
    defaultdict: lambda codec, value, depth: {
        "dd": [codec.encode(value.default_factory, depth), codec.encode_pairs(value.items(), depth)]
    },
    pathlib.PosixPath: lambda codec, value, depth: {"pa": str(value)},
    pathlib.PurePosixPath: lambda codec, value, depth: {"pp": str(value)},
    uuid.UUID: lambda codec, value, depth: {"U": value.hex},
    type(...): lambda codec, value, depth: {"e": 0},
    type(NotImplemented): lambda codec, value, depth: {"e": 1},
}

# How a subclass gives up its base value without running any method that it overrides.
_SUBCLASSABLE: dict[type, Callable[[Any], Any]] = {
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


def _integer(value: Any) -> int:
    """A text would do for Fraction, too, and may name a number that fills the memory."""
    if type(value) is not int:
        raise TypeError("a fraction of other than integers")
    return value


_DECODERS: dict[str, Decoder] = {
    "i": lambda codec, payload, depth: int(payload, 16),
    "f": lambda codec, payload, depth: float(payload),
    "t": lambda codec, payload, depth: tuple(codec.decode_items(payload, depth)),
    "d": lambda codec, payload, depth: codec.decode_dict(payload, depth),
    "s": lambda codec, payload, depth: codec.decode_mutable(set, payload, depth),
    "z": lambda codec, payload, depth: frozenset(codec.decode_items(payload, depth)),
    "b": lambda codec, payload, depth: bytes.fromhex(payload),
    "B": lambda codec, payload, depth: codec.decode_bytes(payload),
    "u": lambda codec, payload, depth: codec.decode_mark(payload),
    "c": lambda codec, payload, depth: complex(codec.decode(payload[0]), codec.decode(payload[1])),
    "D": lambda codec, payload, depth: Decimal(payload),
    "q": lambda codec, payload, depth: Fraction(*map(_integer, codec.decode_items(payload, depth))),
    "r": lambda codec, payload, depth: range(*codec.decode_items(payload, depth)),
    "l": lambda codec, payload, depth: slice(*codec.decode_items(payload, depth)),
    "Q": lambda codec, payload, depth: codec.decode_mutable(lambda items: deque(items, payload[1]), payload[0], depth),
    "k": lambda codec, payload, depth: dict.fromkeys(codec.decode_items(payload, depth)).keys(),
    "v": lambda codec, payload, depth: dict(enumerate(codec.decode_items(payload, depth))).values(),
    "y": lambda codec, payload, depth: codec.decode_pairs(payload, depth).items(),
    "C": lambda codec, payload, depth: codec.decode_counter(payload, depth),
    "O": lambda codec, payload, depth: codec._marked(OrderedDict(codec.decode_pairs(payload, depth))),
    "dd": lambda codec, payload, depth: codec.decode_default(payload, depth),
    "pa": lambda codec, payload, depth: pathlib.PosixPath(payload),
    "pp": lambda codec, payload, depth: pathlib.PurePosixPath(payload),
    "U": lambda codec, payload, depth: uuid.UUID(payload),
    "w": lambda codec, payload, depth: codec.decode_home(payload, depth),
    "x": lambda codec, payload, depth: codec.decode_error(payload),
    "dt": lambda codec, payload, depth: _decode_moment(datetime.datetime, payload),
    "ti": lambda codec, payload, depth: _decode_moment(datetime.time, payload),
    "da": lambda codec, payload, depth: datetime.date(*payload),
    "td": lambda codec, payload, depth: datetime.timedelta(*payload),
    "N": lambda codec, payload, depth: codec.decode_array(payload),
    "n": lambda codec, payload, depth: arrays.unpack_scalar(payload),
    "e": lambda codec, payload, depth: ... if payload == 0 else NotImplemented,
    "T": lambda codec, payload, depth: PLAIN_TYPES[payload],
    "S": lambda codec, payload, depth: codec.decode_shared(payload),
    "h": lambda codec, payload, depth: codec.decode_handle(payload),
    "o": lambda codec, payload, depth: codec.decode_own(payload),
}


def base_value(value: Any) -> Any:
    """A value of a subclass as what it is at bottom."""
    for ancestor in type(value).__mro__:
        if ancestor in _SUBCLASSABLE:
            return _SUBCLASSABLE[ancestor](value)
    raise TypeError("no value of a plain kind")
