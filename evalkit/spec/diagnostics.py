"""What is wrong with a document, and the screen that says so.

Rendering is a pure function from diagnostics and source texts to one string; the console prints it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from evalkit.spec.nodes import Node, Path, Place, Span, format_path

Severity = Literal["error", "warning"]

LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_WIDEST_EXCERPT = 100
_WIDEST_LIST = 90
_SECRETS = (
    re.compile(r"""(?P<before>\bkey['"]?\s*[:=]\s*['"]?)(?!\$\{)(?P<secret>[^\s'",}\]]{6,})"""),
    re.compile(r"""(?P<before>\bbase_url\b.*?://)(?P<secret>[^\s'"/@]+)(?=@)"""),
    re.compile(r"""(?P<before>\bbase_url\b[^\s?#]*\s*[:=]\s*[^\s?#]*[?#])(?P<secret>[^\s'",}\]]+)"""),
)
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class Diagnostic(Struct, frozen=True):
    """One mistake, at one place.

    `line` and `column` count from 1; line 0 means the file as a whole. `length` is in characters. `hint` stands under
    the caret. `path` is the place in the document, None where there is none; `code` (W...) can be silenced.
    """

    severity: Severity
    file: str
    line: int
    column: int
    length: int
    message: str
    hint: str = ""
    path: str | None = None
    allowed: tuple[str, ...] = ()
    code: str = ""


class Diagnostics:
    """Collects everything that is wrong, so that all of it is said at once."""

    def __init__(self) -> None:
        self._found: dict[tuple[object, ...], Diagnostic] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        """Record it; the same mistake at the same place counts once."""
        found = diagnostic
        self._found.setdefault((found.severity, found.file, found.line, found.column, found.message), found)

    def error(
        self, place: Place | None, path: Path | None, message: str, *, hint: str = "", at_key: bool = False
    ) -> None:
        """An error about the value at `place`, or about its key. `path` None: about no place in the document."""
        self.add(replace(_located(place, path, at_key=at_key), message=message, hint=hint))

    def unknown(self, node: Node, path: Path, message: str, known: Iterable[str], *, at_key: bool = False) -> None:
        """An error about a name that nothing answers to, with the nearest known one."""
        names = tuple(sorted(known))
        hint = did_you_mean(str(node.content), names)
        self.add(replace(_located(node.place, path, at_key=at_key), message=message, hint=hint, allowed=names))

    def warn(self, code: str, place: Place | None, path: Path, message: str, *, at_key: bool = False) -> None:
        """A warning with a stable code."""
        self.add(replace(_located(place, path, at_key=at_key), severity="warning", message=message, code=code))

    @property
    def failed(self) -> bool:
        """True when there is an error among them."""
        return any(found.severity == "error" for found in self._found.values())

    def all(self) -> tuple[Diagnostic, ...]:
        """Everything found, in the order in which it was found."""
        return tuple(self._found.values())


_NOWHERE = Place("<default>", Span(0, 0, 0), "plain")


