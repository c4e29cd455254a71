"""Routes: each item goes to one model by rules; an escalation is decided by stored answers and by nothing else."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from evalkit.core.errors import DataError, SpecError
from evalkit.core.price import Rate
from evalkit.core.routing import Escalation, RouteRule, as_text
from evalkit.core.runfolder import RunRecord
from evalkit.core.selection import Select
from evalkit.core.types import (
    Completion,
    Execution,
    Fingerprint,
    Json,
    Message,
    Model,
    Program,
    Progress,
    Prompt,
    Reference,
    Request,
    Sample,
    SampleRow,
    SamplingParams,
    Score,
    Void,
)
from evalkit.report.collect import collect
from evalkit.run.store import SqliteStore
from evalkit.scorers.select import ByRubric, Majority
from evalkit.spec.model import BenchStep, Policy
from evalkit.steps.bench import Arm, Bench, Gate
from evalkit.steps.fill import fill
from evalkit.steps.routing import admitted, partition, sent
from evalkit.steps.rows import rows


class WordScorer:
    """Passes what begins with `right`; the answer is the first word, if there is one."""

    executes = False

    def __init__(self, options: dict[str, Json]) -> None: ...

    def check(self, sample: Sample) -> None: ...

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return None

    def reference(self, sample: Sample) -> Reference | None:
        return None

    def continuations(self, sample: Sample) -> tuple[str, ...]:
        return ()

    def score(self, sample: Sample, completion: Completion, execution: Execution | None) -> Score:
        right = completion.text.startswith("right")
        return Score("pass" if right else "fail", float(right), answer=next(iter(completion.text.split()), None))


class ProgramScorer(WordScorer):
    """The same of answers that are executed."""

    executes = True

    def program(self, sample: Sample, completion: Completion) -> Program | None:
        return Program("", completion.text, ("assert True",))


def sample(name: str, **row: Json) -> Sample:
    prompt = Prompt((Message("user", f"What is {name}?"),))
    return Sample("t", name, "c", "test", {}, prompt, row, where=f"rows.jsonl:{name}")


def arm(samples: Sequence[Sample], policy: Policy | None = None, **known: Any) -> Arm:
    given = policy or Policy("p")
    values = {"category": "c", "scorer": WordScorer({}), **known}
    drawn = SamplingParams(given.temperature)
    return Arm(
        task="t", split="test", samples=tuple(samples), policy=given, sampling=drawn, origin="", sha256="", **values
    )


# rules

EASY = RouteRule("cheap", {"level": ("1", "2")})
REST = RouteRule("strong")


def names(parts: dict[str, tuple[Arm, ...]]) -> dict[str, list[str]]:
    return {model: [one.id for part in arms for one in part.samples] for model, arms in parts.items()}


def test_the_first_rule_that_fits_decides() -> None:
    """Each model gets its samples in their order."""
    drawn = [sample("a", level=1), sample("b", level=3), sample("c", level=2), sample("d", level=None)]
    assert names(partition("r", [EASY, REST], [arm(drawn)])) == {"cheap": ["a", "c"], "strong": ["b", "d"]}
    assert names(partition("r", [REST, EASY], [arm(drawn)])) == {"strong": ["a", "b", "c", "d"]}


def test_models_come_in_the_order_of_the_rules() -> None:
    """Whichever sample is first, and also where two rules name one model."""
    drawn = [sample("a", level=3), sample("b", level=1)]
    rules = [EASY, RouteRule("strong", {"level": ("3",)}), RouteRule("cheap")]
    assert list(partition("r", rules, [arm(drawn)])) == ["cheap", "strong"]


@pytest.mark.parametrize("value", [2, 2.0, "2"])
def test_numbers_are_compared_by_their_value(value: Json) -> None:
    """A row that says 2, 2.0 or "2" is of level 2."""
    assert list(partition("r", [EASY, REST], [arm([sample("a", level=value)])])) == ["cheap"]


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (0.5, "0.5"), (-3.0, "-3"), ("x", "x")])
def test_values_as_text(value: Json, text: str) -> None:
    assert as_text(value) == text


def test_all_fields_of_a_rule_must_fit() -> None:
    rule = RouteRule("cheap", {"level": ("1",), "kind": ("sum",)})
    drawn = [sample("a", level=1, kind="sum"), sample("b", level=1, kind="word"), sample("c", level=2, kind="sum")]
    assert names(partition("r", [rule, REST], [arm(drawn)])) == {"cheap": ["a"], "strong": ["b", "c"]}


def test_a_sample_is_known_by_category_task_and_split() -> None:
    """These are its own, whatever its row calls so; with them a rule may ask for what only some tasks have."""
    mine = replace(sample("a", level=1), category="math")
    other = replace(sample("b", category="math"), category="code")
    rules = [RouteRule("cheap", {"level": ("1",), "category": ("math",), "split": ("test",)}), REST]
    parts = partition("r", rules, [arm([mine], category="math"), arm([other], category="code")])
    assert names(parts) == {"cheap": ["a"], "strong": ["b"]}
    assert [part.category for part in parts["cheap"]] == ["math"]


def test_an_unknown_field_is_told_with_those_there_are() -> None:
    with pytest.raises(
        DataError, match="the route 'r' asks for the field 'level', and no row of task t has it"
    ) as told:
        partition("r", [EASY, REST], [arm([sample("a", depth=1)])])
    assert told.value.hint.startswith("fields: category, depth, split, task;")


def test_a_sample_that_no_rule_fits_is_named() -> None:
    with pytest.raises(SpecError, match="no rule of the route 'r' fits sample 'b' of c"):
        partition("r", [EASY], [arm([sample("a", level=1), sample("b", level=3)])])


def test_a_list_is_no_value() -> None:
    with pytest.raises(
        DataError, match=r"^rows.jsonl:a: the route 'r' asks for the field 'level', which holds a list$"
    ):
        partition("r", [EASY, REST], [arm([sample("a", level=[1])])])


_WHEN = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.lists(st.sampled_from(["1", "2", "3"]), min_size=1, max_size=3).map(tuple),
    min_size=1,
)


@given(
    rules=st.lists(st.builds(RouteRule, st.sampled_from(["a", "b", "c"]), _WHEN), max_size=4),
    drawn=st.lists(st.fixed_dictionaries({"x": st.integers(1, 3), "y": st.integers(1, 3)}), min_size=1, max_size=12),
)
def test_each_item_goes_to_one_model(rules: list[RouteRule], drawn: list[dict[str, int]]) -> None:
    """Nothing is lost, nothing is asked twice, the order stays, and the model is that of the first rule that fits."""
    samples = [sample(str(number), **row) for number, row in enumerate(drawn)]
    found = names(partition("r", [*rules, RouteRule("z")], [arm(samples)]))
    assert Counter(one.id for one in samples) == Counter(name for ids in found.values() for name in ids)
    for model, ids in found.items():
        assert ids == sorted(ids, key=int)
        for name in ids:
            row = samples[int(name)].row
            fitting = [rule.model for rule in rules if all(str(row[key]) in rule.when[key] for key in rule.when)]
            assert model == [*fitting, "z"][0]


# escalation

MAJORITY = Policy("vote", temperature=0.7, best_of=4, select=Select("majority"))
SEVERAL = Policy("warm", temperature=0.7, samples=4)
AGREE = Gate(Escalation("agreement", 0.6))
RUBRIC = {"criteria": [{"name": "short", "points": 1, "check": {"max_lines": 1}}]}


class Lost(BaseException):
    """The process ends here."""


class Script:
    """Tools whose engine knows what each model says to an item, and ends the process after some answers."""

    sandbox_identity = "sandbox-1"

    def __init__(self, store: SqliteStore, said: dict[str, dict[str, list[str]]], left: int | None = None) -> None:
        self.store, self.listener = store, self
        self.asked: list[tuple[str, str, int]] = []
        self._said, self._left, self._model = said, left, ""

    def engine(self, model: Model) -> Script:
        self._model = model.name
        return self

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        for request in requests:
            if self._left is not None and len(self.asked) >= self._left:
                raise Lost
            self.asked.append((self._model, request.item, request.index))
            text = self._said[self._model][request.item][request.index]
            seconds = 0.25 if self._model == "cheap" else 2.0
            yield Completion(request.key, text, "stop", request.sampling, "0" * 64, 5, 1 + len(text), seconds)

    def close(self) -> None: ...

    def stage(self, step: str, task: str, total: int, done: int) -> None: ...

    def advance(self, step: str, task: str, progress: Progress) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self) -> None: ...


def escalation(
    items: Sequence[str], gate: Gate = AGREE, policy: Policy = MAJORITY, **known: Any
) -> tuple[Bench, Bench]:
    selector = Majority({}) if policy.select is not None else None
    arms = (arm([sample(name) for name in items], policy, selector=selector, **known),)
    step = BenchStep("b", "s", "unsure", {"default": policy.name})
    first, then = (
        Bench(
            step, Model(name, "echo", {}), Fingerprint("echo", {"model": name}), arms, "", Rate(hour=3600.0), "unsure"
        )
        for name in ("cheap", "strong")
    )
    first = replace(first, gate=gate)
    return first, replace(then, after=first)


SAID = {
    "cheap": {
        "sure": ["right", "right", "wrong", "right"],
        "split": ["wrong", "right", "wrong", "other"],
        "silent": ["", "", "", ""],
        "edge": ["right", "other", "right", "more"],
    },
    "strong": {name: ["right !"] * 4 for name in ("sure", "split", "silent", "edge")},
}


def through(store: SqliteStore, benches: Sequence[Bench], said: Any = SAID, left: int | None = None) -> Script:
    tools = Script(store, said, left)
    for bench in benches:
        fill(bench, tools)
    return tools


def all_rows(store: SqliteStore, benches: Sequence[Bench]) -> list[SampleRow]:
    return [row for bench in benches for row in rows(bench, store, "")]


def test_what_disagrees_is_sent_on(tmp_path: Path) -> None:
    """3 of 4 agree: kept. 2 of 4, or nothing that could be read: sent on; below means below."""
    store, benches = SqliteStore(tmp_path), escalation(["sure", "split", "silent"])
    tools = through(store, benches)
    assert {item for model, item, _ in tools.asked if model == "strong"} == {"split", "silent"}
    found = {(row.model, row.id): row.choice for row in all_rows(store, benches) if row.model == "cheap"}
    values = {name: (choice.by, choice.value) for (_, name), choice in found.items() if choice is not None}
    assert values == {"sure": ("majority", 3.0), "split": ("route", 0.5), "silent": ("route", 0.0)}
    half = escalation(["split"], Gate(Escalation("agreement", 0.5)))
    assert admitted(half[1], store, "").arms == ()
    store.close()


def test_only_one_answer_counts(tmp_path: Path) -> None:
    """Of an item sent on none of the first model's; rank 1 has the one that would have counted."""
    store, benches = SqliteStore(tmp_path), escalation(["sure", "split"])
    through(store, benches)
    found = all_rows(store, benches)
    assert [(row.model, row.id) for row in found] == [
        *[("cheap", "sure")] * 4, *[("cheap", "split")] * 4, *[("strong", "split")] * 4
    ]  # fmt: skip
    assert [(row.model, row.id, row.sample) for row in found if row.selected] == [
        ("cheap", "sure", 0),
        ("strong", "split", 0),
    ]
    ranks = [(row.choice.rank, row.choice.best) for row in found[4:8] if row.choice is not None]
    assert ranks == [(1, 1), (2, 1), (2, 1), (2, 1)]
    store.close()


