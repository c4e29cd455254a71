"""The host's side against containers that say whatever they like: from the engine's socket to the future's result."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any
from unittest.mock import MagicMock, patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Program, Void
from evalkit.sandboxes import container, docker, engine
from evalkit.sandboxes.messages import PROTOCOL, BadReply, job_line, read_ready, read_result

_ANYTHING = st.text(st.characters(codec=None))
_Talk = Callable[[socket.socket, "list[Move]"], None]
Move = tuple[str, Any]


# -- lines -------------------------------------------------------------------------------------------------------------

_GOOD: dict[str, object] = {
    "id": 1,
    "outcome": "wrong_answer",
    "exception": "KeyError",
    "message": "m",
    "tests": [[True, "assert a", ""], [False, "assert b", "no"]],
    "stdout": "out",
    "stderr": "err",
    "wall_s": 0.5,
    "cpu_s": 0.25,
    "peak_mb": 3.5,
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _ANYTHING,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(_GOOD)), inner, max_size=3),
    max_leaves=6,
)
_CHANGES = st.dictionaries(st.sampled_from([*_GOOD, "void", "ready", "python", "other"]), _JSON, max_size=3)
_PROGRAM = Program(key="k", code="x = 1", tests=("assert x",))


def read(line: bytes, number: int = 1) -> Execution | Void | None:
    """The result; None where the line is refused. Anything else that is raised is a defect."""
    try:
        return read_result(line, number, _PROGRAM)
    except BadReply:
        return None


@given(_CHANGES, st.sampled_from(sorted(_GOOD)) | st.none())
def test_a_changed_reply_is_read_or_refused(changes: dict[str, object], without: str | None) -> None:
    """Any field with any value, or missing: an execution of this program, a void of it, or BadReply."""
    tree = {key: value for key, value in {**_GOOD, **changes}.items() if key != without}
    result = read(json.dumps(tree).encode())
    assert result is None or result.key == "k"
    with contextlib.suppress(BadReply):
        read_ready(json.dumps(tree).encode())


@given(st.integers(0, 400), st.integers(0, 400), st.binary(max_size=6))
def test_damaged_bytes_are_read_or_refused(start: int, length: int, other: bytes) -> None:
    """A reply that lost bytes, got others, or broke off."""
    line = json.dumps(_GOOD).encode()
    read(line[:start] + other + line[start + length :])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[" * 1_000_000,
        b'{"id": 1, "other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id": ' + b"9" * 100_000 + b"}",
        b'{"id": 1e999}',
        b'{"id": 1, "wall_s": NaN}',
        b'{"id": 1, "stdout": "\\ud800"}',
        b'{"id": 1, "stdout": "\xff"}',
        b'{"id": 1, "stdout": "' + b"x" * 5_000_000,
        b"\0" * 1000,
        json.dumps({**_GOOD, "id": 2}).encode(),
        json.dumps({**_GOOD, "id": 1.5}).encode(),
        json.dumps({**_GOOD, "outcome": "no_code", "tests": [[True, "a"]]}).encode(),
    ],
)
def test_lines_of_the_worst_kind(line: bytes) -> None:
    """Deep, endless, not a number, not text: refused like any other."""
    assert read(line) is None


@given(_ANYTHING, _ANYTHING, _ANYTHING, st.integers(), st.none() | _ANYTHING)
def test_any_program_becomes_one_line(code: str, test: str, setup: str, number: int, entry_point: str | None) -> None:
    """Line breaks, NUL and lone surrogates arrive at the worker as they were."""
    program = Program(key="k", code=code, tests=(test,), setup=setup, entry_point=entry_point)
    line = job_line(number, program)
    assert (1, True) == (line.count(b"\n"), line.endswith(b"\n"))
    job = json.loads(line)
    expected = (number, code, [test], setup, entry_point)
    assert expected == (job["id"], job["code"], job["tests"], job["setup"], job["entry_point"])


# -- containers --------------------------------------------------------------------------------------------------------


def framed(payload: bytes, stream: int = 1) -> bytes:
    """As the engine sends what a container wrote."""
    return struct.pack(">BxxxI", stream, len(payload)) + payload


def jobs(connection: socket.socket) -> Iterator[dict[str, Any]]:
    """The jobs that arrive, one by one, until the other side is gone."""
    with connection.makefile("rb") as stream:
        for line in stream:
            yield json.loads(line)


def honest(job: dict[str, Any]) -> bytes:
    return json.dumps({**_GOOD, "id": job["id"], "outcome": "passed", "stdout": job["code"]}).encode() + b"\n"


def talk(connection: socket.socket, moves: list[Move]) -> None:
    """Be a container: one move for each job, of those that are left for all containers together; then only honest
    ones."""
    connection.sendall(framed(json.dumps({"ready": PROTOCOL, "python": "3.11.2"}).encode() + b"\n"))
    for job in jobs(connection):
        kind, detail = moves.pop(0) if moves else ("honest", 0)
        if kind == "pieces":
            data = b"".join(framed(honest(job)[n : n + detail]) for n in range(0, len(honest(job)), detail))
            for n in range(0, len(data), detail):
                connection.sendall(data[n : n + detail])
        elif kind == "change":
            connection.sendall(framed(json.dumps({**json.loads(honest(job)), **detail}).encode() + b"\n"))
        elif kind == "line":
            connection.sendall(framed(detail + b"\n"))
        elif kind == "noise":
            connection.sendall(framed(detail, stream=2) + framed(b"") + framed(honest(job)))
        elif kind == "twice":
            connection.sendall(framed(honest(job)) * 2)
        elif kind == "leave":  # in the middle of something, or of nothing
            connection.sendall(framed(honest(job))[:detail])
            return
        elif kind == "raw":
            connection.sendall(detail)
            return
        else:
            connection.sendall(framed(honest(job)))


_MOVES = st.one_of(
    st.tuples(st.just("honest"), st.just(0)),
    st.tuples(st.just("pieces"), st.integers(1, 9)),
    st.tuples(st.just("change"), _CHANGES),
    st.tuples(st.just("line"), st.binary(max_size=30)),
    st.tuples(st.just("noise"), st.binary(max_size=30)),
    st.tuples(st.just("twice"), st.just(0)),
    st.tuples(st.just("leave"), st.integers(0, 200)),
    st.tuples(st.just("raw"), st.binary(max_size=40)),
)


@contextmanager
def sandbox(moves: list[Move], be_container: _Talk = talk, workers: int = 1) -> Iterator[Sandbox]:
    """The Docker sandbox on an engine whose containers are threads that make these moves."""
    threads: list[threading.Thread] = []

    def attach(*_: object, **__: object) -> socket.socket:
        ours, theirs = socket.socketpair()

        def run() -> None:
            with theirs, contextlib.suppress(OSError):
                be_container(theirs, moves)

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return ours

    client = MagicMock()
    client.api.attach_socket.side_effect = attach
    with (
        patch.object(engine, "connect", lambda *_: client),
        patch.object(container, "connect", lambda *_: client),
        patch.object(docker, "build", lambda *_: "image"),
    ):
        pool = docker.ADAPTER.open({"workers": workers}, lambda text: None)
        try:
            yield pool
        finally:
            pool.close()
            for thread in threads:
                thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_MOVES, max_size=12), st.lists(_ANYTHING, min_size=1, max_size=8), st.integers(1, 2))
def test_every_program_gets_an_answer(moves: list[Move], codes: list[str], workers: int) -> None:
    """Whatever containers say, each future holds an execution or a void of its own program; then all is well again."""
    with sandbox(moves, workers=workers) as pool:
        futures = [pool.submit(Program(key=f"k{n}", code=code, tests=("t",))) for n, code in enumerate(codes)]
        results = [future.result(60) for future in futures]
        assert all(isinstance(result, Execution | Void) for result in results)
        assert [f"k{n}" for n in range(len(codes))] == [result.key for result in results]
        moves.clear()
        last = pool.submit(_PROGRAM).result(60)
        assert isinstance(last, Execution), last
        assert ("passed", "x = 1") == (last.outcome, last.stdout)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 40), min_size=1), st.sampled_from([1, 2, 5]), st.integers(1, 60))
def test_frames_split_anywhere(sizes: list[int], workers: int, payload: int) -> None:
    """Lines cut into frames, and frames into packets, at any place: nothing is lost and nothing mixed up."""

    def drip(connection: socket.socket, _: list[Move]) -> None:
        ready = json.dumps({"ready": PROTOCOL, "python": "3.11.2"}).encode() + b"\n"
        for line in chain([ready], map(honest, jobs(connection))):
            data = b"".join(framed(line[n : n + payload]) + framed(b"w", 2) for n in range(0, len(line), payload))
            position = 0
            for size in sizes * (len(data) // sum(sizes) + 1):
                connection.sendall(data[position : position + size])
                position += size

    with sandbox([], drip, workers) as pool:
        futures = {f"c{n}": pool.submit(Program(key=f"c{n}", code=f"c{n}", tests=("t",))) for n in range(8)}
        for name, future in futures.items():
            result = future.result(60)
            assert isinstance(result, Execution), result
            assert (name, name) == (result.key, result.stdout)


_GREETINGS = {
    "nothing": b"",
    "an end at once": framed(b""),
    "not JSON": framed(b"hello\n"),
    "another protocol": framed(b'{"ready": 999, "python": "3"}\n'),
    "bytes": b"\xff" * 7,
    "an error on stderr": framed(b"\xff\x1c\r\n \x85\n", 2),
    "a frame of 4 GiB": struct.pack(">BxxxI", 1, (1 << 32) - 1) + b"x" * (1 << 20),
    "brackets": framed(b"[" * 1_000_000 + b"\n"),
}


@pytest.mark.parametrize("name", _GREETINGS)
def test_a_worker_that_does_not_report(name: str) -> None:
    """Whatever it says in place of its first line: void, with a reason."""

    def greet(connection: socket.socket, _: list[Move]) -> None:
        connection.sendall(_GREETINGS[name])

    with sandbox([], greet) as pool:
        result = pool.submit(_PROGRAM).result(60)
        assert isinstance(result, Void)
        assert result.reason


def test_a_frame_without_an_end_is_refused_at_its_head() -> None:
    """What a header announces is not collected up to any size."""
    sent = []

    def flood(connection: socket.socket, _: list[Move]) -> None:
        connection.sendall(struct.pack(">BxxxI", 1, (1 << 32) - 1))
        for _ in range(1000):
            connection.sendall(b"x" * (1 << 18))
            sent.append(1 << 18)

    with sandbox([], flood) as pool:
        assert isinstance(pool.submit(_PROGRAM).result(60), Void)
    assert sum(sent) < 50 << 20
