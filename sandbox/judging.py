"""The trusted side of one program: runs the tests, calls the program through stand-ins, decides what each test says.

What it finds goes to the runner as JSON lines, each as soon as it is known:
`plan` (labels), `test` (index, passed, message), `failure` (class, exception, message; the first one counts), `gone`,
`void` and `end`.
"""

from __future__ import annotations

import builtins
import decimal
import importlib
import json
import math
import os
import random
import socket
import sys
import types

from . import proxies, sites
from .exceptions import MIRRORS
from .peer import Gone, Overflow, Peer, Violation
from .permissions import MODULE, permit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, NoReturn, TypeAlias

    from .page import Page

    Job: TypeAlias = dict[str, Any]
    Plan: TypeAlias = Callable[[], None]

_MESSAGE = 500
_OUTCOMES_THERE = frozenset(("passed", "wrong_answer", "runtime_error", "memory"))
_STANDARD = getattr(sys, "stdlib_module_names", ("math", "re", "itertools", "collections", "random", "copy", "string"))


class _Stop(BaseException):
    """Nothing more can be learned of this program."""


class Record:
    """What is known so far; every line is written at once, so that a killed judge loses nothing.

    Lines go to the `page`, memory shared with whoever reads them, as long as they fit; what follows, and the last line
    of each job, through the pipe `fd`: each write to a pipe would wake the reader.
    """

    def __init__(self, fd: int, page: Page | None = None) -> None:
        self._fd = fd
        self._page = page
        self.failed = False

    def begin(self) -> None:
        """The next job's."""
        self.failed = False
        if self._page is not None:
            self._page.clear()

    def write(self, **line: Any) -> None:
        data = json.dumps(line).encode("ascii") + b"\n"
        if self._page is not None and "end" not in line and self._page.add(data):
            return
        while data:
            data = data[os.write(self._fd, data) :]

    def test(self, index: int, passed: bool, message: str = "") -> None:
        self.write(test=[index, passed, message[:_MESSAGE]])

    def failure(self, outcome: str, exception: str | None, message: str) -> None:
        if not self.failed:
            self.failed = True
            self.write(failure=[outcome, exception, message[:_MESSAGE]])

    def void(self, reason: str) -> NoReturn:
        self.write(void=reason[:_MESSAGE])
        raise _Stop


class _Names(dict):  # type: ignore[type-arg]
    """The tests' globals. A name they do not have is looked up in the program; builtins go before the program's names,
    the entry point before everything."""

    def __init__(self, peer: Peer, entry_point: str | None) -> None:
        super().__init__(__name__=MODULE, __builtins__=builtins)
        self._peer = peer
        self._entry_point = entry_point

    def __missing__(self, name: str) -> Any:
        if name.startswith("__") or (hasattr(builtins, name) and name != self._entry_point):
            raise KeyError(name)
        value = self._peer.request("global", name)
        if type(value) is proxies.Remote and name in _STANDARD:  # `math` is the real one, whoever imported it
            return importlib.import_module(name)
        return value


def peer_for(channel: socket.socket) -> Peer:
    """Our end of a program's channel: it may ask for nothing but what `permit` allows."""
    return Peer(channel, permit=permit)


def judge(job: Job, peer: Peer, record: Record) -> bool:
    """Judge one job; True when it came to an end in good order. Never raises: what goes wrong here is void."""
    random.seed(0)
    decimal.setcontext(decimal.Context())
    sys.setrecursionlimit(5000)
    MIRRORS.clear()
    try:
        return _Judge(job, peer, record).run()
    except _Stop:
        return True
    except Exception as error:  # noqa: BLE001 - a defect of ours must not become anybody's verdict
        record.write(void=f"the judge failed: {type(error).__name__}: {str(error)[:_MESSAGE]}")
        return False