def test_several_answers_that_all_count(tmp_path: Path) -> None:
    """Kept or not, they stay together."""
    store, benches = SqliteStore(tmp_path), escalation(["sure", "split"], policy=SEVERAL)
    through(store, benches)
    counting = Counter((row.model, row.id) for row in all_rows(store, benches) if row.selected)
    assert counting == {("cheap", "sure"): 4, ("strong", "split"): 4}
    given_up = [row.choice for row in all_rows(store, benches) if (row.model, row.id) == ("cheap", "split")]
    assert [(choice.rank, choice.best) for choice in given_up if choice is not None] == [(1, 4)] * 4
    store.close()


def test_a_rubric_reads_the_answer_that_counts(tmp_path: Path) -> None:
    """Two lines get no points: the item whose picked answer has them is sent on, with what each criterion gave."""
    long, short = "wrong\nwrong", "other"
    said = {"cheap": {"long": [long, long, long, short], "short": [short, short, short, long]}}
    said["strong"] = {"long": ["right"] * 4}
    gate = Gate(Escalation("rubric", 0.5, "form"), ByRubric(RUBRIC))
    store, benches = SqliteStore(tmp_path), escalation(["long", "short"], gate)
    through(store, benches, said)
    counting = [(row.model, row.id) for row in all_rows(store, benches) if row.selected]
    assert counting == [("cheap", "short"), ("strong", "long")]
    choice = all_rows(store, benches)[0].choice
    assert choice is not None
    assert (choice.by, choice.value, choice.criteria["short"].points) == ("route", 0.0, 0.0)
    store.close()


