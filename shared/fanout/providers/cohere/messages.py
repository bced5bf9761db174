"""Messages, as Cohere has them: OpenAI's roles and nearly its shapes."""

from __future__ import annotations

from typing import Any, assert_never

from ...schema.chat import Object
from ...schema.request import (
    AnyMessage,
    AssistantMessage,
    AudioPart,
    ChatRequest,
    CustomToolCall,
    DeveloperMessage,
    FilePart,
    FunctionMessage,
    FunctionToolCall,
    ImagePart,
    RefusalPart,
    SystemMessage,
    TextPart,
    ToolMessage,
    UserMessage,
    UserPart,
)
from ..base import Losses

# `reasoning_content` and `citations` are what our own answers carry: callers send them back.
MESSAGE_FIELDS = frozenset(
    {
        "role",
        "content",
        "refusal",
        "name",
        "tool_calls",
        "tool_call_id",
        "reasoning_content",
        "citations",
    }
)


def encode_messages(request: ChatRequest, losses: Losses) -> list[dict[str, Any]]:
    """Every message in its place; Cohere asks for no alternation of roles."""
    encoded = [
        _encode_message(message, raw, f"messages[{index}]", losses)
        for index, (message, raw) in enumerate(
            zip(request.messages, request.body["messages"], strict=True)
        )
    ]
    return [message for message in encoded if message is not None]


def _encode_message(
    message: AnyMessage, raw: Object, place: str, losses: Losses
) -> dict[str, Any] | None:
    # On a tool's message `name` repeats what its call says; on any other it tells speakers apart.
    if raw.get("name") and not isinstance(message, ToolMessage | FunctionMessage):
        losses.lose(f"{place}.name")
    match message:
        case SystemMessage() | DeveloperMessage():
            return {"role": "system", "content": _encode_texts(message.content)}
        case UserMessage():
            return {"role": "user", "content": _encode_user(message.content, place, losses)}
        case AssistantMessage():
            return _encode_assistant(message, raw, place, losses)
        case ToolMessage():
            return {
                "role": "tool",
                "tool_call_id": message.tool_call_id,
                "content": _encode_texts(message.content),
            }
        case FunctionMessage():
            losses.lose(place, "the role `function` is gone, write a `tool` message")
            return None
        case _:
            assert_never(message)


def _encode_texts(content: str | list[TextPart]) -> str | list[dict[str, Any]]:
    return content if isinstance(content, str) else [_text(part.text) for part in content]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _encode_user(
    content: str | list[UserPart], place: str, losses: Losses
) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    parts = [
        _encode_part(part, f"{place}.content[{index}]", losses)
        for index, part in enumerate(content)
    ]
    return [part for part in parts if part is not None]


def _encode_part(part: UserPart, place: str, losses: Losses) -> dict[str, Any] | None:
    match part:
        case TextPart():
            return _text(part.text)
        case ImagePart():
            # A web address or a data URI, with OpenAI's own three details.
            image = {"url": part.image_url.url}
            if isinstance(part.image_url.detail, str):
                image["detail"] = part.image_url.detail
            return {"type": "image_url", "image_url": image}
        case AudioPart():
            losses.lose(place, "it hears no audio")
        case FilePart():
            losses.lose(place, "it reads no files, only text and images")
        case _:
            assert_never(part)
    return None


def _encode_assistant(
    message: AssistantMessage, raw: Object, place: str, losses: Losses
) -> dict[str, Any]:
    calls = _encode_calls(message.tool_calls or [], place, losses)
    thought = raw.get("reasoning_content") or None
    blocks = _said(message)
    if thought and not calls:
        blocks = [{"type": "thinking", "thinking": thought}, *blocks]
    plain = isinstance(message.content, str) and len(blocks) == 1
    content = message.content if plain else blocks
    encoded = {
        "role": "assistant",
        "content": content or (None if calls else ""),
        "tool_calls": calls or None,
        # Beside calls a thought goes back as the plan that it was: every model takes one.
        "tool_plan": thought if calls else None,
        "citations": raw.get("citations") or None,
    }
    return {name: value for name, value in encoded.items() if value is not None}


def _said(message: AssistantMessage) -> list[dict[str, Any]]:
    """The text of an answer; a refusal is what the assistant said, too."""
    content = message.content or message.refusal or []
    if isinstance(content, str):
        return [_text(content)]
    return [_text(part.refusal if isinstance(part, RefusalPart) else part.text) for part in content]


def _encode_calls(
    calls: list[FunctionToolCall | CustomToolCall], place: str, losses: Losses
) -> list[dict[str, Any]]:
    encoded: list[dict[str, Any]] = []
    for index, call in enumerate(calls):
        if isinstance(call, CustomToolCall):
            losses.lose(f"{place}.tool_calls[{index}]", "it calls functions only")
            continue
        function = {"name": call.function.name, "arguments": call.function.arguments}
        encoded.append({"id": call.id, "type": "function", "function": function})
    return encoded
