"""What crosses between the tests and the program arrives as plain data by base value."""

from __future__ import annotations

import contextlib
import datetime
import enum
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.types import Json
from sandbox.codec import Codec, Malformed, Marks, TooLarge, shared_name, shared_value

_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.datetimes()
    | st.dates()
    | st.timedeltas()
)
_HASHABLE = st.recursive(
    _SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4), max_leaves=5
)
_VALUES = st.recursive(
    _HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(_HASHABLE, inner, max_size=5)
        | st.sets(_HASHABLE, max_size=5)
        | st.lists(inner, max_size=3).map(deque)
        | st.binary().map(bytearray)
    ),
    max_leaves=12,
)


def codec() -> Codec:
    def refuse(value: object) -> object:
        raise ValueError(f"a handle for {value!r}")

    return Codec(refuse, refuse, refuse, lambda value: None, shared_name, shared_value)


def across(value: object) -> object:
    """The value after a trip through JSON text."""
    return codec().decode(json.loads(json.dumps(codec().encode(value))))


def types_of(value: object) -> object:
    """The types of a value, all the way down."""
    if isinstance(value, dict):
        return dict, [(types_of(key), types_of(item)) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return type(value), [types_of(item) for item in value]
    return type(value)


@given(_VALUES)
def test_plain_data_survives(value: object) -> None:
    """Any nesting of plain data arrives equal and of the same types."""
    assert value == across(value)
    assert types_of(value) == types_of(across(value))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_tree_breaks_the_reader(tree: Json) -> None:
    """Whatever JSON the other side sends, decoding gives a value or Malformed."""
    reader = codec()
    with contextlib.suppress(Malformed):
        reader.decode(tree)


def test_special_floats() -> None:
    """NaN, infinities and the negative zero are told apart."""
    assert math.isnan(across(math.nan))  # type: ignore[arg-type]
    assert [math.inf, -math.inf, "-0.0"] == [across(math.inf), across(-math.inf), str(across(-0.0))]


class _Number(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class _Text(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class _Colour(enum.IntEnum):
    RED = 2


_Point = namedtuple("_Point", "x y")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (_Number(7), 7),
        (_Text("a"), "a"),
        (_Text(""), ""),
        (_Colour.RED, 2),
        (_Point(1, 2), (1, 2)),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        ([_Number(1), {"k": _Text("v")}], [1, {"k": "v"}]),
    ],
)
def test_subclasses_arrive_as_their_base(value: object, expected: object) -> None:
    """No method that the program defined crosses with its value."""
    assert types_of(expected) == types_of(across(value))
    assert expected == across(value)


def test_views_ranges_and_builtins() -> None:
    """What builtins return is as usable on the other side."""
    views = {"a": 1}
    assert views.keys() == across(views.keys())
    assert list(across(views.values())) == [1]  # type: ignore[call-overload]
    assert range(1, 9, 2) == across(range(1, 9, 2))
    assert slice(1, None, 2) == across(slice(1, None, 2))
    assert [len, str.upper, math.sqrt, int, ValueError] == [
        across(item) for item in (len, str.upper, math.sqrt, int, ValueError)
    ]
    assert ... is across(...)


@pytest.mark.parametrize("value", [[0] * 2_000_001, "deep"])
def test_too_large(value: object) -> None:
    """What would not fit, or is nested without end, is refused before it is copied."""
    if value == "deep":
        value = nested = []
        nested.append(nested)
    with pytest.raises(TooLarge):
        codec().encode(value)


@pytest.mark.parametrize(
    "tree", [{}, {"t": 1}, {"x": 1}, {"a": 1, "b": 2}, {"s": [[1]]}, {"i": "zz"}, {"q": [1, 0]}, {"u": -1}, {"d": 3}]
)
def test_malformed(tree: Json) -> None:
    """A tree that no honest peer sends is told apart from a value."""
    with pytest.raises(Malformed):
        codec().decode(tree)


def test_marks_keep_identity() -> None:
    """A list that was sent comes back as itself, also from inside of something new; two names for one stay one."""
    inner: list[int] = [3]
    sent = [inner, inner, defaultdict(list)]
    ours, theirs = Marks(), Marks()
    sender, receiver = codec(), codec()
    sender.mark(ours, True)
    receiver.mark(theirs, True)
    got = receiver.decode(sender.encode(sent))
    assert got[0] is got[1]
    receiver.mark(theirs, False)
    answer = receiver.encode({"new": got[0], "dict": got[2]})
    sender.mark(ours, False)
    back = sender.decode(answer)
    assert back["new"] is inner
    assert back["dict"] is sent[2]


def test_time_zones_stay_where_they_are() -> None:
    """A value that is not plain is exported as a handle."""
    exported: list[object] = []

    def export(value: object) -> list[object]:
        exported.append(value)
        return [0, "object", "datetime", ""]

    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    writer = Codec(export, None, None, lambda value: None, shared_name, shared_value)
    assert writer.encode(moment) == {"h": [0, "object", "datetime", ""]}
    assert [moment] == exported


def test_numbers_of_other_kinds() -> None:
    """Exact numbers stay exact."""
    assert [Decimal("1.10"), Fraction(1, 3), 3**500, True] == across([Decimal("1.10"), Fraction(1, 3), 3**500, True])
