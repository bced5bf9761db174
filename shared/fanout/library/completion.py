"""`completion` and `acompletion`: one conversation, one model."""

from __future__ import annotations

from typing import Any, Literal, Unpack, overload

from pydantic import BaseModel

from .background_loop import background_loop
from .call import Call
from .openai_errors import openai_errors
from .options import ChatOptions, MessagesOrLists, ResponseFormat
from .parsed_types import ParsedChatCompletion, ParsedT
from .signatures import shows_options
from .streams import ChunkIterator, ChunkStream, iterable
from .types import ChatCompletion


@overload
async def acompletion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChunkStream: ...


@overload
async def acompletion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> ParsedChatCompletion[ParsedT]: ...


@overload
async def acompletion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion: ...


@overload
async def acompletion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion | ChunkStream: ...


@shows_options
async def acompletion(
    model: str, messages: MessagesOrLists, **options: Any
) -> ChatCompletion | ChunkStream:
    """
    Return one model's response; with `stream=True`, a `ChunkStream` of its chunks.

    A stream is returned when its first content has arrived. With a pydantic class as
    `response_format`, each message has `.parsed`, an instance of the class. Several conversations
    (a list of lists) give one object with a choice for each.

    Raises `RequestError` if the request is wrong, and a `ProviderError` if the call fails.
    """
    with openai_errors():
        call = Call([model], options)
        return await (call.open_stream(messages) if call.stream else call.response(messages))


@overload
def completion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: Literal[True],
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChunkIterator: ...


@overload
def completion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: Literal[False] | None = None,
    response_format: type[ParsedT],
    **options: Unpack[ChatOptions],
) -> ParsedChatCompletion[ParsedT]: ...


@overload
def completion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: Literal[False] | None = None,
    response_format: ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion: ...


@overload
def completion(
    model: str,
    messages: MessagesOrLists,
    *,
    stream: bool | None,
    response_format: type[BaseModel] | ResponseFormat | None = None,
    **options: Unpack[ChatOptions],
) -> ChatCompletion | ChunkIterator: ...


@shows_options
def completion(
    model: str, messages: MessagesOrLists, **options: Any
) -> ChatCompletion | ChunkIterator:
    """
    Return one model's response; with `stream=True`, an iterator of its chunks.

    A stream is returned when its first content has arrived. With a pydantic class as
    `response_format`, each message has `.parsed`, an instance of the class. Several conversations
    (a list of lists) give one object with a choice for each.

    Raises `RequestError` if the request is wrong, and a `ProviderError` if the call fails.
    """
    return background_loop().run(iterable(acompletion(model, messages, **options)))
