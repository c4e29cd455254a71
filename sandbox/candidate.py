"""The untrusted side: one process per program, in a cell of its own, that nothing trusts."""

from __future__ import annotations

import contextlib
import gc
import io
import linecache
import os
import random
import resource
import socket
import sys
import types

from .peer import Gone, Peer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn, TypeAlias

    from .confinement import Cell

    Limit: TypeAlias = Callable[[int, int], None]

FILE_BYTES = 16 << 20
_PROCESSES = 64
_OPEN_FILES = 64
_STACK_BYTES = 8 << 20
_HARNESS_FRAMES = 40
_FILENAME = "<candidate>"
_MESSAGE = 500


class Standing:
    """What every program's process needs, made once before the forks: its descriptors mean something else until then.

    Making it in each process took a tenth of a program's time.
    """

    def __init__(self) -> None:
        with _seekable():
            self._stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8", errors="replace")
            self._stdout, self._stderr = _writer(1), _writer(2)
        channel, other = socket.socketpair()
        other.close()
        self._channel_fd = channel.fileno()
        self._peer = _peer_for(channel, _limit)

    def run(self, cell: Cell, channel_fd: int, out_fd: int, err_fd: int) -> NoReturn:
        """Become nobody, then serve the program's functions until the other side is gone. Never returns."""
        try:
            _detach({self._channel_fd: channel_fd, 1: out_fd, 2: err_fd}, self._channel_fd)
            cell.enter()
            _bound()
            os.chdir(cell.folder)
            sys.stdin, sys.stdout, sys.stderr = self._stdin, self._stdout, self._stderr
            gc.enable()
            try:
                _serve(self._peer)
            finally:
                os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever went wrong here is told on the program's stderr
            import traceback

            os.write(2, traceback.format_exc().encode("utf-8", "replace"))
        finally:
            os._exit(1)


def _detach(given: dict[int, int], last: int) -> None:
    """A session of its own; descriptors `given` (target: source), /dev/null to read from, and no others."""
    os.setsid()
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(score, b"1000")
    os.close(score)
    given[0] = os.open(os.devnull, os.O_RDONLY)
    held = [(os.dup(fd), target) for target, fd in given.items()]  # no target may be overwritten before it is read
    for fd, target in held:
        os.dup2(fd, target, inheritable=target != last)
    os.closerange(3, last)
    os.closerange(last + 1, 256)
    os.umask(0o077)


def _bound() -> None:
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NPROC, _PROCESSES),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_STACK, _STACK_BYTES),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def answer(channel: socket.socket, limit: Limit) -> None:
    """Serve the program's functions until the other side is gone. `limit(cpu_s, memory_mb)` puts limits in force."""
    _serve(_peer_for(channel, limit))


def _serve(peer: Peer) -> None:
    try:
        peer.serve()
    except Gone:
        return


def _peer_for(channel: socket.socket, limit: Limit) -> Peer:
    program = _Program(limit, sys.setrecursionlimit, sys.getrecursionlimit())
    operations: dict[str, Callable[..., Any]] = {
        "hello": os.getpid,
        "load": program.load,
        "global": program.look_up,
        "main": program.run_whole,
        "tests": program.run_tests,
    }
    return Peer(channel, extra=operations)


def _limit(cpu_s: int, memory_mb: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))


@contextlib.contextmanager
def _seekable() -> Iterator[None]:
    """Descriptors 0 to 2 are files for a while, as they will be: a stream asks once whether it can seek."""
    file = os.open("/dev/shm", os.O_TMPFILE | os.O_EXCL | os.O_RDWR, 0o600)
    kept = [os.dup(number) for number in range(3)]
    for number in range(3):
        os.dup2(file, number)
    try:
        yield
    finally:
        for number, fd in enumerate(kept):
            os.dup2(fd, number)
        for fd in (file, *kept):
            os.close(fd)


