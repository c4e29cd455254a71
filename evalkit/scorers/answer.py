"""Scorers that compare an answer with the gold one: as text (`exact`) or as a number (`number`).

Task files name them so:

    score: {number: {answer: '{{ answer.split("####")[-1] }}'}}
    score: {exact: {answer: '{{ gold }}', ignore_case: true, ignore_punctuation: true}}

Either takes `answer`, a template over the row, or `field`, the name of a field; for `exact` the field may hold a list
of answers that are all right.
"""

from __future__ import annotations

import string

from msgspec import structs

from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Execution, Json, Sample, Score, Share
from evalkit.scorers import numbers
from evalkit.scorers.gold import check_options, gold_value, verdict, wrong_gold
from evalkit.scorers.gsm8k_rules import GSM8K_RULES, same_text
from evalkit.scorers.plain import PlainScorer

_SHOWN = 64
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class ExactScorer(PlainScorer):
    """The whole answer equals a gold one, white space apart.

    Options: `ignore_case`, `ignore_punctuation` (ASCII), `first_line` (only the first line that is not empty counts).
    """

    def __init__(self, options: dict[str, Json]) -> None:
        flags = ("ignore_case", "ignore_punctuation", "first_line")
        check_options("exact", options, flags)
        for flag in flags:
            if not isinstance(options.get(flag, False), bool):
                raise SpecError(f"score.exact.{flag} is true or false, not {options[flag]!r}")
        self._options = options
        self._case, self._punctuation, self._first_line = (bool(options.get(flag)) for flag in flags)

    def check(self, sample: Sample) -> None:
        """Raises DataError for a sample without a gold answer."""
        self._gold(sample)

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        text = completion.text.strip()
        given = " ".join((text.splitlines()[0] if self._first_line and text else text).split())
        golds = self._gold(sample)
        expected = f"expected {' or '.join(golds)}"
        if not given:
            return Score("fail", 0.0, error_class="no_answer", reason=expected)
        right = self._plain(given) in {self._plain(gold) for gold in golds}
        return verdict(right, given, "exact", expected)

    def _gold(self, sample: Sample) -> list[str]:
        value = gold_value(self._options, "exact", sample)
        golds = value if isinstance(value, list) else [value]
        for gold in golds:
            if isinstance(gold, (dict, list)) or gold is None or not self._plain(str(gold)):
                raise wrong_gold(self._options, sample, gold)
        if not golds:
            raise wrong_gold(self._options, sample, golds)
        return [str(gold) for gold in golds]

    def _plain(self, text: str) -> str:
        kept = text.casefold() if self._case else text
        return " ".join((kept.translate(_PUNCTUATION) if self._punctuation else kept).split())


class NumberScorer(PlainScorer):
    """The number that the answer ends in equals the gold one, exactly, as a decimal number or a fraction.

    Option `rules`: the extraction rules of `numbers.RULES` to try, in this order (default: all); or the name of one of
    `GSM8K_RULES`, which compares texts as the field does. The score records the rule that found the number, and what
    either of the field's rules makes of the answer. A percentage is the number before its sign: 18% equals 18.
    """

    def __init__(self, options: dict[str, Json]) -> None:
        check_options("number", options, ("rules",))
        rules = options.get("rules", list(numbers.RULES))
        self._text_rule = rules if isinstance(rules, str) and rules in GSM8K_RULES else None
        unknown = [rule for rule in rules if rule not in numbers.RULES] if isinstance(rules, list) else [rules]
        if self._text_rule is None and (unknown or not rules):
            raise SpecError(
                f"score.number.rules: {unknown} is no list of rules",
                hint=f"a list of {', '.join(numbers.RULES)}; or one of {', '.join(GSM8K_RULES)}",
            )
        self._options = options
        self._rules = () if self._text_rule else tuple(rules)

    def check(self, sample: Sample) -> None:
        """Raises DataError for a sample whose gold answer is no number."""
        self._gold(sample)

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        gold, gold_text = self._gold(sample)
        texts = {rule: find(completion.text) for rule, find in GSM8K_RULES.items()}
        right = {rule: text is not None and same_text(text, gold_text) for rule, text in texts.items()}
        readings = {rule: Share(float(passed)) for rule, passed in right.items()}
        expected = f"expected {numbers.show(gold)}"
        if self._text_rule is not None:
            text = texts[self._text_rule]
            shown = None if text is None else text[:_SHOWN]
            score = verdict(right[self._text_rule], shown, self._text_rule, expected)
        else:
            found = numbers.find(completion.text, self._rules)
            answer = None if found is None else numbers.show(found.value)
            equal = found is not None and numbers.equal(found.value, gold)
            score = verdict(equal, answer, "" if found is None else found.rule, expected)
        return structs.replace(score, readings=readings)

    def _gold(self, sample: Sample) -> tuple[numbers.Number, str]:
        value = gold_value(self._options, "number", sample)
        text = str(value).strip()
        gold = None if isinstance(value, bool) else numbers.parse(text)
        if gold is None:
            raise wrong_gold(self._options, sample, value, "number")
        return gold, text
