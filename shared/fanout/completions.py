"""
The Python functions of LiteLLM's batch-completion page, in process: no server, no AWS.

Each has an `a…` twin; the plain ones run theirs on a background loop. Model strings are LiteLLM's
(`gpt-4o`, `groq/llama3-8b-8192`, `openai/x` with `api_base`), keys come from the usual environment
names. Options of every function:

* `timeout` (or `request_timeout`): seconds for each answer; `num_retries`; `fallbacks`;
* `api_base`, `api_key`, `api_version`, `drop_params`: as in `litellm_params`;
* everything else is a parameter of chat completions, and is passed on or refused by name.

Nothing that is passed in is changed.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Self, TypeAlias
from weakref import WeakKeyDictionary

from .answers import ChatCompletion, ChatCompletionChunk
from .compose import make_transport
from .concurrency import Failure, Outcome, map_all
from .config.keys import DEFAULTABLE
from .config.model import GeneralSettings, ModelParams
from .config.resolve import Catalog, Deployment, make_deployment
from .errors import RequestError
from .gateway import MAX_PARALLEL, Context, Gateway
from .observe import Silent
from .portal import portal
from .router import Router
from .schema.check import convert
from .schema.fanout import parse_request
from .settings import Settings
from .transport.engine import Engine

Messages: TypeAlias = Sequence[Mapping[str, Any]]
ADDRESS = ("api_base", "api_key", "api_version", "drop_params", "region", "aws_region_name")

_engines: WeakKeyDictionary[asyncio.AbstractEventLoop, Engine] = WeakKeyDictionary()


# ---- one answer ----


async def acompletion(model: str, messages: Messages, **options: Any) -> Any:
    """One answer; with `stream=True` a `ChunkStream`."""
    asked = _Asked([model], options)
    return await asked.answer(messages)


def completion(model: str, messages: Messages, **options: Any) -> Any:
    """One answer; with `stream=True` an iterator of chunks."""
    return _sync(acompletion(model, messages, **options))


# ---- many prompts, one model ----


async def abatch_completion(
    model: str, messages: Iterable[Messages], *, max_workers: int = MAX_PARALLEL, **options: Any
) -> list[Any]:
    """
    An answer for each conversation, in their order; a failed one is its exception, in its place.

    At most `max_workers` calls are in flight; an iterator is drawn as they free up. With
    `stream=True` each answer is a stream that opens when it is read.
    """
    if isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1:
        raise RequestError("`max_workers` must be a whole number from 1", "max_workers")
    _check_conversations(messages)
    asked = _Asked([model], options)
    if asked.stream:
        return [asked.lazy_stream(conversation) for conversation in messages]
    outcomes = await map_all(asked.answer, messages, limit=max_workers)
    return [_in_place(outcome) for outcome in outcomes]


def batch_completion(
    model: str, messages: Iterable[Messages], *, max_workers: int = MAX_PARALLEL, **options: Any
) -> list[Any]:
    """An answer for each conversation, in their order; see `abatch_completion`."""
    answers = portal().run(abatch_completion(model, messages, max_workers=max_workers, **options))
    return [_iterable(answer) for answer in answers]


# ---- one prompt, many models ----


async def abatch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Sequence[Mapping[str, Any]] | None = None,
    **options: Any,
) -> Any:
    """
    The fastest answer; the other calls are cancelled at once.

    A failure is skipped while others run; `AllFailed` has every cause, in order. Streamed, the
    first content decides; otherwise the first complete answer. `deployments` are `litellm_params`
    of their own, in place of `models`.
    """
    asked = _Asked(_names(models, deployments), options, deployments, mode="race")
    return await asked.answer(messages)


def batch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Sequence[Mapping[str, Any]] | None = None,
    **options: Any,
) -> Any:
    """The fastest answer; see `abatch_completion_models`."""
    return _sync(abatch_completion_models(models, messages, deployments=deployments, **options))


async def abatch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Sequence[Mapping[str, Any]] | None = None,
    max_workers: int = MAX_PARALLEL,
    **options: Any,
) -> list[Any]:
    """
    An answer of each model, in their order; a failed one is its exception, in its place.

    With `stream=True` each answer is a stream that opens when it is read.
    """
    names = _names(models, deployments)
    each = [
        _Asked([name], options, None if deployments is None else [deployments[index]])
        for index, name in enumerate(names)
    ]
    if options.get("stream"):
        return [asked.lazy_stream(messages) for asked in each]
    outcomes = await map_all(lambda asked: asked.answer(messages), each, limit=max_workers)
    return [_in_place(outcome) for outcome in outcomes]


def batch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Sequence[Mapping[str, Any]] | None = None,
    **options: Any,
) -> list[Any]:
    """An answer of each model, in order; see `abatch_completion_models_all_responses`."""
    answers = portal().run(
        abatch_completion_models_all_responses(models, messages, deployments=deployments, **options)
    )
    return [_iterable(answer) for answer in answers]


# ---- streams ----


class ChunkStream:
    """
    An answer as it comes: an async iterator of chunks, closed when it ends or by `aclose()`.

    Leaving it unread keeps the provider's stream open; `async with` closes it for certain.
    """

    def __init__(self, opening: Callable[[], Any]) -> None:
        self._opening = opening
        self._stack: AsyncExitStack | None = None
        self._chunks: AsyncIterator[Any] | None = None

    async def open(self) -> ChunkStream:
        """Ask, and wait for the first content; reading does so by itself."""
        if self._chunks is None:
            self._stack = AsyncExitStack()
            stream = await self._stack.enter_async_context(self._opening())
            self._chunks = stream.chunks
        return self

    def __aiter__(self) -> ChunkStream:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        await self.open()
        if self._chunks is None or self._stack is None:
            raise StopAsyncIteration
        try:
            return ChatCompletionChunk(await anext(self._chunks))
        except BaseException:
            await self.aclose()
            raise

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the provider's stream; the rest of the answer is not wanted."""
        if self._stack is not None:
            await self._stack.aclose()


