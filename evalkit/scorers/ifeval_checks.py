"""The 25 instructions of IFEval that a program can check, each a function of an answer and its arguments.

The rules follow the published checks (instruction_following_eval in github.com/google-research/google-research,
Apache-2.0), whose verdicts they reproduce, with what these get wrong. What would take quadratic time there is done in
linear time here: answers may be long loops of one character.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TypeAlias

from evalkit.core.types import Json
from evalkit.scorers.english import count_capital_words, count_sentences, count_words
from evalkit.scorers.language import language

Arguments: TypeAlias = dict[str, Json]

_FIXED_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_WORD_ENDS = frozenset(".,?!'\"")
_FENCE_OPENINGS = ("```json", "```Json", "```JSON", "```")


def _related(count: int, relation: Json, wanted: int) -> bool:
    if relation not in ("less than", "at least"):
        raise ValueError(f"the relation {relation!r} is neither 'less than' nor 'at least'")
    return count < wanted if relation == "less than" else count >= wanted


def _keywords(text: str, given: Arguments) -> bool:
    return all(re.search(re.escape(word), text, re.IGNORECASE) for word in given["keywords"])


def _keyword_frequency(text: str, given: Arguments) -> bool:
    found = len(re.findall(re.escape(given["keyword"]), text, re.IGNORECASE))
    return _related(found, given["relation"], int(given["frequency"]))


def _forbidden_words(text: str, given: Arguments) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in given["forbidden_words"])


def _letter_frequency(text: str, given: Arguments) -> bool:
    found = text.lower().count(given["letter"].lower())
    return _related(found, given["let_relation"], int(given["let_frequency"]))


def _response_language(text: str, given: Arguments) -> bool:
    return language(text) in (given["language"], None)


def _number_sentences(text: str, given: Arguments) -> bool:
    return _related(count_sentences(text), given["relation"], int(given["num_sentences"]))


def _number_words(text: str, given: Arguments) -> bool:
    return _related(count_words(text), given["relation"], int(given["num_words"]))


def _number_paragraphs(text: str, given: Arguments) -> bool:
    """Paragraphs stand between `***`; only the first and the last may be empty, and do not count then."""
    parts = [bool(part.strip()) for part in re.split(r"\s?\*\*\*\s?", text)]
    return all(parts[1:-1]) and sum(parts) == int(given["num_paragraphs"])


def _first_word_of_paragraph(text: str, given: Arguments) -> bool:
    """Paragraphs stand between empty lines. The n-th is counted with empty ones, their number without."""
    parts = [part.strip() for part in text.split("\n\n")]
    number, place = sum(map(bool, parts)), int(given["nth_paragraph"])
    if place > number or not parts[place - 1]:
        return False
    word = parts[place - 1].split()[0].lstrip("'").lstrip('"')
    end = next((index for index, letter in enumerate(word) if letter in _WORD_ENDS), len(word))
    return number == int(given["num_paragraphs"]) and word[:end].lower() == given["first_word"].lower()


def _number_placeholders(text: str, given: Arguments) -> bool:
    return sum(map(_brackets, text.split("\n"))) >= int(given["num_placeholders"])


def _brackets(line: str) -> int:
    """How many `[...]` follow one another in a line."""
    count = end = 0
    while True:
        start = line.find("[", end)
        end = line.find("]", start) + 1
        if start < 0 or end == 0:
            return count
        count += 1


def _postscript(text: str, given: Arguments) -> bool:
    known = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}
    marker = given["postscript_marker"]
    return re.search(known.get(marker, re.escape(marker.lower())), text.lower()) is not None


def _number_bullets(text: str, given: Arguments) -> bool:
    return _bullets(text.split("\n")) == int(given["num_bullets"])


def _bullets(lines: list[str]) -> int:
    """Lines that begin with `-`, or with one `*`; a `*` alone is a bullet with the line below, if there is one."""
    count, taken = sum(line.lstrip().startswith("-") for line in lines), False
    for index, line in enumerate(lines):
        plain = line.lstrip()
        if taken or not plain.startswith("*"):
            taken = False
        elif plain == "*":
            taken = index + 1 < len(lines)
            count += taken
        else:
            count += plain[1] != "*"
    return count


def _constrained_response(text: str, given: Arguments) -> bool:
    return any(answer in text for answer in _FIXED_ANSWERS)


def _number_highlights(text: str, given: Arguments) -> bool:
    """`*one*` and `**two**` that are not empty; of three stars in a row some count twice, as published."""
    single = sum(bool(part.strip("*").strip()) for part in re.findall(r"\*[^\n*]*\*", text))
    double = sum(bool(part[2:-2].strip()) for part in re.findall(r"\*\*[^\n*]*\*\*", text))
    return single + double >= int(given["num_highlights"])


def _number_sections(text: str, given: Arguments) -> bool:
    found = re.findall(rf"{re.escape(given['section_spliter'])}\s?\d", text)
    return len(found) >= int(given["num_sections"])


def _json_format(text: str, given: Arguments) -> bool:
    plain = text.strip()
    for opening in _FENCE_OPENINGS:
        plain = plain.removeprefix(opening)
    try:
        json.loads(plain.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, given: Arguments) -> bool:
    return any(title.lstrip("<").rstrip(">").strip() for title in _titles(text))


def _titles(text: str) -> Iterator[str]:
    """The widest `<<...>>` of each line."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if start >= 0 and start + 3 <= end:
            yield line[start : end + 2]


