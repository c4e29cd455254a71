"""Starts the worker without a container engine: namespaces and a root of its own, made by hand. Linux only.

Runs on the host, as a process of its own, before anything of the worker does. Two levels, which the caller names:
`root` keeps user ids and gives up every capability but the four that the spawner needs; `user` needs no rights at
all: a user namespace in which this user is 0.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

from . import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeAlias

    Wish: TypeAlias = dict[str, Any]  # see `main`

_HOME = "/opt/evalkit"
FILTER = f"{_HOME}/filter.bpf"
_TMPFS = kernel.MS_NOSUID | kernel.MS_NODEV
_SIZE = "size=64m,nr_inodes=20000"
_TOP = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
# statvfs(3) → mount(2): no device files, no programs, access times, access times of folders, lazy access times
_MOUNT_FLAGS = {4: kernel.MS_NODEV, 8: kernel.MS_NOEXEC, 1024: 1024, 2048: 2048, 4096: kernel.MS_RELATIME}
_DEVICES = ("null", "zero", "full", "random", "urandom")
_SPAWNER_CAPABILITIES = {kernel.CAP_CHOWN, kernel.CAP_KILL, kernel.CAP_SETGID, kernel.CAP_SETUID}
_FILES = {
    "passwd": "root:x:0:0:root:/:/usr/sbin/nologin\nsandbox:x:1000:1000::/tmp:/usr/sbin/nologin\n",
    "group": "root:x:0:\nsandbox:x:1000:\n",
    "hosts": "127.0.0.1 localhost\n",
    "hostname": "sandbox\n",
}


def main(argv: list[str]) -> NoReturn:
    """argv[1]: JSON with `level`, `python`, `prefixes`, `hidden`, `worker`, `filter` (hexadecimal), `first_uid`."""
    wish: Wish = json.loads(argv[1])
    try:
        if wish["level"] == "user":
            _be_root_of_nothing(os.geteuid(), os.getegid())
        kernel.unshare(
            kernel.CLONE_NEWNS
            | kernel.CLONE_NEWPID
            | kernel.CLONE_NEWIPC
            | kernel.CLONE_NEWNET
            | kernel.CLONE_NEWUTS
            | kernel.CLONE_NEWCGROUP
        )
        pid = os.fork()
        if pid == 0:
            _first_process(wish)
    except OSError as error:
        sys.exit(f"no local sandbox can be made here: {error}")
    for fd in (0, 1):
        os.close(fd)
    _, status = os.waitpid(pid, 0)
    sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1)


def _be_root_of_nothing(uid: int, gid: int) -> None:
    """A user namespace in which this user has every right, and outside of which it has none."""
    kernel.unshare(kernel.CLONE_NEWUSER)
    map_user(0, uid, 0, gid)


def map_user(uid: int, outer_uid: int, gid: int, outer_gid: int) -> None:
    """Name the one user and the one group that this process's user namespace has."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {outer_uid} 1"),
        ("gid_map", f"{gid} {outer_gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as stream:
            stream.write(text)


def _first_process(wish: Wish) -> NoReturn:
    try:
        kernel.end_with_parent(signal.SIGKILL)
        _make_root(wish)
        socket.sethostname("sandbox")
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": _HOME,
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            "EVALKIT_LEVEL": wish["level"],
            "EVALKIT_FIRST_UID": str(wish["first_uid"]),
        }
        if wish["level"] == "root":
            os.setgroups([])
            kernel.keep_capabilities(_SPAWNER_CAPABILITIES)
            kernel.no_new_privileges()
            kernel.install_filter(bytes.fromhex(wish["filter"]))
        os.execve(wish["python"], [wish["python"], "-s", "-m", "evalkit_worker.spawner"], environment)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the reason why no worker starts
        sys.stderr.write(f"no local sandbox can be made here: {error}\n")
    finally:
        os._exit(1)


# -- the root ------------------------------------------------------------------------------------------


