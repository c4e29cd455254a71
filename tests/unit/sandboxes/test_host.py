"""Bringing up an engine and finding a base, with a machine that does as the test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.core.types import Json
from evalkit.sandboxes import base_image, engine_host


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Debian as root without an engine; programs are looked for in a folder of our own."""
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(engine_host, "answers", lambda: False)
    monkeypatch.setattr(engine_host, "os_id", lambda: "debian")
    monkeypatch.setattr(engine_host.os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine_host, "Path", lambda name: tmp_path / "no-systemd")
    return tmp_path


def command(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_an_engine_that_does_not_start_gives_its_last_words(debian: Path) -> None:
    """The daemon ends at once: no waiting for the deadline, and its reason in the message."""
    command(debian, "dockerd", "echo starting; echo 'no permission for cgroups' >&2; exit 1")
    said: list[str] = []
    with pytest.raises(PrerequisiteError, match="did not start: no permission for cgroups"):
        engine_host.bring_up(said.append)
    assert said == ["starting the Docker engine"]


def test_an_engine_that_starts(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is started once, in a session of its own, and waited for."""
    command(debian, "dockerd", f"echo x >> {debian}/started; exec sleep 1")
    monkeypatch.setattr(engine_host, "answers", lambda: (debian / "started").exists())
    engine_host.bring_up(lambda text: None)
    assert (debian / "started").read_text() == "x\n"


def test_a_missing_engine_is_installed(debian: Path) -> None:
    """Debian's own package; when that fails, the reason is told."""
    command(
        debian, "apt-get", f'echo "$@" >> {debian}/asked; [ "$1" = update ] || {{ echo "E: no space" >&2; exit 100; }}'
    )
    with pytest.raises(PrerequisiteError, match="E: no space"):
        engine_host.bring_up(lambda text: None)
    asked = ["update -q", "install -y -q --no-install-recommends docker.io iptables"]
    assert asked == (debian / "asked").read_text().splitlines()


@pytest.mark.parametrize(("system", "uid"), [("fedora", 0), ("debian", 1000), ("", 0)])
def test_elsewhere_it_is_the_users_to_start(
    debian: Path, monkeypatch: pytest.MonkeyPatch, system: str, uid: int
) -> None:
    """Nothing is installed or started; one sentence says what to do."""
    command(debian, "dockerd", f"touch {debian}/started")
    monkeypatch.setattr(engine_host, "os_id", lambda: system)
    monkeypatch.setattr(engine_host.os, "geteuid", lambda: uid)
    with pytest.raises(PrerequisiteError, match="no Docker engine answers") as caught:
        engine_host.bring_up(lambda text: None)
    assert caught.value.hint.startswith("start Docker")
    assert not (debian / "started").exists()


class FakeApi:
    """An engine that has some images, and a registry that answers with `steps` or never."""

    def __init__(self, here: set[str], steps: list[Json] | None) -> None:
        self.here = here
        self.steps = steps
        self.hung = threading.Event()

    def inspect_image(self, name: str) -> Json:
        if name not in self.here:
            raise OSError("no such image")
        return {}

    def pull(self, repository: str, tag: str, stream: bool, decode: bool) -> Iterator[Json]:
        if self.steps is None:
            self.hung.wait()
        self.here.add(f"{repository}:{tag}")
        yield from self.steps or []


class FakeClient:
    def __init__(self, here: set[str], steps: list[Json] | None = None) -> None:
        self.api = FakeApi(here, steps)


def test_what_is_here_is_used() -> None:
    """No pull where a base is here already."""
    assert base_image.choose(FakeClient({base_image.BOOTSTRAPPED}), pytest.fail) == base_image.BOOTSTRAPPED


def test_a_registry_is_used_where_one_answers() -> None:
    """The official Python image, named on the way."""
    said: list[str] = []
    assert base_image.choose(FakeClient(set(), [{"status": "ok"}]), said.append) == base_image.REGISTRY
    assert said == ["pulling python:3.12-slim"]


def test_a_silent_registry_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some seconds of silence, and with no other way, the sentence says what to do."""
    monkeypatch.setattr(base_image, "_SILENCE_S", 0.05)
    monkeypatch.setattr(base_image, "is_debian_root", lambda: False)
    client, said = FakeClient(set()), list[str]()
    with pytest.raises(PrerequisiteError, match="no registry answers") as caught:
        base_image.choose(client, said.append)
    client.api.hung.set()
    assert "docker pull python:3.12-slim" in caught.value.hint
    assert said == ["pulling python:3.12-slim", "python:3.12-slim: the registry does not answer"]
