"""
A chat completion's request as a message's, field for field.

Every field that OpenAI documents is translated here, is known to ask for nothing, or is refused
by name. Source: https://platform.claude.com/docs/en/api/messages/create.
"""

from __future__ import annotations

from typing import Any

from ...schema.request import ChatRequest, SchemaFormat, TextFormat
from ...wire import json
from ...wire.http import WireRequest
from ..base import Losses, Target, refuse_unknown
from .messages import MESSAGE_FIELDS, encode_conversation
from .models import find_traits
from .settings import encode_settings
from .tools import encode_tools

PATH = "/v1/messages"

KNOWN = frozenset(
    {
        "model",
        "messages",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "top_k",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "thinking",  # LiteLLM's, passed on as it is
        "cache_control",  # the same
        "metadata",
        "user",
        "safety_identifier",
        "service_tier",
        # It picks a machine whose cache may hold the prompt; theirs is found by the prompt alone.
        "prompt_cache_key",
    }
)

# What a client may send without asking for anything, because it is what happens anyway.
DEFAULTS: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "top_logprobs": 0,
    "logit_bias": {},
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "store": False,
    "modalities": ["text"],
    "verbosity": "medium",
}

# https://platform.claude.com/docs/en/api/service-tiers. OpenAI's `default` is the standard tier
# even where a better one was bought; its `priority` is a demand, which theirs knows no word for.
SERVICE_TIERS = {"auto": "auto", "default": "standard_only"}


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model; what the wire cannot say is refused, or noted."""
    losses = Losses(target, "Anthropic")
    body = {"model": target.model, **encode_body(request, target, losses)}
    if stream:
        body["stream"] = True
    return WireRequest(PATH, json.encode(body), dropped=losses.dropped)


def encode_body(request: ChatRequest, target: Target, losses: Losses) -> dict[str, Any]:
    """The body without what its carrier adds: the model's name and whether to stream."""
    idle = {name for name, value in DEFAULTS.items() if request.body.get(name) == value}
    refuse_unknown(request, losses, KNOWN | idle, MESSAGE_FIELDS)
    settings = encode_settings(request, find_traits(target.model), losses)
    body = settings | encode_conversation(request, losses) | encode_tools(request, losses)
    if stops := request.stops:
        body["stop_sequences"] = stops
    if schema := _encode_format(request, losses):
        body["output_config"] = {**body.get("output_config", {}), "format": schema}
    if user := _find_user(request, losses):
        body["metadata"] = {"user_id": user}
    if mark := request.body.get("cache_control"):
        body["cache_control"] = mark
    if tier := _encode_tier(request, losses):
        body["service_tier"] = tier
    return body


def _encode_format(request: ChatRequest, losses: Losses) -> dict[str, Any] | None:
    """
    `response_format` as a schema, which is always strict.

    https://platform.claude.com/docs/en/build-with-claude/structured-outputs. Its `name` is
    OpenAI's own need; its description is kept as the schema's.
    """
    match request.response_format:
        case None | TextFormat():
            return None
        case SchemaFormat(json_schema=wanted) if wanted.schema is not None:
            about = {"description": wanted.description} if wanted.description else {}
            return {"type": "json_schema", "schema": {**about, **wanted.schema}}
        case _:
            losses.lose("response_format", "it needs a `json_schema` with a `schema`")
            return None


def _find_user(request: ChatRequest, losses: Losses) -> str | None:
    """Whom a request is for, under any of its names; other metadata has no place to go to."""
    metadata = request.metadata or {}
    if metadata.keys() - {"user_id"}:
        losses.lose("metadata", "only its `user_id` can be told")
    user = metadata.get("user_id") or request.safety_identifier or request.user
    return str(user) if user else None


def _encode_tier(request: ChatRequest, losses: Losses) -> str | None:
    if request.service_tier is None:
        return None
    if request.service_tier not in SERVICE_TIERS:
        losses.lose("service_tier", f"it has {' and '.join(SERVICE_TIERS)}")
    return SERVICE_TIERS.get(request.service_tier)
