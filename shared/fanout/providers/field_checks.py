"""Accounts for every field of a request, for the codecs of vendors that have another API."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..schema.chat import Object
from ..schema.extensions import PARTS
from ..schema.messages import ROLES
from ..schema.request import ChatRequest
from ..schema.validation import reject_extensions, replace_messages
from .base import NameRule
from .fields import DEFAULTS, MADE_FIELDS, UnsupportedFields, fit_calls, fit_results

SHARED_FIELDS = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
        # The client's user, its records, and hints to OpenAI's cache: no response depends on them.
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "user",
    }
)
"""The fields that every codec of another API reads or may ignore; each adds its own."""


SHARED_MESSAGE_FIELDS = frozenset(
    {
        "audio",
        "content",
        "reasoning_content",  # our own responses have it, and clients send them back
        "refusal",
        "role",
        "tool_call_id",
        "tool_calls",
    }
)
"""The same for the fields of a message."""


_WITH_STAND_INS = frozenset(
    {"messages", "reasoning_effort", "response_format", "tool_choice", "tools", "top_k"}
)
"""The fields whose extensions a codec finds itself, by their placeholders."""


def check_fields(
    request: ChatRequest,
    unsupported: UnsupportedFields,
    fields: frozenset[str],
    message_fields: frozenset[str],
    *,
    names: NameRule,
    defaults: Mapping[str, tuple[object, ...]] = DEFAULTS,
    in_results: Callable[[Object], bool] | None = None,
) -> ChatRequest:
    """
    Account for every field of the request: those that are not listed are unsupported.

    Returns the request, with calls of tools for earlier calls in OpenAI's old form, and with
    earlier calls as `fit_calls` returns them.

    A field that has one of its `defaults` asks for nothing. Messages have no names in the other
    APIs, so `name` is left out. So is any unknown field of an assistant's message, because another
    vendor's response had it. `in_results` says which parts the results of tools may have; by
    default, any.
    """
    for name, value in request.body.items():
        if value is not None and name not in fields and value not in defaults.get(name, ()):
            unsupported.add(name)
    if request.extensions:
        _check_extensions(request, unsupported, fields)
    if request.places:
        unsupported.keep_places(request.body["messages"], request.places)
    request = _without_legacy(request, unsupported, message_fields)
    messages = request.body["messages"]
    complete = fit_calls(messages, names, request.body.get("tools"), unsupported)
    complete = fit_results(complete, in_results, unsupported)
    if complete is not messages:
        request = replace_messages(request, {**request.body, "messages": complete})
    for index, message in enumerate(request.body["messages"]):
        raw: Object = message
        if not message_fields.issuperset(raw):
            _check_message(raw, unsupported.path(raw, index), unsupported, message_fields)
        if isinstance(parts := raw.get("content"), list):
            for name in sorted({n for part in parts for n in part} & MADE_FIELDS - message_fields):
                unsupported.note(f"messages[].content[].{name}")
    return request


def count_part(kind: object, unsupported: UnsupportedFields) -> None:
    """Note a part that is left out of an earlier message of the assistant, by its type."""
    name = kind if isinstance(kind, str) and kind in PARTS else "*"
    unsupported.count(f"messages[].content[].{name}")


def _check_extensions(
    request: ChatRequest, unsupported: UnsupportedFields, fields: frozenset[str]
) -> None:
    """Account for the parameters whose value is a vendor's own."""
    effort = request.body.get("reasoning_effort")
    if "reasoning_effort" in request.extensions and effort != "default":  # Groq's
        unsupported.add("reasoning_effort", "there is no such level")
    for index, message in enumerate(request.body["messages"]):
        if message["role"] not in ROLES:
            path = f"{unsupported.path(message, index)}.role"
            unsupported.add(path, "there is no such role", kept=True)
    reject_extensions(request, _WITH_STAND_INS | ({*request.extensions} - fields))


def _without_legacy(
    request: ChatRequest, unsupported: UnsupportedFields, known: frozenset[str]
) -> ChatRequest:
    messages = request.body["messages"]
    if all(known.issuperset(message) for message in messages):
        return request  # a result in the old form has a name
    from .legacy_calls import as_tool_calls, is_legacy  # only old conversations need it

    if not any(is_legacy(message) for message in messages):
        return request
    unsupported.note("messages[].function_call")
    converted = as_tool_calls(messages)
    unsupported.keep_replaced(messages, converted)
    return replace_messages(request, {**request.body, "messages": converted})


def _check_message(
    raw: Object, path: str, unsupported: UnsupportedFields, known: frozenset[str]
) -> None:
    for name in sorted(raw.keys() - known):
        value = raw[name]
        if value is None or value == []:
            continue
        if name == "name":
            # A tool's name only repeats its call's.
            if value and raw["role"] != "tool":
                unsupported.note("messages[].name")
        elif name in MADE_FIELDS or raw["role"] == "assistant":
            unsupported.leave_out("messages[]", name, value)
        else:
            unsupported.add(f"{path}.{name}")


def limit_stops(
    request: ChatRequest, most: int, unsupported: UnsupportedFields
) -> list[str] | None:
    """The stop sequences, which a vendor limits to `most`; an empty one stops nothing."""
    stops = [stop for stop in request.stops if stop]
    if len(stops) > most:
        why = f"it has at most {most} sequences"
        unsupported.add("stop", why, kept=True)  # the response would go on where it should stop
    return stops or None
