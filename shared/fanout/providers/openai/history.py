"""
Messages of a conversation as one vendor with OpenAI's API accepts them.

Responses have fields that only their vendor knows, and clients send them back with the next turn,
perhaps to another vendor. What is left out or adapted is noted; the text and the calls never are.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, TypeAlias

from ...errors import RequestError
from ..calls import CallIds
from ..fields import UnsupportedFields, fit_calls, fit_results, is_text
from .message_rules import MessageRules

Message: TypeAlias = dict[str, Any]


_PLAIN = frozenset({"content", "role"})


_SYSTEM = frozenset({"developer", "system"})


def _are_plain(messages: list[Message]) -> bool:
    """Whether all are a role with a text, as most are; then any vendor accepts them."""
    for message in messages:
        content = message.get("content")
        if len(message) != 2 or not content or not isinstance(content, str):  # noqa: PLR2004
            return False
        if message["role"] == "developer":
            return False
    return True


def _fits_any_vendor(message: Message) -> bool:
    """Whether this is a role with a text, which the user's and a tool's need not have."""
    if message.keys() != _PLAIN or not isinstance(message["content"], str):
        return False
    role = message["role"]
    return role != "developer" and (role in {"tool", "user"} or bool(message["content"]))


def _fit(
    message: Message, index: int, rules: MessageRules, ids: CallIds, unsupported: UnsupportedFields
) -> Message | None:
    from .one_message import fit_message  # most conversations are plain texts

    return fit_message(message, index, rules, ids, unsupported)


def _turns() -> ModuleType:
    """The module for the order of roles, which matters to few vendors."""
    from . import turns

    return turns


def fit_messages(
    messages: list[Message],
    rules: MessageRules,
    unsupported: UnsupportedFields,
    *,
    functions: bool = False,
    tools: list[Message] | None = None,
) -> list[Message]:
    """
    `messages` as `rules` allow them. The same messages always give the same result.

    `functions`: the request offers functions in OpenAI's old form, so calls may stay in it.
    `tools` are those that it offers; calls of these keep their names.
    """
    if rules.no_system:
        messages = _without_system(messages, unsupported)
    if not rules.has_order and _are_plain(messages):
        return messages
    messages = messages if rules.legacy or functions else _without_legacy(messages, unsupported)
    own = rules.builtin_calls.union(tool["type"] for tool in tools or () if "type" in tool)
    messages = fit_calls(messages, rules.functions, tools, unsupported, own)
    messages = fit_results(messages, None if rules.media_results else is_text, unsupported)
    ids = CallIds(rules.ids)
    turns = _turns() if rules.has_order else None
    if turns:
        messages = turns.prepare(messages, rules, unsupported)
    fitted: list[Message] = []
    for index, message in enumerate(messages):
        if _fits_any_vendor(message):
            fitted.append(message)
        elif fit := _fit(message, index, rules, ids, unsupported):
            fitted.append(fit)
    if turns:
        fitted = turns.arrange(fitted, rules, unsupported)
    if messages and not fitted:
        raise RequestError("`messages` has nothing but empty messages", "messages")
    if ids.changed:
        unsupported.note("messages[].tool_calls[].id")
    return _complete(fitted, rules)


def _without_system(messages: list[Message], unsupported: UnsupportedFields) -> list[Message]:
    """The messages, whose system prompts are the user's: some models have none."""
    fitted = [
        {**message, "role": "user"} if message["role"] in _SYSTEM else message
        for message in messages
    ]
    if fitted == messages:
        return messages
    unsupported.note("messages[].role")
    unsupported.keep_replaced(messages, fitted)
    return fitted


def _complete(fitted: list[Message], rules: MessageRules) -> list[Message]:
    """The messages with the fields that some must have."""
    if rules.prefix and fitted and fitted[-1]["role"] == "assistant":
        fitted = [*fitted[:-1], {**fitted[-1], rules.prefix: True}]
    if rules.no_thought and any("tool_calls" in message for message in fitted):
        fitted = [_with_thought(message, rules) for message in fitted]
    if rules.signed:
        fitted = [_with_signature(message) for message in fitted]
    return fitted


def _with_signature(message: Message) -> Message:
    """The message with a signature at its first call, if it has calls."""
    if not (calls := message.get("tool_calls")):
        return message
    from ..signatures import with_signature  # few models need it

    return {**message, "tool_calls": [with_signature(calls[0]), *calls[1:]]}


def _with_thought(message: Message, rules: MessageRules) -> Message:
    """The message with reasoning, if it is the assistant's."""
    if message["role"] != "assistant" or rules.reasoning is None or message.get(rules.reasoning):
        return message
    return {**message, rules.reasoning: rules.no_thought}


def _without_legacy(messages: list[Message], unsupported: UnsupportedFields) -> list[Message]:
    if not any(one["role"] == "function" or one.get("function_call") for one in messages):
        return messages
    from ..legacy_calls import as_tool_calls  # only old conversations need it

    unsupported.note("messages[].function_call")
    converted = as_tool_calls(messages)
    unsupported.keep_replaced(messages, converted)
    return converted
