"""Which images are still of use, and what happens when somebody else removes them at the same time."""

from __future__ import annotations

from typing import Any

import docker
import pytest
import requests

from evalkit.sandboxes import base_image, garbage, image, leftovers


class FakeImage:
    def __init__(self, name: str | None, labels: dict[str, str], created: int = 0) -> None:
        self.tags = [name] if name else []
        self.id = f"sha256:{created}"
        self.labels = labels
        self.attrs = {"Created": f"2026-01-{created:02}T00:00:00Z"}


class FakeClient:
    """The part of an engine's client that a collection uses."""

    def __init__(self, found: list[FakeImage], answers: dict[str, int]) -> None:
        self.found, self.answers, self.removed = found, answers, list[str]()
        self.api = self.images = self

    def list(self, filters: dict[str, str]) -> list[FakeImage]:
        return [one for one in self.found if filters["label"] in one.labels]

    def remove_image(self, name: str) -> None:
        status = self.answers.get(name)
        if status is not None:
            response = requests.Response()
            response.status_code = status
            kind = docker.errors.NotFound if status == 404 else docker.errors.APIError
            raise kind("no", response)
        self.removed.append(name)

    def inspect_image(self, name: str) -> dict[str, Any]:
        return {"RootFS": {"Layers": ["sha256:1"]}}

    def df(self) -> dict[str, int]:
        return {"LayersSize": 20_000_000 - 2_000_000 * len(self.removed)}


def worker(name: str | None, worker: str, created: int = 0, **more: str) -> FakeImage:
    labels = {image.WORKER: worker, image.FROM: "default", image.REQUIREMENTS: "[]", image.PACKAGES: "[]"}
    return FakeImage(name, labels | {getattr(image, key): value for key, value in more.items()}, created)


def packages(name: str, installed: str) -> FakeImage:
    return FakeImage(name, {image.PACKAGES: installed, image.REQUIREMENTS: "x"})


@pytest.fixture(autouse=True)
def _small_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path))
    monkeypatch.setattr(image, "worker_digest", lambda: "now")
    monkeypatch.setattr(leftovers, "collect", lambda client: 0)


_IMAGES = [
    worker("evalkit-sandbox:now", "now", 9),
    worker("evalkit-sandbox:superseded", "now", 8),
    worker("evalkit-sandbox:numpy", "now", 7, REQUIREMENTS="[numpy]", PACKAGES="[numpy 2]"),
    worker("evalkit-sandbox:former", "then", 6, REQUIREMENTS="[numpy]", PACKAGES="[numpy 1]"),
    worker("docker.io/library/evalkit-sandbox:podman", "then", 5),
    worker(None, "then", 4),
    worker("strangers:1", "then", 3),
    packages("evalkit-packages:2", "[numpy 2]"),
    packages("evalkit-packages:1", "[numpy 1]"),
    packages("strangers-packages:1", "[numpy 1]"),
]


def test_what_is_of_use_stays() -> None:
    """The newest image of each wish with the present worker, and the packages below it; nobody else's names."""
    client = FakeClient(_IMAGES, {})
    expected = (
        "evalkit-sandbox:superseded", "evalkit-sandbox:former", "docker.io/library/evalkit-sandbox:podman", "sha256:4",
        "evalkit-packages:1",
    )  # fmt: skip
    assert garbage.Removed(0, expected, (), 10.0) == garbage.collect(client, everything=False)


def test_everything_of_ours() -> None:
    """`--all` takes the images of today and the base that was made here, those on top first."""
    client = FakeClient(_IMAGES, {})
    removed = garbage.collect(client, everything=True).images
    assert {"evalkit-sandbox:now", "evalkit-packages:2", base_image.BOOTSTRAPPED} <= set(removed)
    assert not any("strangers" in name for name in removed)
    assert removed.index("evalkit-sandbox:numpy") < removed.index("evalkit-packages:2")
    assert base_image.BOOTSTRAPPED == removed[-1]


def test_others_at_work() -> None:
    """In use is told, gone already is not ours to count."""
    client = FakeClient(_IMAGES, {"evalkit-sandbox:former": 409, "sha256:4": 404})
    found = garbage.collect(client, everything=False)
    assert ("evalkit-sandbox:former",) == found.in_use
    assert {"evalkit-sandbox:former", "sha256:4"}.isdisjoint(found.images)


def test_an_engine_that_fails_is_no_image_in_use() -> None:
    """What is neither is raised."""
    with pytest.raises(docker.errors.APIError):
        garbage.collect(FakeClient(_IMAGES, {"evalkit-sandbox:former": 500}), everything=False)
