"""What gets responses, and how their text is printed on standard output."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from ..gateway.run import Context, GatewayResponse, ResponseStream
from ..schema.chat import ChatChunk
from ..schema.fanout import FanOutRequest
from ..wire import json
from .printing import show_response


class ResponseSource(Protocol):
    """What gets responses: the gateway in this process, or one at a URL."""

    async def chat(self, request: FanOutRequest, context: Context) -> GatewayResponse: ...

    def stream(
        self, request: FanOutRequest, context: Context
    ) -> AbstractAsyncContextManager[ResponseStream]: ...


def content_of(part: Mapping[str, Any]) -> str:
    """The text of a message or a delta: its content, or its refusal."""
    return part.get("content") or part.get("refusal") or ""


def first_choice_text(body: Any) -> str:
    """The text of the first choice; if it only calls tools, the calls as JSON."""
    message = body["choices"][0]["message"]
    words = content_of(message)
    if not words and message.get("tool_calls"):
        words = json.encode(message["tool_calls"]).decode()
    return words


async def print_stream(chunks: AsyncIterator[ChatChunk]) -> None:
    """Print the text of the first choice as it arrives."""
    async for chunk in chunks:
        for choice in chunk["choices"]:
            if choice.get("index", 0) == 0:
                show_response(content_of(choice["delta"]), end="", flush=True)
    show_response("")
