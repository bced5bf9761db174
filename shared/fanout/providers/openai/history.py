"""
Messages of a conversation as one vendor with OpenAI's API accepts them.

Responses have fields that only their vendor knows, and clients send them back with the next turn,
perhaps to another vendor. What is left out or adapted is noted; the text and the calls never are.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeAlias

from ...errors import RequestError
from ..calls import CallIds, custom_arguments, fit_arguments
from ..fields import MADE_FIELDS, UnsupportedFields
from .rules import MessageRules

Message: TypeAlias = dict[str, Any]

_ALWAYS = frozenset({"content", "role", "tool_calls"})
_CALL = frozenset({"custom", "function", "id", "type"})
_FUNCTION = frozenset({"arguments", "name"})
_PLAIN = frozenset({"content", "role"})
# Fields of OpenAI's responses that few others accept in a request.
_OF_RESPONSES = frozenset({"audio", "parsed", "refusal"})
_NULLABLE = frozenset({"audio", "function_call", "tool_calls"})  # null is as none


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
    """Whether this is a role with a text, which only the assistant's must have."""
    if message.keys() != _PLAIN or not isinstance(message["content"], str):
        return False
    role = message["role"]
    return role != "developer" and (role != "assistant" or bool(message["content"]))


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
) -> list[Message]:
    """
    `messages` as `rules` allow them. The same messages always give the same result.

    `functions`: the request offers functions in OpenAI's old form, so calls may stay in it.
    """
    if not rules.has_order and _are_plain(messages):
        return messages
    if not (rules.legacy or functions):
        messages = _without_legacy(messages, unsupported)
    ids = CallIds(rules.ids)
    turns = _turns() if rules.has_order else None
    if turns:
        messages = turns.prepare(messages, rules, unsupported)
    fitted: list[Message] = []
    for message in messages:
        if _fits_any_vendor(message):
            fitted.append(message)
        elif fit := _fit(message, rules, ids, unsupported):
            fitted.append(fit)
    if turns:
        fitted = turns.arrange(fitted, rules, unsupported)
    if messages and not fitted:
        raise RequestError("`messages` has nothing but empty messages", "messages")
    if ids.changed:
        unsupported.note("messages[].tool_calls[].id")
    return _complete(fitted, rules)


def _complete(fitted: list[Message], rules: MessageRules) -> list[Message]:
    """The messages with the fields that some must have."""
    if rules.prefix and fitted and fitted[-1]["role"] == "assistant":
        fitted = [*fitted[:-1], {**fitted[-1], rules.prefix: True}]
    if rules.no_thought and any("tool_calls" in message for message in fitted):
        fitted = [_with_thought(message, rules) for message in fitted]
    return fitted


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
    return as_tool_calls(messages)


def _fit(
    message: Message, rules: MessageRules, ids: CallIds, unsupported: UnsupportedFields
) -> Message | None:
    fitted = _fit_fields(message, rules, unsupported)
    if isinstance(parts := fitted.get("content"), list):
        parts = _fit_parts(parts, message["role"], rules, unsupported)
        fitted["content"] = _join_texts(parts) if rules.one_text or not parts else parts
    if message["role"] == "developer" and not rules.developer:
        fitted["role"] = "system"
    if "tool_call_id" in fitted:
        fitted["tool_call_id"] = ids.result(fitted["tool_call_id"])
    if message["role"] == "assistant":
        return _fit_answer(message, fitted, rules, ids, unsupported)
    return fitted


def _fit_fields(message: Message, rules: MessageRules, unsupported: UnsupportedFields) -> Message:
    """The fields that the vendor knows, and those of the client that it may know."""
    is_strict = rules.strict and message["role"] == "assistant"
    fitted = {}
    for name, value in message.items():
        if (value is None and name in _NULLABLE) or (name == "prefix" and value is False):
            continue
        if name in _ALWAYS or (name in rules.fields and (name != "name" or rules.names)):
            fitted[name] = value
        elif (
            name in MADE_FIELDS
            or is_strict
            or (name in _OF_RESPONSES and message["role"] == "assistant")
            or (name == "name" and not rules.names and message["role"] != "tool")
        ):
            if value is not None and value != []:
                unsupported.note(f"messages[].{name}")
        else:
            fitted[name] = value
    return fitted


