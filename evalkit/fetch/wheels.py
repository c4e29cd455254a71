"""Packages of the package index for a Python that is not ours: wheels only, laid out in a folder, never executed.

pip resolves and unpacks for the target's version and platform, so the user's own index, proxy and certificates are
honoured. Markers such as `python_version < "3.12"` inside of packages are read by the Python that runs evalkit.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from evalkit.core.digest import digest
from evalkit.core.errors import PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.core.types import Json
from evalkit.fetch import cache

_KIND = "wheels"
_LAYOUT = 1
_SITE = "site"
_REPORT = "packages.json"
_TAGS = {"cpython": "cp", "pypy": "pp"}
_OLDEST_GLIBC_MINOR = 5
_LEGACY = ("manylinux2014", "manylinux2010", "manylinux1", "linux")
_MUSL_MINOR = 2


class Target(Struct, frozen=True):
    """A Python on Linux: `version` as `3.11.2`, `implementation` as `cpython`, `machine` as `x86_64`, `glibc` as `2.36`
    or empty where the C library is musl."""

    version: str
    implementation: str
    machine: str
    glibc: str


class Package(Struct, frozen=True):
    """A package as it was installed; `sha256` is its wheel's."""

    name: str
    version: str
    sha256: str


class Installed(Struct, frozen=True):
    """A folder to put on the target's path, and what lies in it, sorted by name."""

    folder: Path
    packages: tuple[Package, ...]


def install(requirements: Sequence[str], target: Target, notify: Notify) -> Installed:
    """The packages with all that they need. What is not pinned is resolved once and then stays in the cache.

    Raises PrerequisiteError when the index cannot be reached or has no wheel that fits.
    """

    def make(folder: Path) -> None:
        notify(f"fetching {', '.join(requirements)} for Python {target.version} from the package index")
        found = _pip(requirements, target, folder)
        (folder / _REPORT).write_bytes(msgspec.json.encode(found))

    name = digest([_LAYOUT, sorted(requirements), msgspec.structs.asdict(target)])
    place = cache.obtain(_KIND, name, make)
    return Installed(place / _SITE, msgspec.json.decode((place / _REPORT).read_bytes(), type=tuple[Package, ...]))


def platforms(target: Target) -> list[str]:
    """The platform tags of wheels that run there, best first."""
    if not target.glibc:
        return [f"musllinux_1_{minor}_{target.machine}" for minor in range(_MUSL_MINOR, -1, -1)]
    minor = int(target.glibc.split(".")[1])
    names = [f"manylinux_2_{older}" for older in range(minor, _OLDEST_GLIBC_MINOR - 1, -1)]
    return [f"{name}_{target.machine}" for name in (*names, *_LEGACY)]


def _pip(requirements: Sequence[str], target: Target, folder: Path) -> list[Package]:
    report = folder / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--only-binary=:all:", "--no-compile", "--no-warn-script-location", "--ignore-installed"]
    command += ["--target", str(folder / _SITE), "--report", str(report), "--python-version", target.version]
    command += ["--implementation", _TAGS.get(target.implementation, "py")]
    command += [part for name in platforms(target) for part in ("--platform", name)]
    done = subprocess.run([*command, "--", *requirements], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise _refused(requirements, target, done.stderr.strip().splitlines())
    shutil.rmtree(folder / _SITE / "bin", ignore_errors=True)  # scripts that name the Python of this machine
    packages = _packages(msgspec.json.decode(report.read_bytes()))
    report.unlink()
    return packages


def _refused(requirements: Sequence[str], target: Target, said: Iterable[str]) -> PrerequisiteError:
    lines = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")]
    reason = lines[0] if lines else "pip gave no reason"
    return PrerequisiteError(
        f"{', '.join(requirements)} cannot be had for Python {target.version} on {target.machine}: {reason}",
        hint="connect to a package index (pip's own settings are used), and ask for versions that have a wheel: "
        "source packages would run foreign code on this machine",
    )


def _packages(report: Json) -> list[Package]:
    found = [
        Package(
            item["metadata"]["name"],
            item["metadata"]["version"],
            item["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for item in report["install"]
    ]
    return sorted(found, key=lambda package: package.name.lower())
