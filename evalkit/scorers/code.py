"""Programs judged by their tests: HumanEval's `check(candidate)`, lists of asserts (MBPP), texts for stdin with what
must be printed (APPS, LiveCodeBench), inputs for which a reference answers (MBPP+).

Sources of the rules: github.com/openai/human-eval (prompt + completion + test) and the mbpp folder of
github.com/google-research/google-research (each assert of `test_list`). One real test of MBPP reads
`assert neg_nos([-1,4,5,-6]) == -1,-6`: the `-6` is the assert's message, so tests are executed as statements.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec
from msgspec import Struct

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Execution, Json, Limits, Program, Reference, Sample, Score, Share
from evalkit.scorers.extract_code import Code, Extract, called_name, extract, preamble
from evalkit.scorers.plain import whole_answer
from evalkit.scorers.reference_tests import Comparison, reference_test
from evalkit.scorers.stdin_tests import stdin_tests


class CodeOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a task file says. `tests`, `prompt`, `setup`, `entry_point` and `reference` are names of fields of the row.

    `in_process` runs the tests in the program's own process: for tests that need its globals. A cheat can reach the
    verdict there, and every row says so.
    `preamble`: whether what the prompt gives before the entry point (imports, helpers) runs before the answer. The
    rule of each score says when it did, for it is worth points.
    `reference` is a program known to be right. With a `reference_factor` (the task's, or the spec's) an answer gets at
    most so many times its processor time, and never less than `reference_floor_s`.
    The style `reference` compares answers with those of that program, for the lists of arguments in the fields `tests`:
    equal or within `atol` (a field), with what JSON cannot hold restored by `values`.
    """

    style: Literal["humaneval", "asserts", "stdin", "reference"]
    tests: str | tuple[str, ...]
    prompt: str | None = None
    setup: str | None = None
    entry_point: str | None = None
    extract: Extract = "entry_point"
    preamble: Literal["prompt", "none"] = "prompt"
    limits: Limits = Limits()
    in_process: bool = False
    reference: str | None = None
    reference_factor: float | None = None
    reference_floor_s: float = 1.0
    atol: str | None = None
    values: Literal["mbpp_plus"] | None = None

    def __post_init__(self) -> None:
        if self.style == "reference" and self.in_process:
            raise ValueError("the style reference has no in_process: the program would see the reference")
        if self.style == "reference":
            if not (self.reference and self.entry_point):
                raise ValueError("the style reference needs the fields reference and entry_point")
        elif not isinstance(self.tests, str) or self.atol or self.values:
            raise ValueError("several fields of tests, atol and values belong to the style reference")
        if self.style == "stdin" and (self.in_process or self.setup or self.entry_point):
            raise ValueError("programs of the style stdin are run whole: no in_process, setup or entry_point")


_STYLES: dict[str, Literal["asserts", "check", "stdin"]] = {
    "humaneval": "check",
    "asserts": "asserts",
    "stdin": "stdin",
    "reference": "asserts",
}


