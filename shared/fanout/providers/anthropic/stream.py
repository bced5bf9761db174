"""The events of a stream as chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct, field

from ...schema.chat import ChatChunk, Delta, FinishReason, Usage, make_call_id
from ...schema.chat_builders import make_call_delta, make_call_start, make_chunk, make_usage_chunk
from ...wire import json
from ...wire.http import WireEvent
from ..base import BadWire, Target
from . import wire
from .errors import make_error
from .response import decode_thought, decode_usage, explanation_of, finish_reason, id_of, tier_of


class _OpenCall(Struct):
    """A tool call of the stream; `whole` are its first arguments, normally none."""

    index: int
    whole: dict[str, Any]
    has_pieces: bool = False


class _OpenThought(Struct):
    texts: list[str] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)


class ChatDecoder:
    """Translates the events of one stream. The end is a stop reason, or `message_stop`."""

    def __init__(self, target: Target) -> None:
        self._stopped = False
        self._model = target.model
        self._more: dict[str, str] = {}
        self._usage: wire.Usage | None = None
        self._last = -1  # the index of the last block that started
        self._finished = False
        self._counted = False
        self._calls: dict[int, _OpenCall] = {}
        self._thoughts: dict[int, _OpenThought] = {}

    @property
    def ended(self) -> bool:
        return self._finished or self._stopped

    @property
    def usage(self) -> Usage | None:
        """The latest usage: that of the prompt comes first."""
        return decode_usage(self._usage)

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunks; most events have one or none."""
        if found := wire.read_delta_event(event):
            return self._continue(found.index, found.delta)
        return self._feed_any(event)

    def _feed_any(self, event: WireEvent) -> Iterator[ChatChunk]:
        if event.type == "error":
            raise make_error(event.data)
        kind = wire.kind_of_event(event)
        if kind == "error":
            raise make_error(event.data)
        match wire.read_event(kind, event.data):
            case wire.MessageStart(message=message):
                yield self._start(message)
            case wire.BlockStart() as start:
                yield from self._open(start)
            case wire.BlockDelta(index=index, delta=raw):
                yield from self._continue(index, wire.read_delta(raw))
            case wire.BlockStop(index=index):
                yield from self._close(self._last if index is None else index)
            case wire.MessageDelta() as end:
                yield from self._finish(end)
            case wire.MessageStop():
                yield from self._stop()
            case None:
                pass  # a ping, or an event that was added to the API since

    def _chunk(self, delta: Delta, reason: FinishReason | None = None) -> ChatChunk:
        return make_chunk(self._model, delta, reason, **self._more)

    def _start(self, message: wire.Message) -> ChatChunk:
        self._model = message.model or self._model
        self._usage = message.usage
        self._more = {**id_of(message), **tier_of(message.usage)}
        return self._chunk({"role": "assistant", "content": ""})

    def _open(self, start: wire.BlockStart) -> Iterator[ChatChunk]:
        self._last = index = self._last + 1 if start.index is None else start.index
        match wire.read_block(start.content_block):
            case wire.TextBlock(text=text, citations=citations):
                if text:
                    yield self._chunk({"content": text})
                if citations:
                    yield self._chunk({"citations": [*citations]})
            case wire.ThinkingBlock(thinking=text, signature=signature):
                self._thoughts[index] = _OpenThought([text], [signature])
                if text:
                    yield self._chunk({"reasoning_content": text})
            case wire.RedactedThinkingBlock() as block:  # comes whole
                yield self._chunk({"thinking_blocks": [decode_thought(block)]})
            case wire.ToolUseBlock() as use:
                yield self._open_call(index, use)
            case None:
                pass  # a block of the vendor's own tools; OpenAI's API has none of these

    def _open_call(self, index: int, use: wire.ToolUseBlock) -> ChatChunk:
        call = _OpenCall(len(self._calls), use.input)
        self._calls[index] = call
        call_id = use.id or make_call_id(self._more.get("id"), call.index)
        start = make_call_start(call.index, call_id, use.name)
        return self._chunk({"tool_calls": [start]})

    def _continue(self, place: int | None, delta: wire.Delta | None) -> Iterator[ChatChunk]:
        index = self._last if place is None else place
        match delta:
            case wire.TextDelta(text=text):
                yield self._chunk({"content": text})
            case wire.ThinkingDelta(thinking=text):
                self._thought(index).texts.append(text)
                if text:
                    yield self._chunk({"reasoning_content": text})
            case wire.SignatureDelta(signature=signature):
                self._thought(index).signatures.append(signature)
            case wire.InputDelta(partial_json=text):
                if text and (call := self._calls.get(index)):
                    call.has_pieces = True
                    yield self._arguments(call, text)
            case wire.CitationsDelta(citation=citation):
                if citation:
                    yield self._chunk({"citations": [citation]})
            case None:
                pass  # a type that was added to the API since

    def _thought(self, index: int) -> _OpenThought:
        if self._last < 0:
            raise BadWire(f"a thinking delta for block {index}, but no block has started")
        return self._thoughts.setdefault(index, _OpenThought())

    def _close(self, index: int) -> Iterator[ChatChunk]:
        """Send a thought again, whole and signed; send a call's `{}` if it had no arguments."""
        if thought := self._thoughts.pop(index, None):
            block = wire.ThinkingBlock("".join(thought.texts), "".join(thought.signatures))
            yield self._chunk({"thinking_blocks": [decode_thought(block)]})
        if (call := self._calls.get(index)) and not call.has_pieces:
            yield self._arguments(call, json.encode(call.whole).decode())

    def _arguments(self, call: _OpenCall, text: str) -> ChatChunk:
        return self._chunk({"tool_calls": [make_call_delta(call.index, text)]})

    def _finish(self, end: wire.MessageDelta) -> Iterator[ChatChunk]:
        self._usage = wire.join_usage(self._usage, end.usage)
        if not end.delta.stop_reason:
            return
        self._finished = True
        refusal = explanation_of(end.delta.stop_details)
        delta: Delta = {"refusal": refusal} if refusal else {}
        yield self._chunk(delta, finish_reason(end.delta.stop_reason, self._calls))
        if end.usage is not None:
            yield from self._count()

    def _stop(self) -> Iterator[ChatChunk]:
        """The usage, unless it has been sent; first a finish reason, if the vendor sent none."""
        self._stopped = True
        if not self._finished:
            yield self._chunk({}, finish_reason(None, self._calls))
        yield from self._count()

    def _count(self) -> Iterator[ChatChunk]:
        if self._counted:
            return
        self._counted = True
        yield make_usage_chunk(self._model, decode_usage(self._usage), **self._more)
