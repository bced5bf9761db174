"""
Converse's responses: unknown fields are ignored, odd ones are read as nothing (`wire.tolerant`).

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html and
…_ConverseStream, and the service's model in botocore, which is newer. A block, or a piece of one,
is an object with one field, whose name is its type.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

from ....wire import json

# ---- content blocks ----


class ToolUse(Struct, frozen=True, rename="camel"):
    """Only the vendor's own tools have a `type`."""

    tool_use_id: str
    name: str
    input: dict[str, Any]
    type: str | None = None


class ReasoningText(Struct, frozen=True):
    text: str
    signature: str | None = None


class Reasoning(Struct, frozen=True, rename="camel"):
    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class CitedText(Struct, frozen=True):
    text: str = ""


class Citations(Struct, frozen=True):
    content: list[CitedText] = []
    citations: list[dict[str, Any]] = []


class Block(Struct, frozen=True, rename="camel"):
    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None


# ---- a whole response ----


class Message(Struct, frozen=True):
    content: list[Block]


class Output(Struct, frozen=True):
    message: Message


class Usage(json.AllOrNothing, frozen=True, rename="camel"):
    """`input_tokens` does not include tokens read from or written to the cache."""

    input_tokens: json.Count | None = None
    output_tokens: json.Count | None = None
    cache_read_input_tokens: json.Count | None = None
    cache_write_input_tokens: json.Count | None = None


class ServiceTier(Struct, frozen=True):
    type: str = ""


class Response(Struct, frozen=True, rename="camel"):
    output: Output
    stop_reason: str | None = None
    usage: Usage | None = None
    service_tier: ServiceTier | None = None


# ---- events of a stream ----


class MessageStart(Struct, frozen=True):
    pass


class ToolUseStart(Struct, frozen=True, rename="camel"):
    """A `ToolUse`, whose input follows in pieces."""

    tool_use_id: str
    name: str
    type: str | None = None


class Start(Struct, frozen=True, rename="camel"):
    tool_use: ToolUseStart | None = None


class BlockStart(Struct, frozen=True, rename="camel"):
    """The start of a block. Blocks of text and reasoning have none."""

    start: Start
    content_block_index: int | None = None


class InputDelta(Struct, frozen=True):
    input: str


class ReasoningDelta(Struct, frozen=True, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Delta(Struct, frozen=True, rename="camel"):
    text: str | None = None
    tool_use: InputDelta | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: dict[str, Any] | None = None


class BlockDelta(Struct, frozen=True, rename="camel"):
    delta: Delta
    content_block_index: int | None = None


class BlockStop(Struct, frozen=True, rename="camel"):
    content_block_index: int | None = None


class MessageStop(Struct, frozen=True, rename="camel"):
    stop_reason: str | None = None


class Metadata(Struct, frozen=True, rename="camel"):
    usage: Usage | None = None
    service_tier: ServiceTier | None = None


Event: TypeAlias = MessageStart | BlockStart | BlockDelta | BlockStop | MessageStop | Metadata

_EVENTS: dict[str, type[Event]] = {
    "messageStart": MessageStart,
    "contentBlockStart": BlockStart,
    "contentBlockDelta": BlockDelta,
    "contentBlockStop": BlockStop,
    "messageStop": MessageStop,
    "metadata": Metadata,
}


def read_event(kind: str, data: bytes) -> Event | None:
    """An event; `None` for types added to the API since."""
    event = _EVENTS.get(kind)
    return None if event is None else json.decode_named(data, event)
