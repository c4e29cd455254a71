"""Where the base of the sandbox image comes from: what is here, a registry, or Debian's own packages."""

from __future__ import annotations

import os
import platform
import queue
import re
import shutil
import subprocess
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.fetch import cache
from evalkit.sandboxes.engine import failures

REGISTRY = "python:3.12-slim"
BOOTSTRAPPED = "evalkit-base:bookworm"
_SUITE = "bookworm"
_CACHE_NAME = f"debian-{_SUITE}-python3-1"
_SILENCE_S = 20.0
_SPARE = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info")
_HINT = (
    f"connect to an image registry and run `docker pull {REGISTRY}`, or give an image that has Python 3.9 or later: "
    "sandbox: {image: NAME}"
)


def choose(client: Any, notify: Notify) -> str:
    """The name of a base image that is now here. Raises PrerequisiteError when no way leads to one."""
    for name in (REGISTRY, BOOTSTRAPPED):
        if _is_here(client, name):
            return name
    if pull(client, REGISTRY, notify):
        return REGISTRY
    if not is_debian_root():
        raise PrerequisiteError("there is no image to build the sandbox on, and no registry answers", hint=_HINT)
    _import_debian(client, notify)
    return BOOTSTRAPPED


def is_debian_root() -> bool:
    """True on Debian as root, where packages can be installed and a file system can be bootstrapped."""
    return os_id() == "debian" and os.geteuid() == 0


def os_id() -> str:
    """`debian`, `ubuntu` ...; empty where there is no /etc/os-release."""
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def pull(client: Any, name: str, notify: Notify) -> bool:
    """Pull an image; False when no registry answers within some seconds."""
    notify(f"pulling {name}")
    said: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=_pull, args=(client, name, said), daemon=True).start()
    while True:
        try:
            step = said.get(timeout=_SILENCE_S)
        except queue.Empty:
            notify(f"{name}: the registry does not answer")
            return False
        if step is None:
            return _is_here(client, name)
        if "error" in step:
            notify(f"{name}: {str(step['error'])[:160]}")


def _pull(client: Any, name: str, said: queue.Queue[dict[str, Any] | None]) -> None:
    repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
    try:
        for step in client.api.pull(repository, tag=tag, stream=True, decode=True):
            said.put(step)
    except failures() as error:
        said.put({"error": str(error)})
    said.put(None)


def _is_here(client: Any, name: str) -> bool:
    try:
        client.api.inspect_image(name)
    except failures():
        return False
    return True


# -- Debian without a registry -----------------------------------------------------------------------------------------


def _import_debian(client: Any, notify: Notify) -> None:
    packed = (
        cache.obtain("sandbox-base", _CACHE_NAME, lambda folder: _bootstrap(folder / "base.tar", notify)) / "base.tar"
    )
    notify(f"importing {BOOTSTRAPPED}")
    repository, _, tag = BOOTSTRAPPED.partition(":")
    try:
        client.api.import_image_from_file(str(packed), repository=repository, tag=tag)
    except failures() as error:
        raise PrerequisiteError(f"the base image could not be imported: {error}", hint=_HINT) from error


def _bootstrap(target: Path, notify: Notify) -> None:
    if shutil.which("debootstrap") is None:
        notify("installing debootstrap")
        run_or_explain(["apt-get", "update", "-q"])
        run_or_explain(["apt-get", "install", "-y", "-q", "--no-install-recommends", "debootstrap"])
    notify("no image registry answers: making a Debian base with Python from Debian's packages (about a minute)")
    with TemporaryDirectory(prefix="evalkit-base.") as scratch:
        root = Path(scratch) / "root"
        command = ["debootstrap", "--variant=minbase", "--include=python3", _SUITE, str(root)]
        run_or_explain(command + ([mirror] if (mirror := _mirror()) else []))
        for spare in _SPARE:
            shutil.rmtree(root / spare, ignore_errors=True)
        run_or_explain(["tar", "-C", str(root), "--sort=name", "--one-file-system", "-cf", str(target), "."])


def _mirror() -> str | None:
    """The Debian mirror that this machine uses, or None for debootstrap's own."""
    places = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text("utf-8", "replace") for path in places if path.is_file())
    found = re.search(r"^(?:URIs:|deb(?:\s+\[[^]]*\])?)\s+(https?://\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
    return found.group(1) if found else None


def run_or_explain(command: list[str]) -> None:
    """Run a system command. Raises PrerequisiteError with its last words."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        lines = (done.stderr + done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise PrerequisiteError(f"`{' '.join(command[:3])} ...` failed: {lines[-1]}", hint=_HINT)
