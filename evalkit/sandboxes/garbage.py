"""Removing what earlier runs, workers and packages left in the engine.

Containers of living owners, images in use and whatever does not carry our labels and our names stay. Nobody is waited
for: what another process removes at the same time is simply gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from evalkit.fetch import cache
from evalkit.sandboxes import base_image, image, leftovers
from evalkit.sandboxes.engine import failures, not_found, refused

_CONFLICT = 409
_OURS = (image.REPOSITORY, image.PACKAGES_REPOSITORY)


class Removed(Struct, frozen=True):
    """What a collection removed, by name. `in_use` are images that a container still needs; `freed_mb` is the
    difference that the engine's own account shows, None where it keeps none."""

    containers: int
    images: tuple[str, ...]
    in_use: tuple[str, ...]
    freed_mb: float | None


class _Found(Struct, frozen=True):
    """An image under one of our names; `name` is its id where it has lost its name."""

    name: str
    labels: dict[str, str]
    created: str


def collect(client: Any, everything: bool) -> Removed:
    """Remove containers of dead owners and old images, or `everything` of ours that no container uses."""
    containers = leftovers.collect(client)
    before = _bytes_of_layers(client)
    removed: list[str] = []
    in_use: list[str] = []
    with cache.turn("sandbox-images"):  # an image that is being built needs those below it
        for name in _unneeded(client, everything):
            gone = _remove(client, name)
            if gone is not None:
                (removed if gone else in_use).append(name)
    after = _bytes_of_layers(client)
    freed = None if before is None or after is None else round(max(0, before - after) / 1e6, 1)
    return Removed(containers, tuple(removed), tuple(in_use), freed)


def _unneeded(client: Any, everything: bool) -> list[str]:
    """Names of images to remove, those on top first."""
    found = _images(client)
    kept = set() if everything else {one.name for one in _present(found)}
    below = {one.labels.get(image.PACKAGES) for one in found if one.name in kept}
    workers = [one.name for one in found if image.WORKER in one.labels and one.name not in kept]
    packages = [
        one.name for one in found if image.WORKER not in one.labels and one.labels.get(image.PACKAGES) not in below
    ]
    return workers + packages + (_own_base(client) if everything else [])


def _present(found: list[_Found]) -> Iterator[_Found]:
    """The newest image for each wish (base name and requirements) that has the present worker."""
    seen = set()
    for one in sorted(found, key=lambda one: one.created, reverse=True):
        wish = (one.labels.get(image.FROM), one.labels.get(image.REQUIREMENTS))
        if one.labels.get(image.WORKER) == image.worker_digest() and None not in wish and wish not in seen:
            seen.add(wish)
            yield one


def _images(client: Any) -> list[_Found]:
    """Images with our labels under names of ours; a name that somebody else gave one is left alone."""
    found = {}
    for label in (image.WORKER, image.PACKAGES):
        for one in client.images.list(filters={"label": label}):
            for name in one.tags or [one.id]:
                if not one.tags or _repository(name) in _OURS:
                    found[name] = _Found(name, dict(one.labels), str(one.attrs["Created"]))
    return list(found.values())


def _repository(name: str) -> str:
    """`evalkit-sandbox` of `evalkit-sandbox:1` and of Podman's `docker.io/library/evalkit-sandbox:1`."""
    return name.removeprefix("docker.io/library/").removeprefix("localhost/").rpartition(":")[0]


def _own_base(client: Any) -> list[str]:
    try:
        client.api.inspect_image(base_image.BOOTSTRAPPED)
    except failures():
        return []
    return [base_image.BOOTSTRAPPED]


def _remove(client: Any, name: str) -> bool | None:
    """True when it was removed, False when it is in use, None when it was gone already."""
    try:
        client.api.remove_image(name)
    except not_found():
        return None
    except refused() as error:
        if getattr(error, "status_code", None) != _CONFLICT:
            raise
        return False
    return True


def _bytes_of_layers(client: Any) -> int | None:
    try:
        size = client.df().get("LayersSize")
    except failures():
        return None
    return int(size) if size is not None else None