def _make_root(wish: Wish) -> None:
    """A small tmpfs with read-only looks at the interpreter and the system's libraries; the old root is gone."""
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", "/tmp", "tmpfs", _TMPFS, "size=1m,mode=755")
    os.makedirs("/tmp/old")
    os.makedirs("/tmp/new")
    kernel.pivot_root("/tmp", "/tmp/old")
    os.chdir("/")
    kernel.mount("tmpfs", "/new", "tmpfs", _TMPFS, "size=16m,mode=755")
    _bind_programs(wish)
    _fill(wish)
    _mount_own()
    kernel.mount(None, "/new", None, kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | _TMPFS)
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    kernel.unmount(".")
    os.chdir("/")


def _bind_programs(wish: Wish) -> None:
    for name in _TOP:
        old, new = f"/old/{name}", f"/new/{name}"
        if os.path.islink(old):
            os.symlink(os.readlink(old), new)
        elif os.path.isdir(old):
            _bind(old, new)
    for prefix in wish["prefixes"]:
        if not os.path.isdir(f"/new{prefix}"):
            _bind(f"/old{prefix}", f"/new{prefix}")
    for folder in wish["hidden"]:
        if os.path.isdir(f"/new{folder}"):
            kernel.mount("tmpfs", f"/new{folder}", "tmpfs", _TMPFS | kernel.MS_RDONLY, "size=4k,mode=755")
    _seal("/new")


def _bind(old: str, new: str) -> None:
    os.makedirs(new, exist_ok=True)
    kernel.mount(old, new, None, kernel.MS_BIND | kernel.MS_REC)


def _seal(root: str) -> None:
    """Make every mount below read-only. Flags that a mount has already must be named again, else the kernel refuses."""
    with open("/old/proc/self/mountinfo", "rb") as stream:
        places = [os.fsdecode(_unescaped(line.split()[4])) for line in stream]
    for place in places:
        if place.startswith(f"{root}/"):
            found = os.statvfs(place).f_flag
            flags = sum(flag for seen, flag in _MOUNT_FLAGS.items() if found & seen)
            flags |= kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | kernel.MS_NOSUID
            kernel.mount(None, place, None, flags)


def _unescaped(place: bytes) -> bytes:
    """A path as the kernel lists it: blanks and the like are octal there."""
    for character in b" \t\n\\":
        place = place.replace(b"\\%03o" % character, bytes([character]))
    return place


def _fill(wish: Wish) -> None:
    os.makedirs("/new/etc")
    for name, text in _FILES.items():
        _write(f"/new/etc/{name}", text.encode())
    if os.path.isfile("/old/etc/ld.so.cache"):
        with open("/old/etc/ld.so.cache", "rb") as stream:
            _write("/new/etc/ld.so.cache", stream.read())
    os.makedirs(f"/new{_HOME}/evalkit_worker")
    for name in os.listdir(f"/old{wish['worker']}"):
        if name.endswith(".py"):
            with open(f"/old{wish['worker']}/{name}", "rb") as stream:
                _write(f"/new{_HOME}/evalkit_worker/{name}", stream.read())
    _write(f"/new{FILTER}", bytes.fromhex(wish["filter"]))


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    with os.fdopen(fd, "wb") as stream:
        stream.write(data)


def _mount_own() -> None:
    """/proc, the harmless devices, and the folders that may be written to."""
    for name in ("dev", "proc", "tmp", "work"):
        os.mkdir(f"/new/{name}")
    kernel.mount("proc", "/new/proc", "proc", _TMPFS | kernel.MS_NOEXEC)
    for name in _DEVICES:
        os.close(os.open(f"/new/dev/{name}", os.O_CREAT | os.O_RDONLY, 0o644))
        kernel.mount(f"/old/dev/{name}", f"/new/dev/{name}", None, kernel.MS_BIND)
    for name in ("shm", "mqueue"):
        os.mkdir(f"/new/dev/{name}")
    os.symlink("/proc/self/fd", "/new/dev/fd")
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{fd}", f"/new/dev/{name}")
    mount_writable("/new")


def mount_writable(root: str) -> None:
    """Fresh and empty folders where every program may write."""
    for place, mode in (("tmp", 1777), ("dev/shm", 1777), ("work", 711)):
        kernel.mount("tmpfs", f"{root}/{place}", "tmpfs", _TMPFS, f"{_SIZE},mode={mode}")
