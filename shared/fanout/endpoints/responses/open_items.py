"""The output items of a stream, while they are made: which one grows, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...schema.accumulator import join_values, whole_value
from .images import image_item
from .item_events import MakeEvent, OpenCall, OpenReasoning, OpenText
from .output import Item, item_status
from .tools import Names

_OPENS_REASONING = ("reasoning_content", "reasoning_details", "thinking_blocks")
"""Fields of a delta that are reasoning, and not of a text or a call."""


class OpenItems:
    """
    The items of one response: `items` has those that are done, at their places.

    One item is open at a time, as with OpenAI. A call whose pieces come between those of another
    is sent once the other is done.
    """

    def __init__(self, suffix: str, names: Names, event: MakeEvent) -> None:
        self.items: list[Item] = []
        self._suffix = suffix
        self._names = names
        self._event = event
        self._open: OpenReasoning | OpenText | OpenCall | None = None
        self._calls: dict[int, OpenCall] = {}
        self._late: Any = None

    def feed(self, choice: Mapping[str, Any]) -> list[bytes]:
        """The events of one piece of the response."""
        delta = choice["delta"]
        found: list[bytes] = []
        if any(delta.get(name) for name in _OPENS_REASONING):
            found += self._feed_reasoning(delta)
        elif extra := delta.get("extra_content"):
            if isinstance(self._open, OpenReasoning) or not self.items:
                found += self._feed_reasoning(delta)
            else:  # it comes with a text, which it must not divide
                self._late = join_values("", self._late, extra)
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        text, refusal = delta.get("content"), delta.get("refusal")
        if text or refusal or delta.get("annotations") or logprobs:
            found += self._feed_text(delta, logprobs)
        for image in delta.get("images") or ():
            found += self._feed_image(image)
        for piece in delta.get("tool_calls") or ():
            found += self._feed_call(piece)
        return found

    def end(self, finish_reason: object) -> list[bytes]:
        """The ends of all items; a response without any is an empty message."""
        status = item_status(finish_reason)
        found = self._close(status)
        waiting = [self._calls[index] for index in sorted(self._calls)]
        for call in waiting:
            if not call.is_done:
                found += [*self._begin(call), *call.pieces(self._event), *self._close(status)]
        if self._late:
            found += self._feed_reasoning({"extra_content": whole_value(self._late)})
            found += self._close("completed")
        if not self.items:
            text = self._make_text()
            found += [*self._begin(text), *text.feed("", (), [], self._event)]
            found += self._close(status)
        return found

    def cut(self) -> None:
        """End the open item without events: a client must not act on half a call."""
        if (item := self._open) is not None:
            self.items[item.index] = item.end(_no_event, "incomplete")[1]
            self._open = None

    def _feed_reasoning(self, delta: Mapping[str, Any]) -> list[bytes]:
        found: list[bytes] = []
        item = self._open
        if not isinstance(item, OpenReasoning):
            found += self._close("completed")
            item = OpenReasoning(f"rs_{self._suffix}_{len(self.items)}", len(self.items))
            found += self._begin(item)
        return [*found, *item.feed(delta, self._event)]

    def _feed_text(self, delta: Mapping[str, Any], logprobs: list[Any]) -> list[bytes]:
        found: list[bytes] = []
        item = self._open
        if not isinstance(item, OpenText):
            found += self._close("completed")
            item = self._make_text()
            found += self._begin(item)
        annotations = delta.get("annotations") or ()
        if delta.get("content") or annotations or logprobs:
            found += item.feed(delta.get("content") or "", annotations, logprobs, self._event)
        if refusal := delta.get("refusal"):
            found += item.feed_refusal(refusal, self._event)
        return found

    def _feed_image(self, image: object) -> list[bytes]:
        index = len(self.items)
        if (item := image_item(image, f"ig_{self._suffix}_{index}")) is None:
            return []
        found = self._close("completed")
        self.items.append(item)
        started = {**item, "status": "in_progress", "result": None}
        for kind, one in (("added", started), ("done", item)):
            found.append(self._event(f"response.output_item.{kind}", output_index=index, item=one))
        return found

    def _feed_call(self, piece: Mapping[str, Any]) -> list[bytes]:
        index = piece.get("index", 0)
        found: list[bytes] = []
        if index not in self._calls:
            call = self._calls[index] = OpenCall(self._suffix, self._names)
            call.add(piece)
            if not isinstance(self._open, OpenCall) or self._open.is_whole:
                found += self._close("completed")
                found += [*self._begin(call), *call.pieces(self._event)]
            return found
        call = self._calls[index]
        text = call.add(piece)
        if call is self._open and text:
            found.append(call.delta(text, self._event))
        return found

    def _make_text(self) -> OpenText:
        return OpenText(f"msg_{self._suffix}_{len(self.items)}", len(self.items))

    def _begin(self, item: OpenReasoning | OpenText | OpenCall) -> list[bytes]:
        self._open = item
        item.index = len(self.items)
        started = item.started()
        self.items.append(started)
        return [self._event("response.output_item.added", output_index=item.index, item=started)]

    def _close(self, status: str) -> list[bytes]:
        """The events that end the open item; its final form takes its place."""
        item = self._open
        if item is None:
            return []
        self._open = None
        ends, whole = item.end(self._event, status)
        self.items[item.index] = whole
        done = self._event("response.output_item.done", output_index=item.index, item=whole)
        return [*ends, done]


def _no_event(_kind: str, /, **_fields: Any) -> bytes:
    return b""