def test_nothing_is_decided_by_half(tmp_path: Path) -> None:
    """While an answer is missing the item is open: not sent on, void where nothing came, and told to a plan."""
    store, benches = SqliteStore(tmp_path), escalation(["split", "sure"])
    with pytest.raises(Lost):
        through(store, benches, left=6)
    assert sent(benches[1], store, "").open == {("c", "sure")}
    assert sent(benches[1], store, "").on == {("c", "split")}
    lost = [row for row in rows(benches[0], store, "") if row.outcome == "void"]
    assert [(row.id, row.sample) for row in lost] == [("sure", 2), ("sure", 3)]
    store.close()


def test_what_was_not_executed_is_open(tmp_path: Path) -> None:
    """Its verdict may still change what the answer is."""
    store, benches = SqliteStore(tmp_path), escalation(["split"], scorer=ProgramScorer({}))
    keys = [row.completion for row in rows(benches[0], store, "x")]
    store.put_completions([Completion(key, "right", "stop", None, "0" * 64) for key in keys])
    assert sent(benches[1], store, "x").open == {("c", "split")}
    store.close()


def test_another_threshold_asks_nothing_of_the_first(tmp_path: Path) -> None:
    """A higher one asks the second model for what is new, a lower one asks nothing at all."""
    items = ["sure", "split", "silent"]
    store = SqliteStore(tmp_path)
    through(store, escalation(items))
    higher = through(store, escalation(items, Gate(Escalation("agreement", 0.8))))
    assert {(model, item) for model, item, _ in higher.asked} == {("strong", "sure")}
    lower = escalation(items, Gate(Escalation("agreement", 0.4)))
    assert through(store, lower).asked == []
    counting = [(row.model, row.id) for row in all_rows(store, lower) if row.selected]
    assert counting == [("cheap", "sure"), ("cheap", "split"), ("strong", "silent")]
    store.close()


