"""The events of `/v2/chat`; see https://docs.cohere.com/v2/docs/streaming."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...schema.chat import ChatChunk, Delta, FinishReason, make_chunk
from ...wire import json
from ...wire.http import WireEvent
from ..base import BadWire, Target
from . import wire
from .errors import raise_failure
from .request import decode_logprobs, decode_reason, decode_usage


class ChatDecoder:
    """Turns one stream's events to chunks; `message-end` is Cohere's last word."""

    def __init__(self, target: Target) -> None:
        self.ended = False
        self._model = target.model
        self._more: dict[str, Any] = {}
        self._calls: dict[int, int] = {}  # Cohere's index of a call -> its place in our list

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the chunks that one event tells."""
        if event.data == b"[DONE]":
            return  # undocumented, but Cohere's own SDK looks for it
        said = json.decode(event.data, type=wire.Event)
        match said.type:
            case "message-start":
                self._more = {"id": said.id} if said.id else {}
                yield self._chunk({"role": "assistant", "content": ""})
            case "content-start" | "content-delta":
                yield from self._content(said)
            case "tool-plan-delta":
                plan = json.decode(said.delta, type=wire.PlanDelta).message.tool_plan
                yield self._chunk({"reasoning_content": plan})
            case "tool-call-start":
                yield self._call(said)
            case "tool-call-delta":
                yield self._arguments(said)
            case "citation-start":
                cited = json.decode(said.delta, type=wire.CitationStart).message.citations
                yield self._chunk({"citations": [cited]})
            case "message-end":
                yield from self._end(json.decode(said.delta, type=wire.MessageEnd))
            case _:
                pass  # ends of blocks, calls and citations, and `debug`, add nothing to an answer

    def _content(self, said: wire.Event) -> Iterator[ChatChunk]:
        block = json.decode(said.delta, type=wire.ContentDelta).message.content
        if block.thinking:
            yield self._chunk({"reasoning_content": block.thinking}, said.logprobs)
        if block.text:
            yield self._chunk({"content": block.text}, said.logprobs)

    def _call(self, said: wire.Event) -> ChatChunk:
        call = json.decode(said.delta, type=wire.CallStart).message.tool_calls
        place = self._calls.setdefault(said.index, len(self._calls))
        function = call.function
        return self._chunk(
            {
                "tool_calls": [
                    {
                        "index": place,
                        "id": call.id,
                        "type": "function",
                        "function": {"name": function.name, "arguments": function.arguments},
                    }
                ]
            }
        )

    def _arguments(self, said: wire.Event) -> ChatChunk:
        if said.index not in self._calls:
            raise BadWire("a `tool-call-delta` came before its `tool-call-start`")
        piece = json.decode(said.delta, type=wire.CallDelta).message.tool_calls.function
        place = self._calls[said.index]
        return self._chunk(
            {"tool_calls": [{"index": place, "function": {"arguments": piece.arguments}}]}
        )

    def _end(self, end: wire.MessageEnd) -> Iterator[ChatChunk]:
        raise_failure(end.finish_reason, end.error)
        self.ended = True
        yield self._chunk({}, reason=decode_reason(end.finish_reason))
        if usage := decode_usage(end.usage):
            yield {**self._chunk({}), "choices": [], "usage": usage}

    def _chunk(
        self,
        delta: Delta,
        logprobs: wire.Logprob | None = None,
        reason: FinishReason | None = None,
    ) -> ChatChunk:
        chunk = make_chunk(self._model, delta, reason, **self._more)
        if logprobs and (told := decode_logprobs([logprobs])):
            chunk["choices"][0]["logprobs"] = told
        return chunk
