"""
At most one tool call in a response, for providers that cannot be asked for that.

OpenAI's `parallel_tool_calls: false` asks for it. The first call is kept, the others are left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from .chat import ChatChunk, ChatCompletion


def keep_first_call(completion: ChatCompletion) -> ChatCompletion:
    """A whole response with the first call of each choice."""
    if not any(
        len(choice["message"].get("tool_calls") or ()) > 1 for choice in completion["choices"]
    ):
        return completion
    choices: Any = [_first_call(choice) for choice in completion["choices"]]
    return {**completion, "choices": choices}


def _first_call(choice: Mapping[str, Any]) -> dict[str, Any]:
    message = choice["message"]
    calls = message.get("tool_calls")
    return {**choice, "message": {**message, "tool_calls": calls[:1]} if calls else message}


async def keep_first_calls(chunks: AsyncIterator[ChatChunk]) -> AsyncIterator[ChatChunk]:
    """The chunks of a stream, without the pieces of any call but the first of each choice."""
    first: dict[int, int] = {}
    async for chunk in chunks:
        kept = _keep(chunk, first)
        if kept is not None:
            yield kept


def _keep(chunk: ChatChunk, first: dict[int, int]) -> ChatChunk | None:
    """The chunk without other calls; `None` if nothing is left of it."""
    if not any(choice["delta"].get("tool_calls") for choice in chunk["choices"]):
        return chunk
    choices: Any = [_keep_choice(choice, first) for choice in chunk["choices"]]
    kept: ChatChunk = {**chunk, "choices": choices}
    is_empty = not any(choice["delta"] or choice.get("finish_reason") for choice in choices)
    return None if is_empty and not chunk.get("usage") else kept


def _keep_choice(choice: Mapping[str, Any], first: dict[int, int]) -> dict[str, Any]:
    delta = choice["delta"]
    calls = delta.get("tool_calls")
    if not calls:
        return {**choice}
    number = first.setdefault(choice.get("index", 0), calls[0].get("index", 0))
    kept = [call for call in calls if call.get("index", 0) == number]
    rest = {name: value for name, value in delta.items() if name != "tool_calls"}
    return {**choice, "delta": rest | ({"tool_calls": kept} if kept else {})}
