"""
Images and other parts of tools' results, for vendors that accept only some, or only texts, there.

The model reads them in a message of the user's right after the results: an agent that has read a
picture can go on with any model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .fields import UnsupportedFields

Message: TypeAlias = dict[str, Any]

IN_NEXT = "The result is in the user's next message."
"""What the model reads as a result whose parts have all moved."""

_BETWEEN = frozenset({"developer", "system", "tool"})
"""The roles that may be between the calls and the last of their results."""


def move_parts(
    messages: list[Message], takes: Callable[[Message], bool], unsupported: UnsupportedFields
) -> list[Message]:
    """The messages, in which each result has only the parts that the vendor `takes`."""
    if all(takes(part) for message in messages for part in _parts(message)):
        return messages
    if not unsupported.has_places:
        unsupported.keep_places(messages)
    unsupported.note("messages[].role")
    names: dict[str, str] = {}
    moved: list[Message] = []
    held: list[Message] = []
    for message in messages:
        if message["role"] not in _BETWEEN:
            moved += held
            held = []
            names |= _names(message)
        rest = [number for number, part in enumerate(_parts(message)) if not takes(part)]
        if not rest:
            moved.append(message)
            continue
        kept = [number for number in range(len(message["content"])) if number not in rest]
        moved.append({**message, "content": _pick(message, kept) or IN_NEXT})
        unsupported.keep_parts(message, moved[-1], kept)
        name = names.get(message["tool_call_id"])
        label = f"From the result of the tool `{name}`:" if name else "From the tool's result:"
        parts = [{"type": "text", "text": label}, *_pick(message, rest)]
        held.append({"role": "user", "content": parts})
        unsupported.keep_parts(message, held[-1], [rest[0], *rest])
    return [*moved, *held]


def _parts(message: Message) -> list[Message]:
    """The parts of a tool's result; none of other messages."""
    content = message.get("content")
    return content if message["role"] == "tool" and isinstance(content, list) else []


def _pick(message: Message, numbers: list[int]) -> list[Message]:
    return [message["content"][number] for number in numbers]


def _names(message: Message) -> dict[str, str]:
    """The names of the functions that a message calls, by the ids of the calls."""
    return {
        call["id"]: called["name"]
        for call in message.get("tool_calls") or ()
        if (called := call.get("function") or call.get("custom"))
    }
