"""The judge's side of the call protocol against a program that answers with whatever it likes."""

from __future__ import annotations

import json
import resource
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.peer import MAX_FRAME, Gone, Overflow, Peer, Reader, Violation
from sandbox.permissions import permit
from sandbox.proxies import OPERATIONS, RemoteFunction

_NUMBER = "the request's number"
_Frame = dict[str, object] | bytes


@pytest.fixture(autouse=True)
def _judge_depth() -> Iterator[None]:
    """The judge's process allows this much recursion."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)
    yield
    sys.setrecursionlimit(before)


def packed(frame: _Frame, number: object) -> bytes:
    """A frame as it goes over the wire; bytes go as they are."""
    if isinstance(frame, bytes):
        return frame
    body = json.dumps({key: number if value == _NUMBER else value for key, value in frame.items()}).encode()
    return struct.pack("!I", len(body)) + body


@contextmanager
def program(answers: list[list[_Frame]]) -> Iterator[Peer]:
    """The judge's peer; the program sends `answers[n]` after the n-th frame from the judge, then leaves; what is not
    even a frame is its last word (a judge that waits for the rest of one is ended by the runner's deadline)."""
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs:
            try:
                reader = Reader(theirs)
                for frames in answers:
                    number = reader.frame().get("n")
                    for frame in frames:
                        theirs.sendall(packed(frame, number))
                        if isinstance(frame, bytes):
                            return
            except (Gone, Violation, OSError):
                pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Peer(ours, permit=permit)
    finally:
        ours.close()
        thread.join()


def outcome(ask: Callable[[], object]) -> object:
    """What `ask` returns, or the error that the judge knows how to sort; any other error passes through."""
    try:
        return ask()
    except (Gone, Violation, Overflow) as error:
        return type(error)
    except BaseException as error:
        if not hasattr(error, "crossed"):
            raise
        return error


# -- frames that look right --------------------------------------------------------------------------------------------

_TAGS = [*"iftdszbBucDqrlQkvyeTShoNn", "dt", "da", "td", "zz"]
_ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.integers()
    | st.floats()
    | st.sampled_from(
        ["", "0x10", "nan", "ff", "1e999999999", "list", "ValueError", "SystemExit", "builtins:eval", "a"]
    )
    | st.text(st.characters(codec=None), max_size=4)
)
_TREES = st.recursive(
    _ATOMS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.sampled_from(_TAGS).flatmap(lambda tag: inner.map(lambda payload: {tag: payload}))
        | st.sampled_from(_TAGS).flatmap(lambda tag: st.lists(inner, max_size=3).map(lambda items: {tag: items}))
    ),
    max_leaves=12,
)
_KINDS = st.sampled_from(["function", "object", "iterator", "class", "exception", "coroutine", ""])
_NAMES = st.sampled_from(
    ["f", "ValueError", "StopIteration", "KeyboardInterrupt", "UnicodeDecodeError", "\ud800", "é", ""]
)
_HANDLES = st.tuples(st.integers(-1, 3), _KINDS.filter(lambda kind: kind != "coroutine"), _NAMES, _NAMES).map(
    lambda parts: {"h": list(parts)}
)
_VALUES = _HANDLES | _TREES
_ERRORS = st.fixed_dictionaries(
    {},
    optional={
        "name": _NAMES | _ATOMS,
        "base": _NAMES | st.just("TooLarge") | _TREES,
        "text": _ATOMS,
        "args": st.lists(_VALUES, max_size=3) | _VALUES,
        "class": _VALUES,
        "extra": st.lists(st.tuples(_NAMES | st.just("args"), _VALUES), max_size=3) | _VALUES,
        "line": _ATOMS,
    },
)
_MARKS = st.lists(st.tuples(st.integers(-1, 3) | _ATOMS, _VALUES), max_size=3) | _VALUES
_REPLIES = st.fixed_dictionaries({"r": st.just(_NUMBER)}, optional={"v": _VALUES, "e": _ERRORS | _VALUES, "m": _MARKS})
_TARGETS = st.sampled_from([{"o": 0}, {"o": 1}, {"o": 9}, [1], "x"])
_REQUESTS = st.fixed_dictionaries(
    {
        "n": _ATOMS,
        "op": st.sampled_from(sorted(OPERATIONS)) | _ATOMS,
        "a": st.lists(_TARGETS | _VALUES, max_size=3) | _VALUES,
        "k": st.dictionaries(st.sampled_from(["x", "key", "self"]), _VALUES, max_size=2) | _VALUES,
    }
)
_FRAMES = st.one_of(
    _REPLIES,
    _REPLIES,
    _REQUESTS,
    st.dictionaries(st.sampled_from(["r", "v", "e", "m", "n", "op", "a", "k"]), _TREES),
    st.binary(max_size=20),
)


@settings(max_examples=300)
@given(st.lists(st.lists(_FRAMES, min_size=1, max_size=3), min_size=1, max_size=6))
def test_any_answer_is_a_value_or_an_error_of_the_programs(answers: list[list[_Frame]]) -> None:
    """Data, a crossed exception, or one of the three ways in which a program breaks off; no error of the judge."""
    mutable = [1, [2], {"k": {3}}]
    with program(answers) as peer:
        got = outcome(lambda: peer.request("tests", lambda *args: args, mutable))
        if isinstance(got, RemoteFunction):
            outcome(lambda: got(mutable, x=bytearray(b"x")))
        outcome(lambda: peer.request("call", mutable, max))
        assert peer.broken is None or isinstance(peer.broken, Gone | Violation | Overflow)


