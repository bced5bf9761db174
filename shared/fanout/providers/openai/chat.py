"""
OpenAI's chat completions: the request, which is sent field by field, and the codec.

The client already uses this API. `response` has the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from msgspec import Struct, field

from ...schema.messages import AllowedTools
from ...schema.request import ChatRequest
from ...schema.validation import reject_extensions
from ...wire import json
from ...wire.http import WireRequest
from ...wire.sse import SSEFramer
from ..base import Codec, Target
from ..fields import DEFAULTS, SchemaForm, UnsupportedFields
from .history import fit_messages
from .message_rules import (
    MESSAGES,
    MessageRules,
    rules_for,
)
from .response import ChatDecoder, decode
from .rules import (
    FAMILY_DEFAULTS,
    MAYBE_EMPTY,
    NEW_LIMIT,
    OLD_LIMIT,
    Family,
    ForcedCalls,
    FormatRules,
    PlainFields,
    ThinkingTypes,
    ToolEffort,
    asks_for_fixed,
    bare_name,
    fixed_fields,
    is_reasoning,
    tool_effort,
)


class Quirks(Struct, frozen=True):
    """
    How one vendor's API differs from OpenAI's.

    `drop` are the fields that it does not support, `rename` those with another name there,
    `default` those that it requires, with the value to send if the client has none. `path` is its
    endpoint. `messages` are its rules for messages, `families` the models that reject more fields,
    `tool_efforts` those that do not reason in a request with tools. `formats` are the limits of
    `response_format`; `schemas` says which form a function's schema has. An `extensible` vendor has
    parts, tools and values of its own; they are sent unchanged. `values` are the only values of
    some fields, `most` the largest numbers of others, `forced` the models that cannot be forced to
    call a tool while they think, `plain` what calls without a stream must have. With
    `text_prediction`, the content of `prediction` is one text. Without `named_choice`, a call of
    any tool can be required, but not of a named one. A `closed` vendor also rejects fields that ask
    for nothing. `thinking` are the models with other values of that field. With
    `stored_metadata`, `metadata` is only for a response that the vendor stores.
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
    schemas: SchemaForm = "any"
    extensible: bool = False
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    forced: tuple[ForcedCalls, ...] = ()
    plain: tuple[PlainFields, ...] = ()
    text_prediction: bool = False
    most: Mapping[str, float] = field(default_factory=dict)
    named_choice: bool = True
    closed: bool = False
    thinking: tuple[ThinkingTypes, ...] = ()
    stored_metadata: bool = False


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

DEFAULT_VALUES: Mapping[str, tuple[object, ...]] = {
    **DEFAULTS,
    **FAMILY_DEFAULTS,
    "function_call": ("auto",),
    "parallel_tool_calls": (True, False),  # `False` is kept, see `WireRequest.one_call`
    "service_tier": ("auto", "default"),
    "tool_choice": ("auto",),
    "tools": ([],),
}
"""Values that ask for nothing: a field that has one is left out where it is not supported."""

CLOSED_DEFAULTS: Mapping[str, tuple[object, ...]] = {
    **DEFAULTS,
    "service_tier": ("auto", "default"),
}
"""Those of them that also every other vendor has as its default."""


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

    `kind` is the model if the name that the provider knows it by does not show it; by default, the
    deployment's `base_model` is.
    """
    if request.extensions and not quirks.extensible:
        reject_extensions(request)
    body = {**quirks.default, **_asked_fields(request), "model": target.model}
    options = body.pop("stream_options", None)
    if stream:
        body |= {"stream": True, **_stream_options(quirks, options)}
    unsupported = UnsupportedFields(target, quirks.vendor)
    kind = kind or target.options.get("base_model") or target.model
    absent = _absent_fields(quirks, request, kind, body, unsupported)
    one_call = "parallel_tool_calls" in absent and request.parallel_tool_calls is False
    if not absent.isdisjoint(body):
        _drop(absent & body.keys(), body, unsupported, quirks, kind)
    _fit_values(quirks, kind, body, unsupported, stream=stream)
    _rename(quirks, kind, body, unsupported)
    if quirks.formats is not None and request.response_format is not None:
        from .formats import fit_format  # only requests with a format need it

        fit_format(quirks.formats, request, kind, body, unsupported)
    functions = bool(body.get("functions"))
    if request.places or body["messages"] is not request.body["messages"]:
        unsupported.keep_places(request.body["messages"], request.places)
    rules = rules_for(quirks.messages, kind, target.template)
    if rules.no_idle_tools and body.get("tool_choice") == "none":
        _drop_idle_tools(body, unsupported)
    body["messages"] = fit_messages(
        body["messages"],
        rules,
        unsupported,
        functions=functions,
        tools=body.get("tools"),
    )
    _fit_tools(quirks, kind, body, unsupported)
    if "cache_control" in body and "cache_control" not in quirks.messages.fields:
        del body["cache_control"]  # Anthropic's hint
        unsupported.note("cache_control")
    return WireRequest(
        quirks.path,
        json.encode(body),
        dropped=unsupported.dropped,
        one_call=one_call,
        one_choice=(request.n or 1) == 1,
    )


def _rename(
    quirks: Quirks, model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """
    Give the fields of our own `body` the vendor's names, and leave one limit of tokens.

    "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported": OpenAI,
    github.com/langchain-ai/langgraph/issues/5943; Volcengine, HKUDS/nanobot/issues/2548. 2026-11
    """
    if "max_tokens" in body and "max_completion_tokens" in body:
        del body["max_tokens"]
        unsupported.note("max_tokens")
    for name, theirs in _renames(quirks, model).items():
        if (value := body.pop(name, None)) is not None and body.get(theirs) is None:
            body[theirs] = value


def _renames(quirks: Quirks, model: str) -> Mapping[str, str]:
    """
    The vendor's names of fields.

    OpenAI's reasoning models know only the new name of the limit, at any vendor: github.com/
    tak-bro/aicommit2/issues/162, sigoden/aichat/pull/1174 (GitHub Models), 2026-11.
    """
    if quirks.rename == OLD_LIMIT and is_reasoning(bare_name(model)):
        return NEW_LIMIT
    return quirks.rename


def _fit_values(
    quirks: Quirks,
    model: str,
    body: dict[str, Any],
    unsupported: UnsupportedFields,
    *,
    stream: bool,
) -> None:
    """Make the values of our own `body` fit; few requests have one that may not."""
    if quirks.stored_metadata and "metadata" in body:
        from .values import fit_metadata

        fit_metadata(body, unsupported)
    if not quirks.values.keys().isdisjoint(body):
        from .values import limit_values

        limit_values(quirks.values, DEFAULT_VALUES, body, unsupported)
    if quirks.plain and not stream:
        from .values import add_plain_fields

        add_plain_fields(quirks.plain, model, body, unsupported)
    if quirks.text_prediction and "prediction" in body:
        from .values import join_prediction

        join_prediction(body)
    if quirks.thinking and "thinking" in body:
        from .values import fit_thinking_type

        fit_thinking_type(quirks.thinking, model, body, unsupported)
    if quirks.most or quirks.closed:
        from .values import leave_out_usual, limit_numbers

        limit_numbers(quirks.most, body, unsupported)
        if quirks.closed:
            leave_out_usual(CLOSED_DEFAULTS, HINTS - {"stream_options"}, body)


def _stream_options(quirks: Quirks, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options of a stream, which is asked for usage; another vendor's own are kept."""
    if "stream_options" in quirks.drop:
        return {}
    asked = {**(options or {}), "include_usage": True}
    if quirks.extensible:
        asked.pop("include_obfuscation", None)  # OpenAI's own
    return {"stream_options": asked}


