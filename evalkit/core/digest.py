"""Content addresses: sha256 over a canonical form, so that equal things have equal names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

_ENCODER = msgspec.json.Encoder(order="deterministic")
_CHUNK = 1 << 20


def canonical(value: object) -> bytes:
    """Deterministic JSON: sorted keys, no spaces; msgspec Structs become objects in field order."""
    return _ENCODER.encode(msgspec.to_builtins(value))


def digest(value: object) -> str:
    """sha256 (hex, 64 characters) of the canonical form of `value`."""
    return hashlib.sha256(canonical(value)).hexdigest()


def digest_text(text: str) -> str:
    """sha256 of a text in UTF-8; lone surrogates, which models do emit, count as themselves."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_file(path: Path) -> str:
    """sha256 of a file, read in pieces."""
    state = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            state.update(chunk)
    return state.hexdigest()


def short(value: str) -> str:
    """The first twelve characters of a digest, for people."""
    return value[:12]