_TEXTS = st.lists(st.sampled_from(["right", "wrong", "other", ""]), min_size=4, max_size=4)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cheap=st.lists(_TEXTS, min_size=1, max_size=5),
    below=st.sampled_from([0.3, 0.5, 0.6, 1.0]),
    kills=st.lists(st.integers(0, 12), max_size=4),
    policy=st.sampled_from([MAJORITY, SEVERAL]),
)
def test_kills_end_like_a_clean_run_and_costs_add_up(
    tmp_path_factory: pytest.TempPathFactory, cheap: list[list[str]], below: float, kills: list[int], policy: Policy
) -> None:
    """Killed between any two answers, also between the models: the same rows, nothing asked twice. Each item counts
    once, and what the blend costs is what both models cost."""
    items = [str(number) for number in range(len(cheap))]
    said = {"cheap": dict(zip(items, cheap, strict=True)), "strong": {name: ["right"] * 4 for name in items}}
    benches = escalation(items, Gate(Escalation("agreement", below)), policy)
    clean, store = (SqliteStore(tmp_path_factory.mktemp(name)) for name in ("clean", "killed"))
    whole = through(clean, benches, said)
    asked: list[tuple[str, str, int]] = []
    for left in [*kills, None]:
        tools = Script(store, said, left)
        try:
            for bench in benches:
                fill(bench, tools)
        except Lost:
            pass
        asked += tools.asked
    assert sorted(asked) == sorted(whole.asked)
    found = all_rows(store, benches)
    assert found == all_rows(clean, benches)

    counted = Counter(row.id for row in found if row.selected)
    assert counted == dict.fromkeys(items, 1 if policy is MAJORITY else 4)
    assert len({(row.id, row.model) for row in found if row.selected}) == len(items)
    metrics = collect(found, RunRecord(id="r", state="complete")).steps["b"].all.metrics
    by_model = Counter(model for model, _, _ in asked)
    seconds = 0.25 * by_model["cheap"] + 2.0 * by_model["strong"]
    assert math.isclose(seconds, metrics.seconds.generation or 0.0)
    assert math.isclose(seconds, metrics.usd or 0.0)  # a machine of 3600 USD an hour
    assert metrics.tokens.completion == sum(1 + len(said[model][item][index]) for model, item, index in asked)
    clean.close()
    store.close()