def _asked_fields(request: ChatRequest) -> Mapping[str, Any]:
    """The fields of the request that ask for something."""
    body = request.body
    if None not in body.values() and MAYBE_EMPTY.isdisjoint(body):
        return body
    from .empty_fields import without_empty  # many requests have no such field

    return without_empty(request)


def _absent_fields(
    quirks: Quirks,
    request: ChatRequest,
    model: str,
    body: dict[str, Any],
    unsupported: UnsupportedFields,
) -> frozenset[str]:
    """The fields that the vendor or its model rejects; the effort in our own `body` is made fit."""
    effort: str | None = request.reasoning_effort
    absent = quirks.drop | fixed_fields(quirks.families, model, effort)
    if "thinking" in body and "thinking" in absent:
        effort = _fit_thinking(quirks, model, body, unsupported) or effort
    if quirks.extensible and isinstance(request.tool_choice, AllowedTools):
        from .tools import limit_tools  # few requests have it

        limit_tools(request.tool_choice, body, unsupported)
    if "tool_choice" in quirks.drop and request.tool_choice == "none":
        _drop_idle_tools(body, unsupported)
    if not quirks.families:
        return quirks.drop
    if quirks.tool_efforts and request.tools:
        effort = _fit_effort(quirks, model, body, unsupported)
    return quirks.drop | fixed_fields(quirks.families, model, effort)


def _drop_idle_tools(body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """Remove tools that may not be called from our own `body`: they need not be offered."""
    del body["tool_choice"]
    if body.pop("tools", None):
        unsupported.note("tools")


def _fit_thinking(
    quirks: Quirks, model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> str | None:
    """
    Replace `thinking` in our own `body` by the nearest effort that the model takes.

    Returns that effort. A model that takes none is not made to think, nor kept from it.
    """
    from ..thinking import effort_of  # few requests need it

    asked = effort_of(body.pop("thinking"))
    if asked is None or body.get("reasoning_effort") is not None:
        unsupported.note("thinking")
        return None
    efforts = ("none",) if asked == "none" else dict.fromkeys((asked, "high", "medium", "low"))
    for effort in efforts:
        absent = quirks.drop | fixed_fields(quirks.families, model, effort)
        if "reasoning_effort" not in absent:
            unsupported.note("thinking")
            body["reasoning_effort"] = effort
            return effort
    if asked == "none":
        unsupported.note("thinking")
    else:
        unsupported.add("thinking", "this model is not known to think")
    return None


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


def _fit_tools(
    quirks: Quirks, model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """Make the tools of our own `body` fit."""
    if not body.get("tools"):
        if "tools" in body or "tool_choice" in body or "parallel_tool_calls" in body:
            _drop_choice(body)
        return
    from .tools import choose_by_tools, fit_choice, fit_tools  # many requests have none

    if quirks.forced:
        fit_choice(quirks.forced, model, body, unsupported)
    if not quirks.named_choice:
        choose_by_tools(body, unsupported)
    body["tools"] = fit_tools(body["tools"], quirks.messages, unsupported, quirks.schemas)


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


def _drop(
    names: frozenset[str] | set[str],
    body: dict[str, Any],
    unsupported: UnsupportedFields,
    quirks: Quirks,
    model: str,
) -> None:
    """Remove `names` from our own `body`; one that asks for something is rejected, or noted."""
    for name in sorted(names - HINTS):
        value = body.pop(name)
        if value is None or value in DEFAULT_VALUES.get(name, ()):
            continue
        if not asks_for_fixed(quirks.families, model, name, value):
            unsupported.add(name)
    for name in names & HINTS:
        body.pop(name, None)


def plain_codec(quirks: Quirks) -> Codec:
    """The codec of a vendor whose responses are exactly OpenAI's."""
    return Codec(partial(encode, quirks), decode, SSEFramer, ChatDecoder)
