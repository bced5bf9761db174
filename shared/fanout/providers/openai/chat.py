"""
OpenAI's chat completions: the request, which is sent field by field, and the codec.

The client already uses this API. `quirks` has what a vendor differs in, `response` the way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ...schema.messages import AllowedTools
from ...schema.request import ChatRequest
from ...schema.validation import reject_extensions
from ...wire import json
from ...wire.http import WireRequest
from ...wire.sse import SSEFramer
from ..base import Codec, StreamDecoder, Target
from ..fields import UnsupportedFields
from .history import fit_messages
from .message_rules import (
    rules_for,
)
from .quirks import CLOSED_DEFAULTS, DEFAULT_VALUES, HINTS, Quirks
from .response import decode
from .rules import (
    MAYBE_EMPTY,
    NEW_LIMIT,
    OLD_LIMIT,
    asks_for_fixed,
    bare_name,
    fixed_fields,
    is_reasoning,
)


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
        body |= {"stream": True, **_stream_options(quirks, options, body)}
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
        tools=_offered_tools(body),
    )
    _fit_tools(quirks, kind, body, unsupported)
    _note_hints(quirks, request, absent, body, unsupported)
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


def _stream_options(
    quirks: Quirks, options: Mapping[str, Any] | None, body: Mapping[str, Any]
) -> dict[str, Any]:
    """
    The options of a stream, which is asked for usage; another vendor's own are kept.

    "Validation error at #/stream_options", beside Azure's `data_sources`: github.com/openai/
    openai-python/issues/2296, 2026-11
    """
    if "stream_options" in quirks.drop or "data_sources" in body:
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
    if "thinking" in body:
        from .efforts import fit_thinking, takes_thinking  # few requests need it

        if "thinking" in absent or not takes_thinking(quirks, model, body["thinking"]):
            effort = fit_thinking(quirks, model, body, unsupported) or effort
    if quirks.extensible and isinstance(request.tool_choice, AllowedTools):
        from .tools import limit_tools  # few requests have it

        limit_tools(request.tool_choice, body, unsupported)
    if "tool_choice" in quirks.drop and request.tool_choice == "none":
        _drop_idle_tools(body, unsupported)
    if not quirks.families:
        return quirks.drop
    if quirks.tool_efforts and request.tools:
        from .efforts import fit_effort  # likewise

        effort = fit_effort(quirks, model, body, unsupported)
    return quirks.drop | fixed_fields(quirks.families, model, effort)


def _offered_tools(body: dict[str, Any]) -> list[Any] | None:
    """The tools, and the older `functions` as tools: calls of all of them keep their names."""
    tools: list[Any] | None = body.get("tools")
    if not (functions := body.get("functions")):
        return tools
    return [*(tools or ()), *({"type": "function", "function": one} for one in functions)]


def _drop_idle_tools(body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """Remove tools that may not be called from our own `body`: they need not be offered."""
    del body["tool_choice"]
    if body.pop("tools", None):
        unsupported.note("tools")


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


def _note_hints(
    quirks: Quirks,
    request: ChatRequest,
    absent: frozenset[str],
    body: dict[str, Any],
    unsupported: UnsupportedFields,
) -> None:
    """Note the hints that are left out of a request of another API: a header names each field."""
    if "cache_control" in body and "cache_control" not in quirks.messages.fields:
        del body["cache_control"]  # Anthropic's hint
        unsupported.note("cache_control")
    if request.original is not None:
        unsupported.note_all(absent & request.body.keys() & HINTS - {"stream_options"})


def plain_codec(quirks: Quirks) -> Codec:
    """The codec of a vendor whose responses are exactly OpenAI's."""
    return Codec(partial(encode, quirks), decode, SSEFramer, plain_decoder)


def plain_decoder(target: Target) -> StreamDecoder:
    """The decoder of a stream that is exactly OpenAI's."""
    from .stream import ChatDecoder  # imported with the first stream

    return ChatDecoder(target)
