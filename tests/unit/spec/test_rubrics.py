"""Rubrics by their names: of a spec, of a file, of those that come with evalkit."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.core import registry
from evalkit.core.selection import Candidate
from evalkit.core.types import Completion, Prompt, Sample, Score
from evalkit.spec.dump import dump
from evalkit.spec.load import Loaded, load_spec, load_task_file

TASK = """\
evalkit: 1
task: formed
data: [{file: formed.jsonl}]
id: '{{ id }}'
prompt: '{{ question }}'
score: {rubric: %s}
"""
SPEC = """\
evalkit: 1
model: smollm2-135m
suite: [./formed.yaml]
policy: {best_of: 3, temperature: 0.8, select: {rubric: %s}}
"""
MINE = """\
evalkit: 1
rubric: mine
criteria: [{name: whole, points: 2, check: python.parses}]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "formed.yaml").write_text(TASK % "plain_code")
    return tmp_path


def load(here: Path, text: str) -> Loaded:
    (here / "spec.yaml").write_text(text)
    return load_spec(Path("spec.yaml"))


@pytest.mark.parametrize(("reference", "name"), [("verbosity", "verbosity"), ("./mine.yaml", "mine")])
def test_a_rubric_is_found_by_its_name_or_its_path(here: Path, reference: str, name: str) -> None:
    """The long form has it whole and reads the same again; the task has the criteria, not the name."""
    loaded = load(here, SPEC % reference)
    assert loaded.diagnostics == ()
    assert loaded.spec is not None
    assert set(loaded.spec.rubrics) == {name, "plain_code"}
    policy = loaded.spec.policies["policy"]
    assert policy.select is not None
    assert policy.select.rubric == name
    options = loaded.spec.tasks["formed"].scorer_options
    assert (options["rubric"], len(options["criteria"])) == ("plain_code", 8)
    again = load(here, dump(loaded.long_form))
    assert again.long_form == loaded.long_form
    assert again.digest == loaded.digest


def test_what_a_rubric_says_is_in_the_digest(here: Path) -> None:
    """Another weight in its file is another spec."""
    before = load(here, SPEC % "./mine.yaml").digest
    (here / "mine.yaml").write_text(MINE.replace("points: 2", "points: 3"))
    assert before != load(here, SPEC % "./mine.yaml").digest


def test_a_rubric_of_the_spec_goes_before_one_that_ships(here: Path) -> None:
    """As with tasks."""
    own = "rubrics: {verbosity: [{name: whole, points: 2, check: python.parses}]}\n"
    spec = load(here, SPEC % "verbosity" + own).spec
    assert spec is not None
    assert len(spec.rubrics["verbosity"].criteria) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("verbosity", "rubric verbosity has the raw scale, and the score of a task is in [0, 1]"),
        ("correctness", "rubric correctness reads turn 1, and a task is scored by its last answer"),
        ("plain_cod", "unknown rubric 'plain_cod'"),
        ("./none.yaml", "there is no rubric file './none.yaml'"),
    ],
)
def test_what_cannot_score_a_task(here: Path, name: str, message: str) -> None:
    """Told at the place of the name, once."""
    (here / "formed.yaml").write_text(TASK % name)
    loaded = load_task_file(Path("formed.yaml"))
    assert loaded.task is None
    assert [found.message for found in loaded.diagnostics] == [message]


def test_a_selector_reads_the_turn_that_the_rubric_names() -> None:
    """And says where there is none."""
    short = {"name": "short", "points": 1, "check": {"max_words": 1}}
    sample = Sample("t", "1", "t", "test", {}, Prompt(text="?"), {})
    first, last = (Completion("k", text, "stop", None, "") for text in ("one", "two words"))
    candidate = Candidate(0, last, (first,))

    def value(**options: int) -> tuple[float | None, str | None]:
        made = registry.load("selectors", "rubric")({"criteria": [short], **options})
        [valued] = made.values(sample, [candidate])
        return valued.value, valued.reason

    assert value() == (0.0, "short: 2 words")
    assert value(turn=1) == (1.0, None)
    assert value(turn=2) == (0.0, "short: 2 words")
    assert value(turn=3) == (None, "there is no turn 3")


def test_a_rubric_that_reads_verdicts_makes_its_selector_an_oracle() -> None:
    """Others are none, and see no verdict."""
    right = {"name": "right", "points": 1, "check": {"scorer": "task"}}
    made = registry.load("selectors", "rubric")({"criteria": [right]})
    sample = Sample("t", "1", "t", "test", {}, Prompt(text="?"), {})
    candidate = Candidate(0, Completion("k", "x", "stop", None, ""), score=Score("pass", 1.0))
    assert made.oracle
    assert [one.value for one in made.values(sample, [candidate])] == [1.0]
    plain = registry.load("selectors", "rubric")({"criteria": [{"name": "p", "points": 1, "check": "python.parses"}]})
    assert not plain.oracle
