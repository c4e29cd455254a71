"""Requests and replies over a socket, the same on both sides of the wall.

A frame is four bytes of length and JSON. A request carries a random number that its reply must repeat. While a side
waits for a reply it serves the other side's requests, so a function passed as an argument can be called back.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import struct

from . import changes, exceptions, proxies
from .codec import Codec, Malformed, Marks, TooLarge
from .operations import OPERATIONS
from .shared import shared_name, shared_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn, TypeAlias

    from .codec import Handle, Json

    Permit: TypeAlias = Callable[[str, list[Any], list[Any]], None]

MAX_FRAME = 8 << 20
_HEADER = struct.Struct("!I")
_MOST_BYTES = 1 << 18
_AHEAD_BYTES = 1 << 12
"""Room that is asked for to read ahead: a program that has hardly any memory left must still be able to answer."""
_dumps = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
_loads = json.loads


class Gone(BaseException):
    """The other side is not there any more. No test may swallow it."""


class Violation(BaseException):
    """The other side broke the protocol. No test may swallow it."""


class Overflow(BaseException):
    """The other side's answer was larger than a frame may be."""


def send_frame(channel: socket.socket, tree: Json) -> None:
    """Write one frame. Raises TooLarge, Gone."""
    body = _dumps(tree).encode("ascii")
    if len(body) > MAX_FRAME:
        raise TooLarge(f"larger than {MAX_FRAME >> 20} MiB")
    try:
        channel.sendall(_HEADER.pack(len(body)) + body)
    except OSError:
        raise Gone from None


class Reader:
    """Reads frames from a channel. It reads ahead: most frames then cost one system call."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._ahead = b""

    def frame(self) -> dict[str, Json]:
        """The next frame. Raises Gone, Violation."""
        (size,) = _HEADER.unpack(self._take(4))
        if size > MAX_FRAME:
            raise Violation(f"a frame of {size} bytes was announced")
        body = self._take(size)
        try:
            tree = _loads(body)
        except (ValueError, RecursionError):
            raise Violation("a frame that is not JSON") from None
        if type(tree) is not dict:
            raise Violation("a frame that is no object")
        return tree

    def _take(self, size: int) -> bytes:
        data = self._ahead
        if len(data) < size:
            data = self._filled(data, size)
        self._ahead = data[size:]
        return data[:size]

    def _filled(self, data: bytes, size: int) -> bytes:
        pieces, left = [data], size - len(data)
        while left > 0:
            try:
                piece = self._channel.recv(max(min(left, _MOST_BYTES), _AHEAD_BYTES))
            except OSError:
                raise Gone from None
            if not piece:
                raise Gone
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


def _not_shared(value: Any) -> None:
    """The program names no builtins to the tests: they would act in the tests' process."""


def _stray(error: Any) -> RuntimeError:
    stray = RuntimeError(f"{type(error).__name__} outside of an iterator")
    stray.crossed = error.crossed  # type: ignore[attr-defined]
    return stray


