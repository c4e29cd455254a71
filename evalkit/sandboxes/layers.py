"""One layer on top of an image, built by the engine without network: the worker, or packages."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from evalkit import assets
from evalkit.core.errors import PrerequisiteError
from evalkit.sandboxes.engine import failures

_PACKAGES = "packages"
PACKAGES_PLACE = "/opt/evalkit-packages"
# The root of a sandbox is read-only: what is not compiled now would be compiled by every program anew.
_DOCKERFILE = f"""\
ARG BASE
FROM ${{BASE}}
COPY {_PACKAGES} {PACKAGES_PLACE}
USER 0:0
RUN ["python3", "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "{PACKAGES_PLACE}"]
"""


def worker_files() -> list[Path]:
    """What is baked into the image, sorted by name."""
    return sorted(assets.folder("sandbox").glob("*.py"))


def add_worker(client: Any, base: str, tag: str, labels: Mapping[str, str]) -> str:
    """The id of the image that has the worker on top of `base`. Raises PrerequisiteError."""
    with worker_context() as context:
        return _build(client, base, tag, labels, context)


def add_packages(client: Any, base: str, tag: str, labels: Mapping[str, str], site: Path) -> str:
    """The id of the image that has the folder `site` on top of `base`. Raises PrerequisiteError."""
    with _packages_context(site) as context:
        return _build(client, base, tag, labels, context)


def worker_context() -> IO[bytes]:
    """Dockerfile and worker as a tar with fixed times and owners."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in [assets.folder("sandbox") / "Dockerfile", *worker_files()]:
            _add(tar, path.name, path.read_bytes())
    packed.seek(0)
    return packed


def _packages_context(site: Path) -> IO[bytes]:
    packed = TemporaryFile()  # noqa: SIM115 - the caller closes it
    with tarfile.open(fileobj=packed, mode="w") as tar:
        _add(tar, "Dockerfile", _DOCKERFILE.encode())
        tar.add(site, _PACKAGES, filter=_plain)
    packed.seek(0)
    return packed


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o644
    tar.addfile(entry, io.BytesIO(content))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Readable for every program, owned by root, and the same whenever it is packed; links and devices stay out."""
    if not (entry.isdir() or entry.isreg()):
        return None
    entry.mtime = entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
    return entry


def _build(client: Any, base: str, tag: str, labels: Mapping[str, str], context: IO[bytes]) -> str:
    said: list[str] = []
    try:
        stream = client.api.build(
            fileobj=context,
            custom_context=True,
            tag=tag,
            buildargs={"BASE": base},
            labels=dict(labels),
            network_mode="none",
            rm=True,
            forcerm=True,
            decode=True,
        )
        for step in stream:
            said.append(str(step.get("error") or step.get("stream") or "").strip())
        return str(client.images.get(tag).id)
    except failures() as error:
        last = next((line for line in reversed(said) if line), str(error))
        raise PrerequisiteError(
            f"the sandbox image could not be built on {base}: {last}", hint="see `docker build` by hand in sandbox/"
        ) from error
