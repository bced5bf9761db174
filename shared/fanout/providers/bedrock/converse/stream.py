"""The events of a Converse stream as chunks."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator

from msgspec import Struct, field

from ....schema.chat import ChatChunk, Delta, FinishReason, make_call_id
from ....schema.chat_builders import make_call_delta, make_call_start, make_chunk, make_usage_chunk
from ....wire.eventstream import ERROR, EXCEPTION
from ....wire.http import WireEvent
from ...base import BadWire, Target
from ..errors import make_error
from ..models import find_model
from . import wire
from .response import decode_thought, decode_usage, finish_reason, tier_of


class _OpenCall(Struct):
    """A tool call of the stream."""

    index: int
    has_pieces: bool = False


class _OpenThought(Struct):
    texts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)


class ConverseDecoder:
    """Translates the events of one stream. The end is `messageStop`; usage comes after it."""

    def __init__(self, target: Target) -> None:
        self.ended = False
        self._model = find_model(target).id
        self._latest = 0  # the index of the block that the last event was about
        self._calls: dict[int, _OpenCall] = {}
        self._thoughts: dict[int, _OpenThought] = {}

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunks; most events have one or none."""
        if event.type.startswith((EXCEPTION, ERROR)):
            raise make_error(event.type.partition("/")[2], event.data)
        match wire.read_event(event.type, event.data):
            case wire.MessageStart():
                yield self._chunk({"role": "assistant", "content": ""})
            case wire.BlockStart() as start:
                yield from self._open(start)
            case wire.BlockDelta(content_block_index=index, delta=piece):
                self._latest = self._latest if index is None else index
                yield from self._continue(self._latest, piece)
            case wire.BlockStop(content_block_index=index):
                yield from self._close(self._latest if index is None else index)
            case wire.MessageStop(stop_reason=reason):
                finish = finish_reason(reason, self._calls)
                self.ended = True
                yield self._chunk({}, finish)
            case wire.Metadata(usage=usage, service_tier=tier):
                yield make_usage_chunk(self._model, decode_usage(usage), **tier_of(tier))
            case None:
                pass  # an event that was added to the API since

    def _chunk(self, delta: Delta, reason: FinishReason | None = None) -> ChatChunk:
        return make_chunk(self._model, delta, reason)

    def _open(self, start: wire.BlockStart) -> Iterator[ChatChunk]:
        use = start.start.tool_use
        if use is None or use.type is not None:
            return  # an image, or one of the vendor's own tools; OpenAI's API has none of these
        index = start.content_block_index
        self._latest = self._latest + 1 if index is None else index
        call = self._calls[self._latest] = _OpenCall(len(self._calls))
        call_id = use.tool_use_id or make_call_id(None, call.index)
        first = make_call_start(call.index, call_id, use.name)
        yield self._chunk({"tool_calls": [first]})

    def _continue(self, index: int, piece: wire.Delta) -> Iterator[ChatChunk]:
        if piece.text:
            yield self._chunk({"content": piece.text})
        if piece.citation:
            yield self._chunk({"citations": [piece.citation]})
        if piece.tool_use and piece.tool_use.input and (call := self._calls.get(index)):
            call.has_pieces = True
            yield self._arguments(call, piece.tool_use.input)
        if delta := piece.reasoning_content:
            thought = self._thoughts.setdefault(index, _OpenThought())
            thought.texts.append(delta.text or "")
            thought.signatures.append(delta.signature or "")
            if delta.redacted_content is not None:
                thought.redacted.append(delta.redacted_content)
            if delta.text:
                yield self._chunk({"reasoning_content": delta.text})

    def _close(self, index: int) -> Iterator[ChatChunk]:
        """Send a signed thought again, whole; send a call's `{}` if it had no arguments."""
        if thought := self._thoughts.pop(index, None):
            redacted = _join(thought.redacted) if thought.redacted else None
            blocks = decode_thought("".join(thought.texts), "".join(thought.signatures), redacted)
            if blocks:
                yield self._chunk({"thinking_blocks": blocks})
        if (call := self._calls.get(index)) and not call.has_pieces:
            yield self._arguments(call, "{}")

    def _arguments(self, call: _OpenCall, text: str) -> ChatChunk:
        return self._chunk({"tool_calls": [make_call_delta(call.index, text)]})


def _join(pieces: list[str]) -> str:
    """Join bytes that came in pieces, each encoded in base64."""
    try:
        return b64encode(b"".join(b64decode(piece, validate=True) for piece in pieces)).decode()
    except ValueError:
        raise BadWire("redacted reasoning that is not in base64") from None
