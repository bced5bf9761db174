"""The order of roles, for vendors to whom it matters."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..fields import UnsupportedFields
from .message_rules import MessageRules

Message: TypeAlias = dict[str, Any]

_SYSTEM = frozenset({"developer", "system"})


def prepare(
    messages: list[Message], rules: MessageRules, unsupported: UnsupportedFields
) -> list[Message]:
    """The client's messages, before each is made fit."""
    if (
        not rules.last_response
        and messages[-1]["role"] == "assistant"
        and (messages[-1].get("content") or messages[-1].get("refusal"))
    ):
        # "Last message must have role `user` or `tool`": Perplexity's own error, 2026-11
        place = f"{unsupported.path(messages[-1], len(messages) - 1)}.role"
        unsupported.add(place, "the last message must be the user's or a tool's", kept=True)
    return messages if rules.late_system else _after_results(messages, unsupported)


def arrange(
    messages: list[Message], rules: MessageRules, unsupported: UnsupportedFields
) -> list[Message]:
    """The fitting messages, with the turns that the order of roles requires."""
    arranged: list[Message] = []
    for message in _with_single_calls(messages, unsupported) if rules.single_calls else messages:
        _append(arranged, message, rules, unsupported)
    if not rules.late_system and arranged and arranged[-1]["role"] in _SYSTEM:
        unsupported.note("messages[].role")
        arranged[-1] = {**arranged[-1], "role": "user"}
    if rules.alternate and rules.user_turn and arranged and _is_left_open(arranged[-1]):
        unsupported.note("messages[].role")
        arranged.append({"role": "user", "content": rules.user_turn})
    return arranged


def _is_left_open(message: Message) -> bool:
    """Whether the assistant has spoken last, and the model is not to go on with its text."""
    is_start = message.get("prefix") or message.get("partial")
    return message["role"] == "assistant" and not is_start


def _with_single_calls(messages: list[Message], unsupported: UnsupportedFields) -> list[Message]:
    """Each call in a message of its own, before its result."""
    turns: list[list[Message]] = []
    called: dict[str, list[Message]] = {}
    for message in messages:
        calls: list[Message] = message.get("tool_calls") or []
        if message["role"] == "tool" and message.get("tool_call_id") in called:
            called[message["tool_call_id"]].append(message)
        elif len(calls) > 1:
            unsupported.note("messages[].tool_calls")
            first, *others = calls
            called = {first["id"]: [{**message, "tool_calls": [first]}]}
            for call in others:
                turn = {"role": "assistant", "content": None, "tool_calls": [call]}
                called[call["id"]] = [turn]
            turns += called.values()
        else:
            turns.append([message])
    return [message for turn in turns for message in turn]


def _after_results(messages: list[Message], unsupported: UnsupportedFields) -> list[Message]:
    """System messages between calls and their results come after the results."""
    moved: list[Message] = []
    held: list[Message] = []
    for place, message in enumerate(messages):
        following = (one["role"] for one in messages[place + 1 :] if one["role"] not in _SYSTEM)
        if message["role"] in _SYSTEM and next(following, None) == "tool":
            held.append(message)
            continue
        if held and message["role"] != "tool":
            unsupported.note("messages[].role")
            moved += held
            held = []
        moved.append(message)
    return [*moved, *held]


def _append(
    fitted: list[Message], message: Message, rules: MessageRules, unsupported: UnsupportedFields
) -> None:
    """Add `message`, with the turn before it that the order of roles requires."""
    last, role = fitted[-1]["role"] if fitted else None, message["role"]
    if not rules.late_system and role in _SYSTEM and last and last not in _SYSTEM:
        unsupported.note("messages[].role")
        message, role = {**message, "role": "user"}, "user"
    if not rules.many_systems and role in _SYSTEM and last in _SYSTEM:
        unsupported.note("messages[].role")
        fitted[-1] = _join(fitted[-1], message)
        return
    if rules.after_tools and last == "tool" and role == "user":
        unsupported.note("messages[].role")
        fitted.append({"role": "assistant", "content": rules.after_tools})
    if rules.alternate and role == "assistant" and (last is None or last in _SYSTEM):
        unsupported.note("messages[0].role")
        fitted.append({"role": "user", "content": unsupported.opening})
    if rules.alternate and last == role and role in {"user", "assistant"}:
        unsupported.note("messages[].role")
        if turn := rules.assistant_turn if role == "user" else rules.user_turn:
            between = "assistant" if role == "user" else "user"
            fitted += [{"role": between, "content": turn}, message]
            return
        fitted[-1] = _join(fitted[-1], message)
    else:
        fitted.append(message)


def _join(earlier: Message, later: Message) -> Message:
    first, second = earlier.get("content") or "", later.get("content") or ""
    if isinstance(first, str) and isinstance(second, str):
        content: Any = "\n\n".join(text for text in (first, second) if text)
    else:
        content = [*_parts(first), *_parts(second)]
    return {**earlier, **later, "content": content}


def _parts(content: str | list[Message]) -> list[Message]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content
