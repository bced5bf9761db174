"""
Values that are not OpenAI's in fields that are: vendors' own parts, tools, formats and levels.

A vendor with OpenAI's API gets them unchanged, from the request's body. For every other codec they
are named in the checked request, so that it can say what it does not support.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .request import ChatRequest

# Granite's: ollama.com/library/granite3.3; MiniMax M2-her's: platform.minimax.io/docs; Moonshot's
# `cache`: platform.moonshot.ai/docs. 2026-11
VENDORS_ROLES = frozenset(
    {
        "cache",
        "control",
        "group",
        "sample_message_ai",
        "sample_message_user",
        "user_system",
    }
)
PARTS = frozenset({"text", "image_url", "input_audio", "file", "refusal"})
TOOLS = frozenset({"function", "custom"})
CHOICES = frozenset({"function", "custom", "allowed_tools"})
MODES = frozenset({"none", "auto", "required"})
FORMATS = frozenset({"text", "json_object", "json_schema", "grammar", "python"})
EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
DETAILS = frozenset({"auto", "low", "high"})


def set_aside(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """
    `body` with a placeholder for each such value; `None` if there is nothing to replace.

    The placeholder of an object has the type `*`. `extensions` lists the fields that have one.
    """
    found = {name: read(body[name]) for name, read in _READERS.items() if name in body}
    changed = {name: value for name, value in found.items() if value != body[name]}
    extensions = [
        name for name in changed if name != "messages" or _asks(body[name], changed[name])
    ]
    return {**body, **changed, "extensions": tuple(extensions)} if changed else None


def _asks(messages: list[Any], plain: list[Any]) -> bool:
    """
    Whether the client asks for an extension: what the assistant wrote is of an earlier turn.

    An image by its address alone is none: LiteLLM's users write it so for every vendor.
    """
    pairs = zip(messages, plain, strict=True)
    return any(_with_addresses(old) != new and new.get("role") != "assistant" for old, new in pairs)


def _with_addresses(message: Any) -> Any:
    """The message, with an object for each image that is an address or a data URI alone."""
    if not isinstance(message, dict) or not isinstance(parts := message.get("content"), list):
        return message
    return {**message, "content": [_with_address(part) for part in parts]}


def _with_address(part: Any) -> Any:
    image = part.get("image_url") if isinstance(part, dict) else None
    if not isinstance(image, str):
        return part
    from .addresses import is_address  # few images are an address alone

    is_url = is_address(image) or image.startswith("data:")
    return {**part, "image_url": {"url": image}} if is_url else part


def _typed(value: Any, known: frozenset[str]) -> Any:
    """`value`, or its placeholder if its `type` is not a known one."""
    kind = value.get("type") if isinstance(value, dict) else None
    return {"type": "*", "kind": kind} if isinstance(kind, str) and kind not in known else value


def _message(message: Any) -> Any:
    role = message.get("role") if isinstance(message, dict) else None
    if isinstance(role, str) and role in VENDORS_ROLES:
        return {"role": "*"}
    message = _typed_calls(message)
    if isinstance(message, dict) and isinstance(parts := message.get("content"), list):
        return {**message, "content": [_part(part) for part in parts]}
    return message


def _typed_calls(message: Any) -> Any:
    """The message with a type of OpenAI's for each call: it is the assistant's, so no extension."""
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
    """
    A call; without a `type`, it is a function's: Mistral's and older servers' have none.

    So is one of a vendor's own type with a function (Moonshot's `builtin_function`).
    """
    if not isinstance(call, dict):
        return call
    call = _with_arguments(call)
    kind = call.get("type")
    if kind is None:
        return {**call, "type": "function"} if "function" in call else call
    if not isinstance(kind, str) or kind in TOOLS:
        return call
    if is_function_call(call):
        return {**call, "type": "function"}
    return {"type": "*", "kind": kind, "id": call.get("id")}


def _with_arguments(call: dict[str, Any]) -> dict[str, Any]:
    """The call, with an empty object for arguments that a stream did not have."""
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return call
    if function.get("arguments") is not None:
        return call
    return {**call, "function": {**function, "arguments": "{}"}}


def is_function_call(call: Mapping[str, Any]) -> bool:
    """Whether a call has a function, whatever its type is."""
    match call.get("function"):
        case {"name": str(), "arguments": str()}:
            return True
        case _:
            return False


def _wider(name: str, kinds: type | tuple[type, ...]) -> Callable[[Any], Any]:
    """
    Reads a parameter that vendors document with more values than OpenAI has.

    A value of these `kinds` that OpenAI rejects is set aside: OpenRouter's `verbosity: max`,
    LM Studio's and llama.cpp's `max_tokens: -1`, Together's and Fireworks's numbers in `logprobs`.
    """

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds) or _fits(name, value):
            return value
        return None

    return read


def _has_tokens(stop: Any) -> bool:
    """Whether `stop` has tokens by their ids, one or several a sequence, as DashScope's may."""
    return isinstance(stop, list) and any(_is_token(one) for one in stop)


def _is_token(value: Any) -> bool:
    if isinstance(value, list) and value:
        return all(_is_token(one) for one in value)
    return isinstance(value, int) and not isinstance(value, bool)


def _fits(name: str, value: Any) -> bool:
    """Whether a parameter has a value of OpenAI's."""
    checked = {"messages": [{"role": "user", "content": ""}], "body": {}, name: value}
    try:
        msgspec.convert(checked, ChatRequest)
    except msgspec.ValidationError:
        return False
    return True


def _each(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: [read(one) for one in value] if isinstance(value, list) else value


def _choice(choice: Any) -> Any:
    if isinstance(choice, str):
        return choice if choice in MODES else {"type": "*"}
    return _typed(choice, CHOICES)


def _format(form: Any) -> Any:
    """
    A format; a schema without a name (Together's) is OpenAI's for the codecs of other APIs.

    docs.together.ai/docs/json-mode, 2026-11
    """
    match form:
        case {"type": "json_schema", "schema": dict() as schema} if "json_schema" not in form:
            return {"type": "json_schema", "json_schema": {"name": "response", "schema": schema}}
        case _:
            return _typed(form, FORMATS)


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "messages": _each(_message),
    "tools": _each(lambda tool: _typed(tool, TOOLS)),
    "tool_choice": _choice,
    "response_format": _format,
    "reasoning_effort": lambda level: (  # a number or a boolean is Fireworks's
        None if isinstance(level, str | int) and level not in EFFORTS else level
    ),
    "stop": lambda stop: None if _has_tokens(stop) else stop,
    "frequency_penalty": _wider("frequency_penalty", (int, float)),
    "logprobs": _wider("logprobs", int),
    "max_completion_tokens": _wider("max_completion_tokens", int),
    "max_tokens": _wider("max_tokens", int),
    "presence_penalty": _wider("presence_penalty", (int, float)),
    "temperature": _wider("temperature", (int, float)),
    "top_logprobs": _wider("top_logprobs", int),
    "top_p": _wider("top_p", (int, float)),
    "verbosity": _wider("verbosity", str),
    "top_k": lambda top_k: None if top_k == -1 else top_k,  # vLLM's: all tokens
}
