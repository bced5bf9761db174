"""
A conversation as Converse's blocks: system prompt, turns, media, tool calls and results.

`cache_control` and `thinking_blocks` are not OpenAI's. They are read from the request as the client
wrote it, as LiteLLM's users expect. `cache_control` becomes a `cachePoint` after the block that has
it; thinking blocks become blocks of reasoning, which must be sent back unchanged:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from ....errors import RequestError
from ....schema.chat import Object
from ....schema.request import (
    AssistantMessage,
    ChatRequest,
    FunctionToolCall,
    ToolMessage,
)
from ...base import UnsupportedFields
from ...request_reader import (
    Block,
    ChatMessage,
    PartEncoders,
    encode_content,
    function_calls,
    read_arguments,
    split_turns,
)
from .media import encode_audio, encode_file, encode_image, rename_documents

ROLES = {"user": "user", "assistant": "assistant", "tool": "user"}


class Thought(msgspec.Struct, frozen=True, tag_field="type", tag="thinking"):
    thinking: str
    signature: str | None = None


class RedactedThought(msgspec.Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    data: str


def encode_conversation(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any]:
    """`system` and `messages`, whose roles must alternate."""
    encode = partial(_encode_message, unsupported=unsupported)
    system, turns = split_turns(request, unsupported, ROLES, encode)
    messages = [{"role": role, "content": blocks} for role, blocks in turns]
    return {**({"system": system} if system else {}), "messages": rename_documents(messages)}


def has_tool_blocks(messages: Sequence[Block]) -> bool:
    """Whether a tool was called in `messages`; if so, the request must list the tools again."""
    return any(
        "toolUse" in block or "toolResult" in block
        for turn in messages
        for block in turn["content"]
    )


def cache_point(raw: Mapping[str, Any]) -> list[Block]:
    """
    The cache point after a message, a part, a call or a tool, if it has a `cache_control`.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    """
    mark = raw.get("cache_control")
    if not mark:
        return []
    ttl = mark.get("ttl") if isinstance(mark, dict) else None
    return [{"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}]


def _encode_message(
    message: ChatMessage, raw: Object, path: str, unsupported: UnsupportedFields
) -> list[Block]:
    blocks: list[Block] = []
    for block, part in encode_content(message, raw, path, unsupported, _PARTS):
        blocks += [block, *cache_point(part)]
    match message:
        case AssistantMessage():
            # Reasoning first, then the text, then the calls: the order in which they were made.
            blocks = [*_thoughts(raw, path), *blocks]
            for call, raw_call, place in function_calls(message, raw, path, unsupported):
                blocks += [_encode_call(call, place), *cache_point(raw_call)]
        case ToolMessage(tool_call_id=call_id):
            blocks = _encode_result(blocks, call_id)
        case _:
            pass  # a system or a user message is its content
    # A message's own `cache_control` is its last block's, which may have one already.
    if blocks and "cachePoint" not in blocks[-1]:
        blocks += cache_point(raw)
    return blocks


def _encode_result(blocks: list[Block], call_id: str) -> list[Block]:
    """A result. It cannot contain cache points, so the last one comes after it."""
    content = [block for block in blocks if "cachePoint" not in block]
    points = [block for block in blocks if "cachePoint" in block]
    return [{"toolResult": {"toolUseId": call_id, "content": content}}, *points[-1:]]


def _thoughts(raw: Object, path: str) -> Iterator[Block]:
    """Earlier reasoning, unchanged: its signature covers every letter."""
    place = f"{path}.thinking_blocks"
    try:
        thoughts = msgspec.convert(
            raw.get("thinking_blocks") or [], list[Thought | RedactedThought]
        )
    except msgspec.ValidationError as error:
        raise RequestError(f"`{place}`: {error}", place) from None
    for thought in thoughts:
        if isinstance(thought, RedactedThought):
            yield {"reasoningContent": {"redactedContent": thought.data}}
        else:
            signature = {"signature": thought.signature} if thought.signature else {}
            text = {"text": thought.thinking, **signature}
            yield {"reasoningContent": {"reasoningText": text}}


def _encode_call(call: FunctionToolCall, path: str) -> Block:
    arguments = read_arguments(call, path)
    return {"toolUse": {"toolUseId": call.id, "name": call.function.name, "input": arguments}}


def _encode_text(text: str) -> Block | None:
    """
    A text. One of nothing but spaces is left out.

    AWS requires that "text content blocks must contain non-whitespace text".
    """
    return {"text": text} if text.strip() else None


_PARTS = PartEncoders(_encode_text, encode_image, encode_file, encode_audio)
