"""Builds responses, chunks and their parts in OpenAI's format, for codecs of other formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .chat import (
    ChatChunk,
    ChatCompletion,
    Choice,
    ChunkChoice,
    Delta,
    FinishReason,
    Object,
    ResponseMessage,
    ToolCall,
    ToolCallDelta,
    Usage,
)


def make_completion(
    model: str,
    message: ResponseMessage,
    finish_reason: FinishReason | None,
    usage: Usage | None,
    **more: Any,
) -> ChatCompletion:
    """A response with one choice."""
    completion = ChatCompletion(
        object="chat.completion",
        model=model,
        choices=[Choice(index=0, message=message, finish_reason=finish_reason)],
        usage=usage,
    )
    return completion | more if more else completion  # type: ignore[return-value]


def make_chunk(
    model: str,
    delta: Delta,
    finish_reason: FinishReason | None = None,
    **more: Any,
) -> ChatChunk:
    """A chunk with one choice."""
    chunk = ChatChunk(
        object="chat.completion.chunk",
        model=model,
        choices=[ChunkChoice(index=0, delta=delta, finish_reason=finish_reason)],
    )
    return chunk | more if more else chunk  # type: ignore[return-value]


def make_usage_chunk(model: str, usage: Usage | None, **more: Any) -> ChatChunk:
    """The last chunk of a stream: no choice, and the usage; `None` if it is not known."""
    chunk = ChatChunk(object="chat.completion.chunk", model=model, choices=[], usage=usage)
    return chunk | more if more else chunk  # type: ignore[return-value]


def make_message(
    text: str,
    *,
    refusal: str | None = None,
    reasoning: str = "",
    thoughts: Sequence[Object] = (),
    calls: Sequence[ToolCall] = (),
    citations: Sequence[Object] = (),
) -> ResponseMessage:
    """A message of these parts. Its `content` is null if something else stands in for the text."""
    content = text or (None if calls or refusal else "")
    message = ResponseMessage(role="assistant", content=content)
    if refusal:
        message["refusal"] = refusal
    if reasoning:
        message["reasoning_content"] = reasoning
    if thoughts:
        message["thinking_blocks"] = [*thoughts]
    if calls:
        message["tool_calls"] = [*calls]
    if citations:
        message["citations"] = [*citations]
    return message


def find_finish_reason(
    known: Mapping[str, FinishReason], reason: str | None, calls: object
) -> FinishReason:
    """
    OpenAI's finish reason. One that is not for another cause says whether there are `calls`.

    Bedrock's Claude ends with `end_turn` beside calls: github.com/strands-agents/harness-sdk/pull/
    767. An agent would ask again without end after calls that are not there: mastra-ai/mastra/
    issues/12581. 2026-11
    """
    found = known.get(reason or "", "stop")
    if found in {"stop", "tool_calls"}:
        return "tool_calls" if calls else "stop"
    return found


def make_call(call_id: str, name: str, arguments: str) -> ToolCall:
    """A function call of a whole message; `arguments` are JSON."""
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def make_call_start(index: int, call_id: str, name: str, arguments: str = "") -> ToolCallDelta:
    """The first piece of a function call in a stream."""
    return {
        "index": index,
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def make_call_delta(index: int, arguments: str) -> ToolCallDelta:
    """A further part of a function call's arguments."""
    return {"index": index, "function": {"arguments": arguments}}


def make_usage(
    sent: int, got: int, *, cached: int = 0, written: int = 0, reasoning: int = 0
) -> Usage:
    """
    Usage in OpenAI's fields.

    `sent` includes the tokens read from a cache (`cached`) and written to one (`written`), `got`
    includes `reasoning`.
    """
    usage = Usage(prompt_tokens=sent, completion_tokens=got, total_tokens=sent + got)
    if cached or written:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    if written:
        usage["prompt_tokens_details"]["cache_write_tokens"] = written
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage
