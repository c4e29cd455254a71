"""The seccomp filter, run by an interpreter of the few instructions that it is made of."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from evalkit import assets
from evalkit.sandboxes.bpf import ARCHITECTURES, compile_profile

_FOLDER = assets.folder("sandbox")
_PROFILE = json.loads((_FOLDER / "seccomp.json").read_text("utf-8"))
_NUMBERS = json.loads((_FOLDER / "syscalls.json").read_text("utf-8"))
_ALLOW, _KILL, _ENOSYS, _EAFNOSUPPORT = 0x7FFF0000, 0x80000000, 0x50000 | 38, 0x50000 | 97


def interpret(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """What the kernel would do of a call."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    value, at = 0, 0
    while True:
        operation, if_true, if_false, constant = code[at]
        at += 1
        if operation == 0x20:
            (value,) = struct.unpack_from("=I", data, constant)
        elif operation == 0x54:
            value &= constant
        elif operation == 0x15:
            at += if_true if value == constant else if_false
        elif operation == 0x35:
            at += if_true if value >= constant else if_false
        else:
            assert operation == 0x06
            return int(constant)


def verdict(machine: str, name: str, *arguments: int) -> int:
    program = compile_profile(_PROFILE, _NUMBERS[machine], machine)
    return interpret(program, _NUMBERS[machine][name], *arguments, architecture=ARCHITECTURES[machine])


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
def test_every_call_of_the_profile(machine: str) -> None:
    """Each call without conditions gets the action of its group."""
    program = compile_profile(_PROFILE, _NUMBERS[machine], machine)
    actions = {"SCMP_ACT_ALLOW": _ALLOW, "SCMP_ACT_KILL_PROCESS": _KILL, "SCMP_ACT_ERRNO": _ENOSYS}
    checked = 0
    for rule in _PROFILE["syscalls"]:
        for name in rule["names"]:
            if name in _NUMBERS[machine] and not rule.get("args"):
                number = _NUMBERS[machine][name]
                found = interpret(program, number, architecture=ARCHITECTURES[machine])
                assert found == actions[rule["action"]], name
                checked += 1
    assert checked > 200
    assert len(program) // 8 <= 4096


@pytest.mark.parametrize("machine", sorted(ARCHITECTURES))
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("socket", (1,), _ALLOW),
        ("socket", (2,), _EAFNOSUPPORT),
        ("socket", (1 << 32 | 1,), _EAFNOSUPPORT),
        ("clone", (0x11,), _ALLOW),
        ("clone", (0x10000000 | 0x11,), _ENOSYS),
        ("clone", (0x00020000,), _ENOSYS),
        ("prlimit64", (0,), _ALLOW),
        ("prlimit64", (1,), _ENOSYS),
        ("personality", (0xFFFFFFFF,), _ALLOW),
        ("personality", (0,), _ALLOW),
        ("personality", (0x0040000,), _ENOSYS),
        ("ptrace", (), _KILL),
        ("unshare", (0,), _KILL),
    ],
)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], expected: int) -> None:
    """Both halves of a 64-bit argument count, masks and several rules of one call included."""
    assert expected == verdict(machine, name, *arguments)


def test_other_architectures_end_the_program() -> None:
    """Neither the 32-bit nor the x32 calls of the same machine are a way around the filter."""
    program = compile_profile(_PROFILE, _NUMBERS["x86_64"], "x86_64")
    assert interpret(program, 1, architecture=0x40000003) == _KILL
    assert interpret(program, 0x40000000 | 1, architecture=ARCHITECTURES["x86_64"]) == _KILL
    assert interpret(program, 100_000, architecture=ARCHITECTURES["x86_64"]) == _ENOSYS


@pytest.mark.parametrize(
    "rule",
    [
        {"names": ["read"], "action": "SCMP_ACT_TRACE"},
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_GT"}]},
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}] * 2},
    ],
)
def test_what_cannot_be_said_is_refused(rule: Any) -> None:
    """A profile that uses more than we translate is no filter with holes, but an error."""
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [rule]}
    with pytest.raises(ValueError, match="a"):
        compile_profile(profile, {"read": 0}, "x86_64")
