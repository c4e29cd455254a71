"""What keeps one program from the next and from its judges.

By user: each program has a user id of its own, and the spawner sweeps up what that user leaves. That is the way in a
container, and of the local kind as root. By namespace: where there is only one user id, each program has processes,
mounts and a user namespace of its own, and everything in them ends with the first process of its namespace.
"""

from __future__ import annotations

import os
import signal
from typing import Protocol

from . import sweeping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_WORK = "/work"
_RUNNER_UID = 1000
_PROGRAM_UID = 1000


class Cell(Protocol):
    """The place of one program. `uid` is the program's where it has one, a number of the cell elsewhere."""

    uid: int
    folder: str

    def fork(self) -> int:
        """Fork the program's process; like os.fork."""

    def enter(self) -> None:
        """In the program's process: give up every right."""

    def sweep(self, known: set[int]) -> tuple[int, bool]:
        """End and remove everything that is left besides the pids `known`. Returns (processes found, clean)."""


class Confinement(Protocol):
    """Makes cells."""

    def cell(self, uid: int) -> Cell:
        """The next program's cell."""

    def become_runner(self) -> None:
        """This process is the runner: nothing of a program can touch it."""


def choose() -> Confinement:
    """The confinement of this worker."""
    return ByNamespace() if os.environ.get("EVALKIT_LEVEL") == "user" else ByUser()


class ByUser:
    """Hands out cells whose walls are user ids."""

    def cell(self, uid: int) -> Cell:
        return _UserCell(uid)

    def become_runner(self) -> None:
        os.setgroups([])
        os.setresgid(_RUNNER_UID, _RUNNER_UID, _RUNNER_UID)
        os.setresuid(_RUNNER_UID, _RUNNER_UID, _RUNNER_UID)


class _UserCell:
    def __init__(self, uid: int) -> None:
        self.uid = uid
        self.folder = f"{_WORK}/{uid}"
        os.mkdir(self.folder, 0o700)
        os.chown(self.folder, uid, uid)

    def fork(self) -> int:
        return os.fork()

    def enter(self) -> None:
        os.setgroups([])
        os.setresgid(self.uid, self.uid, self.uid)
        os.setresuid(self.uid, self.uid, self.uid)

    def sweep(self, known: set[int]) -> tuple[int, bool]:
        return sweeping.sweep(self.uid, self.folder, known)


class ByNamespace:
    """Hands out cells whose walls are namespaces. Needs CAP_SYS_ADMIN in the worker's own user namespace."""

    def __init__(self) -> None:
        from . import kernel, launch  # not in a container: every program's process would carry ctypes along

        self._kernel = kernel
        self._launch = launch
        self._home = os.open("/proc/self/ns/pid", os.O_RDONLY)
        with open(launch.FILTER, "rb") as stream:
            self._filter = stream.read()

    def cell(self, uid: int) -> Cell:
        return _NamespaceCell(self, uid)

    def become_runner(self) -> None:
        self.give_up()

    def enter_processes(self) -> None:
        """The next children are in a process namespace of their own."""
        self._kernel.unshare(self._kernel.CLONE_NEWPID)

    def leave_processes(self) -> None:
        self._kernel.setns(self._home, self._kernel.CLONE_NEWPID)

    def enter_files(self) -> None:
        """Mounts of this process's own: only its own processes in /proc, and folders that nobody else sees."""
        kernel = self._kernel
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)
        self._launch.mount_writable("")

    def become_program(self) -> None:
        """A user namespace of its own, so that it has no rights over anything outside of it, and none in it."""
        self._kernel.unshare(self._kernel.CLONE_NEWUSER)
        self._launch.map_user(_PROGRAM_UID, 0, _PROGRAM_UID, 0)
        self.give_up()

    def give_up(self) -> None:
        self._kernel.keep_capabilities(())
        self._kernel.no_new_privileges()
        self._kernel.install_filter(self._filter)


class _NamespaceCell:
    """The first process of its namespace does nothing but collect orphans; the program's is the second."""

    def __init__(self, walls: ByNamespace, uid: int) -> None:
        self.uid = uid
        self.folder = _WORK
        self._walls = walls
        walls.enter_processes()
        self._first = os.fork()
        if self._first == 0:
            _collect_orphans(walls)

    def fork(self) -> int:
        """Fork into the namespace; the spawner's next children are in its own again."""
        pid = os.fork()
        if pid:
            self._walls.leave_processes()
        return pid

    def enter(self) -> None:
        self._walls.enter_files()
        self._walls.become_program()

    def sweep(self, known: set[int]) -> tuple[int, bool]:
        """The kernel ends whatever is in the namespace with its first process, and its mounts with that."""
        os.kill(self._first, signal.SIGKILL)
        os.waitpid(self._first, 0)
        return 0, True


def _collect_orphans(walls: ByNamespace) -> NoReturn:
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.closerange(0, 256)
        walls.give_up()
        while True:
            signal.pause()
    finally:
        os._exit(0)
