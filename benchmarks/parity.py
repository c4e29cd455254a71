"""Parity with lm-eval: the same model, rows and prompts through both, sample by sample, and both wall times.

    python benchmarks/parity.py --peer PYTHON --data DIR [--only gsm8k ...] [--batch 16] [--items 1.0]

`--peer` is the Python of an environment with lm-eval 0.4 and its extra `hf`; `--data` is a folder with the published
files (`gsm8k/test.jsonl.gz`, `arc_challenge/test.jsonl.gz`, `mmlu/test.jsonl.gz`, `mmlu/dev.jsonl.gz`). Nothing is
fetched but the embedded model, where it is not there yet.

- gsm8k          50 seeded questions, zero-shot `Question: ... Answer:`, greedy, at most 128 tokens: texts
- arc_challenge  100 seeded questions, zero-shot, log-likelihood of the options' texts: log-likelihoods, acc, acc_norm
- mmlu           one subject, five-shot from dev in its order, log-likelihood of the letters: log-likelihoods, acc

Each side makes its prompts by its own templates from the rows; they are compared too. lm-eval's task files are written
here after its own ones, with the rows as local JSON. A wall time goes from rows to scores with the model loaded, on as
many threads; the sides take turns, never at once. lm-eval runs with the batch size of `--batch`; evalkit sizes its own
batches.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from evalkit.core.types import Completion, Sample, Score
from evalkit.engines import device
from evalkit.engines.transformers import ADAPTER, TransformersEngine
from evalkit.plan import Sources, make
from evalkit.run.store import SqliteStore
from evalkit.spec.load import load_spec
from evalkit.steps.bench import cells

_CLOSE = 1e-3
_MAX_TOKENS = 128
_SUBJECT = "abstract_algebra"
_GSM8K_STOP = ["Question:", "</s>", "<|im_end|>"]
_SPEC = f"""\
evalkit: 1
model: smollm2-135m
policy: {{greedy: true, max_tokens: {_MAX_TOKENS}}}
suite: {{it: {{task: TASK SAMPLE}}}}
tasks:
  plain_gsm8k:
    data: [{{file: gsm8k/test.jsonl.gz}}]
    id: '{{{{ question | digest }}}}'
    text: |-
      Question: {{{{ question }}}}
      Answer:
    stop: {json.dumps(_GSM8K_STOP)}
    score: {{number: {{answer: '{{{{ answer.split("####")[-1] }}}}', rules: flexible-extract}}}}
  one_subject:
    data: {{test: [{{file: ONE_SUBJECT}}], dev: [{{file: mmlu/dev.jsonl.gz}}]}}
    id: '{{{{ subject }}}}/{{{{ i }}}}'
    intro: 'The following are multiple choice questions (with answers) about {{{{ subject | replace("_", " ") }}}}.'
    text: |-
      {{{{ question | trim }}}}
      A. {{{{ choices[0] }}}}
      B. {{{{ choices[1] }}}}
      C. {{{{ choices[2] }}}}
      D. {{{{ choices[3] }}}}
      Answer:
    shots: {{n: 5, split: dev, pick: first, same: subject, answer: ' {{{{ "ABCD"[answer] }}}}'}}
    score: {{choice: {{options: choices, answer: answer, continuation: ' {{{{ label }}}}'}}}}
"""
_INTRO = f"The following are multiple choice questions (with answers) about {_SUBJECT.replace('_', ' ')}.\n\n"
_OPTIONS = "".join(f"{letter}. {{{{choices[{place}]}}}}\n" for place, letter in enumerate("ABCD"))
_PEER_TASKS: dict[str, dict[str, Any]] = {
    "gsm8k": {
        "output_type": "generate_until",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": _GSM8K_STOP, "do_sample": False, "max_gen_toks": _MAX_TOKENS},
        "filter_list": [
            {
                "name": "flexible-extract",
                "filter": [
                    {"function": "regex", "group_select": -1, "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)"},
                    {"function": "take_first"},
                ],
            }
        ],
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": True,
                "regexes_to_ignore": [",", r"\$", "(?s).*#### ", r"\.$"],
            }
        ],
    },
    "arc_challenge": {
        "output_type": "multiple_choice",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_target": "{{labels.index(answerKey)}}",
        "doc_to_choice": "{{choices}}",
        "metric_list": [
            {"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("acc", "acc_norm")
        ],
    },
    "mmlu": {
        "output_type": "multiple_choice",
        "description": _INTRO,
        "doc_to_text": "{{question.strip()}}\n" + _OPTIONS + "Answer:",
        "doc_to_choice": ["A", "B", "C", "D"],
        "doc_to_target": "answer",
        "fewshot_split": "dev",
        "fewshot_config": {"sampler": "first_n"},
        "num_fewshot": 5,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    },
}


class Suite(NamedTuple):
    """What is compared: evalkit's task, how many items are drawn (None: all)."""

    task: str
    items: int | None


