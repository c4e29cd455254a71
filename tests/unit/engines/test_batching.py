"""Batching: every request exactly once, whatever the lengths and budgets; budgets kept."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from evalkit.core.types import Prompt, Request, SamplingParams
from evalkit.engines.batching import Budget, Group, Live, questions, queues

budgets = st.builds(Budget, rows=st.integers(1, 8), tokens=st.integers(1, 400), prefill=st.integers(1, 100))


@st.composite
def request_lists(draw: st.DrawFn) -> list[Request]:
    """Up to 20 prompts with up to 9 answers each, in mixed order, under two kinds of sampling."""
    found = []
    for number in range(draw(st.integers(0, 20))):
        sampling = SamplingParams(temperature=draw(st.sampled_from([0.0, 1.0])), max_tokens=draw(st.integers(1, 30)))
        prompt = Prompt(text="x" * draw(st.integers(1, 50)) + str(number))
        for index in range(draw(st.integers(1, 9))):
            found.append(Request(f"{number}-{index}", "t", str(number), prompt, sampling, index))
    return draw(st.permutations(found))


def grouped(requests: list[Request]) -> list[Group]:
    return [
        Group(question.prompt.text or "", tuple(range(len(question.prompt.text or ""))), question.sampling, rows)
        for question in questions(requests)
        for rows in [question.requests]
    ]


@given(request_lists())
def test_questions_keep_every_request_once(requests: list[Request]) -> None:
    """Equal prompt and sampling share a question; nothing else does."""
    found = questions(requests)
    assert Counter(requests) == Counter(request for question in found for request in question.requests)
    assert len(found) == len({(question.prompt, question.sampling) for question in found})


@given(request_lists(), budgets, st.data())
def test_a_queue_gives_every_request_once_within_the_budget(
    requests: list[Request], budget: Budget, data: st.DataObject
) -> None:
    """A simulated run, in which any rows finish at any time and prompts join whenever they fit."""
    given_out: Counter[Request] = Counter()
    for queue in queues(grouped(requests)):
        rows: list[int] = []  # tokens still to come, a number for each row
        columns = 0
        while queue or rows:
            state = Live(len(rows), columns if rows else 0, max(rows, default=0))
            taken = queue.take(state, budget)
            assert taken or rows, "an empty batch gets something"
            given_out.update(request for group in taken for request in group.requests)
            if not rows and taken:
                columns = taken[0].tokens
            new = [group.sampling.max_tokens for group in taken for _ in group.requests]
            assert all(group.tokens <= columns for group in taken)
            if rows or len(new) > 1:
                assert len(rows) + len(new) <= budget.rows
                if new:
                    assert (len(rows) + len(new)) * (columns + max(*rows, *new, 0)) <= budget.tokens
            if len(taken) > 1:
                assert len(taken) * max(group.tokens for group in taken) <= budget.prefill
            rows = [left - 1 for left in rows + new if left > 1]
            rows = rows[: data.draw(st.integers(0, len(rows)))]
            columns += 1
    assert Counter(requests) == given_out


@given(request_lists(), budgets)
def test_what_is_put_back_is_given_out_again(requests: list[Request], budget: Budget) -> None:
    """After running out of memory nothing is lost and the order holds."""
    for queue in queues(grouped(requests)):
        before = Counter(request for group in queue.groups for request in group.requests)
        queue.put_back(queue.take(Live(), budget))
        assert before == Counter(request for group in queue.groups for request in group.requests)
        lengths = [group.tokens for group in queue.groups]
        assert lengths == sorted(lengths, reverse=True)


def test_halving_ends_at_one_row() -> None:
    """However often memory runs out, one answer at a time remains to be tried."""
    budget, seen = Budget(rows=64, tokens=1000, prefill=100), []
    while budget.rows > 1:
        budget = budget.halved(budget.rows)
        seen.append(budget.rows)
    assert seen == [32, 16, 8, 4, 2, 1]
