"""
A stream of chat chunks as the events of a message, each with its name.

`message_start`, then for each block `content_block_start`, deltas and `content_block_stop`, then
`message_delta` with the stop reason and the usage, and `message_stop`. Source:
https://platform.claude.com/docs/en/build-with-claude/streaming, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...schema.chat import ORIGINAL_EVENT, ChatChunk
from ...wire import json
from ..base import TranslatedRequest
from ..sealed import begins
from .blocks import BlockWriter
from .errors import error_body, failed_body
from .request_context import RequestContext
from .response import make_message, stop_of, usage_of

if TYPE_CHECKING:
    from .relay import Relay

PING = b'event: ping\ndata: {"type": "ping"}\n\n'

NO_STOP: Mapping[str, None] = {"stop_reason": None, "stop_sequence": None}


def encode(event: Mapping[str, Any]) -> bytes:
    """One event; SDKs ignore events without a name."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.encode(event))


class MessageEncoder:
    """
    Makes the events of one response.

    Of the responses of several models, `content` is the one that begins first; the others are in
    `fanout` of `message_delta`, which SDKs pass on. If that one fails amid its content, the last
    event is an error, and its `fanout` has the others.
    """

    def __init__(self, request: TranslatedRequest) -> None:
        given: RequestContext = request.given
        self._given = given
        self._id = request.id
        self._is_combined = request.request.combined
        self._blocks = BlockWriter(thinks=given.thinks)
        self._has_begun = False
        self._choice: dict[str, Any] = {}  # the last of the response, without its delta
        self._usage: Any = None
        self._report: dict[str, Any] = {}
        self._index: int | None = None
        self._others: Any = None
        self._failure: Any = None
        self._relay: Relay | None = None

    def feed(self, chunk: ChatChunk) -> bytes:
        """The events of one chunk; a vendor's own events are passed on."""
        if self._relay is not None or (ORIGINAL_EVENT in chunk and not self._is_combined):
            return self._relayed(chunk)
        return b"".join(encode(event) for event in self._events(chunk))

    def _relayed(self, chunk: ChatChunk) -> bytes:
        if self._relay is None:
            from .relay import Relay  # only models with this API need it

            self._relay = Relay()
        return self._relay.feed(chunk)

    def _events(self, chunk: ChatChunk) -> Iterator[Mapping[str, Any]]:
        whole: Mapping[str, Any] = chunk
        self._usage = whole.get("usage") or self._usage
        self._report = whole.get("fanout") or self._report
        choices = list(self._own_choices(chunk)) if self._is_combined else chunk["choices"]
        for choice in choices:
            if not self._has_begun:
                yield self._start(whole)
            yield from self._blocks.feed(choice["delta"])
            if refusal := choice["delta"].get("refusal"):
                self._choice["refusal"] = refusal
            rest: Mapping[str, Any] = choice
            self._choice |= {k: v for k, v in rest.items() if k != "delta" and v is not None}

    def _own_choices(self, chunk: ChatChunk) -> Iterator[Any]:
        """The choices of the response that is the message's; the others are kept."""
        if self._others is None:
            from ...schema.accumulator import ChunkAccumulator

            self._others = ChunkAccumulator()
        others = []
        for choice in chunk["choices"]:
            index = choice["index"]
            failure = choice.get("error")
            if self._index is None and not failure and begins(choice["delta"]):
                self._index = index
            if index == self._index:
                self._failure = failure or self._failure
                if not failure:
                    yield choice
            else:
                others.append(choice)
        if others:
            self._others.add({**chunk, "choices": others})

    def _start(self, chunk: Mapping[str, Any]) -> dict[str, Any]:
        self._has_begun = True
        usage = self._estimated()
        message = make_message(chunk.get("id") or self._id, chunk.get("model"), [], NO_STOP, usage)
        return {"type": "message_start", "message": message}

    def _estimated(self) -> dict[str, int]:
        """The usage before, or without, the vendor's."""
        return {**usage_of(None), "input_tokens": self._given.tokens}

    def end(self) -> bytes:
        """The end of the blocks and of the message."""
        if self._relay is not None:
            return self._relay.end()
        if self._failure:
            body = failed_body(self._failure, self._id)
            return encode({**body, **self._fanout()})
        events = [*self._blocks.end()]
        if not self._has_begun:
            events = [self._start({}), *events]
        stop = stop_of(self._choice, self._given.stops)
        if self._blocks.has_calls and stop["stop_reason"] == "end_turn":
            stop["stop_reason"] = "tool_use"
        found = self._choice.get("usage") if self._is_combined else self._usage
        used = usage_of(found) if found else self._estimated()
        events.append({"type": "message_delta", "delta": stop, "usage": used, **self._fanout()})
        events.append({"type": "message_stop"})
        return b"".join(map(encode, events))

    def _fanout(self) -> dict[str, Any]:
        if not self._is_combined:
            return {"fanout": self._report} if self._report else {}
        from .all_responses import other_responses

        choices = self._others.completion()["choices"] if self._others else []
        choices = [one for one in choices if one["index"] != self._index]
        return {"fanout": {**self._report, "responses": other_responses(choices, self._given)}}

    def fail(self, error: Exception) -> bytes:
        """The error's event, which is the last one."""
        return b"event: error\ndata: %b\n\n" % json.encode(error_body(error, self._id))

    def keep_alive(self) -> bytes:
        """A ping, which SDKs and Claude Code count as a sign of life."""
        return PING
