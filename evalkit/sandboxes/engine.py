"""The Docker engine: is it there, and which of its errors mean that it is not."""

from __future__ import annotations

import os
from typing import Any

from evalkit.core.errors import PrerequisiteError
from evalkit.sandboxes.host import NoHost

HINT = (
    "start Docker (on Debian or Ubuntu as root: evalkit sandbox up), or point DOCKER_HOST at an engine that runs; "
    "generated code is never run outside of a container"
)
_TIMEOUT_S = 60
_PROBE_TIMEOUT_S = 5


class EngineLost(NoHost):
    """The engine does not answer, or refuses to start containers. The text is the reason for a void."""


def connect(timeout_s: int = _TIMEOUT_S) -> Any:
    """A client of the engine that DOCKER_HOST names, else of the local one. Raises EngineLost."""
    import docker
    from requests.exceptions import RequestException

    try:
        return docker.from_env(timeout=timeout_s)
    except (docker.errors.DockerException, RequestException, OSError) as error:
        where = os.environ.get("DOCKER_HOST", "the local socket")
        raise EngineLost(f"no Docker engine answers at {where} ({_brief(error)})") from error


def require() -> Any:
    """A client, or PrerequisiteError with the sentence that mends it."""
    try:
        connect(_PROBE_TIMEOUT_S).close()
        return connect()
    except EngineLost as error:
        raise PrerequisiteError(str(error), hint=HINT) from error


def is_podman(client: Any) -> bool:
    """True when Podman answers in place of Docker: its API differs in the form of a few options."""
    parts = client.version().get("Components") or []
    return any("podman" in str(part.get("Name", "")).lower() for part in parts)


def ulimits(client: Any) -> list[dict[str, Any]] | None:
    """Limits that a container must name: Podman's own, a million each, are refused without CAP_SYS_RESOURCE."""
    limits = {"nofile": 1024, "nproc": 4096} if is_podman(client) else {}
    return [{"Name": name, "Soft": most, "Hard": most} for name, most in limits.items()] or None


def is_rootless(client: Any) -> bool:
    """True when the engine itself is an ordinary user, who has 65,536 user ids to give to a container."""
    return any("name=rootless" in str(one) for one in client.info().get("SecurityOptions") or ())


def answers() -> bool:
    """True when an engine answers."""
    try:
        connect(_PROBE_TIMEOUT_S).close()
    except EngineLost:
        return False
    return True


def failures() -> tuple[type[Exception], ...]:
    """What a call of the Docker client may raise."""
    import docker
    from requests.exceptions import RequestException

    return (docker.errors.DockerException, RequestException, OSError)


def not_found() -> type[Exception]:
    """What a call raises for an image or a container that is not there."""
    import docker

    found: type[Exception] = docker.errors.NotFound
    return found


def refused() -> type[Exception]:
    """What a call raises when the engine answers that it will not do it."""
    import docker

    found: type[Exception] = docker.errors.APIError
    return found


def _brief(error: BaseException) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."
