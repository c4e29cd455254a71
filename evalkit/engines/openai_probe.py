"""A few short questions before the first real one: does the server do as it is told?

A server that takes no notice of a seed or a temperature answers all the same. So before anything that is drawn is
asked, equal seeds must agree and different ones must not all agree; before anything greedy, answers at temperature 0
must not all differ. A filter that is declared is tried at its extreme, where it leaves one token: then seeds do not
matter. Each is asked once for each end point that is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

from msgspec.structs import replace

from evalkit.core.errors import EvalkitError, PrerequisiteError
from evalkit.core.ports import Notify
from evalkit.core.types import Completion, Json, Message, Prompt, Request, SamplingParams
from evalkit.engines.openai_answers import Reader
from evalkit.engines.openai_body import Call, call_of
from evalkit.engines.openai_faults import Fault, Faults, ignores
from evalkit.engines.openai_line import Failure, Line
from evalkit.engines.openai_settings import Settings

_CHAT = Prompt((Message("user", "Write eight random digits, then eight random English words."),))
_PLAIN = Prompt(text="Eight random digits, then eight random English words:\n")
_DRAWN = SamplingParams(temperature=1.0, max_tokens=24)
_GREEDY = SamplingParams(max_tokens=24)
_SEEDS = 4
_GREEDY_TIMES = 4
_EXTREMES: dict[str, Json] = {"top_k": 1, "top_p": 0.001, "min_p": 1.0}
_PENALTY = 2.0


class Probe:
    """Tries one server. What was tried is not tried again."""

    def __init__(self, settings: Settings, line: Line, faults: Faults, notify: Notify) -> None:
        self._settings = settings
        self._line = line
        self._faults = faults
        self._notify = notify
        self._tried: set[tuple[str, str]] = set()

    def try_out(self, asked: Iterable[tuple[Request, Call]]) -> None:
        """Raises ContractError for a server that ignores what these requests declare."""
        wanted: dict[tuple[str, str], None] = {}
        for request, call in asked:
            wanted |= {(call.path, what): None for what in _used(request.sampling)}
        for path, what in wanted:
            if (path, what) not in self._tried:
                self._tried.add((path, what))
                self._try(_PLAIN if path == "completions" else _CHAT, what)

    def _try(self, prompt: Prompt, what: str) -> None:
        trials: dict[str, Callable[[Prompt], None]] = {
            "drawn": self._try_drawn,
            "greedy": self._try_greedy,
            "repetition_penalty": self._try_penalty,
        }
        trial = trials.get(what)
        if trial is not None:
            trial(prompt)
        else:
            self._try_filter(prompt, what)

    def _try_drawn(self, prompt: Prompt) -> None:
        different = self._ask(prompt, [(_DRAWN, index) for index in range(_SEEDS)])
        if self._unclear(different, "temperature"):
            return
        if len(set(different)) == 1:
            seen = f"{_SEEDS} answers drawn at temperature 1 are the same: {different[0]!r:.60}"
            raise self._ignores("`temperature` or `seed`", seen, "use another server, or greedy answers only")
        if self._settings.sends("seed"):
            self._try_seeds(prompt, different)

    def _try_seeds(self, prompt: Prompt, first: list[str]) -> None:
        again = self._ask(prompt, [(_DRAWN, index) for index in range(_SEEDS)])
        if not any(one == other for one, other in zip(first, again, strict=True)):
            seen = f"the same seed gave {first[0]!r:.60} and {again[0]!r:.60}"
            hint = "options: {without: [seed]} sends none: answers can then not be drawn again, and the lock says so"
            raise self._ignores("`seed`", seen, hint)

    def _try_greedy(self, prompt: Prompt) -> None:
        answers = self._ask(prompt, [(_GREEDY, 0)] * _GREEDY_TIMES)
        if not self._unclear(answers, "temperature") and len(set(answers)) == len(answers):
            seen = f"{_GREEDY_TIMES} answers at temperature 0 are all different: {answers[0]!r:.60}, {answers[1]!r:.60}"
            raise self._ignores("`temperature`", seen, "declare the temperature that it uses")

    def _try_filter(self, prompt: Prompt, name: str) -> None:
        extreme = replace(_DRAWN, **{name: _EXTREMES[name]})
        answers = self._ask(prompt, [(extreme, index) for index in range(_SEEDS)])
        if not self._unclear(answers, name) and len(set(answers)) == len(answers):
            seen = f"with {name}: {_EXTREMES[name]} only one answer is possible, and {len(answers)} different ones came"
            raise self._ignores(f"`{name}`", seen, f"leave {name} out of the policy")

    def _try_penalty(self, prompt: Prompt) -> None:
        answers = self._ask(prompt, [(_GREEDY, 0), (replace(_GREEDY, repetition_penalty=_PENALTY), 0)])
        if not self._unclear(answers, "repetition_penalty") and len(set(answers)) == 1:
            seen = f"an answer under a penalty of {_PENALTY} is the same as without one"
            raise self._ignores("`repetition_penalty`", seen, "leave repetition_penalty out of the policy")

    def _ask(self, prompt: Prompt, wanted: Sequence[tuple[SamplingParams, int]]) -> list[str]:
        requests = [Request("", "", "", prompt, self._possible(sampling), index) for sampling, index in wanted]
        reader, calls = Reader(self._settings, self._faults.words), [call_of(self._settings, one) for one in requests]
        texts = [""] * len(calls)
        with closing(self._line.ask(calls)) as answers:
            for number, heard in answers:
                if isinstance(heard, Failure):
                    found: Completion | Fault = self._faults.of(heard)
                else:
                    found = reader.read(requests[number], calls[number], heard)
                if isinstance(found, Fault):
                    raise PrerequisiteError(
                        f"the server {self._settings.base_url} could not be tried: {found.reason}",
                        hint="mend that and run again; options: {probe: false} does without the trial",
                    )
                texts[number] = found.text
        return texts

    def _possible(self, sampling: SamplingParams) -> SamplingParams:
        """As the server can be asked it: one that is sent no temperature draws at 1."""
        return sampling if self._settings.sends("temperature") else replace(sampling, temperature=1.0)

    def _unclear(self, answers: Sequence[str], what: str) -> bool:
        """Models that think first may write nothing in so few tokens."""
        unclear = not all(answer.strip() for answer in answers)
        if unclear:
            self._notify(f"{self._settings.name}: whether the server honours {what} could not be tried: empty answers")
        return unclear

    def _ignores(self, what: str, seen: str, hint: str) -> EvalkitError:
        return ignores(self._settings, what, seen, f"{hint} (options: {{probe: false}} does without this trial)")


def _used(sampling: SamplingParams) -> list[str]:
    """What of the sampling is to be tried."""
    used = ["greedy" if sampling.greedy else "drawn"]
    if not sampling.greedy:
        off = SamplingParams()
        used += [name for name in _EXTREMES if getattr(sampling, name) != getattr(off, name)]
    return used + (["repetition_penalty"] if sampling.repetition_penalty != 1.0 else [])
