"""
Repairs responses and chunks that do not have the shape in `views`, field by field.

A field that cannot be read is left out, so it costs nothing but itself; unknown fields stay. Texts
are never lost: a number is its text, and a list of content parts is the text of its parts.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import msgspec

from ...schema.chat import make_call_id
from ...wire import json
from ...wire.tolerant import as_integer, as_text
from .finish import finish_reason
from .tool_calls import calls_nothing, id_of
from .usage import repair_usage
from .views import Logprobs, Moderation, Time

_TOP_TEXTS = ("id", "model", "service_tier", "system_fingerprint", "obfuscation")
_TEXTS = ("content", "refusal", "reasoning", "reasoning_content")
_KNOWN = frozenset({*_TEXTS, "role", "tool_calls", "function_call", "audio"})
_WITH_TEXT = frozenset({"text", "thinking"})


def repair(
    value: dict[str, Any], part: str, called: Container[int] = frozenset()
) -> dict[str, Any]:
    """
    A response (`part` is `message`) or a chunk (`delta`) in OpenAI's shape.

    `called` has the indexes of the choices that had tool calls in earlier chunks.
    """
    fixed = {**value}
    for name in _TOP_TEXTS:
        _replace(fixed, name, as_text)
    _replace(fixed, "created", lambda value: _within(value, Time))
    _replace(fixed, "moderation", _moderation)
    if part == "message":
        _replace(fixed, "metadata", _metadata)
    if "usage" in value:
        fixed["usage"] = repair_usage(value["usage"])
    given = value.get("choices")
    found = [given] if isinstance(given, dict) else given if isinstance(given, list) else []
    readable = [choice for choice in found if isinstance(choice, dict)]
    if part == "message":
        readable = [choice for choice in readable if _has_message(_content_of(choice, part))]
        response_id = fixed.get("id")
        fixed["choices"] = [_whole(c, i, response_id) for i, c in enumerate(readable)]
    else:
        fixed["choices"] = [_piece(choice, i, called) for i, choice in enumerate(readable)]
    return fixed


def _replace(fields: dict[str, Any], name: str, read: Callable[[Any], Any]) -> None:
    """Replace our own `fields[name]` by what can be read of it; remove it if nothing can."""
    if (given := fields.get(name)) is None:
        return
    if (value := read(given)) is None:
        del fields[name]
    else:
        fields[name] = value


def _moderation(value: Any) -> dict[str, Any] | None:
    try:
        msgspec.convert(value, Moderation)
    except msgspec.ValidationError:
        return None
    return value  # type: ignore[no-any-return]


def _metadata(value: Any) -> dict[str, str] | None:
    """The fields of metadata that are texts; `None` if it is no object."""
    if not isinstance(value, dict):
        return None
    return {name: one for name, one in value.items() if isinstance(one, str)}


def _content_of(choice: dict[str, Any], part: str) -> dict[str, Any]:
    """
    The `message` or `delta` of a choice; the other one if it has only that, or its `text`.

    Some servers send whole messages as the events of a stream (llama-cpp-python, for one) or deltas
    in a plain response (ModelScope). `text` is of OpenAI's older completions API.
    """
    for name in (part, "message", "delta"):
        if isinstance(found := choice.get(name), dict):
            return found
    return {"content": text} if isinstance(text := choice.get("text"), str) else {}


def _has_message(message: dict[str, Any]) -> bool:
    """Whether at least one field of the message can be read, if only as empty."""
    return not _KNOWN.isdisjoint(repair_message(message))


def _whole(choice: dict[str, Any], place: int, response_id: str | None) -> dict[str, Any]:
    message = {**_content_of(choice, "message"), "role": "assistant"}
    message = {"content": None, **repair_message(message)}
    given = message.get("tool_calls") or ()
    if calls := [call for call in given if not calls_nothing(call)]:
        message["tool_calls"] = _whole_calls(calls, response_id)
    elif given:
        del message["tool_calls"]
    if (function := message.get("function_call")) is not None:
        if function.get("name"):
            message["function_call"] = _named(function)
        else:  # a call of no function
            del message["function_call"]
    reason = finish_reason(choice, has_calls=bool(calls)) or ("tool_calls" if calls else "stop")
    return _choice(choice, place) | {"message": message, "finish_reason": reason}


def _piece(choice: dict[str, Any], place: int, called: Container[int]) -> dict[str, Any]:
    fixed = repair_message(_content_of(choice, "delta"))
    piece = _choice(choice, place) | {"delta": fixed}
    has_calls = bool(fixed.get("tool_calls")) or piece["index"] in called
    return piece | {"finish_reason": finish_reason(choice, has_calls=has_calls)}


def _choice(choice: dict[str, Any], place: int) -> dict[str, Any]:
    """A choice with an index and readable log probabilities; its message is repaired apart."""
    index = read_index(choice.get("index"))
    fixed = {**choice, "index": place if index is None else index}
    try:
        msgspec.convert(choice.get("logprobs"), Logprobs | None)
    except msgspec.ValidationError:
        fixed["logprobs"] = None
    return fixed


def repair_message(message: dict[str, Any]) -> dict[str, Any]:
    """A message or delta whose known fields have OpenAI's types."""
    fixed = {**message}
    for name in _TEXTS:
        _replace(fixed, name, _text)
    _join_content(message, fixed)
    _replace(fixed, "role", lambda role: "assistant" if role and isinstance(role, str) else None)
    _replace(fixed, "tool_calls", _calls)
    _replace(fixed, "function_call", _function)
    _replace(fixed, "annotations", lambda value: value if isinstance(value, list) else None)
    _replace(fixed, "audio", lambda value: value if isinstance(value, dict) else None)
    return fixed


