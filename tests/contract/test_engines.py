"""One suite over the engines: what the port promises, asked of each through `open_engine`, worker process included."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator

import pytest
from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.ports import Engine
from evalkit.core.types import Completion, Message, Model, Prompt, Request, SamplingParams, Void
from evalkit.run.workers import open_engine

QUESTIONS = (
    "What is 2 + 3?",
    "Write a Python function that adds two numbers.",
    "Name a colour.",
    "Repeat after me: one two three four five six seven eight nine ten.",
)
GREEDY = SamplingParams(max_tokens=16)
DRAWN = SamplingParams(temperature=1.0, top_p=0.95, top_k=50, max_tokens=16, seed=7)
SAMPLES = 3
GENERATING = ["transformers", *(["vllm"] if os.environ.get("EVALKIT_VLLM_PYTHON") else [])]
SMOL = Model("smol", "transformers", {"embedded": "smollm2-135m"})


OPTIONS = (" Paris", " a banana", " London, of course", ".")


class Subject(Struct, frozen=True):
    """An engine under test; `impossible` is a request that it cannot answer, `unweighable` one that it cannot weigh."""

    engine: Engine
    impossible: Request
    unweighable: Request


def ask(item: int, sampling: SamplingParams = GREEDY, index: int = 0, text: str | None = None) -> Request:
    prompt = Prompt((Message("user", QUESTIONS[item] if text is None else text),))
    return Request(f"{item}/{index}/{sampling.temperature}/{sampling.seed}", "t", str(item), prompt, sampling, index)


def weigh(item: int, continuations: tuple[str, ...] = OPTIONS, prompt: Prompt | None = None) -> Request:
    text = ("The capital of France is", "The best fruit is", "I live in", "Nothing")[item]
    asked = prompt or Prompt(text=text)
    return Request(f"weigh/{item}", "t", str(item), asked, GREEDY, continuations=continuations)


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    path = tmp_path_factory.mktemp("replay") / "samples.jsonl"
    rows = [
        {"task_id": item, "completion": f"{item}.{index}", "logprobs": [-1.5 - item, -20, -7.25, -3]}
        for index in range(SAMPLES)
        for item in range(len(QUESTIONS))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"likelihoods": "logprobs"}
    engine = open_engine(Model("recorded", "replay", {"file": str(path), "fields": fields}), lambda text: None)
    yield Subject(
        engine, replace(ask(0), key="impossible", item="absent"), replace(weigh(0, (" a",)), key="impossible")
    )
    engine.close()


def subject_of(engine: Engine) -> Subject:
    """An engine that generates, and what is too long for its model."""
    text = "long " * 9000
    impossible = replace(ask(0, text=text), key="impossible")
    return Subject(engine, impossible, replace(weigh(0, prompt=Prompt(text=text)), key="impossible"))


@pytest.fixture
def written(writing: Engine) -> Subject:
    return subject_of(writing)


_WEIGHING = ["replay", *(pytest.param(name, marks=pytest.mark.model) for name in GENERATING)]
_SERVED = pytest.param("openai", marks=pytest.mark.model)
"""The same model behind a real server, which does not weigh and whose tokenizer is not at hand."""


@pytest.fixture(params=_WEIGHING)
def weighing(request: pytest.FixtureRequest) -> Subject:
    """An engine that can weigh; the others refuse before anything is asked."""
    return _named(request)


@pytest.fixture(params=[*GENERATING, "openai"])
def generating(request: pytest.FixtureRequest) -> Subject:
    """An engine that makes its answers itself."""
    return _named(request)


@pytest.fixture(params=[*_WEIGHING, _SERVED])
def subject(request: pytest.FixtureRequest) -> Subject:
    return _named(request)


def _named(request: pytest.FixtureRequest) -> Subject:
    if request.param == "replay":
        found: Subject = request.getfixturevalue("replay")
        return found
    return subject_of(request.getfixturevalue(f"{request.param}_engine"))


def answers(subject: Subject, *requests: Request) -> dict[str, Completion]:
    found = list(subject.engine.generate(requests))
    assert [answer for answer in found if isinstance(answer, Void)] == []
    return {answer.key: answer for answer in found if isinstance(answer, Completion)}


def texts(subject: Subject, *requests: Request) -> dict[str, str]:
    return {key: answer.text for key, answer in answers(subject, *requests).items()}


def everything() -> list[Request]:
    drawn = [ask(item, DRAWN, index) for item in range(len(QUESTIONS)) for index in range(SAMPLES)]
    return [*drawn, *(ask(item) for item in range(len(QUESTIONS)))]


def test_every_request_is_answered_once(subject: Subject) -> None:
    """Mixed sampling, k samples, any order: the keys that come back are those that were asked."""
    requests = everything()
    found = Counter(answer.key for answer in subject.engine.generate(requests))
    assert Counter({request.key: 1 for request in requests}) == found


def test_effective_is_declared_or_unknown(subject: Subject) -> None:
    """An engine that samples says with what; recorded answers say that nobody knows."""
    requests = {request.key: request for request in everything()}
    for key, answer in answers(subject, *requests.values()).items():
        expected = None if answer.finish_reason == "recorded" else requests[key].sampling
        assert expected == answer.effective


def test_asking_again_gives_the_same(subject: Subject) -> None:
    """Greedy and seeded alike."""
    assert texts(subject, *everything()) == texts(subject, *everything())


def test_samples_differ(subject: Subject) -> None:
    """The index is part of what is asked."""
    assert len(set(texts(subject, *(ask(3, DRAWN, index) for index in range(SAMPLES))).values())) == SAMPLES


def test_company_does_not_change_an_answer(subject: Subject) -> None:
    """Alone, or in a batch with others."""
    together = texts(subject, *everything())
    for request in [*(ask(item) for item in range(len(QUESTIONS))), ask(1, DRAWN, 2)]:
        assert {request.key: together[request.key]} == texts(subject, request)


def test_what_cannot_be_answered_is_void_alone(subject: Subject) -> None:
    """With a reason, and without harm to the others."""
    found = {answer.key: answer for answer in subject.engine.generate([ask(0), subject.impossible, ask(1)])}
    void = found[subject.impossible.key]
    assert isinstance(void, Void)
    assert void.by == "engine"
    assert void.reason
    assert isinstance(found[ask(0).key], Completion)
    assert isinstance(found[ask(1).key], Completion)


def test_nothing_asked_is_nothing_answered(subject: Subject) -> None:
    """An empty call ends."""
    assert list(subject.engine.generate([])) == []


def test_likelihoods_are_one_for_each_continuation(weighing: Subject) -> None:
    """In the order that was asked for; nothing is written, and no sampling parameter is claimed."""
    answer = answers(weighing, weigh(0))[weigh(0).key]
    assert len(OPTIONS) == len(answer.likelihoods)
    assert ("", None) == (answer.text, answer.effective)
    assert answer.finish_reason in ("weighed", "recorded")
    assert max(known.logprob for known in answer.likelihoods) == answer.likelihoods[0].logprob


def test_company_does_not_change_likelihoods(weighing: Subject) -> None:
    """Alone, with others, with answers to be written in the same call: the same to 1e-3."""
    requests = [weigh(item) for item in range(len(QUESTIONS))]
    together = answers(weighing, ask(1), *requests, ask(0, DRAWN))
    for request in requests:
        alone = answers(weighing, request)[request.key].likelihoods
        assert [known.logprob for known in alone] == pytest.approx(
            [known.logprob for known in together[request.key].likelihoods], abs=1e-3
        )
    assert together[ask(1).key].text == texts(weighing, ask(1))[ask(1).key]


def test_what_cannot_be_weighed_is_void_alone(weighing: Subject) -> None:
    """Nothing is cut to make it fit; the others are weighed."""
    found = {answer.key: answer for answer in weighing.engine.generate([weigh(1), weighing.unweighable, weigh(2)])}
    void = found[weighing.unweighable.key]
    assert isinstance(void, Void)
    assert void.reason
    assert isinstance(found[weigh(1).key], Completion)
    assert isinstance(found[weigh(2).key], Completion)


@pytest.mark.model
class TestWriting:
    """What only an engine that generates can be asked."""

    def test_the_answer_makes_sense(self, generating: Subject) -> None:
        """The chat template is on: the model answers instead of going on with the question."""
        assert "5" in texts(generating, ask(0))[ask(0).key]

    def test_seeds_decide(self, generating: Subject) -> None:
        """Another seed is another answer; a greedy one does not change."""
        other = replace(DRAWN, seed=8)
        assert texts(generating, ask(3, DRAWN))[ask(3, DRAWN).key] != texts(generating, ask(3, other)).popitem()[1]
        assert texts(generating, ask(3))[ask(3).key] == texts(generating, ask(3, replace(GREEDY, seed=8))).popitem()[1]

    def test_max_tokens_and_finish_reason(self, generating: Subject) -> None:
        """`length` when the limit cut it, `stop` when the model ended; counts say the same."""
        short = answers(generating, ask(1, replace(GREEDY, max_tokens=4)))[ask(1).key]
        assert (short.finish_reason, short.completion_tokens) == ("length", 4)
        ended = answers(generating, ask(0, replace(GREEDY, max_tokens=60)))[ask(0).key]
        assert ended.finish_reason == "stop"
        assert 1 < (ended.completion_tokens or 0) < 60

    def test_stop_strings(self, generating: Subject) -> None:
        """Cut before the first one, wherever tokens begin and end."""
        whole = texts(generating, ask(1))[ask(1).key]
        stop = whole[3:12]
        cut = answers(generating, ask(1, replace(GREEDY, stop=("never", stop))))[ask(1).key]
        assert (whole[: whole.index(stop)], "stop") == (cut.text, cut.finish_reason)

    def test_what_is_measured_is_there(self, generating: Subject) -> None:
        """Tokens, time, log-probability and the digest of the rendered prompt."""
        answer = answers(generating, ask(0, DRAWN))[ask(0, DRAWN).key]
        other = answers(generating, ask(1, DRAWN))[ask(1, DRAWN).key]
        assert len(answer.prompt_sha256) == 64
        assert answer.prompt_sha256 != other.prompt_sha256
        assert (answer.prompt_tokens or 0) > len(QUESTIONS[0].split())
        assert (answer.seconds or 0) > 0
        assert -10 < (answer.mean_logprob or 0) < 0

    def test_a_bare_text_is_continued(self, generating: Subject) -> None:
        """No template, and the space that begins the continuation is kept."""
        request = replace(ask(0), prompt=Prompt(text="The capital of France is"))
        assert " Paris" in texts(generating, request)[request.key]


@pytest.mark.model
class TestLoaded:
    """What only an engine that loads the model can be asked."""

    def test_tokens_are_counted_as_the_model_sees_them(self, written: Subject) -> None:
        """The parent's count, without the model library, is the worker's."""
        from evalkit.engines.transformers import ADAPTER

        requests = [*(ask(item) for item in range(len(QUESTIONS))), replace(ask(0), key="t", prompt=Prompt(text="a b"))]
        found = answers(written, *requests)
        counted = ADAPTER.count_tokens(SMOL, [request.prompt for request in requests])
        assert [found[request.key].prompt_tokens for request in requests] == counted

    def test_a_begun_answer_is_continued(self, written: Subject) -> None:
        """The model goes on in the middle of its answer; the parent renders and counts what the worker does."""
        from evalkit.core.digest import digest_text
        from evalkit.engines import weights
        from evalkit.engines.chat import rendered
        from evalkit.engines.transformers import ADAPTER

        prompt = Prompt(
            (Message("user", "What is the capital of France?"), Message("assistant", "The capital city is"))
        )
        request = replace(ask(0), key="begun", prompt=prompt)
        answer = answers(written, request)["begun"]
        assert answer.text.startswith(" Paris")
        assert [answer.prompt_tokens] == ADAPTER.count_tokens(SMOL, [prompt])
        folder = weights.describe(SMOL).folder
        assert folder is not None
        text = rendered(folder, prompt, True)
        assert text.endswith("<|im_start|>assistant\nThe capital city is")
        assert answer.prompt_sha256 == digest_text(text)

    def test_stop_strings_end_a_continued_text(self, written: Subject) -> None:
        """As in a chat: cut before the first one."""
        whole = texts(written, replace(ask(0), key="w", prompt=Prompt(text="1, 2, 3, 4,")))["w"]
        stop = whole[4:7]
        request = replace(ask(0, replace(GREEDY, stop=(stop,))), key="c", prompt=Prompt(text="1, 2, 3, 4,"))
        cut = answers(written, request)["c"]
        assert (whole[: whole.index(stop)], "stop") == (cut.text, cut.finish_reason)

    @pytest.mark.parametrize("chat", [False, True], ids=["text", "chat"])
    def test_likelihoods_are_those_of_the_model(self, written: Subject, chat: bool) -> None:
        """Prompt and continuation encoded as one and run through the model plainly give the same, to 1e-3."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from evalkit.engines import embedded

        place = embedded.converted(embedded.lookup("smollm2-135m"))
        model = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(place)
        prompt, text = Prompt(text="The capital of France is "), "The capital of France is "
        if chat:
            prompt = Prompt((Message("user", QUESTIONS[0]),))
            messages = [{"role": "user", "content": QUESTIONS[0]}]
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        options = ("Paris", "a banana", "London, of course")
        request = weigh(0, options, prompt)
        found = answers(written, request)[request.key].likelihoods
        context = tokenizer(text.rstrip(), add_special_tokens=not chat)["input_ids"]
        for option, known in zip(options, found, strict=True):
            ids = tokenizer(text + option, add_special_tokens=not chat)["input_ids"]
            with torch.inference_mode():
                logprobs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
            expected = sum(float(logprobs[spot - 1, ids[spot]]) for spot in range(len(context), len(ids)))
            assert (expected, len(ids) - len(context)) == (pytest.approx(known.logprob, abs=1e-3), known.tokens)

    def test_an_empty_prompt_is_weighed(self, written: Subject) -> None:
        """The model's first token stands for it, and a continuation has all of its tokens."""
        request = weigh(0, ("The", "Xyzzy plugh"), Prompt(text=""))
        first, second = answers(written, request)[request.key].likelihoods
        assert first.tokens == 1
        assert first.logprob > second.logprob

    def test_a_continuation_without_tokens_is_void(self, written: Subject) -> None:
        """It would be certain, and always win."""
        (void,) = written.engine.generate([weigh(0, (" Paris", ""))])
        assert isinstance(void, Void)
        assert void.reason == "the continuation '' has no tokens of its own"