def _located(place: Place | None, path: Path | None, *, at_key: bool = False) -> Diagnostic:
    """An error at `place`, its message still to be filled in."""
    where = place or _NOWHERE
    span = where.name if at_key else where.value
    shown = format_path(path) if path is not None else None
    return Diagnostic("error", where.file, span.line, span.column, span.length, "", path=shown)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing where no known word is near."""
    near = get_close_matches(word.lower(), list(known), 1, 0.6)
    return f"did you mean '{near[0]}'?" if near else ""


def order(diagnostics: Iterable[Diagnostic], files: Sequence[str]) -> list[Diagnostic]:
    """By file in the order they were read, then by place; errors before warnings at the same place."""
    rank = {name: index for index, name in enumerate(files)}
    return sorted(
        diagnostics,
        key=lambda d: (rank.get(d.file, len(rank)), d.line, d.column, d.severity, d.code, d.message),
    )


def render(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str]) -> str:
    """The whole screen: errors with excerpts, warnings as single lines, a summary. Empty when all is well.

    `sources` maps a file's shown name to its text, the document that was asked about first.
    """
    if not diagnostics:
        return ""
    lines: list[str] = []
    previous_was_block = False
    for found in order(diagnostics, list(sources)):
        block = _block(found, sources)
        if lines and (previous_was_block or len(block) > 1):
            lines.append("")
        lines.extend(block)
        previous_was_block = len(block) > 1
    return "\n".join([*lines, "", summary(diagnostics), ""])


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """`1 error, 2 warnings in specs/x.yaml`."""
    errors = sum(found.severity == "error" for found in diagnostics)
    counts = [_count(errors, "error"), _count(len(diagnostics) - errors, "warning")]
    files = list(dict.fromkeys(found.file for found in diagnostics))
    where = harmless(files[0]) if len(files) == 1 else f"{len(files)} files"
    return f"{', '.join(part for part in counts if part)} in {where}"


def _count(number: int, noun: str) -> str:
    return "" if not number else f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def without_secrets(row: str) -> str:
    """A line of a spec with asterisks where a key, or the password of an address, stands in it by mistake."""
    for pattern in _SECRETS:
        row = pattern.sub(lambda match: f"{match['before']}{'*' * len(match['secret'])}", row)
    return row


def _block(found: Diagnostic, sources: Mapping[str, str]) -> list[str]:
    place = f":{found.line}:{found.column}" if found.line else ""
    code = f" [{found.code}]" if found.code else ""
    head = f"{harmless(found.file)}{place}: {found.severity}: {harmless(found.message)}{code}"
    if found.severity == "warning":
        return [f"{head}; {harmless(found.hint)}" if found.hint else head]
    text = sources.get(found.file)
    if not found.line or text is None:
        return [head, *([f"  = {harmless(found.hint)}"] if found.hint else [])]
    rows = LINE_BREAK.split(text)
    row = rows[min(found.line, len(rows)) - 1]
    pad = " " * len(str(found.line))
    excerpt, carets = _excerpt(row, found.column - 1, found.length)
    note = f" {harmless(found.hint)}" if found.hint else ""
    block = [head, f"{pad} |", f"{found.line} | {excerpt}".rstrip(), f"{pad} | {carets}{note}"]
    foot = _foot(found)
    return [*block, f"{pad} = {foot}"] if foot else block


def _foot(found: Diagnostic) -> str:
    if found.path is None:
        return ""
    foot = f"at {harmless(found.path)}" if found.path else "at the top level"
    return f"{foot}; allowed: {_listed(found.allowed)}" if found.allowed else foot


def _listed(names: Sequence[str]) -> str:
    shown = ""
    for index, name in enumerate(names):
        piece = (", " if shown else "") + harmless(name)
        if len(shown) + len(piece) > _WIDEST_LIST:
            return f"{shown}, ... ({len(names) - index} more)"
        shown += piece
    return shown


def harmless(text: str) -> str:
    """Text that cannot move a terminal's cursor, reorder a line or break it."""
    return "".join(_harmless_character(character) for character in text)


def _harmless_character(character: str) -> str:
    if character == "\t":
        return " "
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    if character in _BIDI or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
        return "\ufffd"
    return character


def _width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _excerpt(row: str, start: int, length: int) -> tuple[str, str]:
    """The line, cut around the marked part where it is long, and the carets under it. Keys in it are not shown."""
    row = without_secrets(row)
    start = min(start, len(row))
    end = min(max(start + length, start + 1), max(len(row), start + 1))
    left, right = 0, len(row)
    if len(row) > _WIDEST_EXCERPT:
        end = min(end, start + _WIDEST_EXCERPT // 2)
        left = max(0, min(start - _WIDEST_EXCERPT // 3, len(row) - _WIDEST_EXCERPT))
        right = min(len(row), left + _WIDEST_EXCERPT)
    before, marked, after = (harmless(part) for part in (row[left:start], row[start:end], row[end:right]))
    head, tail = "…" if left else "", "…" if right < len(row) else ""
    carets = " " * _width(head + before) + "^" * max(1, _width(marked))
    return f"{head}{before}{marked}{after}{tail}", carets
