"""
OpenAI's responses: returned unchanged if they have OpenAI's shape, else repaired.

`stream` has the chunks, and `normalize` the differences of other vendors' responses.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec

from ...schema.chat import ChatCompletion
from ...wire.http import WireResponse
from ...wire.json import NOT_JSON, decode_any
from ..base import BadWire, Target, WireError, is_paid
from .errors import explain_value, fault_of, status_of
from .tool_calls import NO_ID
from .views import Call, Completion

_decode = msgspec.json.Decoder().decode


def read(data: bytes) -> dict[str, Any]:
    """The provider's JSON object; raises `WireError` for an error with the status of a success."""
    try:
        value = _decode(data)
    except NOT_JSON:
        value = decode_any(data)
    if type(value) is dict and "error" not in value and value.get("choices"):
        return value
    return check_object(value)


def check_object(value: Any) -> dict[str, Any]:
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

    The choices of a whole response are all there, so they have the indexes 0, 1, 2 and so on, in
    the order of the vendor's; if two of those are equal, each choice gets its place.
    """
    checked: Any = value
    try:
        found = msgspec.convert(value, Completion)
    except msgspec.ValidationError:
        checked = repaired(value, "message")
        if not checked["choices"]:
            if not (is_paid(checked.get("usage")) or has_total(value.get("usage"))):
                raise BadWire("the response has no message") from None
            checked["choices"] = [_empty_choice()]
    else:
        for choice in found.choices:
            if choice.message.tool_calls and not _are_usual(choice.message.tool_calls):
                checked = repaired(value, "message")
    indexes = [choice["index"] for choice in checked["choices"]]
    if indexes != list(range(len(indexes))):
        from .choice_places import places_of  # few responses need it

        placed = zip(places_of(indexes), checked["choices"], strict=True)
        choices = [{**choice, "index": place} for place, choice in placed]
        checked = {**checked, "choices": sorted(choices, key=lambda choice: choice["index"])}
    completion: ChatCompletion = checked
    return completion


def has_total(usage: Any) -> bool:
    """Whether usage has a total, be it alone: then the response was paid, at an unknown price."""
    from .usage import total_of  # few responses have no message

    return bool(total_of(usage))


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


def repaired(
    value: dict[str, Any], part: str, called: Container[int] = frozenset()
) -> dict[str, Any]:
    from .repair import repair  # only odd responses need it

    return repair(value, part, called)


def decode(response: WireResponse, _target: Target) -> ChatCompletion:
    """The response, unchanged if it has OpenAI's shape."""
    return check_whole(read(response.body))
