"""The vocabulary: frozen values that cross the borders between layers.

Names are those of the field: a *sample* is one item of a task, a *completion* one answer of a model, an *execution*
one run of a program in a sandbox, a *score* what a scorer made of it. Nothing here has behaviour beyond reading
itself, and nothing is NaN: what is absent is None, what could not be measured is *void* with a reason.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, TypeAlias

from msgspec import Struct

from evalkit.core.judging import Judged

Json: TypeAlias = Any
"""A JSON value. The one place where `Any` may stand in a public signature."""

Role = Literal["system", "user", "assistant"]
Outcome = Literal["pass", "fail", "score", "void", "unscored"]
FinishReason = Literal["stop", "length", "recorded", "weighed"]
ExecutionClass = Literal[
    "passed",
    "wrong_answer",
    "syntax_error",
    "runtime_error",
    "timeout",
    "memory",
    "output_limit",
    "violation",
]


class Message(Struct, frozen=True):
    """One turn of a chat."""

    role: Role
    content: str


class Prompt(Struct, frozen=True):
    """What a model is asked: chat `messages`, or a bare `text` to be continued. Exactly one is set.

    A chat whose last message is the assistant's begins the answer: the model continues it (`prefill`).
    """

    messages: tuple[Message, ...] = ()
    text: str | None = None

    @property
    def prefill(self) -> str:
        """The beginning of the answer that the chat gives; empty where there is none."""
        return self.messages[-1].content if self.messages and self.messages[-1].role == "assistant" else ""


class SamplingParams(Struct, frozen=True):
    """How tokens are drawn. The defaults are greedy; `top_k` 0 and `min_p` 0.0 mean off.

    `json_schema` is a schema that the answer is made to obey, as JSON text without white space; None leaves the answer
    free. Its keys keep their order: that of the properties is the order in which the answer has them.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_tokens: int = 512
    stop: tuple[str, ...] = ()
    seed: int = 0
    json_schema: str | None = None

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0


class Model(Struct, frozen=True):
    """A model as the spec names it, in long form.

    `source` has exactly one of `embedded`, `hub` (with `revision`), `path`, for recorded answers `file` (with `fields`;
    a list is several runs), for a server `name` (with `base_url`, `key`). `options` are the engine's own keys, `python`
    is the interpreter that it runs in where that is not evalkit's own.
    """

    name: str
    engine: str
    source: dict[str, Json]
    adapter: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    chat: bool | None = None
    options: dict[str, Json] = {}
    python: str | None = None


class Fingerprint(Struct, frozen=True):
    """What decides a model's answers besides prompt and sampling: versions, weights, template, dtype.

    `by_item` is true for engines whose answer depends on the sample's id, not only on its prompt. `format_parts` decide
    only the answers that are made to obey a schema: what does that, and its version.
    """

    engine: str
    parts: dict[str, str]
    by_item: bool = False
    format_parts: dict[str, str] = {}


class Sample(Struct, frozen=True):
    """One item of a task, ready to be asked and scored. `row` is the data row as it was read.

    `followups` are the user's later turns: each is asked after the answer to the one before, in the same chat. `shots`
    are the ids of the examples that stand in the prompt, in their order. `where` is the row's place for messages.
    """

    task: str
    id: str
    category: str
    split: str
    groups: dict[str, str]
    prompt: Prompt
    row: dict[str, Json]
    followups: tuple[str, ...] = ()
    shots: tuple[str, ...] = ()
    where: str = ""


class Request(Struct, frozen=True):
    """One completion wanted. `key` is its content address (`core/keys.py`), `index` counts a sample's k answers.

    `turn` counts the turns of a chat from 0. With `continuations` nothing is generated: the completion says how likely
    each of them is after the prompt.
    """

    key: str
    task: str
    item: str
    prompt: Prompt
    sampling: SamplingParams
    index: int = 0
    turn: int = 0
    continuations: tuple[str, ...] = ()


