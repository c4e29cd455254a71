"""The generation loop on a tiny random model, held against transformers' own `generate` and against itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from evalkit.core.digest import digest_text
from evalkit.core.types import Completion, Prompt, Request, SamplingParams, Void
from evalkit.engines.batching import Budget, Group
from evalkit.engines.sampler import Sampler

pytestmark = pytest.mark.model
torch = pytest.importorskip("torch")

VOCABULARY = 61
WIDE = Budget(rows=64, tokens=100_000, prefill=10_000)
GREEDY = SamplingParams(max_tokens=12)
DRAWN = SamplingParams(temperature=1.0, max_tokens=12, seed=5)


class LetterCodec:
    """Token n is one character; the last of the vocabulary ends an answer."""

    stop_ids = frozenset([VOCABULARY - 1])

    def text(self, group: Group, ids: Sequence[int]) -> str:
        return "".join(chr(48 + token) for token in ids)

    def stops_within(self, group: Group, ids: Sequence[int], stop: Sequence[str]) -> str | None:
        text = self.text(group, ids)
        found = [text.find(string) for string in stop if string in text]
        return text[: min(found)] if found else None


def make_model(**changes: Any) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=VOCABULARY, num_key_value_heads=2, initializer_range=0.6, **sizes, **changes)
    return LlamaForCausalLM(config).eval()


def make_windowed_model() -> Any:
    """A model whose layers see a window only: it takes the other path through the key-value memory."""
    from transformers import MistralConfig, MistralForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = MistralConfig(
        vocab_size=VOCABULARY, num_key_value_heads=2, initializer_range=0.6, sliding_window=6, **sizes
    )
    return MistralForCausalLM(config).eval()


@pytest.fixture(scope="module", params=[make_model, make_windowed_model], ids=["full", "windowed"])
def model(request: pytest.FixtureRequest) -> Any:
    return request.param()


def group(ids: Sequence[int], sampling: SamplingParams = GREEDY, k: int = 1) -> Group:
    text = "".join(chr(48 + token) for token in ids)
    requests = [Request(f"{text}/{index}", "t", text, Prompt(text=text), sampling, index) for index in range(k)]
    return Group(text, tuple(ids), sampling, tuple(requests))


def prompts(n: int, sampling: SamplingParams = GREEDY, k: int = 1) -> list[Group]:
    """`n` prompts of 1 to 17 tokens."""
    generator = torch.Generator().manual_seed(1)
    lengths = [1 + (7 * number) % 17 for number in range(n)]
    return [
        group(torch.randint(VOCABULARY - 1, (length,), generator=generator).tolist(), sampling, k) for length in lengths
    ]


def generate(model: Any, groups: list[Group], budget: Budget = WIDE, context: int | None = None) -> dict[str, Any]:
    answers = list(Sampler(model, LetterCodec(), budget, context).generate(groups))
    assert len({answer.key for answer in answers}) == len(answers)
    return {answer.key: answer for answer in answers}


def texts(answers: dict[str, Any]) -> dict[str, str]:
    return {key: answer.text for key, answer in answers.items()}


def reference(model: Any, one: Group) -> str:
    """The greedy answer of transformers' own loop, a prompt at a time."""
    ids = torch.tensor([one.ids])
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=one.sampling.max_tokens,
        eos_token_id=VOCABULARY - 1,
        pad_token_id=0,
        repetition_penalty=one.sampling.repetition_penalty,
    )[0, len(one.ids) :].tolist()
    return "".join(chr(48 + token) for token in out if token != VOCABULARY - 1)


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_greedy_is_what_transformers_generates(model: Any, rows: int, penalty: float) -> None:
    """Left padding, joining a running batch, closing gaps: none of it changes an answer."""
    groups = prompts(12, replace(GREEDY, repetition_penalty=penalty))
    expected = {f"{one.prompt}/0": reference(model, one) for one in groups}
    assert expected == texts(generate(model, groups, replace(WIDE, rows=rows)))


