"""Containers that are killed, engines that vanish, owners that die: nothing wrong is recorded and nothing is left."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Limits, Program, Void
from evalkit.sandboxes import leftovers
from evalkit.sandboxes.docker import ADAPTER
from evalkit.sandboxes.pool import IDLE_S, Pool

_LIMITS = Limits(wall_s=30.0, cpu_s=10.0, memory_mb=512)


def program(
    key: str, code: str = "def f(x):\n    return 2 * x\n", tests: tuple[str, ...] = ("assert f(2) == 4",)
) -> Program:
    return Program(key, code, tests, entry_point="f", limits=_LIMITS)


def slow(key: str) -> Program:
    return program(key, "import time\ndef f(x):\n    time.sleep(1)\n    return 2 * x\n")


def eventually(condition: Callable[[], object], timeout_s: float = 30) -> None:
    """Wait for something that happens in another process."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def in_flight(pool: Sandbox) -> int:
    assert isinstance(pool, Pool)
    return sum(len(worker._flight) for worker in pool._workers)


def containers_of(pool: Sandbox) -> set[str]:
    assert isinstance(pool, Pool)
    return {str(worker._host._id) for worker in list(pool._workers) if worker._host is not None}


def outcome(result: Execution | Void) -> str:
    return result.outcome if isinstance(result, Execution) else f"void: {result.reason}"


def test_a_killed_container_is_replaced(client: Any, open_pool: Callable[..., Sandbox]) -> None:
    """The engine kills the container in the middle of a program: it and those behind it are judged in a fresh one."""
    pool = open_pool()
    assert outcome(pool.submit(program("warm")).result(60)) == "passed"
    (before,) = containers_of(pool)
    futures = [
        pool.submit(slow("a")),
        pool.submit(program("b", "def f(x):\n    return 0\n")),
        pool.submit(program("c")),
    ]
    eventually(lambda: in_flight(pool) > 0)
    client.api.kill(before)
    assert [outcome(future.result(120)) for future in futures] == ["passed", "wrong_answer", "passed"]
    assert before not in containers_of(pool)


_KILL_THE_RUNNER = """
import os
for pid in filter(str.isdigit, os.listdir('/proc')):
    with open(f'/proc/{pid}/stat') as stream:
        parent = stream.read().rpartition(')')[2].split()[1]
    if parent == '1' and os.stat(f'/proc/{pid}').st_uid == 1000:
        os.kill(int(pid), 9)
"""


def test_a_killed_worker_is_replaced(client: Any, open_pool: Callable[..., Sandbox]) -> None:
    """The process in the container that holds the verdicts is killed: its jobs are judged in a fresh container."""
    pool = open_pool()
    assert outcome(pool.submit(program("warm")).result(60)) == "passed"
    (before,) = containers_of(pool)
    futures = [
        pool.submit(slow("a")),
        pool.submit(program("b", "def f(x):\n    return 0\n")),
        pool.submit(program("c")),
    ]
    eventually(lambda: in_flight(pool) > 0)
    done = client.api.exec_create(before, ["python3", "-c", _KILL_THE_RUNNER])
    client.api.exec_start(done["Id"])
    assert [outcome(future.result(120)) for future in futures] == ["passed", "wrong_answer", "passed"]
    assert before not in containers_of(pool)


_FILLS = """
import os

def f(x):
    full = 0
    for folder in ('/tmp', os.getcwd(), '/dev/shm'):
        try:
            for n in range(1000):
                with open(f'{folder}/{n}', 'wb') as stream:
                    stream.write(bytes(8 << 20))
        except OSError:
            full += 1
    if full != 3:
        raise RuntimeError(full)
    if os.fork() == 0:
        os.setsid()
        held = [open(f'{folder}/0', 'rb') for folder in ('/tmp', os.getcwd(), '/dev/shm')]
        while True:
            os.sched_yield()
    return 2 * x
"""
_WRITES = """
import os

def f(x):
    for folder in ('/tmp', os.getcwd(), '/dev/shm'):
        with open(f'{folder}/mine', 'wb') as stream:
            stream.write(bytes(8 << 20))
    return 2 * x
"""


def test_a_full_disk_is_the_programs_own(open_pool: Callable[..., Sandbox]) -> None:
    """A program fills every place it may write to and leaves a process that holds the files: the next ones in the same
    container have room, and right and wrong stay right and wrong."""
    pool = open_pool()
    assert outcome(pool.submit(program("warm")).result(60)) == "passed"
    before = containers_of(pool)
    codes = (_FILLS, _WRITES, "def f(x):\n    return 0\n") * 3
    futures = [pool.submit(program(str(n), code)) for n, code in enumerate(codes)]
    assert [outcome(future.result(120)) for future in futures] == ["passed", "passed", "wrong_answer"] * 3
    assert before == containers_of(pool)


def test_killed_twice_is_void(client: Any, open_pool: Callable[..., Sandbox]) -> None:
    """A program whose container dies twice is void, never wrong."""
    pool = open_pool()
    future = pool.submit(slow("a"))
    for _ in range(2):
        eventually(lambda: in_flight(pool) > 0 and containers_of(pool))
        (current,) = containers_of(pool)
        client.api.kill(current)
        eventually(lambda gone=current: gone not in containers_of(pool))  # type: ignore[misc]
    result = future.result(60)
    assert isinstance(result, Void)
    assert result.reason.startswith("lost twice: ")