def _join_texts(parts: list[Any]) -> str | list[Any]:
    if all(part.get("type") == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _fit_parts(
    parts: list[Any], role: str, rules: MessageRules, unsupported: UnsupportedFields
) -> list[Any]:
    fitted = []
    for part in parts:
        if made := (MADE_FIELDS & part.keys()) - rules.fields:
            for name in sorted(made):
                unsupported.note(f"messages[].content[].{name}")
            fitted.append({name: value for name, value in part.items() if name not in made})
        elif part["type"] == "refusal" and not rules.custom:  # OpenAI's own
            fitted.append({"type": "text", "text": part["refusal"]})
        elif rules.strict and role == "assistant" and part["type"] not in {"text", "refusal"}:
            unsupported.note("messages[].content[]")
        else:
            fitted.append(part)
    return fitted


def fit_tools(tools: list[Any], rules: MessageRules, unsupported: UnsupportedFields) -> list[Any]:
    """The tools, without other vendors' marks."""
    made = MADE_FIELDS - rules.fields
    kept = [_without(made, tool) for tool in tools]
    if kept == tools:
        return tools
    unsupported.note("tools[].cache_control")
    return kept


def _without(names: frozenset[str], tool: Message) -> Message:
    kept = {name: value for name, value in tool.items() if name not in names}
    if isinstance(function := kept.get("function"), dict):
        kept["function"] = {name: v for name, v in function.items() if name not in names}
    return kept


# ---- messages of the assistant ----


def _fit_answer(
    message: Message,
    fitted: Message,
    rules: MessageRules,
    ids: CallIds,
    unsupported: UnsupportedFields,
) -> Message | None:
    thought = message.get("reasoning_content") or message.get("reasoning")
    if rules.reasoning and isinstance(thought, str) and thought:
        fitted[rules.reasoning] = thought
    if calls := fitted.get("tool_calls"):
        fitted["tool_calls"] = [_fit_call(call, rules, ids, unsupported) for call in calls]
        # "missing field `content`": github.com/pig-mesh/deepseek4j/issues/41, OpenHands/
        # OpenHands-CLI/issues/533, 2026-11
        fitted.setdefault("content", None)
    elif "tool_calls" in fitted:
        del fitted["tool_calls"]
    audio = message.get("audio")
    if "audio" in fitted:
        if isinstance(audio, dict) and isinstance(audio.get("id"), str):
            fitted["audio"] = {"id": audio["id"]}  # a request has no other field of it
        else:
            unsupported.note("messages[].audio")
            del fitted["audio"]
    if calls and not fitted.get("content") and not rules.empty_beside_calls:
        return {**fitted, "content": None}
    if fitted.get("content") or calls or "audio" in fitted or "function_call" in fitted:
        # Some servers require the field: github.com/OpenHands/OpenHands-CLI/issues/533, 2026-02
        return fitted if "content" in fitted else {**fitted, "content": None}
    if fitted.get("refusal"):
        return {**fitted, "content": None}
    words = message.get("refusal") or (isinstance(audio, dict) and audio.get("transcript")) or ""
    if not words and not rules.empty:
        unsupported.note("messages[].content")
        return None
    return {**fitted, "content": words}


def _fit_call(
    call: Mapping[str, Any],
    rules: MessageRules,
    ids: CallIds,
    unsupported: UnsupportedFields,
) -> Mapping[str, Any]:
    """A call in OpenAI's form. Mistral's and older servers' responses have no `type`."""
    fitted = {name: value for name, value in call.items() if name in _CALL or name in rules.fields}
    for name in sorted(call.keys() - fitted.keys() - {"index"}):
        unsupported.note(f"messages[].tool_calls[].{name}")
    if fitted.get("type") is None:
        fitted["type"] = "function" if "function" in fitted else "custom"
    if fitted["type"] == "custom" and not rules.custom and isinstance(fitted.get("custom"), dict):
        unsupported.note("messages[].tool_calls[].custom")
        custom = fitted.pop("custom")
        arguments = custom_arguments(custom["input"])
        fitted |= {"type": "function", "function": {"name": custom["name"], "arguments": arguments}}
    fitted["id"] = ids.call(call["id"])
    if function := fitted.get("function"):
        fitted["function"] = _fit_function(function, rules, unsupported)
    return fitted


def _fit_function(
    function: Mapping[str, Any], rules: MessageRules, unsupported: UnsupportedFields
) -> Mapping[str, Any]:
    """The name and arguments. OpenAI's SDK for Python adds `parsed_arguments` to its responses."""
    for name in sorted(function.keys() - _FUNCTION):
        unsupported.note(f"messages[].tool_calls[].function.{name}")
    fitted = {name: value for name, value in function.items() if name in _FUNCTION}
    if not rules.opaque_arguments:
        fitted["arguments"] = fit_arguments(function["arguments"], unsupported)
    return fitted
