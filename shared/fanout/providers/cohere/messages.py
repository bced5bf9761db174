"""Messages as Cohere's: OpenAI's roles and nearly its shapes; roles need not alternate."""

from __future__ import annotations

from typing import Any

from ...schema.chat import Object
from ...schema.request import AssistantMessage, ChatRequest, ImageURL, ToolMessage
from ..base import UnsupportedFields
from ..request_reader import (
    Block,
    ChatMessage,
    PartEncoders,
    each_message,
    encode_content,
    function_calls,
    without_none,
)


def encode_messages(request: ChatRequest, unsupported: UnsupportedFields) -> list[Block]:
    return [
        _encode_message(message, raw, path, unsupported)
        for message, raw, path in each_message(request, unsupported)
    ]


def _encode_message(
    message: ChatMessage, raw: Object, path: str, unsupported: UnsupportedFields
) -> Block:
    blocks = [block for block, _ in encode_content(message, raw, path, unsupported, _PARTS)]
    if isinstance(message, AssistantMessage):
        return _encode_assistant(message, blocks, raw, path, unsupported)
    return without_none(
        {
            "role": "system" if raw["role"] == "developer" else raw["role"],
            "tool_call_id": message.tool_call_id if isinstance(message, ToolMessage) else None,
            "content": message.content if isinstance(message.content, str) else blocks,
        }
    )


def _encode_assistant(
    message: AssistantMessage,
    blocks: list[Block],
    raw: Object,
    path: str,
    unsupported: UnsupportedFields,
) -> Block:
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call, _, _ in function_calls(message, raw, path, unsupported)
    ]
    thought = raw.get("reasoning_content") or None
    if thought and not calls:
        blocks = [{"type": "thinking", "thinking": thought}, *blocks]
    plain = isinstance(message.content, str) and len(blocks) == 1
    content = message.content if plain else blocks
    return without_none(
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


def _encode_image(image: ImageURL, _path: str, _unsupported: UnsupportedFields) -> Block:
    """A web address or a data URI, with OpenAI's own three details."""
    url: dict[str, Any] = {"url": image.url}
    if isinstance(image.detail, str):
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


_PARTS = PartEncoders(_encode_text, _encode_image)
