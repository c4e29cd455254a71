"""Packages for another Python: what fits is chosen, what would run is refused, and nothing of them is executed."""

from __future__ import annotations

import hashlib
import tarfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest

from evalkit.core.errors import PrerequisiteError
from evalkit.fetch import wheels
from evalkit.fetch.wheels import Package, Target

_TARGET = Target("3.9.2", "cpython", "aarch64", "2.31")
MakeWheel = Callable[..., Path]


@pytest.fixture
def make_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MakeWheel:
    """Puts wheels into a folder that is pip's whole world."""
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))

    def make(name: str, version: str, tag: str, needs: str = "") -> Path:
        path = index / f"{name}-{version}-{tag}.whl"
        info = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", f"TAG = {tag!r}\n")
            wheel.writestr(
                f"{info}/METADATA",
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
                + (f"Requires-Dist: {needs}\n" if needs else ""),
            )
            wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
            wheel.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}:main\n")
            wheel.writestr(f"{info}/RECORD", "")
        return path

    return make


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_wheel_that_fits_the_image(make_wheel: MakeWheel) -> None:
    """The image's Python, machine and C library choose, not those of this machine; dependencies come along."""
    right = make_wheel("fast", "1.0", "cp39-cp39-manylinux_2_28_aarch64", needs="pure>=2")
    for tag in ("cp39-cp39-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_28_aarch64"):
        make_wheel("fast", "1.0", tag)
    make_wheel("fast", "2.0", "cp39-cp39-manylinux_2_35_aarch64")
    pure = make_wheel("pure", "2.1", "py3-none-any")
    found = wheels.install(["fast"], _TARGET, lambda text: None)
    assert (Package("fast", "1.0", _sha256(right)), Package("pure", "2.1", _sha256(pure))) == found.packages
    assert "cp39-cp39-manylinux_2_28_aarch64" in (found.folder / "fast" / "__init__.py").read_text()
    names = {path.name for path in found.folder.iterdir()}
    assert {"fast", "fast-1.0.dist-info", "pure", "pure-2.1.dist-info"} == names


def test_resolved_once(make_wheel: MakeWheel) -> None:
    """What is not pinned stays what it was on this machine; another Python is another question."""
    make_wheel("pure", "1.0", "py3-none-any")
    said: list[str] = []
    first = wheels.install(["pure"], _TARGET, said.append)
    make_wheel("pure", "2.0", "py3-none-any")
    assert first == wheels.install(["pure"], _TARGET, said.append)
    assert ["fetching pure for Python 3.9.2 from the package index"] == said
    other = wheels.install(["pure"], Target("3.12.1", "cpython", "x86_64", ""), said.append)
    assert ["2.0"] == [package.version for package in other.packages]


def test_source_packages_are_refused(make_wheel: MakeWheel, tmp_path: Path) -> None:
    """The setup code of a source package is never run on this machine."""
    ran = tmp_path / "ran"
    setup = (
        f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='src', version='1.0')\n".encode()
    )
    with tarfile.open(tmp_path / "index" / "src-1.0.tar.gz", "w:gz") as tar:
        entry = tarfile.TarInfo("src-1.0/setup.py")
        entry.size = len(setup)
        tar.addfile(entry, BytesIO(setup))
    with pytest.raises(
        PrerequisiteError, match=r"src cannot be had for Python 3.9.2 on aarch64: Could not find"
    ) as caught:
        wheels.install(["src"], _TARGET, lambda text: None)
    assert "have a wheel" in (caught.value.hint or "")
    assert not ran.exists()
    assert [] == list((tmp_path / "cache" / "wheels").glob("[0-9a-f]*/"))


def test_options_are_no_packages(make_wheel: MakeWheel) -> None:
    """Even where no schema looked before, a requirement cannot become an option of pip."""
    with pytest.raises(PrerequisiteError, match="cannot be had"):
        wheels.install(["--version"], _TARGET, lambda text: None)


def test_platforms() -> None:
    """glibc takes what was built for older ones, musl only its own."""
    names = wheels.platforms(_TARGET)
    assert ["manylinux_2_31_aarch64", "manylinux_2_30_aarch64"] == names[:2]
    assert {"manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"} <= set(names)
    assert all(name.startswith("musllinux") for name in wheels.platforms(Target("3.12.0", "cpython", "x86_64", "")))
