"""What crosses between the tests and the program arrives as plain data by base value."""

from __future__ import annotations

import contextlib
import datetime
import enum
import json
import math
import pathlib
import uuid
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.types import Json
from sandbox import changes
from sandbox.codec import Codec, Malformed, Marks, TooLarge
from sandbox.shared import shared_name, shared_value

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


class _Stack(list[int]):
    __module__ = "candidate"

    def push(self, item: int) -> None:
        self.append(item)


class _Odd(int):
    __module__ = "candidate"

    def __add__(self, other: int) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (_Number(7), 7),
        (_Text("a"), "a"),
        (_Text(""), ""),
        (_Colour.RED, 2),
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


def exporting(exported: list[object]) -> Codec:
    def export(value: object) -> list[object]:
        exported.append(value)
        return [len(exported) - 1, "object", type(value).__name__, ""]

    return Codec(export, None, None, lambda value: None, shared_name, shared_value)


class _Zone(datetime.tzinfo):
    """A zone with rules of its own."""


def test_own_time_zones_stay_where_they_are() -> None:
    """A value that is not plain is exported as a handle."""
    exported: list[object] = []
    moment = datetime.datetime(2020, 1, 1, tzinfo=_Zone())
    assert exporting(exported).encode(moment) == {"h": [0, "object", "datetime", ""]}
    assert [moment] == exported


def test_containers_of_the_standard_library_keep_their_kind() -> None:
    """A Counter still counts, a defaultdict still makes what is missing, an OrderedDict still has an order."""
    counter = across(Counter("aab"))
    assert isinstance(counter, Counter)
    assert [("a", 2)] == counter.most_common(1)
    default = across(defaultdict(list, a=[1]))
    assert isinstance(default, defaultdict)
    assert ([1], []) == (default["a"], default["b"])
    ordered = across(OrderedDict(b=1, a=2))
    assert isinstance(ordered, OrderedDict)
    assert OrderedDict(b=1, a=2) == ordered
    assert OrderedDict(a=2, b=1) != ordered


def test_moments_paths_and_names_are_plain() -> None:
    """Fixed time zones, times, paths and UUIDs are values."""
    east = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    values = [
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6, east, fold=1),
        datetime.time(1, 2, 3, 4, datetime.UTC),
        datetime.time(1, 2),
        pathlib.PurePosixPath("a/b"),
        uuid.UUID(int=5),
    ]
    found = across(values)
    assert values == found
    assert repr(values) == repr(found)


@pytest.mark.parametrize(("value", "kind"), [(_Point(1, 2), "home"), (_Stack([1]), "value"), (_Odd(3), "value")])
def test_values_with_a_life_of_their_own(value: object, kind: str) -> None:
    """A namedtuple has attributes, a list of an own class has methods, an int of an own class has operators."""
    exported: list[object] = []
    writer = exporting(exported)
    writer.live = True
    tree = writer.encode(value)
    described = tree["w"][1] if kind == "home" else tree["h"]
    assert kind == described[1]
    assert exported == [value]


def test_numbers_of_other_kinds() -> None:
    """Exact numbers stay exact."""
    assert [Decimal("1.10"), Fraction(1, 3), 3**500, True] == across([Decimal("1.10"), Fraction(1, 3), 3**500, True])


_ARRAYS = (
    np.arange(6).reshape(2, 3),
    np.arange(6).reshape(2, 3).T,
    np.array([1.5, math.nan, -0.0, math.inf]),
    np.array([True, False]),
    np.array(["a", "", "żółw"]),
    np.array([b"ab", b"c"]),
    np.array([1 + 2j], "complex64"),
    np.array(["2024-01-31"], "datetime64[D]"),
    np.zeros((0, 3)),
    np.array(7, "uint8"),
    np.array([1, 2], ">i2"),
)


@pytest.mark.parametrize("array", _ARRAYS, ids=str)
def test_arrays_survive(array: Any) -> None:
    """Arrays of numbers, texts and times arrive equal, with their type and shape, and can be changed."""
    arrived = cast(Any, across([array]))[0]
    assert (np.ndarray, array.dtype, array.shape) == (type(arrived), arrived.dtype, arrived.shape)
    np.testing.assert_array_equal(array, arrived)
    assert arrived.flags.writeable


@pytest.mark.parametrize(
    "scalar", [np.int64(3), np.float64(0.5), np.float32(0.5), np.bool_(True), np.str_("a"), np.str_(""), np.uint8(255)]
)
def test_scalars_survive(scalar: Any) -> None:
    """numpy's scalars keep their type: they compare as numbers and are no ints, as without a wall."""
    assert scalar == across(scalar)
    assert type(scalar) is type(across(scalar))


class _Agreeing(np.ndarray):
    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        return True


@pytest.mark.parametrize(
    "value", [np.zeros(2).view(_Agreeing), np.array([object()]), np.array([(1, 2.0)], "i4,f8"), np.ma.array([1])]
)
def test_other_arrays_stay(value: Any) -> None:
    """Subclasses and arrays of objects do not cross as data: they would bring the program's own methods."""
    with pytest.raises(ValueError, match="a handle for"):
        codec().encode(value)


@pytest.mark.parametrize(
    "payload",
    [
        ["O", [1], ""],
        ["|O", [1], "AAAAAAAAAAA="],
        ["<i8", [2], "AAAAAAAAAAA="],
        ["<i8", [-1], "AAAAAAAAAAA="],
        ["<i8", [True], "AAAAAAAAAAA="],
        ["<i8", 1, "AAAAAAAAAAA="],
        ["<i8", [1] * 33, "AAAAAAAAAAA="],
        ["<i8", [1], "*"],
        ["<i8", [1], None],
        ["|S0", [1 << 40], ""],
        ["<i8,<i8", [1], ""],
        ["<i8\n", [1], "AAAAAAAAAAA="],
        [],
        3,
    ],
)
def test_malformed_arrays(payload: Json) -> None:
    """What `pack` never makes is refused before numpy sees it or memory is taken."""
    for tag in ("N", "n"):
        with pytest.raises(Malformed):
            codec().decode({tag: payload})


def test_a_truth_value_is_true_or_false() -> None:
    """A byte that is neither becomes true; it cannot be a third thing."""
    assert [True, False, True] == cast(Any, codec().decode({"N": ["|b1", [3], "AgAB"]})).tolist()


def test_changed_arrays_are_told_apart_and_refilled() -> None:
    """What the program changed in an argument is changed in the tests' own array."""
    mine = np.array([[1.0, math.nan], [3.0, 4.0]])
    before = changes.snapshot(mine)
    assert not changes.differs(before, mine)
    changed = mine.copy()
    changed[0, 0] = 9
    assert changes.differs(before, changed)
    changes.refill(mine, changed)
    np.testing.assert_array_equal(changed, mine)
    with pytest.raises(TypeError):
        changes.refill(mine, np.zeros(3))


def test_marks_keep_the_identity_of_arrays() -> None:
    """An array that was sent and comes back is the tests' own."""
    array = np.arange(3)
    there, here = Marks(), Marks()
    writer, reader = codec(), codec()
    writer.mark(here, collecting=True)
    reader.mark(there, collecting=True)
    arrived = reader.decode(json.loads(json.dumps(writer.encode([array, array]))))
    assert arrived[0] is arrived[1]
    reader.mark(there, collecting=False)
    writer.mark(here, collecting=False)
    assert writer.decode(reader.encode(arrived[0])) is array
