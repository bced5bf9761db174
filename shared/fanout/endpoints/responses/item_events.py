"""One output item of a stream, while it is made, and the events that say how it grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ...schema.accumulator import join_values, whole_value
from ...wire import json
from ..sealed import sealed_fields
from .output import Item, call_item, flat_annotation, message_item, reasoning_item, text_part
from .tools import Names


class MakeEvent(Protocol):
    """Encodes an event with the next number."""

    def __call__(self, kind: str, /, **fields: Any) -> bytes: ...


class OpenReasoning:
    """A reasoning item with one summary."""

    def __init__(self, item_id: str, index: int) -> None:
        self.index = index
        self._id = item_id
        self._text: list[str] = []
        self._sealed: Any = None

    def started(self) -> Item:
        """The item as it begins."""
        return {"id": self._id, "type": "reasoning", "summary": []}

    def feed(self, delta: Mapping[str, Any], event: MakeEvent) -> list[bytes]:
        """The events of one piece."""
        if given := sealed_fields(delta):
            self._sealed = join_values("", self._sealed, given)
        if not (text := delta.get("reasoning_content")):
            return []
        found = []
        if not self._text:
            part = {"type": "summary_text", "text": ""}
            found.append(event("response.reasoning_summary_part.added", **self._place(), part=part))
        self._text.append(text)
        found.append(event("response.reasoning_summary_text.delta", **self._place(), delta=text))
        return found

    def end(self, event: MakeEvent, _: str) -> tuple[list[bytes], Item]:
        """The events that end the item, and the whole item."""
        text = "".join(self._text)
        whole = reasoning_item(self._id, text, whole_value(self._sealed or {}))
        if not text:
            return [], whole
        part = whole["summary"][0]
        return [
            event("response.reasoning_summary_text.done", **self._place(), text=text),
            event("response.reasoning_summary_part.done", **self._place(), part=part),
        ], whole

    def _place(self) -> dict[str, Any]:
        return {"item_id": self._id, "output_index": self.index, "summary_index": 0}


class OpenText:
    """A message: a text, a refusal, or both."""

    def __init__(self, item_id: str, index: int) -> None:
        self.index = index
        self._id = item_id
        self._parts: list[Item] = []
        self._texts: list[str] = []

    def started(self) -> Item:
        """The item as it begins."""
        return message_item(self._id, [], "in_progress")

    def feed(
        self, text: str, annotations: Any, logprobs: list[Any], event: MakeEvent
    ) -> list[bytes]:
        """The events of one piece of the text."""
        found = self._open_part("output_text", event)
        part = self._parts[-1]
        if text:
            self._texts.append(text)
            kind = "response.output_text.delta"
            found.append(event(kind, **self._place(), delta=text, logprobs=logprobs))
        part["logprobs"] += logprobs
        for annotation in annotations:
            flat = flat_annotation(annotation)
            number = len(part["annotations"])
            part["annotations"].append(flat)
            kind = "response.output_text.annotation.added"
            found.append(event(kind, **self._place(), annotation_index=number, annotation=flat))
        return found

    def feed_refusal(self, text: str, event: MakeEvent) -> list[bytes]:
        """The events of one piece of the refusal."""
        found = self._open_part("refusal", event)
        self._texts.append(text)
        return [*found, event("response.refusal.delta", **self._place(), delta=text)]

    def end(self, event: MakeEvent, status: str) -> tuple[list[bytes], Item]:
        """The events that end the item, and the whole item."""
        return self._end_part(event), message_item(self._id, self._parts, status)

    def _open_part(self, kind: str, event: MakeEvent) -> list[bytes]:
        """Begin a part of this kind, unless it is the open one."""
        if self._parts and self._parts[-1]["type"] == kind:
            return []
        found = self._end_part(event)
        part = text_part("") if kind == "output_text" else {"type": "refusal", "refusal": ""}
        self._parts.append(part)
        return [*found, event("response.content_part.added", **self._place(), part=part)]

    def _end_part(self, event: MakeEvent) -> list[bytes]:
        if not self._parts:
            return []
        part, text = self._parts[-1], "".join(self._texts)
        self._texts = []
        if part["type"] == "refusal":
            part["refusal"] = text
            done = event("response.refusal.done", **self._place(), refusal=text)
        else:
            part["text"] = text
            kind = "response.output_text.done"
            done = event(kind, **self._place(), text=text, logprobs=part["logprobs"])
        return [done, event("response.content_part.done", **self._place(), part=part)]

    def _place(self) -> dict[str, Any]:
        number = len(self._parts) - 1
        return {"item_id": self._id, "output_index": self.index, "content_index": number}


class OpenCall:
    """
    A call of a function or of a custom tool, in pieces.

    If a function stands for a custom tool, its input is sent as one piece, at its end.
    """

    def __init__(self, suffix: str, names: Names) -> None:
        self.index = 0
        self.is_done = False
        self._suffix = suffix
        self._names = names
        self._call: Any = None

    @property
    def is_whole(self) -> bool:
        """Whether the arguments are one JSON object, so that no piece can follow."""
        arguments = (self._whole().get("function") or {}).get("arguments") or ""
        return isinstance(json.decode_or_none(arguments.encode()), dict)

    def add(self, piece: Mapping[str, Any]) -> str:
        """Add a piece; returns its text, if that can be sent."""
        own = {name: value for name, value in piece.items() if name != "index"}
        self._call = join_values("", self._call, own)
        function, custom = piece.get("function") or {}, piece.get("custom") or {}
        text = function.get("arguments") or custom.get("input") or ""
        return "" if self._is_late() else text

    def started(self) -> Item:
        """The item as it begins."""
        item = self._item("in_progress")
        return {**item, _field(item): ""}

    def pieces(self, event: MakeEvent) -> list[bytes]:
        """The event of the text so far."""
        item = self._item("in_progress")
        text = item[_field(item)]
        return [self.delta(text, event)] if text and not self._is_late() else []

    def delta(self, text: str, event: MakeEvent) -> bytes:
        """The event of one piece of the arguments or the input."""
        item = self._item("in_progress")
        return event(f"response.{_event_name(item)}.delta", **self._place(item), delta=text)

    def end(self, event: MakeEvent, status: str) -> tuple[list[bytes], Item]:
        """The events that end the item, and the whole item."""
        self.is_done = True
        whole = self._item(status)
        name = _field(whole)
        fields = (
            {name: whole[name]} if name == "input" else {"name": whole["name"], name: whole[name]}
        )
        found = [self.delta(whole[name], event)] if self._is_late() and whole[name] else []
        kind = f"response.{_event_name(whole)}.done"
        return [*found, event(kind, **self._place(whole), **fields)], whole

    def _whole(self) -> Mapping[str, Any]:
        return whole_value(self._call) or {}

    def _is_late(self) -> bool:
        """Whether a function stands for a custom tool, so that its text is not the input."""
        function = self._whole().get("function") or {}
        found = self._names.get(function.get("name") or "")
        return found is not None and found.is_custom

    def _item(self, status: str) -> Item:
        return call_item(self._whole(), f"{self._suffix}_{self.index}", self._names, status)

    def _place(self, item: Item) -> dict[str, Any]:
        return {"item_id": item["id"], "output_index": self.index}


def _field(item: Item) -> str:
    """The field of a call that grows."""
    return "input" if item["type"] == "custom_tool_call" else "arguments"


def _event_name(item: Item) -> str:
    return "custom_tool_call_input" if _field(item) == "input" else "function_call_arguments"
