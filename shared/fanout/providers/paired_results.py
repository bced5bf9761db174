"""
One result for each earlier call, right after it, although the conversation was cut or mixed up.

Clients lose results, trim the calls off a long history, and let the user speak between two results.
Vendors reject all of that: "An assistant message with 'tool_calls' must be followed by tool
messages responding to each 'tool_call_id'", "messages with role 'tool' must be a response to a
preceding message with 'tool_calls'" (OpenAI's errors), "`tool_use` ids were found without
`tool_result` blocks immediately after" (Anthropic's; also anthropics/claude-code/issues/473).
2026-11
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, field

Message: TypeAlias = dict[str, Any]

NO_RESULT = "No result."
"""What the model reads as the result. It depends on nothing, so that prompt caches hold."""

LABEL = "Result of a tool:"
"""What comes before a result whose call is not there, which is then a text of the user's turn."""

_SYSTEM = frozenset({"developer", "system"})


class Paired(Struct):
    """
    The messages, and what was done: calls that got a result, results that moved, and others.

    `texts` has each result that became a text, and the text.
    """

    messages: list[Message] = field(default_factory=list)
    added: int = 0
    moved: int = 0
    texts: list[tuple[Message, Message]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything is not as it was."""
        return bool(self.added or self.moved or self.texts)


def pair_results(messages: Sequence[Message]) -> Paired:
    """
    The messages, with one result for each call of the assistant, after its message.

    A result that is late comes earlier, and a call without one gets `NO_RESULT`. If any did, the
    results of that message are in the order of the calls: Gemini has no ids to pair them. A result
    without a call, or a second one, becomes a text of the user's.
    """
    paired = Paired()
    taken: set[int] = set()
    place = 0
    while place < len(messages):
        message = messages[place]
        place += 1
        if place - 1 in taken:
            continue
        if message["role"] == "tool":
            _add_text(message, paired)
            continue
        paired.messages.append(message)
        if message["role"] == "assistant" and (calls := message.get("tool_calls")):
            ids = [call["id"] for call in calls]
            place = _add_results(messages, place, ids, taken, paired)
    return paired


def in_call_order(messages: Sequence[Message]) -> Sequence[Message]:
    """
    The messages, with the results of several calls in the order of the calls.

    Each call has one result, right after its message: `pair_results`.
    """
    ordered = [*messages]
    for place, message in enumerate(messages):
        ids = [call["id"] for call in message.get("tool_calls") or ()]
        if len(ids) > 1:
            end = _end_of_results(messages, place + 1)
            ordered[place + 1 : end] = _in_order(messages[place + 1 : end], ids)
    is_same = all(new is old for new, old in zip(ordered, messages, strict=True))
    return messages if is_same else ordered


def _add_results(
    messages: Sequence[Message], place: int, ids: list[str], taken: set[int], paired: Paired
) -> int:
    """Add the results of calls with these `ids`, which begin at `place`; returns where they end."""
    end, left = _end_of_results(messages, place), list(ids)
    found: list[Message] = []
    others: list[Message] = []
    for number in range(place, end):
        message = messages[number]
        if number in taken:
            continue
        if message["role"] != "tool":
            found.append(message)
        elif message["tool_call_id"] in left:
            left.remove(message["tool_call_id"])
            found.append(message)
        else:
            others.append(message)
    if left:
        for number in _until_next(messages, end, ids):
            message = messages[number]
            if number not in taken and message.get("tool_call_id") in left:
                left.remove(message["tool_call_id"])
                found.append(message)
                taken.add(number)
                paired.moved += 1
        made = [{"role": "tool", "tool_call_id": one, "content": NO_RESULT} for one in left]
        paired.added += len(made)
        found = _in_order([*found, *made], ids)
    paired.messages += found
    for message in others:
        _add_text(message, paired)
    return end


def _add_text(message: Message, paired: Paired) -> None:
    """Add a result as a text of the user's; its images and other parts stay."""
    content = message.get("content") or ""
    if isinstance(content, str):
        content = f"{LABEL}\n\n{content}"
    elif content[0].get("type") == "text":
        first = {**content[0], "text": f"{LABEL}\n\n{content[0]['text']}"}
        content = [first, *content[1:]]
    text = {"role": "user", "content": content}
    paired.texts.append((message, text))
    paired.messages.append(text)


def _in_order(found: Sequence[Message], ids: Sequence[str]) -> list[Message]:
    """The results in the order of the calls, and then other messages."""
    left, ordered = [*found], []
    for one in ids:
        for message in left:
            if message.get("tool_call_id") == one:
                left.remove(message)
                ordered.append(message)
                break
    return [*ordered, *left]


def _end_of_results(messages: Sequence[Message], place: int) -> int:
    """The place after the last of the results that begin here; a system message may be between."""
    end = place
    while place < len(messages):
        role = messages[place]["role"]
        if role != "tool" and role not in _SYSTEM:
            break
        place += 1
        if role == "tool":
            end = place
    return end


def _until_next(messages: Sequence[Message], place: int, ids: Sequence[str]) -> Iterator[int]:
    """The places of later results, before other calls with these ids."""
    known = set(ids)
    for number in range(place, len(messages)):
        message = messages[number]
        if any(call["id"] in known for call in message.get("tool_calls") or ()):
            return
        if message["role"] == "tool":
            yield number
