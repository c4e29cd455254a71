"""Bringing the Docker engine up where that is ours to do: Debian and Ubuntu, as root."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.fetch import cache
from evalkit.sandboxes.base_image import os_id, run_or_explain
from evalkit.sandboxes.engine import HINT, answers

_DEADLINE_S = 60.0
_POLL_S = 0.2


def bring_up(notify: Notify) -> None:
    """Install and start an engine where none answers. Raises PrerequisiteError where that is not ours to do."""
    if answers():
        return
    host = os.environ.get("DOCKER_HOST")
    if host:
        raise PrerequisiteError(f"no Docker engine answers at DOCKER_HOST={host}", hint=HINT)
    if os_id() not in ("debian", "ubuntu") or os.geteuid() != 0:
        raise PrerequisiteError("no Docker engine answers", hint=HINT)
    if shutil.which("dockerd") is None:
        notify("installing the Docker engine (docker.io)")
        run_or_explain(["apt-get", "update", "-q"])
        run_or_explain(["apt-get", "install", "-y", "-q", "--no-install-recommends", "docker.io", "iptables"])
        if answers():  # the package starts it where there is a service manager
            return
    notify("starting the Docker engine")
    _start()


def _start() -> None:
    if Path("/run/systemd/system").is_dir():
        run_or_explain(["systemctl", "start", "docker"])
        _await(None, None)
        return
    log = cache.root() / "dockerd.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True, cwd="/"
        )
    _await(daemon, log)


def _await(daemon: subprocess.Popen[bytes] | None, log: Path | None) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not answers():
        if (daemon is not None and daemon.poll() is not None) or time.monotonic() > deadline:
            raise PrerequisiteError(f"the Docker engine did not start{_last_words(log)}", hint=HINT)
        time.sleep(_POLL_S)


def _last_words(log: Path | None) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines() if log else []
    return f": {lines[-1][:300]}" if lines else ""
