"""
Calls in OpenAI's form from before tools, as calls of tools.

Old conversations have them: a message of the assistant with `function_call`, and its result in a
message with the role `function`. OpenAI still accepts both, most other vendors neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..schema.chat import Object


def is_legacy(message: Object) -> bool:
    """Whether the message is a call, or a result, in the old form."""
    return message["role"] == "function" or bool(message.get("function_call"))


def as_tool_calls(messages: Sequence[Object]) -> list[dict[str, Any]]:
    """
    The same messages, one for one, with calls of tools.

    The old form has no ids, so the id of a call is made from its place. A result follows its call.
    A call without one was asked for its arguments, which are then the text of the message; a result
    without a call is the user's.
    """
    return [_convert(messages, place) for place in range(len(messages))]


def _convert(messages: Sequence[Object], place: int) -> dict[str, Any]:
    message = messages[place]
    if message["role"] == "function":
        content = message.get("content") or ""
        if place and _is_call(messages[place - 1]):
            return {"role": "tool", "tool_call_id": _make_id(place - 1), "content": content}
        return {"role": "user", "content": content}
    if not message.get("function_call"):
        return dict(message)
    rest = {name: value for name, value in message.items() if name != "function_call"}
    if message.get("tool_calls"):
        return rest
    has_result = place + 1 < len(messages) and messages[place + 1]["role"] == "function"
    function = message["function_call"]
    return _with_call(rest, function, place) if has_result else _as_text(rest, function)


def _is_call(message: Object) -> bool:
    return bool(message.get("function_call")) and not message.get("tool_calls")


def _make_id(place: int) -> str:
    return f"call_function_{place}"


def _with_call(rest: dict[str, Any], function: Object, place: int) -> dict[str, Any]:
    named = {"name": function["name"], "arguments": function["arguments"]}
    call = {"id": _make_id(place), "type": "function", "function": named}
    return {"content": None, **rest, "tool_calls": [call]}


def _as_text(rest: dict[str, Any], function: Object) -> dict[str, Any]:
    text, arguments = rest.get("content") or "", function["arguments"]
    if isinstance(text, str):
        return {**rest, "content": f"{text}\n\n{arguments}" if text else arguments}
    return {**rest, "content": [*text, {"type": "text", "text": arguments}]}
