"""Our seccomp profile, which is in the form that container engines take, as the filter that the kernel takes.

Classic BPF over `struct seccomp_data`: number at 0, architecture at 4, six 64-bit arguments from 16 on. See
seccomp(2) and the kernel's documentation of filters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from evalkit.core.types import Json

ARCHITECTURES: Mapping[str, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""`platform.machine()` → the kernel's name for its system calls (AUDIT_ARCH)."""
_X32 = 0x40000000
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _MASK, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_EPERM = 1
_LOW = 0xFFFFFFFF


class _Instruction(NamedTuple):
    code: int
    value: int
    if_true: int = 0
    if_false: int = 0

    def packed(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.value)


def compile_profile(profile: Json, numbers: Mapping[str, int], machine: str) -> bytes:
    """The filter for one architecture. `numbers` are its system calls; a call that it lacks is left out.

    Raises KeyError for an architecture that has no filter, ValueError for what a filter of ours cannot say.
    """
    architecture = ARCHITECTURES[machine]
    default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    program = [
        _Instruction(_LOAD, 4),
        _Instruction(_EQUAL, architecture, 1, 0),
        _Instruction(_RETURN, _KILL),
        _Instruction(_LOAD, 0),
    ]
    if machine == "x86_64":
        program += [_Instruction(_AT_LEAST, _X32, 0, 1), _Instruction(_RETURN, _KILL)]
    for name, rules in _rules_by_call(profile).items():
        if name in numbers:
            body = _body(rules, default)
            program += [_Instruction(_EQUAL, numbers[name], 0, len(body)), *body]
    program.append(_Instruction(_RETURN, default))
    return b"".join(one.packed() for one in program)


def _rules_by_call(profile: Json) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            found.setdefault(name, []).append(rule)
    return found


def _body(rules: Iterable[Json], default: int) -> list[_Instruction]:
    """What to do for one call: the first rule whose arguments fit, else the default."""
    body: list[_Instruction] = []
    for rule in rules:
        verdict = _Instruction(_RETURN, _action(rule["action"], rule.get("errnoRet")))
        arguments = rule.get("args") or []
        if not arguments:
            return [*body, verdict]
        if len(arguments) > 1:
            raise ValueError("a rule about two arguments")
        body += _guarded(arguments[0], verdict)
    return [*body, _Instruction(_RETURN, default)]


def _guarded(argument: Json, verdict: _Instruction) -> list[_Instruction]:
    """The verdict behind a test of both halves of an argument; falls through where it does not fit."""
    at, value, operation = 16 + 8 * argument["index"], argument["value"], argument["op"]
    low, high = _Instruction(_LOAD, at), _Instruction(_LOAD, at + 4)
    if operation == "SCMP_CMP_EQ":
        is_low, is_high = _Instruction(_EQUAL, value & _LOW, 0, 3), _Instruction(_EQUAL, value >> 32, 0, 1)
        return [low, is_low, high, is_high, verdict]
    if operation == "SCMP_CMP_NE":
        is_low, is_high = _Instruction(_EQUAL, value & _LOW, 0, 2), _Instruction(_EQUAL, value >> 32, 1, 0)
        return [low, is_low, high, is_high, verdict]
    if operation == "SCMP_CMP_MASKED_EQ":
        wanted = argument.get("valueTwo", 0)
        mask_low, mask_high = _Instruction(_MASK, value & _LOW), _Instruction(_MASK, value >> 32)
        is_low, is_high = _Instruction(_EQUAL, wanted & _LOW, 0, 4), _Instruction(_EQUAL, wanted >> 32, 0, 1)
        return [low, mask_low, is_low, high, mask_high, is_high, verdict]
    raise ValueError(f"an unknown comparison: {operation}")


def _action(name: str, errno: int | None) -> int:
    if name == "SCMP_ACT_ERRNO":
        return _ERRNO | (_EPERM if errno is None else errno)
    known = {"SCMP_ACT_ALLOW": _ALLOW, "SCMP_ACT_KILL_PROCESS": _KILL}
    if name not in known:
        raise ValueError(f"an unknown action: {name}")
    return known[name]
