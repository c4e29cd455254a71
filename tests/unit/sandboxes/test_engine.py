"""Without an engine there is a sentence, never a program on the host."""

from __future__ import annotations

import os
import socket
import struct
from functools import partial
from pathlib import Path

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.core.types import Program, Void
from evalkit.sandboxes import leftovers
from evalkit.sandboxes.container import Container, ContainerLost
from evalkit.sandboxes.docker import ADAPTER, bring_up
from evalkit.sandboxes.host import Lines
from evalkit.sandboxes.pool import Pool


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")


@pytest.mark.usefixtures("no_engine")
def test_identity_names_what_to_do() -> None:
    """No engine: exit class 4, one sentence, and no fall-back."""
    with pytest.raises(PrerequisiteError, match="no Docker engine answers") as caught:
        ADAPTER.identity({})
    assert caught.value.exit_code == 4
    assert "evalkit sandbox up" in caught.value.hint
    with pytest.raises(PrerequisiteError):
        ADAPTER.open({}, lambda text: None)


@pytest.mark.usefixtures("no_engine")
def test_an_engine_elsewhere_is_not_ours_to_start() -> None:
    """DOCKER_HOST names an engine: nothing is installed or started in its place."""
    with pytest.raises(PrerequisiteError, match="DOCKER_HOST"):
        bring_up(lambda text: pytest.fail(text))


@pytest.mark.usefixtures("no_engine")
def test_the_engine_goes_away() -> None:
    """A pool whose engine is gone answers with void and the reason, quickly."""
    said: list[str] = []
    pool = Pool(partial(Container, "image", "{}", 1024), 2, said.append)
    try:
        results = [pool.submit(Program(key=str(n), code="", tests=())).result(30) for n in range(20)]
    finally:
        pool.close()
    assert all(isinstance(result, Void) and "no Docker engine answers" in result.reason for result in results)


def frame(payload: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxI", stream, len(payload)) + payload


@pytest.fixture
def attached() -> tuple[Container, socket.socket]:
    """A container object without an engine, and the other end of its connection."""
    ours, theirs = socket.socketpair()
    container = Container.__new__(Container)
    container._socket = ours
    container._lines, container._frames = Lines(), bytearray()
    container._out, container._stderr = bytearray(), bytearray()
    return container, theirs


def test_lines_are_put_together(attached: tuple[Container, socket.socket]) -> None:
    """Frames may cut lines anywhere, and a frame may come in pieces."""
    container, theirs = attached
    data = frame(b"on") + frame(b"noise", 2) + frame(b"e\ntwo\nthr") + frame(b"ee\n")
    for byte in data:
        theirs.send(bytes([byte]))
    lines: list[bytes] = []
    while len(lines) < 3:
        lines += container.receive(5)
    assert lines == [b"one", b"two", b"three"]


def test_the_end_of_a_container_gives_its_last_words(attached: tuple[Container, socket.socket]) -> None:
    """What the worker wrote on stderr is the reason."""
    container, theirs = attached
    theirs.sendall(frame(b"Traceback\nOSError: no space\n", 2))
    theirs.close()
    assert container.receive(5) == []
    with pytest.raises(ContainerLost, match="OSError: no space"):
        container.receive(5)


def test_owners_are_told_apart() -> None:
    """Our own container is alive; one of the same place whose process is gone is dead; strangers are left alone."""
    mine = leftovers.labels()
    assert not leftovers._is_dead(mine)
    assert leftovers._is_dead({**mine, "evalkit.owner.started": "1"})
    assert leftovers._is_dead({**mine, "evalkit.owner.pid": "999999999"})
    assert not leftovers._is_dead({**mine, "evalkit.owner.place": "another machine", "evalkit.owner.pid": "999999999"})
    assert not leftovers._is_dead({})
    assert str(os.getpid()) == mine["evalkit.owner.pid"]
