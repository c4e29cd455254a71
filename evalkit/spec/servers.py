"""Models that a server answers for: where it is, and the variable that holds the key. No secret is ever shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from evalkit.spec.diagnostics import Diagnostics
from evalkit.spec.nodes import Node, Path

KEYS = ("name", "base_url", "key")
"""What only a model on a server has."""
OPENAI_URL = "https://api.openai.com/v1"
"""Where a model is that says no address."""
_ENGINE = "openai"
_KEY = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_DATED = re.compile(r"(?<!\d)(\d{8}|\d{4}-\d\d-\d\d|\d{4})(?!\d)")
"""A day in a model's name, as those have that vendors promise not to change: gpt-4-0613, gpt-4o-2024-08-06."""
_ELSEWHERE = ("embedded", "hub", "path", "file", "adapter", "dtype", "device")


def variable(key: str) -> str | None:
    """The environment variable that `${env:NAME}` names; None for any other text."""
    found = _KEY.fullmatch(key)
    return found[1] if found is not None else None


def spelling(address: str) -> str:
    """One spelling of an address: scheme and host in small letters, no slash at the end."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def address_problem(address: str) -> str:
    """Why a text is no address of a server; empty where it is one. The text is not quoted: it may hold a password."""
    try:
        parts = urlsplit(address)
        host, user, _ = parts.hostname, parts.username, parts.port
    except ValueError:
        return "`base_url` is no address"
    if parts.scheme not in ("http", "https") or not host:
        return "`base_url` is no address: it begins with http:// or https:// and a host"
    if user is not None:
        return "`base_url` holds a name or password"
    if parts.query or parts.fragment:
        return "`base_url` goes on after `?` or `#`, where keys are hidden"
    return ""


def check(long: Node, diagnostics: Diagnostics) -> None:
    """Say what a model on a server may not be given (a key itself, an address that holds one, weights), and what no
    other model may."""
    for name, model in long.map["models"].map.items():
        for own in KEYS if model.text("engine") != _ENGINE else ():
            if own in model.map:
                message = f"`{own}` is for models on a server"
                place = model.map[own].place
                diagnostics.error(place, ("models", name, own), message, hint="add engine: openai", at_key=True)
    for model, path in _served(long):
        key, address = model.get("key"), model.get("base_url")
        if key is not None and variable(key.content) is None:
            message = "`key` is not the name of a variable; a key itself may not stand in a spec"
            hint = "export it, and write key: '${env:NAME}'"
            diagnostics.error(key.place, (*path, "key"), message, hint=hint)
        problem = address_problem(address.content) if address is not None else ""
        if address is not None and problem:
            hint = "for example http://127.0.0.1:8000/v1, and key: '${env:NAME}'"
            diagnostics.error(address.place, (*path, "base_url"), problem, hint=hint)
        for name in _ELSEWHERE:
            if name in model.map:
                message = f"`{name}` is for models that are loaded here: the server has its own"
                diagnostics.error(model.map[name].place, (*path, name), message, hint="take it out", at_key=True)


def lint(long: Node, diagnostics: Diagnostics) -> None:
    """Warn about names that may stand for another model tomorrow."""
    for model, path in _served(long):
        name, options = model.map["name"], model.get("options")
        if (options is None or "revision" not in options.map) and not _DATED.search(name.content):
            message = (
                f"what a server calls '{name.content}' can move; name a dated one, or set options: {{revision: ...}}"
            )
            diagnostics.warn("W001", name.place, (*path, "name"), message)


def _served(long: Node) -> Iterator[tuple[Node, Path]]:
    for name, model in long.map["models"].map.items():
        if model.text("engine") == _ENGINE:
            yield model, ("models", name)
