"""What children inherit: the interpreter's pages are known to a fork, and unchanged."""

from __future__ import annotations

import os
import sys

import pytest

from sandbox import inherit

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux")


def _faults_of_a_child() -> int:
    """Minor faults of a child that looks at many of the interpreter's functions."""
    pid = os.fork()
    if pid == 0:
        sum(len(name) for name in dir(__builtins__))
        os._exit(0)
    _, _, usage = os.wait4(pid, 0)
    return usage.ru_minflt


def test_the_interpreter_is_found_among_the_mappings() -> None:
    """At least its code and its constants."""
    assert len(inherit._constant_mappings()) >= 2


def test_a_child_has_fewer_faults() -> None:
    """In a process of its own, because the change lasts as long as the process."""
    pid = os.fork()
    if pid == 0:
        before = _faults_of_a_child()
        inherit.page_tables()
        os._exit(0 if _faults_of_a_child() < before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
