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
from ...wire.sse import DONE
from ..original_bytes import encode_event, with_inner_members

BEGINS = frozenset({"response.created", "response.in_progress", "response.queued"})
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})


class Relay:
    """
    Passes the events of one response on.

    The last one is held back until the report is there. If the stream has begun with another id
    (`own_id`), as it does in a silence, the response keeps that one. `response_id` and `number` are
    the response's id and the number of the next event, as far as they are known.
    """

    def __init__(self, own_id: str | None) -> None:
        self._own_id = own_id
        self._held: list[WireEvent] = []
        self._report: Any = None
        self._model: str | None = None
        self.response_id: str | None = None
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
            self.number = number + 1
        if isinstance(response := known.get("response"), dict):
            self.response_id = self._own_id or response.get("id") or self.response_id
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

    def _renamed(self, event: WireEvent, more: Mapping[str, Any] = {}) -> WireEvent:
        """The event, whose response has the client's name of the model."""
        if self._model is None:
            return event
        values = {"model": self._model, **({"id": self._own_id} if self._own_id else {}), **more}
        return WireEvent(with_inner_members(event.data, "response", values), event.type)


def last_response(events: Iterable[WireEvent]) -> dict[str, Any]:
    """The whole response, which the last event has."""
    for event in reversed([*events]):
        value = json.decode_or_none(event.data)
        response = value.get("response") if isinstance(value, dict) else None
        if isinstance(response, dict):
            return response
    return {}
