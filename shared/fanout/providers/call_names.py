"""
Earlier calls that fit the vendor that gets them: names of functions, and one result for each.

Models call functions that no request offered (`$READFILE`, `container.exec`), and vendors accept
different names. Sent back with the next turn, such a name makes each later request fail:
github.com/vercel/ai/pull/17769, BerriAI/litellm/pull/28874, NousResearch/hermes-agent/pull/90016,
2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..schema.chat import Object
from ..schema.messages import CALL_TYPES
from .base import NameRule
from .paired_results import pair_results

if TYPE_CHECKING:
    from .fields import UnsupportedFields

Message: TypeAlias = dict[str, Any]


def complete_calls(
    messages: list[Message],
    names: NameRule,
    tools: Sequence[Object] | None,
    unsupported: UnsupportedFields,
    builtin_calls: Collection[str] = (),
) -> list[Message]:
    """The same messages, as `fields.fit_calls` describes them."""
    offered = {*_offered(tools)}
    if has_builtin_calls(messages):
        from .builtin_calls import (
            fit_builtin_calls,
            names_of_builtin_calls,
        )  # few vendors make these

        messages = fit_builtin_calls(messages, builtin_calls, unsupported)
        offered |= names_of_builtin_calls(messages)
    named, changed = fit_names(messages, names, offered)
    unsupported.keep_replaced(messages, named)
    for path in changed:
        unsupported.note(path)
    paired = pair_results(named)
    if not paired.changed:
        return named if changed else messages
    if paired.added:
        unsupported.note("messages[].tool_calls")
    if paired.moved or paired.texts:
        unsupported.note("messages[].tool_call_id")
    if not unsupported.has_places:
        unsupported.keep_places(named)
    for result, text in paired.texts:
        unsupported.keep_replaced([result], [text])
    return paired.messages


def has_builtin_calls(messages: Sequence[Message]) -> bool:
    """Whether a call is of another type than OpenAI's."""
    return any(
        call.get("type") not in CALL_TYPES
        for message in messages
        for call in message.get("tool_calls") or ()
    )


def _offered(tools: Sequence[Object] | None) -> Collection[str]:
    """The names of functions and custom tools."""
    named = (tool.get("function") or tool.get("custom") or {} for tool in tools or ())
    return {one["name"] for one in named if isinstance(one, dict) and "name" in one}


def fit_names(
    messages: list[Message], rule: NameRule, offered: Collection[str]
) -> tuple[list[Message], list[str]]:
    """
    The same messages, one for one, with fitting names, and the paths that were changed.

    The same name is always replaced by the same one, so that prompt caches hold. A name that is
    `offered` stays: the model must know its own functions again.
    """
    pattern = re.compile(rule.pattern)
    names = {name for message in messages for name in _names(message)}
    if all(pattern.fullmatch(name) for name in names.difference(offered)):
        return messages, []
    changed: list[str] = []

    def fit(name: Any, path: str) -> Any:
        if not isinstance(name, str) or name in offered or pattern.fullmatch(name):
            return name
        if path not in changed:
            changed.append(path)
        return fit_name(name, rule)

    return [_fit_message(message, fit) for message in messages], changed


def _names(message: Message) -> Iterator[str]:
    """The names of the functions that a message calls, or is the result of."""
    for call in message.get("tool_calls") or ():
        called = call.get("function") or call.get("custom")
        if isinstance(called, dict) and isinstance(name := called.get("name"), str):
            yield name
    if called := message.get("function_call"):
        yield called["name"]
    if message["role"] in {"tool", "function"} and isinstance(name := message.get("name"), str):
        yield name


def fit_name(name: str, rule: NameRule) -> str:
    """The name with `_` for each letter that the rule does not have, and no longer than it says."""
    rest = re.sub(f"[^{rule.letters}]", "_", name[: rule.most])
    first = rest[:1] if re.fullmatch(f"[{rule.first or rule.letters}]", rest[:1]) else "_"
    return first + rest[1:]


def _fit_message(message: Message, fit: Any) -> Message:
    fitted = message
    if message.get("tool_calls"):
        calls = message["tool_calls"]
        fitted = {**message, "tool_calls": [_fit_call(call, fit) for call in calls]}
    if call := message.get("function_call"):
        fitted = {**fitted, "function_call": _named(call, fit, "messages[].function_call.name")}
    if message["role"] in {"tool", "function"} and isinstance(message.get("name"), str):
        fitted = _named(fitted, fit, "messages[].name")
    return fitted if fitted != message else message


def _fit_call(call: Mapping[str, Any], fit: Any) -> Mapping[str, Any]:
    for kind in ("function", "custom"):
        if isinstance(called := call.get(kind), dict):
            path = f"messages[].tool_calls[].{kind}.name"
            return {**call, kind: _named(called, fit, path)}
    return call


def _named(value: Mapping[str, Any], fit: Any, path: str) -> dict[str, Any]:
    return {**value, "name": fit(value.get("name"), path)}
