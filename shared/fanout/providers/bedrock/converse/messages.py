"""
A conversation as Converse's blocks: system prompt, turns, media, tool calls and results.

`cache_control` and `thinking_blocks` are not OpenAI's. They are read from the request as the client
wrote it, as LiteLLM's users expect. `cache_control` becomes a `cachePoint` after the block that has
it; thinking blocks become blocks of reasoning, which must be sent back unchanged:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ReasoningContentBlock.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from ....schema.chat import Object
from ....schema.messages import AssistantMessage, FunctionToolCall, ToolMessage
from ....schema.request import ChatRequest
from ...anthropic.models import find_traits
from ...anthropic.rules import strip_end
from ...anthropic.settings import reject_prefill
from ...calls import CallIds
from ...fields import UnsupportedFields
from ...format_instruction import format_in_words
from ...request_reader import (
    ROLES_WITHOUT_TOOL,
    Block,
    ChatMessage,
    PartEncoders,
    encode_content,
    function_calls,
    open_with_user,
    read_arguments,
    split_turns,
    system_as_user,
)
from ...schemas import can_take
from ..models import has_schemas, has_system, has_tools, is_claude, is_unknown
from ..rules import BESIDE_DOCUMENTS, CALL_IDS, SCHEMAS, is_blank
from .cache_points import cache_point
from .calls_as_text import calls_as_text
from .media import encode_audio, encode_file, encode_image, rename_documents


class Thought(msgspec.Struct, frozen=True, tag_field="type", tag="thinking"):
    thinking: str
    signature: str | None = None


class RedactedThought(msgspec.Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    data: str


class _Context(msgspec.Struct):
    """What the messages share: the ids of calls, and what the model accepts."""

    unsupported: UnsupportedFields
    ids: CallIds
    kind: str
    thinks: bool

    def cache_point(self, raw: Mapping[str, Any]) -> list[Block]:
        """The cache point after a block that is marked, if the model knows cache points."""
        return cache_point(raw, self.kind, self.unsupported)


def encode_conversation(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """`system` and `messages`. Roles must alternate, and the first message is a user's."""
    thinks = is_claude(kind) or is_unknown(kind)
    context = _Context(unsupported, CallIds(CALL_IDS), kind, thinks)
    encode = partial(_encode_message, context=context)
    system, turns = split_turns(request, unsupported, ROLES_WITHOUT_TOOL, encode)
    if not has_tools(kind):
        turns = calls_as_text(turns, unsupported)
    schemas = has_schemas(kind) and can_take(request, SCHEMAS)
    if words := format_in_words(request, unsupported, schemas=schemas):
        system = [*system, {"text": words}]
    if system and not has_system(kind):
        system, turns = [], system_as_user(system, turns, unsupported)
    turns = open_with_user(turns, {"text": unsupported.opening}, unsupported)
    if turns[-1][0] == "assistant" and thinks:
        if is_claude(kind) and not find_traits(kind).prefill:
            reject_prefill(request, unsupported)
        turns = [*turns[:-1], ("assistant", _strip_end(turns[-1][1]))]
    if context.ids.changed:
        unsupported.note("messages[].tool_calls[].id")
    messages = [{"role": role, "content": _beside_documents(blocks)} for role, blocks in turns]
    return {**({"system": system} if system else {}), "messages": rename_documents(messages)}


def _beside_documents(blocks: list[Block]) -> list[Block]:
    """`blocks`, with the text that AWS requires beside a document."""
    if any("document" in block for block in blocks) and not any("text" in b for b in blocks):
        return [*blocks, {"text": BESIDE_DOCUMENTS}]
    return blocks


def _strip_end(blocks: list[Block]) -> list[Block]:
    """The blocks that the response continues; a cache point may be after the last one."""
    last = next((i for i in reversed(range(len(blocks))) if "cachePoint" not in blocks[i]), 0)
    if "text" not in blocks[last]:
        return blocks
    return [*blocks[:last], {"text": strip_end(blocks[last]["text"])}, *blocks[last + 1 :]]


def called_names(messages: Sequence[Block]) -> list[str]:
    """The functions that were called in `messages`; if there are any, a request must list tools."""
    uses = [
        block["toolUse"] for turn in messages for block in turn["content"] if "toolUse" in block
    ]
    return list(dict.fromkeys(use["name"] for use in uses))


def _encode_message(message: ChatMessage, raw: Object, path: str, context: _Context) -> list[Block]:
    unsupported = context.unsupported
    blocks: list[Block] = []
    for block, part in encode_content(message, raw, path, unsupported, _PARTS):
        blocks += [block, *context.cache_point(part)]
    match message:
        case AssistantMessage():
            # Reasoning first, then the text, then the calls: the order in which they were made.
            blocks = [*_thoughts(raw, context), *blocks]
            for call, raw_call, _ in function_calls(message, raw, path, unsupported):
                blocks += [_encode_call(call, context), *context.cache_point(raw_call)]
        case ToolMessage(tool_call_id=call_id):
            blocks = _encode_result(blocks, context.ids.result(call_id), context.kind)
        case _:
            pass  # a system or a user message is its content
    # A message's own `cache_control` is its last block's, which may have one already.
    if blocks and "cachePoint" not in blocks[-1]:
        blocks += context.cache_point(raw)
    return blocks


def _encode_result(blocks: list[Block], call_id: str, kind: str) -> list[Block]:
    """
    A result. It cannot contain cache points, so the last one comes after it.

    Of an empty one, Claude takes no blocks, and other models only an empty text: github.com/
    pydantic/pydantic-ai/pull/6116, strands-agents/harness-sdk/pull/2123, 2026-11.
    """
    content = [block for block in blocks if "cachePoint" not in block]
    if not content and not is_claude(kind):
        content = [{"text": ""}]
    points = [block for block in blocks if "cachePoint" in block]
    return [{"toolResult": {"toolUseId": call_id, "content": content}}, *points[-1:]]


def _thoughts(raw: Object, context: _Context) -> list[Block]:
    """
    Earlier reasoning, unchanged: its signature covers every letter.

    Only Claude signs it, and accepts none without a signature. Other models get none.
    """
    given = raw.get("thinking_blocks")
    if not given and not raw.get("reasoning_content"):
        return []
    blocks: list[Block] = []
    if context.thinks and isinstance(given, list):
        blocks = [block for thought in given if (block := _encode_thought(thought))]
    unsigned = (len(given) if isinstance(given, list) else bool(given)) - len(blocks)
    if unsigned:
        context.unsupported.count("messages[].thinking_blocks", unsigned)
    if not blocks and raw.get("reasoning_content"):
        context.unsupported.note("messages[].reasoning_content")
    return blocks


def _encode_thought(given: object) -> Block | None:
    """Claude's thought; `None` if it is another model's, or unreadable."""
    try:
        thought = msgspec.convert(given, Thought | RedactedThought)
    except msgspec.ValidationError:
        return None
    if isinstance(thought, RedactedThought):
        return {"reasoningContent": {"redactedContent": thought.data}}
    if not thought.signature:
        return None
    text = {"text": thought.thinking, "signature": thought.signature}
    return {"reasoningContent": {"reasoningText": text}}


def _encode_call(call: FunctionToolCall, context: _Context) -> Block:
    arguments = read_arguments(call, context.unsupported)
    call_id = context.ids.call(call.id)
    return {"toolUse": {"toolUseId": call_id, "name": call.function.name, "input": arguments}}


def _encode_text(text: str) -> Block | None:
    return None if is_blank(text) else {"text": text}


_PARTS = PartEncoders(_encode_text, encode_image, encode_file, encode_audio)
