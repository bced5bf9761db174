"""The events of a streamed response of the Responses API as chunks of a chat completion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ....schema.chat import ChatChunk
from ....wire import json
from ....wire.http import WireEvent
from ...base import BadWire, Target, WireError
from ..errors import explain_value, status_of
from .models import without_mark
from .response import (
    chat_call,
    chat_usage,
    check_failure,
    count_of,
    extra_content,
    finish_reason,
    nested_annotation,
    object_of,
    objects_of,
    reasoning_text,
    sealed_item,
    text_of,
)

_TEXTS = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.reasoning_summary_text.delta": "reasoning_content",
    "response.reasoning_text.delta": "reasoning_content",
}
_ARGUMENTS = {
    "response.function_call_arguments.delta": ("function", "arguments"),
    "response.custom_tool_call_input.delta": ("custom", "input"),
}
_ENDS = frozenset({"response.completed", "response.incomplete"})
_KINDS = {"function": "arguments", "custom": "input"}


class ResponsesDecoder:
    """Yields the chunks of one stream; an event without content for a client gives none."""

    def __init__(self, target: Target) -> None:
        self._model = target.model
        self._maker = without_mark(target.model)
        self._head: dict[str, Any] = {}
        self._ended = False
        self._calls: dict[int, int] = {}
        self._seen: set[int] = set()
        """The places of the items whose text has come in deltas."""

    @property
    def ended(self) -> bool:
        """Whether the last event has come."""
        return self._ended

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """The chunks of one event."""
        if event.data.startswith(b"[DONE]"):
            return
        value = json.decode_any(event.data)
        if not isinstance(value, dict):
            raise BadWire("an event is not a JSON object")
        kind = text_of(value.get("type")) or event.type
        if kind == "error" or (value.get("error") and "response" not in value):
            fault = value.get("error") or value
            raise WireError(status_of(fault), explain_value(fault, "no reason given"))
        place = count_of(value.get("output_index"))
        if name := _TEXTS.get(kind):
            self._seen.add(place)
            yield self._chunk(
                {name: text_of(value.get("delta"))}, objects_of(value.get("logprobs"))
            )
        elif kind in _ARGUMENTS:
            self._seen.add(place)
            yield self._arguments(kind, place, text_of(value.get("delta")))
        elif kind == "response.output_item.added":
            yield from self._added(place, object_of(value.get("item")))
        elif kind == "response.output_item.done":
            yield from self._done(place, object_of(value.get("item")))
        elif kind == "response.output_text.annotation.added":
            yield self._chunk({"annotations": [nested_annotation(value.get("annotation"))]})
        elif kind.startswith("response.") and "response" in value:
            yield from self._response(kind, object_of(value["response"]))

    def _response(self, kind: str, response: dict[str, Any]) -> Iterator[ChatChunk]:
        """What an event with the whole response says: its id, or its end."""
        check_failure(response)
        given = {
            "id": text_of(response.get("id")),
            "created": count_of(response.get("created_at")),
        }
        self._head = {name: item for name, item in given.items() if item}
        self._model = text_of(response.get("model")) or self._model
        if kind not in _ENDS:
            return
        self._ended = True
        reason = finish_reason(response, calls=bool(self._calls))
        end: dict[str, Any] = {"index": 0, "delta": {}, "finish_reason": reason}
        more = {"usage": chat_usage(response.get("usage"))}
        if tier := response.get("service_tier"):
            more["service_tier"] = tier
        yield self._made([end], **more)

    def _added(self, place: int, item: dict[str, Any]) -> Iterator[ChatChunk]:
        call = chat_call(item)
        if call is None:
            return
        index = self._calls.setdefault(place, len(self._calls))
        field = call[call["type"]]
        field[_KINDS[call["type"]]] = ""
        yield self._chunk({"tool_calls": [{"index": index, **call}]})

    def _done(self, place: int, item: dict[str, Any]) -> Iterator[ChatChunk]:
        """What the deltas did not have: encrypted reasoning, and the text of an item without."""
        if item.get("type") == "reasoning":
            if place not in self._seen and (text := reasoning_text(item)):
                yield self._chunk({"reasoning_content": text})
            if found := sealed_item(item, self._maker):
                yield self._chunk({"extra_content": extra_content(found)})
        elif place not in self._seen:
            if call := chat_call(item):
                if place not in self._calls:
                    yield from self._added(place, item)
                kind: str = call["type"]
                field = _KINDS[kind]
                text = object_of(chat_call(item)).get(kind, {}).get(field)
                part = {"index": self._calls[place], kind: {field: text}}
                yield self._chunk({"tool_calls": [part]})
            if item.get("type") != "message":
                return
            for part in objects_of(item.get("content")):
                name = "refusal" if part.get("type") == "refusal" else "content"
                text = text_of(part.get("refusal")) or text_of(part.get("text"))
                yield self._chunk({name: text})

    def _arguments(self, kind: str, place: int, delta: str) -> ChatChunk:
        outer, inner = _ARGUMENTS[kind]
        index = self._calls.setdefault(place, len(self._calls))
        return self._chunk({"tool_calls": [{"index": index, outer: {inner: delta}}]})

    def _chunk(self, delta: dict[str, Any], logprobs: Any = None) -> ChatChunk:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": None}
        if logprobs:
            choice["logprobs"] = {"content": logprobs, "refusal": None}
        return self._made([choice])

    def _made(self, choices: list[Any], **more: Any) -> ChatChunk:
        head = {**self._head, "object": "chat.completion.chunk", "model": self._model}
        chunk: Any = {**head, "choices": choices, **more}
        made: ChatChunk = chunk
        return made