def test_drawn_answers_do_not_depend_on_the_batch(model: Any) -> None:
    """Alone, in threes, all together: the same seeds give the same answers."""
    groups = prompts(10, DRAWN, k=3)
    together = texts(generate(model, groups))
    assert len(together) == 30
    assert together == texts(generate(model, groups, replace(WIDE, rows=3)))
    alone: dict[str, str] = {}
    for one in groups:
        alone |= texts(generate(model, [one]))
    assert together == alone


def test_a_single_sample_is_the_same_as_among_k(model: Any) -> None:
    """Raising the number of samples keeps those that are there."""
    (one,) = prompts(1, DRAWN, k=8)
    many = texts(generate(model, [one]))
    assert len(set(many.values())) == 8
    last = replace(one, requests=one.requests[7:])
    assert {last.requests[0].key: many[last.requests[0].key]} == texts(generate(model, [last]))


def test_the_seed_decides(model: Any) -> None:
    """Another seed, other answers."""
    first = texts(generate(model, prompts(5, DRAWN)))
    second = texts(generate(model, prompts(5, replace(DRAWN, seed=6))))
    assert first.keys() == second.keys()
    assert first != second


def test_draws_follow_the_models_distribution() -> None:
    """First tokens of 3000 samples against the softmax, by a chi-squared statistic (seeded: no luck involved)."""
    model = make_model()
    sampling = SamplingParams(temperature=1.5, max_tokens=1)
    one = group([3, 1, 4], sampling, k=3000)
    answers = generate(model, [one], replace(WIDE, rows=512))
    with torch.no_grad():
        expected = torch.softmax(model(torch.tensor([one.ids])).logits[0, -1] / 1.5, -1) * 3000
    counts = torch.zeros(VOCABULARY)
    for answer in answers.values():
        counts[ord(answer.text) - 48 if answer.text else VOCABULARY - 1] += 1
    common = expected >= 5
    statistic = float(((counts - expected)[common] ** 2 / expected[common]).sum())
    freedom = int(common.sum()) - 1
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


@pytest.mark.parametrize(
    ("changes", "most"),
    [({"top_k": 2}, 2), ({"top_p": 0.01}, 1), ({"min_p": 0.999}, 1)],
    ids=["top_k", "top_p", "min_p"],
)
def test_filters_reach_the_draw(changes: dict[str, float], most: int) -> None:
    """With a tight filter only the most likely tokens are ever drawn."""
    model = make_model()
    one = group([3, 1, 4], SamplingParams(temperature=2.0, max_tokens=1, **changes), k=200)
    answers = generate(model, [one])
    assert most == len({answer.text for answer in answers.values()})
    assert {one.sampling} == {answer.effective for answer in answers.values()}


