"""The sandbox image: a base that has Python, and our worker as one layer on top.

Verdicts depend on the base's Python and on the worker, so both digests are labels of the image and parts of the
sandbox's identity. The digest of a base is that of its file system layers: the same for the same content, whenever it
was built.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

from evalkit import assets
from evalkit.core.digest import digest, digest_file, digest_text, short
from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.core.types import Json
from evalkit.sandboxes import base_image
from evalkit.sandboxes.engine import failures

_WORKER = "evalkit.sandbox.worker"
_BASE = "evalkit.sandbox.base"
_FROM = "evalkit.sandbox.from"
_DEFAULT = "default"
_REPOSITORY = "evalkit-sandbox"


def seccomp_path() -> Path:
    """Our seccomp profile."""
    return assets.folder("sandbox") / "seccomp.json"


def worker_files() -> list[Path]:
    """What is baked into the image, sorted by name."""
    return sorted(assets.folder("sandbox").glob("*.py"))


def worker_digest() -> str:
    """One digest over the worker's files and the Dockerfile."""
    files = [*worker_files(), assets.folder("sandbox") / "Dockerfile"]
    return digest({path.name: digest_file(path) for path in files})


def identity(client: Any, options: dict[str, Json]) -> str:
    """What decides verdicts besides the program: base, worker, seccomp. Raises PrerequisiteError without image."""
    found = require(client, options)
    labels = client.images.get(found).labels
    return digest({"base": labels[_BASE], "worker": labels[_WORKER], "seccomp": digest_file(seccomp_path())})


def require(client: Any, options: dict[str, Json]) -> str:
    """The id of the built image. Raises PrerequisiteError when it is not there."""
    found = find(client, options)
    if found is None:
        raise PrerequisiteError("the sandbox image is not built", hint="build it: evalkit sandbox build")
    return found


def find(client: Any, options: dict[str, Json]) -> str | None:
    """The id of the image that is built from the present worker and the wanted base, or None."""
    wanted = options.get("image") or _DEFAULT
    labels = [f"{_WORKER}={worker_digest()}", f"{_FROM}={wanted}"]
    if wanted != _DEFAULT:
        base = _inspect(client, wanted)
        if base is None:
            return None
        labels.append(f"{_BASE}={_layers_digest(base)}")
    found = client.images.list(filters={"label": labels})
    return str(max(found, key=lambda image: str(image.attrs["Created"])).id) if found else None


def build(client: Any, options: dict[str, Json], notify: Notify) -> str:
    """The id of the image, built now if it is not there. Raises PrerequisiteError with the sentence that mends it."""
    found = find(client, options)
    if found is not None:
        return found
    wanted = options.get("image")
    base = _own_base(client, wanted, notify) if wanted else base_image.choose(client, notify)
    attributes = _inspect(client, base)
    base_digest = _layers_digest(attributes) if attributes else ""
    labels = {_WORKER: worker_digest(), _BASE: base_digest, _FROM: wanted or _DEFAULT}
    notify(f"building the sandbox image on {base}")
    return _build(client, base, labels)


def _own_base(client: Any, wanted: str, notify: Notify) -> str:
    if _inspect(client, wanted) is None and not base_image.pull(client, wanted, notify):
        raise PrerequisiteError(
            f"the image {wanted} is neither here nor can it be pulled", hint=f"docker pull {wanted}"
        )
    return wanted


def _build(client: Any, base: str, labels: dict[str, str]) -> str:
    tag = f"{_REPOSITORY}:{short(digest(labels))}"
    said: list[str] = []
    try:
        stream = client.api.build(
            fileobj=_context(),
            custom_context=True,
            tag=tag,
            buildargs={"BASE": base},
            labels=labels,
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


def _context() -> io.BytesIO:
    """Dockerfile and worker as a tar with fixed times and owners."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in [assets.folder("sandbox") / "Dockerfile", *worker_files()]:
            entry = tarfile.TarInfo(path.name)
            content = path.read_bytes()
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    packed.seek(0)
    return packed


def _inspect(client: Any, name: str) -> dict[str, Any] | None:
    try:
        attributes: dict[str, Any] = client.api.inspect_image(name)
    except failures():
        return None
    return attributes


def _layers_digest(attributes: dict[str, Any]) -> str:
    layers = attributes["RootFS"].get("Layers") or []
    return hashlib.sha256("\n".join(layers).encode()).hexdigest() if layers else digest_text(attributes["Id"])
