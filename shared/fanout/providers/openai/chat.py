"""
OpenAI's chat completions: the request, which is sent field by field, and the codec.

The client already uses this API. `response` has the way back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field

from ...schema.request import ChatRequest
from ...schema.validation import reject_extensions
from ...wire import json
from ...wire.http import WireRequest
from ...wire.sse import SSEFramer
from ..base import Codec, Target
from ..fields import COMBINED, DEFAULTS, UnsupportedFields
from .history import fit_messages, fit_tools
from .response import ChatDecoder, decode
from .rules import (
    FAMILY_DEFAULTS,
    MESSAGES,
    Family,
    FormatRules,
    MessageRules,
    ToolEffort,
    bare_name,
    fixed_fields,
    rules_for,
    tool_effort,
)


class Quirks(Struct, frozen=True):
    """
    How one vendor's API differs from OpenAI's.

    `drop` are the fields that it does not support, `rename` those with another name there,
    `default` those that it requires, with the value to send if the client has none. `path` is its
    endpoint. `messages` are its rules for messages, `families` the models that reject more fields,
    `tool_efforts` those that do not reason in a request with tools. `formats` are the limits of
    `response_format`; with `flat_schemas`, a function's schema has no `anyOf` at its top. An
    `extensible` vendor has parts, tools and values of its own; they are sent unchanged.
    """

    vendor: str = "openai"
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/chat/completions"
    messages: MessageRules = MESSAGES
    families: tuple[Family, ...] = ()
    tool_efforts: tuple[ToolEffort, ...] = ()
    formats: FormatRules | None = None
    flat_schemas: bool = False
    extensible: bool = False


# Dropped silently: they never change a response, only its accounting, its cache, or
# (`stream_options`) what the gateway asks for anyway.
HINTS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "store",
        "stream_options",
        "user",
    }
)

_DEFAULTS = {
    **DEFAULTS,
    **FAMILY_DEFAULTS,
    "function_call": ("auto",),
    "parallel_tool_calls": (True, False),  # `False` is kept, see `WireRequest.one_call`
    "service_tier": ("auto",),
    "tool_choice": ("auto",),
    "tools": ([],),
}


def encode(
    quirks: Quirks,
    request: ChatRequest,
    target: Target,
    stream: bool,  # noqa: FBT001
    *,
    kind: str = "",
) -> WireRequest:
    """
    The client's own body, with the provider's model name and the vendor's quirks.

    `kind` is the model if the name that the provider knows it by does not show it.
    """
    if request.extensions and not quirks.extensible:
        reject_extensions(request)
    body = {**quirks.default, **request.body, "model": target.model}
    options = body.pop("stream_options", None) or {}
    if stream:
        body["stream"] = True
        if "stream_options" not in quirks.drop:
            body["stream_options"] = {**options, "include_usage": True}
    unsupported = UnsupportedFields(target, quirks.vendor)
    absent = _absent_fields(quirks, request, kind or target.model, body, unsupported)
    one_call = "parallel_tool_calls" in absent and request.parallel_tool_calls is False
    if not absent.isdisjoint(request.body):
        _drop(absent & body.keys(), body, unsupported)
    for name, theirs in quirks.rename.items():
        if (value := body.pop(name, None)) is not None and body.get(theirs) is None:
            body[theirs] = value
    if quirks.formats is not None and request.response_format is not None:
        _fit_format(quirks.formats, request, kind or target.model, body, unsupported)
    functions = bool(body.get("functions"))
    body["messages"] = fit_messages(
        body["messages"],
        rules_for(quirks.messages, kind or target.model),
        unsupported,
        functions=functions,
    )
    _fit_tools(quirks, body, unsupported)
    if "cache_control" in body and "cache_control" not in quirks.messages.fields:
        del body["cache_control"]  # Anthropic's hint
        unsupported.note("cache_control")
    return WireRequest(
        quirks.path, json.encode(body), dropped=unsupported.dropped, one_call=one_call
    )


def _absent_fields(
    quirks: Quirks,
    request: ChatRequest,
    model: str,
    body: dict[str, Any],
    unsupported: UnsupportedFields,
) -> frozenset[str]:
    """The fields that the vendor or its model rejects; the effort in our own `body` is made fit."""
    if "tool_choice" in quirks.drop and request.tool_choice == "none":
        del body["tool_choice"]  # what may not be called need not be offered
        if body.pop("tools", None):
            unsupported.note("tools")
    if not quirks.families:
        return quirks.drop
    effort: str | None = request.reasoning_effort
    if quirks.tool_efforts and request.tools:
        effort = _fit_effort(quirks, model, body, unsupported)
    return quirks.drop | fixed_fields(quirks.families, model, effort)


def _fit_effort(
    quirks: Quirks, model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> str | None:
    """The effort of a request with tools, which `body` gets; the model may take none with them."""
    effort: str | None = body.get("reasoning_effort")
    rule = tool_effort(quirks.tool_efforts, model)
    if rule is None or effort == "none" or not any(map(_is_function, body["tools"])):
        return effort
    if effort is not None:
        unsupported.add("reasoning_effort", "together with `tools`, this model takes only `none`")
        del body["reasoning_effort"]
    if rule.explicit:
        unsupported.note("reasoning_effort")
        body["reasoning_effort"] = "none"
    return body.get("reasoning_effort")


def _fit_tools(quirks: Quirks, body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """Make the tools of our own `body` fit."""
    if not (tools := body.get("tools")):
        if "tools" in body or "tool_choice" in body or "parallel_tool_calls" in body:
            _drop_choice(body)
        return
    tools = fit_tools(tools, quirks.messages, unsupported)
    body["tools"] = [_with_flat_schema(one) for one in tools] if quirks.flat_schemas else tools


def _with_flat_schema(tool: dict[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    schema = function.get("parameters") if isinstance(function, dict) else None
    if not isinstance(schema, dict) or COMBINED.isdisjoint(schema):
        return tool
    from ..schemas import flatten  # few tools need it

    return {**tool, "function": {**tool["function"], "parameters": flatten(schema)}}


def _drop_choice(body: dict[str, Any]) -> None:
    """
    Remove from our own `body` what only a request with tools may have, if it asks for nothing.

    "[] is too short - 'tools'", "'tool_choice' is only allowed when 'tools' are specified":
    OpenAI's own errors. Mistral's: github.com/partITech/php-mistral/issues/76, 2025-11
    """
    if not body.get("tools"):
        body.pop("tools", None)
    body.pop("parallel_tool_calls", None)
    if body.get("tool_choice") in ("auto", "none"):
        del body["tool_choice"]


def _is_function(tool: dict[str, Any]) -> bool:
    return tool.get("type") == "function"


def _fit_format(
    rules: FormatRules,
    request: ChatRequest,
    model: str,
    body: dict[str, Any],
    unsupported: UnsupportedFields,
) -> None:
    """Make our own `body` ask in words for a format that the model does not support."""
    from ..formats import add_instruction, format_in_words  # only requests with a format need it

    alone = rules.with_tools or not request.tools
    schemas = alone and not (rules.no_schemas and re.match(rules.no_schemas, bare_name(model)))
    words = format_in_words(request, unsupported, json_mode=alone, schemas=schemas)
    if words is None:
        return
    body["messages"] = add_instruction(body["messages"], words)
    if alone:
        body["response_format"] = {"type": "json_object"}
    else:
        del body["response_format"]


def _drop(
    names: frozenset[str] | set[str], body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """Remove `names` from our own `body`; one that asks for something is rejected, or noted."""
    for name in sorted(names - HINTS):
        value = body.pop(name)
        if value is not None and value not in _DEFAULTS.get(name, ()):
            unsupported.add(name)
    for name in names & HINTS:
        body.pop(name, None)


def plain_codec(quirks: Quirks) -> Codec:
    """The codec of a vendor whose responses are exactly OpenAI's."""
    return Codec(partial(encode, quirks), decode, SSEFramer, ChatDecoder)
