"""`batch_completion` and `abatch_completion`: many conversations, one model."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Sequence, Sized
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Unpack, overload

from pydantic import BaseModel

from ..concurrency import map_all
from ..concurrency.garbage import collecting_rarely
from ..errors import FanoutError, RequestError
from .arguments import (
    MAX_PARALLEL,
    check_conversations,
    check_synchronous,
    check_workers,
    each,
    in_place,
)
from .background_loop import background_loop
from .call import Call
from .openai_errors import openai_errors
from .options import ChatOptions, Messages, ResponseFormat
from .parsed_types import ParsedChatCompletion, ParsedT
from .progress import progress_bar
from .signatures import shows_options
from .streams import ChunkIterator, ChunkStream, iterables
from .types import ChatCompletion

if TYPE_CHECKING:
    from .checkpoint import Checkpoint

Responses: TypeAlias = list[ChatCompletion | FanoutError]


@overload
async def abatch_completion(
    model: str,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChunkStream]: ...


@overload
async def abatch_completion(
    model: str,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> list[ParsedChatCompletion[ParsedT] | FanoutError]: ...


@overload
async def abatch_completion(
    model: str,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError]: ...


@overload
async def abatch_completion(
    model: str,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError] | list[ChunkStream]: ...


@shows_options
async def abatch_completion(
    model: str,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Sequence[ChatCompletion | FanoutError | ChunkStream]:
    """
    Send every conversation to one model and return the responses in the conversations' order.

    The response of a call that fails is its exception. At most `max_workers` calls are in flight,
    over HTTP/1.1 also at most as many as the process may open files, less 224; an iterator of
    conversations is read as calls finish. With `stream=True` each response is
    a stream, which sends its request when it is first read.

    `progress=True` shows a progress bar in a terminal or a notebook. `checkpoint="run.jsonl"`
    stores each response when it arrives; the next call with the same file sends only the requests
    that have no stored response. Raises `CheckpointError` if that file cannot be used or written.
    """
    with openai_errors():
        check_workers(max_workers)
        check_conversations(messages)
        call = Call([model], options)
        if call.stream:
            if checkpoint is not None:
                raise RequestError("`checkpoint` stores no streams: leave out `stream`", "stream")
            return [call.lazy_stream(conversation) async for conversation in each(messages)]
        with collecting_rarely(min(max_workers, _count(messages) or max_workers)):
            if checkpoint is None:
                return await _responses(call, messages, max_workers, shown=progress)
            from .checkpoint import Checkpoint  # most batches have none

            with Checkpoint(checkpoint) as stored:
                return await _stored_responses(call, messages, max_workers, stored, shown=progress)


async def _responses(
    call: Call,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    max_workers: int,
    *,
    shown: bool,
) -> Responses:
    if not shown:
        return in_place(await map_all(call.response, messages, limit=max_workers))
    with progress_bar(_count(messages), shown=shown) as bar:

        async def run(conversation: Messages) -> ChatCompletion:
            with bar.counted():
                return await call.response(conversation)

        return in_place(await map_all(run, messages, limit=max_workers))


async def _stored_responses(
    call: Call,
    messages: Iterable[Messages] | AsyncIterable[Messages],
    max_workers: int,
    stored: Checkpoint,
    *,
    shown: bool,
) -> Responses:
    async def keyed() -> AsyncIterator[tuple[str | None, Messages]]:
        async for conversation in each(messages):  # in order: equal ones are numbered
            yield stored.key(call.identity(conversation)), conversation

    with progress_bar(_count(messages), shown=shown) as bar:

        async def run(item: tuple[str | None, Messages]) -> ChatCompletion:
            key, conversation = item
            with bar.counted():
                if (found := stored.find(key)) is not None:
                    return call.from_json(found)
                return await call.response(conversation, partial(stored.store, key))

        responses = in_place(await map_all(run, keyed(), limit=max_workers))
    if stored.failure is not None:
        raise stored.error(responses)
    return responses


def _count(messages: object) -> int | None:
    return len(messages) if isinstance(messages, Sized) else None


@overload
def batch_completion(
    model: str,
    messages: Iterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChunkIterator]: ...


@overload
def batch_completion(
    model: str,
    messages: Iterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> list[ParsedChatCompletion[ParsedT] | FanoutError]: ...


@overload
def batch_completion(
    model: str,
    messages: Iterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError]: ...


@overload
def batch_completion(
    model: str,
    messages: Iterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> list[ChatCompletion | FanoutError] | list[ChunkIterator]: ...


@shows_options
def batch_completion(
    model: str,
    messages: Iterable[Messages],
    *,
    max_workers: int = MAX_PARALLEL,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Sequence[ChatCompletion | FanoutError | ChunkIterator]:
    """
    Send every conversation to one model and return the responses in the conversations' order.

    The response of a call that fails is its exception. At most `max_workers` calls are in flight,
    over HTTP/1.1 also at most as many as the process may open files, less 224; an iterator of
    conversations is read as calls finish. With `stream=True` each response is
    an iterator of chunks, which sends its request when it is first read.

    `progress=True` shows a progress bar in a terminal or a notebook. `checkpoint="run.jsonl"`
    stores each response when it arrives; the next call with the same file sends only the requests
    that have no stored response. Raises `CheckpointError` if that file cannot be used or written.
    """
    with openai_errors():
        check_conversations(messages)
        check_synchronous(messages)

    async def run(
        read: Iterable[Messages] | AsyncIterable[Messages],
    ) -> Sequence[ChatCompletion | FanoutError | ChunkIterator]:
        call = abatch_completion(
            model,
            read,
            max_workers=max_workers,
            progress=progress,
            checkpoint=checkpoint,
            **options,
        )
        return await iterables(call)

    if isinstance(messages, Sequence):
        return background_loop().run(run(messages))
    return background_loop().run_over(messages, run)