def test_k_samples_share_their_prefill(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five prompts with eight samples each: five rows are computed as prompts, forty as answers."""
    model = make_model()
    forward, prefilled, stepped = model.forward, [], []

    def spy(**inputs: Any) -> Any:
        rows, columns = inputs["input_ids"].shape
        (prefilled if columns > 1 else stepped).append(rows)
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", spy)
    groups = [group([number + 1, 2, 3, 4], replace(DRAWN, max_tokens=3), k=8) for number in range(5)]
    generate(model, groups)
    assert prefilled == [5]
    assert stepped[0] == 40


def test_reports_what_happened(model: Any) -> None:
    """Finish reason, counts, log-probability, digest; shares of time add up to the time spent."""
    groups = prompts(8, replace(DRAWN, max_tokens=40), k=2)
    started = time.perf_counter()
    answers = generate(model, groups)
    spent = time.perf_counter() - started
    for one in groups:
        for request in one.requests:
            answer = answers[request.key]
            ended = answer.finish_reason == "stop"
            assert len(answer.text) + ended == answer.completion_tokens
            assert ended or answer.completion_tokens == 40
            assert (one.tokens, digest_text(one.prompt)) == (answer.prompt_tokens, answer.prompt_sha256)
            assert answer.mean_logprob < 0
            assert answer.effective == one.sampling
    assert {"stop", "length"} == {answer.finish_reason for answer in answers.values()}
    assert 0 < sum(answer.seconds for answer in answers.values()) <= spent


def test_mean_logprob_is_the_models_own(model: Any) -> None:
    """Under temperature and filters, too, it is measured before them."""
    one = group([3, 1, 4], SamplingParams(temperature=0.5, top_k=5, max_tokens=4))
    (answer,) = generate(model, [one]).values()
    ids = [ord(letter) - 48 for letter in answer.text] + [VOCABULARY - 1] * (answer.finish_reason == "stop")
    with torch.no_grad():
        logits = model(torch.tensor([[*one.ids, *ids]])).logits[0]
    logprobs = torch.log_softmax(logits, -1)[len(one.ids) - 1 : -1].gather(1, torch.tensor(ids)[:, None])
    assert answer.mean_logprob == pytest.approx(float(logprobs.mean()), abs=1e-5)


def test_stop_strings_cut_before_the_stop(model: Any) -> None:
    """The answer ends where the first stop string begins."""
    (plain,) = generate(model, prompts(1, replace(DRAWN, max_tokens=30))).values()
    stop = plain.text[5:7]
    (cut,) = generate(model, prompts(1, replace(DRAWN, max_tokens=30, stop=("never", stop)))).values()
    assert (plain.text[: plain.text.index(stop)], "stop") == (cut.text, cut.finish_reason)


def test_what_does_not_fit_the_context_is_void() -> None:
    """A prompt that is too long, an answer that the context cuts; the others are answered."""
    model = make_model()
    long, cut, fine = (group([1] * n, SamplingParams(temperature=1.0, max_tokens=6)) for n in (10, 8, 3))
    answers = generate(model, [long, cut, fine], context=10)
    assert (
        Void(long.requests[0].key, "the prompt has 10 tokens, the model's context ends at 10", "engine")
        == (answers[long.requests[0].key])
    )
    reason = "the model's context of 10 tokens ended after 2 of at most 6 tokens"
    assert Void(cut.requests[0].key, reason, "engine") == answers[cut.requests[0].key]
    assert isinstance(answers[fine.requests[0].key], Completion)


def limited(model: Any, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Let the model run out of memory with more rows than this."""
    forward = model.forward

    def scarce(**inputs: Any) -> Any:
        if len(inputs["input_ids"]) > rows:
            raise torch.OutOfMemoryError("out of memory")
        return forward(**inputs)

    monkeypatch.setattr(model, "forward", scarce)


def test_halves_the_batch_when_memory_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are those of a machine with enough memory."""
    model = make_model()
    groups = prompts(9, DRAWN, k=3)
    expected = texts(generate(model, groups))
    limited(model, monkeypatch, 5)
    assert expected == texts(generate(model, groups))


def test_gives_up_on_what_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one row fits: void with the reason, and the loop ends."""
    model = make_model()
    limited(model, monkeypatch, 0)
    answers = generate(model, prompts(3))
    reason = "out of memory with a single answer in the batch: out of memory"
    assert {reason} == {answer.reason for answer in answers.values()}


def test_streams_answers_as_they_finish(model: Any) -> None:
    """A short answer does not wait for a long one in the same batch."""
    groups = prompts(6, replace(DRAWN, max_tokens=200), k=4)
    order = [answer.completion_tokens for answer in Sampler(model, LetterCodec(), WIDE, None).generate(groups)]  # type: ignore[union-attr]
    assert sorted(order) == order
    assert order[0] < order[-1]


def test_long_runs_slide_and_refill() -> None:
    """Many more prompts than rows, answers longer than a chunk of columns: still what transformers generates."""
    model = make_model()
    groups = prompts(24, SamplingParams(max_tokens=150, repetition_penalty=1.2))
    expected = {f"{one.prompt}/0": reference(model, one) for one in groups}
    assert expected == texts(generate(model, groups, Budget(rows=5, tokens=2000, prefill=20)))
