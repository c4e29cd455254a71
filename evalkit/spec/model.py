"""The typed spec: what `load.py` makes of a document in long form. Frozen; no names left to look up.

Everything a later layer needs is here; nothing of YAML, positions or the short form is left.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.expectation import Condition
from evalkit.core.price import Price
from evalkit.core.routing import Route
from evalkit.core.selection import Select
from evalkit.core.types import Json, Message, Model, SamplingParams


class SampleRule(Struct, frozen=True):
    """A seeded subset: `n` items, spread over the values of the row field `by` (or the task's strata)."""

    n: int
    seed: int = 0
    by: str | None = None


class TaskUse(Struct, frozen=True):
    """A task as one category of a suite. `sample` None means every item, `shots` None as many as the task says."""

    category: str
    task: str
    split: str
    sample: SampleRule | None = None
    policy: str | None = None
    shots: int | None = None


class Policy(Struct, frozen=True):
    """How a model is asked: `samples` answers to each item, each of which counts, or `best_of` candidates, of which
    `select` picks the one that counts. `max_tokens` None leaves it to the task.

    `json_schema` is the text of a schema that every answer obeys, unless the task has another for its turn.
    """

    name: str
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int = 0
    samples: int = 1
    best_of: int | None = None
    select: Select | None = None
    json_schema: str | None = None

    @property
    def answers(self) -> int:
        """How many answers are asked for, whether they count or not."""
        return self.best_of or self.samples


class JudgeRule(Struct, frozen=True):
    """A judge: `model` answers what is asked about an answer, its own questions (`ask`) or those of a rubric; or it
    compares pairs, by the criteria in `ask`.

    `prompt` is a template in the place of the built-in one, `policy` how it is asked where it has to write. Of a judge
    that compares: `swap` asks in both orders, `retest` is the share of the pairs that is asked once more, `style` the
    form of its verdicts, and with `reference` it is shown gold answers.
    """

    name: str
    model: str
    ask: tuple[str, ...] = ()
    policy: str = "greedy"
    prompt: str | None = None
    swap: bool = True
    retest: float = 0.1
    style: Literal["letters", "json"] = "letters"
    reference: bool = False


class BenchStep(Struct, frozen=True, tag="bench"):
    """Ask `model`, or a route between models, every item of `suite` and score the answers.

    `policy` maps a category to a policy's name; `default` is the rest. With another `repeat` than 0 everything is asked
    anew, and not taken from the answers to the same questions; `batch` is how many answers are made at a time.
    """

    name: str
    suite: str
    model: str
    policy: dict[str, str]
    repeat: int = 0
    batch: int | None = None
    expect: tuple[Condition, ...] = ()


class TrainingFile(Struct, frozen=True):
    """A training set: the name as written, where the file lies, and the field that names a row's category."""

    file: str
    path: str
    by: str


class DiagnoseStep(Struct, frozen=True, tag="diagnose"):
    """Explain a result: `reads` names by role the steps whose rows are read (`of` is the one that is explained).

    `training` is the training set that a kind is about. A `compare` step is one with the diagnosis of that name, which
    reads `before` and `after`.
    """

    name: str
    diagnosis: str
    reads: dict[str, str]
    options: dict[str, Json] = {}
    training: TrainingFile | None = None
    expect: tuple[Condition, ...] = ()


class JudgeStep(Struct, frozen=True, tag="judge"):
    """Let the `judges` compare the answers of two `bench` steps, pair by pair. A win is the player's."""

    name: str
    judges: tuple[str, ...]
    player: str
    opponent: str
    expect: tuple[Condition, ...] = ()


Step = BenchStep | DiagnoseStep | JudgeStep
"""A tagged union of the verbs; it grows with them."""


class Report(Struct, frozen=True):
    """Where the report goes besides the run folder, and in which template."""

    template: str = "run"
    to: str | None = None


class Budget(Struct, frozen=True):
    """What a run may spend: `usd`, `gpu_hours` of answering, `hours` on the clock, `tokens` of prompts and answers.

    None is without a limit. Money, GPU time and tokens are those of all answers that the run is made of, whenever they
    were asked; the clock counts one attempt.
    """

    usd: float | None = None
    gpu_hours: float | None = None
    hours: float | None = None
    tokens: int | None = None


class Spec(Struct, frozen=True):
    """One spec in long form, every reference checked.

    `tasks` holds every task document in use, by name. `seed` is the one all others derive from.
    `void_budget` is the share of void samples that a step survives. `rubrics` are those in use, by name. `routes` are
    the models that are made of others, `prices` those of models that have one.
    """

    name: str
    about: str
    models: dict[str, Model]
    suites: dict[str, tuple[TaskUse, ...]]
    policies: dict[str, Policy]
    steps: dict[str, Step]
    tasks: dict[str, Task]
    sandbox: dict[str, Json]
    report: Report
    cost: dict[str, Json]
    seed: int = 0
    void_budget: float = 0.02
    path: str = ""
    rubrics: dict[str, Rubric] = {}
    judges: dict[str, JudgeRule] = {}
    routes: dict[str, Route] = {}
    prices: dict[str, Price] = {}
    budget: Budget = Budget()


class Rubric(Struct, frozen=True):
    """A rubric in use: its `criteria` as they are written, each checked. `turn` counts from 1; None is the last.

    `oracle`: it reads verdicts or gold answers.
    """

    name: str
    criteria: tuple[Json, ...]
    scale: Literal["normalised", "raw"] = "normalised"
    turn: int | None = None
    judge: str | None = None
    oracle: bool = False
    about: str = ""
    source: str = ""
    license: str = ""

    @property
    def options(self) -> dict[str, Json]:
        """What a scorer or a selector is made of."""
        given = {"rubric": self.name, "criteria": list(self.criteria), "scale": self.scale}
        return {**given, **{key: one for key, one in (("turn", self.turn), ("judge", self.judge)) if one is not None}}


class RowRange(Struct, frozen=True):
    """The rows whose `field` is a number from `first` to `last`, both included."""

    field: str
    first: int
    last: int


class Join(Struct, frozen=True):
    """A file whose rows give a task's rows further fields; `on` names the id that both have."""

    file: str
    on: str
    sha256: str | None = None


class DataSource(Struct, frozen=True):
    """One place where a task's rows may come from. Exactly one of `file`, `package`, `hub` is set.

    `package` is `name==version` with the `member` inside its wheel and that member's `sha256`.
    `hub` is a data set id with `revision`, `config` and `split`. `rows` is the part of it that is the split, where one
    file holds several.
    """

    file: str | None = None
    package: str | None = None
    member: str | None = None
    sha256: str | None = None
    hub: str | None = None
    config: str | None = None
    split: str | None = None
    revision: str | None = None
    rows: RowRange | None = None


class Shots(Struct, frozen=True):
    """Few-shot examples: `n` solved rows of `split`, which is never the split that is asked.

    `pick` draws them by the spec's seed, or takes the first of the file. With `same` only rows whose field of that
    name equals the item's. `answer` is the template of the solution; `between` stands between the examples of a text.
    """

    n: int
    split: str
    answer: str
    pick: Literal["seeded", "first"] = "seeded"
    same: str | None = None
    between: str = "\n\n"


class Task(Struct, frozen=True):
    """A task file: rows, how each becomes a prompt, and the one named scorer.

    `data` maps a split to the places tried in order, `size` to how many rows it is said to have. `fields` renames: our
    name → the row's field.
    `id`, `prompt`, `system` and each message are Jinja2 templates over the row. `score` is the scorer's
    name and its options. `intro` is a template before the examples of a `text`. `followups` are the templates of the
    user's later turns. `formats` are the schemas that the answer to each turn obeys, as texts, None where the policy
    decides; empty where it decides of all. `folder` is where the file stood: relative data files are looked for there
    first.
    """

    name: str
    about: str
    source: str
    license: str
    category: str
    data: dict[str, tuple[DataSource, ...]]
    id: str
    scorer: str
    scorer_options: dict[str, Json]
    messages: tuple[Message, ...] = ()
    text: str | None = None
    fields: dict[str, str] = {}
    groups: tuple[str, ...] = ()
    strata: str | None = None
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    folder: Path | None = None
    size: dict[str, int] = {}
    shots: Shots | None = None
    intro: str | None = None
    join: Join | None = None
    followups: tuple[str, ...] = ()
    formats: tuple[str | None, ...] = ()

    @property
    def splits(self) -> list[str]:
        return list(self.data)

    def shots_of(self, use: TaskUse) -> Shots | None:
        """The examples that a use of this task wants; None for none."""
        if self.shots is None:
            return None
        n = self.shots.n if use.shots is None else use.shots
        return replace(self.shots, n=n) if n else None


def sampling(policy: Policy, task: Task, turn: int = 0) -> SamplingParams:
    """What a policy means for one turn of a task: the task gives `max_tokens` and extra stops where the policy is
    silent, and a format of its own wins over the policy's."""
    own = task.formats[turn] if task.formats else None
    return SamplingParams(
        temperature=policy.temperature,
        top_p=policy.top_p,
        top_k=policy.top_k,
        min_p=policy.min_p,
        repetition_penalty=policy.repetition_penalty,
        max_tokens=task.max_tokens if policy.max_tokens is None else policy.max_tokens,
        stop=tuple(dict.fromkeys((*policy.stop, *task.stop))),
        seed=policy.seed,
        json_schema=policy.json_schema if own is None else own,
    )


def turns(policy: Policy, task: Task) -> tuple[SamplingParams, ...]:
    """How each turn of a task is asked, in their order."""
    return tuple(sampling(policy, task, turn) for turn in range(1 + len(task.followups)))
