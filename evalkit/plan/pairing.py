"""Judge steps of a plan: who compares what, what that costs at most, and what of it is in the lock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import asdict, replace

from evalkit.core import registry
from evalkit.core.digest import digest
from evalkit.core.errors import SpecError
from evalkit.core.ports import EngineAdapter
from evalkit.core.runfolder import JudgeLock, ModelLock, PairingLock
from evalkit.core.types import Fingerprint, Json, Model, Request, Sample
from evalkit.plan.costs import cost_of, paid
from evalkit.plan.judging import judge_sampling, shown_fields, why_judged
from evalkit.plan.locks import model_lock, task_locks
from evalkit.plan.planned import PlannedJudging, PlannedStep, Sources
from evalkit.plan.rates import rate_of
from evalkit.plan.tokens import prompt_tokens
from evalkit.scorers.shown import gold_text
from evalkit.spec.families import shared_family
from evalkit.spec.model import JudgeStep, Spec, Task
from evalkit.steps.bench import Arm, Bench
from evalkit.steps.pair_judges import PROMPTS, PairJudge, Shown, games, is_retested
from evalkit.steps.pairing import Category, Pair, Pairing, asked, pairs, task_text

_VERDICT_TOKENS = 512
"""What a judge may write where its policy says nothing: some sentences and a verdict."""


def prepare_pairing(
    spec: Spec,
    step: JudgeStep,
    benches: Mapping[str, tuple[Bench, ...]],
    known: tuple[Sources, dict[str, Fingerprint]],
) -> Pairing:
    """Look up everything that a judge step names. `benches` are those of the plan.

    Raises SpecError where there is nothing written to compare, no gold answer to show, or where two judges would be
    given one recorded answer.
    """
    sources, fingerprints = known
    player, opponent = benches[step.player], benches[step.opponent]
    judges = tuple(_judge(spec, name, fingerprints) for name in step.judges)
    _check_recorded(step, judges)
    categories = {use.category: _category(spec, player, use.category) for use in spec.suites[player[0].step.suite]}
    _check_written(step, (player, opponent))
    for judge in judges:
        if judge.reference and not any(one.references for one in categories.values()):
            raise SpecError(
                f"the judge '{judge.name}' is to be shown gold answers, and no task of step '{step.name}' has one",
                hint="leave `reference` out",
            )
    return Pairing(
        step=step,
        player=player,
        opponent=opponent,
        judges=judges,
        categories=categories,
        seed=spec.seed,
        salt=sources.salt,
    )


def _judge(spec: Spec, name: str, fingerprints: dict[str, Fingerprint]) -> PairJudge:
    rule = spec.judges[name]
    model = spec.models[rule.model]
    adapter: EngineAdapter = registry.load("engines", model.engine)
    if model.name not in fingerprints:
        fingerprints[model.name] = adapter.fingerprint(model)
    sampling = judge_sampling(spec, rule, _VERDICT_TOKENS, formatted=rule.style == "json")
    schema = sampling.json_schema
    return PairJudge(
        name=name,
        model=model,
        fingerprint=replace(
            fingerprints[model.name], format_parts={} if schema is None else adapter.check_format(model, [schema])
        ),
        sampling=sampling,
        template=rule.prompt or PROMPTS[rule.style],
        style=rule.style,
        criteria=rule.ask,
        swap=rule.swap,
        retest=rule.retest,
        reference=rule.reference,
        rate=rate_of(spec, model),
    )


def _check_recorded(step: JudgeStep, judges: Sequence[PairJudge]) -> None:
    """An engine that answers by item knows the pair, and not who asks."""
    found: dict[str, str] = {}
    for judge in judges:
        other = found.setdefault(judge.model.name, judge.name)
        if judge.fingerprint.by_item and other != judge.name:
            raise SpecError(
                f"model '{judge.model.name}' has one answer to a pair, and the judges '{other}' and '{judge.name}' of "
                f"step '{step.name}' both ask for it",
                hint="give the recordings of each judge as a model of their own",
            )


def _category(spec: Spec, benches: Sequence[Bench], category: str) -> Category:
    arms = [arm for bench in benches for arm in bench.arms if arm.category == category]
    task: Task = spec.tasks[arms[0].task]
    golds = ((sample.id, gold_text(task.scorer, task.scorer_options, sample)) for sample in _samples(arms))
    return Category(shown_fields(task), {name: gold for name, gold in golds if gold is not None})


def _samples(arms: Sequence[Arm]) -> Iterator[Sample]:
    return (sample for arm in arms for sample in arm.samples)


def _check_written(step: JudgeStep, sides: tuple[Sequence[Bench], Sequence[Bench]]) -> None:
    """Both sides write, and as many answers that count."""
    counts: list[dict[str, int]] = []
    for side in sides:
        arms = [arm for bench in side for arm in bench.arms]
        weighing = next((arm for arm in arms if arm.weighs), None)
        if weighing is not None:
            raise SpecError(
                f"step '{step.name}' compares what was written, and task {weighing.task} has its options weighed",
                hint="use a form of the task in which the model writes its answer",
            )
        counts.append({arm.category: 1 if arm.selector is not None else arm.policy.samples for arm in arms})
    for category, count in counts[0].items():
        if counts[1].get(category, count) != count:
            raise SpecError(
                f"step '{step.name}' compares {count} answers to an item of '{category}' with {counts[1][category]}",
                hint="give both steps a policy with as many `samples`",
            )


def planned_pairing(spec: Spec, pairing: Pairing, sources: Sources) -> PlannedStep:
    """What a judge step costs."""
    judging = tuple(_planned(pairing, judge, sources) for judge in pairing.judges)
    usd, unpriced = cost_of(paid(judging))
    step = pairing.step
    return PlannedStep(
        name=step.name,
        verb="judge",
        needs=(step.player, step.opponent),
        key=_key(spec, pairing),
        why=f"compares {step.player} with {step.opponent}: {why_judged(judging) or 'every answer is stored'}",
        judging=judging,
        usd=usd,
        unpriced=unpriced,
        pairing=pairing,
    )


def _planned(pairing: Pairing, judge: PairJudge, sources: Sources) -> PlannedJudging:
    """What a judge is asked, and of that what is not stored. About answers that are not there yet it is a ceiling:
    each as long as it may be, and none like another."""
    requests: dict[str, Request] = {}
    ahead: list[Request] = []
    answer_tokens = waiting = 0
    for pair in pairs(pairing, sources.store, sources.identity or ""):
        if pair.void is None:
            requests |= {one.request.key: one.request for one in asked(pairing, judge, pair)}
        else:
            unwritten = _unwritten(pairing, judge, pair)
            waiting += 1
            ahead += unwritten
            answer_tokens += len(unwritten) * _longest(pairing, pair.category)
    known = sources.store.known("completions", requests)
    missing = [request for key, request in requests.items() if key not in known] + ahead
    tokens, exact = prompt_tokens(judge.model, [request.prompt for request in missing])
    prompts, written = tokens + answer_tokens, len(missing) * judge.sampling.max_tokens
    return PlannedJudging(
        judge=judge.name,
        model=judge.model.name,
        requests=len(requests) + len(ahead),
        cached=len(known),
        candidates_ahead=waiting,
        prompt_tokens=prompts,
        max_completion_tokens=written,
        continuations=0,
        tokens_exact=exact and not ahead,
        usd=judge.rate.at_most(prompts, written),
        compares=True,
    )


def _unwritten(pairing: Pairing, judge: PairJudge, pair: Pair) -> list[Request]:
    """The games about a pair with both answers empty."""
    gold = pairing.categories[pair.category].references.get(pair.sample.id)
    row = {name: pair.sample.row[name] for name in pairing.categories[pair.category].fields if name in pair.sample.row}
    empty = Shown(pair.sample, task_text(pair.sample), "", "", gold, row)
    again = is_retested(judge.retest, pairing.seed, pair.sample, pair.index)
    return [one.request for one in games(judge, empty, pairing.salt, again=again)]


def _longest(pairing: Pairing, category: str) -> int:
    """The most tokens that both answers to an item of a category have together, all turns of them."""
    return sum(
        max(
            sum(arm.asked(turn).max_tokens for turn in range(1 + max(len(one.followups) for one in arm.samples)))
            for bench in side
            for arm in bench.arms
            if arm.category == category and arm.samples
        )
        for side in (pairing.player, pairing.opponent)
    )


def _key(spec: Spec, pairing: Pairing) -> str:
    """Of what decides the verdicts of a step."""
    sides = [
        [[model_lock(bench), task_locks(spec, bench)] for bench in side] for side in (pairing.player, pairing.opponent)
    ]
    return digest([sides, asdict(pairing_lock(pairing)), pairing_models(pairing), pairing.seed])


def pairing_lock(pairing: Pairing) -> PairingLock:
    """What decides verdicts besides the answers and the judges' models."""
    first = pairing.judges[0]
    return PairingLock(
        step=pairing.step.name,
        player=pairing.step.player,
        opponent=pairing.step.opponent,
        judges=tuple(_judge_lock(judge) for judge in pairing.judges),
        swap=first.swap,
        retest=first.retest,
        warnings=tuple(_warnings(pairing)),
    )


