"""
Values that are not OpenAI's in fields that are: vendors' own parts, tools, formats and levels.

A vendor with OpenAI's API gets them unchanged, from the request's body. For every other codec they
are named in the checked request, so that it can say what it does not support.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    `body` with a stand-in for each such value; `None` if it has none.

    The stand-in of an object has the type `*`. Fields whose value is left out are listed in
    `extensions`.
    """
    plain = {**body, "extensions": ()}
    if isinstance(messages := body.get("messages"), list):
        plain["messages"] = [_message(message) for message in messages]
    if isinstance(tools := body.get("tools"), list):
        plain["tools"] = [_typed(tool, TOOLS) for tool in tools]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        plain["tool_choice"] = _typed(choice, CHOICES)
    elif isinstance(choice, str) and choice not in MODES:
        plain["tool_choice"] = {"type": "*"}
    if isinstance(form := body.get("response_format"), dict):
        plain["response_format"] = _typed(form, FORMATS)
    effort = body.get("reasoning_effort")
    if isinstance(effort, str) and effort not in EFFORTS:
        plain["reasoning_effort"] = None
        plain["extensions"] += ("reasoning_effort",)
    if body.get("top_k") == -1:  # vLLM: all tokens, as without `top_k`
        plain["top_k"] = None
    return None if plain == {**body, "extensions": ()} else plain


def _typed(value: Any, known: frozenset[str]) -> Any:
    """`value`, or its stand-in if its `type` is not a known one."""
    kind = value.get("type") if isinstance(value, dict) else None
    return {"type": "*", "kind": kind} if isinstance(kind, str) and kind not in known else value


def _message(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    changed = {}
    if isinstance(parts := message.get("content"), list):
        changed["content"] = [_part(part) for part in parts]
    if isinstance(calls := message.get("tool_calls"), list):
        changed["tool_calls"] = [_call(call) for call in calls]
    return {**message, **changed}


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
