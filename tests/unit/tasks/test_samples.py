"""From rows to samples: names, ids, subsets, prompts, and every missing field found before a model is asked."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from evalkit.core.errors import DataError, SpecError
from evalkit.core.types import Message, Prompt
from evalkit.spec.model import SampleRule, Task, TaskUse
from evalkit.tasks.rows import Rows, parse_files
from evalkit.tasks.samples import samples, shape

USE = TaskUse(category="math", task="sums", split="test")


def task(**changes: Any) -> Task:
    given: dict[str, Any] = {
        "name": "sums",
        "about": "",
        "source": "",
        "license": "",
        "category": "own",
        "data": {"test": ()},
        "id": "{{ key }}",
        "scorer": "number",
        "scorer_options": {"answer": "{{ gold }}"},
        "messages": (Message("system", "Be brief."), Message("user", "{{ q }}\n")),
        "fields": {"gold": "answer"},
    }
    return Task(**{**given, **changes})


def rows(*given: dict[str, Any]) -> Rows:
    return Rows(list(given), [f"r.jsonl:{number}" for number, _ in enumerate(given, 1)], "r.jsonl", "")


def numbered(count: int, **more: Any) -> Rows:
    return rows(*({"key": f"k{n}", "q": f"1+{n}?", "answer": n + 1, "odd": n % 2 == 1, **more} for n in range(count)))


def fails(changed: Task, given: Rows, use: TaskUse = USE) -> DataError:
    with pytest.raises(DataError) as caught:
        samples(changed, use, given, 0)
    return caught.value


def test_a_row_becomes_a_sample() -> None:
    """Renamed fields stand beside the read ones, groups are texts, the category is that of the suite."""
    row = {"key": 7, "q": "What is 1+1?\n", "answer": "2", "level": 3, "topic": None}
    (sample,) = samples(task(groups=("level", "topic", "gold")), USE, rows(row), 0)
    assert (sample.task, sample.id, sample.category, sample.split) == ("sums", "7", "math", "test")
    assert sample.groups == {"level": "3", "topic": "none", "gold": "2"}
    assert {**row, "gold": "2"} == sample.row
    assert Prompt((Message("system", "Be brief."), Message("user", "What is 1+1?\n"))) == sample.prompt


def test_a_text_task_asks_with_a_bare_text() -> None:
    """A template's last line break goes, those of the row stay."""
    (sample,) = samples(task(messages=(), text="Q: {{ q }}\nA:\n"), USE, rows({"key": "a", "q": "x\n", "answer": 1}), 0)
    assert Prompt(text="Q: x\n\nA:") == sample.prompt


def test_prompts_do_not_escape() -> None:
    """A prompt is no web page."""
    (sample,) = samples(task(), USE, rows({"key": "a", "q": "1 < 2 && '{{ x }}'", "answer": 1}), 0)
    assert sample.prompt.messages[1].content == "1 < 2 && '{{ x }}'"


def test_a_subset_is_seeded_stratified_and_in_data_order() -> None:
    """Half odd, half even; another seed of the spec or of the rule gives other items."""
    given = numbered(100)
    use = TaskUse("math", "sums", "test", SampleRule(10, by="odd"))
    drawn = samples(task(), use, given, 0)
    assert sum(sample.row["odd"] for sample in drawn) == 5
    assert sorted(drawn, key=lambda sample: sample.row["answer"]) == drawn
    assert drawn == samples(task(), use, given, 0)
    assert drawn != samples(task(), use, given, 1)
    assert drawn != samples(task(), TaskUse("math", "sums", "test", SampleRule(10, seed=1, by="odd")), given, 0)


def test_the_strata_of_the_task_count_where_the_spec_names_none() -> None:
    """A task knows its own strata."""
    given = numbered(100)
    use = TaskUse("math", "sums", "test", SampleRule(10))
    assert samples(task(strata="odd"), use, given, 0) == samples(
        task(), TaskUse("math", "sums", "test", SampleRule(10, by="odd")), given, 0
    )


def test_too_large_a_subset_is_everything_with_a_notice() -> None:
    """Nobody is left to believe in 50 items where there are 3."""
    told: list[str] = []
    drawn = samples(task(), TaskUse("math", "sums", "test", SampleRule(50)), numbered(3), 0, told.append)
    assert (len(drawn), told) == (3, ["math: 50 samples wanted, task sums has 3 in test: all"])


