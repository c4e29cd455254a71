"""The two files of a run folder that describe the run: `run.json` and `evalkit.lock`.

`run` writes them, `report` reads them; `docs/run-folder.md` is their public description. Fields that a reader does
not know are ignored, so that later versions can add some.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from evalkit.core.expectation import Expected
from evalkit.core.routing import Route
from evalkit.core.selection import Select
from evalkit.core.types import Json, SamplingParams

RunState = Literal["running", "complete", "incomplete", "interrupted", "failed"]

RUN = "run.json"
LOCK = "evalkit.lock"
SPEC = "spec.lock.yaml"
EVENTS = "events.jsonl"
SAMPLES = "samples.jsonl"
VERDICTS = "verdicts.jsonl"
PARQUET = "samples.parquet"
RESULTS = "results.json"
REPORT = "report.md"
FIGURES = "figures"


class RunRecord(Struct, frozen=True, kw_only=True):
    """`run.json`: what happened. Clock, command and environment stand here and nowhere else.

    `state` is `running` until the run ends, so what a kill leaves behind reads as unfinished. `limit` and `only` are
    the flags that made the run smaller than its spec. `error` says in one sentence why the state is not `complete`.
    `seconds` is wall time. Times are ISO 8601 in UTC. `salt` is not empty for a `--fresh` run, which shares no answers.
    """

    evalkit: int = 1
    id: str
    name: str = ""
    about: str = ""
    state: RunState
    limit: int | None = None
    only: tuple[str, ...] = ()
    void_budget: float = 0.02
    error: str | None = None
    started: str | None = None
    finished: str | None = None
    seconds: float | None = None
    command: tuple[str, ...] = ()
    spec: str = ""
    spec_sha256: str = ""
    salt: str = ""
    template: str = "run"
    report_to: str | None = None
    gpu_hour_usd: float | None = None
    sandbox_warning: str = ""
    environment: dict[str, Json] = {}


class JudgeLock(Struct, frozen=True, kw_only=True):
    """The judge that a selector asks, or that compares pairs: its model (whose digests are among `models`), the digest
    of its prompt, the questions, or the criteria by which it compares. `sampling` is None where yes and no are weighed.

    Of one that compares, `style` is the form of its verdicts, and `reference` says that it was shown gold answers.
    """

    judge: str
    model: str
    prompt: str
    questions: tuple[str, ...]
    weighs: bool = False
    sampling: SamplingParams | None = None
    style: str = ""
    reference: bool = False


class TaskLock(Struct, frozen=True, kw_only=True):
    """The items of one task as one step asked them.

    `origin` is where the rows came from as a portable name (`package name==version member`, `hub id@revision`, a file
    name), `sha256` their digest. `items` are the chosen ids in plan order, `prompts` the digest of all prompts,
    `select` how one of the `samples` answers to an item was picked, None where each counts, `judge` whom it asked,
    `sampling` what was declared for the last turn, None where continuations are weighed, for which it means nothing.
    `formats` are the digests of the schemas that the answer to each turn was made to obey, None for a free one; empty
    where all are. `shots` are the ids of the rows that stand as examples in any of the prompts, with the origin and
    digest of their split; `shots_each` of them stand in each.

    `route` names the route that `model` is a part of: by rules the items are those of this model; of the second model
    of an escalation they are all that may get there, and the samples say which did.
    """

    step: str
    category: str
    task: str
    split: str
    origin: str
    sha256: str
    items: tuple[str, ...]
    prompts: str = ""
    model: str = ""
    policy: str = ""
    samples: int = 1
    select: Select | None = None
    sampling: SamplingParams | None = SamplingParams()
    source: str = ""
    license: str = ""
    shots: tuple[str, ...] = ()
    shots_each: int = 0
    shots_origin: str = ""
    shots_sha256: str = ""
    judge: JudgeLock | None = None
    route: str = ""
    formats: tuple[str | None, ...] = ()


class TrainingCategory(Struct, frozen=True, kw_only=True):
    """The `rows` of one category in a training set, and where they stand: 0 is the start of the file, 1 its end.

    `parts` has the category's share in each tenth of the file, None where a tenth is empty; `position_p` is the
    two-sided p that its rows stand neither early nor late, None of a single category.
    """

    name: str
    rows: int
    mean_position: float
    parts: tuple[float | None, ...]
    longest_run: int
    position_p: float | None = None


class TrainingLock(Struct, frozen=True, kw_only=True):
    """A training set as it was read: digest of the file's bytes, and what a report says of it without the file.

    `by` is the field that names a row's category. `runs` counts stretches of one category, `expected_runs` those of a
    shuffled file.
    """

    file: str
    sha256: str
    by: str
    rows: int
    categories: tuple[TrainingCategory, ...]
    runs: int
    expected_runs: float
    runs_p: float | None = None


class DiagnosisLock(Struct, frozen=True, kw_only=True):
    """A `diagnose` or `compare` step: its kind, and by role the steps whose rows it reads (`of` is the explained one).

    `roles` are those of `reads` in the order of the spec. `training` is the training set that it describes, for the
    kinds that describe one.
    """

    step: str
    diagnosis: str
    reads: dict[str, str] = {}
    roles: tuple[str, ...] = ()
    options: dict[str, Json] = {}
    training: TrainingLock | None = None


class PairingLock(Struct, frozen=True, kw_only=True):
    """A `judge` step: which two `bench` steps it pairs, and who judges.

    `retest` is the share of the pairs that was asked once more, `swap` whether both orders were asked. `warnings` are
    sentences that must stand wherever its numbers stand, such as a judge of a contestant's family.
    """

    step: str
    player: str
    opponent: str
    judges: tuple[JudgeLock, ...]
    swap: bool = True
    retest: float = 0.1
    warnings: tuple[str, ...] = ()


class ModelLock(Struct, frozen=True, kw_only=True):
    """What decided a model's answers besides prompt and sampling."""

    engine: str
    parts: dict[str, str] = {}


class Lock(Struct, frozen=True, kw_only=True):
    """`evalkit.lock`: what the run was made of, by digest. Nothing in it depends on the clock or the machine's paths.

    `spec` is the digest of the long form, `sandbox` the identity of the sandbox where one was used and `sandbox_parts`
    what it is made of (base, packages, worker), `packages` the versions that can change a number, `pairings` the steps
    in which judges compare, `routes` the models that are made of others, `expectations` what the spec said before the
    run.
    """

    evalkit: int = 1
    spec: str = ""
    tasks: tuple[TaskLock, ...] = ()
    models: dict[str, ModelLock] = {}
    sandbox: str | None = None
    sandbox_parts: dict[str, Json] = {}
    packages: dict[str, str] = {}
    diagnoses: tuple[DiagnosisLock, ...] = ()
    pairings: tuple[PairingLock, ...] = ()
    routes: dict[str, Route] = {}
    expectations: tuple[Expected, ...] = ()
