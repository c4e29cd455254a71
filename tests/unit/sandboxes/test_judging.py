"""The tests' side of a program, against an honest and a hostile program in a thread."""

from __future__ import annotations

import enum
import socket
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import sites
from sandbox.peer import Gone, Overflow, Peer, Violation, send_frame
from sandbox.permissions import permit
from sandbox.sites import bound_names, rewrite_asserts, short


@contextmanager
def peers(namespace: dict[str, object]) -> Iterator[Peer]:
    """The tests' peer, connected to one that looks names up in `namespace`."""
    ours, theirs = socket.socketpair()
    there = Peer(theirs, extra={"global": namespace.__getitem__})

    def serve() -> None:
        with pytest.raises(Gone):
            there.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield Peer(ours, permit=permit)
    finally:
        ours.close()
        thread.join()


def test_functions_values_and_errors_cross() -> None:
    """A function can be called with arguments and keywords; what it raises is raised here under its own class."""

    class Odd(ValueError):
        pass

    def function(x: int, *, y: int = 0) -> tuple[int, int]:
        if x < 0:
            raise Odd("below")
        return x, y

    with peers({"f": function, "Odd": Odd}) as peer:
        there, odd = peer.request("global", "f"), peer.request("global", "Odd")
        assert there(1, y=5) == (1, 5)
        with pytest.raises(odd, match="below"):
            there(-1)
        with pytest.raises(ValueError, match="below"):
            there(-1)
        with pytest.raises(KeyError):
            peer.request("global", "missing")


def test_equality_with_plain_values_is_decided_here() -> None:
    """An object that always agrees equals nothing of ours."""

    class Yes:
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = None  # type: ignore[assignment]

    with peers({"f": Yes}) as peer:
        yes = peer.request("global", "f")()
        assert [yes == 4, yes != 4, yes in [4], 4 in [yes]] == [False, True, False, False]


class _Liar:
    """What answers every question about a plain value with what would please."""

    def __sub__(self, other: object) -> float:
        return 0.0

    __rsub__ = __and__ = __rand__ = __mod__ = __sub__

    def __lt__(self, other: object) -> bool:
        return True

    __le__ = __gt__ = __ge__ = __contains__ = startswith = __lt__


@pytest.mark.parametrize(
    "question",
    [
        "abs(f() - 1.5) < 1e-6",
        "abs(1.5 - f()) < 1e-6",
        "f() < 5",
        "5 < f() < 7",
        "4 in f()",
        "not f() & {1}",
        "f() % 2 == 0",
        "f().startswith('a')",
    ],
)
def test_objects_of_a_function_are_told_nothing(question: str) -> None:
    """A plain value of the tests does not cross to an operator of the program; where a class is tested it does."""
    with peers({"f": lambda: _Liar(), "Liar": _Liar}) as peer:
        names = {"f": peer.request("global", "f")}
        with pytest.raises((TypeError, AttributeError)):
            eval(question, names)
        names["f"] = peer.request("global", "Liar")
        assert eval("f() - 1.5 == 0.0 and 4 in f() and f() < 5", names) is True


def test_a_function_cannot_end_a_loop_of_the_tests() -> None:
    """StopIteration is an end only where it comes from an iterator."""

    def stop(x: int) -> int:
        raise StopIteration

    with peers({"f": stop, "g": lambda: iter([1])}) as peer:
        there = peer.request("global", "f")
        with pytest.raises(RuntimeError, match="StopIteration outside of an iterator"):
            list(map(there, [1, 2]))
        assert [1] == list(peer.request("global", "g")())


def test_values_of_own_classes() -> None:
    """At bottom they are plain values, for everything else they are asked."""
    pair = namedtuple("pair", "x y")

    class Stack(list[int]):
        __module__ = "candidate"

        def push(self, item: int) -> None:
            self.append(item)

        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    class Colour(enum.IntEnum):
        RED = 2

    Colour.__module__ = "candidate"
    with peers({"pair": lambda: pair(1, 2), "stack": Stack, "colour": lambda: Colour.RED}) as peer:
        found = peer.request("global", "pair")()
        assert (found, found.x, found.y, repr(found)) == ((1, 2), 1, 2, "pair(x=1, y=2)")
        stack = peer.request("global", "stack")()
        stack.push(3)
        assert (stack == [3], stack == [4], stack != [3], len(stack), isinstance(stack, list)) == (
            True,
            False,
            False,
            1,
            True,
        )
        colour = peer.request("global", "colour")
        assert (colour().name, colour() == 2, colour() is colour()) == ("RED", True, True)


def test_unequal_to_an_array_is_an_array() -> None:
    """Equal and unequal answer item by item, as the list, tuple ... at bottom does."""

    class Stack(list[int]):
        __module__ = "candidate"

    with peers({"stack": lambda: Stack([1, 2])}) as peer:
        stack = peer.request("global", "stack")()
        ours = np.array([1, 3])
        assert ([True, False], [False, True]) == ((stack == ours).tolist(), (stack != ours).tolist())


