"""
The events and bodies of a vendor that has this API, for a client that uses it.

Each byte is the vendor's, except the model's name, which is the client's, and the field `fanout`
for the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...schema.chat import ORIGINAL_EVENT, ChatChunk
from ...wire import json
from ...wire.http import WireEvent
from ..original_bytes import encode_event, with_inner_members, with_members

_HELD = frozenset({"message_delta", "message_stop"})
STOP = WireEvent(b'{"type":"message_stop"}', "message_stop")


class Relay:
    """
    Passes the events of one response on.

    The last `message_delta` is held back until the report is there, but only for `message_stop`:
    a request for one model may have fallbacks of the config, and then a report.
    """

    def __init__(self) -> None:
        self._held: list[WireEvent] = []
        self._report: Any = None
        self._has_stopped = False

    def feed(self, chunk: ChatChunk) -> bytes:
        """The event of a chunk; none for the further chunks of an event."""
        whole: Mapping[str, Any] = chunk
        self._report = whole.get("fanout") or self._report
        event: WireEvent | None = whole.get(ORIGINAL_EVENT)
        if event is None:
            return b""
        kind = event.type or _kind_of(event.data)
        event = WireEvent(event.data, kind)
        self._has_stopped = self._has_stopped or kind == "message_stop"
        if kind == "error":
            return b""  # `fail` is called next
        if kind in _HELD:
            self._held.append(event)
            return b""
        held = b""
        if kind != "ping" and self._held:
            held = b"".join(map(encode_event, self._held))
            self._held = []
        if kind == "message_start" and (model := whole.get("model")):
            data = with_inner_members(event.data, "message", {"model": model})
            event = WireEvent(data, kind)
        return held + encode_event(event)

    def end(self) -> bytes:
        """What was held back, with the report."""
        events = self._held
        if not self._has_stopped:
            events = [*events, STOP]
        return b"".join(encode_event(self._reported(event)) for event in events)

    def _reported(self, event: WireEvent) -> WireEvent:
        if event.type != "message_delta" or not self._report:
            return event
        return WireEvent(with_members(event.data, {"fanout": self._report}), event.type)


def _kind_of(data: bytes) -> str:
    value = json.decode_or_none(data)
    return str(value.get("type", "")) if isinstance(value, dict) else ""


def joined_events(events: Iterable[WireEvent]) -> dict[str, Any]:
    """The message that a vendor's events make, as the vendor would have sent it whole."""
    joined = _JoinedMessage()
    for one in events:
        event = json.decode_or_none(one.data)
        if isinstance(event, dict):
            joined.add(event)
    return joined.whole()


class _JoinedMessage:
    """Collects a message's events; an index that is not there is the last block's."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._last = -1

    def add(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"type": "message_start", "message": dict(message)}:
                self._message = {**message}
            case {"type": "content_block_start", "content_block": dict(block)}:
                self._last = self._index(event, self._last + 1)
                self._blocks[self._last] = {**block}
            case {"type": "content_block_delta", "delta": dict(delta)}:
                index = self._index(event, self._last)
                self._add_delta(index, self._blocks.setdefault(index, {}), delta)
            case {"type": "message_delta"}:
                self._end(event)
            case _:
                pass

    def _index(self, event: Mapping[str, Any], default: int) -> int:
        index = event.get("index")
        return index if isinstance(index, int) else default

    def _end(self, event: Mapping[str, Any]) -> None:
        usage = {**(self._message.get("usage") or {}), **(event.get("usage") or {})}
        more = {k: v for k, v in event.items() if k not in {"delta", "type", "usage"}}
        self._message |= {**(event.get("delta") or {}), **more, "usage": usage}

    def _add_delta(self, index: int, block: dict[str, Any], delta: Mapping[str, Any]) -> None:
        match delta:
            case {"type": "input_json_delta", "partial_json": str(text)}:
                self._inputs.setdefault(index, []).append(text)
            case {"type": "citations_delta", "citation": citation}:
                block["citations"] = [*(block.get("citations") or ()), citation]
            case _:
                for name in ("signature", "text", "thinking"):
                    if isinstance(piece := delta.get(name), str):
                        block[name] = (block.get(name) or "") + piece

    def whole(self) -> dict[str, Any]:
        """The message so far."""
        for index, parts in self._inputs.items():
            found = json.decode_or_none("".join(parts).encode() or b"{}")
            self._blocks[index]["input"] = found if isinstance(found, dict) else {}
        return {**self._message, "content": [self._blocks[i] for i in sorted(self._blocks)]}
