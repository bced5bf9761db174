"""
Anthropic's responses: unknown fields are ignored, odd ones are read as nothing (`wire.tolerant`).

Source: https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming. The
`read_…` functions return `None` for blocks, deltas and events of other types. If the type cannot be
read, the fields show what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct

from ...wire import json
from ...wire.http import WireEvent
from ..base import BadWire


class Kind(Struct, frozen=True):
    type: str | None = None


# ---- content blocks ----


class TextBlock(Struct, frozen=True):
    text: str
    citations: list[dict[str, Any]] | None = None


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


# A field that only blocks, or deltas, of that type have.
_BLOCKS_BY_FIELD = {
    "thinking": "thinking",
    "data": "redacted_thinking",
    "input": "tool_use",
    "text": "text",
}
_TEXTS = frozenset({"text", "text_delta"})
_DELTAS_BY_FIELD = {
    "partial_json": "input_json_delta",
    "thinking": "thinking_delta",
    "signature": "signature_delta",
    "text": "text_delta",
}


def _kind_of_part(raw: Raw) -> str:
    try:
        return json.decode(raw, type=Kind).type or ""
    except json.NOT_JSON:
        return json.decode_part(raw, Kind).type or ""


_Part = TypeVar("_Part")


def _known_kind(
    raw: Raw, kinds: Mapping[str, type[_Part]], by_field: Mapping[str, str]
) -> type[_Part] | None:
    """
    The shape of a block or delta; `None` if it is one of the vendor's own tools.

    An unknown type that has a text is a text: what is paid is delivered.
    """
    if (kind := _kind_of_part(raw)) in kinds:
        return kinds[kind]
    guess = _guess(raw, by_field)
    return kinds[guess] if guess and (not kind or guess in _TEXTS) else None


def _guess(raw: Raw, by_field: Mapping[str, str]) -> str:
    """The type of an object whose `type` cannot be read; empty if its fields do not show it."""
    fields = json.decode_part(raw, dict[str, Any])
    return next((kind for name, kind in by_field.items() if name in fields), "")


def read_block(raw: Raw) -> Block | None:
    """A content block; `None` for a type that no request of ours asks for."""
    kind = _known_kind(raw, _BLOCKS, _BLOCKS_BY_FIELD)
    return None if kind is None else json.decode_tolerant(raw, kind)


# ---- a whole message ----


class OutputDetails(json.AllOrNothing, frozen=True):
    thinking_tokens: json.Count | None = None


class Usage(json.AllOrNothing, frozen=True):
    """Tokens so far. `input_tokens` does not include tokens read from or written to the cache."""

    input_tokens: json.Count | None = None
    output_tokens: json.Count | None = None
    cache_creation_input_tokens: json.Count | None = None
    cache_read_input_tokens: json.Count | None = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None


class StopDetails(Struct, frozen=True):
    explanation: str | None = None


class Message(Struct, frozen=True):
    id: str
    model: str
    content: list[Raw]
    usage: Usage | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


# ---- events of a stream ----


class MessageStart(Struct, frozen=True):
    message: Message


class BlockStart(Struct, frozen=True):
    content_block: Raw
    index: int | None = None


class BlockDelta(Struct, frozen=True):
    delta: Raw
    index: int | None = None


class BlockStop(Struct, frozen=True):
    index: int | None = None


class Stop(Struct, frozen=True):
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class MessageDelta(Struct, frozen=True):
    """How the message ended. Its usage is the whole message's, not a difference."""

    delta: Stop = Stop()
    usage: Usage | None = None


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
    return None if event is None else json.decode_tolerant(data, event)


def kind_of_event(event: WireEvent) -> str:
    """The type of an event: its `type`, or if that is odd, the name that SSE gives it."""
    kind = kind_of(event.data)
    if not kind and event.type not in _EVENTS:
        raise BadWire("an event without a type")  # it may be an error
    return event.type if kind not in _EVENTS and event.type in _EVENTS else kind


class TextDelta(Struct, frozen=True, tag_field="type", tag="text_delta"):
    text: str


class ThinkingDelta(Struct, frozen=True, tag_field="type", tag="thinking_delta"):
    thinking: str


class SignatureDelta(Struct, frozen=True, tag_field="type", tag="signature_delta"):
    signature: str


class InputDelta(Struct, frozen=True, tag_field="type", tag="input_json_delta"):
    partial_json: str


class CitationsDelta(Struct, frozen=True, tag_field="type", tag="citations_delta"):
    citation: dict[str, Any]


Delta: TypeAlias = TextDelta | ThinkingDelta | SignatureDelta | InputDelta | CitationsDelta

_DELTAS: dict[str, type[Delta]] = {
    "text_delta": TextDelta,
    "thinking_delta": ThinkingDelta,
    "signature_delta": SignatureDelta,
    "input_json_delta": InputDelta,
    "citations_delta": CitationsDelta,
}


class DeltaEvent(Struct, frozen=True, tag_field="type", tag="content_block_delta"):
    """A `BlockDelta` whose delta has one of the known types, as most events are."""

    delta: Delta
    index: int | None = None


_decode_delta_event = msgspec.json.Decoder(DeltaEvent).decode


def read_delta_event(event: WireEvent) -> DeltaEvent | None:
    """An event's delta, read in one go; `None` if it is another event, or odd in any way."""
    if event.type != "content_block_delta":
        return None
    try:
        return _decode_delta_event(event.data)
    except json.NOT_JSON:
        return None


def read_delta(raw: Raw) -> Delta | None:
    """A piece of a block; `None` for types that no request of ours asks for."""
    delta = _known_kind(raw, _DELTAS, _DELTAS_BY_FIELD)
    return None if delta is None else json.decode_tolerant(raw, delta)


def kind_of(data: bytes) -> str:
    """The `type`, which every object of this API has; empty if it cannot be read."""
    return json.decode_tolerant(data, Kind).type or ""


def join_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    """The later usage, with the earlier numbers that it leaves out, except of the output so far."""
    if earlier is None or later is None:
        return later
    given = {name: v for name, v in msgspec.structs.asdict(later).items() if v is not None}
    return msgspec.structs.replace(earlier, **{"output_tokens": None, **given})
