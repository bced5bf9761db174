"""
OpenAI's responses and chunks: returned unchanged if they have OpenAI's shape, else repaired.

`normalize` has the differences of other vendors' responses.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable
from typing import Any, get_args

import msgspec
from msgspec import UNSET, Struct

from ...schema.chat import ChatChunk, ChatCompletion, FinishReason
from ...wire.http import WireEvent, WireResponse
from ...wire.json import NOT_JSON, decode_any
from ..base import BadWire, Target, WireError, is_paid
from .errors import explain_value, fault_of, status_of
from .tool_calls import NO_ID, CallIndexer
from .views import Call, CallDelta, Chunk, ChunkChoice, Completion, Usage

# What all chunks of a stream have in common.
_HEAD = ("id", "object", "created", "model", "system_fingerprint")
_decode = msgspec.json.Decoder().decode
_DONE = (b"[DONE]", b'"[DONE]"')  # some servers encode the end as JSON
_REASONS = frozenset(get_args(FinishReason))
_BARE_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})


def read(data: bytes) -> dict[str, Any]:
    """The provider's JSON object; raises `WireError` for an error with the status of a success."""
    try:
        value = _decode(data)
    except NOT_JSON:
        value = decode_any(data)
    if type(value) is dict and "error" not in value and value.get("choices"):
        return value
    return _check_object(value)


def _check_object(value: Any) -> dict[str, Any]:
    """`value` itself if it is an object, and no error."""
    if not isinstance(value, dict):
        raise BadWire("the response is not a JSON object")
    if (fault := fault_of(value)) is not None:
        raise WireError(status_of(fault), explain_value(fault, "no reason given"))
    return value


def is_chunk(value: dict[str, Any]) -> bool:
    """Whether an event is a chunk, not one of the vendor's own, which have no choices."""
    return "choices" in value or isinstance(value.get("usage"), dict)


def check_whole(value: dict[str, Any]) -> ChatCompletion:
    """
    `value` itself if it has the shape of a response, else repaired; `BadWire` if it is none.

    The choices of a whole response are all there, so they have the indexes 0, 1, 2 and so on. If
    the vendor's are others, or two are equal, each choice gets its place.
    """
    checked: Any = value
    try:
        found = msgspec.convert(value, Completion)
    except msgspec.ValidationError:
        checked = _repair(value, "message")
        if not checked["choices"]:
            if not is_paid(checked.get("usage")):
                raise BadWire("the response has no message") from None
            checked["choices"] = [_empty_choice()]
    else:
        for choice in found.choices:
            if choice.message.tool_calls and not _are_usual(choice.message.tool_calls):
                checked = _repair(value, "message")
    indexes = [choice["index"] for choice in checked["choices"]]
    if sorted(indexes) != list(range(len(indexes))):
        choices = enumerate(checked["choices"])
        checked = {**checked, "choices": [{**choice, "index": i} for i, choice in choices]}
    completion: ChatCompletion = checked
    return completion


def _empty_choice() -> dict[str, Any]:
    """The choice of a response without any, which was paid: clients read the first one."""
    message = {"role": "assistant", "content": ""}
    return {"index": 0, "message": message, "finish_reason": "stop"}


def _are_usual(calls: list[Call]) -> bool:
    """Whether each has an id that no other one has, to find results by; and functions are there."""
    ids = {call.id for call in calls}
    functions = [call.function for call in calls if call.type == "function"]
    if any(function is None or not function.arguments for function in functions):
        return False
    return len(ids) == len(calls) and NO_ID not in ids


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
    start: str = ""
    """The first piece of the text in `content`."""
    length: int = 0
    """The length of that text so far."""
    others: dict[str, tuple[str, int]] = {}
    """The same of the other fields of the deltas so far."""

    def note(self, delta: dict[str, Any]) -> None:
        """Note what a delta has, of which a whole message may be the sum."""
        for name, value in delta.items():
            text = value if type(value) is str else ""
            if name == "content":
                self.start, self.length = self.start or text, self.length + len(text)
            elif value and name != "role":
                start, length = self.others.get(name, (text, 0))
                self.others[name] = (start, length + len(text))

    def unheard(self, message: dict[str, Any]) -> dict[str, Any]:
        """What a whole message has beyond the deltas so far; all of it if there were none."""
        if not (self.length or self.others):
            return message
        from .whole_message import unheard  # few servers send one after deltas

        heard = self.others
        if self.length:
            heard = {**heard, "content": (self.start, self.length)}
        return unheard(message, heard, self.calls)

    @property
    def lacks_arguments(self) -> bool:
        """Whether a call of a function has had no arguments so far."""
        return self.calls is not None and self.calls.lacks_arguments

    @property
    def reason(self) -> FinishReason:
        """The finish reason of a choice whose vendor sent none."""
        return "tool_calls" if self.calls else "stop"

    def takes(self, calls: list[CallDelta]) -> bool:
        """Whether this only begins or continues one call, as OpenAI's parts do; then notes it."""
        part, function, known = calls[0], calls[0].function, self.calls
        if len(calls) > 1 or function is None:
            return False
        if known is None or part.index != known.last_index:
            if not part.id or not part.type or not function.name:
                return False
            self.calls = known = known or CallIndexer()
            return known.begin_next(part.index, part.id, function.name, function.arguments)
        if part.id or function.name:
            return False
        if function.arguments and known.last:
            known.last.pieces += 1
        return True

    def continues(self, delta: dict[str, Any]) -> bool:
        """Whether an unchecked delta with one field is more text, or of the last call; notes it."""
        if type(text := delta.get("content")) is not str:
            return self._has_arguments(delta)
        self.start = self.start or text
        self.length += len(text)
        return True

    def _has_arguments(self, delta: dict[str, Any]) -> bool:
        """Whether an unchecked delta with one field is more arguments of the last call."""
        if (known := self.calls) is None:
            return False
        try:
            (part,) = delta["tool_calls"]
            index, function = part["index"], part["function"]
            arguments = function["arguments"]
        except (KeyError, TypeError, ValueError):
            return False
        if type(index) is not int or index != known.last_index or type(arguments) is not str:
            return False
        if len(part) != 2 or len(function) != 1:  # noqa: PLR2004 -- an index and a function
            return False
        if arguments and known.last:
            known.last.pieces += 1
        return True


