"""A stream of Converse's events as chunks. Knows nothing of framing or of requests."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterator

from msgspec import Struct, field

from ....schema.chat import ChatChunk, Delta, FinishReason, make_chunk
from ....wire.eventstream import ERROR, EXCEPTION
from ....wire.http import WireEvent
from ...base import BadWire, Target
from ..errors import make_error
from ..models import find_model
from . import wire
from .response import decode_thought, decode_usage, finish_reason, tier_of


class _OpenCall(Struct):
    """A tool call that is being told."""

    index: int
    told: bool = False


class _OpenThought(Struct):
    texts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


class ConverseDecoder:
    """The events of one stream to chunks. The end is `messageStop`; usage comes behind it."""

    def __init__(self, target: Target) -> None:
        self.ended = False
        self._model = find_model(target).id
        self._calls: dict[int, _OpenCall] = {}
        self._thoughts: dict[int, _OpenThought] = {}

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the chunks that the event amounts to; most amount to one or none."""
        if event.type.startswith((EXCEPTION, ERROR)):
            raise make_error(event.type.partition("/")[2], event.data)
        match wire.read_event(event.type, event.data):
            case wire.MessageStart():
                yield self._chunk({"role": "assistant", "content": ""})
            case wire.BlockStart() as start:
                yield from self._open(start)
            case wire.BlockDelta(content_block_index=index, delta=piece):
                yield from self._continue(index, piece)
            case wire.BlockStop(content_block_index=index):
                yield from self._close(index)
            case wire.MessageStop(stop_reason=reason):
                told = finish_reason(reason)
                self.ended = True
                yield self._chunk({}, told)
            case wire.Metadata() as metadata:
                yield self._told_usage(metadata)
            case None:
                pass  # an event that they have added since

    def _chunk(self, delta: Delta, reason: FinishReason | None = None) -> ChatChunk:
        return make_chunk(self._model, delta, reason)

    def _open(self, start: wire.BlockStart) -> Iterator[ChatChunk]:
        use = start.start.tool_use
        if use is None or use.type is not None:
            return  # an image, or one of the vendor's own tools, which OpenAI has no word for
        call = self._calls[start.content_block_index] = _OpenCall(len(self._calls))
        yield self._chunk(
            {
                "tool_calls": [
                    {
                        "index": call.index,
                        "id": use.tool_use_id,
                        "type": "function",
                        "function": {"name": use.name, "arguments": ""},
                    }
                ]
            }
        )

    def _continue(self, index: int, piece: wire.Piece) -> Iterator[ChatChunk]:
        if piece.text:
            yield self._chunk({"content": piece.text})
        if piece.tool_use and piece.tool_use.input and (call := self._calls.get(index)):
            call.told = True
            yield self._arguments(call, piece.tool_use.input)
        if thought := piece.reasoning_content:
            open_ = self._thoughts.setdefault(index, _OpenThought())
            open_.texts.append(thought.text or "")
            open_.signatures.append(thought.signature or "")
            if thought.redacted_content is not None:
                open_.hidden.append(thought.redacted_content)
            if thought.text:
                yield self._chunk({"reasoning_content": thought.text})

    def _close(self, index: int) -> Iterator[ChatChunk]:
        """A signed thought is told once more, whole; a call without arguments tells `{}`."""
        if thought := self._thoughts.pop(index, None):
            hidden = _join(thought.hidden) if thought.hidden else None
            blocks = decode_thought("".join(thought.texts), "".join(thought.signatures), hidden)
            if blocks:
                yield self._chunk({"thinking_blocks": blocks})
        if (call := self._calls.get(index)) and not call.told:
            yield self._arguments(call, "{}")

    def _arguments(self, call: _OpenCall, text: str) -> ChatChunk:
        return self._chunk({"tool_calls": [{"index": call.index, "function": {"arguments": text}}]})

    def _told_usage(self, metadata: wire.Metadata) -> ChatChunk:
        chunk = make_chunk(self._model, {}, None, **tier_of(metadata.service_tier))
        return {**chunk, "choices": [], "usage": decode_usage(metadata.usage)}


def _join(pieces: list[str]) -> str:
    """Bytes that came in pieces, each in base64 for itself."""
    try:
        return b64encode(b"".join(b64decode(piece, validate=True) for piece in pieces)).decode()
    except binascii.Error:
        raise BadWire("hidden reasoning that is not in base64") from None
