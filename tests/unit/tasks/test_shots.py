"""Few-shot examples: which rows they are, where they stand, and what is never one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.errors import DataError
from evalkit.core.types import Message, Prompt, Sample
from evalkit.spec.model import SampleRule, Shots, Task, TaskUse
from evalkit.tasks.rows import Rows
from evalkit.tasks.samples import samples, shape

USE = TaskUse("math", "sums", "test")


def task(shots: Shots | None, **changes: Any) -> Task:
    given: dict[str, Any] = dict(
        name="sums", about="", source="", license="", category="own", data={"test": (), "train": ()}, id="{{ id }}",
        scorer="exact", scorer_options={"answer": "{{ gold }}"}, shots=shots,
        messages=(Message("system", "Brief."), Message("user", "{{ q }}")),
    )  # fmt: skip
    return Task(**given | changes)


def rows(*given: dict[str, Any]) -> Rows:
    return Rows(list(given), [f"r.jsonl:{number}" for number, _ in enumerate(given, 1)], "r.jsonl", "")


def row(name: str, question: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "q": question or f"{name}?", "gold": f"{name}!", **more}


TEST = rows(*(row(f"i{n}") for n in range(6)))
TRAIN = rows(*(row(f"t{n}") for n in range(20)))


def drawn(made: Task, examples: Rows = TRAIN, asked: Rows = TEST, seed: int = 0, use: TaskUse = USE) -> list[Sample]:
    return samples(made, use, asked, seed, None, examples)


def test_a_chat_shows_each_example_as_a_turn_and_its_answer() -> None:
    """After the system message, before the item's own question."""
    found = drawn(task(Shots(2, "train", "= {{ gold }}", pick="first")))
    assert found[1].prompt.messages == (
        Message("system", "Brief."),
        Message("user", "t0?"),
        Message("assistant", "= t0!"),
        Message("user", "t1?"),
        Message("assistant", "= t1!"),
        Message("user", "i1?"),
    )
    assert found[1].shots == ("t0", "t1")


def test_only_the_last_question_of_a_chat_is_the_items() -> None:
    """Messages that stand before it are there once; a begun answer is begun in the examples, too."""
    messages = (
        Message("user", "Ready?"),
        Message("assistant", "Yes."),
        Message("user", "{{ q }}"),
        Message("assistant", "It is "),
    )
    [first, *_] = drawn(task(Shots(1, "train", "{{ gold }}", pick="first"), messages=messages))
    assert [one.content for one in first.prompt.messages] == ["Ready?", "Yes.", "t0?", "It is t0!", "i0?", "It is "]
    assert first.prompt.prefill == "It is "


def test_a_text_begins_with_the_intro_and_the_examples() -> None:
    """All with the same text between them, the item's own last, ready to be continued."""
    shots = Shots(2, "train", " {{ gold }}", pick="first", between="\n--\n")
    made = task(shots, messages=(), text="Q: {{ q }}\nA:", intro="About {{ id }}.")
    [first, *_] = drawn(made)
    assert first.prompt == Prompt(text="About i0.\n--\nQ: t0?\nA: t0!\n--\nQ: t1?\nA: t1!\n--\nQ: i0?\nA:")
    [alone, *_] = drawn(made, use=TaskUse("math", "sums", "test", shots=0))
    assert alone.prompt == Prompt(text="About i0.\n--\nQ: i0?\nA:")


def test_a_suite_says_how_many() -> None:
    """None, or more; fewer examples begin more of them, so engines share what they have read."""
    made = task(Shots(3, "train", "{{ gold }}"))
    three, none, five = (drawn(made, use=TaskUse("math", "sums", "test", shots=n))[0].shots for n in (None, 0, 5))
    assert (len(three), none, len(five)) == (3, (), 5)
    assert five[:3] == three


@given(st.permutations(list(range(20))), st.permutations(list(range(6))))
def test_seeded_examples_are_the_same_in_any_order_of_the_files(train: list[int], test: list[int]) -> None:
    """For every item the same ones, in the same order."""
    made = task(Shots(4, "train", "{{ gold }}"))
    expected = drawn(made)[0].shots
    shuffled = drawn(made, rows(*(TRAIN.rows[n] for n in train)), rows(*(TEST.rows[n] for n in test)))
    assert {sample.shots for sample in shuffled} == {expected}


