"""The verb `judge`: the answers of two bench steps to the same items, compared pair by pair.

This module says which pairs there are, which games are played about each, and what the store knows of them. It asks
nothing; `comparing.py` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.ports import Store
from evalkit.core.price import Used
from evalkit.core.types import Completion, Prompt, Sample, Void
from evalkit.core.verdicts import Game, Side, VerdictRow, verdict_of
from evalkit.spec.model import JudgeStep
from evalkit.steps.bench import Bench, chunks
from evalkit.steps.pair_judges import Asked, PairJudge, Shown, games, is_retested
from evalkit.steps.rows import Told, told
from evalkit.steps.verdict_texts import Reading, ends_with_verdict, read

_CHUNK = 128
_SAME = "both answers are the same text: nobody was asked"
_NO_ANSWER = "no answer of this step counts yet"


class Category(Struct, frozen=True):
    """What a judge may see of the items of one category beside prompt and answers: `fields` of their rows, and their
    gold answers, by the item's id."""

    fields: tuple[str, ...] = ()
    references: Mapping[str, str] = {}


class Pairing(Struct, frozen=True):
    """A judge step with everything looked up. `player` and `opponent` are the benches of the two steps, several where
    a step has a route. `categories` are in the order of the suite."""

    step: JudgeStep
    player: tuple[Bench, ...]
    opponent: tuple[Bench, ...]
    judges: tuple[PairJudge, ...]
    categories: Mapping[str, Category]
    seed: int = 0
    salt: str = ""


class Pair(Struct, frozen=True):
    """One item with an answer of each side; `index` counts the answers to the item that count. None is an answer that
    a step does not have."""

    category: str
    sample: Sample
    index: int
    player: Told | None
    opponent: Told | None

    @property
    def void(self) -> str | None:
        """Why there is nothing to compare; None where there is."""
        return _void("player", self.player) or _void("opponent", self.opponent)


def _void(side: str, found: Told | None) -> str | None:
    if found is None:
        return f"{side}: {_NO_ANSWER}"
    if found.row.text is None:
        return f"{side}: {found.row.reason}"
    return f"{side}: {found.mark.void}" if found.mark.void is not None else None


def pairs(pairing: Pairing, store: Store, identity: str) -> Iterator[Pair]:
    """Every pair in plan order: those answers that count, each side's first with the other's first."""
    for category in pairing.categories:
        samples = _samples(pairing, category)
        mine = _counted(pairing.player, category, store, identity)
        theirs = _counted(pairing.opponent, category, store, identity)
        for name, sample in samples.items():
            one, other = mine[name], theirs[name]
            for index in range(max(len(one), len(other), 1)):
                yield Pair(category, sample, index, _at(one, index), _at(other, index))


def _samples(pairing: Pairing, category: str) -> dict[str, Sample]:
    arms = [arm for bench in pairing.player for arm in bench.arms if arm.category == category]
    return {sample.id: sample for arm in arms for sample in arm.samples}


def _counted(benches: Sequence[Bench], category: str, store: Store, identity: str) -> dict[str, list[Told]]:
    """The answers that count, by item."""
    found: dict[str, list[Told]] = defaultdict(list)
    for bench in benches:
        part = replace(bench, arms=tuple(arm for arm in bench.arms if arm.category == category))
        for one in told(part, store, identity):
            if one.row.selected:
                found[one.row.id].append(one)
    return found


def _at(found: Sequence[Told], index: int) -> Told | None:
    return found[index] if index < len(found) else None


def shown(pairing: Pairing, pair: Pair) -> Shown:
    """What judges are shown of a pair that is not void."""
    assert pair.player is not None
    assert pair.opponent is not None
    known = pairing.categories[pair.category]
    row = pair.sample.row
    return Shown(
        sample=pair.sample,
        prompt=task_text(pair.sample),
        player=_answer_of(pair.sample, pair.player),
        opponent=_answer_of(pair.sample, pair.opponent),
        reference=known.references.get(pair.sample.id),
        row={name: row[name] for name in known.fields if name in row},
    )


def task_text(sample: Sample) -> str:
    """What both were asked first; a beginning of the answer is shown with the answers."""
    if sample.prompt.text is not None:
        return sample.prompt.text
    messages = sample.prompt.messages[:-1] if sample.prompt.prefill else sample.prompt.messages
    return _as_text(Prompt(messages))


