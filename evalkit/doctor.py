"""What runs need and whether it is here: packages, device, model, sandbox, disk."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from msgspec import Struct

from evalkit.core import registry
from evalkit.core.errors import EvalkitError
from evalkit.core.types import Model
from evalkit.fetch import cache

_FREE_GB = 3  # the converted embedded model, the sandbox image and a store need about half of it


class Check(Struct, frozen=True):
    """One thing looked at. `needed` is false for what only some runs need; `hint` says how to mend it."""

    name: str
    ok: bool
    found: str
    hint: str = ""
    needed: bool = True


def examine() -> list[Check]:
    """Look at everything. Starts nothing and imports no model library."""
    return [_python(), *_packages(), _embedded(), _sandbox(), _disk("cache", cache.root()), _disk("here", Path.cwd())]


def _python() -> Check:
    return Check("python", sys.version_info >= (3, 11), platform.python_version(), "evalkit needs Python 3.11 or newer")


def _packages() -> Iterator[Check]:
    for name, needed in (
        ("torch", True),
        ("transformers", True),
        ("huggingface_hub", False),
        ("peft", False),
        ("openai", False),
    ):
        try:
            yield Check(name, True, version(name), needed=needed)
        except PackageNotFoundError:
            extra = {"huggingface_hub": "hub", "peft": "train", "openai": "openai"}.get(name, "transformers")
            yield Check(name, False, "not installed", f"pip install 'evalkit-spec[{extra}]'", needed)


def _embedded() -> Check:
    """The embedded model's fingerprint names device and type, and fetches nothing but what is in the cache."""
    model = Model("smollm2-135m", "transformers", {"embedded": "smollm2-135m"})
    try:
        parts = registry.load("engines", "transformers").fingerprint(model).parts
    except EvalkitError as error:
        return Check("engine", False, str(error), error.hint)
    return Check("engine", True, ", ".join(f"{name} {parts[name]}" for name in ("device", "dtype") if name in parts))


def _sandbox() -> Check:
    try:
        identity = registry.load("sandboxes", "docker").identity({})
    except EvalkitError as error:
        return Check("sandbox", False, str(error), error.hint)
    return Check("sandbox", True, f"docker, {identity[:12]}")


def _disk(name: str, folder: Path) -> Check:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    return Check(f"disk ({name})", free > _FREE_GB, f"{free:.0f} GB free", f"make room: {_FREE_GB} GB are needed")
