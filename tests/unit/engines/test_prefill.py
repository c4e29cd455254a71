"""A chat whose last message begins the answer: rendered as transformers' `continue_final_message` does."""

from __future__ import annotations

import pytest

from evalkit.core.errors import SpecError
from evalkit.core.types import Message
from evalkit.engines.chat import with_template

PLAIN = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
)
TRIMS = PLAIN.replace("m.content", "m.content | trim")
DROPS = PLAIN.replace("</s>", "").replace("{{ m.content }}", "{{ m.content if m.role == 'user' }}")
ASKED = Message("user", "Add 1 and 2.")


def rendered(template: str, *messages: Message) -> str:
    import jinja2

    made = jinja2.Environment().from_string(template)
    return with_template(lambda given, answer: made.render(messages=given, add_generation_prompt=answer), messages)


@pytest.mark.parametrize(
    ("template", "begun", "expected"),
    [
        (PLAIN, "```python\n", "<user>Add 1 and 2.</s><assistant>```python\n"),
        (TRIMS, "```python\n", "<user>Add 1 and 2.</s><assistant>```python"),
        (TRIMS, "It is", "<user>Add 1 and 2.</s><assistant>It is"),
        (PLAIN, "Add 1 and 2.", "<user>Add 1 and 2.</s><assistant>Add 1 and 2."),
    ],
)
def test_a_begun_answer_is_left_open(template: str, begun: str, expected: str) -> None:
    """No end of turn after it, no header of another answer, and the very text that transformers makes."""
    library = pytest.importorskip("transformers.utils.chat_template_utils")
    assert expected == rendered(template, ASKED, Message("assistant", begun))
    chat = [[{"role": "user", "content": ASKED.content}, {"role": "assistant", "content": begun}]]
    [theirs], _ = library.render_jinja_template(chat, chat_template=template, continue_final_message=True)
    assert theirs == expected


def test_an_asked_question_gets_the_header_of_an_answer() -> None:
    """As ever."""
    assert rendered(PLAIN, ASKED) == "<user>Add 1 and 2.</s><bot>"
    assert rendered(PLAIN, Message("assistant", "Hi."), ASKED).endswith("</s><bot>")


def test_a_template_without_room_for_it_is_refused() -> None:
    """Better than a model that never sees it."""
    with pytest.raises(SpecError, match="shows no begun answer"):
        rendered(DROPS, ASKED, Message("assistant", "It is"))