def _answer_of(sample: Sample, found: Told) -> str:
    """An answer with what began it; of a chat of several turns all that was said after the first question."""
    turns = [*found.row.earlier, found.row.text or ""]
    turns[0] = sample.prompt.prefill + turns[0]
    if len(turns) == 1:
        return turns[0]
    said = [f"Assistant: {turns[0]}"]
    for question, answer in zip(sample.followups, turns[1:], strict=False):
        said += [f"User: {question}", f"Assistant: {answer}"]
    return "\n\n".join(said)


def _as_text(prompt: Prompt) -> str:
    if len(prompt.messages) == 1:
        return prompt.messages[0].content
    return "\n\n".join(f"{message.role.capitalize()}: {message.content}" for message in prompt.messages)


def asked(pairing: Pairing, judge: PairJudge, pair: Pair) -> tuple[Asked, ...]:
    """The games of a judge about a pair; none where there is nothing to compare, or nothing that differs."""
    if pair.void is not None:
        return ()
    what = shown(pairing, pair)
    if what.player == what.opponent:
        return ()
    again = is_retested(judge.retest, pairing.seed, pair.sample, pair.index)
    return games(judge, what, pairing.salt, again=again)


def verdict_rows(pairing: Pairing, store: Store, identity: str) -> Iterator[VerdictRow]:
    """What the store knows of a judge step, one row for each judge of each pair, in plan order."""
    for some in chunks(pairs(pairing, store, identity), _CHUNK):
        put = [(pair, judge, asked(pairing, judge, pair)) for pair in some for judge in pairing.judges]
        keys = list({one.request.key for _, _, wanted in put for one in wanted})
        answers, voids = store.completions(keys), store.voids(keys)
        for pair, judge, wanted in put:
            played = tuple(_game(judge, one, answers, voids) for one in wanted)
            yield _row(pairing, judge, pair, played)


def _game(judge: PairJudge, one: Asked, answers: Mapping[str, Completion], voids: Mapping[str, Void]) -> Game:
    key = one.request.key
    answer = answers.get(key)
    if answer is None:
        reason = voids[key].reason if key in voids else "not asked yet"
        return Game(one.swapped, None, key, one.retest, reason=f"judge: {reason}", void=True)
    cut_off = answer.finish_reason == "length"
    found = read(judge.style, answer.text, judge.criteria)
    if cut_off and found.said is not None and not ends_with_verdict(judge.style, answer.text):
        found = Reading(None, "the judge's answer goes on after its verdict")
    cut = " (it was cut off at max_tokens)" if cut_off and found.reason else ""
    return Game(
        swapped=one.swapped,
        said=found.said,
        key=key,
        retest=one.retest,
        text=answer.text,
        reason=f"{found.reason}{cut}" if found.reason else None,
        ratings=found.ratings,
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        seconds=answer.seconds,
        usd=judge.rate.usd(Used(answer.prompt_tokens, answer.completion_tokens, answer.seconds)),
        effective=answer.effective,
    )


def _row(pairing: Pairing, judge: PairJudge, pair: Pair, played: tuple[Game, ...]) -> VerdictRow:
    counted = [game for game in played if not game.retest]
    same = pair.void is None and not played
    verdict = "tie" if same else verdict_of(counted)
    reason = _SAME if same else pair.void or next((game.reason for game in counted if game.verdict == verdict), None)
    return VerdictRow(
        step=pairing.step.name,
        judge=judge.name,
        judge_model=judge.model.name,
        category=pair.category,
        task=pair.sample.task,
        split=pair.sample.split,
        id=pair.sample.id,
        sample=pair.index,
        groups=pair.sample.groups,
        player=_side(pairing.player, pair.player),
        opponent=_side(pairing.opponent, pair.opponent),
        verdict=verdict,
        games=played,
        reason=reason if verdict in ("void", "invalid") or same else None,
    )


def _side(benches: Sequence[Bench], found: Told | None) -> Side:
    if found is None:
        return Side(benches[0].step.name, benches[0].model.name, "", None, None, "void", None)
    row = found.row
    return Side(
        step=row.step,
        model=row.model,
        completion=row.completion,
        chars=None if row.text is None else len(row.text),
        tokens=row.completion_tokens,
        outcome=row.outcome,
        score=row.score,
        truncated=row.finish_reason == "length",
    )
