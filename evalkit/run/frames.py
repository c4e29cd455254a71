"""What parent and worker say to each other: msgpack messages, each after its length in four bytes."""

from __future__ import annotations

import struct
from typing import IO

import msgspec
from msgspec import Struct

from evalkit.core.types import Completion, Model, Request, Void

_LENGTH = struct.Struct(">I")


class Open(Struct, frozen=True, tag=True):
    """Load this model; answered by Ready or Failed.

    `adapter` is the place of the engine's adapter (`module:object`): entry points are this environment's, and another
    interpreter does not know them. Empty: look the engine's name up.
    """

    model: Model
    adapter: str = ""


class Generate(Struct, frozen=True, tag=True):
    """Part of what is wanted; the `last` part starts the work. Answered by Answer and Voided, then Done or Failed."""

    requests: tuple[Request, ...]
    last: bool


class Close(Struct, frozen=True, tag=True):
    """Free the model and end."""


class Ready(Struct, frozen=True, tag=True):
    """The model is loaded."""


class Notice(Struct, frozen=True, tag=True):
    """A sentence for the user."""

    text: str


class Answer(Struct, frozen=True, tag=True):
    completion: Completion


class Voided(Struct, frozen=True, tag=True):
    void: Void


class Done(Struct, frozen=True, tag=True):
    """Every request of the last Generate was answered. `summary` is what the engine says of its work until now."""

    summary: str = ""


class Failed(Struct, frozen=True, tag=True):
    """An EvalkitError of class `kind`, to be raised on the other side."""

    kind: str
    message: str
    hint: str
    where: str


ToWorker = Open | Generate | Close
ToParent = Ready | Notice | Answer | Voided | Done | Failed


def write(stream: IO[bytes], message: ToWorker | ToParent) -> None:
    """Send one message."""
    body = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def read_to_worker(stream: IO[bytes]) -> ToWorker | None:
    """The next message for the worker, or None when the parent is gone."""
    body = _body(stream)
    return None if body is None else msgspec.msgpack.decode(body, type=ToWorker)


def read_to_parent(stream: IO[bytes]) -> ToParent | None:
    """The next message for the parent, or None when the worker is gone."""
    body = _body(stream)
    return None if body is None else msgspec.msgpack.decode(body, type=ToParent)


def _body(stream: IO[bytes]) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    return body if len(body) == length else None
