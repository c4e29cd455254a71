"""`sandbox gc` and vanishing images, on an engine of the test's own: what is removed must be nobody else's."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.types import Execution, Limits, Program, Void
from evalkit.sandboxes import garbage, leftovers
from evalkit.sandboxes.docker import ADAPTER, collect

_ROOT = Path(__file__).resolve().parents[2]
_LIMITS = Limits(wall_s=60.0, cpu_s=10.0, memory_mb=512)


@pytest.fixture
def client(private_docker: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """The private engine's client; everything in this process uses that engine."""
    monkeypatch.setenv("DOCKER_HOST", private_docker.host)
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    found = private_docker.client()
    yield found
    found.close()


def _image(client: Any, tag: str, labels: dict[str, str], base: str | None = None) -> str:
    """A small image with a layer and labels of its own."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in {
            "Dockerfile": f"FROM {base or ADAPTER.parts({})['base']}\nCOPY x /x\n",
            "x": tag * 1000,
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    packed.seek(0)
    list(client.api.build(fileobj=packed, custom_context=True, tag=tag, labels=labels, decode=True, rm=True))
    return str(client.images.get(tag).id)


def _former(client: Any, tag: str) -> str:
    return _image(client, tag, {"evalkit.sandbox.worker": "former", "evalkit.sandbox.packages": "[]"})


def _tags(client: Any) -> set[str]:
    return {tag for image in client.images.list() for tag in image.tags}


def _program(key: str, code: str = "def f():\n    return 1\n") -> Program:
    return Program(key, code, ("assert f() == 1",), entry_point="f", limits=_LIMITS)


def _outcome(future: Future[Execution | Void]) -> str:
    result = future.result(120)
    return result.outcome if isinstance(result, Execution) else f"void: {result.reason}"


def test_what_is_of_use_stays(client: Any) -> None:
    """Former workers and packages go, and the dead's containers; the living's, the present image and strangers stay."""
    before = _tags(client)
    _former(client, "evalkit-sandbox:former")
    used = _former(client, "evalkit-sandbox:used")
    _image(client, "evalkit-packages:former", {"evalkit.sandbox.packages": '[["numpy","1","ab"]]'})
    _image(client, "stranger:1", {}, base="evalkit-sandbox:former")
    _image(client, "evalkit-sandbox:no-label", {})
    living = client.api.create_container(used, ["true"], labels=leftovers.labels())["Id"]
    dead = client.api.create_container(used, ["true"], labels={**leftovers.labels(), "evalkit.owner.started": "1"})[
        "Id"
    ]
    stranger = client.api.create_container("stranger:1", ["true"])["Id"]

    found = collect(everything=False)
    assert 1 == found.containers
    assert {"evalkit-sandbox:former", "evalkit-packages:former"} == set(found.images)
    assert ("evalkit-sandbox:used",) == found.in_use
    assert found.freed_mb is not None
    assert {*before, "evalkit-sandbox:used", "stranger:1", "evalkit-sandbox:no-label"} == _tags(client)
    assert {living, stranger} == {one["Id"] for one in client.api.containers(all=True)} - {dead}
    assert garbage.Removed(0, (), ("evalkit-sandbox:used",), 0.0) == collect(everything=False)


def test_everything_goes_and_comes_back(client: Any) -> None:
    """`--all` removes the present image too; the next run builds it again, from a base that is still here."""
    identity = ADAPTER.identity({})
    client.images.get(ADAPTER.parts({})["base"]).tag("python", "3.12-slim")
    found = collect(everything=True)
    assert any(name.startswith("evalkit-sandbox:") for name in found.images)
    assert {"python:3.12-slim"} == _tags(client)
    ADAPTER.prepare({}, print)
    assert identity == ADAPTER.identity({})
    pool = ADAPTER.open({"workers": 1}, print)
    assert "passed" == _outcome(pool.submit(_program("k")))
    pool.close()


def test_two_collections_and_a_run(client: Any) -> None:
    """Two processes collect at the same time while programs run: each image goes once, and no program notices."""
    names = {f"evalkit-sandbox:former{n}" for n in range(6)}
    for name in names:
        _former(client, name)
    pool = ADAPTER.open({"workers": 2}, print)
    try:
        futures = [
            pool.submit(_program(str(n), "import time\ndef f():\n    time.sleep(0.3)\n    return 1\n"))
            for n in range(20)
        ]
        command = [sys.executable, "-m", "evalkit", "sandbox", "gc"]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT), "NO_COLOR": "1"}
        both = [
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        said = [process.communicate(timeout=120) for process in both]
        assert [0, 0] == [process.returncode for process in both], said
        removed = [
            line.removeprefix("removed image ")
            for out, _ in said
            for line in out.splitlines()
            if "removed image" in line
        ]
        assert sorted(names) == sorted(removed)
        assert ["passed"] * 20 == [_outcome(future) for future in futures]
    finally:
        pool.close()
    assert not names & _tags(client)


def test_the_image_is_removed_in_the_middle(client: Any, private_docker: Any) -> None:
    """A container that lives goes on without its image; one that must be started is void with the reason, and the next
    run builds the image again."""
    identity = ADAPTER.identity({})
    pool = ADAPTER.open({"workers": 1}, print)
    try:
        assert "passed" == _outcome(pool.submit(_program("warm")))
        for tag in [tag for tag in _tags(client) if tag.startswith("evalkit-sandbox:")]:
            client.images.get(tag).tag("elsewhere")
            client.images.remove(tag)
        assert "passed" == _outcome(pool.submit(_program("still there")))
        private_docker.remove_sandbox()
        results = [_outcome(pool.submit(_program(str(n)))) for n in range(3)]
        assert all(told.startswith("void: the sandbox image sha256:") and "is gone" in told for told in results), (
            results
        )
    finally:
        pool.close()
    ADAPTER.prepare({}, print)
    assert identity == ADAPTER.identity({})
    again = ADAPTER.open({"workers": 1}, print)
    assert "passed" == _outcome(again.submit(_program("again")))
    again.close()


def test_the_engine_stops_in_the_middle(client: Any, private_docker: Any) -> None:
    """Void while it is away, never wrong; the same pool goes on when it is back."""
    pool = ADAPTER.open({"workers": 1}, print)
    try:
        assert "passed" == _outcome(pool.submit(_program("warm")))
        private_docker.stop()
        told = [_outcome(pool.submit(_program(str(n)))) for n in range(3)]
        assert all(one == "passed" or one.startswith("void: ") for one in told), told
        assert told[-1].startswith("void: no Docker engine answers")
        private_docker.start()
        pool._down = ("", 0.0)  # type: ignore[attr-defined]
        assert "passed" == _outcome(pool.submit(_program("back")))
    finally:
        pool.close()
