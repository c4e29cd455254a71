"""The files that ship with evalkit: `specs/`, `reports/` and `sandbox/`.

They live at the top level of the repository and inside the installed package alike.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent
_CHECKOUT = _HERE.parent.parent


def folder(name: str) -> Path:
    """The shipped folder `specs`, `reports` or `sandbox`."""
    installed = _HERE / name
    return installed if installed.is_dir() else _CHECKOUT / name