def _two_responses(text: str, given: Arguments) -> bool:
    """Two that differ, with six stars between; only before the first and after the last there may be nothing."""
    parts = [part.strip() for part in text.split("******")]
    said = [part for part in parts if part]
    return all(parts[1:-1]) and len(said) == 2 and said[0] != said[1]


def _repeat_prompt(text: str, given: Arguments) -> bool:
    return text.strip().lower().startswith(given["prompt_to_repeat"].strip().lower())


def _end_checker(text: str, given: Arguments) -> bool:
    return text.strip().strip('"').lower().endswith(given["end_phrase"].strip().lower())


def _quotation(text: str, given: Arguments) -> bool:
    plain = text.strip()
    return len(plain) > 1 and plain[0] == plain[-1] == '"'


def _capital_words(text: str, given: Arguments) -> bool:
    return _related(count_capital_words(text), given["capital_relation"], int(given["capital_frequency"]))


def _english_capital(text: str, given: Arguments) -> bool:
    return text.isupper() and language(text) in ("en", None)


def _english_lowercase(text: str, given: Arguments) -> bool:
    return text.islower() and language(text) in ("en", None)


def _no_comma(text: str, given: Arguments) -> bool:
    return "," not in text


CHECKS: dict[str, Callable[[str, Arguments], bool]] = {
    "keywords:existence": _keywords,
    "keywords:frequency": _keyword_frequency,
    "keywords:forbidden_words": _forbidden_words,
    "keywords:letter_frequency": _letter_frequency,
    "language:response_language": _response_language,
    "length_constraints:number_sentences": _number_sentences,
    "length_constraints:number_paragraphs": _number_paragraphs,
    "length_constraints:number_words": _number_words,
    "length_constraints:nth_paragraph_first_word": _first_word_of_paragraph,
    "detectable_content:number_placeholders": _number_placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _number_bullets,
    "detectable_format:constrained_response": _constrained_response,
    "detectable_format:number_highlighted_sections": _number_highlights,
    "detectable_format:multiple_sections": _number_sections,
    "detectable_format:json_format": _json_format,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeat_prompt,
    "startend:end_checker": _end_checker,
    "startend:quotation": _quotation,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": _english_capital,
    "change_case:english_lowercase": _english_lowercase,
    "punctuation:no_comma": _no_comma,
}
"""Each instruction by its id in the data. A missing or wrong argument raises KeyError, TypeError or ValueError."""


def needs_language(instruction: str) -> bool:
    """Whether an instruction is about the language of an answer."""
    return CHECKS[instruction] in (_response_language, _english_capital, _english_lowercase)


def follows(instruction: str, text: str, given: Arguments) -> bool:
    """Whether an answer follows an instruction. An empty answer follows none."""
    return bool(text.strip()) and CHECKS[instruction](text, given)


def follows_loosely(instruction: str, text: str, given: Arguments) -> bool:
    """Whether the answer follows it without its first line, last line, both, or its asterisks, or as it is."""
    return any(follows(instruction, variant, given) for variant in variants(text))


def variants(text: str) -> tuple[str, ...]:
    """The eight texts of the loose measure, each once, the answer itself first."""
    lines = text.split("\n")
    cuts = (text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])))
    return tuple(dict.fromkeys((*cuts, *(cut.replace("*", "") for cut in cuts))))
