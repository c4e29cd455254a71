"""Keys that stand where none may: no screen shows them."""

from __future__ import annotations

import pytest

from evalkit.spec.diagnostics import without_secrets
from evalkit.spec.servers import address_problem, variable

SECRET = "sk-proj-0123456789"


@pytest.mark.parametrize(
    "row",
    [
        "  m: {engine: openai, key: %s, name: x}",
        "    key: '%s'",
        '    "key": "%s",',
        "    key : %s # mine",
        "models.m.key=%s",
        "  m: {key: %s}",
        "  m: {base_url: 'https://me:%s@example.org/v1'}",
        "    base_url: https://%s@example.org",
        "    base_url: https://example.org/v1?api_key=%s",
        "models.m.base_url=https://example.org/v1#%s",
    ],
)
def test_a_line_is_shown_without_its_secret(row: str) -> None:
    """And as long as it was, so that carets stand where they should."""
    shown = without_secrets(row % SECRET)
    assert SECRET not in shown
    assert len(shown) == len(row % SECRET)
    assert shown.startswith(row.partition("%s")[0].partition("me:")[0].partition("api_key")[0])


@pytest.mark.parametrize(
    "row",
    [
        "    key: '${env:OPENAI_API_KEY}'",
        "  m: {engine: openai, base_url: 'https://example.org/v1', name: x}",
        "  monkey: business-as-usual",
        "  prompt: what is the key? a long answer",
    ],
)
def test_other_lines_are_shown_as_they_are(row: str) -> None:
    assert row == without_secrets(row)


@pytest.mark.parametrize(
    ("text", "expected"), [("${env:A_1}", "A_1"), ("${env:1A}", None), ("${A}", None), ("sk", None)]
)
def test_a_variable_is_named_whole(text: str, expected: str | None) -> None:
    assert expected == variable(text)


@pytest.mark.parametrize(
    "address",
    ["ftp://example.org", "example.org", "http://:80", "http://a:b@c", "http://a?b", "http://a#b", "http://a:port"],
)
def test_what_is_no_address_is_told_without_being_quoted(address: str) -> None:
    assert address_problem(address)
    assert address not in address_problem(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/v1", "https://example.org", "http://[::1]:8000/v1/"])
def test_what_is_an_address(address: str) -> None:
    assert "" == address_problem(address)
