"""The local sandbox: the same worker without a container engine, in namespaces of the kernel. Linux only.

Weaker than `docker` (sandbox/README.md says in what), so it is used only where a spec asks for it by name, and says so
in the report.
"""

from __future__ import annotations

import json
import os
import platform
import site
import sys
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

from evalkit import assets
from evalkit.core.digest import digest, digest_file
from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify, Sandbox
from evalkit.core.types import Json
from evalkit.sandboxes.bpf import ARCHITECTURES, compile_profile
from evalkit.sandboxes.host import HostLost, NoHost
from evalkit.sandboxes.local_host import LocalHost
from evalkit.sandboxes.pool import Pool, processors

Level = Literal["root", "user"]

_NEEDED_AS_ROOT = (0, 5, 6, 7, 8, 21)  # CHOWN, KILL, SETGID, SETUID, SETPCAP, SYS_ADMIN of linux/capability.h
_SWITCHES = {  # switch of the kernel → (closed, open)
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
    "user.max_user_namespaces": ("0", "15000"),
}
_DOCKER = "use Docker (sandbox: {kind: docker})"


class LocalAdapter:
    """Programs run on this machine, in namespaces of the kernel. Options: `workers` as for `docker`."""

    def prepare(self, options: dict[str, Json], notify: Notify) -> None:
        """There is nothing to build: see whether a worker starts."""
        _require(options)

    def identity(self, options: dict[str, Json]) -> str:
        """Digest over worker, profile, level and the interpreter's version. Never the same as that of `docker`.

        Raises PrerequisiteError where the kernel does not let us.
        """
        return digest(self.parts(options))

    def parts(self, options: dict[str, Json]) -> dict[str, Json]:
        """Kind, level, machine, version of the interpreter, digests of worker and profile."""
        _require(options)
        folder = assets.folder("sandbox")
        return {
            "kind": "local",
            "level": _level(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "worker": digest({path.name: digest_file(path) for path in folder.glob("*.py")}),
            "seccomp": digest([digest_file(folder / name) for name in ("seccomp.json", "syscalls.json")]),
        }

    def open(self, options: dict[str, Json], notify: Notify) -> Sandbox:
        """A pool; its workers start with the first programs."""
        _require(options)
        notify(f"warning: {self.warning(options)}")
        start = partial(LocalHost, _wish())
        return Pool(start, int(options.get("workers") or processors()), notify)

    def warning(self, options: dict[str, Json]) -> str:
        """What must stand above every number that comes from here."""
        rights = "as root" if _level() == "root" else "as an ordinary user"
        return (
            f"WEAKER SANDBOX: programs ran in the local sandbox ({rights}), without the container's memory limit and "
            "second wall. Verdicts of hostile programs deserve less trust than those of `sandbox: {kind: docker}`."
        )


ADAPTER = LocalAdapter()


def _require(options: dict[str, Json]) -> None:
    """Raises PrerequisiteError with the sentence that mends it."""
    for name in ("image", "packages"):
        if options.get(name):
            raise PrerequisiteError(
                f"the local sandbox runs this machine's own Python and takes no `{name}`",
                hint=f"take `{name}` out of the spec's `sandbox`, or {_DOCKER}",
            )
    problem = _problem()
    if problem is not None:
        raise PrerequisiteError(problem.message, hint=problem.hint)


class _Problem(NamedTuple):
    message: str
    hint: str


@cache
def _problem() -> _Problem | None:
    """Why no worker starts here; None where one did. Tried once a process."""
    if not sys.platform.startswith("linux"):
        return _Problem("the local sandbox needs Linux", f"on this system programs run in Docker only: {_DOCKER}")
    if platform.machine() not in ARCHITECTURES:
        known = " and ".join(sorted(ARCHITECTURES))
        return _Problem(f"the local sandbox knows the system calls of {known} only", _DOCKER)
    try:
        LocalHost(_wish()).close()
    except (HostLost, NoHost) as error:
        return _Problem(f"the local sandbox cannot start: {error}", _cure())
    return None


def _cure() -> str:
    """Names the switches of this kernel that forbid it."""
    if _level() == "root":
        return f"root needs the right to make namespaces and mounts (CAP_SYS_ADMIN); or {_DOCKER}"
    closed = [f"{name}={open_}" for name, (shut, open_) in _SWITCHES.items() if _switch(name) == shut]
    if closed:
        return f"user namespaces are switched off here; as root: sysctl -w {' '.join(closed)}; or {_DOCKER}"
    return (
        f"an ordinary user needs user namespaces (see {', '.join(_SWITCHES)}; in a container, also an unmasked /proc): "
        f"run as root, or {_DOCKER}"
    )


def _switch(name: str) -> str:
    try:
        return Path("/proc/sys", *name.split(".")).read_text("ascii").strip()
    except OSError:
        return ""


@cache
def _level() -> Level:
    """`root` where this process may do everything that it takes, else `user`."""
    try:
        status = Path("/proc/self/status").read_text("ascii", "replace")
    except OSError:
        return "user"
    effective = next((int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:")), 0)
    has_all = all(effective >> number & 1 for number in _NEEDED_AS_ROOT)
    return "root" if os.geteuid() == 0 and has_all and not _is_namespaced() else "user"


def _is_namespaced() -> bool:
    """True in a user namespace that lacks the user ids that programs get."""
    try:
        lines = Path("/proc/self/uid_map").read_text("ascii").splitlines()
    except OSError:
        return False
    return all(int(line.split()[2]) < 1 << 30 for line in lines)


def _wish() -> dict[str, Json]:
    """What the launcher is told."""
    folder = assets.folder("sandbox").resolve()
    profile = json.loads((folder / "seccomp.json").read_text("utf-8"))
    numbers = json.loads((folder / "syscalls.json").read_text("utf-8"))[platform.machine()]
    python = _interpreter()
    prefixes = {os.path.realpath(prefix) for prefix in (sys.base_prefix, sys.base_exec_prefix)}
    return {
        "level": _level(),
        "python": python,
        "prefixes": sorted(prefixes),
        "hidden": sorted(_package_folders()),
        "worker": str(folder),
        "filter": compile_profile(profile, numbers, platform.machine()).hex(),
    }


def _interpreter() -> str:
    """The interpreter that runs us, not the virtual environment's link to it."""
    named = getattr(sys, "_base_executable", None) or sys.executable
    return os.path.realpath(named)


def _package_folders() -> set[str]:
    """Where the interpreter finds installed packages: programs see the standard library only, on every machine."""
    prefixes = [sys.base_prefix, sys.base_exec_prefix]
    found = {os.path.realpath(folder) for folder in site.getsitepackages(prefixes)}
    return found | {str(folder) for folder in Path("/usr/lib/python3").glob("dist-packages")}
