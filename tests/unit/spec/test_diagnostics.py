"""The screen: excerpts, carets, order, summary, and that nothing in it can harm a terminal."""

from __future__ import annotations

from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.spec.diagnostics import Diagnostic, did_you_mean, harmless, render, summary

_SOURCE = {
    "specs/phase1c.yaml": "\n" * 13
    + "      temprature: 0.8\n"
    + "\n" * 7
    + "  x: {revision: main}\n"
    + "\n" * 8
    + "    best_of: 3\n"
}


def test_whole_screen() -> None:
    """An error with excerpt, caret, suggestion and allowed keys; warnings as lines; a summary."""
    file = "specs/phase1c.yaml"
    found = [
        Diagnostic(
            "warning", file, 31, 5, 7, "best_of with temperature 0.2: candidates are often identical", code="W004"
        ),
        Diagnostic("warning", file, 22, 7, 4, "revision 'main' can move; pin a commit", code="W001"),
        Diagnostic(
            "error",
            file,
            14,
            7,
            10,
            "unknown key 'temprature'",
            "did you mean 'temperature'?",
            "stages[2].sampling",
            ("max_tokens", "n", "seed", "stop", "temperature", "top_k", "top_p"),
        ),
    ]
    expected = dedent(
        """\
        specs/phase1c.yaml:14:7: error: unknown key 'temprature'
           |
        14 |       temprature: 0.8
           |       ^^^^^^^^^^ did you mean 'temperature'?
           = at stages[2].sampling; allowed: max_tokens, n, seed, stop, temperature, top_k, top_p

        specs/phase1c.yaml:22:7: warning: revision 'main' can move; pin a commit [W001]
        specs/phase1c.yaml:31:5: warning: best_of with temperature 0.2: candidates are often identical [W004]

        1 error, 2 warnings in specs/phase1c.yaml
        """
    )
    assert expected == render(found, _SOURCE)


def test_nothing_wrong_is_an_empty_screen() -> None:
    """No diagnostics, no text."""
    assert render([], {}) == ""


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        (["error"], "1 error in a"),
        (["warning"] * 2, "2 warnings in a"),
        (["error", "error", "warning"], "2 errors, 1 warning in a"),
    ],
)
def test_summary_counts(severities: list[str], expected: str) -> None:
    """Singular and plural, and only what there is."""
    assert expected == summary([Diagnostic(severity, "a", 1, 1, 1, "m") for severity in severities])  # type: ignore[arg-type]


def test_files_come_in_the_order_they_were_read() -> None:
    """The document that was asked about first, then those it names."""
    found = [Diagnostic("error", name, 0, 0, 0, "m") for name in ("b", "a")]
    assert render(found, {"a": "", "b": ""}) == "a: error: m\nb: error: m\n\n2 errors in 2 files\n"


@given(st.text(), st.integers(0, 5), st.integers(-1, 50), st.integers(0, 300))
def test_any_text_is_rendered_harmlessly(text: str, line: int, column: int, length: int) -> None:
    """Whatever a file holds and wherever a mark points, the screen has no control or reordering characters."""
    found = Diagnostic("error", text, line, max(1, column), length, text, text, text, (text,))
    screen = render([found], {text: text})
    assert all(character == "\n" or harmless(character) == character for character in screen)


def test_control_and_bidirectional_characters_are_replaced() -> None:
    """They stay visible as characters, and do nothing."""
    assert harmless("a\x1b[31m\u202eb\tc\x07\u2028") == "a␛[31m\ufffdb c␇\ufffd"


def test_suggestion_needs_likeness() -> None:
    """A near word is suggested, a strange one is not."""
    assert did_you_mean("temprature", ["temperature", "top_p"]) == "did you mean 'temperature'?"
    assert did_you_mean("wallpaper", ["temperature", "top_p"]) == ""
