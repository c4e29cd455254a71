"""Nothing of one program reaches the next in the same container."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, Limits, Program

_LIMITS = Limits(wall_s=20.0, cpu_s=5.0, memory_mb=512)

_LEAVES = {
    "files": (
        "import os\n"
        "def f():\n"
        "    for folder in ('/tmp', '/dev/shm', '/dev/mqueue', '.'):\n"
        "        try:\n"
        "            os.makedirs(folder + '/deep/er')\n"
        "        except OSError:\n"
        "            pass\n"
        "        try:\n"
        "            open(folder + '/planted', 'w').close()\n"
        "        except OSError:\n"
        "            assert folder == '/dev/mqueue'\n"
        "    os.symlink('/etc/passwd', '/tmp/link')\n"
        "    os.chmod('/tmp/deep', 0)\n"
        "    os.chmod('.', 0)\n"
        "    return True\n",
        "import os\n"
        "def f():\n"
        "    return [os.listdir(place) for place in ('/tmp', '/dev/shm', '/dev/mqueue', '.')] == [[], [], [], []]\n",
    ),
    "a daemon": (
        "import os, time\n"
        "def f():\n"
        "    for _ in range(5):\n"
        "        if os.fork() == 0:\n"
        "            os.setsid()\n"
        "            if os.fork() == 0:\n"
        "                while True:\n"
        "                    time.sleep(1)\n"
        "            os._exit(0)\n"
        "    return True\n",
        "import os\n"
        "def f():\n"
        "    lines = [open(f'/proc/{pid}/status').read() for pid in os.listdir('/proc') if pid.isdigit()]\n"
        "    uids = {int(text.split('Uid:')[1].split()[0]) for text in lines}\n"
        "    return len(uids - {0, 1000, os.getuid()}) == 0\n",
    ),
    "an abstract socket": (
        "import os, socket, time\n"
        "def f():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        server = socket.socket(socket.AF_UNIX)\n"
        "        server.bind('\\0planted')\n"
        "        server.listen()\n"
        "        time.sleep(1000)\n"
        "    return True\n",
        "import socket\n"
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
    "state of the interpreter": (
        "import builtins, math, os, resource, sys\n"
        "def f():\n"
        "    math.pi, builtins.planted, sys.planted = 3, 1, 1\n"
        "    os.environ['PLANTED'] = 'x'\n"
        "    os.nice(10)\n"
        "    sys.setrecursionlimit(10**6)\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
        "    return True\n",
        "import builtins, math, os, resource, sys\n"
        "def f():\n"
        "    left = [hasattr(builtins, 'planted'), hasattr(sys, 'planted'), 'PLANTED' in os.environ, math.pi == 3]\n"
        "    limits = resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 64 and sys.getrecursionlimit() < 2000\n"
        "    return not any(left) and limits and os.nice(0) == 0\n",
    ),
    "many small files": (
        "import os\n"
        "def f():\n"
        "    os.makedirs('a')\n"
        "    for n in range(2000):\n"
        "        open(f'a/{n}', 'w').close()\n"
        "    for _ in range(500):\n"
        "        os.mkdir('d')\n"
        "        os.chdir('d')\n"
        "    return True\n",
        "import os\ndef f():\n    return os.listdir('.') == []\n",
    ),
}


@pytest.mark.parametrize("name", _LEAVES)
def test_nothing_is_left(name: str, open_pool: Callable[..., Sandbox]) -> None:
    """One program leaves something behind, the next one, in the same container, finds nothing of it."""
    pool = open_pool()
    for code in (*_LEAVES[name], *_LEAVES[name]):
        program = Program(name, code, ("assert f()",), entry_point="f", limits=_LIMITS)
        result = pool.submit(program).result(60)
        assert isinstance(result, Execution), result
        assert result.outcome == "passed", result


def test_neighbours_are_out_of_reach(open_pool: Callable[..., Sandbox]) -> None:
    """A program that kills and stops all it can does not disturb another container's program."""
    vandal = (
        "import os\n"
        "def f():\n"
        "    for n in range(3000):\n"
        "        try:\n"
        "            os.kill(-1, 9)\n"
        "        except OSError:\n"
        "            pass\n"
        "    return True\n"
    )
    honest = "def f():\n    return sum(range(10**6)) == 499999500000\n"
    pool = open_pool(2)
    programs = [Program("p", code, ("assert f()",), entry_point="f", limits=_LIMITS) for code in (vandal, honest) * 10]
    outcomes = [pool.submit(program) for program in programs]
    assert [getattr(future.result(120), "outcome", "void") for future in outcomes] == ["passed"] * 20
