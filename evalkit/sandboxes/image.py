"""The sandbox image: a base that has Python, the packages that the spec asks for, and our worker as the last layer.

Verdicts depend on the base's Python, on the packages and on the worker, so what each of them is stands in labels of
the image and decides the sandbox's identity. The digest of a base is that of its file system layers: the same for the
same content, whenever it was built.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from evalkit import assets
from evalkit.core.digest import digest, digest_file, digest_text, short
from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.core.types import Json
from evalkit.fetch import cache, wheels
from evalkit.fetch.wheels import Package
from evalkit.sandboxes import base_image, interpreter, layers
from evalkit.sandboxes.engine import failures

WORKER = "evalkit.sandbox.worker"
PACKAGES = "evalkit.sandbox.packages"
FROM = "evalkit.sandbox.from"
REQUIREMENTS = "evalkit.sandbox.requirements"
BASE = "evalkit.sandbox.base"
ON = "evalkit.sandbox.on"
PYTHON = "evalkit.sandbox.python"
_DEFAULT = "default"
REPOSITORY = "evalkit-sandbox"
PACKAGES_REPOSITORY = "evalkit-packages"


def seccomp_path() -> Path:
    """Our seccomp profile."""
    return assets.folder("sandbox") / "seccomp.json"


def worker_digest() -> str:
    """One digest over the worker's files and the Dockerfile."""
    files = [*layers.worker_files(), assets.folder("sandbox") / "Dockerfile"]
    return digest({path.name: digest_file(path) for path in files})


def identity(client: Any, options: dict[str, Json]) -> str:
    """What decides verdicts besides the program, as one digest. Raises PrerequisiteError without image."""
    labels = _labels(client, options)
    parts = {"base": labels[BASE], "worker": labels[WORKER], "seccomp": digest_file(seccomp_path())}
    return digest(parts | ({"packages": labels[PACKAGES]} if _packages(labels) else {}))


def parts(client: Any, options: dict[str, Json]) -> dict[str, Json]:
    """What `identity` is made of, for readers. Raises PrerequisiteError without image."""
    labels = _labels(client, options)
    return {
        "kind": "docker",
        "base": labels[ON],
        "base_layers": labels[BASE],
        "python": labels[PYTHON],
        "packages": {one.name: {"version": one.version, "sha256": one.sha256} for one in _packages(labels)},
        "worker": labels[WORKER],
        "seccomp": digest_file(seccomp_path()),
    }


def require(client: Any, options: dict[str, Json]) -> str:
    """The id of the built image. Raises PrerequisiteError when it is not there."""
    found = find(client, options)
    if found is None:
        raise PrerequisiteError("the sandbox image is not built", hint="build it: evalkit sandbox build")
    return found


def find(client: Any, options: dict[str, Json]) -> str | None:
    """The id of the image that is built from the present worker, the wanted base and packages, or None."""
    wanted = {FROM: options.get("image") or _DEFAULT, REQUIREMENTS: _written(requirements(options))}
    if wanted[FROM] != _DEFAULT:
        base = _inspect(client, wanted[FROM])
        if base is None:
            return None
        wanted[BASE] = _layers_digest(base)
    # One label a question: with several, Podman's answer is empty.
    images = client.images.list(filters={"label": f"{WORKER}={worker_digest()}"})
    found = [image for image in images if wanted.items() <= image.labels.items()]
    return str(max(found, key=lambda image: str(image.attrs["Created"])).id) if found else None


def requirements(options: dict[str, Json]) -> list[str]:
    """The packages that the options ask for: in order, each once."""
    return sorted({str(one).replace(" ", "") for one in options.get("packages") or ()})


def build(client: Any, options: dict[str, Json], notify: Notify) -> str:
    """The id of the image, built now if it is not there. Raises PrerequisiteError with the sentence that mends it."""
    found = find(client, options)
    if found is not None:
        return found
    with cache.turn("sandbox-images"):
        return find(client, options) or _build(client, options, notify)


def _build(client: Any, options: dict[str, Json], notify: Notify) -> str:
    name = options.get("image")
    base = _own_base(client, name, notify) if name else base_image.choose(client, notify)
    attributes = _inspect(client, base)
    python = interpreter.ask(client, base)
    wanted = requirements(options)
    labels = {
        BASE: _layers_digest(attributes) if attributes else "",
        FROM: name or _DEFAULT,
        REQUIREMENTS: _written(wanted),
        PACKAGES: "[]",
        ON: base,
        PYTHON: python.version,
    }
    below = base
    if wanted:
        below = _with_packages(client, base, labels, wheels.install(wanted, python, notify), notify)
    labels[WORKER] = worker_digest()
    notify(f"building the sandbox image on {below}")
    return layers.add_worker(client, below, f"{REPOSITORY}:{short(digest(labels))}", labels)


def _with_packages(client: Any, base: str, labels: dict[str, str], found: wheels.Installed, notify: Notify) -> str:
    """The name of the image that has the packages on `base`; it outlives the worker."""
    labels[PACKAGES] = _written([msgspec.structs.astuple(one) for one in found.packages])
    tag = f"{PACKAGES_REPOSITORY}:{short(digest([labels[BASE], labels[PACKAGES]]))}"
    if _inspect(client, tag) is None:
        notify(f"installing {', '.join(f'{one.name} {one.version}' for one in found.packages)} on {base}")
        layers.add_packages(client, base, tag, labels, found.folder)
    return tag


def _own_base(client: Any, wanted: str, notify: Notify) -> str:
    if _inspect(client, wanted) is None and not base_image.pull(client, wanted, notify):
        raise PrerequisiteError(
            f"the image {wanted} is neither here nor can it be pulled", hint=f"docker pull {wanted}"
        )
    return wanted


def _labels(client: Any, options: dict[str, Json]) -> dict[str, str]:
    found = require(client, options)
    labels: dict[str, str] = client.images.get(found).labels
    return labels


def _packages(labels: dict[str, str]) -> list[Package]:
    return [Package(*one) for one in json.loads(labels[PACKAGES])]


def _written(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _inspect(client: Any, name: str) -> dict[str, Any] | None:
    try:
        attributes: dict[str, Any] = client.api.inspect_image(name)
    except failures():
        return None
    return attributes


def _layers_digest(attributes: dict[str, Any]) -> str:
    layer_ids = attributes["RootFS"].get("Layers") or []
    return hashlib.sha256("\n".join(layer_ids).encode()).hexdigest() if layer_ids else digest_text(attributes["Id"])
