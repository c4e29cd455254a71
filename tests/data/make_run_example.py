"""Writes the synthetic run folder `run_example` beside this file: `python tests/data/make_run_example.py`.

No model made these answers. They are of the kinds a small model gives: right, wrong, cut off, without a program,
with a fence that is never closed. The numbers are drawn once from a fixed seed.
"""

# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec

from evalkit.core.digest import digest, digest_text
from evalkit.core.runfolder import Lock, ModelLock, RunRecord, TaskLock
from evalkit.core.types import Limits, Message, Prompt, SampleRow, SamplingParams, Share, TestResult

STEP, MODEL = "bench", "smollm2-135m"
GREEDY = SamplingParams(max_tokens=256)


def row(category: str, item: str, prompt: str, **known: object) -> SampleRow:
    asked = Prompt(messages=(Message("user", prompt),))
    values: dict[str, object] = dict(
        step=STEP, task=category, category=category, split="test", id=item, sample=0, selected=True, model=MODEL,
        policy="greedy", groups={}, prompt=asked, prompt_sha256=digest(asked), completion=digest([category, item]),
        text=None, answer=None, outcome="void", score=None, error_class=None, rule=None, tests_passed=None,
        tests_total=None, tests=(), exception=None, stdout=None, stderr=None, reason=None, finish_reason="stop",
        prompt_tokens=len(prompt) // 4 + 22, completion_tokens=None, seconds=None, sandbox_s=None, usd=None,
        effective=GREEDY,
    )  # fmt: skip
    return SampleRow(**(values | known))  # type: ignore[arg-type]


