"""`evalkit init`: a first spec with ten toy samples and recorded answers, which runs at once and without a model."""

from __future__ import annotations

import json
from pathlib import Path

from evalkit.core.errors import SpecError
from evalkit.fetch.cache import write_file

_SPEC = """\
# yaml-language-server: $schema=./evalkit.schema.json
# A first spec. It scores ten recorded answers, so it needs no model, no GPU and no network:
#     evalkit run first.yaml
evalkit: 1
name: first
about: Which of ten capitals does the recorded model know?

models:
  # Recorded answers, one JSON object a line. To ask a real model instead, write for example
  #     model: smollm2-135m          (ships with evalkit, runs on a CPU)
  #     model: org/name              (a model on a hub)
  recorded: {engine: replay, file: answers.jsonl, fields: {id: id, text: answer}}

tasks:
  capitals:
    about: Ten capitals, made for this example.
    license: CC0-1.0
    source: written by `evalkit init`
    category: knowledge
    data: [{file: capitals.jsonl}]
    id: '{{ id }}'
    prompt: |
      What is the capital of {{ country }}? Answer with the name only.
    score: {exact: {answer: '{{ capital }}', ignore_case: true}}
    max_tokens: 16

suites:
  geography: [capitals]

steps:
  bench: {bench: geography, model: recorded, policy: greedy}
"""
_CAPITALS = (
    ("France", "Paris", "Paris"),
    ("Japan", "Tokyo", "Tokyo"),
    ("Kenya", "Nairobi", "nairobi"),
    ("Peru", "Lima", "Lima"),
    ("Canada", "Ottawa", "Toronto"),
    ("Australia", "Canberra", "Sydney"),
    ("Egypt", "Cairo", "Cairo"),
    ("Norway", "Oslo", "Oslo"),
    ("Turkey", "Ankara", "Istanbul"),
    ("India", "New Delhi", "New Delhi"),
)


def write_starter(folder: Path) -> list[Path]:
    """Write the files into `folder`. Raises SpecError when one is there already (nothing is
    overwritten), and where nothing can be written.
    """
    from evalkit.spec.schemas import schema_document

    items = [{"id": str(n), "country": country, "capital": capital} for n, (country, capital, _) in _numbered()]
    answers = [{"id": str(n), "answer": answer} for n, (_, _, answer) in _numbered()]
    files = {
        "first.yaml": _SPEC,
        "capitals.jsonl": _lines(items),
        "answers.jsonl": _lines(answers),
        "evalkit.schema.json": json.dumps(schema_document("spec"), indent=2) + "\n",
    }
    paths = [folder / name for name in files]
    for path in paths:
        if _is_there(path):
            raise SpecError(f"{path} is there already", hint="give an empty folder: evalkit init FOLDER")
    try:
        for path, content in zip(paths, files.values(), strict=True):
            write_file(path, content.encode())
    except OSError as error:
        hint = "name a folder that you may write to: evalkit init FOLDER"
        raise SpecError(f"{folder} cannot be written: {error.strerror}", hint=hint) from error
    return paths


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that may not be looked into: writing says what is wrong with it
        return False


def _numbered() -> list[tuple[int, tuple[str, str, str]]]:
    return list(enumerate(_CAPITALS, start=1))


def _lines(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