SUITES = {
    "gsm8k": Suite("plain_gsm8k", 50),
    "arc_challenge": Suite("arc_challenge", 100),
    "mmlu": Suite("one_subject", None),
}


class Ours(NamedTuple):
    """evalkit's half of a suite."""

    samples: list[Sample]
    completions: list[Completion]
    scores: list[Score]
    continuations: list[tuple[str, ...]]
    seconds: float


def ours(name: str, engine: TransformersEngine, data: Path, scratch: Path, share: float) -> Ours:
    """Rows to scores, in this process, with a model that is loaded."""
    suite = SUITES[name]
    items = "" if suite.items is None else f", sample: {max(1, round(suite.items * share))}"
    text = _SPEC.replace("TASK SAMPLE", suite.task + items)
    subject = scratch / "subject.jsonl"
    if name == "mmlu":
        rows = [row for row in _rows(data / "mmlu/test.jsonl.gz") if row["subject"] == _SUBJECT]
        kept = rows[: max(1, round(len(rows) * share))]
        subject.write_text("".join(json.dumps(row) + "\n" for row in kept))
    (scratch / f"{name}.yaml").write_text(text.replace("ONE_SUBJECT", str(subject)))
    loaded = load_spec(scratch / f"{name}.yaml")
    if loaded.spec is None:
        raise SystemExit("\n".join(map(str, loaded.diagnostics)))
    began = time.perf_counter()
    store = SqliteStore(scratch / f"store-{name}")
    (step,) = make(loaded.spec, Sources(store, print, folders=(data,))).steps
    (arm,) = step.work.arms
    places = list(cells(step.work, arm))
    found = {answer.key: answer for answer in engine.generate([cell.request for cell in places])}
    completions = [found[cell.request.key] for cell in places]
    wrong = [one for one in completions if not isinstance(one, Completion)]
    if wrong:
        raise SystemExit(f"evalkit could not answer: {wrong[0]}")
    scores = [arm.scorer.score(cell.sample, one, None) for cell, one in zip(places, completions, strict=True)]
    seconds = time.perf_counter() - began
    store.close()
    return Ours(
        [cell.sample for cell in places], completions, scores, [cell.request.continuations for cell in places], seconds
    )


def theirs(name: str, half: Ours, data: Path, scratch: Path) -> None:
    """Write lm-eval's task: its own templates over the rows that evalkit drew."""
    place = scratch / f"{name}.jsonl"
    rows = [{**sample.row, "place": number} for number, sample in enumerate(half.samples)]
    place.write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {"test": str(place)}
    if name == "mmlu":
        dev = [{**row, "place": -1} for row in _rows(data / "mmlu/dev.jsonl.gz") if row["subject"] == _SUBJECT]
        (scratch / "dev.jsonl").write_text("".join(json.dumps(row) + "\n" for row in dev))
        files["dev"] = str(scratch / "dev.jsonl")
    task = {
        "task": f"parity_{name}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": files},
        "test_split": "test",
        **_PEER_TASKS[name],
    }
    (scratch / "tasks").mkdir(exist_ok=True)
    (scratch / "tasks" / f"{name}.yaml").write_text(json.dumps(task))  # JSON is YAML


