"""Messages as Cohere's: OpenAI's roles and nearly its shapes; roles need not alternate."""

from __future__ import annotations

from typing import Any

from ...schema.chat import Object
from ...schema.request import AssistantMessage, ChatRequest, ImageURL, ToolMessage
from ..base import Losses
from ..request import (
    Block,
    ChatMessage,
    PartEncoders,
    encode_content,
    function_calls,
    present,
    walk,
)


def encode_messages(request: ChatRequest, losses: Losses) -> list[Block]:
    return [
        _encode_message(message, raw, path, losses) for message, raw, path in walk(request, losses)
    ]


def _encode_message(message: ChatMessage, raw: Object, path: str, losses: Losses) -> Block:
    blocks = [block for block, _ in encode_content(message, raw, path, losses, _PARTS)]
    if isinstance(message, AssistantMessage):
        return _encode_assistant(message, blocks, raw, path, losses)
    return present(
        {
            "role": "system" if raw["role"] == "developer" else raw["role"],
            "tool_call_id": message.tool_call_id if isinstance(message, ToolMessage) else None,
            "content": message.content if isinstance(message.content, str) else blocks,
        }
    )


def _encode_assistant(
    message: AssistantMessage, blocks: list[Block], raw: Object, path: str, losses: Losses
) -> Block:
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call, _, _ in function_calls(message, raw, path, losses)
    ]
    thought = raw.get("reasoning_content") or None
    if thought and not calls:
        blocks = [{"type": "thinking", "thinking": thought}, *blocks]
    plain = isinstance(message.content, str) and len(blocks) == 1
    content = message.content if plain else blocks
    return present(
        {
            "role": "assistant",
            "content": content or (None if calls else ""),
            "tool_calls": calls or None,
            # With calls, reasoning is sent back as the plan, which every model accepts.
            "tool_plan": thought if calls else None,
            "citations": raw.get("citations") or None,
        }
    )


def _encode_text(text: str) -> Block:
    return {"type": "text", "text": text}


def _encode_image(image: ImageURL, _path: str, _losses: Losses) -> Block:
    """A web address or a data URI, with OpenAI's own three details."""
    url: dict[str, Any] = {"url": image.url}
    if isinstance(image.detail, str):
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


_PARTS = PartEncoders(_encode_text, _encode_image)