class ChunkIterator:
    """A `ChunkStream` for synchronous code: `for chunk in stream`, `with stream:`, `close()`."""

    def __init__(self, stream: ChunkStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        chunk = portal().run(_next(self._stream))
        if chunk is None:
            raise StopIteration
        return chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close the provider's stream; the rest of the answer is not wanted."""
        portal().run(self._stream.aclose())


async def _next(stream: ChunkStream) -> ChatCompletionChunk | None:
    return await anext(stream, None)


def _sync(coroutine: Any) -> Any:
    return _iterable(portal().run(coroutine))


def _iterable(answer: Any) -> Any:
    return ChunkIterator(answer) if isinstance(answer, ChunkStream) else answer


# ---- what was asked ----


class _Asked:
    """One function call's models and options, checked once, for any number of conversations."""

    def __init__(
        self,
        models: Sequence[str],
        options: Mapping[str, Any],
        deployments: Sequence[Mapping[str, Any]] | None = None,
        mode: str = "one",
    ) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        self._address = {name: given.pop(name) for name in ADDRESS if name in given}
        self.stream = bool(given.pop("stream", False))
        names = [f"{model}#{i}" for i, model in enumerate(models)] if deployments else list(models)
        fanout: dict[str, Any] = {"models": names}
        if "stagger" in given:
            fanout["stagger"] = given.pop("stagger")
        else:
            fanout["mode"] = mode
        self._body = {**given, "fanout": fanout, "stream": self.stream}
        if not self.stream:
            self._body.pop("stream_options", None)
        settings = Settings.read()
        env = settings.env
        if deployments:
            found = [_deployment(n, d, env) for n, d in zip(names, deployments, strict=True)]
        else:
            spare = [n for n in given.get("fallbacks") or () if isinstance(n, str)]
            found = [_deployment(n, {**self._address, "model": n}, env) for n in [*names, *spare]]
        catalog = Catalog(
            groups={deployment.name: (deployment,) for deployment in found},
            env=env,
            general=GeneralSettings(),
        )
        transport = make_transport(settings, _engine())
        self._gateway = Gateway(catalog, Router(catalog, transport, observer=Silent()))

    async def answer(self, messages: Messages) -> Any:
        """One conversation's answer, or its stream once the first content is in hand."""
        if self.stream:
            return await self.lazy_stream(messages).open()
        request = self._request(messages)
        answer = await self._gateway.answer(request, _context())
        return ChatCompletion(answer.body)  # type: ignore[arg-type]

    def lazy_stream(self, messages: Messages) -> ChunkStream:
        """One conversation's stream, which opens when it is read."""
        return ChunkStream(lambda: self._gateway.stream(self._request(messages), _context()))

    def _request(self, messages: Messages) -> Any:
        _check_conversation(messages)
        return parse_request({**self._body, "messages": list(messages)})


def _context() -> Context:
    return Context(f"req_{random.getrandbits(64):016x}")


def _engine() -> Engine:
    """The running loop's engine: its connections are shared by all calls on that loop."""
    loop = asyncio.get_running_loop()
    if (engine := _engines.get(loop)) is None:
        from .transport.lanes import LanesEngine

        engine = _engines[loop] = LanesEngine()
    return engine


def _deployment(name: str, given: Mapping[str, Any], env: Mapping[str, str]) -> Deployment:
    ours = frozenset(ModelParams.__struct_fields__)
    if unknown := [key for key in given if key not in ours and key not in DEFAULTABLE]:
        raise RequestError(f"`deployments`: `{unknown[0]}` is unknown", unknown[0])
    params = convert({k: v for k, v in given.items() if k in ours and v is not None}, ModelParams)
    defaults = {key: value for key, value in given.items() if key not in ours}
    return make_deployment(name, params, defaults, env)


def _names(
    models: str | Sequence[str] | None, deployments: Sequence[Mapping[str, Any]] | None
) -> list[str]:
    """The models' names: a list, one name, or LiteLLM's comma list."""
    if deployments is not None:
        found = [str(entry.get("model", "")) for entry in deployments]
        param = "deployments"
    elif models is None:
        raise RequestError("give `models=[…]` (or `deployments=[…]`)", "models")
    else:
        found = models.split(",") if isinstance(models, str) else list(models)
        param = "models"
    found = [name.strip() if isinstance(name, str) else name for name in found]
    if not found or not all(isinstance(name, str) and name for name in found):
        raise RequestError(f"`{param}` must name at least one model, each with a name", param)
    return found


def _check_conversations(messages: object) -> None:
    if isinstance(messages, str | bytes | Mapping) or not isinstance(messages, Iterable):
        raise RequestError("`messages` must be a list of conversations", "messages")
    if isinstance(messages, Sequence) and messages and isinstance(messages[0], Mapping):
        raise RequestError(
            "`messages` is one conversation; give a list of conversations: `[[{…}], [{…}]]`",
            "messages",
        )


def _check_conversation(messages: object) -> None:
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise RequestError(
            '`messages` must be a list of messages such as `{"role": "user", "content": "Hi"}`',
            "messages",
        )


def _in_place(outcome: Outcome[Any]) -> Any:
    return outcome.error if isinstance(outcome, Failure) else outcome.value