class Likelihood(Struct, frozen=True):
    """How likely a model holds a continuation: the sum of its tokens' log-probabilities (natural logarithm).

    `greedy`: each of its `tokens` is the most likely one at its place. Both are None where the back end does not say.
    """

    logprob: float
    tokens: int | None = None
    greedy: bool | None = None


class Weighed(Struct, frozen=True):
    """A continuation with its likelihood, as a row tells it."""

    continuation: str
    logprob: float
    tokens: int | None = None
    greedy: bool | None = None


class Completion(Struct, frozen=True):
    """One answer. `effective` is what the back end really used; `seconds` is this answer's share of its batch.

    `likelihoods` are those of the request's `continuations`, in their order; such a completion has no text, no tokens
    of its own and no sampling parameters: its finish reason is `weighed` (or `recorded`), its `effective` None.
    `mean_logprob` is the mean log-probability of its tokens, `reward` the recorded score of a reward model.
    """

    key: str
    text: str
    finish_reason: FinishReason
    effective: SamplingParams | None
    prompt_sha256: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    mean_logprob: float | None = None
    likelihoods: tuple[Likelihood, ...] = ()
    reward: float | None = None


class Void(Struct, frozen=True):
    """What could not be measured, and why. Never a wrong answer; asked again by the next run."""

    key: str
    reason: str
    by: Literal["engine", "sandbox", "judge", "scorer"]


class Limits(Struct, frozen=True):
    """Limits of one program, all of its tests together."""

    wall_s: float = 10.0
    cpu_s: float = 5.0
    memory_mb: int = 1024
    output_kb: int = 64


class Program(Struct, frozen=True):
    """A generated program and how it is judged.

    `code` is untrusted. `preamble` (what the prompt gave: imports, helpers) runs before it, and before the
    tests. `style` is `asserts` (`tests` are assert statements, each judged on its own), `check` (`tests[0]`
    defines `check(candidate)`; each assert statement inside is judged on its own) or `stdin` (each test is a JSON
    object with `stdin` and `stdout`: the program is run whole for each of them). `in_process` tests run in the
    program's own process, where it can reach the verdict: only for tests that need its globals.
    """

    key: str
    code: str
    tests: tuple[str, ...]
    style: Literal["asserts", "check", "stdin"] = "asserts"
    preamble: str = ""
    setup: str = ""
    entry_point: str | None = None
    limits: Limits = Limits()
    in_process: bool = False


class Reference(Struct, frozen=True):
    """A program known to be right, whose own processor time limits others: at most `factor` times it.

    Never less than `floor_s`, never more than the limit that is declared.
    """

    program: Program
    factor: float
    floor_s: float = 1.0


class TestResult(Struct, frozen=True):
    """One test of a program: `message` says what went wrong, cut to a readable length."""

    __test__: ClassVar[bool] = False  # not a test class: pytest collects by name

    passed: bool
    label: str
    message: str = ""


class Execution(Struct, frozen=True):
    """What a sandbox saw of a program. `exception` is the type's name where one ended it.

    The measures of a program that is run whole are those of its costliest test. `in_process`: the program could reach
    this verdict.
    """

    key: str
    outcome: ExecutionClass
    tests: tuple[TestResult, ...]
    exception: str | None = None
    message: str = ""
    stdout: str = ""
    stderr: str = ""
    wall_s: float | None = None
    cpu_s: float | None = None
    peak_mb: float | None = None
    in_process: bool = False

    @property
    def tests_passed(self) -> int:
        return sum(test.passed for test in self.tests)


class Share(Struct, frozen=True):
    """`part` of `of` equal parts: 2 of 3 instructions followed. One verdict is 1 or 0 of 1."""

    part: float
    of: int = 1


class Contribution(Struct, frozen=True):
    """What one criterion of a rubric gave: `points` of the `of` points it is worth, and why not all of them.

    `of` is None where it gives points for each hit without end; the reason tells then of what they are.
    """

    points: float
    of: float | None
    reason: str | None = None


