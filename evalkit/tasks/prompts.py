"""A row becomes a prompt: chat messages, or a text to be continued."""

from __future__ import annotations

from evalkit.core.templates import render
from evalkit.core.types import Message, Prompt
from evalkit.spec.model import Task
from evalkit.tasks.rows import Row


def prompt(task: Task, row: Row, where: str) -> Prompt:
    """The prompt of one row, whose place is `where`.

    Raises SpecError for a template that is wrong in itself, DataError for a row that lacks what it uses.
    """
    if task.text is not None:
        return Prompt(text=render(task.text, row, what=f"text of task {task.name}", where=where))
    return Prompt(messages=tuple(_message(task, message, row, where) for message in task.messages))


def _message(task: Task, message: Message, row: Row, where: str) -> Message:
    what = f"{'prompt' if message.role == 'user' else message.role + ' message'} of task {task.name}"
    return Message(message.role, render(message.content, row, what=what, where=where))
