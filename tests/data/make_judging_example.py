"""Writes a small run in which a judge compared two models, from which the example reports of judging are made.

    python tests/data/make_judging_example.py FOLDER

Models, questions and answers are made up. The counts of wins, losses and ties in six categories are those of a report
that was published without an interval, an order swap or a look at who is right (github.com/dkeviv/Cogumi-LLM, October
2025), and so is how many answers are right; what was not recorded there (a second order, a retest, several answers to
an item) is drawn once from a fixed seed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

from evalkit.core.digest import digest, digest_text
from evalkit.core.runfolder import DiagnosisLock, JudgeLock, Lock, ModelLock, PairingLock, RunRecord, TaskLock
from evalkit.core.types import Message, Outcome, Prompt, SampleRow, SamplingParams
from evalkit.core.verdicts import Game, Said, Side, VerdictRow, verdict_of

PLAYER, OPPONENT, JUDGE = "tuned-8b", "strong", "umpire"
GREEDY = SamplingParams(max_tokens=512)
WARM = SamplingParams(max_tokens=512, temperature=0.7, seed=1)
RETEST = 0.1
# category: task, what stands behind wins, losses and ties (the player's and the opponent's answer right or not, how
# often), and mean characters of the two sides.
SIX: dict[str, tuple[str, dict[str, dict[str, int]], tuple[int, int]]] = {
    "math": ("gsm8k", {"win": {"-+": 3}, "loss": {"-+": 9, "++": 3}, "tie": {"++": 34, "--": 1}}, (814, 531)),
    "code": (
        "humaneval", {"win": {"++": 22, "+-": 2}, "loss": {"-+": 8, "++": 8}, "tie": {"++": 8, "--": 2}}, (986, 673)
    ),
    "reasoning": ("arc_challenge", {"win": {"++": 39, "-+": 4}, "loss": {"-+": 7}}, (808, 33)),
    "knowledge": (
        "mmlu", {"win": {"++": 13, "+-": 8, "-+": 8, "--": 16}, "loss": {"-+": 3, "--": 2}}, (969, 12)
    ),
    "instruction": ("instructions", {"win": {"??": 33}, "loss": {"??": 7}, "tie": {"??": 10}}, (1241, 761)),
    "creativity": ("stories", {"win": {"??": 2}, "loss": {"??": 1}, "tie": {"??": 2}}, (900, 800)),
}  # fmt: skip
ORDERS: dict[str, tuple[Said, Said]] = {
    "win": ("first", "second"), "loss": ("second", "first"), "tie": ("tie", "tie"), "flip": ("first", "first"),
}  # fmt: skip
OUTCOME: dict[str, Outcome] = {"+": "pass", "-": "fail", "?": "unscored"}
Cell = tuple[str, str, str, str]
"""Category, item, verdict, marks of the two answers."""


def cells() -> Iterator[Cell]:
    """Every pair, those of each verdict in a row."""
    for category, (task, verdicts, _) in SIX.items():
        marks = [
            (verdict, mark) for verdict, behind in verdicts.items() for mark, n in behind.items() for _ in range(n)
        ]
        for number, (verdict, mark) in enumerate(marks):
            yield category, f"{task}-{number:02d}", verdict, mark


def answer(step: str, model: str, cell: Cell, mark: str, length: int, sampling: SamplingParams = GREEDY) -> SampleRow:
    category, item, _, _ = cell
    task = SIX[category][0]
    asked = Prompt(messages=(Message("user", f"Question {item} of {task}?"),))
    said = "42" if mark == "+" else "41"
    text = f"The answer is {said}.".ljust(length, ".")
    outcome = OUTCOME[mark]
    return SampleRow(
        step=step, task=task, category=category, split="test", id=item, sample=0, selected=True, model=model,
        policy="exam", groups={}, prompt=asked, prompt_sha256=digest(asked), completion=digest([step, item]), text=text,
        answer=None if mark == "?" else said, outcome=outcome, score={"+": 1.0, "-": 0.0}.get(mark),
        error_class="wrong_answer" if mark == "-" else None, rule=None, tests_passed=None, tests_total=None, tests=(),
        exception=None, stdout=None, stderr=None, reason=None, finish_reason="stop", prompt_tokens=20,
        completion_tokens=length // 4, seconds=length / 400.0, sandbox_s=None, usd=None, effective=sampling,
        text_sha256=digest_text(text),
    )  # fmt: skip


def side(row: SampleRow) -> Side:
    assert row.text is not None
    return Side(row.step, row.model, row.completion, len(row.text), row.completion_tokens, row.outcome, row.score)


def verdict(cell: Cell, mine: SampleRow, theirs: SampleRow, random: Random) -> VerdictRow:
    """Both orders, now and then once more; a pair in twelve of those that are close flips."""
    category, item, wanted, _ = cell
    close = wanted != "win" and random.random() < 1 / 12
    games = [game(cell, place, said, 0) for place, said in enumerate(ORDERS["flip" if close else wanted])]
    if random.random() < RETEST:
        again = "flip" if random.random() < 0.2 else wanted
        games += [game(cell, place, said, 1) for place, said in enumerate(ORDERS[again])]
    return VerdictRow(
        step="duel", judge="fair", judge_model=JUDGE, category=category, task=mine.task, split="test", id=item,
        sample=0, groups={}, player=side(mine), opponent=side(theirs), games=tuple(games),
        verdict=verdict_of([one for one in games if not one.retest]),
    )  # fmt: skip


def game(cell: Cell, place: int, said: Said, retest: int) -> Game:
    letter = {"first": "A", "second": "B", "tie": "C"}[said]
    given = {"first": (9.0, 7.0), "second": (7.0, 9.0), "tie": (8.0, 8.0)}[said]
    text = f"Both answers were read. [[{letter}]]"
    key = digest([cell[1], place, retest])
    return Game(
        swapped=bool(place), said=said, key=key, ratings={"correctness": given, "clarity": given},
        retest=retest, text=text, finish_reason="stop", prompt_tokens=400,
        completion_tokens=12, seconds=0.4, effective=GREEDY,
    )  # fmt: skip


def draws(cell: Cell, random: Random) -> list[SampleRow]:
    """Four answers of the player to an item of math: mostly those of its greedy one."""
    rows = []
    for sample in range(4):
        mark = cell[3][0] if random.random() < 0.9 else "-"
        row = answer("wobble-samples", PLAYER, cell, mark, 700 + sample, WARM)
        rows.append(msgspec.structs.replace(row, sample=sample, policy="warm", completion=digest([cell[1], sample])))
    return rows


def task_lock(
    step: str, model: str, category: str, items: tuple[str, ...], sampling: SamplingParams = GREEDY
) -> TaskLock:
    task = SIX[category][0]
    return TaskLock(
        step=step, category=category, task=task, split="test", origin=f"data/{task}.jsonl", sha256=digest_text(task),
        items=items, prompts=digest_text(f"prompts {task}"), model=model, policy="exam" if sampling.greedy else "warm",
        samples=1 if sampling.greedy else 4, sampling=sampling, license="made up",
    )  # fmt: skip


def the_lock() -> Lock:
    items = {category: tuple(item for found, item, _, _ in cells() if found == category) for category in SIX}
    judge = JudgeLock(
        judge="fair", model=JUDGE, prompt=digest_text("the judge's prompt"), sampling=GREEDY,
        questions=("correctness", "completeness", "clarity", "relevance"),
    )  # fmt: skip
    locks = [task_lock(f"duel-{who}", who, category, items[category]) for who in (PLAYER, OPPONENT) for category in SIX]
    locks.append(task_lock("wobble-samples", PLAYER, "math", items["math"], WARM))
    return Lock(
        spec=digest_text("spec"), tasks=tuple(locks), packages={"evalkit-spec": "0.1.0"},
        models={
            name: ModelLock(engine="replay", parts={"file": digest_text(name)}) for name in (PLAYER, OPPONENT, JUDGE)
        },
        diagnoses=(
            DiagnosisLock(
                step="ties", diagnosis="ties", reads={"of": "duel", "consistency": "wobble-samples"},
                roles=("of", "consistency"),
            ),
        ),
        pairings=(
            PairingLock(
                step="duel", player=f"duel-{PLAYER}", opponent=f"duel-{OPPONENT}", judges=(judge,), swap=True,
                retest=RETEST,
            ),
        ),
    )  # fmt: skip


def write(folder: Path, template: str = "session") -> None:
    """The four files that a report is made of."""
    random = Random(11)
    rows: dict[str, list[SampleRow]] = {f"duel-{PLAYER}": [], f"duel-{OPPONENT}": [], "wobble-samples": []}
    verdicts = []
    for cell in cells():
        lengths = [max(4, round(mean * random.uniform(0.7, 1.3))) for mean in SIX[cell[0]][2]]
        mine = answer(f"duel-{PLAYER}", PLAYER, cell, cell[3][0], lengths[0])
        theirs = answer(f"duel-{OPPONENT}", OPPONENT, cell, cell[3][1], lengths[1])
        rows[mine.step].append(mine)
        rows[theirs.step].append(theirs)
        verdicts.append(verdict(cell, mine, theirs, random))
        if cell[0] == "math":
            rows["wobble-samples"] += draws(cell, random)
    run = RunRecord(
        id="judging-example", name="six categories", state="complete", template=template,
        about="Is the tuned 8B model preferred to the strong one, and is what is preferred right?",
        started="2026-01-01T00:00:00Z", finished="2026-01-01T00:01:00Z", seconds=60.0,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(msgspec.json.encode(run))
    (folder / "evalkit.lock").write_bytes(msgspec.json.encode(the_lock()))
    lines = [msgspec.json.encode(one) + b"\n" for some in rows.values() for one in some]
    (folder / "samples.jsonl").write_bytes(b"".join(lines))
    (folder / "verdicts.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in verdicts))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
