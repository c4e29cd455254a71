"""The pool, with worker hosts that do as the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait

import pytest

from evalkit.core.types import Execution, Program, Void
from evalkit.sandboxes.host import HostLost, NoHost
from evalkit.sandboxes.pool import IDLE_S, Pool


class Farm:
    """Where the fake hosts come from. `refuse` keeps new ones from starting; held programs end at `release`."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.hosts: list[FakeHost] = []
        self.refuse: list[Exception] = []
        self.released = False
        self.now = 0.0

    def start(self) -> FakeHost:
        with self.changed:
            if self.refuse:
                raise self.refuse.pop(0)
            host = FakeHost(self, len(self.hosts))
            self.hosts.append(host)
            self.changed.notify_all()
            return host

    def clock(self) -> float:
        return self.now

    def release(self) -> None:
        with self.changed:
            self.released = True
            self.changed.notify_all()

    def alive(self) -> int:
        return sum(not host.closed for host in self.hosts)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what other threads do; what the pool does is not announced, so look again now and then."""
        with self.changed:
            for _ in range(2000):
                if condition():
                    return
                self.changed.wait(0.01)
        raise AssertionError("it did not happen in time")


class FakeHost:
    """Passes every program but those whose code says otherwise."""

    def __init__(self, farm: Farm, number: int) -> None:
        self.farm = farm
        self.number = number
        self.waiting: list[dict[str, object]] = []
        self.begun: list[object] = []
        self.closed = False

    def send(self, line: bytes) -> None:
        assert line.endswith(b"\n")
        self.waiting.append(json.loads(line))

    def receive(self, timeout_s: float) -> list[bytes]:
        if not self.waiting:
            return []
        code = str(self.waiting[0]["code"])
        with self.farm.changed:
            self.begun.append(code)
            self.farm.changed.notify_all()
            if code == "held" and not self.farm.changed.wait_for(lambda: self.farm.released, timeout_s):
                return []
        if code == "silent":
            self.farm.now += 1000
            return []
        if code == "deadly" or (code == "deadly once" and self.number == 0):
            raise HostLost("it died")
        number = self.waiting.pop(0)["id"]
        return _REPLIES[code](number) if code in _REPLIES else [_passed(number, code)]

    def close(self) -> None:
        with self.farm.changed:
            self.closed = True
            self.farm.changed.notify_all()


def _passed(number: object, stdout: str = "") -> bytes:
    tree = {"id": number, "outcome": "passed", "wall_s": 0, "cpu_s": 0, "peak_mb": 1, "stdout": stdout, "stderr": ""}
    return json.dumps(tree).encode()


_REPLIES: dict[str, Callable[[object], list[bytes]]] = {
    "babble": lambda number: [b"what?"],
    "wrong number": lambda number: [_passed(-1)],
    "no outcome": lambda number: [_passed(number).replace(b'"passed"', b"null")],
    "unknown class": lambda number: [_passed(number).replace(b'"passed"', b'"splendid"')],
    "says it twice": lambda number: [_passed(number), _passed(number)],
}


@pytest.fixture
def farm() -> Farm:
    return Farm()


@pytest.fixture
def make_pool(farm: Farm) -> Iterator[Callable[..., Pool]]:
    """Pools over fake hosts, closed at the end."""
    made: list[Pool] = []

    def make(workers: int = 1) -> Pool:
        made.append(Pool(farm.start, workers, lambda text: None, farm.clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


def program(code: str) -> Program:
    return Program(key=code, code=code, tests=("assert True",))


def outcome(result: Execution | Void) -> str:
    return result.outcome if isinstance(result, Execution) else f"void: {result.reason}"


def test_every_program_gets_its_own_answer(make_pool: Callable[..., Pool]) -> None:
    """Many programs over several hosts: nothing is mixed up, nothing is lost."""
    pool = make_pool(3)
    futures = {str(n): pool.submit(program(str(n))) for n in range(500)}
    for name, future in futures.items():
        result = future.result(20)
        assert isinstance(result, Execution)
        assert (name, name) == (result.key, result.stdout)


# -- growing and shrinking ---------------------------------------------------------------------------------------------


def test_no_host_before_there_is_work(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """An open pool costs nothing until a program comes."""
    make_pool(4)
    assert [] == farm.hosts


def test_one_program_after_the_other_needs_one_host(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """The pool does not grow while its only worker keeps up."""
    pool = make_pool(4)
    for n in range(20):
        assert outcome(pool.submit(program(str(n))).result(20)) == "passed"
        farm.until(lambda: len(pool._free) == 1)
    assert len(farm.hosts) == 1


def test_the_pool_grows_with_the_work_up_to_its_limit(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """Programs that wait bring new hosts, each of which runs one at once; never more hosts than allowed."""
    pool = make_pool(3)
    futures = [pool.submit(program("held")) for _ in range(2)]
    farm.until(lambda: sum(bool(host.begun) for host in farm.hosts) == 2)
    futures += [pool.submit(program("held")) for _ in range(10)]
    farm.until(lambda: sum(bool(host.begun) for host in farm.hosts) == 3)
    farm.release()
    assert {outcome(future.result(20)) for future in futures} == {"passed"}
    assert len(farm.hosts) == 3


def test_idle_hosts_leave_and_come_back(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """After some seconds without work every host is gone; the next program starts a fresh one."""
    pool = make_pool(2)
    futures = [pool.submit(program("held")) for _ in range(2)]
    farm.until(lambda: len(farm.hosts) == 2)
    farm.release()
    wait(futures)
    assert farm.alive() == 2
    farm.until(lambda: len(pool._free) == 2)
    farm.now += IDLE_S
    farm.until(lambda: farm.alive() == 0)
    assert outcome(pool.submit(program("later")).result(20)) == "passed"
    assert (len(farm.hosts), farm.alive()) == (3, 1)


def test_a_busy_host_does_not_leave(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """Only idleness counts: a program that runs keeps its host, whatever the clock says."""
    pool = make_pool()
    future = pool.submit(program("held"))
    farm.until(lambda: bool(farm.hosts and farm.hosts[0].begun))
    farm.now += IDLE_S + 1  # within the program's limit and the grace
    farm.release()
    assert outcome(future.result(20)) == "passed"
    assert len(farm.hosts) == 1


def test_nothing_is_kept_of_programs_that_are_done(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """Thousands of programs leave no trace in the pool: its memory does not grow with them."""
    pool = make_pool(2)
    for _ in range(20):
        wait([pool.submit(program("a")) for _ in range(100)])
    farm.until(lambda: len(pool._free) == len(pool._workers))
    kept = [len(pool._queue), *(len(worker._flight) + len(worker._unsent) for worker in pool._workers)]
    assert [0] * len(kept) == kept
    assert len(pool._workers) <= 2


# -- hosts that fail ---------------------------------------------------------------------------------------------------


def test_a_lost_program_is_tried_again(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """The host dies under a program: a fresh one takes it, and those behind it, over."""
    pool = make_pool()
    first, second = pool.submit(program("deadly once")), pool.submit(program("b"))
    assert ["passed", "passed"] == [outcome(future.result(20)) for future in (first, second)]
    assert (len(farm.hosts), farm.hosts[0].closed) == (2, True)


@pytest.mark.parametrize("code", ["deadly", "babble", "wrong number", "no outcome", "unknown class"])
def test_lost_twice_is_void(make_pool: Callable[..., Pool], code: str) -> None:
    """A program that no host survives is void with the reason; its neighbours are judged."""
    pool = make_pool()
    futures = [pool.submit(program(name)) for name in (code, "b", "c", "d")]
    lost = futures[0].result(20)
    assert isinstance(lost, Void)
    assert lost.reason.startswith("lost twice: ")
    assert lost.by == "sandbox"
    assert ["passed"] * 3 == [outcome(future.result(20)) for future in futures[1:]]


def test_an_answer_that_nobody_waits_for(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """A host that talks too much is replaced; the programs behind keep their own answers."""
    pool = make_pool()
    futures = [pool.submit(program(name)) for name in ("says it twice", "b", "c")]
    results = [future.result(20) for future in futures]
    assert ["passed"] * 3 == [outcome(result) for result in results]
    assert ["b", "c"] == [result.stdout for result in results[1:] if isinstance(result, Execution)]
    assert farm.hosts[0].closed


def test_silence_is_not_waited_out_for_ever(make_pool: Callable[..., Pool]) -> None:
    """A host that says nothing past the program's limit and the grace is replaced, then the program is void."""
    result = make_pool().submit(program("silent")).result(20)
    assert Void(key="silent", reason="lost twice: the worker fell silent", by="sandbox") == result


