"""The local sandbox against the adversarial set, and against what its own walls are made of."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from evalkit.core.types import Execution, Limits, Program, Void
from evalkit.sandboxes.local_host import LocalHost
from evalkit.sandboxes.pool import Pool
from evalkit.sandboxes.self_test import Case, cases

_CASES = cases()
_LIMITS = Limits(wall_s=20.0, cpu_s=5.0, memory_mb=512)
_OTHER_CLASSES = {
    # The machine's own interpreter may be too slow to reach the end of its stack within the limit of the set.
    "deep recursion in C": ("timeout",),
}
"""Programs that may end otherwise than in a container, at either level. None of them is `passed`."""


@pytest.fixture(scope="module")
def results(pool: Pool) -> dict[str, Future[Execution | Void]]:
    """All programs at once, side by side with each other's attacks."""
    return {case.name: pool.submit(case.program) for case in _CASES}


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_program(case: Case, results: dict[str, Future[Execution | Void]]) -> None:
    """The class is one that is right for this program, here."""
    result = results[case.name].result(300)
    assert isinstance(result, Execution), result
    assert result.outcome in case.expect + _OTHER_CLASSES.get(case.name, ()), result


def judge(pool: Pool, code: str, *tests: str) -> Execution:
    program = Program("k", code, tests or ("assert f()",), entry_point="f", limits=_LIMITS)
    result = pool.submit(program).result(120)
    assert isinstance(result, Execution), result
    return result


_ENVIRONMENT = {
    "the project and the homes are not there": (
        "import os\n"
        "def f():\n"
        "    return [path for path in ('/home', '/srv', '/var', '/run', '/opt', '/mnt', '/old')\n"
        "            if os.path.isdir(path) and os.listdir(path) not in ([], ['evalkit'])] == []\n"
    ),
    "nothing but its own folders can be written": (
        "import os\n"
        "def f():\n"
        "    found = []\n"
        "    for top, folders, files in os.walk('/'):\n"
        "        folders[:] = [name for name in folders if os.path.join(top, name) != '/proc']\n"
        "        if os.access(top, os.W_OK):\n"
        "            found.append(top)\n"
        "    mine = ('/tmp', '/dev/shm', os.getcwd())\n"
        "    return [place for place in found if place not in mine] == []\n"
    ),
    "no interface but a loopback that is down": (
        "def f():\n"
        "    lines = open('/proc/net/dev').read().splitlines()[2:]\n"
        "    return [line.split(':')[0].strip() for line in lines] == ['lo']\n"
    ),
    "installed packages are not there": (
        "import sys, os\n"
        "def f():\n"
        "    return all(not os.listdir(p) for p in sys.path if p.endswith('-packages') and os.path.isdir(p))\n"
    ),
    "no capability, no new one": (
        "def f():\n"
        "    lines = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "    rights = {int(lines[name], 16) for name in ('CapPrm', 'CapEff', 'CapAmb')}\n"
        "    return rights == {0} and lines['NoNewPrivs'].strip() == '1' and lines['Seccomp'].strip() == '2'\n"
    ),
    "the host's name stays outside": "import os\ndef f():\n    return os.uname().nodename == 'sandbox'\n",
}


@pytest.mark.parametrize("name", _ENVIRONMENT)
def test_what_a_program_finds(name: str, pool: Pool) -> None:
    """A root of its own, without what is none of its business."""
    assert judge(pool, _ENVIRONMENT[name]).outcome == "passed", name


def test_the_judges_are_out_of_reach(level: str, pool: Pool) -> None:
    """As an ordinary user's program: no process but its own kind is there to be seen; as root's: none can be opened."""
    code = (
        "import os\n"
        "def f():\n"
        "    found = []\n"
        "    for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "        if int(pid) != os.getpid():\n"
        "            for name in ('mem', 'fd', 'environ', 'maps'):\n"
        "                try:\n"
        "                    place = f'/proc/{pid}/{name}'\n"
        "                    os.listdir(place) if name == 'fd' else open(place, 'rb').read(1)\n"
        "                    found += [place] * (name != 'fd' or len(os.listdir(place)))\n"
        "                except OSError:\n"
        "                    pass\n"
        "    return found == [] and len(list(filter(str.isdigit, os.listdir('/proc'))))\n"
    )
    seen = 2 if level == "user" else 3
    result = judge(pool, code, f"assert {seen} <= f() <= {seen + 6 * (level == 'root')}")
    assert result.outcome == "passed", result


