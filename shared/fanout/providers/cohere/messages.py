"""Messages as Cohere's: OpenAI's roles and nearly its shapes; roles need not alternate."""

from __future__ import annotations

from typing import Any

from ...errors import RequestError
from ...schema.chat import Object
from ...schema.messages import AssistantMessage, ImageURL, ToolMessage
from ...schema.request import ChatRequest
from ..calls import ANY_ID, CallIds, fit_arguments
from ..fields import UnsupportedFields
from ..request_reader import (
    Block,
    ChatMessage,
    PartEncoders,
    each_message,
    encode_content,
    function_calls,
    without_none,
)
from .rules import CITATION_FIELDS, CITED, is_empty


def encode_messages(request: ChatRequest, unsupported: UnsupportedFields) -> list[Block]:
    """The messages, without those that are empty. A tool's result may be."""
    ids = CallIds(ANY_ID)
    encoded = [
        _encode_message(message, raw, path, unsupported, ids)
        for message, raw, path in each_message(request, unsupported)
    ]
    messages = [message for message in encoded if message]
    if len(messages) < len(encoded):
        unsupported.count("messages[].content", len(encoded) - len(messages))
    if ids.changed:
        unsupported.note("messages[].tool_calls[].id")
    if not messages:
        raise RequestError("`messages` has nothing but empty messages", "messages")
    if all(message["role"] == "system" for message in messages):
        # No model responds to a system prompt alone.
        unsupported.note("messages[].role")
        return [*messages[:-1], {**messages[-1], "role": "user"}]
    return messages


def _encode_message(
    message: ChatMessage, raw: Object, path: str, unsupported: UnsupportedFields, ids: CallIds
) -> Block | None:
    blocks = [block for block, _ in encode_content(message, raw, path, unsupported, _PARTS)]
    if isinstance(message, AssistantMessage):
        return _encode_assistant(message, blocks, raw, path, unsupported, ids)
    if not isinstance(message, ToolMessage) and is_empty(message.content):
        return None
    call_id = ids.result(message.tool_call_id) if isinstance(message, ToolMessage) else None
    return without_none(
        {
            "role": "system" if raw["role"] == "developer" else raw["role"],
            "tool_call_id": call_id,
            "content": message.content if isinstance(message.content, str) else blocks,
        }
    )


def _encode_assistant(
    message: AssistantMessage,
    blocks: list[Block],
    raw: Object,
    path: str,
    unsupported: UnsupportedFields,
    ids: CallIds,
) -> Block | None:
    calls = [
        {
            "id": ids.call(call.id),
            "type": "function",
            "function": {
                "name": call.function.name,
                "arguments": fit_arguments(call.function.arguments, unsupported),
            },
        }
        for call, _, _ in function_calls(message, raw, path, unsupported)
    ]
    thought = raw.get("reasoning_content") or None
    if thought and not isinstance(thought, str):
        unsupported.note("messages[].reasoning_content")
        thought = None
    if thought and not calls:
        blocks = [{"type": "thinking", "thinking": thought}, *blocks]
    plain = isinstance(message.content, str) and len(blocks) == 1
    content = message.content if plain else blocks
    if not content and not calls:
        return None
    return without_none(
        {
            "role": "assistant",
            "content": content or None,
            "tool_calls": calls or None,
            # With calls, reasoning is sent back as the plan, which every model accepts.
            "tool_plan": thought if calls else None,
            "citations": _citations(raw, unsupported) or None,
        }
    )


def _citations(raw: Object, unsupported: UnsupportedFields) -> list[Object]:
    """Earlier citations in Cohere's form; other vendors' are left out."""
    given = raw.get("citations") or []
    known: list[Object] = [
        one
        for one in (given if isinstance(given, list) else ())
        if isinstance(one, dict) and CITED <= one.keys() <= CITATION_FIELDS
    ]
    if not isinstance(given, list):
        unsupported.note("messages[].citations")
    elif len(known) < len(given):
        unsupported.count("messages[].citations", len(given) - len(known))
    return known


def is_no_image(part: Object) -> bool:
    """A result has text and documents: Cohere's SDK for Python, `ToolContent`, 2026-11."""
    return bool(part.get("type") != "image_url")


def _encode_text(text: str) -> Block:
    return {"type": "text", "text": text}


def _encode_image(image: ImageURL, _path: str, _unsupported: UnsupportedFields) -> Block:
    """A web address or a data URI, with OpenAI's own three details."""
    url: dict[str, Any] = {"url": image.url}
    if isinstance(image.detail, str):
        url["detail"] = image.detail
    return {"type": "image_url", "image_url": url}


_PARTS = PartEncoders(_encode_text, _encode_image)
