"""OpenAI's chunks: returned unchanged if they have OpenAI's shape, else repaired."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, get_args

import msgspec
from msgspec import UNSET

from ...schema.chat import ChatChunk, FinishReason
from ...wire.http import WireEvent
from ...wire.json import NOT_JSON, decode_any
from ..base import Target, WireError
from .choice_places import OnePlace, SeveralPlaces
from .errors import explain_value, status_of
from .response import check_object, is_chunk, repaired
from .streamed_choice import StreamedChoice
from .tool_calls import CallIndexer
from .views import Chunk, ChunkChoice, Usage

_decode = msgspec.json.Decoder().decode


# What all chunks of a stream have in common.
_HEAD = ("id", "object", "created", "model", "system_fingerprint")


_DONE = (b"[DONE]", b'"[DONE]"')  # some servers encode the end as JSON


_REASONS = frozenset(get_args(FinishReason))


_BARE_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})


class ChatDecoder:
    """
    Returns the events of a stream: each is a chunk already, unchanged if it has OpenAI's shape.

    The end is `[DONE]`, or a finish reason of every choice, because some vendors send no `[DONE]`.
    Choices without a finish reason get one at `[DONE]`: clients wait for it or ask again.
    `choice_places` says which choice each delta is of, and may hold a chunk back: see `values`.
    """

    def __init__(self, target: Target) -> None:
        self._places = OnePlace() if target.one_choice else SeveralPlaces()
        self._done = False
        self._latest: dict[str, Any] = {}
        self._head: tuple[Any, ...] | None = None
        """What the quick check compares with that of the next chunk."""
        self._open: dict[int, StreamedChoice] = {}
        self._finished: dict[int, StreamedChoice] = {}

    @property
    def ended(self) -> bool:
        return self._done or (bool(self._finished) and not self._open)

    def has_calls(self, index: int) -> bool:
        """Whether the choice has had calls of tools."""
        known = self._known(index)
        return known is not None and known.calls is not None

    @property
    def holds(self) -> bool:
        """Whether a chunk waits for the next one, which decides what choice it is of."""
        return self._places.holds

    def feed(self, event: WireEvent) -> Iterable[ChatChunk]:
        """The event's chunks, if it has any."""
        return [self.take(value) for value in self.values(event) if is_chunk(value)]

    def rest(self) -> Iterable[ChatChunk]:
        """The chunks that wait, if nothing follows, or not soon."""
        return [self.take(value) for value in self.held()]

    def held(self) -> Sequence[dict[str, Any]]:
        """The objects that wait, to be taken."""
        return self._places.rest()

    def values(self, event: WireEvent) -> Iterable[dict[str, Any]]:
        """
        The objects to be taken, each before the next, whose choices have their indexes.

        Some may be no chunks. `[DONE]` gives those that wait, and the finish reasons that the
        vendor left out.
        """
        value = self.read(event)
        if value is None:
            return self._last_values() if self._done else ()
        return (value,) if self._done else self._places.place(value)

    def _last_values(self) -> Iterator[dict[str, Any]]:
        yield from self._places.rest()
        if self._open:
            yield self._missing_ends()

    def read(self, event: WireEvent) -> dict[str, Any] | None:
        """The event's JSON object; `None` for the end, and for a keep-alive, which is empty."""
        data = event.data
        if data[:1] != b"{":
            if data.startswith(_DONE):
                self._done = True
                return None
            if not data:
                return None
        try:
            value: dict[str, Any] = _decode(data)
        except NOT_JSON:
            value = decode_any(data)
        if type(value) is not dict or "error" in value or not value.get("choices"):
            value = check_object(value)
        if event.type == "error":  # an error that `fault_of` does not know by its fields
            raise WireError(status_of(value), explain_value(value, "no reason given"))
        return value

    def take(self, value: dict[str, Any]) -> ChatChunk:
        """
        `value` itself if it has the shape of a chunk, else repaired; notes what it ends.

        Most chunks are only more of a choice. A quick check spares them the full one, which takes
        longer; what it does not look at must be as in the chunk before.
        """
        get = value.get
        head = (get("id"), get("created"), get("service_tier"), get("system_fingerprint"))
        is_plain = type(get("obfuscation", "")) is str and get("moderation") is None
        if head == self._head and is_plain and self._is_more(get("choices"), get("usage")):
            return value  # type: ignore[return-value]
        chunk = self._take_checked(value)
        self._head = head if self._latest is value else None
        return chunk

    def _is_more(self, choices: Any, usage: Any) -> bool:
        """Whether this is one delta or the end of an open choice, or the usage; notes the end."""
        if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
            return choices == [] and _is_usage(usage)
        choice = choices[0]
        try:
            index, delta, reason = choice["index"], choice["delta"], choice["finish_reason"]
        except KeyError:
            index = delta = reason = None
        known = self._open.get(index) if type(index) is int else None
        if known is None or type(delta) is not dict or usage is not None:
            return False
        if choice.get("logprobs") is not None:
            return False
        if reason is None:
            return len(delta) == 1 and known.continues(delta)
        if delta or type(reason) is not str or reason not in _REASONS or known.lacks_arguments:
            return False
        self._finish(index)
        return True

    def _finish(self, index: int) -> None:
        self._finished[index] = self._open.pop(index)

    def _take_checked(self, value: dict[str, Any]) -> ChatChunk:
        try:
            chunk = msgspec.convert(value, Chunk)
        except msgspec.ValidationError:
            value = repaired(value, "delta", self._called())
        else:
            if self._is_usual(chunk.choices):
                self._latest = value
                for choice in value["choices"]:
                    if known := self._known(choice["index"]):
                        known.note(choice["delta"])
                return value  # type: ignore[return-value]
        self._latest = value
        choices = value["choices"]
        taken = [self._take_choice(choice, value.get("id")) for choice in choices]
        if any(new is not old for new, old in zip(taken, choices, strict=True)):
            value = {**value, "choices": [choice for choice in taken if choice is not None]}
        return value  # type: ignore[return-value]

    def _called(self) -> Container[int]:
        """The indexes of the choices that have had tool calls."""
        known = (self._open | self._finished).items()
        return {index for index, choice in known if choice.calls}

    def _is_usual(self, choices: list[ChunkChoice]) -> bool:
        """Whether this is one choice, just as a client gets it; then notes what begins or ends."""
        if len(choices) != 1:
            return not choices
        choice = choices[0]
        index, calls = choice.index, choice.delta.tool_calls
        if choice.finish_reason is UNSET:
            return False
        known = self._open.get(index)
        if known is None:
            if index in self._finished:
                return False
            known = self._open[index] = StreamedChoice()
        if choice.finish_reason and (known.lacks_arguments or calls):
            return False
        if calls and not known.takes(calls):
            return False
        if choice.finish_reason:
            self._finish(index)
        return True

    def _known(self, index: int) -> StreamedChoice | None:
        return self._open.get(index) or self._finished.get(index)

    def _take_choice(self, choice: dict[str, Any], response_id: Any) -> dict[str, Any] | None:
        """The choice as the client gets it; `None` if it has ended and has nothing new."""
        is_whole, choice = "message" in choice, self._with_known_fields(choice)
        index = choice["index"]
        if is_whole and (known := self._known(index)):
            choice = {**choice, "delta": known.unheard(choice["delta"])}
        calls = choice["delta"].get("tool_calls")
        if (known := self._finished.get(index)) is not None:
            if (late := _after_end(choice)) is None:
                return None
            choice = late
        else:
            known = self._open.setdefault(index, StreamedChoice())
            if choice.get("finish_reason"):
                self._finish(index)
        if not is_whole:
            known.note(choice["delta"])
        if calls:
            choice = _with_calls(choice, calls, known, response_id)
        if choice.get("finish_reason") and known.calls and (rest := known.calls.complete()):
            delta = choice["delta"]
            given = delta.get("tool_calls") or ()
            choice = {**choice, "delta": {**delta, "tool_calls": [*given, *rest]}}
        return choice

    def _with_known_fields(self, choice: dict[str, Any]) -> dict[str, Any]:
        """The choice with a finish reason, and no message beside the delta."""
        if "finish_reason" not in choice:
            choice = {**choice, "finish_reason": None}
        if "message" in choice:
            choice = {name: value for name, value in choice.items() if name != "message"}
        return choice

    def _missing_ends(self) -> dict[str, Any]:
        """A chunk that ends each choice without a finish reason."""
        ends: list[dict[str, Any]] = [
            {"index": index, "delta": {}, "finish_reason": self._open[index].reason}
            for index in sorted(self._open)
        ]
        head = {name: self._latest[name] for name in _HEAD if name in self._latest}
        return {**head, "choices": ends}


def _with_calls(
    choice: dict[str, Any], calls: list[dict[str, Any]], known: StreamedChoice, response_id: Any
) -> dict[str, Any]:
    """The choice whose calls have indexes and ids of their own."""
    indexer = known.calls or CallIndexer()
    given = [indexer.place(call, response_id) for call in calls]
    if indexer.last:
        known.calls = indexer
    if all(new is old for new, old in zip(given, calls, strict=True)):
        return choice
    delta = {**choice["delta"], "tool_calls": [part for part in given if part is not None]}
    if not delta["tool_calls"]:
        del delta["tool_calls"]
    return {**choice, "delta": delta}


def _is_usage(usage: Any) -> bool:
    """Whether this is usage that can be counted."""
    try:
        msgspec.convert(usage, Usage)
    except msgspec.ValidationError:
        return False
    return True


def _after_end(choice: dict[str, Any]) -> dict[str, Any] | None:
    """A choice after its finish reason: without another one; `None` if nothing else is in it."""
    has_text = any(value for name, value in choice["delta"].items() if name != "role")
    if not has_text and not choice.get("logprobs") and choice.keys() <= _BARE_CHOICE:
        return None
    return {**choice, "finish_reason": None} if choice.get("finish_reason") else choice
