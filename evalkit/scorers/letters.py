"""The option that a written answer chooses: found by rules, the surest first; the one that fired is recorded.

1. `boxed`: the last `\\boxed{...}` that holds a label or an option's text.
2. `clause`: the last "the answer is B", "Answer: (B)", "option B is correct". A model that corrects itself is taken at
   its last word; "option A is incorrect" is none.
3. `statement`: the last "the best ... is C." without the word answer.
4. `line`: a last line that is a label and nothing else.
5. `leading`: the answer begins with a label ("C. In the sun"), and no later line begins with another.
6. `option_text`: exactly one option's text stands in the last sentence, else in the first, else in the whole.
7. `mention`: exactly one label is mentioned, and not to say that it is wrong.

The last two are guesses about what was concluded; of an answer that was cut off they are not made.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from evalkit.core.types import Completion, Score, Share
from evalkit.scorers.gold import verdict
from evalkit.scorers.options import LETTERS, Choices

_MARKUP = re.compile(r"\*\*|__|`|\$|\\\(|\\\)|\\(?:text|textbf|mathrm|mathbf)(?=\{)")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_ASIDE = re.compile(r"\s*\([^()]*\)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")
_WORDS_ONLY = re.compile(r"[^\w\s°%/.+-]")
_ARTICLES = {"A", "I", "a"}
_UNDECIDED = re.compile(
    r"\b(?:if|whether|neither|nor|either|unless|suppose|assuming|(?:can|could)(?:not|n't| not) be said that)"
    r"(?:\s+(?:the|option|choice|answer))*\s*[(\[\"']*$",
    re.IGNORECASE,
)
"""What stands before a label that is weighed up and not chosen: "if A is correct", "neither A nor C is right"."""
_NOUN = r"(?:answers?|choice|option|selection|response)"
_FILLER = r"(?:(?:most likely|most probably|probably|clearly|therefore|thus|simply|indeed|definitely)\s+)?"

Rule = Callable[[str, Choices], int | None]


def score(choices: Choices, completion: Completion) -> Score:
    """The verdict on a written answer; beside it what three rules of the field make of the same text."""
    text = completion.text
    rules = RULES if completion.finish_reason != "length" else {k: RULES[k] for k in RULES if k not in _GUESSES}
    found_by = ((name, rule(text, choices)) for name, rule in rules.items())
    fired, place = next(((name, place) for name, place in found_by if place is not None), ("", None))
    answer = None if place is None else choices.labels[place]
    found = verdict(place in choices.right, answer, fired, f"expected {choices.expected}")
    return replace(found, readings={name: Share(float(rule(text, choices))) for name, rule in FIELD_RULES.items()})


def _labels(choices: Choices) -> str:
    return "|".join(re.escape(label) for label in sorted(choices.labels, key=len, reverse=True))


def _plain(text: str) -> str:
    return _MARKUP.sub("", text)


def _boxed(text: str, choices: Choices) -> int | None:
    for content in reversed(_BOXED.findall(text)):
        inner = _plain(content).strip(" {}().:")
        for place, option in enumerate(choices.texts):  # before the labels: "A magnet" may be the text of C
            if inner and _folded(inner) == _folded(option):
                return place
        label = re.match(rf"(?:{_labels(choices)})(?!\w|\.\d)", inner)
        if label is not None and (label.end() == len(inner) or inner[label.end()] in ".):, }"):
            place = choices.labels.index(label[0])
            if not _is_article(inner, label.end(), label[0], choices.texts[place]):
                return place
    return None


def _clause(text: str, choices: Choices) -> int | None:
    label = rf"(?P<label>{_labels(choices)})"
    says = r"(?:is|was|would be|should be|will be|must be|has to be|=|:)"
    ahead = rf"(?i:\b{_NOUN}\s*{says}\s*:?\s*{_FILLER}(?:{_NOUN}|letter)?\s*)"
    praise = r"(?:correct|right|best|accurate|appropriate)\b(?!\s*\?)"
    behind = rf"(?i:\s+(?:is|would be|must be)\s+(?:the\s+)?(?:most\s+)?{praise})"
    forms = (
        rf"{ahead}[\s(\[\"'{{:]*{label}(?!\w|\.\d)",
        rf"(?<![\w'])(?P<open>[(\[\"']?){label}[)\]\"']?[.:]?{behind}",
    )
    small = rf"{ahead}[\s(\[\"'{{:]*(?P<label>(?i:{_labels(choices)}))[)\].\"']*\s*$"  # "answer: b" and no more
    return _last(_plain(text), (*forms, small), choices)


def _statement(text: str, choices: Choices) -> int | None:
    form = (
        rf"(?i:\b(?:correct|right|best|most|likely|true|accurate|therefore|thus|so)\b[^.\n]{{0,160}}?\b(?:is|are|be)\b)"
        rf"\s*:?\s*[(\[]?(?P<label>{_labels(choices)})(?=[.):\]]|\s*$)"
    )
    return _last(_plain(text), (form,), choices)


def _last(text: str, forms: tuple[str, ...], choices: Choices) -> int | None:
    """The label in the last match of any of the forms that is one and not the article a."""
    found = [match for form in forms for match in re.finditer(form, text, re.MULTILINE)]
    folded = [label.casefold() for label in choices.labels]
    for match in sorted(found, key=lambda one: one.start("label"), reverse=True):
        label = match["label"]
        place = choices.labels.index(label) if label in choices.labels else folded.index(label.casefold())
        if _UNDECIDED.search(text, 0, match.start("label")):
            continue
        if not _is_article(text, match.end("label"), label, choices.texts[place]):
            return place
    return None


def _is_article(text: str, end: int, label: str, option: str) -> bool:
    """Whether a label is the first word of a phrase: "the answer is A rock", unless the phrase is its own option."""
    rest = text[end:]
    if label not in _ARTICLES or not re.match(r"[ \t]+[a-z]", rest):
        return False
    goes_on = re.match(r"\s+(?:because|since|as|and|for|is|due|which|with)\b", rest)
    return goes_on is None and not _folded(rest).startswith(_folded(option))


def _line(text: str, choices: Choices) -> int | None:
    lines = [line.strip() for line in _plain(text).splitlines() if line.strip()]
    found = re.fullmatch(rf"[(\[]?({_labels(choices)})[)\].:]*", lines[-1]) if lines else None
    return None if found is None else choices.labels.index(found[1])


def _leading(text: str, choices: Choices) -> int | None:
    begins = rf"\s*(?i:(?:option|choice)\s+)?[(\[]?({_labels(choices)})(?:[.):\],](?!\d)|\s+-|\s*$)"
    lines = [line for line in _plain(text).strip().splitlines() if line.strip()]
    labels = [found[1] for line in lines if (found := re.match(begins, line))]
    if not labels or not re.match(begins, lines[0]) or len(set(labels)) > 1:
        return None
    return choices.labels.index(labels[0])


def _option_text(text: str, choices: Choices) -> int | None:
    text = _without_a_list(_plain(text), choices)
    sentences = [part for part in _SENTENCE_END.split(text.strip()) if part.strip()]
    for part in (*sentences[-1:], *sentences[:1], text):
        found = _options_in(_folded(part), choices)
        if len(found) == 1:
            return found.pop()
    return None


def _without_a_list(text: str, choices: Choices) -> str:
    """The text without the lines that go through several options: each of them is named there, whichever is meant."""
    labelled = re.compile(rf"\s*(?:[-*]\s*)?[(\[]?({_labels(choices)})[.):\]]")
    lines = text.splitlines()
    if len({found[1] for line in lines if (found := labelled.match(line))}) < 2:
        return text
    return "\n".join(line for line in lines if not labelled.match(line))


def _options_in(text: str, choices: Choices) -> set[int]:
    """The options whose words stand in the text, those within a longer one that stands there left out."""
    spans: dict[int, tuple[int, int]] = {}
    for place, option in enumerate(choices.texts):
        for form in (option, _ASIDE.sub("", option)):
            words = _folded(form)
            at = re.search(rf"(?<![\w.-]){re.escape(words)}(?![\w-]|\.\d)", text) if words else None
            if at is not None:
                spans.setdefault(place, at.span())
    return {
        place
        for place, (begin, end) in spans.items()
        if not any(
            other != place and first <= begin and end <= last and (first, last) != (begin, end)
            for other, (first, last) in spans.items()
        )
    }


def _mention(text: str, choices: Choices) -> int | None:
    plain = _plain(text)
    form = rf"(?:(?i:\b(?:option|choice)\s+)[(\[]?({_labels(choices)})(?!\w)|[(\[]({_labels(choices)})[)\]])"
    denied = r"[).:\]]*\s+(?i:is|was|would be|are)\s+(?i:not|incorrect|wrong|false)\b"
    found = {match[1] or match[2] for match in re.finditer(form, plain) if not re.match(denied, plain[match.end() :])}
    return choices.labels.index(found.pop()) if len(found) == 1 else None


def _folded(text: str) -> str:
    return " ".join(_WORDS_ONLY.sub(" ", text).casefold().split()).rstrip(".")


RULES: dict[str, Rule] = {
    "boxed": _boxed,
    "clause": _clause,
    "statement": _statement,
    "line": _line,
    "leading": _leading,
    "option_text": _option_text,
    "mention": _mention,
}
_GUESSES = ("option_text", "mention")


# what the field makes of the same text


def _simple_evals(text: str, choices: Choices) -> bool:
    """The first `Answer: X` (openai/simple-evals). It knows four letters and compares case as it stands."""
    found = re.search(r"(?i)Answer[ \t]*:[ \t]*\$?([A-D])\$?", text)
    return found is not None and found[1] in _letters(choices)


def _flan_flexible(text: str, choices: Choices) -> bool:
    """lm-eval's `flexible-extract` of mmlu_flan_cot: the last (X), else the last option's text, else the last `: X`."""
    bracketed = re.findall(r"\(([A-Z])\)", text)
    if bracketed:
        return bracketed[-1] in _letters(choices)
    options = {_bare(option): place for place, option in enumerate(choices.texts)}
    named = re.findall("|".join(re.escape(one) for one in sorted(options, key=len, reverse=True) if one), _bare(text))
    if named:
        return options[named[-1]] in choices.right
    last = re.findall(rf":\s*([{LETTERS[: len(choices.texts)]}])", text)
    return bool(last) and last[-1] in _letters(choices)


def _first_line(text: str, choices: Choices) -> bool:
    """lm-eval's mmlu_generative: the first line is the letter, case and punctuation apart."""
    return _bare(text.split("\n", 1)[0]).strip().upper() in _letters(choices)


def _letters(choices: Choices) -> Iterator[str]:
    return (LETTERS[place] for place in choices.right)


def _bare(text: str) -> str:
    """Lower case, without what Unicode calls punctuation."""
    return "".join(one for one in text.lower() if not unicodedata.category(one).startswith("P"))


FIELD_RULES: dict[str, Callable[[str, Choices], bool]] = {
    "simple_evals": _simple_evals,
    "flan_flexible": _flan_flexible,
    "first_line": _first_line,
}
