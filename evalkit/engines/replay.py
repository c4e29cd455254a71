"""Recorded answers: rows with an item's id and the text that some model once gave.

`.jsonl` and `.json` (a list of objects), each also `.gz`. Rows of one id are its samples in the order of the file; of
one task and id, where `fields` says which field has the task, and of one turn, where it says which has the turn (a
number; the smallest in the file is the first turn). Several files are several runs: the k-th answer to an item is the
one of the k-th file.

`fields: {likelihoods: NAME}` names the field with recorded log-probabilities: a list of numbers, one for each option in
the order of the task. A row then has them, or a text, or both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evalkit.core.digest import digest
from evalkit.core.errors import DataError, SpecError
from evalkit.core.ports import Notify, Rendered
from evalkit.core.types import Completion, Fingerprint, Likelihood, Model, Prompt, Request, Void
from evalkit.engines.filedigest import cached_digest
from evalkit.engines.recorded import DEFAULT_FIELDS, FURTHER, KNOWN_FIELDS, Place, Recorded, RowReader
from evalkit.engines.recordings import open_rows, plain_name, reading

_FORMAT = "1"


class ReplayAdapter:
    """Registered as `replay`."""

    isolated = False
    recorded = True
    remote = False

    def fingerprint(self, model: Model) -> Fingerprint:
        """The digests of the files and the names of their fields. Raises SpecError when one is not there."""
        paths = _files(model)
        parts = {"format": _FORMAT}
        for number, path in enumerate(paths, 1):
            with reading(path):
                parts["file" if len(paths) == 1 else f"file {number}"] = cached_digest(path)
        return Fingerprint("replay", parts | {f"field {name}": field for name, field in _fields(model).items()}, True)

    def count_tokens(self, model: Model, prompts: Sequence[Prompt]) -> list[int] | None:
        return None

    def rendered(self, model: Model, prompt: Prompt) -> Rendered | None:
        return None

    def check_weighing(self, model: Model) -> None:
        """Raises SpecError unless `fields` says where the recorded log-probabilities are, in the only file: what is
        weighed is asked once, so nothing would read a second one."""
        if "likelihoods" not in _fields(model):
            raise SpecError(
                f"model '{model.name}' has recorded answers only, and a task wants its options weighed",
                hint="name the field with the log-probabilities, one for each option: fields: {likelihoods: logprobs}",
            )
        if len(_files(model)) > 1:
            raise SpecError(
                f"model '{model.name}' has {len(_files(model))} files of recorded answers, and a task wants its "
                "options weighed: that is done once, so only the first file would be read",
                hint="make each file a model of its own",
            )

    def check_format(self, model: Model, schemas: Sequence[str]) -> dict[str, str]:
        """Recorded answers are what they are, whatever they should have been."""
        return {}

    def batched(self, model: Model, answers: int) -> Model:
        """What is read is the same in any number."""
        return model

    def open(self, model: Model, notify: Notify) -> ReplayEngine:
        """Find every row.

        Raises DataError with file, line and field for what cannot be read, for a row that has no id, or neither a text
        nor likelihoods, for a field that no row has, and when there is no row at all.
        """
        paths, fields = _files(model), _fields(model)
        return ReplayEngine([_Recording(path, fields, alone=len(paths) == 1) for path in paths])


class ReplayEngine:
    """Answers from files. What they do not hold is Void."""

    def __init__(self, recordings: Sequence[_Recording]) -> None:
        self._recordings = recordings

    def generate(self, requests: Sequence[Request]) -> Iterator[Completion | Void]:
        """Recorded answers in the order of the files, after what is Void.

        Raises SpecError for a later turn where no field says which turn a row is of.
        """
        found: list[list[tuple[int, Request]]] = [[] for _ in self._recordings]
        for request in requests:
            number, index = (0, request.index) if len(self._recordings) == 1 else (request.index, 0)
            if number >= len(self._recordings):
                reason = f"no recorded answer {number + 1}: there are {len(self._recordings)} files"
                yield Void(request.key, reason, "engine")
                continue
            place = self._recordings[number].place(request, index)
            if isinstance(place, str):
                yield Void(request.key, place, "engine")
            else:
                found[number].append((place, request))
        for recording, places in zip(self._recordings, found, strict=True):
            yield from recording.answers(sorted(places, key=lambda pair: pair[0]))

    def close(self) -> None:
        self._recordings = ()


class _Recording:
    """One file. `alone`: its rows of one id are samples; otherwise it is one run of several, and has an id once."""

    def __init__(self, path: Path, fields: dict[str, str], *, alone: bool) -> None:
        self._path = path
        self._rows = open_rows(path)
        self._fields = fields
        self._reader = RowReader(path, fields)
        self._places: dict[Place, list[int]] = {}
        for line, place, raw in self._rows.scan():
            row = self._reader.row(raw, line)
            self._reader.answer(row, line)
            name = self._reader.place(row, line)
            places = self._places.setdefault(name, [])
            if places and not alone:
                hint = "several files are several runs, each with one answer to an item"
                raise self._reader.error(line, f"is a second answer to item '{name.item}'", hint=hint)
            places.append(place)
        self._first_turn = min((name.turn for name in self._places), default=0)
        self._check_seen()

    def _check_seen(self) -> None:
        where = str(self._path)
        if not self._places:
            raise DataError("there is not a single row", hint="give the file with the recorded answers", where=where)
        for name in ("likelihoods", *FURTHER):
            if name in self._fields and name not in self._reader.seen:
                message = f"no row has a field '{self._fields[name]}', which `fields.{name}` names"
                raise DataError(message, hint="`a.b` is the field b of what the field a holds", where=where)

    def place(self, request: Request, index: int) -> int | str:
        """Where the answer stands, or why there is none."""
        places = self._places.get(self._asked(request), [])
        if index < len(places):
            return places[index]
        item = f"item '{request.item}'" + (f" of task '{request.task}'" if "task" in self._fields else "")
        item += f", turn {request.turn + 1}" if "turn" in self._fields else ""
        if not places:
            return f"no recorded answer for {item} in {self._path.name}"
        return f"no recorded answer {index + 1} for {item}: {self._path.name} has {len(places)}"

    def answers(self, places: Sequence[tuple[int, Request]]) -> Iterator[Completion | Void]:
        """The answers at ascending places."""
        raws = self._rows.read([place for place, _ in places])
        for (_, request), raw in zip(places, raws, strict=True):
            yield _answered(request, self._reader.answer(self._reader.row(raw, 0), 0))

    def _asked(self, request: Request) -> Place:
        if request.turn and "turn" not in self._fields:
            raise SpecError(
                f"task '{request.task}' asks several turns, and nothing says which of them a row of {self._path.name} "
                "answers",
                hint="name the field that holds the turn's number: {file: ..., fields: {turn: turn}}",
            )
        task = request.task if "task" in self._fields else ""
        return Place(task, request.item, request.turn + self._first_turn)


def _answered(request: Request, recorded: Recorded) -> Completion | Void:
    known, wanted = recorded.likelihoods, len(request.continuations)
    if wanted and len(known) != wanted:
        has = f"{len(known)} recorded log-probabilities" if known else "no recorded log-probabilities"
        return Void(request.key, f"{has} for the {wanted} options of item '{request.item}'", "engine")
    if not wanted and recorded.text is None:
        return Void(request.key, f"no recorded text for item '{request.item}', only log-probabilities", "engine")
    return Completion(
        key=request.key,
        text="" if wanted or recorded.text is None else recorded.text,
        finish_reason="recorded" if wanted else recorded.finish_reason,
        effective=None,
        prompt_sha256=digest(request.prompt),
        prompt_tokens=recorded.prompt_tokens,
        completion_tokens=None if wanted else recorded.completion_tokens,
        seconds=recorded.seconds,
        mean_logprob=None if wanted else recorded.logprob,
        likelihoods=tuple(map(Likelihood, known)) if wanted else (),
        reward=recorded.reward,
    )


def _files(model: Model) -> list[Path]:
    named = model.source.get("file")
    names = [named] if isinstance(named, str) else named
    if not names:
        raise SpecError(f"model '{model.name}' names no file of recorded answers", hint="add file: samples.jsonl")
    return [_file(name) for name in names]


def _file(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise SpecError(f"the recorded answers {path} are not there", hint="check the path of model.file")
    if not plain_name(path).endswith((".json", ".jsonl")):
        raise SpecError(f"{path.name} is no kind of file known here", hint="known: .jsonl, .json, and both with .gz")
    return path


def _fields(model: Model) -> dict[str, str]:
    given = model.source.get("fields") or {}
    unknown = sorted(set(given) - set(KNOWN_FIELDS))
    if unknown:
        raise SpecError(
            f"recorded answers have no field called '{unknown[0]}'", hint=f"known: {', '.join(KNOWN_FIELDS)}"
        )
    return DEFAULT_FIELDS | given


ADAPTER = ReplayAdapter()