def test_a_host_that_starts_at_the_second_try(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """A start that failed is no program's fault."""
    farm.refuse = [HostLost("it stumbled")]
    assert outcome(make_pool().submit(program("a")).result(20)) == "passed"


def test_no_host_voids_at_once_until_it_is_worth_another_try(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """Every program says why and none waits; seconds later hosts are tried again."""
    pool = make_pool(2)
    farm.refuse = [NoHost("no engine answers")] * 4
    results = [pool.submit(program(str(n))) for n in range(50)]
    assert {"void: no engine answers"} == {outcome(future.result(20)) for future in results}
    farm.refuse = []
    farm.now += 60
    assert outcome(pool.submit(program("later")).result(20)) == "passed"


def test_a_defect_of_a_host_is_void(make_pool: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is told as void, and the pool works on."""
    pool = make_pool()
    with monkeypatch.context() as patch:
        patch.setattr(FakeHost, "receive", lambda self, timeout_s: 1 / 0)
        result = pool.submit(program("a")).result(20)
    assert outcome(result) == "void: the sandbox failed: ZeroDivisionError: division by zero"
    assert outcome(pool.submit(program("b")).result(20)) == "passed"


# -- the end -----------------------------------------------------------------------------------------------------------


def test_close_answers_what_is_open(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """Closing resolves every future as void, also those of a submit that was blocked by the full queue."""
    pool = make_pool()
    futures = []
    full = threading.Event()

    def submit_many() -> None:
        for n in range(40):
            futures.append(pool.submit(program("held")))
            if n == 15:
                full.set()

    thread = threading.Thread(target=submit_many)
    thread.start()
    farm.until(lambda: bool(farm.hosts and farm.hosts[0].begun))
    assert full.wait(10)
    pool.close()
    thread.join(10)
    assert len(futures) == 40
    assert all(isinstance(future.result(0), Void) for future in futures)
    assert (len(farm.hosts), farm.alive()) == (1, 0)
    assert set() == pool._workers


def test_close_while_a_host_starts(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """A host that comes up after the pool was closed is ended too."""
    starting, go = threading.Event(), threading.Event()

    def start() -> FakeHost:
        starting.set()
        assert go.wait(10)
        return farm.start()

    pool = Pool(start, 1, lambda text: None, farm.clock)
    future = pool.submit(program("held"))
    assert starting.wait(10)
    closing = threading.Thread(target=pool.close)
    closing.start()
    farm.until(lambda: pool.closed)
    go.set()
    closing.join(10)
    assert not closing.is_alive()
    assert isinstance(future.result(0), Void)
    assert farm.alive() == 0


def test_submit_after_close_is_void(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """A closed pool answers instead of hanging, and starts nothing."""
    pool = make_pool()
    pool.close()
    pool.close()
    assert Void(key="a", reason="the sandbox is closed", by="sandbox") == pool.submit(program("a")).result(1)
    assert [] == farm.hosts


def test_a_cancelled_program_is_not_run(make_pool: Callable[..., Pool], farm: Farm) -> None:
    """Cancelling what still waits in the queue takes it out; those around it are judged."""
    pool = make_pool()
    held = [pool.submit(program("held")) for _ in range(3)]
    farm.until(lambda: bool(farm.hosts and len(farm.hosts[0].waiting) == 3))
    cancelled, last = pool.submit(program("cancelled")), pool.submit(program("last"))
    assert cancelled.cancel()
    farm.release()
    assert {"passed"} == {outcome(future.result(20)) for future in (*held, last)}
    assert cancelled.cancelled()
    assert "cancelled" not in farm.hosts[0].begun