@settings(max_examples=300)
@given(_REPLIES)
def test_a_reply_never_hangs_the_judge(frame: _Frame) -> None:
    """One reply with the right number: the judge is done with it, whatever it holds."""
    with program([[frame]]) as peer:
        outcome(lambda: peer.request("tests", [1], {2}))


@given(st.lists(_REQUESTS, min_size=1, max_size=5))
def test_what_a_program_may_not_do_it_is_told(requests: list[_Frame]) -> None:
    """Requests in place of an answer are served or refused, one reply each, and none reaches more than it was given."""
    secret = {"expected": 42}
    replies: list[dict[str, object]] = []
    ours, theirs = socket.socketpair()

    def run() -> None:
        with theirs:
            reader = Reader(theirs)
            try:
                reader.frame()
                for frame in requests:
                    theirs.sendall(packed(frame, None))
                    replies.append(reader.frame())
            except (Gone, Violation, OSError):
                pass

    thread = threading.Thread(target=run)
    thread.start()
    outcome(lambda: Peer(ours, permit=permit).request("tests", lambda: secret["expected"] and None))
    ours.close()
    thread.join()
    assert "42" not in json.dumps([reply.get("v") for reply in replies if isinstance(reply.get("v"), str)])
    assert secret == {"expected": 42}


# -- bombs: small frames that would cost much --------------------------------------------------------------------------

_BIG = 10**15
_BOMBS: dict[str, _Frame] = {
    "an endless range as an exception's arguments": {
        "r": _NUMBER,
        "e": {"name": "E", "base": "ValueError", "text": "", "args": {"r": [0, _BIG]}},
    },
    "a fraction with an exponent": {"r": _NUMBER, "v": {"q": ["1e999999999", None]}},
    "a decimal with an exponent": {"r": _NUMBER, "v": {"D": "1e999999999"}},
    "a line number without an end": {
        "r": _NUMBER,
        "e": {"name": "E", "base": "ValueError", "text": "", "line": float("inf")},
    },
    "a range as a list's new content": {"r": _NUMBER, "v": 1, "m": [[0, {"r": [0, _BIG]}]]},
    "a range as extra attributes": {
        "r": _NUMBER,
        "e": {"name": "E", "base": "ValueError", "text": "", "extra": {"r": [0, _BIG]}},
    },
    "a deque of a huge length": {"r": _NUMBER, "v": {"Q": [[1], _BIG]}},
    "an array of a huge shape": {"r": _NUMBER, "v": {"N": ["<f8", [_BIG, _BIG], ""]}},
    "an empty array of a huge shape": {"r": _NUMBER, "v": {"N": ["<f8", [_BIG, 0], ""]}},
    "an array of no kind": {"r": _NUMBER, "v": {"N": ["|V0", [1], ""]}},
    "a scalar of nothing": {"r": _NUMBER, "v": {"n": ["<U0", [], ""]}},
    "an integer of a million digits": b"",
    "a frame of 4 GiB": struct.pack("!I", (1 << 32) - 1),
    "a frame above the limit": struct.pack("!I", MAX_FRAME + 1),
    "half a frame": struct.pack("!I", MAX_FRAME) + b"[" * 1000,
    "brackets": struct.pack("!I", 1 << 20) + b"[" * (1 << 20),
    "objects in objects": struct.pack("!I", 6 * 40_000) + b'{"t":[' * 40_000,
    "not even bytes of text": struct.pack("!I", 4) + b"\xff\xfe\x00\x01",
}
_BOMBS["an integer of a million digits"] = struct.pack("!I", 1_000_007) + b'{"r": ' + b"9" * 1_000_000 + b"}"


@pytest.mark.parametrize("name", _BOMBS)
def test_bombs(name: str) -> None:
    """A small frame costs the judge neither time nor memory."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    with program([[_BOMBS[name]]]) as peer:
        outcome(lambda: peer.request("tests", [1]))
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_utime - before.ru_utime < 5
    assert after.ru_maxrss - before.ru_maxrss < 100 << 10  # KiB


def test_deep_replies_are_refused() -> None:
    """Deeper than any honest value goes, but not too deep for a JSON reader."""
    tree: object = 1
    for _ in range(900):
        tree = {"t": [tree]}
    with program([[{"r": _NUMBER, "v": tree}]]) as peer:
        assert outcome(lambda: peer.request("global", "f")) is Violation


def test_an_endless_iterator_is_taken_one_by_one() -> None:
    """The judge takes as many items as the test asks for."""
    ones: list[list[_Frame]] = [[{"r": _NUMBER, "v": 1}] for _ in range(5)]
    with program([[{"r": _NUMBER, "v": {"h": [0, "iterator", "generator", ""]}}], *ones]) as peer:
        assert [1, 1, 1] == list(islice(peer.request("global", "f"), 3))
