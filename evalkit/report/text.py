"""Text of models and programs made safe for people: for a terminal, a Markdown table, a Markdown fence.

Such text is untrusted. It may hold terminal escapes, Markdown, HTML, direction marks, half characters, or a megabyte.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT = frozenset("\n\t")
_PICTURES = 0x2400
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
_ACTIVE = re.compile(r"[\\`*\[\]|~$#]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")
_BACKTICKS = re.compile(r"`+")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_ENTITY = re.compile("[&<>]")
_LINK = re.compile(r"(?i)\b(https?|ftp|mailto|www)([:.])")


def visible(text: str) -> str:
    """The text with every control, format and half character shown instead of obeyed; line ends become `\\n`."""
    text = text.replace("\r\n", "\n")
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if character in _KEPT:
        return character
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(character) in _HIDDEN and character not in _JOINERS:
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def one_line(text: str, limit: int = 160) -> str:
    """The text on one line of at most `limit` characters, white space joined."""
    line = " ".join(visible(text[: 8 * limit]).split())
    return line if len(line) <= limit and len(text) <= 8 * limit else f"{line[: limit - 1].rstrip()}…"


def cut(text: str, lines: int, characters: int) -> str:
    """The beginning and the end of a text too long to read, with a line between them that says what is left out."""
    kept = _cut_characters(text, characters)
    rows = kept.split("\n")
    if len(rows) <= lines:
        return kept
    head = max(1, lines * 2 // 3)
    tail = lines - head
    gap = f"[… {len(rows) - lines:,} lines left out …]"
    return "\n".join([*rows[:head], gap, *rows[len(rows) - tail :]])


def _cut_characters(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    head = characters * 2 // 3
    tail = characters - head
    return f"{text[:head]}\n[… {len(text) - characters:,} characters left out …]\n{text[len(text) - tail :]}"


def cell(text: object, limit: int = 160) -> str:
    """Text for a Markdown table or the middle of a sentence: one line, nothing in it is markup or becomes a link."""
    line = _ENTITY.sub(lambda match: _ENTITIES[match[0]], one_line(str(text), limit))
    line = _ACTIVE.sub(lambda match: f"\\{match[0]}", line)
    return _LINK.sub(r"\1&#8203;\2", line)  # a zero-width space: no link appears by itself


def code(text: str, limit: int = 160) -> str:
    """Text as inline code that nothing in it can end. Not for tables, where a pipe would end the cell."""
    line = one_line(text, limit)
    mark = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{mark}{pad}{line}{pad}{mark}"


def fence(text: str, language: str = "text", lines: int = 30, characters: int = 2000) -> str:
    """A fenced block that nothing in the text can close, cut to a readable length."""
    shown = cut(visible(text), lines, characters)
    mark = "`" * max(3, _longest_run(shown) + 1)
    return f"{mark}{language}\n{shown}\n{mark}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
