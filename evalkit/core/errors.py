"""One root error with a child per exit code. Only `cli.py` turns them into an exit."""

from __future__ import annotations


class EvalkitError(Exception):
    """Something a user can act on: a message, and a hint that says what to do."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.message}"


class GateFailed(EvalkitError):
    """The run is complete and a `require:` was missed (exit 1)."""

    exit_code = 1


class SpecError(EvalkitError):
    """The spec or the command line is wrong; nothing ran (exit 2)."""

    exit_code = 2


class DataError(SpecError):
    """A data set is not what its task file says: names file, line and field (exit 2)."""


class PrerequisiteError(EvalkitError):
    """Something outside evalkit is missing: `hint` carries the sentence that mends it (exit 4)."""

    exit_code = 4


class RunIncomplete(EvalkitError):
    """The run stopped early or has too many void samples; running it again continues (exit 4)."""

    exit_code = 4


class ContractError(EvalkitError):
    """A back end did something else than it was asked to, e.g. declared and effective sampling differ (exit 4)."""

    exit_code = 4
