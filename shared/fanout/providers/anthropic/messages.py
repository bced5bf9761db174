"""
A conversation in their blocks: system prompt, turns, images, files, tool calls and results.

`cache_control` and `thinking_blocks` are not OpenAI's: they are read from the request as it was
written and go out as they are, as LiteLLM's users expect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from ...errors import RequestError
from ...schema.chat import Object
from ...schema.request import (
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
from ...wire import json
from ..base import Losses
from .media import encode_file, encode_image

Block: TypeAlias = dict[str, Any]
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
        # Other providers' thinking has no signature, without which it cannot be given back; what
        # has one comes in `thinking_blocks` as well.
        "reasoning_content",
    }
)


def encode_conversation(request: ChatRequest, losses: Losses) -> dict[str, Any]:
    """
    `system` and `messages`.

    System messages are gathered from wherever they are: in the middle of a conversation only the
    newest models take them. Neighbours with one role become one turn, so that all results of
    parallel tool calls come together, which is how they must.
    """
    system: list[Block] = []
    turns: list[tuple[str, list[Block]]] = []
    for index, message in enumerate(request.messages):
        path = f"messages[{index}]"
        raw: Object = request.body["messages"][index]
        blocks = _mark(list(_encode_message(message, raw, path, losses)), raw)
        if isinstance(message, SystemMessage | DeveloperMessage):
            system.extend(blocks)
            continue
        role = "assistant" if isinstance(message, AssistantMessage) else "user"
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    said: dict[str, Any] = {"system": _shorten(system)} if system else {}
    said["messages"] = [{"role": role, "content": _shorten(blocks)} for role, blocks in turns]
    return said


def _shorten(blocks: list[Block]) -> str | list[Block]:
    """One plain text is written as a string."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks


def _mark(blocks: list[Block], raw: Object) -> list[Block]:
    """A message's own `cache_control` is its last block's; thinking cannot carry one."""
    mark = raw.get("cache_control")
    if mark and blocks and blocks[-1].get("type") not in {"thinking", "redacted_thinking"}:
        return [*blocks[:-1], {"cache_control": mark, **blocks[-1]}]
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
            result = list(_encode_parts(content, raw, path, losses))
            said = {"content": _shorten(result)} if result else {}
            yield {"type": "tool_result", "tool_use_id": call, **said}
        case FunctionMessage():
            losses.lose(path, "use `tools` and a `tool` message")


def _encode_assistant(
    message: AssistantMessage, raw: Object, path: str, losses: Losses
) -> Iterator[Block]:
    """Thinking first, then what was said, then the calls: the order in which they were told."""
    yield from _thinking_blocks(raw, path)
    if message.content:
        yield from _encode_parts(message.content, raw, path, losses)
    if message.refusal:
        yield {"type": "text", "text": message.refusal}
    for index, call in enumerate(message.tool_calls or ()):
        place = f"{path}.tool_calls[{index}]"
        if isinstance(call, CustomToolCall):
            losses.lose(place, "it calls a custom tool")
        else:
            yield _encode_call(call, raw["tool_calls"][index], place)
    if message.function_call:
        losses.lose(f"{path}.function_call", "use `tool_calls`")


def _thinking_blocks(raw: Object, path: str) -> list[Block]:
    """Earlier thinking, unchanged: its signature covers every letter."""
    try:
        return msgspec.convert(raw.get("thinking_blocks") or [], list[Block])
    except msgspec.ValidationError as error:
        place = f"{path}.thinking_blocks"
        raise RequestError(f"`{place}`: {error}", place) from None


def _encode_call(call: FunctionToolCall, raw: Object, path: str) -> Block:
    place = f"{path}.function.arguments"
    try:
        arguments = json.decode(call.function.arguments or "{}", type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise RequestError(f"`{place}` is not a JSON object: {error}", place) from None
    use = {"type": "tool_use", "id": call.id, "name": call.function.name, "input": arguments}
    return use | cache_mark(raw)


def _encode_parts(
    content: str | Sequence[AnyPart] | None, raw: Object, path: str, losses: Losses
) -> Iterator[Block]:
    """
    Each part as a block.

    An empty text says nothing and is refused by the vendor ("text content blocks must be
    non-empty"), so it is left out.
    """
    if isinstance(content, str):
        if content:
            yield {"type": "text", "text": content}
        return
    for index, part in enumerate(content or ()):
        block = _encode_part(part, f"{path}.content[{index}]", losses)
        if block:
            yield block | cache_mark(raw["content"][index])


def _encode_part(part: AnyPart, path: str, losses: Losses) -> Block | None:
    match part:
        case TextPart(text=text) | RefusalPart(refusal=text):
            return {"type": "text", "text": text} if text else None
        case ImagePart(image_url=image):
            return encode_image(image, f"{path}.image_url", losses)
        case FilePart(file=file):
            return encode_file(file, f"{path}.file", losses)
        case AudioPart():
            losses.lose(path, "it cannot hear")
            return None


def cache_mark(raw: Mapping[str, Any]) -> Block:
    """The `cache_control` of anything that may carry one."""
    mark = raw.get("cache_control")
    return {"cache_control": mark} if mark else {}
