"""The Docker sandbox: the adapter that is registered as `docker`, and what the `sandbox` commands call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from evalkit.core.digest import short
from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify, Sandbox
from evalkit.core.types import Json
from evalkit.sandboxes import engine, garbage, image, leftovers
from evalkit.sandboxes.container import Container, seccomp_option
from evalkit.sandboxes.engine_host import bring_up
from evalkit.sandboxes.garbage import Removed
from evalkit.sandboxes.pool import Pool, processors
from evalkit.sandboxes.self_test import Finding

__all__ = ["ADAPTER", "DockerAdapter", "Finding", "Removed", "bring_up", "build", "collect", "describe"]

_CONTAINER_MB = 2048


class DockerAdapter:
    """Programs run in hardened containers of a Docker engine.

    Options: `workers` (most containers at once; default one per processor), `image` (a base with Python 3.9 or later in
    place of ours), `packages` (requirements that are installed on the base). `limits` are those of the programs and no
    business of the pool.
    """

    def prepare(self, options: dict[str, Json], notify: Notify) -> None:
        """Build the image if it is missing. An engine that does not run is not started here: installing packages is
        for `evalkit sandbox up`, which says so, and not for a run."""
        build(notify, options)

    def identity(self, options: dict[str, Json]) -> str:
        """Digest over base image, packages, worker and seccomp profile.

        Raises PrerequisiteError when no engine answers or the image is not built.
        """
        with _engine() as client:
            return image.identity(client, options)

    def parts(self, options: dict[str, Json]) -> dict[str, Json]:
        """What the identity is made of. Raises PrerequisiteError like it."""
        with _engine() as client:
            return image.parts(client, options)

    def open(self, options: dict[str, Json], notify: Notify) -> Sandbox:
        """A pool; its containers start with the first programs. Removes what dead owners left behind."""
        with _engine() as client:
            leftovers.collect(client)
            seccomp = seccomp_option(client, image.seccomp_path())
        start = partial(Container, build(notify, options), seccomp, _CONTAINER_MB)
        return Pool(start, int(options.get("workers") or processors()), notify)

    def warning(self, options: dict[str, Json]) -> str:
        """There is nothing to warn of."""
        return ""


ADAPTER = DockerAdapter()


def build(notify: Notify, options: dict[str, Json] | None = None) -> str:
    """The id of the sandbox image, built where it is missing. Raises PrerequisiteError."""
    with _engine() as client:
        return image.build(client, options or {}, notify)


def describe(options: dict[str, Json]) -> str:
    """What the built image consists of, for people."""
    parts = ADAPTER.parts(options)
    packages = ", ".join(f"{name} {one['version']}" for name, one in parts["packages"].items())
    lines = {"base": f"{parts['base']} (Python {parts['python']})", "packages": packages or "none"}
    return "\n".join(f"{name}: {value}" for name, value in (lines | {"worker": short(parts["worker"])}).items())


def collect(everything: bool) -> Removed:
    """Remove containers of dead owners and images that nothing of today is made from; or all images of ours."""
    with _engine() as client:
        return garbage.collect(client, everything)


@contextmanager
def _engine() -> Iterator[Any]:
    client = engine.require()
    try:
        yield client
    except engine.failures() as error:
        raise PrerequisiteError(f"the Docker engine failed: {error}", hint=engine.HINT) from error
    finally:
        client.close()
