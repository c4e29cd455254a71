"""Strict YAML 1.2: text → a tree of nodes with places, or diagnostics. Never an exception.

Stricter than YAML where a mistake would go unseen: duplicate keys, merge keys, keys that are not text, tags, a second
document, and anchors with aliases are refused. Aliases give one value two places and a small file a huge meaning;
`vars:`, `extends:` and names do their work in the open. Built on the events of PyYAML (libyaml where it is compiled
in), with a stack instead of recursion, so depth and size are bounded before memory is.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml
from msgspec import Struct

from evalkit.core.types import Json
from evalkit.spec import scalars
from evalkit.spec.diagnostics import LINE_BREAK, Diagnostic
from evalkit.spec.nodes import Node, Place, Span, Style

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 64
_TOO_DEEP = f"nested deeper than {_DEEPEST} levels"
_LARGEST_BYTES = 4 * 1024 * 1024
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STYLES: dict[str | None, Style] = {
    None: "plain",
    "": "plain",
    "'": "quoted",
    '"': "quoted",
    "|": "literal",
    ">": "folded",
}

# What libyaml or PyYAML says → what helps, and whether to point at the beginning of the construct.
_WORDING: tuple[tuple[str, str, str, bool], ...] = (
    ("mapping values are not", "a ':' where no key can stand", "quote text with ': ', or mend the indentation", False),
    ("could not find expected ':'", "a key without ':'", "every line of a map is 'key: value'", True),
    ("unexpected end of stream", "this quote is never closed", "close it on the same line", True),
    ("',' or ']'", "this list is never closed", "expected ',' or ']'", True),
    ("',' or '}'", "this map is never closed", "expected ',' or '}'", True),
    ("unknown escape", "unknown escape in double quotes", "double the backslash, or use single quotes", False),
    ("expected '-' indicator", "expected another '- ' item here", "a list's items and a map's keys do not mix", False),
    ("<block end>", "this does not fit the lines above", "mend the indentation, or quote the whole value", False),
    ("expected key", "this does not fit the lines above", "mend the indentation, or quote the whole value", False),
    ("alphabetic or numeric", "text cannot begin with '*' or '&'", "put quotes around it", True),
    ("document start", "this does not fit the lines above", "mend the indentation", False),
    ("node content", "a value is missing here", "is a bracket never closed?", False),
    ("comment or line break", "text after '|' or '>'", "the text begins on the next line", False),
    ("maximum nesting depth", _TOO_DEEP, "", False),  # libyaml has a limit of its own since 0.2.6, and may look ahead
    ("undefined tag handle", "tags ('!...') are not part of the language", "put quotes around text", False),
)


class Parsed(Struct, frozen=True):
    """What a text means, or why it means nothing. Both may be there: a duplicate key is an error in a readable tree."""

    node: Node | None
    diagnostics: tuple[Diagnostic, ...]


class _Stop(Exception):
    """The text cannot be read any further."""


def decode(raw: bytes, file: str) -> tuple[str, tuple[Diagnostic, ...]]:
    """Bytes as text: UTF-8, with or without a byte order mark. Any kind of line break is fine."""
    if len(raw) > _LARGEST_BYTES:
        return "", (_whole(file, f"the file is larger than {_LARGEST_BYTES >> 20} MiB", "data belongs in data files"),)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "", (_whole(file, "the file is UTF-16, not UTF-8", "save it as UTF-8"),)
    try:
        return raw.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        rows = LINE_BREAK.split(raw[: error.start].decode("utf-8", "replace"))
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        found = Diagnostic("error", file, len(rows), len(rows[-1]) + 1, 1, message, "save the file as UTF-8")
        return raw.decode("utf-8-sig", "replace"), (found,)


def parse(text: str, file: str, *, column: int = 0) -> Parsed:
    """Read one document. `column` shifts the first line, for text that is a part of a line."""
    reader = _Reader(file, LINE_BREAK.split(text), column)
    bad = _UNPRINTABLE.search(text)
    if bad is not None:
        rows = LINE_BREAK.split(text[: bad.start()])
        reader.refuse(
            Span(len(rows), len(rows[-1]) + 1 + (column if len(rows) == 1 else 0), 1),
            f"the character U+{ord(bad[0]):04X} cannot stand in YAML",
            hint="remove it, or write it as an escape in double quotes",
        )
        return Parsed(None, tuple(reader.found))
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except _Stop:
        return Parsed(None, tuple(reader.found))
    except yaml.MarkedYAMLError as error:
        reader.explain(error)
        return Parsed(None, tuple(reader.found))
    except yaml.YAMLError as error:
        reader.refuse(Span(1, 1, 1), f"not YAML: {error}")
        return Parsed(None, tuple(reader.found))
    return Parsed(reader.root, tuple(reader.found))


def _whole(file: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic("error", file, 0, 0, 0, message, hint)


class _Frame:
    """A map or list that is being read."""

    def __init__(self, start: Any, style: Style, key: Span | None, *, is_map: bool) -> None:
        self.start = start
        self.style = style
        self.key = key
        self.content: Json = {} if is_map else []
        self.is_map = is_map
        self.name: str | None = None
        self.name_span: Span | None = None
        self.lines: dict[str, int] = {}


class _Reader:
    """Takes the events one by one."""

    def __init__(self, file: str, rows: list[str], column: int) -> None:
        self._file = file
        self._rows = rows
        self._column = column
        self._stack: list[_Frame] = []
        self._documents = 0
        self.root: Node | None = None
        self.found: list[Diagnostic] = []

    def take(self, event: Any) -> None:
        self._check(event)
        match event:
            case yaml.DocumentStartEvent():
                self._document(event)
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._open(event)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close(event)
            case _:
                pass

    def _document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(self._point(event.start_mark, 3), "a second document begins here", "one document a file")
        if event.version not in (None, (1, 2)):
            self._stop(self._point(event.start_mark, 5), "only YAML 1.2 is read", "remove the %YAML line")

    def _check(self, event: Any) -> None:
        """Refuse what would let a value hide: aliases, anchors, tags."""
        if isinstance(event, yaml.AliasEvent):
            hint = "write the value, use ${var}, or quote text that begins with '*'"
            self._stop(self._span(event), "aliases are not part of the language", hint)
        elif getattr(event, "anchor", None) is not None:
            hint = "write the value again, use `vars:`, or quote text that begins with '&'"
            span = self._point(event.start_mark, len(event.anchor) + 1)
            self.refuse(span, "anchors are not part of the language", hint=hint)
        elif getattr(event, "tag", None) is not None:
            span = self._point(event.start_mark, self._word_at(event.start_mark))
            self.refuse(span, "tags ('!...') are not part of the language", hint="quotes make text")

    def _scalar(self, event: Any) -> None:
        style = _STYLES[event.style]
        value: Json = event.value
        if style == "plain":
            try:
                value = scalars.resolve(event.value)
            except ValueError as error:
                self.refuse(self._span(event), str(error), hint="quotes make it text")
        if self._stack and self._stack[-1].is_map and self._stack[-1].name is None:
            self._key(event, value, style)
        else:
            self._put(Node(value, self._place(event, style)))

    def _key(self, event: Any, value: Json, style: Style) -> None:
        frame, span = self._stack[-1], self._span(event)
        name = event.value
        if style == "plain" and name == "<<":
            self.refuse(
                span, "merge keys ('<<') are not part of the language", hint="use `extends:` or repeat the keys"
            )
        elif not isinstance(value, str):
            kind = "nothing" if value is None else "a truth value" if isinstance(value, bool) else "a number"
            self.refuse(
                span, f"a key must be text, and {name or 'an empty key'} is {kind}", hint="put quotes around it"
            )
        elif name in frame.lines:
            self.refuse(span, f"the key '{name}' stands twice", hint=f"first on line {frame.lines[name]}")
        frame.lines.setdefault(name, span.line)
        frame.name, frame.name_span = name, span

    def _open(self, event: Any) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and top.is_map and top.name is None:
            hint = "put quotes around a template: '{{ ... }}'" if event.flow_style else "use a list of maps instead"
            self._stop(self._point(event.start_mark, 1), "a key must be text, not a map or a list", hint)
        if len(self._stack) >= _DEEPEST:
            self._stop(self._point(event.start_mark, 1), _TOO_DEEP, "")
        style: Style = "flow" if event.flow_style else "block"
        key = top.name_span if top is not None else None
        self._stack.append(_Frame(event.start_mark, style, key, is_map=isinstance(event, yaml.MappingStartEvent)))

    def _close(self, event: Any) -> None:
        frame = self._stack.pop()
        length = 1 if frame.style == "block" else self._length(frame.start, event.end_mark)
        place = Place(self._file, self._point(frame.start, length), frame.style, frame.key)
        self._put(Node(frame.content, place))

    def _put(self, node: Node) -> None:
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if frame.is_map:
            assert frame.name is not None
            frame.content.setdefault(frame.name, node)
            frame.name, frame.name_span = None, None
        else:
            frame.content.append(node)

    def _place(self, event: Any, style: Style) -> Place:
        key = self._stack[-1].name_span if self._stack else None
        indent = self._indent(event) if style == "literal" else 0
        return Place(self._file, self._span(event), style, key, indent)

    def _indent(self, event: Any) -> int:
        """How far a literal text is indented: as far as its first line that holds something."""
        rows = self._rows[event.start_mark.line + 1 : event.end_mark.line + 1]
        written = next((row for row in rows if row.strip()), "")
        return len(written) - len(written.lstrip(" "))

    def _span(self, event: Any) -> Span:
        return self._point(event.start_mark, self._length(event.start_mark, event.end_mark))

    def _point(self, mark: Any, length: int) -> Span:
        shift = self._column if mark.line == 0 else 0
        return Span(mark.line + 1, mark.column + 1 + shift, max(1, length))

    def _length(self, start: Any, end: Any) -> int:
        if start.line == end.line:
            return int(end.column - start.column)
        return len(self._rows[start.line].rstrip()) - int(start.column)

    def _word_at(self, mark: Any) -> int:
        row = self._rows[mark.line] if mark.line < len(self._rows) else ""
        return len((row[mark.column :].split() or [""])[0])

    def refuse(self, span: Span, message: str, *, hint: str = "") -> None:
        self.found.append(Diagnostic("error", self._file, span.line, span.column, span.length, message, hint))

    def _stop(self, span: Span, message: str, hint: str) -> NoReturn:
        self.refuse(span, message, hint=hint)
        raise _Stop

    def explain(self, error: yaml.MarkedYAMLError) -> None:
        """Say in our words what the parser stumbled over, and where it began."""
        problem = error.problem or "not YAML"
        mark = error.problem_mark or error.context_mark
        if "cannot start any token" in problem and mark is not None:
            self._explain_character(mark)
            return
        for words, message, hint, at_start in _WORDING:
            if words in problem:
                start = (error.context_mark if at_start else None) or mark
                self.refuse(self._at(start), message, hint=hint)
                return
        self.refuse(self._at(mark), f"not YAML: {problem}")

    def _explain_character(self, mark: Any) -> None:
        row = self._rows[mark.line] if mark.line < len(self._rows) else ""
        character = row[mark.column : mark.column + 1]
        if character == "\t":
            self.refuse(self._point(mark, 1), "a tab cannot indent", hint="use spaces")
        else:
            self.refuse(self._at(mark), f"text cannot begin with '{character}'", hint="put quotes around it")

    def _at(self, mark: Any) -> Span:
        if mark is None:
            return Span(1, 1, 1)
        if mark.line >= len(self._rows) or not self._rows[mark.line].strip():
            return self._last_written(mark.line)
        opening = self._rows[mark.line][mark.column : mark.column + 1] in ("[", "{")
        return self._point(mark, 1 if opening else self._word_at(mark))

    def _last_written(self, line: int) -> Span:
        """The end of the last line that holds something: where a parser that ran off the end should point."""
        for index in range(min(line, len(self._rows) - 1), -1, -1):
            row = self._rows[index].rstrip()
            if row:
                return Span(index + 1, len(row) + (self._column if index == 0 else 0), 1)
        return Span(1, 1, 1)