class CodeScorer:
    """Passes exactly when every test passed; a failure's class is the execution's, or `no_code`."""

    executes = True
    reads_gold = True

    def __init__(self, options: dict[str, Json]) -> None:
        try:
            self._options = msgspec.convert(options, CodeOptions)
        except msgspec.ValidationError as error:
            rules = " | ".join(get_args(Extract))
            known = (
                "prompt, setup, entry_point, preamble: prompt | none, in_process, reference, reference_factor, "
                "reference_floor_s, atol, values: mbpp_plus, limits"
            )
            hint = f"style: humaneval | asserts | stdin | reference, tests: FIELD; also {known}, extract: {rules}"
            raise SpecError(f"options of the scorer 'code': {error}", hint=hint) from error
        _check_reference(self._options)

    def check(self, sample: Sample) -> None:
        """Raises DataError for a row without tests, or without the field of a reference that is wanted."""
        self._tests(sample)
        self.reference(sample)

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        """The program to run; None when the answer holds no code."""
        entry_point = self._entry_point(sample)
        code = self._extract(sample, completion, entry_point)
        if code.text is None:
            return None
        return self._program(sample, code.text, entry_point)

    def reference(self, sample: Sample) -> Reference | None:
        """The row's own solution as a program; None where its time limits nothing. An empty one is one that fails."""
        options = self._options
        if options.reference is None or options.reference_factor is None:
            return None
        entry_point = self._entry_point(sample)
        prompt = self._text(sample, options.prompt) if options.style == "humaneval" else ""
        code = extract(self._text(sample, options.reference), "none", entry_point, prompt)
        program = self._program(sample, code.text or "", entry_point)
        return Reference(program, options.reference_factor, options.reference_floor_s)

    def _program(self, sample: Sample, code: str, entry_point: str | None) -> Program:
        return Program(
            key="",
            code=code,
            tests=self._tests(sample),
            style=_STYLES[self._options.style],
            preamble=self._preamble(sample, entry_point),
            setup=self._text(sample, self._options.setup),
            entry_point=entry_point,
            limits=self._options.limits,
            in_process=self._options.in_process,
        )

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return ()

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        """`no_code` needs no execution; everything else is what the sandbox saw."""
        code = self._extract(sample, completion, self._entry_point(sample))
        if code.text is None:
            return Score(outcome="fail", value=0.0, error_class="no_code")
        if execution is None:
            return Score(outcome="void", value=None, answer=code.text, rule=code.rule, reason="the program was not run")
        passed = execution.outcome == "passed"
        return Score(
            outcome="pass" if passed else "fail",
            value=1.0 if passed else 0.0,
            answer=code.text,
            error_class=None if passed else execution.outcome,
            rule=self._rule(sample, code),
            tests_passed=execution.tests_passed,
            tests_total=len(execution.tests),
            readings=self._readings(execution),
        )

    def _rule(self, sample: Sample, code: Code) -> str | None:
        """The rule that found the program, and whether the prompt's own code runs before it: that is worth points."""
        return f"{code.rule}, preamble" if self._preamble(sample, self._entry_point(sample)) else code.rule

    def _readings(self, execution: Execution) -> dict[str, Share]:
        """Of several lists of inputs, whether each of them alone is answered like the reference does."""
        fields = self._options.tests
        if isinstance(fields, str) or len(fields) < 2 or len(fields) != len(execution.tests):
            return {}
        return {
            f"{field} alone": Share(float(test.passed)) for field, test in zip(fields, execution.tests, strict=True)
        }

    def _extract(self, sample: Sample, completion: Completion, entry_point: str | None) -> Code:
        prompt = self._text(sample, self._options.prompt) if self._options.style == "humaneval" else ""
        return extract(whole_answer(sample, completion), self._options.extract, entry_point, prompt)

    def _preamble(self, sample: Sample, entry_point: str | None) -> str:
        if self._options.style == "stdin" or self._options.preamble == "none":
            return ""
        return preamble(self._text(sample, self._options.prompt), entry_point)

    def _entry_point(self, sample: Sample) -> str | None:
        if self._options.style == "stdin":
            return None
        if self._options.entry_point is not None:
            return self._text(sample, self._options.entry_point) or None
        return called_name(self._tests(sample), self._text(sample, self._options.setup))

    def _tests(self, sample: Sample) -> tuple[str, ...]:
        fields = self._options.tests
        if self._options.style == "reference":
            comparison = self._comparison(sample)
            names = (fields,) if isinstance(fields, str) else fields
            inputs = {name: self._field(sample, name) for name in names}
            if not any(inputs.values()):
                message = f"there is no input in {' or '.join(names)}: any program would pass"
                raise DataError(message, hint="leave the row out of the data", where=comparison.where)
            return tuple(reference_test(name, given, comparison) for name, given in inputs.items())
        assert isinstance(fields, str)
        value = self._field(sample, fields)
        if self._options.style == "stdin":
            return stdin_tests(value, where=f"{sample.task}/{sample.id}, field '{fields}'")
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
            joined = ("\n".join(value),)
            return joined if self._options.style == "humaneval" else tuple(value)
        message = f"the field '{fields}' holds no tests"
        raise DataError(message, hint="a text, or a list of texts", where=f"{sample.task}/{sample.id}")

    def _comparison(self, sample: Sample) -> Comparison:
        options, where = self._options, f"{sample.task}/{sample.id}"
        atol = self._field(sample, options.atol) if options.atol else 0.0
        if isinstance(atol, bool) or not isinstance(atol, int | float):
            raise DataError(f"field '{options.atol}' is no number", where=where)
        return Comparison(
            id=sample.id,
            entry_point=self._text(sample, options.entry_point),
            reference=self._text(sample, options.reference),
            atol=float(atol),
            values=options.values,
            where=where,
        )

    def _text(self, sample: Sample, field: str | None) -> str:
        value = "" if field is None else self._field(sample, field)
        if isinstance(value, list | tuple):
            return "\n".join(str(item) for item in value)
        return "" if value is None else str(value)

    def _field(self, sample: Sample, field: str) -> Json:
        try:
            return sample.row[field]
        except KeyError:
            known = ", ".join(sorted(sample.row))
            raise DataError(
                f"the row has no field '{field}'", where=f"{sample.task}/{sample.id}", hint=f"its fields: {known}"
            ) from None


def _check_reference(options: CodeOptions) -> None:
    """Raises SpecError for a rule about the reference's time that cannot hold."""
    if options.reference_factor is not None and options.reference is None:
        raise SpecError(
            "options of the scorer 'code': reference_factor without a reference",
            hint="reference: FIELD, the field of the row that holds a program known to be right",
        )
    for name in ("reference_factor", "reference_floor_s"):
        value = getattr(options, name)
        if value is not None and not (0 < value < float("inf")):
            raise SpecError(f"options of the scorer 'code': {name} must be above 0, not {value:g}")