def test_the_shape_changes_with_a_prompt_and_keeps_the_ids() -> None:
    """A lock sees a changed wording."""
    one, same, other = (
        shape(samples(task(messages=(Message("user", text),)), USE, numbered(2), 0))
        for text in ("{{ q }}", "{{ q }}", "{{q}}!")
    )
    assert one == same
    assert ("k0", "k1") == one.ids == other.ids
    assert len({*one.prompts, *other.prompts}) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "{{ nr }}"}, "r.jsonl:1: no field 'nr', which the id of task sums uses"),
        ({"id": " "}, "r.jsonl:1: the id of this row of task sums is empty"),
        ({"id": "same"}, "r.jsonl:2: the id 'same' is there twice, first at r.jsonl:1"),
        ({"fields": {"gold": "anwser"}}, "r.jsonl:1: no field 'anwser', which `fields` names"),
        ({"fields": {}}, "r.jsonl:1: no field 'gold', which the score.number.answer of task sums uses"),
        ({"groups": ("level",)}, "r.jsonl:1: no field 'level', which `groups` names"),
        (
            {"messages": (Message("user", "{{ text }}"),)},
            "r.jsonl:1: no field 'text', which the prompt of task sums uses",
        ),
        (
            {"messages": (Message("user", "{{ q.choices.text }}"),)},
            "r.jsonl:1: 'str object' has no attribute 'choices'",
        ),
        (
            {"messages": (Message("user", "{{ q + answer }}"),)},
            "r.jsonl:1: the prompt of task sums does not fit this row",
        ),
        (
            {"scorer": "code", "scorer_options": {"style": "asserts", "tests": "test", "entry_point": "key"}},
            "r.jsonl:1: no field 'test', which `score.code.tests` names",
        ),
    ],
)
def test_a_missing_field_is_found_before_a_model_is_asked(changes: dict[str, Any], message: str) -> None:
    """File, line, field, and what needs it."""
    assert str(fails(task(**changes), numbered(2))).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"answer": "{{ gold }}"},
            "r.jsonl:2: the field 'gold' is null, and the score.exact.answer of task sums would print it as 'None'",
        ),
        ({"field": "gold"}, "r.jsonl:2: the field 'gold', which `score.exact.field` names, is null"),
    ],
)
def test_a_null_gold_answer_is_found_before_a_model_is_asked(options: dict[str, Any], message: str) -> None:
    """With file and line; in a prompt a null may stand."""
    given = rows({"key": "a", "q": "x", "answer": "1"}, {"key": "b", "q": None, "answer": None})
    error = fails(task(scorer="exact", scorer_options=options), given)
    assert (message, True) == (str(error), bool(error.hint))


def test_a_missing_stratum_is_named() -> None:
    """`by` is a field of the row, too."""
    error = fails(task(), numbered(5), TaskUse("math", "sums", "test", SampleRule(2, by="od")))
    assert (str(error), error.hint) == ("r.jsonl:1: no field 'od', which `strata` names", "did you mean 'odd'?")


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ q", "not a valid template"),
        ("{{ q | random }}", "No filter named 'random'"),
        ("{{ q.__class__.__mro__ }}", "is not allowed"),
        ("{{ lipsum() }}", "no field 'lipsum'"),
    ],
)
def test_templates_are_sandboxed_and_have_no_chance(template: str, message: str) -> None:
    """A wrong template is the task's mistake; nothing random, nothing of the interpreter."""
    with pytest.raises(SpecError, match=message):
        samples(task(messages=(Message("user", template),)), USE, numbered(1), 0)


def test_groups_are_words_of_the_data() -> None:
    """Truth values as JSON writes them; `split` is the sample's own unless the row has one."""
    read = numbered(1)
    (sample,) = samples(task(groups=("odd", "split")), USE, read, 0)
    assert {"odd": "false", "split": "test"} == sample.groups
    (sample,) = samples(task(groups=("split",)), USE, numbered(1, split="dev"), 0)
    assert {"split": "dev"} == sample.groups


@pytest.mark.parametrize(("value", "kind"), [(["a"], "list"), ({"a": 1}, "map")])
def test_a_group_is_one_value(value: object, kind: str) -> None:
    """What has parts breaks nothing down."""
    error = fails(task(groups=("level",)), numbered(2, level=value))
    assert f"r.jsonl:1: the field 'level', which `groups` names, holds a {kind}" == str(error)


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "json", "json.gz", "csv", "csv.gz", "parquet"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ("level",)}, "no field 'level', which `groups` names"),
        ({"id": "{{ nr }}"}, "no field 'nr', which the id of task sums uses"),
        ({"messages": (Message("user", "{{ ask }}"),)}, "no field 'ask', which the prompt of task sums uses"),
    ],
)
def test_a_wrong_row_has_its_place_in_every_format(
    tmp_path: Path, form: str, changes: dict[str, Any], message: str
) -> None:
    """File, line (or row, where a format has no lines) and field."""
    given = [{"key": "a", "q": "x", "answer": "1"}, {"key": "b", "q": "y", "answer": "2"}]
    place = "r.{}:1" if form.startswith("jsonl") else "r.{}:2" if form.startswith("csv") else "r.{}, row 1"
    read = parse_files([(f"r.{form}", _written(tmp_path / f"r.{form}", given))], "r")
    assert str(fails(task(**changes), read)).startswith(f"{place.format(form)}: {message}")


def _written(path: Path, given: list[dict[str, str]]) -> Path:
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(given), path)
        return path
    text = {
        ".jsonl": "".join(json.dumps(row) + "\n" for row in given),
        ".json": json.dumps(given),
        ".csv": "key,q,answer\n" + "".join(",".join(row.values()) + "\n" for row in given),
    }[path.suffixes[0]]
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path
