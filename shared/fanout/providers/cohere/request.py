"""
A chat completion's request as one of `/v2/chat`, field by field.

Source: https://docs.cohere.com/reference/chat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from ...schema.request import (
    ChatRequest,
    GrammarFormat,
    JSONFormat,
    PythonFormat,
    SchemaFormat,
    TextFormat,
)
from ...wire import json
from ...wire.http import WireRequest
from ..base import DEFAULTS, FIELDS, MESSAGE_FIELDS, Losses, Target, check_fields
from ..request import describe_schema, present
from .messages import encode_messages
from .tools import encode_tools

# Cohere's own fields, for clients that send them in `extra_body`; they are sent on unchanged.
NATIVE = ("citation_options", "documents", "priority", "safety_mode", "strict_tools", "thinking")

_FIELDS = FIELDS | {
    "frequency_penalty",
    "logprobs",
    "metadata",  # no response depends on it
    "presence_penalty",
    "seed",
    *NATIVE,
}
_MESSAGE_FIELDS = MESSAGE_FIELDS | {"citations"}  # our own responses have it
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
    losses = Losses(target, "cohere")
    check_fields(request, losses, _FIELDS, _MESSAGE_FIELDS, _DEFAULTS)
    body = {
        "model": target.model,
        "messages": encode_messages(request, losses),
        "stream": stream,
        "max_tokens": request.limit,
        "temperature": request.temperature,
        "p": encode_top_p(request.top_p),
        "k": request.top_k,
        "seed": request.seed,
        "stop_sequences": request.stops or None,
        "frequency_penalty": encode_penalty(request, "frequency_penalty", losses),
        "presence_penalty": encode_penalty(request, "presence_penalty", losses),
        "logprobs": request.logprobs or None,
        "response_format": encode_format(request, losses),
        "thinking": encode_effort(request.reasoning_effort),
        **encode_tools(request, losses),
    }
    body |= {name: request.body[name] for name in NATIVE if name in request.body}
    return WireRequest("/v2/chat", json.encode(present(body)), dropped=losses.dropped)


def encode_top_p(top_p: float | None) -> float | None:
    """`p` is from 0.01 to 0.99, and 0.75 if it is left out; so OpenAI's 1 is sent as nearly 1."""
    return None if top_p is None else min(max(top_p, LOWEST_P), HIGHEST_P)


def encode_penalty(request: ChatRequest, name: str, losses: Losses) -> float | None:
    """Cohere's penalties are from 0 to 1. Zero is the default; some models accept only one."""
    penalty: float = getattr(request, name) or 0.0
    if not 0 <= penalty <= 1:
        losses.lose(name, "it must be from 0 to 1")
        return None
    return penalty or None


def encode_format(request: ChatRequest, losses: Losses) -> dict[str, Any] | None:
    """A schema is part of `json_object` and is always strict."""
    match request.response_format:
        case None | TextFormat():
            return None
        case JSONFormat():
            return {"type": "json_object"}
        case SchemaFormat(json_schema=asked):
            schema = None if asked.schema is None else describe_schema(asked)
            return present({"type": "json_object", "json_schema": schema})
        case GrammarFormat() | PythonFormat():
            losses.lose("response_format")
            return None
        case _:
            assert_never(request.response_format)


def encode_effort(effort: str | None) -> dict[str, Any] | None:
    """`thinking`; without it, a model that can reason does."""
    if effort is None:
        return None
    if effort == "none":
        return {"type": "disabled"}
    return present({"type": "enabled", "token_budget": BUDGETS[effort]})
