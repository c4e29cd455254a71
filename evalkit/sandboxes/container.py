"""One long-lived container: started, spoken to in lines over its attached stdin and stdout, removed."""

from __future__ import annotations

import json
import secrets
import select
import socket
import struct
from pathlib import Path
from typing import Any

from evalkit.sandboxes import leftovers
from evalkit.sandboxes.engine import EngineLost, connect, failures, is_podman, is_rootless, not_found, ulimits
from evalkit.sandboxes.host import HostLost, Lines, await_ready

_MAX_FRAME = 64 << 20
_STDERR_KEPT = 2000
_FIRST_UIDS = range(1 << 20, 1 << 30, 1 << 16)
_FIRST_UIDS_ROOTLESS = range(2000, 15000)  # the worker uses the 50,000 that follow


class ContainerLost(HostLost):
    """The container died or broke the protocol."""


class Container:
    """A running worker. Not thread-safe: it belongs to one thread of the pool."""

    def __init__(self, image: str, seccomp: str, memory_mb: int) -> None:
        """Start it. Raises EngineLost when the engine cannot, ContainerLost when the worker does not come up."""
        self._client = connect()
        self._id: str | None = None
        self._lines = Lines()
        self._frames = bytearray()
        self._out = bytearray()
        self._stderr = bytearray()
        try:
            self._id = self._create(image, seccomp, memory_mb)
            self._attached = self._client.api.attach_socket(self._id, params=_ATTACH)
            self._socket: socket.socket = getattr(self._attached, "_sock", self._attached)
            self._socket.setblocking(False)
            self._client.api.start(self._id)
            self.python = await_ready(self)
        except failures() as error:
            self.close()
            raise EngineLost(f"the Docker engine could not start a container: {str(error)[:300]}") from error
        except HostLost:
            self.close()
            raise

    def _create(self, image: str, seccomp: str, memory_mb: int) -> str:
        api = self._client.api
        inodes = "" if is_podman(self._client) else ",nr_inodes=20000"  # Podman refuses the option
        uids = _FIRST_UIDS_ROOTLESS if is_rootless(self._client) else _FIRST_UIDS
        config = api.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=["SETUID", "SETGID", "KILL", "CHOWN"],
            security_opt=["no-new-privileges", f"seccomp={seccomp}"],
            pids_limit=256,
            mem_limit=f"{memory_mb}m",
            memswap_limit=f"{memory_mb}m",
            log_config={"Type": "none"},
            tmpfs={"/tmp": f"size=64m,mode=1777{inodes}", "/work": f"size=64m,mode=711{inodes}"},
            shm_size=64 << 20,
            ulimits=ulimits(self._client),
            auto_remove=True,
        )
        try:
            made = api.create_container(
                image,
                stdin_open=True,
                host_config=config,
                hostname="sandbox",
                labels=leftovers.labels(),
                environment={"EVALKIT_FIRST_UID": str(secrets.choice(uids))},
            )
        except not_found() as error:
            self.close()
            raise EngineLost(f"the sandbox image {image[:19]} is gone: the next run builds it again") from error
        return str(made["Id"])

    # -- lines -------------------------------------------------------------------------------------------------

    def send(self, line: bytes) -> None:
        """Queue a line; `receive` writes it."""
        self._out += line

    def receive(self, timeout_s: float) -> list[bytes]:
        """Write what is queued, and return the lines that arrived within the time. Raises HostLost."""
        writing = [self._socket] if self._out else []
        try:
            readable, writable, _ = select.select([self._socket], writing, [], max(0.0, timeout_s))
            if writable:
                del self._out[: self._socket.send(self._out[: 1 << 16])]
            if readable:
                self._take(self._socket.recv(1 << 16))
        except BlockingIOError:
            pass
        except (OSError, ValueError) as error:
            raise ContainerLost(f"the connection to the container broke: {error}") from error
        return self._lines.take()

    def _take(self, data: bytes) -> None:
        if not data:
            told = self._stderr.decode("utf-8", "replace").strip()
            raise ContainerLost("the container ended" + (f": {told.splitlines()[-1]}" if told else ""))
        self._frames += data
        while len(self._frames) >= _HEADER.size:
            stream, size = _HEADER.unpack_from(self._frames)
            if size > _MAX_FRAME:
                raise ContainerLost(f"the engine announced {size} bytes in one piece")
            if len(self._frames) < _HEADER.size + size:
                break
            payload = bytes(self._frames[_HEADER.size : _HEADER.size + size])
            del self._frames[: _HEADER.size + size]
            if stream == _STDOUT:
                self._lines.add(payload)
            else:
                self._stderr = (self._stderr + payload)[-_STDERR_KEPT:]

    # -- end ---------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Remove the container; where the engine is gone there is nothing to remove it with."""
        attached = getattr(self, "_attached", None)
        if attached is not None:
            attached.close()
            self._socket.close()
        if self._id is not None:
            leftovers.remove(self._client, self._id)
        self._client.close()


_ATTACH = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
_HEADER = struct.Struct(">BxxxI")
_STDOUT = 1


def seccomp_option(client: Any, path: Path) -> str:
    """The profile as the engine takes it: its text for Docker; for Podman, which reads the file itself, its path."""
    return str(path.resolve()) if is_podman(client) else json.dumps(json.loads(path.read_text("utf-8")))
