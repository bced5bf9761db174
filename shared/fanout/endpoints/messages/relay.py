"""
The events and bodies of a vendor that has this API, for a client that uses it.

Each byte is the vendor's, except the model's name, which is the client's, and the field `fanout`
for the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Raw

from ...schema.chat import ORIGINAL_BODY, ORIGINAL_EVENT, ORIGINAL_EVENTS, ChatChunk
from ...wire import json
from ...wire.http import WireEvent
from ..original_bytes import encode_event, with_inner_members, with_members

STOP = WireEvent(b'{"type":"message_stop"}', "message_stop")


class Relay:
    """
    Passes the events of one response on.

    The last `message_delta` is held back until the report is there, but only for `message_stop`.
    """

    def __init__(self, *, reports: bool) -> None:
        self._reports = reports
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
        if self._reports and kind in {"message_delta", "message_stop"}:
            self._held.append(event)
            return b""
        if kind == "message_start" and (model := whole.get("model")):
            data = with_inner_members(event.data, "message", {"model": model})
            event = WireEvent(data, kind)
        return encode_event(event)

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


def relayed(response: Mapping[str, Any], changes: Mapping[str, Any]) -> object:
    """The vendor's message, whole or in events, with these members."""
    if ORIGINAL_BODY in response:
        return Raw(with_members(response[ORIGINAL_BODY], changes))
    return {**joined_events(response[ORIGINAL_EVENTS]), **changes}


def relayed_message(response: Mapping[str, Any]) -> dict[str, Any]:
    """The vendor's message, decoded."""
    if ORIGINAL_BODY in response:
        value = json.decode_or_none(response[ORIGINAL_BODY])
        return value if isinstance(value, dict) else {}
    return joined_events(response[ORIGINAL_EVENTS])


def joined_events(events: Iterable[WireEvent]) -> dict[str, Any]:
    """The message that a vendor's events make, as the vendor would have sent it whole."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    inputs: dict[int, list[str]] = {}
    for one in events:
        event = json.decode_or_none(one.data)
        if not isinstance(event, dict):
            continue
        match event.get("type"):
            case "message_start":
                message = {**event["message"]}
            case "content_block_start":
                blocks[event["index"]] = {**event["content_block"]}
            case "content_block_delta":
                _add_delta(blocks.setdefault(event["index"], {}), event, inputs)
            case "message_delta":
                usage = {**message.get("usage", {}), **(event.get("usage") or {})}
                more = {k: v for k, v in event.items() if k not in {"delta", "type", "usage"}}
                message |= {**event.get("delta", {}), **more, "usage": usage}
            case _:
                pass
    for index, parts in inputs.items():
        blocks[index]["input"] = json.decode_or_none("".join(parts).encode() or b"{}")
    message["content"] = [blocks[index] for index in sorted(blocks)]
    return message


def _add_delta(
    block: dict[str, Any], event: Mapping[str, Any], inputs: dict[int, list[str]]
) -> None:
    delta = event["delta"]
    match delta.get("type"):
        case "text_delta":
            block["text"] = block.get("text", "") + delta["text"]
        case "thinking_delta":
            block["thinking"] = block.get("thinking", "") + delta["thinking"]
        case "signature_delta":
            block["signature"] = block.get("signature", "") + delta["signature"]
        case "input_json_delta":
            inputs.setdefault(event["index"], []).append(delta["partial_json"])
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
        case _:
            pass
