"""A whole response as the chunks of a stream, for a provider that ignores `stream: true`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .chat import ORIGINAL_FIELDS, ChatChunk, ChatCompletion

_NOT_IN_CHUNKS = frozenset({"choices", "object", "usage"}) | ORIGINAL_FIELDS


def chunks_of(completion: ChatCompletion) -> Iterator[ChatChunk]:
    """
    Yield one chunk with each choice's message, one with its finish reason, and one with the usage.

    A `ChunkAccumulator` puts them together to the same response.
    """
    top = {name: value for name, value in completion.items() if name not in _NOT_IN_CHUNKS}
    for number, choice in enumerate(completion["choices"]):
        index = choice.get("index", number)
        rest = {name: value for name, value in choice.items() if name != "message"}
        logprobs = rest.pop("logprobs", None)
        start: dict[str, Any] = {"index": index, "delta": _delta(choice["message"])}
        if logprobs:
            start["logprobs"] = logprobs
        yield _chunk(top, [{**start, "finish_reason": None}])
        yield _chunk(top, [{**rest, "index": index, "delta": {}}])
    if usage := completion.get("usage"):
        yield _chunk(top, [], usage=usage)


def _delta(message: Any) -> dict[str, Any]:
    """The message with the index that OpenAI's streams have in each tool call."""
    delta = {name: value for name, value in message.items() if value is not None}
    if calls := delta.get("tool_calls"):
        delta["tool_calls"] = [{**call, "index": index} for index, call in enumerate(calls)]
    return {"role": "assistant", **delta}


def _chunk(top: dict[str, Any], choices: list[Any], **more: Any) -> ChatChunk:
    value: Any = {**top, "object": "chat.completion.chunk", "choices": choices, **more}
    chunk: ChatChunk = value
    return chunk
