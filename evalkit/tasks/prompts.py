"""An item becomes a prompt: chat messages, or a text to be continued, after the examples that stand before it."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.core.templates import render
from evalkit.core.types import Message, Prompt
from evalkit.spec.model import Task
from evalkit.tasks.items import Item

_BLANK_LINE = "\n\n"


def prompt(task: Task, item: Item, examples: Sequence[Item] = ()) -> Prompt:
    """The prompt of one item.

    In a chat each example is what the item's last user message would be for its row, and an assistant's message with
    the answer; both stand before that last user message. In a text they stand before the item's own.
    Raises SpecError for a template that is wrong in itself, DataError for a row that lacks what it uses.
    """
    if task.text is not None:
        return Prompt(text=_text(task, task.text, item, examples))
    before, asked = _parts(task.messages)
    shown = (message for example in examples for message in _solved(task, asked, example))
    return Prompt(messages=(*_messages(task, before, item), *shown, *_messages(task, asked, item)))


def normalised(task: Task, item: Item) -> str:
    """What an item asks, without regard to case and white space: two rows with the same are one question."""
    if task.text is not None:
        asked = _rendered(task, task.text, "text", item)
    else:
        asked = "\n".join(message.content for message in _messages(task, _parts(task.messages)[1], item))
    return " ".join(asked.split()).casefold()


def _text(task: Task, template: str, item: Item, examples: Sequence[Item]) -> str:
    intro = [_rendered(task, task.intro, "intro", item)] if task.intro is not None else []
    solved = [_rendered(task, template, "text", example) + _answer(task, example) for example in examples]
    between = task.shots.between if task.shots is not None else _BLANK_LINE
    return between.join([*intro, *solved, _rendered(task, template, "text", item)])


def _parts(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """What begins the chat, and what asks the item: the last user message and what follows it."""
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
    return messages[:last], messages[last:]


def _solved(task: Task, asked: Sequence[Message], example: Item) -> tuple[Message, ...]:
    """An example's messages; where the task begins the answer itself, the example's goes on from there."""
    shown = _messages(task, asked, example)
    begun = shown[-1].content if shown[-1].role == "assistant" else ""
    return (*(shown[:-1] if begun else shown), Message("assistant", begun + _answer(task, example)))


def _answer(task: Task, example: Item) -> str:
    assert task.shots is not None, "there are examples because the task has shots"
    what = f"shots.answer of task {task.name}"
    return render(task.shots.answer, example.row, what=what, where=example.where, nulls=False)


def _messages(task: Task, messages: Sequence[Message], item: Item) -> tuple[Message, ...]:
    return tuple(Message(one.role, _rendered(task, one.content, _called(one), item)) for one in messages)


def _called(message: Message) -> str:
    return "prompt" if message.role == "user" else f"{message.role} message"


def _rendered(task: Task, template: str, called: str, item: Item) -> str:
    return render(template, item.row, what=f"{called} of task {task.name}", where=item.where)
