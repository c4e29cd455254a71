"""Writes mbpp_difficulty.csv: how hard each problem of MBPP is, by the answers of two other models.

Difficulty must come from elsewhere than the model that is measured: levels made of its own results say that it solves
what it solves. Here it comes from the verdicts that EvalPlus published for two models' greedy answers
(github.com/evalplus/evalplus at 7887006b2b7c7916d6da003df30a699126bc157d, Apache-2.0): both pass the base tests → easy,
one → medium, none → hard. EvalPlus has 378 of the problems; the others are `not rated`.

    python specs/data/make_mbpp_difficulty.py llama3_8b_instruct.jsonl.gz mistral_7b_instruct.jsonl.gz

The files have a row for each problem, with `task_id` and `published_base_pass`.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections import Counter
from pathlib import Path

_TARGET = Path(__file__).with_name("mbpp_difficulty.csv")
_LEVELS = {2: "easy", 1: "medium", 0: "hard"}
_TASKS = range(1, 975)


def main(paths: list[Path]) -> None:
    passes: Counter[int] = Counter()
    rated: set[int] = set()
    for path in paths:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for row in map(json.loads, stream):
                rated.add(row["task_id"])
                passes[row["task_id"]] += row["published_base_pass"]
    with _TARGET.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["task_id", "difficulty"])
        for task in _TASKS:
            writer.writerow([task, _LEVELS[passes[task]] if task in rated else "not rated"])


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