def _judge_lock(judge: PairJudge) -> JudgeLock:
    return JudgeLock(
        judge=judge.name,
        model=judge.model.name,
        prompt=judge.prompt_sha256,
        questions=judge.criteria,
        sampling=judge.sampling,
        style=judge.style,
        reference=judge.reference,
    )


def _warnings(pairing: Pairing) -> Iterator[str]:
    contestants = {bench.model.name: bench.model for bench in (*pairing.player, *pairing.opponent)}
    for judge in pairing.judges:
        for name, model in contestants.items():
            family = shared_family(_described(judge.model), _described(model))
            if family is not None:
                yield f"The judge '{judge.name}' is of the family of '{name}' ({family}): it may like its own kind."
    if not pairing.judges[0].swap:
        yield "Pairs were judged in one order only: a liking for what stands first cannot be told from a verdict."


def _described(model: Model) -> dict[str, Json]:
    """What a spec says of where a model comes from."""
    return {**model.options, **model.source}


def pairing_models(pairing: Pairing) -> dict[str, ModelLock]:
    """What decides the answers of each model that compares."""
    found: dict[str, ModelLock] = {}
    for judge in pairing.judges:
        one = judge.fingerprint
        known = found.get(judge.model.name, ModelLock(engine=one.engine))
        found[judge.model.name] = replace(known, parts=known.parts | one.parts | one.format_parts)
    return found
