"""Another Python interpreter: what is installed beside it, and how it is made to run a module of this evalkit.

Engines whose packages do not fit beside others live in environments of their own. evalkit is not installed there: its
folder alone is shown to that interpreter, never what stands beside it, so no package of one environment is taken for
the other's. What evalkit's own modules need is asked for before anything is started.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

import evalkit
from evalkit.core.errors import PrerequisiteError

_NEEDS = ("msgspec", "filelock", "platformdirs", "jinja2")
"""What the modules of an engine import: a small part of what evalkit is installed with."""
_OLDEST = (3, 11)
_PATIENCE_S = 120
_ASK = """
import json, sys
from importlib.metadata import distributions
from importlib.util import find_spec
found = {}
for one in distributions():
    name = one.metadata["Name"]
    if name:
        found.setdefault(name.lower().replace("_", "-"), one.version)
missing = [name for name in sys.argv[1:] if find_spec(name) is None]
print(json.dumps({"python": list(sys.version_info[:2]), "packages": found, "missing": missing}))
"""
_RUN = """
import sys
from importlib import util
def shown(name, folder):
    found = util.spec_from_file_location(name, folder + "/__init__.py", submodule_search_locations=[folder])
    sys.modules[name] = module = util.module_from_spec(found)
    found.loader.exec_module(module)
shown("evalkit", sys.argv.pop(1))
from importlib import import_module
import_module(sys.argv.pop(1)).main()
"""
"""A main module without a name: what a library of that environment spawns does not look for it."""


class Interpreter(Struct, frozen=True):
    """What an interpreter said of itself: its version, all packages of its environment, which of ours it lacks."""

    python: tuple[int, int]
    packages: dict[str, str]
    missing: tuple[str, ...]

    def version(self, *names: str) -> str | None:
        """The version of the first of these distributions that is installed there."""
        return next((self.packages[name] for name in names if name in self.packages), None)


def installed(python: str | None, *names: str) -> str | None:
    """The version of the first of these distributions, in the environment of `python` or, for None, in this one.

    Raises PrerequisiteError for an interpreter that is none.
    """
    if python is not None:
        return ask(python).version(*names)
    return next((found for name in names if (found := _here(name)) is not None), None)


def _here(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def importable(package: str) -> str | None:
    """The version of a package of this environment, or None where only its metadata is left."""
    return _here(package) if find_spec(package) is not None else None


@cache
def ask(python: str) -> Interpreter:
    """What stands beside an interpreter; asked once. Raises PrerequisiteError for one that is none."""
    if not os.access(python, os.X_OK) or Path(python).is_dir():
        raise PrerequisiteError(
            f"there is no interpreter {python}",
            hint="`engine: {kind: ..., python: ...}` names the python of a virtual environment, relative to the spec",
        )
    try:
        done = subprocess.run(
            [python, "-c", _ASK, *_NEEDS],
            capture_output=True,
            timeout=_PATIENCE_S,
            check=True,
            env=environment(),
            stdin=subprocess.DEVNULL,
            cwd="/",
        )
        last_line = done.stdout.strip().rpartition(b"\n")[2]  # what starts with it may print too
        return msgspec.json.decode(last_line, type=Interpreter)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        said = getattr(error, "stderr", None) or b""
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
        raise PrerequisiteError(
            f"{python} is no Python that evalkit can use: {last[0]}",
            hint=f"name a Python of version {'.'.join(map(str, _OLDEST))} or newer",
        ) from error


def command(python: str | None, module: str) -> list[str]:
    """How a module of this evalkit is run by an interpreter, None being this one; its arguments follow.

    Raises PrerequisiteError, with the line that mends it, where evalkit's modules cannot be imported there.
    """
    if python is None:
        return [sys.executable, "-P", "-m", module]
    found = ask(python)
    if found.python < _OLDEST:
        raise PrerequisiteError(
            f"{python} is Python {'.'.join(map(str, found.python))}",
            hint=f"evalkit's engines need {'.'.join(map(str, _OLDEST))} or newer",
        )
    if found.missing:
        raise PrerequisiteError(
            f"{python} has no {', '.join(found.missing)}, which evalkit needs there",
            hint=f"{python} -m pip install {' '.join(found.missing)}",
        )
    return [python, "-P", "-c", _RUN, str(Path(evalkit.__file__).parent), module]


def environment() -> dict[str, str]:
    """The variables for another interpreter: those that would show it this one's packages are left out."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
    return {name: value for name, value in os.environ.items() if name not in hidden}
