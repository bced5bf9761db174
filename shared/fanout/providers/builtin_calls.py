"""
Earlier calls of a vendor's built-in tools: Moonshot's `builtin_function`, Z.ai's `web_search`.

The vendor that made them gets them back as they were; a client must send them with the next turn:
https://platform.moonshot.ai/docs/guide/use-web-search, 2026-11. Another vendor gets a call of a
function if it has one, and else neither the call nor its result.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypeAlias

from ..schema.extensions import is_function_call
from ..schema.messages import CALL_TYPES

if TYPE_CHECKING:
    from .fields import UnsupportedFields

Message: TypeAlias = dict[str, Any]


def fit_builtin_calls(
    messages: list[Message], own: Collection[str], unsupported: UnsupportedFields
) -> list[Message]:
    """The messages with calls of OpenAI's types and of these `own` ones; the rest is noted."""
    if not unsupported.has_places:
        unsupported.keep_places(messages)
    fitted: list[Message] = []
    left_out: set[str] = set()
    for message in messages:
        if message["role"] == "tool" and message["tool_call_id"] in left_out:
            continue
        ours = message
        if calls := message.get("tool_calls"):
            kept = [fit for call in calls if (fit := _fit(call, own, unsupported))]
            ids = {call["id"] for call in kept}
            left_out = (left_out | {call["id"] for call in calls}) - ids
            if kept != calls:
                ours = {**message, "tool_calls": kept}
        fitted.append(ours)
        unsupported.keep_replaced([message], [ours])
    return messages if fitted == messages else fitted


def _fit(
    call: dict[str, Any], own: Collection[str], unsupported: UnsupportedFields
) -> dict[str, Any] | None:
    kind = call.get("type")
    if kind in CALL_TYPES or kind in own:
        return call
    if is_function_call(call):
        unsupported.note("messages[].tool_calls[].type")
        return {**call, "type": "function"}
    unsupported.count("messages[].tool_calls[]")
    return None


def names_of_builtin_calls(messages: list[Message]) -> set[str]:
    """The names of the functions of calls that are of a vendor's own type."""
    return {
        call["function"]["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
        if call.get("type") not in CALL_TYPES and is_function_call(call)
    }
