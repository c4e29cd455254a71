"""The Docker sandbox: the adapter that is registered as `docker`, and what the `sandbox` commands call."""

from __future__ import annotations

from functools import partial

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify, Sandbox
from evalkit.core.types import Json
from evalkit.sandboxes import engine, image, leftovers
from evalkit.sandboxes.container import Container, seccomp_text
from evalkit.sandboxes.engine_host import bring_up
from evalkit.sandboxes.pool import Pool, processors
from evalkit.sandboxes.self_test import Finding, run_quick

__all__ = ["ADAPTER", "DockerAdapter", "Finding", "bring_up", "build", "self_test"]

_CONTAINER_MB = 2048


class DockerAdapter:
    """Programs run in hardened containers of a Docker engine.

    Options: `workers` (most containers at once; default one per processor), `image` (a base with Python 3.9 or later in
    place of ours). `limits` are those of the programs and no business of the pool.
    """

    def prepare(self, options: dict[str, Json], notify: Notify) -> None:
        """Build the image if it is missing. An engine that does not run is not started here: installing packages is
        for `evalkit sandbox up`, which says so, and not for a run."""
        build(notify, options)

    def identity(self, options: dict[str, Json]) -> str:
        """Digest over base image, worker and seccomp profile.

        Raises PrerequisiteError when no engine answers or the image is not built.
        """
        client = engine.require()
        try:
            return image.identity(client, options)
        except engine.failures() as error:
            raise PrerequisiteError(f"the Docker engine failed: {error}", hint=engine.HINT) from error
        finally:
            client.close()

    def open(self, options: dict[str, Json], notify: Notify) -> Sandbox:
        """A pool; its containers start with the first programs. Removes what dead owners left behind."""
        client = engine.require()
        try:
            leftovers.collect(client)
        finally:
            client.close()
        seccomp = seccomp_text(image.seccomp_path())
        start = partial(Container, build(notify, options), seccomp, _CONTAINER_MB)
        return Pool(start, int(options.get("workers") or processors()), notify)

    def warning(self, options: dict[str, Json]) -> str:
        """There is nothing to warn of."""
        return ""


ADAPTER = DockerAdapter()


def build(notify: Notify, options: dict[str, Json] | None = None) -> str:
    """The id of the sandbox image, built where it is missing. Raises PrerequisiteError."""
    client = engine.require()
    try:
        return image.build(client, options or {}, notify)
    except engine.failures() as error:
        raise PrerequisiteError(f"the sandbox image could not be built: {error}", hint=engine.HINT) from error
    finally:
        client.close()


def self_test(notify: Notify, options: dict[str, Json] | None = None) -> list[Finding]:
    """Run the quick part of the adversarial set: (name, expected, got) of each program. Raises PrerequisiteError."""
    return run_quick(ADAPTER, notify, options)
