"""What a program leaves: processes and files of its user id. Runs in the spawner: root without rights to files."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

SHARED_FOLDERS = ("/tmp", "/dev/shm", "/dev/mqueue")
_ROUNDS = 8
_PATIENCE_S = 0.005
_JUDGES = 1  # the runner lets the judge end only after the program's end
_TASK_COUNTS = ("/sys/fs/cgroup/pids/pids.current", "/sys/fs/cgroup/pids.current")
_SWEEPER_UID = 1001  # nobody else's
_HELPER_S = 20.0


def reap() -> list[int]:
    """Collect every dead child without waiting; the pids."""
    found: list[int] = []
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append(pid)


def strangers(uids: Collection[int], known: Collection[int]) -> list[int]:
    """Pids in this container that run under one of the user ids, besides `known`."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid not in known and _uid(pid) in uids]


def _uid(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", "rb") as stream:
            for line in stream:
                if line.startswith(b"Uid:"):
                    return int(line.split()[1])
    except OSError:  # gone meanwhile
        pass
    return -1


def is_clean(folder: str) -> bool:
    """Remove the work folder if it is empty; True when neither it nor anything in the shared folders is left."""
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return not any(_entries(shared) for shared in SHARED_FOLDERS)


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def sweep(uid: int, folder: str, known: set[int]) -> tuple[int, bool]:
    """Kill what runs under `uid` and remove its files. Returns (processes found, clean)."""
    left = _left_of(uid, known)
    clean = is_clean(folder)  # looked at when nobody is left who could still make a file
    if clean and not left:
        return 0, True
    for number in range(_ROUNDS):
        _as_user(uid, folder)
        if number:  # what was killed may still be giving its memory back
            time.sleep(_PATIENCE_S * 2**number)
        reap()
        clean = is_clean(folder) and not _left_of(uid, known)
        if clean:
            break
    return len(left), clean


def _left_of(uid: int, known: set[int]) -> list[int]:
    """Processes of the user. Counting tasks is a tenth of the work of looking at each, and nearly always enough."""
    return [] if _tasks() == len(known) + _JUDGES else strangers({uid}, known)


def _tasks() -> int | None:
    """Processes and threads of the container, ended ones that nobody waited for included; None where unknown."""
    for path in _TASK_COUNTS:
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError:
            continue
        try:
            return int(os.read(fd, 32))
        except (OSError, ValueError):
            return None
        finally:
            os.close(fd)
    return None


def _as_user(uid: int, folder: str) -> None:
    """Kill and clean in a helper that acts as the program's user, but is not its: what still runs cannot signal it."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(_SWEEPER_UID, uid, _SWEEPER_UID)
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            for place in (folder, *SHARED_FOLDERS):
                _empty(place)
        finally:
            os._exit(0)
    _wait(pid)


def _wait(pid: int) -> None:
    deadline = time.monotonic() + _HELPER_S
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.0005)


def _empty(root: str) -> None:
    """Remove everything below `root`, however deep: by descriptors, never by a long path."""
    try:
        if os.stat(root).st_uid == os.geteuid():
            os.chmod(root, 0o700)
        top = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        while _pass(top):
            pass
    finally:
        os.close(top)


def _pass(top: int) -> bool:
    """One walk down: empty a folder, lift its first subfolder's content up to `top`. True while there is more to do."""
    again = False
    for name in os.listdir(top):
        try:
            if not stat.S_ISDIR(os.stat(name, dir_fd=top, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=top)
                continue
            os.chmod(name, 0o700, dir_fd=top)
            again = _lift(top, name) or again
            os.rmdir(name, dir_fd=top)
            again = True
        except OSError:
            continue
    return again


def _lift(top: int, name: str) -> bool:
    """Move the folders of the subfolder `name` up into `top`: a deep tree becomes flat step by step."""
    lifted = False
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        for item in os.listdir(inner):
            if not stat.S_ISDIR(os.stat(item, dir_fd=inner, follow_symlinks=False).st_mode):
                os.unlink(item, dir_fd=inner)
                continue
            os.chmod(item, 0o700, dir_fd=inner)
            os.rename(item, os.urandom(12).hex(), src_dir_fd=inner, dst_dir_fd=top)
            lifted = True
    finally:
        os.close(inner)
    return lifted
