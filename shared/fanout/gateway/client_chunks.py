"""
The chunks of a streamed response as the client gets them.

Imported with the first stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from ..schema import response_chunks
from ..schema.chat import ORIGINAL_EVENT, ChatChunk, ChatCompletion
from ..schema.choice_deltas import ChoiceDeltas
from ..schema.fanout import FanOutRequest
from .report import Report


async def with_model_name(
    model: str, chunks: AsyncIterator[ChatChunk]
) -> AsyncIterator[tuple[str, ChatChunk]]:
    """Each chunk with the name of its model."""
    async for chunk in chunks:
        yield model, chunk


async def winner_chunks(
    chunks: AsyncIterator[ChatChunk],
    own: Mapping[str, Any],
    request: FanOutRequest,
    report: Callable[[], Report | None],
) -> AsyncIterator[ChatChunk]:
    """
    The chunks of the only response as the client gets them.

    `own` has the model's name as the client wrote it, and an id and a time for a provider that
    sends none. A chunk with the vendor's own event is passed on as it is. If the client asked for
    usage, one more chunk has it, and the report if there is one.
    """
    deltas = ChoiceDeltas(limit=0) if request.in_pieces else ChoiceDeltas()
    kind = "chat.completion.chunk"  # the provider may call it otherwise
    head: dict[str, Any] = {}
    client_chunk: Any = {}
    usage: Any = None
    async for chunk in chunks:
        if not head:
            given = {"id": chunk.get("id"), "created": chunk.get("created")}
            head = {**own, **{name: value for name, value in given.items() if value}}
            head["object"] = kind
        usage = chunk.get("usage") or usage
        if ORIGINAL_EVENT in chunk:
            yield {**chunk, "model": own["model"]}
            continue
        if not chunk["choices"]:
            continue
        client_chunk = {**chunk, **head, "choices": deltas.shape(chunk["choices"])}
        client_chunk.pop("usage", None)
        if request.include_usage:
            client_chunk["usage"] = None
        if client_chunk["choices"]:
            yield client_chunk
    for choice in deltas.rest():
        client_chunk = {**client_chunk, "choices": [choice]}
        yield client_chunk
    if request.include_usage:
        last: Any = {"object": kind, **own, **head, "choices": [], "usage": usage}
        if (found := report()) is not None:
            last["fanout"] = found
        yield last


async def chunks_of(completion: ChatCompletion) -> AsyncIterator[ChatChunk]:
    """A whole response as the chunks of a stream."""
    whole: Any = {name: value for name, value in completion.items() if name != "fanout"}
    for chunk in response_chunks.chunks_of(whole):
        yield chunk
