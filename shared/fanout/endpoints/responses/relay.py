"""
The events and bodies of a vendor that has this API, for a client that uses it.

Each byte is the vendor's, except the model's name, which is the client's, the field `fanout` for
the report, and `store`: the vendor may keep the response, but not where the gateway can find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...schema.chat import ORIGINAL_EVENT, ChatChunk
from ...wire import json
from ...wire.http import WireEvent
from ...wire.sse import DONE
from ..original_bytes import encode_event, with_inner_members

BEGINS = frozenset({"response.created", "response.in_progress", "response.queued"})
FAILED = "response.failed"
ENDS = frozenset({"response.completed", "response.incomplete", FAILED})
NOT_STORED = {"store": False}
"""What a vendor's response says here, if it says anything of this."""


class Relay:
    """
    Passes the events of one response on.

    The last one is held back until the report is there. If the stream has begun with another id
    (`own_id`), as it does in a silence, the response keeps that one. `number` is that of the next
    event, as far as it is known. If the response fails, `failed` is what there is of it.
    """

    def __init__(self, own_id: str | None) -> None:
        self._own_id = own_id
        self._held: list[WireEvent] = []
        self._report: Any = None
        self._model: str | None = None
        self._begun: dict[str, Any] = {}  # the response as it began
        self._items: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, list[str]] = {}
        self.number = 0

    def feed(self, chunk: ChatChunk) -> bytes:
        """The event of a chunk; none for the further chunks of an event."""
        whole: Mapping[str, Any] = chunk
        self._report = whole.get("fanout") or self._report
        self._model = whole.get("model") or self._model
        event: WireEvent | None = whole.get(ORIGINAL_EVENT)
        if event is None or event.data.startswith(b"[DONE]"):
            return b""
        value = json.decode_or_none(event.data)
        known = value if isinstance(value, dict) else {}
        event = WireEvent(event.data, event.type or str(known.get("type", "")))
        if isinstance(number := known.get("sequence_number"), int):
            self.number = number + (event.type not in {FAILED, "error"})  # these two are sent later
        if isinstance(response := known.get("response"), dict):
            self._begun = self._begun or response
        self._collect(known)
        if event.type == "error":
            return b""  # the encoder's `fail` is called next
        if self._own_id and event.type in BEGINS:
            return b""
        if event.type in ENDS:
            self._held.append(event)
            return b""
        return encode_event(self._renamed(event))

    def end(self) -> bytes:
        """What was held back, with the report, and `[DONE]`."""
        report = {"fanout": self._report} if self._report else {}
        events = [encode_event(self._renamed(event, report)) for event in self._held]
        return b"".join([*events, DONE])

    def failed(self, error: Mapping[str, str]) -> dict[str, Any]:
        """
        The vendor's own failed response, or what it had sent of one that broke off.

        It has `error` unless the vendor gave its own, and the report if there is one.
        """
        whole = last_response(self._held[-1:]) if self._held else {}
        if not whole:
            output = [self._cut(index) for index in sorted(self._items)]
            whole = {**self._begun, "status": "failed", "output": output}
        own = {"model": self._model, "id": self._own_id, "fanout": self._report}
        whole |= {name: value for name, value in own.items() if value}
        whole |= NOT_STORED if "store" in whole else {}
        return {**whole, "error": whole.get("error") or error}

    def _collect(self, event: Mapping[str, Any]) -> None:
        """Keep what the output of a response that breaks off is made of."""
        match event:
            case {
                "type": "response.output_item.added" | "response.output_item.done",
                "output_index": int(index),
                "item": dict(item),
            }:
                self._items[index] = item
            case {
                "type": "response.output_text.delta",
                "output_index": int(index),
                "delta": str(text),
            }:
                self._texts.setdefault(index, []).append(text)
            case _:
                pass

    def _cut(self, index: int) -> dict[str, Any]:
        """An item of a response that broke off, with the text so far."""
        item = self._items[index]
        if item.get("status") != "in_progress":
            return item
        text = "".join(self._texts.get(index, ()))
        part = {"type": "output_text", "text": text, "annotations": []}
        return {**item, "status": "incomplete", **({"content": [part]} if text else {})}

    def _renamed(self, event: WireEvent, more: Mapping[str, Any] = {}) -> WireEvent:
        """The event, whose response has the client's name of the model."""
        if self._model is None:
            return event
        values = {"model": self._model, **({"id": self._own_id} if self._own_id else {}), **more}
        return WireEvent(with_inner_members(event.data, "response", values, NOT_STORED), event.type)


def last_response(events: Iterable[WireEvent]) -> dict[str, Any]:
    """The whole response, which the last event has."""
    for event in reversed([*events]):
        value = json.decode_or_none(event.data)
        response = value.get("response") if isinstance(value, dict) else None
        if isinstance(response, dict):
            return response
    return {}