def _text(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("text")
    if isinstance(value, list):
        return "".join(_text(part) or "" for part in value)
    return as_text(value)


def _join_content(message: dict[str, Any], fixed: dict[str, Any]) -> None:
    """
    Set the text and the reasoning of a `content` that is a list of parts.

    Mistral has `text`, and `thinking` that holds parts in turn. Parts of other types (an image,
    Mistral's `reference` to its sources) are kept in `content_parts`: `content` must be a text for
    typed clients.
    """
    if not isinstance(parts := message.get("content"), list):
        return
    found = [part for part in parts if isinstance(part, dict)]
    thoughts = [part.get("thinking") for part in found if part.get("type") == "thinking"]
    if thinking := _text(thoughts):
        fixed["reasoning_content"] = (fixed.get("reasoning_content") or "") + thinking
    others = [p for p in found if "text" not in p and str(p.get("type")) not in _WITH_TEXT]
    if others:
        fixed["content_parts"] = others


def _calls(calls: Any) -> list[dict[str, Any]] | None:
    """Tool calls; `None` if there are none."""
    found = [calls] if isinstance(calls, dict) else calls if isinstance(calls, list) else []
    return [_call(call) for call in found if call and isinstance(call, dict)] or None


def _call(call: dict[str, Any]) -> dict[str, Any]:
    fixed = {**call}
    _replace(fixed, "id", lambda value: as_text(value) or None)
    if not (fixed.get("type") and isinstance(fixed["type"], str)):
        fixed.pop("type", None)
    _replace(fixed, "index", read_index)
    _replace(fixed, "function", _function)
    return fixed


def read_index(value: Any) -> int | None:
    """An index that can be one, else `None`."""
    return _within(value, json.Index)


def _within(value: Any, kind: Any) -> int | None:
    """A whole number within the limits of `kind`, else `None`."""
    try:
        number: int = msgspec.convert(as_integer(value), kind)
    except msgspec.ValidationError:
        return None
    return number


def _function(function: Any) -> dict[str, Any] | None:
    if not isinstance(function, dict):
        return None
    fixed = {**function}
    _replace(fixed, "name", lambda value: as_text(value) or None)
    _replace(fixed, "arguments", _arguments)
    return fixed


def _arguments(value: Any) -> str | None:
    """JSON of a call's arguments; some servers send the object itself."""
    return json.encode(value).decode() if isinstance(value, dict | list) else as_text(value)


def _whole_calls(calls: list[dict[str, Any]], response_id: str | None) -> list[dict[str, Any]]:
    """The calls of a whole message, each with an id of its own."""
    fixed: dict[str, dict[str, Any]] = {}
    for place, call in enumerate(calls):
        call_id = id_of(call)
        if call_id is None or call_id in fixed:
            call_id = make_call_id(response_id, place)
        fixed[call_id] = _whole_call(call, call_id)
    return list(fixed.values())


def _whole_call(call: dict[str, Any], call_id: str) -> dict[str, Any]:
    """A call of a whole message: with an id, a type and, for a function, a name and arguments."""
    fixed = {**call, "id": call_id, "type": call.get("type") or "function"}
    if fixed["type"] == "function" or fixed.get("function"):
        function = _named(fixed.get("function") or {})
        fixed["function"] = {**function, "arguments": function["arguments"] or "{}"}
    return fixed


def _named(function: dict[str, Any]) -> dict[str, Any]:
    """A function call with both of its fields."""
    return {name: function.get(name) or "" for name in ("name", "arguments")} | {
        name: value for name, value in function.items() if value is not None
    }