def compare(name: str, half: Ours, peer: dict[str, Any]) -> str:
    """One line of the table."""
    found = {sample["place"]: sample for sample in peer["samples"]}
    same = lambda check: sum(bool(check(number, found[number])) for number in range(len(half.samples)))  # noqa: E731
    prompts = same(
        lambda number, other: (
            {half.samples[number].prompt.text} == set(other["asked"])
            and half.continuations[number] in ((), tuple(other["weighed"]))
        )
    )
    total = len(half.samples)
    if name == "gsm8k":
        answers = same(lambda number, other: half.completions[number].text == other["answers"][0])
        agreement = f"{answers} of {total} texts equal"
        verdicts = same(lambda number, other: half.scores[number].value == other["metrics"]["exact_match"])
        metrics = f"exact_match {_mean(half, _value):.4f} / {_peer_mean(peer, 'exact_match'):.4f}"
    else:
        differences = [
            abs(known.logprob - float(given[0]))
            for number in range(total)
            for known, given in zip(half.completions[number].likelihoods, found[number]["answers"], strict=True)
        ]
        close = sum(difference < _CLOSE for difference in differences)
        agreement = f"{close} of {len(differences)} within 1e-3, largest difference {max(differences):.1e}"
        own = "acc_norm" if name == "arc_challenge" else "acc"
        verdicts = same(lambda number, other: half.scores[number].value == other["metrics"][own])
        metrics = f"{own} {_mean(half, _value):.4f} / {_peer_mean(peer, own):.4f}"
        if own == "acc_norm":
            metrics += f", acc {_mean(half, _reading):.4f} / {_peer_mean(peer, 'acc'):.4f}"
    times = f"{half.seconds:.1f} s | {peer['seconds']:.1f} s | {peer['seconds'] / half.seconds:.2f}"
    return f"| {name} | {prompts} of {total} | {agreement} | {verdicts} of {total} | {metrics} | {times} |"


def _value(score: Score) -> float:
    return score.value or 0.0


def _reading(score: Score) -> float:
    return score.readings["acc"].part


def _mean(half: Ours, read: Callable[[Score], float]) -> float:
    return sum(map(read, half.scores)) / len(half.scores)


def _peer_mean(peer: dict[str, Any], metric: str) -> float:
    return sum(sample["metrics"][metric] for sample in peer["samples"]) / len(peer["samples"])


def _rows(path: Path) -> list[dict[str, Any]]:
    import gzip

    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def differing(name: str, half: Ours, peer: dict[str, Any]) -> list[str]:
    """Of texts that differ: where, and how they go on from there."""
    found = {sample["place"]: sample for sample in peer["samples"]}
    lines = []
    for number, one in enumerate(half.completions):
        other = found[number]["answers"][0]
        if name == "gsm8k" and one.text != other:
            at = next((place for place, pair in enumerate(zip(one.text, other, strict=False)) if pair[0] != pair[1]), 0)
            at = at or min(len(one.text), len(other))
            lines.append(
                f"{name} {number}: equal for {at} characters, then {one.text[at : at + 30]!r} / {other[at : at + 30]!r}"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=list(SUITES))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--items", type=float, default=1.0, help="a share of the items, for a first try")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "spec.yaml").write_text(
            _SPEC.replace("TASK SAMPLE", "plain_gsm8k").replace("ONE_SUBJECT", "none.jsonl")
        )
        loaded = load_spec(scratch / "spec.yaml")
        if loaded.spec is None:
            raise SystemExit("\n".join(map(str, loaded.diagnostics)))
        engine = ADAPTER.open(loaded.spec.models["smollm2-135m"], print)
        halves = {}
        for name in given.only:
            halves[name] = ours(name, engine, given.data, scratch, given.items)
            theirs(name, halves[name], given.data, scratch)
            print(f"evalkit: {name} {halves[name].seconds:.1f} s", file=sys.stderr, flush=True)
        place = engine.sampler.model.config._name_or_path
        engine.close()
        peer = _run_peer(given, scratch, place)
    versions = {**peer["versions"], "evalkit-spec": version("evalkit-spec")}
    print("versions: " + ", ".join(f"{name} {number}" for name, number in sorted(versions.items())))
    print("\n| suite | prompts equal | answers | verdicts equal | evalkit / lm-eval | evalkit | lm-eval | ratio |")
    print("| :-- | --: | :-- | --: | :-- | --: | --: | --: |")
    for name, half in halves.items():
        print(compare(name, half, peer["tasks"][f"parity_{name}"]))
    for name, half in halves.items():
        print("\n".join(differing(name, half, peer["tasks"][f"parity_{name}"])))


def _run_peer(given: argparse.Namespace, scratch: Path, model: str) -> dict[str, Any]:
    job = {
        "model": model,
        "tasks_folder": str(scratch / "tasks"),
        "tasks": [f"parity_{name}" for name in given.only],
        "batch": given.batch,
        "threads": device.usable_cores(),
    }
    (scratch / "job.json").write_text(json.dumps(job))
    script = Path(__file__).with_name("parity_peer.py")
    command = [given.peer, str(script), str(scratch / "job.json"), str(scratch / "result.json")]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(scratch / "datasets"), "PYTHONPATH": ""}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(f"lm-eval failed:\n{ended.stderr[-3000:]}")
    result: dict[str, Any] = json.loads((scratch / "result.json").read_text())
    return result


if __name__ == "__main__":
    main()
