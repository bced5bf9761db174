"""The events of a stream as chunks; see https://docs.cohere.com/v2/docs/streaming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...schema.chat import ChatChunk, Delta, FinishReason, make_call_id
from ...schema.chat_builders import make_call_delta, make_call_start, make_chunk, make_usage_chunk
from ...wire import json
from ...wire.http import WireEvent
from ..base import BadWire, Target
from . import wire
from .errors import raise_failure
from .response import decode_logprobs, decode_usage, finish_reason

# The events that this module reads. If an event's `type` is odd, the name that SSE gives it counts.
_KINDS = frozenset(
    {
        "message-start",
        "content-start",
        "content-delta",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "citation-start",
        "message-end",
    }
)


def _kind_of(item: wire.Event, event: WireEvent) -> str:
    if item.type in _KINDS:
        return item.type
    if event.type in _KINDS:
        return event.type
    if json.decode_part(item.delta, wire.MessageEnd).finish_reason:
        return "message-end"  # no other event has one
    if not item.type:
        raise BadWire("an event without a type")  # it may be an error
    return event.type


class ChatDecoder:
    """Translates the events of one stream. The end is `message-end`."""

    def __init__(self, target: Target) -> None:
        self.ended = False
        self._model = target.model
        self._more: dict[str, Any] = {}
        self._calls: dict[int, int] = {}  # Cohere's index of a call -> ours
        self._empty: set[int] = set()  # calls without arguments so far

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunks; most events have one or none."""
        if event.data == b"[DONE]":
            return  # undocumented, but Cohere's own SDK looks for it
        decode = json.decode_named if event.type in _KINDS else json.decode_tolerant
        item = decode(event.data, wire.Event)
        match _kind_of(item, event):
            case "message-start":
                self._more = {"id": item.id} if item.id else {}
                yield self._chunk({"role": "assistant", "content": ""})
            case "content-start" | "content-delta":
                yield from self._content(item)
            case "tool-plan-delta":
                plan = json.decode_part(item.delta, wire.PlanDelta).message.tool_plan
                yield self._chunk({"reasoning_content": plan})
            case "tool-call-start":
                yield self._call(item)
            case "tool-call-delta":
                yield self._arguments(item)
            case "citation-start":
                cited = json.decode_part(item.delta, wire.CitationStart).message.citations
                yield self._chunk({"citations": [cited]} if cited else {})
            case "message-end":
                yield from self._end(json.decode_part(item.delta, wire.MessageEnd))
            case _:
                pass  # ends of blocks, calls and citations, and `debug`, have nothing for a chunk

    def _content(self, item: wire.Event) -> Iterator[ChatChunk]:
        block = json.decode_part(item.delta, wire.ContentDelta).message.content
        if block.thinking:
            yield self._chunk({"reasoning_content": block.thinking}, item.logprobs)
        if block.text:
            yield self._chunk({"content": block.text}, item.logprobs)

    def _call(self, item: wire.Event) -> ChatChunk:
        call = json.decode_part(item.delta, wire.CallStart).message.tool_calls
        place = len(self._calls) if item.index is None else item.index
        index = self._calls[place] = len(self._calls)
        call_id = call.id or make_call_id(None, index)
        given = call.function.text if call.function.arguments else ""
        if not given:
            self._empty.add(index)
        start = make_call_start(index, call_id, call.function.name, given)
        return self._chunk({"tool_calls": [start]})

    def _arguments(self, item: wire.Event) -> ChatChunk:
        if not self._calls:
            raise BadWire("a `tool-call-delta` has no `tool-call-start` before it")
        piece = json.decode_part(item.delta, wire.CallDelta).message.tool_calls.function
        index = self._calls.get(-1 if item.index is None else item.index, len(self._calls) - 1)
        if piece.arguments:
            self._empty.discard(index)
        return self._chunk({"tool_calls": [make_call_delta(index, piece.arguments)]})

    def _end(self, end: wire.MessageEnd) -> Iterator[ChatChunk]:
        raise_failure(end.finish_reason, end.error)
        self.ended = True
        if self._empty:
            parts = [make_call_delta(index, "{}") for index in sorted(self._empty)]
            yield self._chunk({"tool_calls": parts})
        yield self._chunk({}, reason=finish_reason(end.finish_reason, self._calls))
        if usage := decode_usage(end.usage):
            yield make_usage_chunk(self._model, usage, **self._more)

    def _chunk(
        self,
        delta: Delta,
        logprobs: wire.Logprob | None = None,
        reason: FinishReason | None = None,
    ) -> ChatChunk:
        chunk = make_chunk(self._model, delta, reason, **self._more)
        if logprobs and (decoded := decode_logprobs([logprobs])):
            chunk["choices"][0]["logprobs"] = decoded
        return chunk
