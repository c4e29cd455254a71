"""Weighing on tiny random models, held against the plain way: one continuation at a time, no cache, no padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from evalkit.core.types import Completion, Likelihood, Prompt, Request, SamplingParams, Void
from evalkit.engines.batching import Budget
from evalkit.engines.weigher import Pan, Weigher

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")

VOCABULARY = 61
WIDE = Budget(rows=64, tokens=100_000, prefill=10_000)
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


def make_model(**changes: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=VOCABULARY, num_key_value_heads=2, initializer_range=0.6, **SIZES, **changes)
    return LlamaForCausalLM(config).eval()


def make_windowed_model() -> Any:
    """A model whose layers see a window only, smaller than prompts and continuations."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    config = MistralConfig(
        vocab_size=VOCABULARY, num_key_value_heads=2, initializer_range=0.6, sliding_window=6, **SIZES
    )
    return MistralForCausalLM(config).eval()


@pytest.fixture(scope="module", params=[make_model, make_windowed_model], ids=["full", "windowed"])
def model(request: pytest.FixtureRequest) -> Any:
    return request.param()


def pan(name: str, context: Sequence[int], continuations: Sequence[Sequence[int]]) -> Pan:
    texts = tuple(str(place) for place in range(len(continuations)))
    request = Request(name, "t", name, Prompt(text=name), SamplingParams(), continuations=texts)
    return Pan(request, name, tuple(context), tuple(map(tuple, continuations)))


def pans(n: int) -> list[Pan]:
    """Prompts of 1 to 17 tokens with 1 to 5 continuations of 1 to 9 tokens, some of which begin alike."""
    generator = torch.Generator().manual_seed(1)

    def ids(length: int) -> list[int]:
        drawn: list[int] = torch.randint(VOCABULARY, (length,), generator=generator).tolist()
        return drawn

    made = []
    for number in range(n):
        begin = ids(number % 3)
        continuations = [begin + ids(1 + (5 * number + 3 * place) % 7) for place in range(1 + number % 5)]
        made.append(pan(f"p{number}", ids(1 + (7 * number) % 17), continuations))
    return made


def plain(model: Any, one: Pan) -> list[Likelihood]:
    found = []
    for continuation in one.continuations:
        ids = torch.tensor([[*one.context, *continuation]])
        with torch.inference_mode():
            logprobs = model(input_ids=ids, use_cache=False).logits[0].double().log_softmax(-1)
        places = range(len(one.context) - 1, ids.shape[1] - 1)
        each = [float(logprobs[place, ids[0, place + 1]]) for place in places]
        greedy = all(int(logprobs[place].argmax()) == int(ids[0, place + 1]) for place in places)
        found.append(Likelihood(sum(each), len(continuation), greedy))
    return found


def weigh(model: Any, some: list[Pan], budget: Budget = WIDE, context: int | None = None) -> dict[str, Any]:
    answers = list(Weigher(model, budget, context).weigh(some))
    assert len({answer.key for answer in answers}) == len(answers)
    return {answer.key: answer for answer in answers}


def check(model: Any, some: list[Pan], found: dict[str, Any]) -> None:
    assert sorted(one.request.key for one in some) == sorted(found)
    for one in some:
        answer, expected = found[one.request.key], plain(model, one)
        assert isinstance(answer, Completion)
        assert [known.logprob for known in expected] == pytest.approx(
            [known.logprob for known in answer.likelihoods], abs=1e-3
        )
        assert [(known.tokens, known.greedy) for known in expected] == [
            (known.tokens, known.greedy) for known in answer.likelihoods
        ]


@pytest.mark.parametrize(
    "budget", [WIDE, Budget(rows=3, tokens=100, prefill=40), Budget(rows=1, tokens=1, prefill=1)], ids=str
)
def test_is_what_one_by_one_gives(model: Any, budget: Budget) -> None:
    """All together, in small batches, each alone: padding, shared beginnings and reused prompts change nothing."""
    some = pans(23)
    check(model, some, weigh(model, some, budget))