class _Judge:
    _reached: set[int]  # asserts that were reached; those of them that did not hold yet; those that failed
    _open: set[int]
    _bad: set[int]

    def __init__(self, job: Job, peer: Peer, record: Record) -> None:
        self._job = job
        self._peer = peer
        self._record = record
        self._names = _Names(peer, job["entry_point"])
        peer.entry_point = sites.only_called(job["tests"], job["entry_point"])
        self._seen: dict[str, Any] = {}
        self._names[sites.LEFT], self._names[sites.RIGHT] = self._left, self._right
        self._names[sites.REACH], self._names[sites.HELD] = self._reach, self._held
        self._names[sites.VOID] = record.void  # for tests that find that they cannot judge
        sys.modules[MODULE] = module = types.ModuleType(MODULE)
        module.__dict__.update(self._names)

    def run(self) -> bool:
        """True when the program was still there at the end and had kept to the protocol."""
        try:
            self._run()
        except Gone:
            self._record.write(gone=True)
        except Violation as error:
            self._record.write(violation=str(error)[:_MESSAGE])
        except Overflow as error:
            self._record.failure("output_limit", None, f"a result of the program is too large: {error}")
        else:
            return True
        return False

    def _run(self) -> None:
        if self._job["style"] == "stdin":
            self._run_whole()
            return
        execute = self._plan()
        self._prepare_tests("preamble")
        self._greet()
        self._load()
        self._names.pop(self._job["entry_point"], None)
        self._prepare_tests("setup")
        execute()

    def _plan(self) -> Plan:
        plan = self._plan_check if self._job["style"] == "check" else self._plan_asserts
        if not self._job["in_process"]:
            return plan()
        plan()
        self._record.write(plan=[_label(test) for test in self._job["tests"]])
        return self._run_there

    # -- before the tests ----------------------------------------------------------------------------------------

    def _prepare_tests(self, part: str) -> None:
        if not self._job[part]:
            return
        try:
            exec(compile(self._job[part], f"<{part}>", "exec", dont_inherit=True), self._names)
        except Exception as error:  # noqa: BLE001 - sorted by whose it is: the program's or the data's
            if not (part == "setup" and (hasattr(error, "crossed") or isinstance(error, NameError))):
                self._record.void(f"the {part} does not run: {type(error).__name__}: {error}")
            self._fail(error)
            raise _Stop from None

    def _greet(self) -> None:
        try:
            self._peer.request("hello")
        except (Gone, Violation):  # nothing of the program has run yet
            self._record.void("the program's process did not start")

    def _load(self) -> None:
        job = self._job
        try:
            bound = sites.bound_names(job["setup"])
        except (SyntaxError, ValueError) as error:
            self._record.void(f"the setup does not compile: {error}")
        limits = (math.ceil(job["cpu_s"]), job["memory_mb"])
        self._loaded("load", job["code"], job["preamble"], job["setup"], bound, *limits)

    def _loaded(self, op: str, *args: Any) -> Any:
        """Have the program's source run; what it raises is its failure, and the end."""
        try:
            found = self._peer.request(op, *args)
        except (Gone, Violation, Overflow):
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit of a program is its failure, not ours
            self._fail(error)
            raise _Stop from None
        if type(found) is list and len(found) == 2:  # it does not compile
            self._record.failure("syntax_error", str(found[0]), str(found[1]))
            raise _Stop
        return found

    # -- programs that are run whole, and tests that run in the program's own process -------------------------------

    def _run_whole(self) -> None:
        job = self._job
        self._record.write(plan=job["tests"])
        self._greet()
        limits = (math.ceil(job["cpu_s"]), job["memory_mb"])
        status = self._loaded("main", job["code"], job["stdin"], *limits)
        if status:
            self._record.failure("runtime_error", "SystemExit", f"the program ended with status {status}")
        self._record.test(0, not status)

    def _run_there(self) -> None:
        """The verdict is the program's own process's, and so within its reach: the result says so."""
        found = self._peer.request("tests", self._job["tests"], self._job["style"], self._job["entry_point"])
        if not _is_table(found, len(self._job["tests"])):
            raise Violation("results that are not one for each test")
        for index, (outcome, exception, message) in enumerate(found):
            if outcome != "passed":
                self._record.failure(outcome, exception or None, message)
            self._record.test(index, outcome == "passed", message)

    # -- tests as single statements ------------------------------------------------------------------------------

    def _plan_asserts(self) -> Plan:
        codes = []
        for index, test in enumerate(self._job["tests"]):
            try:
                codes.append(sites.rewrite_test(test, f"<test {index}>"))
            except (SyntaxError, ValueError) as error:
                self._record.void(f"test {index + 1} does not compile: {error}")
        if not codes:
            self._record.void("there are no tests")
        self._record.write(plan=[_label(test) for test in self._job["tests"]])
        return lambda: self._run_asserts(codes)

    def _run_asserts(self, codes: list[tuple[types.CodeType, set[int]]]) -> None:
        for index, (code, required) in enumerate(codes):
            self._seen.clear()
            try:
                self._reached, self._open = set(), set()
                exec(code, self._names)
                if self._peer.broken is not None:
                    raise self._peer.broken
                if not required <= self._reached - self._open:
                    raise AssertionError("not every assert was reached and held")
            except (Gone, Violation, Overflow, _Stop):
                raise
            except BaseException as error:  # noqa: BLE001 - SystemExit in a test is that test's failure
                self._record.test(index, False, self._fail(error))
            else:
                self._record.test(index, True)

    # -- tests as one function check(candidate) ----------------------------------------------------------------

    def _plan_check(self) -> Plan:
        try:
            code, found = sites.rewrite_asserts(self._job["tests"][0], "<tests>")
        except (SyntaxError, ValueError) as error:
            self._record.void(f"the tests do not compile: {error}")
        if not found:
            self._record.void("the tests hold no assert statement")
        if not self._job["entry_point"]:
            self._record.void("tests of the style 'check' need an entry point")
        self._record.write(plan=[site.label for site in found])
        self._names[sites.SITE] = lambda index: _Watch(self, index)
        self._reached, self._bad = set(), set()
        return lambda: self._run_check(code, found)

    def _run_check(self, code: types.CodeType, found: list[sites.Site]) -> None:
        complete = False
        try:
            exec(code, self._names)
            if "check" not in self._names:
                self._record.void("the tests define no function 'check'")
            self._names["check"](self._entry())
            complete = self._peer.broken is None
        except (Gone, Violation, Overflow, _Stop):
            raise
        except BaseException as error:  # noqa: BLE001 - outside every assert: what follows cannot be reached
            self._fail(error)
        for index, site in enumerate(found):
            if index not in self._reached:
                self._record.test(index, complete and not site.required, "not reached")
                if site.required and complete:
                    self._record.failure("wrong_answer", None, f"not reached: {site.label}")
        if self._peer.broken is not None:
            raise self._peer.broken

    def _entry(self) -> Any:
        try:
            return self._names[self._job["entry_point"]]
        except KeyError:
            raise NameError(f"name {self._job['entry_point']!r} is not defined") from None

    def reach(self, index: int, error: BaseException | None) -> None:
        """One evaluation of an assert statement ended, with `error` or None."""
        if error is not None:
            message = self._fail(error)
            if index not in self._bad:
                self._bad.add(index)
                self._record.test(index, False, message)
        elif index not in self._reached:
            self._record.test(index, True)
        self._reached.add(index)

    # -- what went wrong -------------------------------------------------------------------------------------------

    def _left(self, value: Any) -> Any:
        self._seen["left"] = value
        return value

    def _reach(self, index: int) -> Literal[True]:
        self._reached.add(index)
        self._open.add(index)
        return True

    def _held(self, index: int) -> Literal[True]:
        self._open.discard(index)
        return True

    def _right(self, value: Any) -> Any:
        self._seen["right"] = value
        return value

    def _fail(self, error: BaseException) -> str:
        """Record what an exception means for the program; the message for the test."""
        crossed = getattr(error, "crossed", None)
        if crossed is not None:
            name, text, line = crossed
            message = _told(name, text) + (f" (line {line})" if line else "")
            self._record.failure("memory" if name == "MemoryError" else "runtime_error", name, message)
        elif isinstance(error, AssertionError):
            message = self._difference(error)
            self._record.failure("wrong_answer", None, message)
        else:
            name = type(error).__name__
            message = _told(name, str(error))
            self._record.failure("memory" if name == "MemoryError" else "runtime_error", name, message)
        return message

    def _difference(self, error: AssertionError) -> str:
        text = str(error.args[0])[:200] if error.args and type(error.args[0]) in (str, int, float) else ""
        if "left" not in self._seen or "right" not in self._seen:
            return text or "the assertion is false"
        both = "got {}, expected {}".format(sites.short(self._seen["left"]), sites.short(self._seen["right"]))
        return f"{both} ({text})" if text else both


def _is_table(found: Any, rows: int) -> bool:
    """Whether `found` is a list of `rows` lists [outcome, exception or "", message]."""
    return (
        type(found) is list
        and len(found) == rows
        and all(type(row) is list and len(row) == 3 and all(type(cell) is str for cell in row) for row in found)
        and all(row[0] in _OUTCOMES_THERE for row in found)
    )


def _label(test: str) -> str:
    """What a test is called: a comment that it begins with, else the test itself."""
    text = test.strip()
    return (text.partition("\n")[0].lstrip("# ") if text.startswith("#") else text)[:200]


def _told(name: str, text: str) -> str:
    return f"{name}: {text}" if text else name


class _Watch:
    """`with __site__(k): assert ...`: an assert that fails is recorded and the function goes on."""

    def __init__(self, judge: _Judge, index: int) -> None:
        self._judge = judge
        self._index = index

    def __enter__(self) -> None:
        self._judge._seen.clear()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> bool:
        if kind is not None and issubclass(kind, (Gone, Violation, Overflow, GeneratorExit)):
            return False
        self._judge.reach(self._index, error)
        return True
