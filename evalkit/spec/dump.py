"""Plain values → YAML text that reads back the same, by this loader (YAML 1.2) and by others (1.1) alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.core.types import Json
from evalkit.spec.scalars import resolve

if TYPE_CHECKING:
    from yaml import Node, SafeDumper


def dump(value: Json) -> str:
    """Block style, keys in their order, nothing shortened by anchors. Text that any reader could take for a number, a
    boolean or nothing is quoted."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """PyYAML quotes what YAML 1.1 would misread; `_text` adds what YAML 1.2 would."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    Dumper.add_representer(str, _text)
    return str(yaml.dump(value, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100))


def _text(dumper: SafeDumper, text: str) -> Node:
    style = None if _plain(text) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else style)


def _plain(text: str) -> bool:
    try:
        return resolve(text) == text
    except ValueError:
        return False