class Score(Struct, frozen=True):
    """What a scorer made of one completion.

    `value` is in [0, 1]; None only when void or `unscored`, an answer that came back and that nothing but a judge could
    score. `error_class` says how a failure failed (`wrong_answer`, `no_answer`, `no_code`, an execution class). `rule`
    names the extraction rule that found the answer. `readings` are what other rules make of the same answer, by their
    name: told beside the score, never part of it. `criteria` are what a rubric's criteria gave, by their name: the
    parts that the score is made of.
    """

    outcome: Outcome
    value: float | None
    answer: str | None = None
    error_class: str | None = None
    rule: str | None = None
    tests_passed: int | None = None
    tests_total: int | None = None
    reason: str | None = None
    readings: dict[str, Share] = {}
    criteria: dict[str, Contribution] = {}


class Choice(Struct, frozen=True):
    """What a selector made of one of several candidates. It saw the candidates, and the verdicts only as the oracle.

    `by` names the selector; `value` is what it ranks by, the higher the better, None where it gives none. `rank` counts
    from 1, `best` candidates share the highest value. `criteria` are what a rubric's criteria gave, `reason` says why
    there is no value or no more of it. By `route` no candidate counts, for another model was asked: `value` is what
    decided that, and the `best` answers that would have counted have rank 1.
    """

    by: str
    value: float | None
    rank: int
    best: int
    criteria: dict[str, Contribution] = {}
    reason: str | None = None


class SampleRow(Struct, frozen=True, rename={"error_class": "class"}):
    """One completion with everything known of it: a line of `samples.jsonl`, the public contract of a run.

    `sample` is the index among the k answers to one item, `completion` the key it is stored under. `earlier` are the
    answers to the turns before the last, whose answer is `text`; tokens and seconds are those of all turns.
    `sandbox_s` is the program's wall time, `limits` are those that held for it. `reference` says how the reference
    program ended whose time limits this one; None where there is none. `in_process`: the tests ran where the program
    could reach its verdict. `likelihoods` are what the model made of the options where it was to weigh.

    `selected` is true where the verdict counts: everywhere, but where a policy picks one of several candidates, or a
    route asked another model; `choice` says then how, and `judged` what a judge was asked for it, whose cost `usd`
    holds too. The verdict is always that of this row's own `text`, whose digest is `text_sha256`.
    """

    step: str
    task: str
    category: str
    split: str
    id: str
    sample: int
    selected: bool
    model: str
    policy: str
    groups: dict[str, str]
    prompt: Prompt
    prompt_sha256: str | None
    completion: str
    text: str | None
    answer: str | None
    outcome: Outcome
    score: float | None
    error_class: str | None
    rule: str | None
    tests_passed: int | None
    tests_total: int | None
    tests: tuple[TestResult, ...]
    exception: str | None
    stdout: str | None
    stderr: str | None
    reason: str | None
    finish_reason: FinishReason | None
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None
    sandbox_s: float | None
    usd: float | None
    effective: SamplingParams | None
    cpu_s: float | None = None
    peak_mb: float | None = None
    limits: Limits | None = None
    reference: ExecutionClass | None = None
    in_process: bool = False
    readings: dict[str, Share] = {}
    criteria: dict[str, Contribution] = {}
    earlier: tuple[str, ...] = ()
    likelihoods: tuple[Weighed, ...] = ()
    text_sha256: str | None = None
    mean_logprob: float | None = None
    reward: float | None = None
    choice: Choice | None = None
    judged: Judged | None = None


class Progress(Struct, frozen=True):
    """What was added to a task of a step: completions done, tokens generated for them, completions scored, the sum of
    their values, void ones, those that nothing scores, and answers to turns before the last."""

    done: int = 0
    tokens: int = 0
    scored: int = 0
    value: float = 0.0
    void: int = 0
    unscored: int = 0
    early: int = 0
