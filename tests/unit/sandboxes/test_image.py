"""What is baked into the image, and what its identity depends on."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from evalkit import assets
from evalkit.core.errors import PrerequisiteError
from evalkit.sandboxes import image, layers
from evalkit.sandboxes.self_test import cases


class FakeImages:
    def __init__(self, found: list[object]) -> None:
        self.found = found

    def list(self, filters: dict[str, object]) -> list[object]:
        return self.found


class FakeClient:
    def __init__(self, found: list[object]) -> None:
        self.images = FakeImages(found)


def test_the_context_holds_the_worker_and_nothing_else() -> None:
    """The Dockerfile and every worker file, with fixed times, so that the same worker gives the same layer."""
    with tarfile.open(fileobj=layers.worker_context()) as tar:
        members = tar.getmembers()
    assert ["Dockerfile", *(path.name for path in layers.worker_files())] == [member.name for member in members]
    assert {0} == {member.mtime for member in members}
    assert layers.worker_context().read() == layers.worker_context().read()


def test_the_digest_follows_the_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A changed line of the worker is another sandbox."""
    before = image.worker_digest()
    for path in (*layers.worker_files(), assets.folder("sandbox") / "Dockerfile"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(assets, "folder", lambda name: tmp_path)
    assert before == image.worker_digest()
    (tmp_path / "runner.py").write_text("x = 1\n")
    assert before != image.worker_digest()


def test_no_image_names_what_to_do() -> None:
    """Before the first build there is no identity, and the hint says how to get one."""
    with pytest.raises(PrerequisiteError, match="not built") as caught:
        image.identity(FakeClient([]), {})
    assert caught.value.hint == "build it: evalkit sandbox build"


class FakeImage:
    def __init__(self, number: int, **labels: str) -> None:
        self.id, self.attrs = f"sha256:{number}", {"Created": f"2026-01-0{number}"}
        self.labels = {image.WORKER: image.worker_digest(), image.FROM: "default", image.REQUIREMENTS: "[]", **labels}


def test_each_wish_has_its_image() -> None:
    """The order and the spaces of the requirements do not matter, what they say does; the newest image counts."""
    wanted = {"packages": ["pandas ==2.2.2", "numpy"]}
    client = FakeClient(
        [
            FakeImage(1, **{image.REQUIREMENTS: '["numpy","pandas==2.2.2"]'}),
            FakeImage(2),
            FakeImage(3),
            FakeImage(4, **{image.REQUIREMENTS: '["numpy"]'}),
        ]
    )
    assert ["sha256:1", "sha256:3", "sha256:4", "sha256:3"] == [
        image.find(client, options) for options in (wanted, {}, {"packages": ["numpy", "numpy"]}, {"packages": []})
    ]
    assert None is image.find(client, {"packages": ["scipy"]})


def test_the_packages_are_in_the_identity() -> None:
    """Other versions are another sandbox, and the parts name them for readers."""

    class Images(FakeImages):
        def get(self, name: str) -> object:
            return next(one for one in self.found if getattr(one, "id", None) == name)

    def described(packages: str) -> tuple[str, dict[str, object]]:
        labels = {image.BASE: "b", image.PACKAGES: packages, image.ON: "python:3.12-slim", image.PYTHON: "3.12.1"}
        client = FakeClient([])
        client.images = Images([FakeImage(1, **labels)])
        return image.identity(client, {}), image.parts(client, {})

    none, one, other = (described(text) for text in ("[]", '[["numpy","2.2.6","ab"]]', '[["numpy","2.2.6","cd"]]'))
    assert 3 == len({none[0], one[0], other[0]})
    assert {"numpy": {"version": "2.2.6", "sha256": "ab"}} == one[1]["packages"]
    assert ("python:3.12-slim", "3.12.1", {}) == (none[1]["base"], none[1]["python"], none[1]["packages"])


def test_the_profile_denies_by_default() -> None:
    """Our seccomp profile is a list of what is allowed, and ends a program that tries to look into another process."""
    profile = json.loads(image.seccomp_path().read_text("utf-8"))
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    killed = {
        name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_KILL_PROCESS" for name in rule["names"]
    }
    allowed = {name for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert {"ptrace", "process_vm_readv", "keyctl", "unshare", "setns", "mount", "bpf", "userfaultfd"} <= killed
    assert not killed & allowed
    assert not {"clone3", "shmget", "msgget", "semget", "mq_open", "io_uring_setup"} & allowed


def test_the_adversarial_set_is_complete() -> None:
    """Names are unique, there is a quick part, and the README explains every program."""
    found = cases()
    names = [case.name for case in found]
    assert len(names) == len(set(names))
    assert 20 <= sum(case.quick for case in found) <= 40
    readme = (assets.folder("sandbox") / "README.md").read_text("utf-8")
    assert [name for name in names if f"| {name} |" not in readme] == []
