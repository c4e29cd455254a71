"""Programs that nobody wrote: bytes, tokens and broken pieces of honest ones, in a real container."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from evalkit.core.ports import Sandbox
from evalkit.core.types import Execution, ExecutionClass, Limits, Program
from evalkit.sandboxes.self_test import cases

_ROOT = Path(__file__).parents[2]
_LIMITS = Limits(wall_s=10.0, cpu_s=1.0, memory_mb=256)
_TESTS = ("assert f(2) == 4", "assert f(5) == 10")
_HONEST = "def f(x):\n    return 2 * x\n"
_SOURCES = [case.program.code for case in cases()]
_TOKENS = sorted({token for code in _SOURCES for token in re.findall(r"\w+|[^\w\s]+|\n *", code)})

_BYTES = st.binary(max_size=300).map(lambda data: data.decode("latin-1"))
_TEXT = st.text(st.characters(codec=None), max_size=100)
_SOUP = st.lists(st.sampled_from(_TOKENS), max_size=60).map(" ".join)
_BODY = _SOUP.map(lambda soup: "def f(x):\n    " + soup.replace("\n", "\n    "))


def _damaged(code: str, seed: int) -> str:
    """The program with some pieces taken out, doubled, or replaced by another token."""
    draw = random.Random(seed)
    pieces = re.findall(r"\w+|\s+|[^\w\s]", code)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(pieces) or 1)
        pieces[place : place + 1] = draw.choice([[], pieces[place : place + 1] * 2, [draw.choice(_TOKENS)]])
    return "".join(pieces)


_DAMAGED = st.builds(_damaged, st.sampled_from(_SOURCES), st.integers(0, 1 << 30))
_PROGRAMS = st.one_of(_BYTES, _TEXT, _SOUP, _BODY, _DAMAGED, _DAMAGED, _DAMAGED)


@settings(max_examples=12, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck))
@given(codes=st.lists(_PROGRAMS, min_size=25, max_size=25), stdin=st.booleans())
def test_random_programs(codes: list[str], stdin: bool, sandbox: Sandbox) -> None:
    """Each gets a class and a result for each test; the honest program after each of them passes."""
    tests = ('{"stdin": "2", "stdout": "4"}',) if stdin else _TESTS
    style = "stdin" if stdin else "asserts"
    futures = []
    for code in codes:
        futures.append(sandbox.submit(Program("random", code, tests, style, entry_point="f", limits=_LIMITS)))
        futures.append(sandbox.submit(Program("honest", _HONEST, _TESTS, entry_point="f", limits=_LIMITS)))
    for number, future in enumerate(futures):
        result = future.result(120)
        assert isinstance(result, Execution), (codes[number // 2], result)
        assert result.outcome in get_args(ExecutionClass)
        if result.key == "honest":
            assert result.outcome == "passed", (codes[number // 2], result)
        else:
            passed = len(result.tests) > 0 and all(test.passed for test in result.tests)
            assert (result.outcome == "passed") == passed, result


def test_a_short_soak() -> None:
    """Hundreds of honest and hostile programs leave nothing in the containers, in this machine or in memory."""
    command = [
        sys.executable,
        str(_ROOT / "benchmarks" / "soak.py"),
        "--programs",
        "600",
        "--every",
        "200",
        "--other",
        "2",
        "--slow",
        "75",
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "nothing is left"
