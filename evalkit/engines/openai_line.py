"""Calls to a server, several at a time, through OpenAI's own client: its retries, Retry-After, its time-outs.

One thread with an event loop, for the time of one `ask` only: what is under way can be given up at once, also a wait
that the server asked for, and nothing is left behind.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from evalkit.core.errors import PrerequisiteError
from evalkit.core.types import Json
from evalkit.engines.openai_body import Call
from evalkit.engines.openai_settings import Settings

_NO_KEY = "none"
"""The client insists on a key. It must not look for one itself: OpenAI's is not for other servers."""


class Reply(Struct, frozen=True):
    """What came back, the bytes that had gone out, and this answer's share of the time (`Shares`)."""

    content: bytes
    sent: bytes
    seconds: float = 0.0


class Failure(Struct, frozen=True):
    """Why there is no reply, after all retries. `status`, `code` and `param` are the server's, where it said any."""

    kind: Literal["unreachable", "timeout", "broken", "status"]
    message: str
    status: int = 0
    code: str = ""
    param: str = ""


class Shares:
    """The time that passes, divided among the requests that are under way: their shares make up the time in which any
    was. So tokens a second and the cost of an hour do not depend on how many are asked at a time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._since = now()
        self._running = 0
        self._each = 0.0
        """The share of a request that had been under way from the beginning."""

    def enter(self) -> float:
        """A request goes out; what it gets is for `leave`."""
        self._go_on()
        self._running += 1
        return self._each

    def leave(self, begun: float) -> float:
        """It is answered: its share in seconds."""
        self._go_on()
        self._running -= 1
        return self._each - begun

    def _go_on(self) -> None:
        now = self._now()
        self._each += (now - self._since) / self._running if self._running else 0.0
        self._since = now


class Line:
    """A server and the key for it. Needs the package openai; used by one thread at a time."""

    def __init__(self, settings: Settings, key: str | None) -> None:
        self._settings = settings
        self._key = key
        self._work: _Work | None = None

    def ask(self, calls: Sequence[Call]) -> Generator[tuple[int, Reply | Failure], None, None]:
        """The answer to each call with its number, as they come. Closing the iterator gives up what is under way."""
        if not calls:
            return
        work = self._work = _Work(self._settings, self._key, calls)
        work.thread.start()
        try:
            for _ in calls:
                number, heard = work.heard.get()
                if isinstance(heard, BaseException):
                    raise heard
                yield number, heard
        finally:
            work.stop()

    def close(self) -> None:
        """Give up what is under way, also where an error keeps the iterator alive."""
        if self._work is not None:
            self._work.stop()


class _Work:
    def __init__(self, settings: Settings, key: str | None, calls: Sequence[Call]) -> None:
        self._settings = settings
        self._key = key
        self._calls = calls
        self._shares = Shares()
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.heard: SimpleQueue[tuple[int, Reply | Failure | BaseException]] = SimpleQueue()
        self.thread = threading.Thread(target=self._run, name="evalkit-openai", daemon=True)

    def stop(self) -> None:
        """End the thread; nothing is on the wire after this returns."""
        self._begun.wait()
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            with suppress(RuntimeError):  # it closed in between: all is done
                self._loop.call_soon_threadsafe(self._task.cancel)
        self.thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._ask_all())
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as group:
            self.heard.put((-1, group.exceptions[0]))
        except BaseException as error:  # noqa: BLE001 - raised again where the answers are waited for
            self.heard.put((-1, error))
        finally:
            self._begun.set()

    async def _ask_all(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._begun.set()
        waiting = iter(enumerate(self._calls))
        async with _client(self._settings, self._key) as client, asyncio.TaskGroup() as group:
            for _ in range(min(self._settings.options.concurrency, len(self._calls))):
                group.create_task(self._ask_some(client, waiting))

    async def _ask_some(self, client: Json, waiting: Iterator[tuple[int, Call]]) -> None:
        for number, call in waiting:
            begun = self._shares.enter()
            heard = await _ask(client, call)
            seconds = self._shares.leave(begun)
            self.heard.put((number, replace(heard, seconds=seconds) if isinstance(heard, Reply) else heard))


async def _ask(client: Json, call: Call) -> Reply | Failure:
    import openai

    body = dict(call.body)
    model = body.pop("model")
    try:
        if call.path == "chat":
            create = client.chat.completions.with_raw_response.create
            raw = await create(model=model, messages=body.pop("messages"), extra_body=body)
        else:
            create = client.completions.with_raw_response.create
            raw = await create(model=model, prompt=body.pop("prompt"), extra_body=body)
    except openai.APIStatusError as error:
        detail = error.body if isinstance(error.body, dict) else {}
        said = detail.get("message") or _plainly(error.body) or error.response.text
        return Failure("status", str(said), error.status_code, str(error.code or error.type or ""), error.param or "")
    except openai.APIConnectionError as error:
        return _unanswered(error)
    response = raw.http_response
    return Reply(response.content, response.request.content)


def _plainly(body: Json) -> str:
    """A decoded body as text; empty where there is none. Its own text may write a key with escapes."""
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False) if body else ""


def _unanswered(error: Exception) -> Failure:
    import openai

    cause = error.__cause__
    words = f"{type(cause).__name__}: {cause}" if cause is not None and str(cause) else type(cause or error).__name__
    if type(cause).__name__ in ("ConnectError", "ConnectTimeout", "UnsupportedProtocol"):
        return Failure("unreachable", words)
    if isinstance(error, openai.APITimeoutError):
        return Failure("timeout", words)
    return Failure("broken", words)


def _client(settings: Settings, key: str | None) -> Json:
    """OpenAI's client. Nothing of it comes from the environment but, for OpenAI's own server, organisation and project.

    A machine's own servers are not asked through a proxy, and no redirection is followed: it would be another server.
    """
    openai = require()
    options = settings.options
    http = _bounded(openai, options.timeout_s, trust_env=not settings.is_loopback)
    client = openai.AsyncOpenAI(
        api_key=key or _NO_KEY,
        base_url=settings.base_url,
        timeout=options.timeout_s,
        max_retries=options.max_retries,
        http_client=http,
    )
    client._custom_headers = {}  # OPENAI_CUSTOM_HEADERS may hold another key, which would not be hidden
    if not settings.is_openai:
        client.organization = client.project = None
    return client


def _bounded(openai: Json, timeout_s: float, *, trust_env: bool) -> Json:
    """An HTTP client whose every attempt ends in time, also where a server sends a little now and then."""
    plain = next(kind for kind in openai.DefaultAsyncHttpxClient.__mro__ if kind.__name__ == "AsyncClient")
    library = importlib.import_module(plain.__module__.partition(".")[0])

    class Bounded(openai.DefaultAsyncHttpxClient):  # type: ignore[misc]
        async def send(self, request: Json, **how: Json) -> Json:
            try:
                async with asyncio.timeout(timeout_s):
                    return await super().send(request, **how)
            except TimeoutError as error:
                raise library.ReadTimeout(f"no whole answer in {timeout_s:g} s", request=request) from error

    return Bounded(follow_redirects=False, trust_env=trust_env)


def require() -> Json:
    """The package openai. Raises PrerequisiteError where it is missing."""
    try:
        import openai
    except ImportError as error:
        raise PrerequisiteError(
            f"the package openai cannot be used: {error}", hint="pip install 'evalkit-spec[openai]'"
        ) from error
    return openai
