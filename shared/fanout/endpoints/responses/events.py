"""
A streamed response in the events of the Responses API, in the order that its clients need.

`response.created` is first, each item is added before its deltas and done after them, and the last
event has the whole response. Source: openai-python 3.54.0, `ResponseStreamEvent` and its helper
`.stream()`; what other clients need was recorded from them, 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...schema.accumulator import ChunkAccumulator
from ...schema.chat import ORIGINAL_EVENT, ChatChunk
from ...wire import json
from ...wire.sse import DONE, KEEP_ALIVE
from ..sealed import begins
from .errors import code_of, error_event, response_error
from .open_items import OpenItems
from .response import Head, ending, id_suffix, other_responses, usage_object

if TYPE_CHECKING:
    from .relay import Relay

_KEPT = ("fanout", "service_tier", "system_fingerprint")
"""Fields of a chunk that belong to the response."""

_OF_CHOICE = ("cost_usd", "fanout", "latency_ms", "service_tier")
"""The same of the last chunk of one of several models."""


class ResponseEncoder:
    """
    Encodes the chunks of one response; of several models' responses, those of one.

    That is the model whose content comes first. The others are collected: the last event has them
    whole in `fanout.responses`. `model` is the name to show before the first chunk, if there is
    only one; without it, `response.created` waits until it is known which model responds. `now`
    returns seconds since 1970.
    """

    def __init__(
        self, head: Head, *, model: str | None, is_combined: bool, now: Callable[[], int]
    ) -> None:
        self._head = head
        self._model = model
        self._now = now
        self._items = OpenItems(id_suffix(head.id), head.names, self._event)
        self._number = 0
        self._begun = False
        self._finish: object = None
        self._usage: Any = None
        self._more: dict[str, Any] = {}
        self._choices = _Choices() if is_combined else None
        self._relay: Relay | None = None

    # ---- what is called ----

    def feed(self, chunk: ChatChunk) -> bytes:
        """The events of one chunk; a vendor's own events are passed on."""
        if self._relay is not None or (ORIGINAL_EVENT in chunk and self._choices is None):
            return self._relayed(chunk)
        self._usage = chunk.get("usage") or self._usage
        self._more |= {name: chunk[name] for name in _KEPT if chunk.get(name)}  # type: ignore[literal-required]
        found: list[bytes] = []
        for choice in self._own_choices(chunk):
            self._model = chunk.get("model") or self._model
            if not self._begun:
                found += self._begin()
            found += self._items.feed(choice)
            self._finish = choice.get("finish_reason") or self._finish
        return b"".join(found)

    def end(self) -> bytes:
        """The ends of the open items, the whole response, and `[DONE]`."""
        if self._relay is not None:
            return self._relay.end()
        failed = self._choices and self._choices.failure
        if failed:
            return self._fail(code_of(failed), failed["message"], failed["param"])
        found = [] if self._begun else self._begin()
        found += self._items.end(self._finish)
        fields = ending(self._finish, self._now())
        response = self._response(**fields)
        found.append(self._event(f"response.{fields['status']}", response=response))
        return b"".join([*found, DONE])

    def fail(self, error: Exception) -> bytes:
        """`error`, which SDKs raise, `response.failed`, which Codex reads, and `[DONE]`."""
        shown, event = response_error(error), error_event(error)
        return self._fail(shown["code"], shown["message"], event["param"])

    def keep_alive(self) -> bytes:
        """
        An event that Codex counts, unlike a comment.

        `response.created` must be before it, or the `.stream()` helpers raise. So while it is not
        known which model responds, it is a comment.
        """
        if not self._begun and self._model is None:
            return KEEP_ALIVE
        found = [] if self._begun else self._begin()
        return b"".join([*found, b'data: {"type":"keepalive"}\n\n'])

    def _relayed(self, chunk: ChatChunk) -> bytes:
        if self._relay is None:
            from .relay import Relay  # only models with this API need it

            self._relay = Relay(self._head.id if self._begun else None)
            self._begun = True
        self._model = chunk.get("model") or self._model
        return self._relay.feed(chunk)

    # ---- events ----

    def _begin(self) -> list[bytes]:
        self._begun = True
        response = self._head.response(self._model or "")
        return [
            self._event("response.created", response=response),
            self._event("response.in_progress", response=response),
        ]

    def _fail(self, code: str, message: str, param: object) -> bytes:
        error = {"code": code, "message": message}
        if self._relay is not None:
            self._number = self._relay.number
        found = [] if self._begun or self._relay else self._begin()
        found.append(self._event("error", **error, param=param))
        if self._relay is not None:
            response = self._head.response(self._model or "") | self._relay.failed(error)
        else:
            self._items.cut()
            response = self._response(status="failed", error=error)
        found += [self._event("response.failed", response=response), DONE]
        return b"".join(found)

    def _event(self, kind: str, /, **fields: Any) -> bytes:
        """One event, with the next number."""
        value = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), json.encode(value))

    def _response(self, **fields: Any) -> dict[str, Any]:
        """The whole response so far."""
        usage, more = self._usage, dict(self._more)
        if self._choices is not None:
            usage, more = self._choices.usage, more | self._choices.more
            others = other_responses(self._choices.others(), self._head, self._now())
            more["fanout"] = {**(more.get("fanout") or {}), "responses": others}
        model, output = self._model or "", self._items.items
        usage = usage_object(usage)
        return self._head.response(model, output=output, **{"usage": usage, **more, **fields})

    def _own_choices(self, chunk: ChatChunk) -> list[Any]:
        """The choices of the response that is streamed."""
        if self._choices is None:
            return [choice for choice in chunk["choices"] if choice.get("index", 0) == 0]
        return self._choices.add(chunk)


class _Choices:
    """The chunks of several models; the first with content is streamed, the others are kept."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._kept: dict[int, tuple[ChunkAccumulator, dict[str, Any]]] = {}
        self.usage: Any = None
        self.more: dict[str, Any] = {}
        self.failure: Any = None

    def add(self, chunk: ChatChunk) -> list[Any]:
        """Keep what is another model's; returns what is to be streamed."""
        own = []
        for choice in chunk["choices"]:
            given: dict[str, Any] = {**choice}
            index, error = given.get("index", 0), given.pop("error", None)
            if self._first is None and not error and begins(choice["delta"]):
                self._first = index
            if index != self._first:
                self._keep(chunk, given, index, error)
            elif error:
                self.failure = error
            else:
                self.usage = given.get("usage") or self.usage
                self.more |= {name: given[name] for name in _OF_CHOICE if name in given}
                own.append(choice)
        return own

    def _keep(self, chunk: ChatChunk, choice: dict[str, Any], index: int, error: Any) -> None:
        accumulator, last = self._kept.setdefault(index, (ChunkAccumulator(), {}))
        last["model"] = chunk.get("model")
        if error:
            last["error"] = error
        one: Any = {**chunk, "choices": [choice]}
        accumulator.add(one)

    def others(self) -> list[dict[str, Any]]:
        """The whole choices of the other models, in their order."""
        found = []
        for index, (accumulator, last) in sorted(self._kept.items()):
            if index == self._first:
                continue  # what came before its content
            whole: Any = accumulator.completion()["choices"][0]
            found.append({**whole, **last})
        return found
