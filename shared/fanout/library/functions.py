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

from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from ..concurrency import Failure, Outcome, map_all
from ..errors import RequestError
from .background_loop import background_loop
from .call import Call
from .streams import ChunkIterator, ChunkStream

Messages: TypeAlias = Sequence[Mapping[str, Any]]
Deployments: TypeAlias = Sequence[Mapping[str, Any]]

MAX_PARALLEL = 400
"""Calls in flight unless told otherwise: LiteLLM's 100 is a limit of its threads."""


# ---- one answer ----


async def acompletion(model: str, messages: Messages, **options: Any) -> Any:
    """One answer; with `stream=True` a `ChunkStream`."""
    return await Call([model], options).answer(messages)


def completion(model: str, messages: Messages, **options: Any) -> Any:
    """One answer; with `stream=True` an iterator of chunks."""
    return background_loop().run(_iterable(acompletion(model, messages, **options)))


# ---- many prompts, one model ----


async def abatch_completion(
    model: str,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    **options: Any,
) -> list[Any]:
    """
    An answer for each conversation, in their order; a failed one is its exception, in its place.

    At most `max_workers` calls are in flight; an iterator is drawn as they free up. With
    `stream=True` each answer is a stream that opens when it is read.
    """
    _check_workers(max_workers)
    _check_conversations(messages)
    asked = Call([model], options)
    if not asked.stream:
        return _in_place(await map_all(asked.answer, messages, limit=max_workers))
    if isinstance(messages, AsyncIterable):
        return [asked.lazy_stream(conversation) async for conversation in messages]
    return [asked.lazy_stream(conversation) for conversation in messages]


def batch_completion(
    model: str, messages: Iterable[Messages], *, max_workers: int = MAX_PARALLEL, **options: Any
) -> list[Any]:
    """An answer for each conversation, in their order; see `abatch_completion`."""
    _check_conversations(messages)

    async def run(drawn: Iterable[Messages] | AsyncIterable[Messages]) -> list[Any]:
        call = abatch_completion(model, drawn, max_workers=max_workers, **options)
        return _iterables(await call)

    if isinstance(messages, Sequence):
        return background_loop().run(run(messages))
    return background_loop().run_over(messages, run)


# ---- one prompt, many models ----


async def abatch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    **options: Any,
) -> Any:
    """
    The fastest answer; the other calls are cancelled at once.

    A failure is skipped while others run; `AllFailed` has every cause, in order. Streamed, the
    first content decides; otherwise the first complete answer. `deployments` are `litellm_params`
    of their own, in place of `models`.
    """
    names = _names(models, deployments)
    if not names:
        raise RequestError("a race needs at least one model", "models")
    return await Call(names, options, deployments, mode="race").answer(messages)


def batch_completion_models(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    **options: Any,
) -> Any:
    """The fastest answer; see `abatch_completion_models`."""
    call = abatch_completion_models(models, messages, deployments=deployments, **options)
    return background_loop().run(_iterable(call))


async def abatch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    **options: Any,
) -> list[Any]:
    """
    An answer of each model, in their order; a failed one is its exception, in its place.

    With `stream=True` each answer is a stream that opens when it is read.
    """
    _check_workers(max_workers)
    names = _names(models, deployments)
    each = [
        Call([name], options, None if deployments is None else [deployments[index]])
        for index, name in enumerate(names)
    ]
    if options.get("stream"):
        return [asked.lazy_stream(messages) for asked in each]
    return _in_place(await map_all(lambda one: one.answer(messages), each, limit=max_workers))


def batch_completion_models_all_responses(
    models: str | Sequence[str] | None = None,
    messages: Messages = (),
    *,
    deployments: Deployments | None = None,
    max_workers: int = MAX_PARALLEL,
    **options: Any,
) -> list[Any]:
    """An answer of each model, in order; see `abatch_completion_models_all_responses`."""

    async def run() -> list[Any]:
        call = abatch_completion_models_all_responses(
            models, messages, deployments=deployments, max_workers=max_workers, **options
        )
        return _iterables(await call)

    return background_loop().run(run())


# ---- what may be passed, and what comes back ----


def _names(models: object, deployments: Deployments | None) -> list[str]:
    """The models' names: a list, one name, or LiteLLM's comma list."""
    param, found = "models", models
    if deployments is not None:
        param, found = "deployments", [entry.get("model") for entry in deployments]
    elif isinstance(models, str):
        found = models.split(",")
    if not isinstance(found, Sequence):
        raise RequestError("give `models=[…]` (or `deployments=[…]`)", "models")
    names = [name.strip() if isinstance(name, str) else "" for name in found]
    if not all(names):
        raise RequestError(f"`{param}`: each must be named, such as `gpt-4o`", param)
    return names


def _check_workers(max_workers: object) -> None:
    if isinstance(max_workers, bool) or not isinstance(max_workers, int) or max_workers < 1:
        raise RequestError("`max_workers` must be a whole number from 1", "max_workers")


def _check_conversations(messages: object) -> None:
    if isinstance(messages, str | bytes | Mapping) or not isinstance(
        messages, Iterable | AsyncIterable
    ):
        raise RequestError("`messages` must be a list of conversations", "messages")
    if isinstance(messages, Sequence) and messages and isinstance(messages[0], Mapping):
        raise RequestError(
            "`messages` is one conversation; give a list of conversations: `[[{…}], [{…}]]`",
            "messages",
        )


def _in_place(outcomes: Sequence[Outcome[Any]]) -> list[Any]:
    return [one.error if isinstance(one, Failure) else one.value for one in outcomes]


async def _iterable(call: Awaitable[Any]) -> Any:
    """
    The answer for synchronous code.

    It is made on the loop: a caller who is interrupted as the answer comes drops an iterator, which
    closes its stream.
    """
    return _iterables([await call])[0]


def _iterables(answers: Sequence[Any]) -> list[Any]:
    return [ChunkIterator(one) if isinstance(one, ChunkStream) else one for one in answers]