class ChatDecoder:
    """
    Returns the events of a stream: each is a chunk already, unchanged if it has OpenAI's shape.

    The end is `[DONE]`, or a finish reason of every choice, because some vendors send no `[DONE]`.
    Choices without a finish reason get one at `[DONE]`: clients wait for it or ask again.
    If the request asked for one choice, the deltas of all indexes are of that choice: some servers
    count from 1, or count the chunks. A chunk with several indexes shows that there are more, and
    so does one that has only a role, at another index than the first choice's.
    """

    def __init__(self, target: Target) -> None:
        self._one_choice = target.one_choice
        self._first = 0
        """The vendor's index of the first choice."""
        self._done = False
        self._latest: dict[str, Any] = {}
        self._head: tuple[Any, ...] | None = None
        """What the quick check compares with that of the next chunk."""
        self._open: dict[int, _Choice] = {}
        self._finished: dict[int, _Choice] = {}

    @property
    def ended(self) -> bool:
        return self._done or (bool(self._finished) and not self._open)

    def has_calls(self, index: int) -> bool:
        """Whether the choice has had calls of tools."""
        known = self._known(index)
        return known is not None and known.calls is not None

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
        data = event.data
        if data[:1] != b"{":
            if data.startswith(_DONE):
                self._done = True
                return self._missing_ends() if self._open else None
            if not data:
                return None
        try:
            value: dict[str, Any] = _decode(data)
        except NOT_JSON:
            value = decode_any(data)
        if type(value) is not dict or "error" in value or not value.get("choices"):
            value = _check_object(value)
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
        if head == self._head and self._is_more(get("choices"), get("usage")):
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
            value = _repair(value, "delta", self._called())
        else:
            if self._is_usual(chunk.choices):
                self._latest = value
                for choice in value["choices"]:
                    if known := self._known(choice["index"]):
                        known.note(choice["delta"])
                return value  # type: ignore[return-value]
        self._latest = value
        choices = value["choices"]
        indexes = {choice["index"] for choice in choices}
        if self._one_choice and (len(indexes) > 1 or self._begins_another(choices)):
            self._one_choice = False
        taken = [self._take_choice(choice, value.get("id")) for choice in choices]
        if any(new is not old for new, old in zip(taken, choices, strict=True)):
            value = {**value, "choices": [choice for choice in taken if choice is not None]}
        return value  # type: ignore[return-value]

    def _begins_another(self, choices: list[dict[str, Any]]) -> bool:
        """Whether this chunk only begins a choice beside the first one, which has not ended."""
        if not self._one_choice or self._first or not (choices and self._open):
            return False
        choice = choices[0]
        has_more = any(value for name, value in choice["delta"].items() if name != "role")
        is_start = choice["delta"].get("role") and not choice.get("finish_reason")
        return bool(choice["index"] and is_start) and not has_more

    def _called(self) -> Container[int]:
        """The indexes of the choices that have had tool calls."""
        known = (self._open | self._finished).items()
        called = {index for index, choice in known if choice.calls}
        return range(sys.maxsize) if called and self._one_choice else called

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
            if index in self._finished or (index and self._one_choice):
                return False
            known = self._open[index] = _Choice()
        if choice.finish_reason and (known.lacks_arguments or calls):
            return False
        if calls and not known.takes(calls):
            return False
        if choice.finish_reason:
            self._finish(index)
        return True

    def _known(self, index: int) -> _Choice | None:
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
            known = self._open.setdefault(index, _Choice())
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
        """The choice with a finish reason, its own index, and no message beside the delta."""
        if "finish_reason" not in choice:
            choice = {**choice, "finish_reason": None}
        if choice["index"] and self._one_choice:
            choice = {**choice, "index": 0}
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
    choice: dict[str, Any], calls: list[dict[str, Any]], known: _Choice, response_id: Any
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
