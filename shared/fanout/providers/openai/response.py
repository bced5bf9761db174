"""
OpenAI's responses and chunks: returned unchanged if they have OpenAI's shape, else repaired.

`normalize` has the differences of other vendors' responses.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from ...schema.chat import ChatChunk, ChatCompletion, FinishReason
from ...wire.http import WireEvent, WireResponse
from ...wire.json import NOT_JSON, decode_any
from ..base import BadWire, Target, WireError
from .errors import explain_value, fault_of, status_of
from .tool_calls import CallIndexer
from .views import CallDelta, Chunk, Completion

# What all chunks of a stream have in common.
_HEAD = ("id", "object", "created", "model", "system_fingerprint")
_decode = msgspec.json.Decoder().decode
_DONE = (b"[DONE]", b'"[DONE]"')  # some servers encode the end as JSON
_BARE_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})


def read(data: bytes) -> dict[str, Any]:
    """The provider's JSON object; raises `WireError` for an error with the status of a success."""
    try:
        value = _decode(data)
    except NOT_JSON:
        value = decode_any(data)
    if not isinstance(value, dict):
        raise BadWire("the response is not a JSON object")
    may_be_fault = "error" in value or "choices" not in value
    if may_be_fault and (fault := fault_of(value)) is not None:
        raise WireError(status_of(fault), explain_value(fault, "no reason given"))
    return value


def is_chunk(value: dict[str, Any]) -> bool:
    """Whether an event is a chunk, not one of the vendor's own, which have no choices."""
    return "choices" in value or isinstance(value.get("usage"), dict)


def check_whole(value: dict[str, Any]) -> ChatCompletion:
    """`value` itself if it has the shape of a response, else repaired; `BadWire` if it is none."""
    checked: Any = value
    try:
        msgspec.convert(value, Completion)
    except msgspec.ValidationError:
        checked = _repair(value, "message")
        if not checked["choices"]:
            raise BadWire("the response has no message") from None
    completion: ChatCompletion = checked
    return completion


def _repair(
    value: dict[str, Any], part: str, called: Container[int] = frozenset()
) -> dict[str, Any]:
    from .repair import repair  # only odd responses need it

    return repair(value, part, called)


def decode(response: WireResponse, _target: Target) -> ChatCompletion:
    """The response, unchanged if it has OpenAI's shape."""
    return check_whole(read(response.body))


class _Choice(Struct):
    """What has been received of one choice."""

    calls: CallIndexer | None = None

    @property
    def reason(self) -> FinishReason:
        """The finish reason of a choice whose vendor sent none."""
        return "tool_calls" if self.calls else "stop"

    def continues(self, calls: list[CallDelta]) -> bool:
        """Whether this is nothing but more arguments of the last call."""
        if len(calls) > 1 or self.calls is None:
            return False
        part, function = calls[0], calls[0].function
        if part.index != self.calls.last_index or part.id or function is None or function.name:
            return False
        if function.arguments:
            self.calls.note_arguments()
        return True

    def has_more(self, delta: dict[str, Any]) -> bool:
        """Whether an unchecked delta with one field is more text, or arguments of the last call."""
        if type(delta.get("content")) is str:
            return True
        calls = delta.get("tool_calls")
        if self.calls is None or type(calls) is not list or len(calls) != 1:
            return False
        part = calls[0]
        if type(part) is not dict or len(part) != 2:  # noqa: PLR2004 -- an index and a function
            return False
        index, function = part.get("index"), part.get("function")
        if type(index) is not int or index != self.calls.last_index or type(function) is not dict:
            return False
        arguments = function.get("arguments")
        if len(function) != 1 or type(arguments) is not str:
            return False
        if arguments:
            self.calls.note_arguments()
        return True