class Peer:
    """One side. `permit(op, target, args)` raises PermissionError for what the other side may not do to our objects.

    `extra` adds operations (name → function) to those of `operations.OPERATIONS`. `guarded`: see `proxies.Remote`.
    """

    def __init__(
        self,
        channel: socket.socket,
        permit: Permit | None = None,
        extra: dict[str, Callable[..., Any]] | None = None,
    ) -> None:
        self._channel = channel
        self._reader = Reader(channel)
        self._permit = permit
        self._operations = dict(OPERATIONS, **(extra or {}))
        self._exported: list[Any] = []
        self._numbers: dict[int, int] = {}  # id → number
        self._adopted: dict[int, Any] = {}
        self._named: dict[str, Any] = {}
        self._lock: Any = _thread.RLock()  # `threading` would run code of its own in every fork
        self.broken: BaseException | None = None
        self.guarded = permit is not None
        self.entry_point: str | None = None
        self.plain = True  # nothing but plain data and functions came from the other side, and it asked for nothing
        self.codec = Codec(
            export=self._export,
            adopt=self._adopt,
            own=self._own,
            number_of=self._number_of,
            share=shared_name if permit is not None else _not_shared,
            resolve=self._resolve,
        )
        self.codec.errors = (self._error_out, self._error_in)
        self.codec.live = permit is None

    def _error_out(self, error: BaseException) -> Json:
        return exceptions.exception_to(self, error)

    def _error_in(self, tree: Json) -> BaseException:
        return exceptions.exception_from(self, tree)

    # -- objects that stay on one side ---------------------------------------------------------------------------

    def _export(self, value: Any) -> Handle:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._exported)
            self._exported.append(value)
        return proxies.describe(number, value)

    def _own(self, number: Json) -> Any:
        if type(number) is not int or not 0 <= number < len(self._exported):
            raise Malformed(f"no object has the number {number!r}")
        return self._exported[number]

    def _adopt(self, payload: Json, base: Any = None) -> Any:
        number, kind, name, ancestor = payload
        if type(number) is not int or not (type(kind) is type(name) is type(ancestor) is str):
            raise Malformed("a handle that describes nothing")
        found = self._adopted.get(number)
        self.plain = self.plain and kind == "function"
        if found is None:
            found = self._adopted[number] = proxies.stand_in(self, number, kind, name[:100], ancestor, base)
        return found

    def _number_of(self, value: Any) -> int | None:
        return proxies.number_of(self, value)

    def _resolve(self, name: Json) -> Any:
        if self._permit is not None:  # the tests' side takes no functions by name from the program
            raise Malformed("functions do not cross by name in this direction")
        return shared_value(name)

    # -- asking ----------------------------------------------------------------------------------------------------

    def request(self, op: str, *args: Any, **keywords: Any) -> Any:
        """Have the other side do `op` and return what came of it; what it raised is raised here."""
        number = os.urandom(8).hex()
        with self._lock:
            if self.broken is not None:
                raise self.broken
            try:
                value = self._ask(number, op, args, keywords)
            except (Gone, Violation, Overflow) as error:
                self.broken = error
                raise
            except (StopIteration, StopAsyncIteration) as error:
                if self._may_stop(op, args):
                    raise
                raise _stray(error) from None
        if op == "global":
            self._note_name(args[0], value)
        return value

    def _note_name(self, name: str, value: Any) -> None:
        """The tests named something of the program; once it is a class, its operators are among what they test.

        Not so an entry point that the tests only call: `Diff(3)` may be a function, whatever a program makes of it.
        """
        self._named[name] = value
        if type(value) is proxies.Remote and name[:1].isupper() and name != self.entry_point:
            self.guarded = False

    def _may_stop(self, op: str, args: tuple[Any, ...]) -> bool:
        """Only an iterator's end is an end: a function's StopIteration must not cut a loop of the tests short."""
        return (
            self._permit is None
            or op == "next"
            or (op == "call" and all(args[0] is not one for one in self._named.values()))
        )

    def _ask(self, number: str, op: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        marks = Marks()
        self.codec.mark(marks, collecting=True)
        encode = self.codec.encode
        trees = [encode(arg) for arg in args]
        pairs = {key: encode(value) for key, value in keywords.items()}
        send_frame(self._channel, {"n": number, "op": op, "a": trees, "k": pairs})
        while True:
            frame = self._reader.frame()
            if "op" in frame:
                self._serve(frame)
                continue
            if frame.get("r") != number:
                raise Violation("a reply that answers no question")
            return self._accept(frame, marks)

    def _accept(self, frame: dict[str, Json], marks: Marks) -> Any:
        self.codec.mark(marks, collecting=False)
        try:
            for number, tree in frame.get("m", ()):
                changes.refill(self.codec.decode_mark(number), self.codec.decode(tree))
            if "e" in frame:
                error = exceptions.exception_from(self, frame["e"])
            else:
                return self.codec.decode(frame["v"])
        except (Malformed, LookupError, TypeError, ValueError, AttributeError, RecursionError) as reason:
            raise Violation(f"a reply that cannot be read: {reason}") from None
        if isinstance(error, TooLarge):
            raise Overflow(str(error))
        raise error

    # -- answering -----------------------------------------------------------------------------------------------

    def serve(self) -> NoReturn:
        """Answer until the other side is gone."""
        while True:
            with self._lock:
                self._serve(self._reader.frame())

    def _serve(self, frame: dict[str, Json]) -> None:
        self.plain = False
        reply: dict[str, Json] = {"r": frame.get("n")}
        try:
            self._perform(frame, reply)
        except (Gone, Violation, Overflow):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the side that asked
            reply.pop("v", None)
            reply["e"] = exceptions.exception_to(self, error)
        try:
            send_frame(self._channel, reply)
        except TooLarge as error:
            send_frame(self._channel, {"r": reply["r"], "e": exceptions.exception_to(self, error)})

    def _perform(self, frame: dict[str, Json], reply: dict[str, Json]) -> None:
        codec, marks = self.codec, Marks()
        codec.mark(marks, collecting=True)
        try:
            args = [codec.decode(tree) for tree in frame["a"]]
            keywords = {key: codec.decode(tree) for key, tree in frame["k"].items()}
            function = self._operations[frame["op"]]
        except (Malformed, KeyError, TypeError, AttributeError) as error:
            raise Violation(f"a request that cannot be read: {error}") from None
        before = [changes.snapshot(value) for value in marks.known]
        if self._permit is not None:
            self._permit(frame["op"], args, self._exported)
        try:
            with self._unlocked():
                value = function(*args, **keywords)
        finally:
            codec.mark(marks, collecting=False)
            changed = [number for number, value in enumerate(marks.known) if changes.differs(before[number], value)]
            if changed:
                reply["m"] = [[number, self._content(marks.known[number])] for number in changed]
        reply["v"] = codec.encode(value)

    @contextlib.contextmanager
    def _unlocked(self) -> Iterator[None]:
        """While the program's own function runs, its threads may ask the tests' side too."""
        if self._permit is not None:
            yield
            return
        depth = self._lock._release_save()
        try:
            yield
        finally:
            self._lock._acquire_restore(depth)

    def _content(self, value: Any) -> Json:
        return self.codec.encode_content(value, type(value))
