"""The local sandbox at both of its levels: as root, and as an ordinary user. Needs Linux that allows it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest

from evalkit import assets
from evalkit.core.types import Json
from evalkit.sandboxes import local
from evalkit.sandboxes.host import HostLost, NoHost
from evalkit.sandboxes.local_host import LocalHost
from evalkit.sandboxes.pool import Pool

_NOBODY = 65534


class _NobodysHost(LocalHost):
    """A worker of somebody who has no rights on this machine."""

    run_as: ClassVar = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}


def _public(wish: dict[str, Json], folder: Path) -> dict[str, Json]:
    """The wish with an interpreter and a worker that everybody may read."""
    folder.chmod(0o755)
    worker = Path(shutil.copytree(assets.folder("sandbox"), folder / "sandbox"))
    found = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("no interpreter in /usr that an ordinary user could run")
    hidden = [str(path) for top in ("/usr/lib", "/usr/local/lib") for path in Path(top).glob("python3*/*-packages")]
    changed = {"python": os.path.realpath(found), "prefixes": ["/usr"], "hidden": hidden}
    return {**wish, **changed, "level": "user", "worker": str(worker)}


@pytest.fixture(scope="session", params=["root", "user"])
def level(request: pytest.FixtureRequest) -> str:
    """With which rights the sandbox is made."""
    return str(request.param)


@pytest.fixture(scope="session")
def start(level: str) -> Iterator[Callable[[], LocalHost]]:
    """Starts a worker of this level; skips where this user or this kernel cannot."""
    wish, kind = local._wish(), LocalHost
    if level == "root" and wish["level"] != "root":
        pytest.skip("not root with the right to make namespaces")
    with TemporaryDirectory() as folder:  # pytest's own folders are for one user only
        if level == "user" and os.geteuid() == 0:
            wish, kind = _public(wish, Path(folder)), _NobodysHost
        try:
            kind(wish).close()
        except (HostLost, NoHost) as error:
            pytest.skip(f"this kernel does not allow it: {error}")
        yield partial(kind, wish)


@pytest.fixture(scope="session")
def pool(start: Callable[[], LocalHost]) -> Iterator[Pool]:
    """Two workers, shared by the tests that leave them as they were."""
    made = Pool(start, 2, print)
    yield made
    made.close()


@pytest.fixture
def single(start: Callable[[], LocalHost]) -> Iterator[Pool]:
    """One worker of a test's own: what one program leaves, the next would find."""
    made = Pool(start, 1, print)
    yield made
    made.close()
