"""
Anthropic's responses: the fields that are used are checked, unknown ones are ignored.

Source: https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming. The
`read_…` functions return `None` for blocks, deltas and events of other types.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct

from ...wire import json


class Kind(Struct, frozen=True):
    type: str


# ---- content blocks ----


class TextBlock(Struct, frozen=True):
    text: str


class ThinkingBlock(Struct, frozen=True):
    """`thinking` is empty if the model does not show it; then there is only the signature."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Struct, frozen=True):
    data: str


class ToolUseBlock(Struct, frozen=True):
    id: str
    name: str
    input: dict[str, Any]


Block: TypeAlias = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock

_BLOCKS: dict[str, type[Block]] = {
    "text": TextBlock,
    "thinking": ThinkingBlock,
    "redacted_thinking": RedactedThinkingBlock,
    "tool_use": ToolUseBlock,
}


def read_block(raw: Raw) -> Block | None:
    """A content block; `None` for a type that no request of ours asks for."""
    kind = _BLOCKS.get(kind_of(raw))
    return None if kind is None else json.decode(raw, type=kind)


# ---- a whole message ----


class OutputDetails(Struct, frozen=True):
    thinking_tokens: int = 0


class Usage(Struct, frozen=True):
    """Tokens so far. `input_tokens` does not include tokens read from or written to the cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None


class StopDetails(Struct, frozen=True):
    explanation: str | None = None


class Message(Struct, frozen=True):
    id: str
    model: str
    content: list[Raw]
    usage: Usage
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


# ---- events of a stream ----


class MessageStart(Struct, frozen=True):
    message: Message


class BlockStart(Struct, frozen=True):
    index: int
    content_block: Raw


class BlockDelta(Struct, frozen=True):
    index: int
    delta: Raw


class BlockStop(Struct, frozen=True):
    index: int


class Stop(Struct, frozen=True):
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class MessageDelta(Struct, frozen=True):
    """How the message ended. Its usage is the whole message's, not a difference."""

    delta: Stop
    usage: Usage = Usage()


class MessageStop(Struct, frozen=True):
    pass


Event: TypeAlias = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop

_EVENTS: dict[str, type[Event]] = {
    "message_start": MessageStart,
    "content_block_start": BlockStart,
    "content_block_delta": BlockDelta,
    "content_block_stop": BlockStop,
    "message_delta": MessageDelta,
    "message_stop": MessageStop,
}


def read_event(kind: str, data: bytes) -> Event | None:
    """An event; `None` for a `ping` and for types added since (see "versioning")."""
    event = _EVENTS.get(kind)
    return None if event is None else json.decode(data, type=event)


class TextDelta(Struct, frozen=True):
    text: str


class ThinkingDelta(Struct, frozen=True):
    thinking: str


class SignatureDelta(Struct, frozen=True):
    signature: str


class InputDelta(Struct, frozen=True):
    partial_json: str


Delta: TypeAlias = TextDelta | ThinkingDelta | SignatureDelta | InputDelta

_DELTAS: dict[str, type[Delta]] = {
    "text_delta": TextDelta,
    "thinking_delta": ThinkingDelta,
    "signature_delta": SignatureDelta,
    "input_json_delta": InputDelta,
}


def read_delta(raw: Raw) -> Delta | None:
    """A piece of a block; `None` for citations and other types that OpenAI's API does not have."""
    delta = _DELTAS.get(kind_of(raw))
    return None if delta is None else json.decode(raw, type=delta)


def kind_of(data: bytes | Raw) -> str:
    """The `type`, which every object of this API has."""
    return json.decode(data, type=Kind).type


def join_usage(earlier: Usage, later: Usage) -> Usage:
    """The later usage, with the earlier numbers that it leaves out."""
    given = {name: v for name, v in msgspec.structs.asdict(later).items() if v is not None}
    return msgspec.structs.replace(earlier, **given)