def test_the_engine_vanishes(
    client: Any, open_pool: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The container dies and no engine answers any more: everything open and new is void at once, with the reason."""
    pool = open_pool()
    assert outcome(pool.submit(program("warm")).result(60)) == "passed"
    futures = [pool.submit(slow(str(n))) for n in range(5)]
    eventually(lambda: in_flight(pool) > 0)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/gone.sock")
    began = time.monotonic()
    for found in containers_of(pool):
        client.api.kill(found)
    results = [future.result(30) for future in (*futures, pool.submit(program("new")))]
    assert time.monotonic() - began < 20
    assert all(isinstance(result, Void) and "no Docker engine answers" in result.reason for result in results[1:]), (
        results
    )
    monkeypatch.undo()
    pool._down = ("", 0.0)  # type: ignore[attr-defined]
    assert outcome(pool.submit(program("later")).result(60)) == "passed"


def test_two_pools_do_not_disturb_each_other(client: Any, open_pool: Callable[..., Sandbox]) -> None:
    """Closing one leaves the other's containers and programs alone."""
    first, second = open_pool(), open_pool()
    mixed = [
        (pool.submit(slow("a")), pool.submit(program("b", "def f(x):\n    return 0\n"))) for pool in (first, second)
    ]
    eventually(lambda: in_flight(first) and in_flight(second))
    first.close()
    assert {"void: the sandbox was closed"} == {outcome(future.result(0)) for future in mixed[0]}
    assert [outcome(future.result(60)) for future in mixed[1]] == ["passed", "wrong_answer"]


def test_nothing_is_left_after_close(client: Any) -> None:
    """Not a container, and not in the middle of programs either."""
    pool = ADAPTER.open({"workers": 2}, print)
    before = set(leftovers.mine(client))
    futures = [pool.submit(slow(str(n))) for n in range(6)]
    eventually(lambda: len(containers_of(pool)) == 2)
    made = containers_of(pool)
    pool.close()
    assert all(future.done() for future in futures)
    assert set() == made & {found["Id"] for found in client.api.containers(all=True)}
    assert set(leftovers.mine(client)) <= before  # an idle pool of other tests may have given up its own meanwhile


_OWNER = """
import sys
from evalkit.core.types import Program
from evalkit.sandboxes.docker import ADAPTER
pool = ADAPTER.open({"workers": 1}, lambda text: None)
pool.submit(Program("k", "def f(): return 1", ("assert f() == 1",), entry_point="f")).result()
print(*(worker._host._id for worker in pool._workers), flush=True)
sys.stdin.read()
"""


def test_a_killed_owner_leaves_nothing(client: Any) -> None:
    """SIGKILL for the process that owns the container: the container ends by itself and is removed."""
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    found = owner.stdout.readline().strip()
    assert found in {item["Id"] for item in client.api.containers()}
    owner.kill()
    owner.wait()
    eventually(lambda: found not in {item["Id"] for item in client.api.containers(all=True)})


def test_containers_of_dead_owners_are_collected(client: Any) -> None:
    """What a dead process left is removed at the next start; what lives, or belongs to another machine, is not."""
    image = ADAPTER.identity({}) and client.images.list(filters={"label": "evalkit.sandbox.from=default"})[0].id
    mine = leftovers.labels()
    dead = {**mine, "evalkit.owner.started": "1"}
    far = {**mine, "evalkit.owner.place": "elsewhere"}
    made = {
        name: client.api.create_container(image, labels=of)["Id"]
        for name, of in (("mine", mine), ("dead", dead), ("far", far))
    }
    try:
        leftovers.collect(client)
        left = {found["Id"] for found in client.api.containers(all=True)}
        assert sorted(name for name, found in made.items() if found in left) == ["far", "mine"]
    finally:
        for found in made.values():
            leftovers.remove(client, found)


def test_identity_is_stable(client: Any) -> None:
    """The same image, worker and profile have one name."""
    assert ADAPTER.identity({}) == ADAPTER.identity({})
    assert len(ADAPTER.identity({})) == 64


def test_an_own_image(client: Any) -> None:
    """`image:` puts the worker on another base; without it there is a sentence that says how to get it."""
    base = client.images.list(filters={"label": "evalkit.sandbox.from=default"})[0]
    base.tag("evalkit-test-base", "latest")
    options = {"image": "evalkit-test-base:latest", "workers": 1}
    try:
        ADAPTER.prepare(options, print)
        assert ADAPTER.identity(options) != ADAPTER.identity({})
        pool = ADAPTER.open(options, print)
        try:
            assert outcome(pool.submit(program("k")).result(60)) == "passed"
        finally:
            pool.close()
    finally:
        for image in client.images.list(filters={"label": "evalkit.sandbox.from=evalkit-test-base:latest"}):
            client.images.remove(image.id, force=True)
        client.images.remove("evalkit-test-base:latest")


def test_idle_containers_are_gone_and_come_back(client: Any) -> None:
    """After some seconds without a program no container is left; the next program brings one up again."""
    now = [0.0]
    pool = ADAPTER.open({"workers": 2}, print)
    assert isinstance(pool, Pool)
    pool.clock = lambda: now[0]
    try:
        futures = [pool.submit(slow(str(n))) for n in range(2)]
        assert ["passed"] * 2 == [outcome(future.result(60)) for future in futures]
        made = containers_of(pool)
        assert len(made) == 2
        now[0] += IDLE_S
        eventually(lambda: not made & {found["Id"] for found in client.api.containers(all=True)})
        assert outcome(pool.submit(program("later")).result(60)) == "passed"
        assert len(containers_of(pool) - made) == 1
    finally:
        pool.close()
