"""Judges of a plan: who is seated where a selector asks, what that costs at most, and what of it is in the lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from evalkit.core import registry
from evalkit.core.errors import SpecError
from evalkit.core.ports import EngineAdapter, Selector, Store
from evalkit.core.runfolder import JudgeLock, ModelLock
from evalkit.core.selection import Candidate
from evalkit.core.templates import is_template, variables
from evalkit.core.types import Completion, Fingerprint, Json, Model, Request, Sample, SamplingParams
from evalkit.plan.planned import PlannedJudging
from evalkit.plan.rates import rate_of
from evalkit.plan.tokens import prompt_tokens
from evalkit.spec.model import JudgeRule, Policy, Spec, Task
from evalkit.steps.asking import asked, candidate_of
from evalkit.steps.bench import Arm, Bench, cells, chunks
from evalkit.steps.judges import PROMPT, Judge
from evalkit.steps.turns import reached

_CHUNK = 512
_WORD_TOKENS = 8
"""What a judge may write where its policy says nothing: a word, and what comes with it."""


def judge_of(spec: Spec, policy: Policy, task: Task, fingerprints: dict[str, Fingerprint]) -> Judge | None:
    """The judge that a policy's selector asks about answers to a task; None where it asks none."""
    name = judge_name(spec, policy)
    if name is None:
        return None
    rule = spec.judges[name]
    model = spec.models[rule.model]
    if model.name not in fingerprints:
        fingerprints[model.name] = registry.load("engines", model.engine).fingerprint(model)
    return Judge(
        name=name,
        model=model,
        fingerprint=fingerprints[model.name],
        sampling=judge_sampling(spec, rule, _WORD_TOKENS),
        weighs=_weighs(model),
        template=rule.prompt or PROMPT,
        fields=shown_fields(task),
        rate=rate_of(spec, model),
    )


def judge_name(spec: Spec, policy: Policy) -> str | None:
    """The judge whom a policy's selector asks, itself or for its rubric; None where it asks nobody."""
    if policy.select is None:
        return None
    rubric = spec.rubrics[policy.select.rubric] if policy.select.rubric is not None else None
    return policy.select.judge or (rubric.judge if rubric is not None else None)


def judge_sampling(spec: Spec, rule: JudgeRule, tokens: int) -> SamplingParams:
    """How a judge is asked; it may write so many `tokens` where its policy says nothing of that."""
    policy = spec.policies.get(rule.policy, Policy(rule.policy))
    if policy.json_schema is not None:
        message = f"policy '{policy.name}' has a `format`, and a judge answers in a form of its own"
        raise SpecError(message, hint="give the judge a policy without one")
    return SamplingParams(
        temperature=policy.temperature,
        top_p=policy.top_p,
        top_k=policy.top_k,
        min_p=policy.min_p,
        repetition_penalty=policy.repetition_penalty,
        max_tokens=tokens if policy.max_tokens is None else policy.max_tokens,
        stop=policy.stop,
        seed=policy.seed,
    )


def _weighs(model: Model) -> bool:
    adapter: EngineAdapter = registry.load("engines", model.engine)
    try:
        adapter.check_weighing(model)
    except SpecError:
        return False
    return True


def shown_fields(task: Task) -> tuple[str, ...]:
    """The fields of a row that a judge may see: those that the contestant is shown, but for what the scorer reads."""
    shown = [task.text or "", *(message.content for message in task.messages), *task.followups]
    scored = {name for text in _texts(task.scorer_options) for name in _names(text)}
    return tuple(sorted({name for text in shown for name in variables(text)} - scored))


def _texts(options: Json) -> Iterator[str]:
    """Every text in a scorer's options."""
    if isinstance(options, str):
        yield options
    elif isinstance(options, dict | list):
        for part in options.values() if isinstance(options, dict) else options:
            yield from _texts(part)


def _names(text: str) -> Iterable[str]:
    return variables(text) if is_template(text) else (text, text.split(".")[0])


def planned_judging(bench: Bench, store: Store) -> tuple[PlannedJudging, ...]:
    """What each judge of a bench is asked, and of that what is not stored. Of candidates that are not there yet it is a
    ceiling: every answer as long as it may be, and none like another."""
    return added_judging(
        [_of_arm(bench, arm, (arm.judge, arm.selector), store)]
        for arm in bench.arms
        if arm.judge is not None and arm.selector is not None
    )