def test_the_seed_and_the_task_decide() -> None:
    """And neither the subset nor its seed: a larger sample keeps the prompts that were asked."""
    made = task(Shots(4, "train", "{{ gold }}"))
    expected = drawn(made)[0].shots
    assert expected != drawn(made, seed=1)[0].shots
    assert expected != drawn(task(Shots(4, "train", "{{ gold }}"), name="other"))[0].shots
    assert expected == drawn(made, use=TaskUse("math", "sums", "test", SampleRule(2, seed=7)))[0].shots


def test_the_first_of_the_file_are_a_convention_of_some_benchmarks() -> None:
    """In the order of the file."""
    assert drawn(task(Shots(3, "train", "{{ gold }}", pick="first")))[0].shots == ("t0", "t1", "t2")


def test_examples_of_the_same_kind() -> None:
    """Each item sees those of its own subject; the lock names all of them."""
    train = rows(*(row(f"{kind}{n}", subject=kind) for n in range(5) for kind in ("law", "art")))
    asked = rows(row("a", subject="art"), row("b", subject="law"), row("c", subject="art"))
    found = drawn(task(Shots(2, "train", "{{ gold }}", pick="first", same="subject")), train, asked)
    assert [sample.shots for sample in found] == [("art0", "art1"), ("law0", "law1"), ("art0", "art1")]
    assert shape(found).shots == ("art0", "art1", "law0", "law1")


def test_what_is_asked_is_no_example() -> None:
    """A row of the other split that asks the same, up to case and spaces, makes room for the next one."""
    train = rows(row("t0"), row("t1", " I0?\n"), row("t2"), row("t3"))
    found = drawn(task(Shots(3, "train", "{{ gold }}", pick="first")), train)
    assert found[0].shots == ("t0", "t2", "t3")
    assert found[1].shots == ("t0", "t1", "t2")


@pytest.mark.parametrize(
    ("shots", "train", "message", "hint"),
    [
        (
            Shots(3, "train", "{{ gold }}"),
            rows(row("t0"), row("t1")),
            "r.jsonl:1: task sums wants 3 examples of its split 'train', and only 2 ask something else than this row",
            "lower `shots` to 2",
        ),
        (
            Shots(1, "train", "{{ gold }}", same="subject"),
            rows(row("t0", subject="law")),
            "r.jsonl:1: task sums wants 1 example of its split 'train', and only 0 with subject 'art' ask something "
            "else than this row",
            "lower `shots` to 0",
        ),
        (
            Shots(1, "train", "{{ solution }}"),
            TRAIN,
            "no field 'solution', which the shots.answer of task sums uses",
            "the row has: gold, id, q",
        ),
        (
            Shots(1, "train", "{{ gold }}"),
            rows({**row("t0"), "gold": None}),
            "r.jsonl:1: the field 'gold' is null, and the shots.answer of task sums would print it as 'None'",
            "give the row a value, or leave the row out of the data",
        ),
        (
            Shots(1, "train", "{{ gold }}", same="subjct"),
            rows(row("t0", subject="law")),
            "r.jsonl:1: no field 'subjct', which `shots.same` names",
            "did you mean 'subject'?",
        ),
        (
            Shots(1, "test", "{{ gold }}"),
            TRAIN,
            "the examples of task sums come from its split 'test', the split that is asked",
            "ask another split, or set `shots: 0`",
        ),
    ],
)
def test_what_cannot_be_shown_is_said(shots: Shots, train: Rows, message: str, hint: str) -> None:
    """Before a model is asked."""
    with pytest.raises(DataError) as caught:
        drawn(task(shots), train, rows(row("i0", subject="art")))
    assert str(caught.value).endswith(message)
    assert caught.value.hint == hint


def test_a_suite_that_wants_examples_of_a_task_without_any() -> None:
    """Is told so; examples that nobody read are a mistake of the caller."""
    with pytest.raises(DataError, match="task sums does not say where examples come from"):
        drawn(task(None), use=TaskUse("math", "sums", "test", shots=2))
    with pytest.raises(ValueError, match="examples of task sums were not read"):
        samples(task(Shots(1, "train", "x")), USE, TEST, 0)
