"""Whose container is this? Labels that name the owning process, and the removal of what dead owners left.

A container whose owner dies notices by itself (its stdin closes) and is removed by the engine; this is for engines and
machines that died too.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalkit.sandboxes.engine import failures

_LABEL = "evalkit.sandbox"
_PLACE = "evalkit.owner.place"
_PID = "evalkit.owner.pid"
_STARTED = "evalkit.owner.started"
_REMOVAL_TIMEOUT_S = 15


def labels() -> dict[str, str]:
    """The labels of a container that this process owns."""
    pid = os.getpid()
    return {_LABEL: "worker", _PLACE: _place(), _PID: str(pid), _STARTED: _started(pid)}


def mine(client: Any) -> list[str]:
    """Ids of the containers that this process owns."""
    wanted = [f"{key}={value}" for key, value in labels().items()]
    return [found["Id"] for found in client.api.containers(all=True, filters={"label": wanted})]


def collect(client: Any) -> int:
    """Remove the containers of owners on this machine that are dead. How many."""
    try:
        found = client.api.containers(all=True, filters={"label": f"{_LABEL}=worker"})
    except failures():
        return 0
    dead = [item["Id"] for item in found if _is_dead(item.get("Labels") or {})]
    for name in dead:
        remove(client, name)
    return len(dead)


def remove(client: Any, name: str) -> None:
    """Remove a container by force, and wait until it is gone: the engine may be removing it already."""
    try:
        client.api.remove_container(name, force=True, v=True)
    except failures():
        try:
            client.api.wait(name, timeout=_REMOVAL_TIMEOUT_S, condition="removed")
        except failures():  # gone, or no engine that could still do it
            return


def _is_dead(owner: Mapping[str, str]) -> bool:
    """Only an owner whom we could see if it lived can be called dead."""
    if owner.get(_PLACE) != _place() or not owner.get(_PID, "").isdigit():
        return False
    return _started(int(owner[_PID])) != owner.get(_STARTED)


def _place() -> str:
    """Machine, boot and process namespace: where a process id means something."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return platform.node()


def _started(pid: int) -> str:
    """When the process started, in the kernel's clock ticks; empty when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return _alive_without_proc(pid)
    return stat.rpartition(")")[2].split()[19]


def _alive_without_proc(pid: int) -> str:
    if Path("/proc/self").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
