"""Findings: what was raised while numbers were made, with the words of `reports/findings.yaml`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from evalkit import assets
from evalkit.core.diagnosis import Diagnosis, Raised
from evalkit.report.results import Finding
from evalkit.report.text import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

_LONGEST = 1000
_ORDER = {"serious": 0, "warning": 1, "info": 2}


class Words(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of `reports/findings.yaml`."""

    severity: Literal["info", "warning", "serious"]
    title: str
    evidence: str
    causes: tuple[str, ...] = ()
    advice: str = ""


@cache
def catalogue() -> Mapping[str, Words]:
    """Every finding by its code."""
    import yaml

    text = (assets.folder("reports") / "findings.yaml").read_text("utf-8")
    return msgspec.convert(yaml.safe_load(text), dict[str, Words])


def compose(
    diagnoses: Mapping[str, Diagnosis], raised: Mapping[str, Iterable[Raised]], environment: Environment
) -> tuple[Finding, ...]:
    """What diagnoses and steps raised, in words: the gravest first, otherwise in the order of the run.

    A code is told once of the same samples of a step: what a step raises of itself and a diagnosis of it are one.
    """
    found = [_finding(step, one, environment) for step, many in raised.items() for one in many]
    told = {(finding.code, finding.step) for finding in found}
    for name, diagnosis in diagnoses.items():
        for one in diagnosis.raised:
            if (one.code, diagnosis.of[0]) not in told:
                found.append(_finding(name, one, environment))
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))


def _finding(step: str, raised: Raised, environment: Environment) -> Finding:
    words = catalogue()[raised.code]
    values = SimpleNamespace(**raised.values)  # of a dict, `values.items` would be its method
    evidence = environment.from_string(words.evidence).render(values=values)
    return Finding(
        code=raised.code,
        step=step,
        severity=words.severity,
        title=words.title,
        evidence=one_line(evidence, _LONGEST),
        causes=words.causes,
        advice=one_line(words.advice, _LONGEST),
        values=raised.values,
        samples=raised.samples,
        of_samples=raised.of_samples,
    )
