"""Writes a synthetic Best-of-N run folder: `python tests/data/make_best_of_example.py FOLDER`.

No model made these answers. A greedy arm and one that picks one of three candidates by a rubric's points; in most items
the candidates are alike, as a cold model gives them. The numbers are drawn once from a fixed seed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import msgspec

from evalkit.core.digest import digest, digest_text
from evalkit.core.runfolder import DiagnosisLock, Lock, ModelLock, RunRecord, TaskLock
from evalkit.core.selection import Select
from evalkit.core.types import Choice, Contribution, Message, Prompt, SampleRow, SamplingParams, TestResult

MODEL, TASK = "coder", "functions"
GREEDY = SamplingParams(max_tokens=256)
WARM = SamplingParams(max_tokens=256, temperature=0.5, top_p=0.95, seed=7)
ITEMS = (
    "count_letters", "keep_odd", "first_word", "sign_of", "capitalise", "power", "name_of_type", "bound", "strong_word",
    "mean_of", "tribonacci", "is_square", "to_number", "join_maps", "index_of", "is_phone", "ends_of", "grade",
)  # fmt: skip
USD_PER_S = 2.5 / 3600
# Which of the arms' answers are right, where not both are: the greedy one, then the three candidates.
ODD = {
    "count_letters": "0000",
    "index_of": "0000",
    "is_phone": "0001",
    "ends_of": "0000",
    "grade": "0101",
    "mean_of": "1101",
}


def row(step: str, item: str, sample: int, right: bool, variant: int, sampling: SamplingParams) -> SampleRow:
    asked = Prompt(messages=(Message("user", f"Write the Python function {item}."),))
    body = "return known(value)" if right else "return None"
    text = f"```python\ndef {item}(value):\n    {'# checked' if variant else ''}\n    {body}\n```"
    tokens = 40 + 3 * variant + len(item)
    test = TestResult(right, f"assert {item}(1) == 1", "" if right else "AssertionError: got None")
    return SampleRow(
        step=step, task=TASK, category=TASK, split="test", id=item, sample=sample, selected=True, model=MODEL,
        policy="greedy" if step == "one" else "best3", groups={}, prompt=asked, prompt_sha256=digest(asked),
        completion=digest([step, item, sample]), text=text, answer=text[10:-4], outcome="pass" if right else "fail",
        score=float(right), error_class=None if right else "wrong_answer", rule="first_block", tests_passed=int(right),
        tests_total=1, tests=(test,), exception=None if right else "AssertionError", stdout=None, stderr=None,
        reason=None, finish_reason="stop", prompt_tokens=30, completion_tokens=tokens, seconds=tokens / 40.0,
        sandbox_s=0.12, usd=tokens / 40.0 * USD_PER_S, effective=sampling, text_sha256=digest_text(text),
    )  # fmt: skip


def candidates(item: str, rights: str, random: Random) -> list[SampleRow]:
    """Three candidates, the one with the most points picked, the first of equals."""
    variants = [random.randrange(2) if item in ODD else 0 for _ in rights]
    rows = [
        row("three", item, sample, right == "1", variant, WARM)
        for sample, (right, variant) in enumerate(zip(rights, variants, strict=True))
    ]
    points = [20.0 + 10.0 * variant + len(item) % 7 for variant in variants]
    place = points.index(max(points))
    return [
        msgspec.structs.replace(
            one,
            selected=sample == place,
            choice=Choice(
                "rubric", points[sample] / 50.0, 1 + sum(other > points[sample] for other in points),
                points.count(max(points)),
                {
                    "comments": Contribution(10.0 * variants[sample], 10.0),
                    "length": Contribution(20.0 + len(item) % 7, 40.0),
                },
            ),
        )
        for sample, one in enumerate(rows)
    ]  # fmt: skip


def task_lock(step: str, policy: str, samples: int, sampling: SamplingParams) -> TaskLock:
    return TaskLock(
        step=step, category=TASK, task=TASK, split="test", origin="data/functions.jsonl", sha256=digest_text(TASK),
        items=ITEMS, prompts=digest_text("prompts"), model=MODEL, policy=policy, samples=samples, sampling=sampling,
        select=Select("rubric", rubric="careful") if samples > 1 else None,
    )  # fmt: skip


def write(folder: Path) -> None:
    """The three files that a report is made of."""
    random = Random(18)
    rights = {item: ODD.get(item, "1111") for item in ITEMS}
    rows = [row("one", item, 0, rights[item][0] == "1", 0, GREEDY) for item in ITEMS]
    for item in ITEMS:
        rows += candidates(item, rights[item][1:], random)
    lock = Lock(
        spec=digest_text("spec"), models={MODEL: ModelLock(engine="vllm", parts={"weights": digest_text("weights")})},
        tasks=(task_lock("one", "greedy", 1, GREEDY), task_lock("three", "best3", 3, WARM)),
        sandbox=digest_text("sandbox"), packages={"evalkit-spec": "0.1.0"},
        diagnoses=(
            DiagnosisLock(step="spread", diagnosis="diversity", reads={"of": "three"}, roles=("of",)),
            DiagnosisLock(step="validity", diagnosis="rubric", reads={"of": "three"}, roles=("of",)),
        ),
    )  # fmt: skip
    run = RunRecord(
        id="best-of-example", name="best-of-n", state="complete", template="best_of_n", gpu_hour_usd=2.5,
        about="Does picking by rubric beat one greedy answer, and what does a pass cost?",
        started="2026-01-01T00:00:00Z", finished="2026-01-01T00:01:00Z", seconds=60.0,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(msgspec.json.encode(run))
    (folder / "evalkit.lock").write_bytes(msgspec.json.encode(lock))
    (folder / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in rows))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
