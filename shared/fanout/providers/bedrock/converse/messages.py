"""
A conversation in Converse's blocks: system prompt, turns, media, tool calls and results.

`cache_control` and `thinking_blocks` are not OpenAI's: they are read from the request as it was
written, as LiteLLM's users expect. The first becomes a `cachePoint` behind what it marks, the
second are blocks of reasoning, which must come back unchanged:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from ....errors import RequestError
from ....schema.chat import Object
from ....schema.request import (
    AnyMessage,
    AssistantMessage,
    AssistantPart,
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
from ....wire import json
from ...base import Losses
from .media import Block, encode_audio, encode_file, encode_image, name_apart

AnyPart: TypeAlias = UserPart | AssistantPart

MESSAGE_FIELDS = frozenset(
    {
        "role",
        "content",
        "refusal",
        "tool_calls",
        "tool_call_id",
        "cache_control",
        "thinking_blocks",
        "name",  # refused below; a tool's is passed over, for its result has the call's id
        "function_call",  # refused below
        # Reasoning without a signature cannot be given back; what has one comes in
        # `thinking_blocks` as well.
        "reasoning_content",
    }
)


class Thought(msgspec.Struct, frozen=True, tag_field="type", tag="thinking"):
    thinking: str
    signature: str | None = None


class HiddenThought(msgspec.Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    data: str


def encode_conversation(request: ChatRequest, losses: Losses) -> dict[str, Any]:
    """
    `system` and `messages`.

    System messages are gathered from wherever they are. Roles must alternate, so neighbours with
    one role become one turn: all results of parallel tool calls come together.
    """
    system: list[Block] = []
    turns: list[Block] = []
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        raw: Object = request.body["messages"][index]
        blocks = _mark(list(_encode_message(message, raw, path, losses)), raw)
        role = "assistant" if isinstance(message, AssistantMessage) else "user"
        if isinstance(message, SystemMessage | DeveloperMessage):
            system.extend(blocks)
        elif turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        elif blocks:
            turns.append({"role": role, "content": blocks})
    said: dict[str, Any] = {"system": system} if system else {}
    return {**said, "messages": name_apart(turns)}


def has_tool_blocks(messages: Sequence[Block]) -> bool:
    """Whether a tool was called in `messages`; they must then be said to the model anew."""
    return any(
        "toolUse" in block or "toolResult" in block
        for turn in messages
        for block in turn["content"]
    )


def cache_point(raw: Mapping[str, Any]) -> list[Block]:
    """
    The mark behind anything that `cache_control` is written on, if it is.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    """
    mark = raw.get("cache_control")
    if not mark:
        return []
    ttl = mark.get("ttl") if isinstance(mark, dict) else None
    return [{"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}]


def _mark(blocks: list[Block], raw: Object) -> list[Block]:
    """A message's own `cache_control` is its last block's, which may have one already."""
    if blocks and "cachePoint" not in blocks[-1]:
        return [*blocks, *cache_point(raw)]
    return blocks


def _encode_message(message: AnyMessage, raw: Object, path: str, losses: Losses) -> Iterator[Block]:
    if not isinstance(message, ToolMessage | FunctionMessage) and message.name:
        losses.lose(f"{path}.name", "a turn has no name")
    match message:
        case SystemMessage() | DeveloperMessage() | UserMessage():
            yield from _encode_parts(message.content, raw, path, losses)
        case AssistantMessage():
            yield from _encode_assistant(message, raw, path, losses)
        case ToolMessage(content=content, tool_call_id=call):
            yield from _encode_result(list(_encode_parts(content, raw, path, losses)), call)
        case FunctionMessage():
            losses.lose(path, "use `tools` and a `tool` message")


def _encode_result(blocks: list[Block], call: str) -> Iterator[Block]:
    """A result has no marks within; they follow it."""
    content = [block for block in blocks if "cachePoint" not in block]
    yield {"toolResult": {"toolUseId": call, "content": content}}
    yield from [block for block in blocks if "cachePoint" in block][-1:]


def _encode_assistant(
    message: AssistantMessage, raw: Object, path: str, losses: Losses
) -> Iterator[Block]:
    """Reasoning first, then what was said, then the calls: the order in which they were told."""
    yield from _thoughts(raw, path)
    if message.content:
        yield from _encode_parts(message.content, raw, path, losses)
    if message.refusal:
        yield {"text": message.refusal}
    for index, call in enumerate(message.tool_calls or ()):
        place = f"{path}.tool_calls[{index}]"
        if isinstance(call, CustomToolCall):
            losses.lose(place, "it calls a custom tool")
        else:
            yield _encode_call(call, place)
            yield from cache_point(raw["tool_calls"][index])
    if message.function_call:
        losses.lose(f"{path}.function_call", "use `tool_calls`")


def _thoughts(raw: Object, path: str) -> Iterator[Block]:
    """Earlier reasoning, unchanged: its signature covers every letter."""
    place = f"{path}.thinking_blocks"
    try:
        kept = msgspec.convert(raw.get("thinking_blocks") or [], list[Thought | HiddenThought])
    except msgspec.ValidationError as error:
        raise RequestError(f"`{place}`: {error}", place) from None
    for thought in kept:
        if isinstance(thought, HiddenThought):
            yield {"reasoningContent": {"redactedContent": thought.data}}
        else:
            signature = {"signature": thought.signature} if thought.signature else {}
            text = {"text": thought.thinking, **signature}
            yield {"reasoningContent": {"reasoningText": text}}


def _encode_call(call: FunctionToolCall, path: str) -> Block:
    place = f"{path}.function.arguments"
    try:
        arguments = json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise RequestError(f"`{place}` is not a JSON object: {error}", place) from None
    return {"toolUse": {"toolUseId": call.id, "name": call.function.name, "input": arguments}}


def _encode_parts(
    content: str | Sequence[AnyPart] | None, raw: Object, path: str, losses: Losses
) -> Iterator[Block]:
    """
    Each part as a block.

    A text of nothing but spaces is refused by the vendor ("text content blocks must contain
    non-whitespace text"), so it is left out.
    """
    if isinstance(content, str):
        if content.strip():
            yield {"text": content}
        return
    for index, part in enumerate(content or ()):
        block = _encode_part(part, f"{path}.content[{index}]", losses)
        if block:
            yield block
            yield from cache_point(raw["content"][index])


def _encode_part(part: AnyPart, path: str, losses: Losses) -> Block | None:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return {"text": text} if text.strip() else None
        case ImagePart(image_url=image):
            return encode_image(image, f"{path}.image_url", losses)
        case FilePart(file=file):
            return encode_file(file, f"{path}.file", losses)
        case AudioPart(input_audio=sound):
            return encode_audio(sound, f"{path}.input_audio", losses)