_LEAVES = {
    "files": (
        "import os\n"
        "def f():\n"
        "    for folder in ('/tmp', '/dev/shm', '.'):\n"
        "        os.makedirs(folder + '/deep/er')\n"
        "        open(folder + '/planted', 'w').close()\n"
        "    os.chmod('/tmp/deep', 0)\n"
        "    return True\n",
        "import os\ndef f():\n    return [os.listdir(place) for place in ('/tmp', '/dev/shm', '.')] == [[], [], []]\n",
    ),
    "a daemon and its socket": (
        "import os, socket, time\n"
        "def f():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            server = socket.socket(socket.AF_UNIX)\n"
        "            server.bind('\\0planted')\n"
        "            server.listen()\n"
        "            open('/tmp/up', 'w').close()\n"
        "            time.sleep(1000)\n"
        "        os._exit(0)\n"
        "    while not os.path.exists('/tmp/up'):\n"
        "        time.sleep(0.01)\n"
        "    return True\n",
        "import os, socket\n"
        "def f():\n"
        "    try:\n"
        "        socket.socket(socket.AF_UNIX).connect('\\0planted')\n"
        "    except ConnectionRefusedError:\n"
        "        return True\n",
    ),
    "a full disk": (
        "def f():\n"
        "    try:\n"
        "        for n in range(100):\n"
        "            open(f'/tmp/{n}', 'wb').write(bytes(10 << 20))\n"
        "    except OSError:\n"
        "        return True\n",
        "def f():\n"
        "    with open('/tmp/x', 'wb') as stream:\n"
        "        return stream.write(bytes(10 << 20)) == 10 << 20\n",
    ),
    "children that hold memory": (
        "import os, time\n"
        "def f():\n"
        "    for _ in range(5):\n"
        "        if os.fork() == 0:\n"
        "            waste = b'x' * (1 << 26)\n"
        "            time.sleep(1000)\n"
        "    return True\n",
        "import os\ndef f():\n    return os.fork() >= 0 or os._exit(0)\n",
    ),
}


@pytest.mark.parametrize("name", _LEAVES)
def test_nothing_is_left(name: str, single: Pool) -> None:
    """One program leaves something behind, the next one, in the same worker, finds nothing of it."""
    hosts = set()
    for code in (*_LEAVES[name], *_LEAVES[name]):
        assert judge(single, code).outcome == "passed", code
        hosts |= {worker._host for worker in single._workers}
    assert len(hosts) == 1


def _descendants(pid: int) -> set[int]:
    """A process and everything below it."""
    found, waiting = set(), [pid]
    while waiting:
        current = waiting.pop()
        found.add(current)
        for task in Path(f"/proc/{current}/task").glob("*/children"):
            waiting += map(int, task.read_text().split())
    return found


def test_close_leaves_no_process(start: Callable[[], LocalHost], single: Pool) -> None:
    """Closing in the middle of a program that ignores signals ends it, its children, and all of the worker."""
    sleeper = "import os, time\ndef f():\n    os.fork()\n    open('/tmp/up', 'w')\n    time.sleep(1000)\n"
    future = single.submit(Program("k", sleeper, ("assert f()",), entry_point="f", limits=_LIMITS))
    deadline = time.monotonic() + 20
    made: set[int] = set()
    while len(made) < 6:
        assert time.monotonic() < deadline, made
        made = {pid for worker in single._workers if worker._host for pid in _descendants(worker._host._process.pid)}  # type: ignore[attr-defined]
        time.sleep(0.01)
    single.close()
    assert isinstance(future.result(0), Void)
    while {pid for pid in made if os.path.exists(f"/proc/{pid}")}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_ends_with_its_owner(start: Callable[[], LocalHost]) -> None:
    """When the other end of its stdin goes, as it does when the owner is killed, the worker ends by itself."""
    host = start()
    try:
        assert host._process.stdin is not None
        host._process.stdin.close()
        assert host._process.wait(20) == 0
    finally:
        host.close()
