"""The vocabulary of rubrics: what a criterion can check of an answer. docs/rubrics.md lists it.

`rubric_text.py`, `rubric_json.py` and `rubric_python.py` have the checks of the answer alone. Here are those
that others decide: a scorer by its name, the verdict of the task's own scorer, a judge who is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.types import Completion, Json, Score
from evalkit.scorers import python_facts, rubric_json, rubric_python, rubric_text
from evalkit.scorers.rubric_answer import Answer, Check, Finding

TASK = "task"
"""In `check: {scorer: task}`: the verdict of the task's own scorer."""


def make(written: Json) -> Check:
    """The check that a criterion's `check:` says. Raises SpecError, whose message goes on after that key."""
    if isinstance(written, str):
        if written not in _NAMES:
            raise _unknown(written)
        return rubric_python.fact(written.removeprefix(rubric_python.PREFIX))
    if not isinstance(written, dict) or len(written) != 1:
        raise SpecError("is one check: a name, or a map with one key", hint=_KNOWN)
    ((name, options),) = written.items()
    if name not in _MAKERS:
        raise _unknown(name)
    return _MAKERS[name](options)


def _unknown(name: str) -> SpecError:
    near = get_close_matches(name, [*_MAKERS, *_NAMES], 1)
    return SpecError(f"knows no check '{name}'", hint=f"did you mean '{near[0]}'?" if near else _KNOWN)


def _ask(question: Json) -> Check:
    if not isinstance(question, str) or not question.strip():
        raise SpecError(f"ask: is a question, not {question!r}", hint="ask: Does the program handle an empty list?")
    return Check(lambda answer, verdict: Finding(None, "nobody asked a judge"), question=question)


def _scorer(written: Json) -> Check:
    if written == TASK:
        return Check(by_task, oracle=True)
    if not isinstance(written, dict) or len(written) != 1:
        hint = "scorer: {json_schema: {schema: {type: object}}}, or scorer: task"
        raise SpecError("scorer: is `task`, or one scorer with its options", hint=hint)
    ((name, options),) = written.items()
    if name not in registry.names("scorers"):
        raise SpecError(f"scorer: knows no scorer '{name}'", hint=f"known: {', '.join(registry.names('scorers'))}")
    kind = registry.load("scorers", name)
    if kind.executes:
        hint = "use the task's own verdict, `scorer: task`"
        raise SpecError(f"scorer: `{name}` executes programs, which a criterion cannot", hint=hint)
    scorer = kind(options if isinstance(options, dict) else {"answer": options})

    def find(answer: Answer, _: Score | None) -> Finding:
        if answer.sample is None:
            return Finding(None, "the item is not known")
        if scorer.continuations(answer.sample):
            return Finding(None, f"`{name}` weighs options, and here is a text")
        return _of(scorer.score(answer.sample, Completion("", answer.text, "stop", None, ""), None))

    return Check(find, oracle=scorer.reads_gold, needs=scorer.check)


def by_task(answer: Answer, verdict: Score | None) -> Finding:
    """The verdict of the task's own scorer."""
    return Finding(None, "it has no verdict") if verdict is None else _of(verdict)


def _of(score: Score) -> Finding:
    if score.value is None:
        return Finding(None, score.reason or "it has no verdict")
    return Finding(score.value, "" if score.value >= 1.0 else score.reason or score.error_class or "")


_MAKERS: dict[str, Callable[[Json], Check]] = {
    **rubric_text.MAKERS,
    **rubric_json.MAKERS,
    **rubric_python.MAKERS,
    "scorer": _scorer,
    "ask": _ask,
}
_NAMES = [rubric_python.PREFIX + fact for fact in python_facts.FACTS]
_KNOWN = f"known: {', '.join([*_MAKERS, *_NAMES])}"