def test_threads_of_the_program_may_call_back() -> None:
    """While a function of the program waits for its own threads, these may ask the tests' side."""

    def everywhere(function: Callable[[int], int], items: list[int]) -> list[int]:
        with ThreadPoolExecutor(3) as pool:
            return list(pool.map(function, items))

    with peers({"f": everywhere}) as peer:
        assert [2, 3, 4, 5] == peer.request("global", "f")(lambda item: item + 1, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("getattr", ["__globals__"]),
        ("getattr", ["__code__"]),
        ("setattr", ["x", 1]),
        ("repr", []),
        ("hash", []),
        ("await", []),
        ("enter", []),
    ],
)
def test_a_program_may_only_call_functions(op: str, args: list[object]) -> None:
    """Everything else about a function of the tests is refused."""

    def secret() -> int:
        return 1

    with pytest.raises(PermissionError):
        permit(op, [secret, *args], [secret])


def test_a_program_may_not_call_what_was_not_handed_over() -> None:
    """Only exported functions can be called."""
    with pytest.raises(PermissionError):
        permit("call", [eval, "1"], [len])
    permit("call", [len, []], [len])


@pytest.mark.parametrize("name", ["__class__", "__dict__", "_private"])
def test_underscores_are_private(name: str) -> None:
    """Of an object made from the tests' classes, only public attributes are offered."""
    link = type("Link", (), {"__module__": "tests"})()
    permit("getattr", [link, "value"], [link])
    with pytest.raises(PermissionError):
        permit("getattr", [link, name], [link])


def reply(answer: Callable[[socket.socket], object]) -> object:
    """What a request comes to when the other side answers by `answer`."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=lambda: (answer(theirs), theirs.close()))
    thread.start()
    try:
        return Peer(ours, permit=permit).request("global", "f")
    finally:
        ours.close()
        thread.join()


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_violation_or_an_end(data: bytes) -> None:
    """Nothing that a program writes on the channel breaks the tests' side."""
    with pytest.raises((Violation, Gone)):
        reply(lambda theirs: theirs.sendall(data))


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from("rvemsuhoTSdntkop") | st.just("op"), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["r", "v", "e", "m", "n", "op", "a", "k"]), _TREES))
def test_random_frames_are_a_violation_or_an_end(tree: dict[str, object]) -> None:
    """A well-formed frame with the wrong number or any content is refused."""
    with pytest.raises((Violation, Gone)):
        reply(lambda theirs: send_frame(theirs, tree))


def test_a_giant_result_is_told_apart() -> None:
    """It is neither a wrong answer nor a broken protocol."""
    with peers({"f": lambda: "x" * (9 << 20)}) as peer, pytest.raises(Overflow):
        peer.request("global", "f")()


def test_assert_sites() -> None:
    """Every assert is a site with its text; those that may honestly stay unreached are not required."""
    source = (
        "def check(candidate):\n"
        "    assert candidate(1) == 1\n"
        "    for n in range(3):\n"
        "        assert candidate(n) == n\n"
        "    try:\n"
        "        candidate('a')\n"
        "        assert False\n"
        "    except TypeError:\n"
        "        pass\n"
    )
    _, sites = rewrite_asserts(source, "<tests>")
    expected = [("assert candidate(1) == 1", True), ("assert candidate(n) == n", True), ("assert False", False)]
    assert expected == [(site.label, site.required) for site in sites]


def test_bound_names() -> None:
    """What a setup gives to whoever runs after it."""
    assert bound_names("import math, numpy as np\nx = 1\ndef f(): pass\nclass C: pass") == ["C", "f", "math", "np", "x"]


def test_short_is_short_and_quick() -> None:
    """Neither a long list nor an integer of a million digits fills a message."""
    assert short(1 << 3_000_000) == "<int of 3000001 bits>"
    assert len(short(["x" * 1000] * 3)) // 3 < 200


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        (["assert abs(Area(3) - 28.27) < 1e-6"], "Area"),
        (["x = Area(3)\nassert x == 4"], "Area"),
        (["x = Area(3)\nassert x.size == 4"], None),
        (["assert Area(3).size() == 4"], None),
        (["assert Area.of(3) == 4"], None),
        (["assert math.isclose(Area(3), other.size)"], "Area"),
        (["this does not compile ("], "Area"),
    ],
)
def test_an_entry_point_that_is_used_as_a_class(tests: list[str], expected: str | None) -> None:
    """By the attributes of its objects; a capital letter alone says nothing."""
    assert expected == sites.only_called(tests, "Area")
    assert sites.only_called([test.replace("Area", "area") for test in tests], "area") == "area"
