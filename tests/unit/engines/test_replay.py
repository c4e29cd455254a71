"""Recorded answers: every kind of file, and what is wrong with a file is said with its line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Completion, Fingerprint, Likelihood, Model, Prompt, Request, SamplingParams, Void
from evalkit.engines.replay import ADAPTER

ROWS = [
    {"task_id": "a/1", "completion": "first"},
    {"task_id": 7, "completion": "seven\n🎈"},
    {"task_id": "a/1", "completion": "second"},
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALKIT_CACHE", str(tmp_path / "cache"))


def written(folder: Path, name: str, rows: list[dict[str, object]] | str) -> Path:
    if isinstance(rows, str):
        text = rows
    elif ".jsonl" in name:
        text = "\n".join(["", *(json.dumps(row) for row in rows), ""])
    else:
        text = json.dumps(rows, indent=1)
    path = folder / name
    content = text.encode()
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    return path


def recorded(path: Path, **fields: str) -> Model:
    return Model("recorded", "replay", {"file": str(path), **({"fields": fields} if fields else {})})


def asked(*places: tuple[str, int]) -> list[Request]:
    return [Request(f"{item}-{index}", "t", item, Prompt(text="?"), SamplingParams(), index) for item, index in places]


def answers(model: Model, *places: tuple[str, int]) -> dict[str, Completion | Void]:
    engine = ADAPTER.open(model, lambda text: None)
    found = {answer.key: answer for answer in engine.generate(asked(*places))}
    engine.close()
    return found


@pytest.mark.parametrize("name", ["samples.jsonl", "samples.jsonl.gz", "samples.json", "samples.json.gz"])
def test_reads_every_kind_of_file(tmp_path: Path, name: str) -> None:
    """Rows of one id are its samples in order; ids are compared as texts; the order of asking does not matter."""
    model = recorded(written(tmp_path, name, ROWS))
    found = answers(model, ("a/1", 1), ("7", 0), ("a/1", 0))
    texts = {key: answer.text for key, answer in found.items() if isinstance(answer, Completion)}
    assert texts == {"a/1-0": "first", "a/1-1": "second", "7-0": "seven\n🎈"}


def test_says_that_it_was_recorded(tmp_path: Path) -> None:
    """Nobody knows with which parameters these answers were made."""
    found = answers(recorded(written(tmp_path, "s.jsonl", ROWS)), ("7", 0))["7-0"]
    assert isinstance(found, Completion)
    assert (found.finish_reason, found.effective, found.seconds) == ("recorded", None, None)


def test_what_was_not_recorded_is_void(tmp_path: Path) -> None:
    """Neither a missing item nor a missing sample is a wrong answer."""
    found = answers(recorded(written(tmp_path, "s.jsonl", ROWS)), ("a/2", 0), ("a/1", 2), ("a/1", 0))
    reasons = {key: answer.reason for key, answer in found.items() if isinstance(answer, Void)}
    assert reasons == {
        "a/2-0": "no recorded answer for item 'a/2' in s.jsonl",
        "a/1-2": "no recorded answer 3 for item 'a/1': s.jsonl has 2",
    }
    assert isinstance(found["a/1-0"], Completion)


def test_fields_can_be_named(tmp_path: Path) -> None:
    """Files of other tools keep their own names."""
    path = written(tmp_path, "s.jsonl", [{"id": 1, "output": "out", "completion": "other"}])
    found = answers(recorded(path, id="id", text="output"), ("1", 0))["1-0"]
    assert isinstance(found, Completion)
    assert found.text == "out"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ('{"task_id": 1, "completion": "x"}\n{"task_id": 2}\n', 2, "the row has no field 'completion'"),
        ('{"completion": "x"}\n', 1, "the row has no field 'task_id'"),
        ('\n{"task_id": 1, "completion": null}\n', 2, "the row field 'completion' is not a text"),
        ('{"task_id": [1], "completion": "x"}\n', 1, "the row field 'task_id' is no id"),
        ('{"task_id": 1, "completion": "x"}\n{"task_id": 2, "compl', 2, "the row is not a JSON object"),
        ("[1]\n", 1, "the row is not a JSON object"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, content: str, line: int, message: str) -> None:
    """File, line and field, before anything is answered."""
    path = written(tmp_path, "s.jsonl", content)
    with pytest.raises(DataError) as caught:
        ADAPTER.open(recorded(path), lambda text: None)
    assert str(caught.value).startswith(f"{path}:{line}: {message}")


def test_a_list_file_must_be_a_list(tmp_path: Path) -> None:
    """JSON lines with the wrong name are told apart."""
    path = written(tmp_path, "s.json", '{"task_id": 1}\n{"task_id": 2}')
    with pytest.raises(DataError, match="is not a JSON list"):
        ADAPTER.open(recorded(path), lambda text: None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "names no file"),
        ({"file": "absent.jsonl"}, "are not there"),
        ({"file": __file__}, "no kind of file"),
    ],
)
def test_a_bad_source_is_named(source: dict[str, str], message: str) -> None:
    """A file that cannot be used is a mistake of the spec."""
    with pytest.raises(SpecError, match=message):
        ADAPTER.fingerprint(Model("recorded", "replay", source))


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    """A misspelt mapping does not pass in silence."""
    with pytest.raises(SpecError, match="no field called 'txt'"):
        ADAPTER.fingerprint(recorded(written(tmp_path, "s.jsonl", ROWS), txt="completion"))


def test_the_fingerprint_follows_file_and_fields(tmp_path: Path) -> None:
    """Content counts, the path does not; answers belong to items."""
    first = ADAPTER.fingerprint(recorded(written(tmp_path, "s.jsonl", ROWS)))
    assert first == ADAPTER.fingerprint(recorded(written(tmp_path, "same.jsonl", ROWS)))
    assert first.by_item
    others: list[Fingerprint] = [
        ADAPTER.fingerprint(recorded(written(tmp_path, "less.jsonl", ROWS[:1]))),
        ADAPTER.fingerprint(recorded(tmp_path / "s.jsonl", text="output")),
    ]
    assert first not in others


@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz", "s.json", "s.json.gz"])
def test_a_byte_order_mark_is_skipped(tmp_path: Path, name: str) -> None:
    """Some editors write one; the first row is found all the same, and nothing of the mark is in it."""
    rows = ROWS if ".jsonl" not in name else "\n".join(json.dumps(row) for row in ROWS)
    text = rows if isinstance(rows, str) else json.dumps(rows)
    found = answers(recorded(written(tmp_path, name, "\ufeff" + text)), ("a/1", 0), ("a/1", 1), ("7", 0))
    texts = {key: answer.text for key, answer in found.items() if isinstance(answer, Completion)}
    assert {"a/1-0": "first", "a/1-1": "second", "7-0": "seven\n🎈"} == texts


@pytest.mark.parametrize(
    ("name", "place", "hint"),
    [
        ("cut.jsonl.gz", ":4", "cut off or damaged"),
        ("cut.json.gz", "", "cut off or damaged"),
        ("plain.jsonl.gz", ":1", "take .gz off its name"),
        ("plain.json.gz", "", "take .gz off its name"),
        ("noise.jsonl.gz", ":1", "cut off or damaged"),
    ],
)
def test_a_packed_file_that_cannot_be_unpacked_is_named(tmp_path: Path, name: str, place: str, hint: str) -> None:
    """Cut off, not packed at all, or damaged inside: file, place and what to do, never a bare exception."""
    path = written(tmp_path, name, ROWS)
    whole = path.read_bytes()
    damaged = {"cut": whole[:-12], "plain": gzip.decompress(whole), "noise": whole[:10] + b"\xff" * 40}
    path.write_bytes(damaged[name.split(".")[0]])
    with pytest.raises(DataError, match="cannot be read") as caught:
        ADAPTER.open(recorded(path), lambda text: None)
    assert f"{path}{place}" == caught.value.where
    assert hint in caught.value.hint


def test_says_how_far_a_cut_file_could_be_read(tmp_path: Path) -> None:
    """A file that breaks off after many rows names a line past the first."""
    path = written(tmp_path, "s.jsonl.gz", [{"task_id": n, "completion": f"{n * 7919:x}" * 40} for n in range(5000)])
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError) as caught:
        ADAPTER.open(recorded(path), lambda text: None)
    assert 1000 < int(caught.value.where.rpartition(":")[2]) <= 5001


def test_a_file_that_is_damaged_after_it_was_opened_is_named(tmp_path: Path) -> None:
    """The second reading is guarded like the first."""
    path = written(tmp_path, "s.jsonl.gz", ROWS)
    engine = ADAPTER.open(recorded(path), lambda text: None)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="cannot be read") as caught:
        list(engine.generate(asked(("a/1", 1))))
    assert str(path) == caught.value.where


@pytest.mark.parametrize(
    ("content", "line", "message", "hint"),
    [
        (b'{"task_id": 1, "completion": "x"}\n{"task_id": 2, "completion": "caf\xe9"}\n', 2, "completion", "as UTF-8"),
        (b'{"task_id": "\xe9", "completion": "x"}\n', 1, "task_id", "as UTF-8"),
        (b'{"task_id": 1, "completion": "x"}\n{"caf\xe9": 2}\n', 2, "not a JSON object", "as UTF-8"),
        (b'{"task_id": ' + b"1" * 5000 + b', "completion": "x"}\n', 1, "task_id", "as a text"),
        (
            b'{"task_id": ' + b"[" * 100_000 + b"]" * 100_000 + b', "completion": "x"}\n',
            1,
            "the row",
            "name the fields",
        ),
    ],
)
def test_a_value_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes, line: int, message: str, hint: str
) -> None:
    """Latin-1 texts, numbers and nesting without end: file, line, field and what to do."""
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        ADAPTER.open(recorded(path), lambda text: None)
    assert f"{path}:{line}" == caught.value.where
    assert hint in caught.value.hint


def test_a_list_file_in_latin_1_is_named(tmp_path: Path) -> None:
    """Its rows are counted where lines are not."""
    path = tmp_path / "s.json"
    path.write_bytes(b'[{"task_id": 1, "completion": "x"}, {"task_id": 2, "completion": "caf\xe9"}]')
    with pytest.raises(DataError, match="completion") as caught:
        ADAPTER.open(recorded(path), lambda text: None)
    assert (f"{path}:2", "save the file as UTF-8") == (caught.value.where, caught.value.hint)


@pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz", "s.json", "s.json.gz"])
@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff", "[]"])
def test_a_file_without_rows_is_refused(tmp_path: Path, name: str, content: str) -> None:
    """No rows is a wrong file, not many missing answers."""
    path = written(tmp_path, name, "" if content == "[]" and ".jsonl" in name else content)
    with pytest.raises(DataError, match="not a single row") as caught:
        ADAPTER.open(recorded(path), lambda text: None)
    assert str(path) == caught.value.where


def test_rows_of_another_task_answer_nothing(tmp_path: Path) -> None:
    """Where the file says its tasks, equal ids of two tasks are two items."""
    rows: list[dict[str, object]] = [
        {"suite": "other", "task_id": 1, "completion": "theirs"},
        {"suite": "t", "task_id": 1, "completion": "mine"},
        {"suite": "other", "task_id": 2, "completion": "theirs"},
    ]
    path = written(tmp_path, "s.jsonl", rows)
    found = answers(recorded(path, task="suite"), ("1", 0), ("1", 1), ("2", 0))
    assert {
        "1-0": "mine",
        "1-1": "no recorded answer 2 for item '1' of task 't': s.jsonl has 1",
        "2-0": "no recorded answer for item '2' of task 't' in s.jsonl",
    } == {key: answer.text if isinstance(answer, Completion) else answer.reason for key, answer in found.items()}


def test_a_row_without_its_task_is_named(tmp_path: Path) -> None:
    """A mapping that only some rows follow would lose the others in silence."""
    path = written(tmp_path, "s.jsonl", [{"suite": "t", "task_id": 1, "completion": "x"}, *ROWS])
    with pytest.raises(DataError, match="has no field 'suite'") as caught:
        ADAPTER.open(recorded(path, task="suite"), lambda text: None)
    assert f"{path}:3" == caught.value.where


def test_the_field_of_the_task_counts(tmp_path: Path) -> None:
    """Other rows answer with it than without."""
    path = written(tmp_path, "s.jsonl", ROWS)
    assert ADAPTER.fingerprint(recorded(path)) != ADAPTER.fingerprint(recorded(path, task="suite"))


def test_turns_are_told_apart(tmp_path: Path) -> None:
    """Counted from 0 or from 1; each with its samples in the order of the file."""
    for first in (0, 1):
        path = tmp_path / f"{first}.jsonl"
        lines = [{"task_id": "a", "turn": first + turn, "completion": f"{turn}.{n}"} for n in (0, 1) for turn in (0, 1)]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        engine = ADAPTER.open(Model("m", "replay", {"file": str(path), "fields": {"turn": "turn"}}), print)
        found = engine.generate([turn_request(turn, index) for turn in (0, 1, 2) for index in (0, 1)])
        answers = {answer.key: getattr(answer, "text", getattr(answer, "reason", "")) for answer in found}
        assert [answers[key] for key in ("0/0", "0/1", "1/0", "1/1")] == ["0.0", "0.1", "1.0", "1.1"]
        assert answers["2/0"] == f"no recorded answer for item 'a', turn 3 in {path.name}"


def test_turns_that_nothing_tells_apart_are_refused(tmp_path: Path) -> None:
    """The answer to the first question is not the answer to the second one."""
    path = tmp_path / "r.jsonl"
    path.write_text('{"task_id": "a", "completion": "x"}\n')
    engine = ADAPTER.open(Model("m", "replay", {"file": str(path)}), print)
    with pytest.raises(
        SpecError, match=r"task 't' asks several turns, and nothing says which of them a row of r.jsonl"
    ):
        list(engine.generate([turn_request(1, 0)]))
    path.write_text('{"task_id": "a", "completion": "x", "turn": "one"}\n')
    with pytest.raises(DataError, match="field 'turn' is not the number of a turn"):
        ADAPTER.open(Model("m", "replay", {"file": str(path), "fields": {"turn": "turn"}}), print)


def turn_request(turn: int, index: int) -> Request:
    return Request(f"{turn}/{index}", "t", "a", Prompt(text="?"), SamplingParams(), index, turn)


# -- what else was recorded, and several runs --------------------------------------------------------------------------

REPLY = {"usage": {"prompt_tokens": 12, "completion_tokens": 34.0}, "choices": [{"text": "x", "end": "length"}]}


def test_tokens_time_and_ending_are_read(tmp_path: Path) -> None:
    """A whole reply of a server is a row; a dotted name leads into it, a number in it into a list."""
    path = written(tmp_path, "s.jsonl", [{"task_id": 1, "reply": REPLY, "took": 1.5}, {"task_id": 2, "reply": REPLY}])
    fields = {
        "text": "reply.choices.0.text",
        "finish_reason": "reply.choices.0.end",
        "prompt_tokens": "reply.usage.prompt_tokens",
        "completion_tokens": "reply.usage.completion_tokens",
        "seconds": "took",
    }
    found = answers(recorded(path, **fields), ("1", 0), ("2", 0))
    seen = [
        (one.text, one.finish_reason, one.prompt_tokens, one.completion_tokens, one.seconds)
        for one in found.values()
        if isinstance(one, Completion)
    ]
    assert [("x", "length", 12, 34, 1.5), ("x", "length", 12, 34, None)] == seen


@pytest.mark.parametrize(
    ("word", "end"),
    [("stop", "stop"), ("length", "length"), ("max_tokens", "length"), ("tool_calls", "recorded"), (None, "recorded")],
)
def test_endings_in_the_words_of_servers(tmp_path: Path, word: str | None, end: str) -> None:
    """What is none of the two is not known."""
    path = written(tmp_path, "s.jsonl", [{"task_id": 1, "completion": "x", "end": word}])
    found = answers(recorded(path, finish_reason="end"), ("1", 0))["1-0"]
    assert isinstance(found, Completion)
    assert end == found.finish_reason


@pytest.mark.parametrize(
    ("row", "fields", "message"),
    [
        ({"took": "long"}, {"seconds": "took"}, "field 'took' is no number of 0 or more"),
        ({"took": -1}, {"seconds": "took"}, "field 'took' is no number of 0 or more"),
        ({"took": True}, {"seconds": "took"}, "field 'took' is no number of 0 or more"),
        ({"tokens": 1.5}, {"completion_tokens": "tokens"}, "field 'tokens' is no whole number"),
        ({"end": 1}, {"finish_reason": "end"}, "field 'end' is not a text"),
        ({"a": {"b": 1}}, {"seconds": "a.c"}, "no row has a field 'a.c', which `fields.seconds` names"),
        ({"a": 1}, {"seconds": "b"}, "no row has a field 'b', which `fields.seconds` names"),
        ({"logprobs": [-1]}, {"likelihoods": "logprob"}, "no row has a field 'logprob', which `fields.likelihoods` na"),
        ({"a": 1}, {"text": "a.b"}, "has no field 'a.b'"),
    ],
)
def test_a_bad_value_beside_the_answer_is_named(
    tmp_path: Path, row: dict[str, object], fields: dict[str, str], message: str
) -> None:
    """A misspelt name would lose a column in silence."""
    path = written(tmp_path, "s.jsonl", [{"task_id": 1, "completion": "x", **row}])
    with pytest.raises(DataError, match=message):
        ADAPTER.open(recorded(path, **fields), lambda text: None)


def runs_of(*paths: Path) -> Model:
    return Model("recorded", "replay", {"file": [str(path) for path in paths]})


def test_several_files_are_several_runs(tmp_path: Path) -> None:
    """The k-th answer is that of the k-th file, also where another file lacks the item."""
    first = written(tmp_path, "1.jsonl", [{"task_id": 1, "completion": "a"}, {"task_id": 2, "completion": "b"}])
    second = written(tmp_path, "2.json", [{"task_id": 2, "completion": "c"}])
    third = written(tmp_path, "3.jsonl.gz", [{"task_id": 2, "completion": "e"}, {"task_id": 1, "completion": "d"}])
    model = runs_of(first, second, third)
    found = answers(model, *((item, index) for item in ("1", "2") for index in range(4)))
    assert {
        "1-0": "a",
        "1-1": "no recorded answer for item '1' in 2.json",
        "1-2": "d",
        "1-3": "no recorded answer 4: there are 3 files",
        "2-0": "b",
        "2-1": "c",
        "2-2": "e",
        "2-3": "no recorded answer 4: there are 3 files",
    } == {key: answer.text if isinstance(answer, Completion) else answer.reason for key, answer in found.items()}
    assert ADAPTER.fingerprint(model) != ADAPTER.fingerprint(runs_of(second, first, third))


def test_a_run_has_one_answer_to_an_item(tmp_path: Path) -> None:
    """Otherwise nobody could say which of them belongs to the run."""
    model = runs_of(written(tmp_path, "1.jsonl", ROWS), written(tmp_path, "2.jsonl", ROWS[:1]))
    with pytest.raises(DataError, match="is a second answer to item 'a/1'"):
        ADAPTER.open(model, lambda text: None)


WEIGHED = [
    {"id": "a", "logprobs": [-1.5, -2, 0]},
    {"id": "b", "text": "only words"},
    {"id": "c", "text": "both", "logprobs": [-3.25, -1]},
]
FIELDS = {"id": "id", "text": "text", "likelihoods": "logprobs"}


def test_recorded_log_probabilities(tmp_path: Path) -> None:
    """One for each option; a row may have them, a text, or both, and what it lacks is void with a reason."""
    engine = ADAPTER.open(recorded(written(tmp_path, "s.jsonl", WEIGHED), **FIELDS), lambda text: None)
    weighed = [
        replace(one, key=f"{one.item}{len(options)}", continuations=options)
        for one in asked(("a", 0), ("b", 0), ("c", 0))
        for options in (("x", "y"), ("x", "y", "z"))
    ]
    found = {answer.key: answer for answer in engine.generate([*weighed, *asked(("a", 0), ("c", 0))])}
    likelihoods = {key: one.likelihoods for key, one in found.items() if isinstance(one, Completion)}
    assert {
        "a3": (Likelihood(-1.5), Likelihood(-2.0), Likelihood(0.0)),
        "c2": (Likelihood(-3.25), Likelihood(-1.0)),
        "c-0": (),
    } == likelihoods
    assert {
        "a2": "3 recorded log-probabilities for the 2 options of item 'a'",
        "b2": "no recorded log-probabilities for the 2 options of item 'b'",
        "b3": "no recorded log-probabilities for the 3 options of item 'b'",
        "c3": "2 recorded log-probabilities for the 3 options of item 'c'",
        "a-0": "no recorded text for item 'a', only log-probabilities",
    } == {key: one.reason for key, one in found.items() if isinstance(one, Void)}


@pytest.mark.parametrize("value", ["[]", "[-1, 0.5]", '["-1"]', "-1", "[true]", "[null]"])
def test_what_is_no_log_probability_is_named(tmp_path: Path, value: str) -> None:
    """With its line, before anything is answered."""
    path = written(tmp_path, "s.jsonl", f'{{"id": "a", "logprobs": {value}}}')
    with pytest.raises(DataError, match="field 'logprobs' is no list of log-probabilities") as caught:
        ADAPTER.open(recorded(path, **FIELDS), lambda text: None)
    assert str(caught.value).startswith(f"{path}:1: ")


def test_answers_alone_cannot_weigh(tmp_path: Path) -> None:
    """Said while planning, with the field to name."""
    path = written(tmp_path, "s.jsonl", WEIGHED)
    ADAPTER.check_weighing(recorded(path, **FIELDS))
    with pytest.raises(SpecError, match="a task wants its options weighed") as caught:
        ADAPTER.check_weighing(recorded(path))
    assert "fields: {likelihoods: logprobs}" in caught.value.hint


def test_only_one_file_is_weighed(tmp_path: Path) -> None:
    """There is one request for an item's options, so the log-probabilities of a second run would not be read."""
    paths = [written(tmp_path, name, WEIGHED) for name in ("1.jsonl", "2.jsonl")]
    model = Model("recorded", "replay", {"file": [str(path) for path in paths], "fields": FIELDS})
    with pytest.raises(SpecError, match=r"has 2 files of recorded answers, .* only the first file would be read"):
        ADAPTER.check_weighing(model)
