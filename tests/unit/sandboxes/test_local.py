"""The local sandbox where the kernel or the system does not allow it, and what it is known by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import SandboxAdapter
from evalkit.sandboxes import local
from evalkit.sandboxes.docker import ADAPTER as DOCKER
from evalkit.sandboxes.host import HostLost
from evalkit.sandboxes.local import ADAPTER


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """What was found out about this machine is no matter of other tests."""
    for cached in (local._problem, local._level):
        cached.cache_clear()
    yield
    for cached in (local._problem, local._level):
        cached.cache_clear()


def _refuse(*_: object) -> None:
    raise HostLost("the local worker ended: no local sandbox can be made here: unshare(0x10000000): not permitted")


def _settings(monkeypatch: pytest.MonkeyPatch, level: str, switches: dict[str, str]) -> None:
    monkeypatch.setattr(local, "LocalHost", _refuse)
    monkeypatch.setattr(local, "_level", lambda: level)
    monkeypatch.setattr(local, "_wish", dict)
    monkeypatch.setattr(local, "_switch", lambda name: switches.get(name, ""))


@pytest.mark.parametrize(
    ("switches", "expected"),
    [
        ({"kernel.unprivileged_userns_clone": "0"}, "sysctl -w kernel.unprivileged_userns_clone=1; or use Docker"),
        (
            {"kernel.apparmor_restrict_unprivileged_userns": "1", "user.max_user_namespaces": "0"},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 user.max_user_namespaces=15000; or use Docker",
        ),
        (
            {"kernel.unprivileged_userns_clone": "1", "kernel.apparmor_restrict_unprivileged_userns": "0"},
            "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns",
        ),
    ],
)
def test_the_switch_is_named(monkeypatch: pytest.MonkeyPatch, switches: dict[str, str], expected: str) -> None:
    """An ordinary user learns which switch of the kernel is in the way; nothing runs (exit 4)."""
    _settings(monkeypatch, "user", switches)
    for refused in (lambda: ADAPTER.prepare({}, print), lambda: ADAPTER.identity({}), lambda: ADAPTER.open({}, print)):
        with pytest.raises(PrerequisiteError, match=r"the local sandbox cannot start: .*not permitted") as caught:
            refused()
        assert expected in caught.value.hint
        assert caught.value.exit_code == 4


def test_root_without_rights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root in a container that may not make namespaces is told so."""
    _settings(monkeypatch, "root", {})
    with pytest.raises(PrerequisiteError) as caught:
        ADAPTER.identity({})
    assert "CAP_SYS_ADMIN" in caught.value.hint


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """Where there are no namespaces there is Docker only, and it is said."""
    monkeypatch.setattr(local.sys, "platform", system)
    with pytest.raises(PrerequisiteError, match="needs Linux") as caught:
        ADAPTER.open({}, print)
    assert "Docker only" in caught.value.hint


def test_other_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a filter of system calls for the processor there is no local sandbox."""
    monkeypatch.setattr(local.sys, "platform", "linux")
    monkeypatch.setattr(local.platform, "machine", lambda: "riscv64")
    with pytest.raises(PrerequisiteError, match="aarch64 and x86_64 only"):
        ADAPTER.identity({})


@pytest.mark.parametrize(("name", "value"), [("image", "python:3.12-slim"), ("packages", ["numpy"])])
def test_what_only_a_container_can_have(name: str, value: object) -> None:
    """`image` and `packages` would change nothing here, so they are not silently left aside."""
    with pytest.raises(PrerequisiteError, match=f"takes no `{name}`"):
        ADAPTER.prepare({name: value}, print)


def test_identity_tells_what_decides_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Level, interpreter and worker are in it: no verdict is shared between them."""
    monkeypatch.setattr(local, "_problem", lambda: None)
    found = []
    for level, python in (("root", "3.12.1"), ("user", "3.12.1"), ("root", "3.12.2")):
        monkeypatch.setattr(local, "_level", lambda level=level: level)
        monkeypatch.setattr(local.platform, "python_version", lambda python=python: python)
        found += [ADAPTER.identity({}), ADAPTER.identity({"workers": 7})]
    assert found[::2] == found[1::2]
    assert len(set(found)) == 3


def test_the_warning_names_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weaker kind says so, and in which form; Docker has nothing to warn of."""
    for level, words in (("root", "(as root)"), ("user", "(as an ordinary user)")):
        monkeypatch.setattr(local, "_level", lambda level=level: level)
        assert ADAPTER.warning({}).startswith(f"WEAKER SANDBOX: programs ran in the local sandbox {words}")
    adapters: list[SandboxAdapter] = [ADAPTER, DOCKER]
    assert adapters[1].warning({}) == ""