@pytest.mark.parametrize("budget", [WIDE, Budget(rows=3, tokens=400, prefill=90)], ids=str)
def test_a_common_beginning_is_computed_once(model: Any, budget: Budget) -> None:
    """Prompts after the same examples, beside prompts of their own, and one that is the examples: the same numbers."""
    examples = [(7 * number) % VOCABULARY for number in range(50)]
    some = [*pans(9), *(replace(one, context=(*examples, *one.context), request=named(one)) for one in pans(12))]
    some += [pan("bare", examples, [[1, 2], [3]])]
    check(model, some, weigh(model, some, budget))


def test_a_common_beginning_is_not_computed_again() -> None:
    """Twelve letters after 50 tokens of examples and their own 1 to 17: 50, and at most 18 for each."""
    counted = Counted(make_model())
    examples = [(7 * number) % VOCABULARY for number in range(50)]
    some = [replace(one, context=(*examples, *one.context), continuations=((1,), (2,))) for one in pans(12)]
    weigh(counted, some)
    assert 50 + 12 < counted.tokens <= 50 + 12 * 18


def named(one: Pan) -> Request:
    return replace(one.request, key=f"{one.request.key} after examples")


class Counted:
    """A model that counts the tokens it computes."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.tokens = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, **given: Any) -> Any:
        self.tokens += given["input_ids"].numel()
        return self._model(**given)


def test_greedy_continuations_are_told(model: Any) -> None:
    """What the model itself would write is greedy, token for token; another last token is not."""
    (one,) = pans(1)
    ids = list(one.context)
    for _ in range(4):
        with torch.inference_mode():
            ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
    own = ids[len(one.context) :]
    found = weigh(model, [pan("g", one.context, [own, [*own[:-1], (own[-1] + 1) % VOCABULARY], own[:1]])])["g"]
    assert [True, False, True] == [known.greedy for known in found.likelihoods]


def test_what_a_weighed_completion_holds() -> None:
    """No text, no sampling, the tokens of the prompt, the time of its batch."""
    one = pan("p", [1, 2, 3], [[4], [5, 6]])
    answer = weigh(make_model(), [one])["p"]
    assert ("", "weighed", None, 3, None) == (
        answer.text, answer.finish_reason, answer.effective, answer.prompt_tokens, answer.completion_tokens
    )  # fmt: skip
    assert answer.seconds > 0


def test_too_long_is_void_and_nothing_is_cut() -> None:
    """The last token is only predicted, so one more than the context still fits; beyond that the item is void."""
    model = make_model(max_position_embeddings=12)
    fits, over = pan("fits", range(10), [[1, 2, 3], [4]]), pan("over", range(10), [[1, 2, 3, 4], [4]])
    found = weigh(model, [fits, over], context=12)
    check(model, [fits], {"fits": found["fits"]})
    assert (
        Void("over", "prompt and continuation have 14 tokens, the model's context ends at 12", "engine")
        == found["over"]
    )


class Tight:
    """A model that runs out of memory when a pass has more than `limit` cells."""

    def __init__(self, model: Any, limit: int) -> None:
        self._model, self.limit = model, limit
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, **given: Any) -> Any:
        if given["input_ids"].numel() > self.limit:
            self.refused += 1
            raise torch.OutOfMemoryError("no room for this")
        return self._model(**given)


def test_out_of_memory_is_tried_again_in_smaller_parts(model: Any) -> None:
    """Half the budget, then half the continuations: everything that fits alone is weighed."""
    some, tight = pans(23), Tight(model, 24)
    check(model, some, weigh(tight, some))
    assert tight.refused


def test_what_does_not_fit_alone_is_void(model: Any) -> None:
    """With the reason; the others are weighed."""
    some = [*pans(6), pan("long", [1] * 30, [[1, 2], [3], [4, 5, 6]])]
    found = weigh(Tight(model, 24), some)
    void = found.pop("long")
    assert Void("long", "out of memory with a single continuation in the batch: no room for this", "engine") == void
    check(model, some[:-1], found)


def test_a_split_prompt_is_answered_once(model: Any) -> None:
    """The parts of one request come back as one answer, in the order of its continuations."""
    one = pan("p", range(8), [[1, 2, 3, 4], [9, 8], [7], [5, 5, 5, 5, 5], [6, 1]])
    check(model, [one], weigh(Tight(model, 11), [replace(one)]))