class ChatDecoder:
    """
    Returns the events of a stream: each is a chunk already, unchanged if it has OpenAI's shape.

    The end is `[DONE]`, or a finish reason of every choice, because some vendors send no `[DONE]`.
    Choices without a finish reason get one at `[DONE]`: clients wait for it or ask again.
    """

    def __init__(self, _target: Target) -> None:
        self._done = False
        self._latest: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._open: dict[int, _Choice] = {}

    @property
    def ended(self) -> bool:
        return self._done or (bool(self._choices) and not self._open)

    def feed(self, event: WireEvent) -> Iterable[ChatChunk]:
        """The event's chunk, if it is one."""
        value = self.read(event)
        if value and ("choices" in value or is_chunk(value)):
            return (self.take(value),)
        return ()

    def read(self, event: WireEvent) -> dict[str, Any] | None:
        """
        The event's JSON object; `None` for a keep-alive, which is empty.

        `[DONE]` gives a chunk with the finish reasons that the vendor left out, if there are any.
        """
        if event.data.startswith(_DONE):
            self._done = True
            return self._missing_ends()
        if not event.data:
            return None
        value = read(event.data)
        if event.type == "error":  # an error that `fault_of` does not know by its fields
            raise WireError(status_of(value), explain_value(value, "no reason given"))
        return value

    def take(self, value: dict[str, Any]) -> ChatChunk:
        """`value` itself if it has the shape of a chunk, else repaired; notes what it ends."""
        if self._open and self._goes_on(value):
            return value  # type: ignore[return-value]
        try:
            chunk = msgspec.convert(value, Chunk)
        except msgspec.ValidationError:
            called = {index for index, choice in self._choices.items() if choice.calls}
            value = _repair(value, "delta", called)
        else:
            if not self._needs_edit(chunk):
                self._latest = value
                return value  # type: ignore[return-value]
        self._latest = value
        choices = value["choices"]
        taken = [self._take_choice(choice, value.get("id")) for choice in choices]
        if any(new is not old for new, old in zip(taken, choices, strict=True)):
            value = {**value, "choices": [choice for choice in taken if choice is not None]}
        return value  # type: ignore[return-value]

    def _goes_on(self, value: dict[str, Any]) -> bool:
        """
        Whether this is only more of an open choice, as most chunks are, and like the one before.

        A quick check that spares them the full one, which takes three times as long.
        """
        choices, latest = value.get("choices"), self._latest
        if type(choices) is not list or len(choices) != 1 or type(choices[0]) is not dict:
            return False
        choice = choices[0]
        index, delta = choice.get("index"), choice.get("delta")
        if type(index) is not int or type(delta) is not dict or len(delta) != 1:
            return False
        return (
            (known := self._open.get(index)) is not None
            and choice.get("finish_reason") is None
            and choice.get("logprobs") is None
            and value.get("usage") is None
            and value.get("id") == latest.get("id")
            and value.get("created") == latest.get("created")
            and value.get("service_tier") == latest.get("service_tier")
            and value.get("system_fingerprint") == latest.get("system_fingerprint")
            and known.has_more(delta)
        )

    def _needs_edit(self, chunk: Chunk) -> bool:
        """Whether a choice is not as a client gets it; otherwise notes what begins and ends."""
        changes = False
        for choice in chunk.choices:
            known = self._open.get(choice.index)
            calls = choice.delta.tool_calls
            if known is None:
                if calls or choice.index in self._choices:
                    return True
                changes = True
            elif calls and not known.continues(calls):
                return True
            elif choice.finish_reason:
                changes = True
        if changes:
            for choice in chunk.choices:
                self._note(choice.index, choice.finish_reason)
        return False

    def _note(self, index: int, reason: str | None) -> None:
        if index not in self._choices:
            self._choices[index] = self._open[index] = _Choice()
        if reason:
            self._open.pop(index, None)

    def _take_choice(self, choice: dict[str, Any], response_id: Any) -> dict[str, Any] | None:
        """The choice as the client gets it; `None` if it has ended and has nothing new."""
        index, calls = choice["index"], choice["delta"].get("tool_calls")
        if index in self._choices and index not in self._open:
            if (late := _after_end(choice)) is None:
                return None
            choice = late
        self._note(index, choice.get("finish_reason"))
        known = self._choices[index]
        if not calls:
            return choice
        known.calls = known.calls or CallIndexer()
        placed = [known.calls.place(call, response_id) for call in calls]
        if all(new is old for new, old in zip(placed, calls, strict=True)):
            return choice
        return {**choice, "delta": {**choice["delta"], "tool_calls": placed}}

    def _missing_ends(self) -> dict[str, Any] | None:
        """A chunk that ends each choice without a finish reason; `None` if there is none."""
        ends: list[dict[str, Any]] = [
            {"index": index, "delta": {}, "finish_reason": self._open[index].reason}
            for index in sorted(self._open)
        ]
        head = {name: self._latest[name] for name in _HEAD if name in self._latest}
        return {**head, "choices": ends} if ends else None


def _after_end(choice: dict[str, Any]) -> dict[str, Any] | None:
    """A choice after its finish reason: without another one; `None` if nothing else is in it."""
    has_text = any(value for name, value in choice["delta"].items() if name != "role")
    if not has_text and not choice.get("logprobs") and choice.keys() <= _BARE_CHOICE:
        return None
    return {**choice, "finish_reason": None} if choice.get("finish_reason") else choice