def _writer(fd: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.FileIO(fd, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
    )


class _Program:
    """The candidate's module and what the tests may ask of it besides its functions."""

    def __init__(self, limit: Limit, set_recursion_limit: Callable[[int], None], recursion_limit: int) -> None:
        self._limit = limit
        self._set_recursion_limit = set_recursion_limit
        self._recursion_limit = recursion_limit
        self._module = types.ModuleType("candidate")

    def load(
        self, source: str, preamble: str, setup: str, setup_names: list[str], cpu_s: int, memory_mb: int
    ) -> list[str] | None:
        """Run the program's top level under its limits; what it raises crosses. [type, text]: it does not compile."""
        module = self._module
        sys.modules["candidate"] = module
        code = self._prepare(source, cpu_s, memory_mb)
        if isinstance(code, list):
            return code
        if preamble:
            exec(compile(preamble, "<preamble>", "exec", dont_inherit=True), module.__dict__)
        if setup and not _names_used(code).isdisjoint(setup_names):
            self._run_setup(setup)
        exec(code, module.__dict__)
        return None

    def run_whole(self, source: str, stdin: str, cpu_s: int, memory_mb: int) -> int | list[str]:
        """Run the program as a script that reads `stdin`; its exit status, or [type, text] when it does not compile."""
        module = types.ModuleType("__main__")
        sys.modules["__main__"] = module
        sys.stdin = _stdin_of(stdin)
        code = self._prepare(source, cpu_s, memory_mb)
        if isinstance(code, list):
            return code
        try:
            exec(code, module.__dict__)
        except SystemExit as error:
            return _status_of(error.code)
        return 0

    def run_tests(self, tests: list[str], style: str, entry_point: str | None) -> list[list[str]]:
        """Run the tests in the program's own globals: a row [outcome, exception or "", message] for each."""
        return [self._run_test(test, style, entry_point) for test in tests]

    def _run_test(self, test: str, style: str, entry_point: str | None) -> list[str]:
        names: dict[Any, Any] = self._module.__dict__
        try:
            exec(compile(test, "<test>", "exec", dont_inherit=True), names)
            if style == "check":
                names["check"](names[entry_point])
        except AssertionError as error:
            return ["wrong_answer", "", str(error)[:_MESSAGE] or "the assertion is false"]
        except MemoryError as error:
            return ["memory", "MemoryError", str(error)[:_MESSAGE]]
        except BaseException as error:  # noqa: BLE001 - SystemExit in a test is that test's failure
            name = type(error).__name__
            return ["runtime_error", name, f"{name}: {error}"[:_MESSAGE]]
        return ["passed", "", ""]

    def _prepare(self, source: str, cpu_s: int, memory_mb: int) -> types.CodeType | list[str]:
        """The compiled source, or why there is none; limits in force, and the same random numbers as in every run."""
        self._limit(cpu_s, memory_mb)
        self._set_recursion_limit(self._recursion_limit + _HARNESS_FRAMES)
        source = source[1:] if source.startswith("\ufeff") else source
        linecache.cache[_FILENAME] = (len(source), None, source.splitlines(True), _FILENAME)
        try:
            code = compile(source, _FILENAME, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError) as error:
            return [type(error).__name__, str(error)[:_MESSAGE]]
        random.seed(1)
        return code

    def _run_setup(self, setup: str) -> None:
        try:
            exec(compile(setup, "<setup>", "exec", dont_inherit=True), self._module.__dict__)
        except Exception as error:  # noqa: BLE001 - a setup that builds on the program's own names runs later, in the tests
            sys.stderr.write(f"setup before the program: {type(error).__name__}: {error}\n")

    def look_up(self, name: str) -> Any:
        return self._module.__dict__[name]


def _stdin_of(text: str) -> io.TextIOWrapper:
    """A real file at descriptor 0, so that programs may read it in any way."""
    fd = os.open(".", os.O_TMPFILE | os.O_EXCL | os.O_RDWR, 0o600)
    with os.fdopen(fd, "wb", closefd=False) as stream:
        stream.write(text.encode("utf-8", "surrogateescape"))
    os.lseek(fd, 0, os.SEEK_SET)
    os.dup2(fd, 0)
    os.close(fd)
    return io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8", errors="replace")


def _status_of(code: object) -> int:
    """The exit status that `sys.exit(code)` gives a process; a text is printed on stderr."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _names_used(code: types.CodeType) -> set[str]:
    found: set[str] = set()
    waiting = [code]
    while waiting:
        current = waiting.pop()
        found.update(current.co_names)
        waiting.extend(item for item in current.co_consts if isinstance(item, types.CodeType))
    return found