def _of_arm(bench: Bench, arm: Arm, seated: tuple[Judge, Selector], store: Store) -> PlannedJudging:
    judge, _ = seated
    requests: dict[str, Request] = {}
    ahead: list[Request] = []
    candidates = 0
    for some in chunks(cells(bench, arm), _CHUNK):
        last, answers = reached(bench, some, store)
        for cell in last:
            answer = answers.get(cell.request.key)
            if answer is not None:
                put = asked(bench, arm, cell.sample, candidate_of(cell, answer))
                requests |= {one.request.key: one.request for one in put}
            else:
                candidates += 1
                ahead += [one.request for one in asked(bench, arm, cell.sample, _unwritten(cell.request.index))]
    known = store.known("completions", requests)
    missing = [request for key, request in requests.items() if key not in known] + ahead
    tokens, exact = prompt_tokens(judge.model, [request.prompt for request in missing])
    prompts = tokens + len(ahead) * arm.sampling.max_tokens
    written = 0 if judge.weighs else len(missing) * judge.sampling.max_tokens
    return PlannedJudging(
        judge=judge.name,
        model=judge.model.name,
        requests=len(requests) + len(ahead),
        cached=len(known),
        candidates_ahead=candidates,
        prompt_tokens=prompts,
        max_completion_tokens=written,
        continuations=sum(len(request.continuations) for request in missing),
        tokens_exact=exact and not ahead,
        usd=judge.rate.at_most(prompts, written),
    )


def _unwritten(index: int) -> Candidate:
    return Candidate(index, Completion("", "", "stop", None, ""))


def added_judging(parts: Iterable[Sequence[PlannedJudging]]) -> tuple[PlannedJudging, ...]:
    """What each judge is asked in several benches of a step together."""
    found: dict[str, PlannedJudging] = {}
    for one in (one for part in parts for one in part):
        before = found.get(one.judge)
        found[one.judge] = one if before is None else _added(before, one)
    return tuple(found.values())


def _added(one: PlannedJudging, other: PlannedJudging) -> PlannedJudging:
    names = ("requests", "cached", "candidates_ahead", "prompt_tokens", "max_completion_tokens", "continuations")
    sums = {name: getattr(one, name) + getattr(other, name) for name in names}
    usd = None if one.usd is None or other.usd is None else one.usd + other.usd
    return msgspec.structs.replace(one, **sums, tokens_exact=one.tokens_exact and other.tokens_exact, usd=usd)


def why_judged(judging: Sequence[PlannedJudging]) -> str:
    """What the reason of a step says of its judges; empty where they have nothing to do."""
    told = []
    for one in judging:
        count = one.requests - one.cached
        what, ahead = ("games", "answers") if one.compares else ("questions", "candidates")
        if count and one.candidates_ahead:
            told.append(f"the judge '{one.judge}' has at most {count} {what}, as many {ahead} are not there yet")
        elif count:
            told.append(f"the judge '{one.judge}' has {count} {what} left")
    return "; ".join(told)


def judge_lock(arm: Arm) -> JudgeLock | None:
    """What decides a judge's answers besides its model: its prompt, its questions, how it is asked."""
    judge = arm.judge
    if judge is None or arm.selector is None:
        return None
    return JudgeLock(
        judge=judge.name,
        model=judge.model.name,
        prompt=judge.prompt_sha256,
        questions=_questions(arm.selector, arm.samples),
        weighs=judge.weighs,
        sampling=None if judge.weighs else judge.sampling,
    )


def _questions(selector: Selector, samples: Sequence[Sample]) -> tuple[str, ...]:
    asked_of = (question.text for sample in samples for question in selector.questions(sample, _unwritten(0)))
    return tuple(dict.fromkeys(asked_of))


def judges_of(bench: Bench) -> dict[str, ModelLock]:
    """What decides the answers of each model that judges in a bench."""
    return {
        arm.judge.model.name: ModelLock(engine=arm.judge.fingerprint.engine, parts=dict(arm.judge.fingerprint.parts))
        for arm in bench.arms
        if arm.judge is not None
    }
