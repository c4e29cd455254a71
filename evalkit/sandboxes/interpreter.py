"""Which Python an image has: asked of the image itself, in a container without network."""

from __future__ import annotations

from typing import Any

import msgspec

from evalkit.core.errors import PrerequisiteError
from evalkit.fetch.wheels import Target
from evalkit.sandboxes import leftovers
from evalkit.sandboxes.engine import failures, ulimits

_OLDEST = (3, 9)
_TIMEOUT_S = 60
_QUESTION = (
    "import json, platform, sys\n"
    "libc, version = platform.libc_ver()\n"
    "print(json.dumps({'version': '.'.join(map(str, sys.version_info[:3])), 'machine': platform.machine(),\n"
    "    'implementation': sys.implementation.name, 'glibc': version if libc == 'glibc' else ''}))\n"
)


def ask(client: Any, image: str) -> Target:
    """The Python of an image. Raises PrerequisiteError when there is none, or one too old for the worker."""
    try:
        said = _run(client, image)
    except failures() as error:
        raise PrerequisiteError(
            f"no program can be run in the image {image}: {str(error)[:300]}", hint=_hint()
        ) from error
    try:
        found = msgspec.json.decode(said.strip().splitlines()[-1] if said.strip() else b"", type=Target)
    except msgspec.DecodeError as error:
        text = said.decode("utf-8", "replace").strip()[-300:]
        raise PrerequisiteError(f"the image {image} has no python3 that answers: {text}", hint=_hint()) from error
    if tuple(int(part) for part in found.version.split(".")[:2]) < _OLDEST:
        raise PrerequisiteError(f"the image {image} has Python {found.version}", hint=_hint())
    return found


def _hint() -> str:
    return f"the sandbox needs an image whose python3 is {'.'.join(map(str, _OLDEST))} or later"


def _run(client: Any, image: str) -> bytes:
    api = client.api
    config = api.create_host_config(
        network_mode="none", cap_drop=["ALL"], log_config={"Type": "json-file"}, ulimits=ulimits(client)
    )
    made = api.create_container(
        image,
        entrypoint=["python3", "-I", "-c", _QUESTION],
        command=[],
        host_config=config,
        labels=leftovers.labels(),
    )
    try:
        api.start(made["Id"])
        api.wait(made["Id"], timeout=_TIMEOUT_S)
        said: bytes = api.logs(made["Id"], stdout=True, stderr=True)
    finally:
        leftovers.remove(client, made["Id"])
    return said
