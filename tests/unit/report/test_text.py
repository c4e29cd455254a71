"""Text of models made safe: what Markdown and a terminal make of it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from evalkit.report.text import cell, code, cut, fence, one_line, visible

any_text = st.text(st.characters(codec=None), max_size=200)  # lone surrogates too
markdown = st.text(st.sampled_from("`~|<>*_[]()!&#\\-+=$:/. ab1\n\t\x00\x1b\ud800\u202e"), max_size=80)
PARSER = MarkdownIt("commonmark", {"linkify": False}).enable(["table", "strikethrough"])


def parse(page: str) -> list[Token]:
    return PARSER.parse(page)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, with accents: é 漢字 🙂", "plain, with accents: é 漢字 🙂"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("dos\r\nend, lone \r return", "dos\nend, lone ␍ return"),
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("nul \x00 bell \x07 delete \x7f c1 \x9b", "nul ␀ bell ␇ delete ␡ c1 \\u009b"),
        ("right \u202e to left", "right \\u202e to left"),
        ("half \ud83d", "half \\ud83d"),
        ("line\u2028separator \ufeff mark \U000e0041 tag", "line\\u2028separator \\ufeff mark \\U000e0041 tag"),
        ("zero\u200dwidth joiners belong to scripts", "zero\u200dwidth joiners belong to scripts"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    """What would be obeyed is shown."""
    assert expected == visible(text)


@given(any_text)
def test_visible_leaves_nothing_to_obey(text: str) -> None:
    """No control but tab and line end, no half character: it can be printed and encoded."""
    shown = visible(text)
    shown.encode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


def test_one_line() -> None:
    """White space is joined, what is long is cut with a mark."""
    assert one_line("  a\n\n b\tc ") == "a b c"
    assert one_line("x" * 200, 10) == "xxxxxxxxx…"
    assert one_line(" " * 5000 + "late", 10) == "…"


def test_cut_keeps_both_ends() -> None:
    """The end of an answer is as telling as its beginning."""
    lines = "\n".join(str(number) for number in range(100))
    assert cut(lines, 6, 10_000) == "0\n1\n2\n3\n[… 94 lines left out …]\n98\n99"
    assert cut("a" * 60 + "b" * 60, 10, 30) == f"{'a' * 20}\n[… 90 characters left out …]\n{'b' * 10}"
    assert cut("short", 6, 100) == "short"


def test_cell() -> None:
    """What has a meaning in Markdown or HTML is escaped; names with an underscore inside stay readable."""
    assert cell("code_basics") == "code_basics"
    assert cell("__init__") == "\\_\\_init\\_\\_"
    assert cell("a|b `c` <b> &amp; [x](y)") == "a\\|b \\`c\\` &lt;b&gt; &amp;amp; \\[x\\](y)"
    assert cell("see https://example.org") == "see https&#8203;://example.org"


@given(st.one_of(any_text, markdown))
def test_a_cell_stays_a_cell(text: str) -> None:
    """Whatever the text, the table has its two columns and two rows and holds nothing but text."""
    tokens = parse(f"| a | b |\n| - | - |\n| {cell(text)} | end |\n")
    assert [token.type for token in tokens].count("td_open") == 2
    inline = [child for token in tokens if token.type == "inline" for child in token.children or []]
    assert {child.type for child in inline} <= {"text", "text_special"}
    assert "".join(child.content for child in inline if child.level == 0).endswith("end")


@given(markdown)
def test_a_cell_reads_as_it_was(text: str) -> None:
    """The reader sees the very characters, on one line."""
    tokens = parse(f"| a |\n| - |\n| x{cell(text)}x |\n")
    [body] = [token for token in tokens if token.type == "inline"][1:]
    seen = "".join(child.content for child in body.children or []).replace("\u200b", "")
    assert seen == f"x{one_line(text)}x"


@given(st.one_of(any_text, markdown))
def test_a_fence_stays_closed(text: str) -> None:
    """The block holds the text to its end, and what comes after is outside."""
    tokens = parse(f"{fence(text)}\n\nafter\n")
    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content == f"{visible(text)}\n"
    assert tokens[2].content == "after"


def test_a_fence_is_cut() -> None:
    """A megabyte on one line, or ten thousand lines, become a screenful."""
    assert len(fence("x" * 1_000_000)) < 2100
    assert fence("y\n" * 10_000).count("\n") < 40


@given(st.one_of(any_text, markdown))
def test_inline_code_stays_closed(text: str) -> None:
    """What is in the code span cannot end it."""
    tokens = parse(f"run {code(f'show {text}')} now")
    [inline] = [token for token in tokens if token.type == "inline"]
    assert [child.type for child in inline.children or []] == ["text", "code_inline", "text"]
