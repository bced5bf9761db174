"""
A chat completion's request as one of `/v2/chat`, field by field.

Source: https://docs.cohere.com/reference/chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from msgspec.structs import replace

from ...schema.request import (
    ChatRequest,
    GrammarFormat,
    JSONFormat,
    OtherFormat,
    PythonFormat,
    SchemaFormat,
    TextFormat,
)
from ...wire import json
from ...wire.http import WireRequest
from ..base import Target
from ..field_checks import (
    SHARED_FIELDS,
    SHARED_MESSAGE_FIELDS,
    check_fields,
    limit_stops,
)
from ..fields import (
    DEFAULTS,
    UnsupportedFields,
)
from ..format_instruction import add_instruction, format_in_words
from ..request_reader import without_none
from ..schemas import describe_schema, limit_schema
from .messages import encode_messages, is_no_image
from .rules import FUNCTIONS, MOST_STOPS, SCHEMAS, thinks
from .tools import encode_tools

# Cohere's own fields, for clients that send them in `extra_body`; they are sent on unchanged.
NATIVE = ("citation_options", "documents", "priority", "safety_mode", "strict_tools")

_FIELDS = SHARED_FIELDS | {
    "frequency_penalty",
    "logprobs",
    "parallel_tool_calls",
    "presence_penalty",
    "seed",
    "thinking",  # Cohere's own, or LiteLLM's
    *NATIVE,
}
_MESSAGE_FIELDS = SHARED_MESSAGE_FIELDS | {"citations"}  # our own responses have it
_DEFAULTS = {
    **DEFAULTS,
    "function_call": ("auto", "none"),
    "service_tier": ("auto", "default"),
}

# Cohere publishes no scale of efforts, only a budget of tokens, and recommends to set none
# (https://docs.cohere.com/docs/reasoning). So there is none from "high" on.
BUDGETS: Mapping[str, int | None] = {
    "minimal": 512,
    "low": 1024,
    "medium": 8192,
    "high": None,
    "xhigh": None,
    "max": None,
}
LOWEST_P, HIGHEST_P = 0.01, 0.99


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model. What the API cannot express is rejected, or noted."""
    unsupported = UnsupportedFields(target, "cohere")
    request = check_fields(
        request,
        unsupported,
        _FIELDS,
        _MESSAGE_FIELDS,
        names=FUNCTIONS,
        defaults=_DEFAULTS,
        in_results=is_no_image,
    )
    messages = encode_messages(request, unsupported)
    # "response_format … not supported when used in combination with the `documents` or `tools`":
    # docs.cohere.com/reference/chat, 2026-11
    if (request.tools or request.body.get("documents")) and (
        words := format_in_words(request, unsupported)
    ):
        messages = add_instruction(messages, words)
        request = replace(request, response_format=None)
    body = {
        "model": target.model,
        "messages": messages,
        "stream": stream,
        "max_tokens": request.limit,
        "temperature": request.temperature,
        "p": encode_top_p(request.top_p),
        "k": request.top_k,
        "seed": request.seed,
        "stop_sequences": limit_stops(request, MOST_STOPS, unsupported),
        "frequency_penalty": encode_penalty(request, "frequency_penalty", unsupported),
        "presence_penalty": encode_penalty(request, "presence_penalty", unsupported),
        "logprobs": request.logprobs or None,
        "response_format": encode_format(request, unsupported),
        "thinking": encode_thinking(request, target.model, unsupported),
        **encode_tools(request, unsupported),
    }
    body |= {name: request.body[name] for name in NATIVE if name in request.body}
    return WireRequest(
        "/v2/chat",
        json.encode(without_none(body)),
        dropped=unsupported.dropped,
        one_call=request.parallel_tool_calls is False,
    )


def encode_top_p(top_p: float | None) -> float | None:
    """`p` is from 0.01 to 0.99, and 0.75 if it is left out; so OpenAI's 1 is sent as nearly 1."""
    return None if top_p is None else min(max(top_p, LOWEST_P), HIGHEST_P)


def encode_penalty(request: ChatRequest, name: str, unsupported: UnsupportedFields) -> float | None:
    """Cohere's penalties are from 0 to 1. Zero is the default; some models accept only one."""
    penalty: float = getattr(request, name) or 0.0
    if not 0 <= penalty <= 1:
        unsupported.add(name, "it must be from 0 to 1")
        return None
    return penalty or None


def encode_format(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any] | None:
    """A schema is part of `json_object` and is always strict."""
    match request.response_format:
        case None | TextFormat():
            return None
        case JSONFormat():
            return {"type": "json_object"}
        case SchemaFormat(json_schema=asked):
            schema = None if asked.schema is None else limit_schema(describe_schema(asked), SCHEMAS)
            return without_none({"type": "json_object", "json_schema": schema})
        case GrammarFormat() | PythonFormat() | OtherFormat():
            unsupported.add("response_format")
            return None
        case _:
            assert_never(request.response_format)


def encode_thinking(
    request: ChatRequest, model: str, unsupported: UnsupportedFields
) -> dict[str, Any] | None:
    """`thinking`, by Cohere's names; without it, a model that can reason does."""
    effort = request.reasoning_effort
    if (given := request.body.get("thinking")) is not None:
        from ..thinking import read_thinking  # few requests need it

        theirs = dict(read_thinking(given))
        budget = theirs.pop("budget_tokens", None)
        found = {"token_budget": budget, **theirs}
        field, is_on = "thinking", theirs.get("type") != "disabled"
        if theirs.get("type") == "adaptive":  # a model that can reason does
            return None
    elif effort is None:
        return None
    elif effort == "none":
        field, found, is_on = "reasoning_effort", {"type": "disabled"}, False
    else:
        found = {"type": "enabled", "token_budget": BUDGETS[effort]}
        field, is_on = "reasoning_effort", True
    if thinks(model):
        return without_none(found)
    if is_on:
        unsupported.add(field, "this model does not think")
    return None
