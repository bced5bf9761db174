"""
Values that are not OpenAI's in fields that are: vendors' own parts, tools, formats and levels.

A vendor with OpenAI's API gets them unchanged, from the request's body. For every other codec they
are named in the checked request, so that it can say what it does not support.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

PARTS = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
TOOLS = frozenset({"function", "custom"})
CHOICES = frozenset({"function", "custom", "allowed_tools"})
MODES = frozenset({"none", "auto", "required"})
FORMATS = frozenset({"text", "json_object", "json_schema", "grammar", "python"})
EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
DETAILS = frozenset({"auto", "low", "high"})


def set_aside(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    `body` with a stand-in for each such value; `None` if there is nothing to replace.

    The stand-in of an object has the type `*`. `extensions` lists the fields that have one.
    """
    found = {name: read(body[name]) for name, read in _READERS.items() if name in body}
    changed = {name: value for name, value in found.items() if value != body[name]}
    extensions = [
        name for name in changed if name != "messages" or _asks(body[name], changed[name])
    ]
    return {**body, **changed, "extensions": tuple(extensions)} if changed else None


def _asks(messages: list[Any], plain: list[Any]) -> bool:
    """Whether the client asks for an extension: what the assistant wrote is of an earlier turn."""
    pairs = zip(messages, plain, strict=True)
    return any(old != new and new.get("role") != "assistant" for old, new in pairs)


def _typed(value: Any, known: frozenset[str]) -> Any:
    """`value`, or its stand-in if its `type` is not a known one."""
    kind = value.get("type") if isinstance(value, dict) else None
    return {"type": "*", "kind": kind} if isinstance(kind, str) and kind not in known else value


def _message(message: Any) -> Any:
    message = _typed_calls(message)
    if isinstance(message, dict) and isinstance(parts := message.get("content"), list):
        return {**message, "content": [_part(part) for part in parts]}
    return message


def _typed_calls(message: Any) -> Any:
    """The message with a type for each call that has none: that is no extension."""
    if isinstance(message, dict) and isinstance(calls := message.get("tool_calls"), list):
        return {**message, "tool_calls": [_call(call) for call in calls]}
    return message


def _part(part: Any) -> Any:
    part = _typed(part, PARTS)
    if not isinstance(part, dict):
        return part
    if isinstance(image := part.get("image_url"), str):  # Mistral's: the address alone
        return {**part, "image_url": {"url": image}}
    if isinstance(image, dict) and isinstance(detail := image.get("detail"), str):
        return part if detail in DETAILS else {**part, "image_url": {**image, "detail": "auto"}}
    if isinstance(part.get("input_audio"), str):  # Mistral's: the data alone
        return {"type": "*", "kind": "input_audio"}
    return part


def _call(call: Any) -> Any:
    """A call; without a `type`, it is a function's: Mistral's and older servers' have none."""
    if isinstance(call, dict) and call.get("type") is None and "function" in call:
        return {**call, "type": "function"}
    return call


def _each(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [read(one) for one in value] if isinstance(value, list) else value


def _choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice if choice in MODES else {"type": "*"}
    return _typed(choice, CHOICES)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "messages": _each(_message),
    "tools": _each(lambda tool: _typed(tool, TOOLS)),
    "tool_choice": _choice,
    "response_format": lambda form: _typed(form, FORMATS),
    "reasoning_effort": lambda level: (
        None if isinstance(level, str) and level not in EFFORTS else level
    ),
    "top_k": lambda top_k: None if top_k == -1 else top_k,  # vLLM's: all tokens
}