def timed(text: str) -> dict[str, object]:
    tokens = min(256, len(text) // 3 + 4)
    cut = "length" if tokens == 256 else "stop"
    return {"text": text, "completion_tokens": tokens, "seconds": tokens / 83.0, "finish_reason": cut}


def arithmetic(random: Random) -> list[SampleRow]:
    rows = []
    chance = {"easy": 0.6, "medium": 0.25, "hard": 0.05}
    for index in range(30):
        level = ("easy", "medium", "hard")[index % 3]
        size = {"easy": 10, "medium": 60, "hard": 900}[level]
        a, b = random.randrange(2, size), random.randrange(2, size)
        template = ("sum", "shop")[index % 2]
        question = (
            f"What is {a} + {b}?" if template == "sum" else f"A pen costs {a} and a book {b} coins. How much for both?"
        )
        prompt = f"{question}\nEnd with a line 'Answer: ' and the number."
        right, luck = a + b, random.random()
        if luck < chance[level]:
            text, answer, kind = f"{a} + {b} = {right}\nAnswer: {right}", str(right), None
        elif luck < 0.93:
            wrong = right + random.choice((-10, -1, 1, 10))
            text, answer, kind = (
                f"Let us add the two numbers: {a} + {b} = {wrong}.\n\nAnswer: {wrong}",
                str(wrong),
                "wrong_answer",
            )
        else:
            text, answer, kind = "To solve this problem we need to add the numbers. " * 18, None, "no_answer"
        rows.append(
            row(
                "arithmetic", f"{template}-{index:03d}", prompt, groups={"difficulty": level, "template": template},
                answer=answer, outcome="fail" if kind else "pass", score=0.0 if kind else 1.0, error_class=kind,
                rule="answer_line" if answer else None, reason=f"expected {right}" if kind else None, **timed(text),
                readings={"strict-match": Share(0.0), "flexible-extract": Share(float(kind is None))},
            )
        )  # fmt: skip
    return rows


FUNCTIONS = (
    ("double", "easy", "return twice the number n", "def double(n):\n    return n * 2", "n + 2", ("double(2) == 4", "double(5) == 10", "double(-1) == -2")),
    ("is_even", "easy", "tell whether n is even", "def is_even(n):\n    return n % 2 == 0", "n / 2", ("is_even(2) is True", "is_even(3) is False", "is_even(0) is True")),
    ("last", "easy", "return the last element of a list, None if it is empty", "def last(items):\n    return items[-1] if items else None", "items[-1]", ("last([1, 2]) == 2", "last(['a']) == 'a'", "last([]) is None")),
    ("vowels", "medium", "count the vowels of a text, in both cases", "def vowels(text):\n    return sum(c in 'aeiou' for c in text.lower())", "text.count('aeiou')", ("vowels('abc') == 1", "vowels('AEI') == 3", "vowels('') == 0")),
    ("clamp", "medium", "limit n to the range low..high", "def clamp(n, low, high):\n    return max(low, min(n, high))", "min(n, high)", ("clamp(5, 0, 3) == 3", "clamp(-5, 0, 3) == 0", "clamp(2, 0, 3) == 2")),
    ("primes", "hard", "return all primes below n", "def primes(n):\n    return [p for p in range(2, n) if all(p % d for d in range(2, p))]", "list(range(n))", ("primes(10) == [2, 3, 5, 7]", "primes(2) == []", "primes(3) == [2]")),
)  # fmt: skip


def code(random: Random) -> list[SampleRow]:
    rows = []
    kinds = (
        "pass",
        "wrong",
        "no_code",
        "syntax",
        "wrong",
        "timeout",
        "pass",
        "void",
        "wrong",
        "runtime",
        "wrong",
        "wrong",
    )
    for index, kind in enumerate(kinds):
        name, level, what, good, bad, checks = FUNCTIONS[index % len(FUNCTIONS)]
        prompt = f"Write a Python function `{name}` that shall {what}.\nAnswer with one fenced code block."
        head = good.split("\n")[0]
        known: dict[str, object] = {
            "groups": {"difficulty": level},
            "tests_total": len(checks),
            "tests_passed": 0,
            "sandbox_s": 0.11 + random.random() / 50,
            "cpu_s": 0.02,
            "peak_mb": 9.5,
            "limits": Limits(),
        }
        known |= {"outcome": "fail", "score": 0.0, "rule": "entry_point"}
        text = f"Here is the function:\n\n```python\n{head}\n    return {bad}\n```"
        failed = tuple(TestResult(False, f"assert {check}", "AssertionError") for check in checks)
        if kind == "pass":
            text = f"```python\n{good}\n```"
            known |= {
                "outcome": "pass",
                "score": 1.0,
                "tests_passed": 3,
                "tests": tuple(TestResult(True, f"assert {check}") for check in checks),
            }
        elif kind == "wrong":
            first = TestResult(True, f"assert {checks[0]}")
            second = TestResult(
                False, f"assert {checks[1]}", f"AssertionError: {checks[1].split(' ')[0]} gave {random.randrange(9)}"
            )
            known |= {
                "error_class": "wrong_answer",
                "tests_passed": 1,
                "tests": (first, second, failed[2]),
                "exception": "AssertionError",
            }
        elif kind == "no_code":
            text = f"Sure! The function `{name}` is easy to write. " * 2
            known |= {
                "error_class": "no_code",
                "tests_total": None,
                "tests_passed": None,
                "sandbox_s": None,
                "cpu_s": None,
                "peak_mb": None,
                "limits": None,
                "reason": "no fenced block and no def statement",
            }
        elif kind == "syntax":
            text = f"```python\n{head}\n    retrun {bad}\n```\n\nNote: the | operator and <b>bold</b> are not used. ```"
            known |= {
                "error_class": "syntax_error",
                "exception": "SyntaxError",
                "tests": failed,
                "stderr": f'  File "program.py", line 2\n    retrun {bad}\n           ^\nSyntaxError: invalid syntax',
            }
        elif kind == "timeout":
            text = f"```python\n{head}\n    while True:\n        pass\n```"
            known |= {
                "error_class": "timeout",
                "tests": tuple(
                    TestResult(False, f"assert {check}", "more than 5 s of processor time") for check in checks
                ),
                "sandbox_s": 5.31,
                "cpu_s": 5.0,
            }
        elif kind == "runtime":
            text = f"```python\n{head}\n    return unknown(n)\n```"
            known |= {
                "error_class": "runtime_error",
                "exception": "NameError",
                "tests": tuple(
                    TestResult(False, f"assert {check}", "NameError: name 'unknown' is not defined") for check in checks
                ),
            }
        elif kind == "void":
            known |= {
                "outcome": "void",
                "score": None,
                "tests_total": None,
                "tests_passed": None,
                "sandbox_s": None,
                "cpu_s": None,
                "peak_mb": None,
                "limits": None,
                "reason": "the sandbox worker went away twice",
            }
        if kind not in ("no_code", "void"):
            known["answer"] = text.split("```python\n")[1].split("\n```")[0]
        rows.append(row("code_basics", f"{name}-{index // len(FUNCTIONS)}", prompt, **known, **timed(text)))
    return rows  # fmt: skip


def write(folder: Path) -> None:
    """The five files a run leaves before it is reported."""
    random = Random(135)
    rows = [*arithmetic(random), *code(random)]
    tasks = tuple(
        TaskLock(
            step=STEP, category=name, task=name, split="test", origin=f"data/{name}.test.jsonl", sha256=digest_text(name),
            items=tuple(row.id for row in rows if row.category == name),
            prompts=digest([row.prompt_sha256 for row in rows if row.category == name]),
            model=MODEL, policy="greedy", sampling=GREEDY, source="written for this example", license="Apache-2.0",
        )
        for name in ("arithmetic", "code_basics")
    )  # fmt: skip
    parts = {
        "weights": digest_text("weights"),
        "template": digest_text("template"),
        "dtype": "float32",
        "transformers": "5.23.0",
    }
    lock = Lock(
        spec=digest_text("spec"), tasks=tasks, models={MODEL: ModelLock(engine="transformers", parts=parts)},
        sandbox=digest_text("sandbox"), packages={"evalkit-spec": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
    )  # fmt: skip
    run = RunRecord(
        id="quickstart-example", name="quickstart", about="Does the whole path work on this machine, and what can a very small model do?",
        state="complete", void_budget=0.05, started="2026-01-01T00:00:00Z", finished="2026-01-01T00:01:00Z", seconds=60.0,
        command=("evalkit", "run", "specs/quickstart.yaml"), spec="specs/quickstart.yaml",
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(msgspec.json.format(msgspec.json.encode(run)) + b"\n")
    (folder / "evalkit.lock").write_bytes(msgspec.json.format(msgspec.json.encode(lock)) + b"\n")
    (folder / "samples.jsonl").write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


if __name__ == "__main__":
    write(Path(__file__).parent / "run_example")
