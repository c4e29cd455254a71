"""What templates can do beyond Jinja2."""

from __future__ import annotations

import hashlib

import jinja2
import pytest

from evalkit.core.errors import DataError
from evalkit.core.templates import check_syntax, render


def test_a_digest_is_an_id_for_rows_without_one() -> None:
    """The first digits of sha256, the same on every machine."""
    expected = hashlib.sha256(b"What is 2 + 2?").hexdigest()[:12]
    assert expected == render("{{ q | digest }}", {"q": "What is 2 + 2?"}, what="id", where="a:1")


def test_a_digest_is_of_a_text() -> None:
    """Numbers and lists have several written forms."""
    with pytest.raises(DataError, match=r"a:1: the id does not fit this row: digest is of a text, not of 2"):
        render("{{ q | digest }}", {"q": 2}, what="id", where="a:1")


@pytest.mark.parametrize("template", ["{{ q | digest", "{{ q | random }}", "{{ q | nothing }}"])
def test_syntax_is_checked_without_a_row(template: str) -> None:
    """A filter that is not there is found before any data is read."""
    check_syntax("{{ q | digest }} {{ q | upper }}")
    with pytest.raises(jinja2.TemplateSyntaxError):
        check_syntax(template)
