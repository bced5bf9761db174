"""`generateContent`: what of OpenAI's request has a word in Google's, and which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never
from urllib.parse import quote

from ...schema.chat import Object
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
from ..base import Losses, Target, refuse_unknown
from .messages import MESSAGE_FIELDS, encode_messages
from .settings import encode_effort, has_levels
from .tools import encode_tools

TRANSLATED = frozenset(
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
        "n",
        "seed",
        "stop",
        "frequency_penalty",
        "presence_penalty",
        "logprobs",
        "top_logprobs",
        "response_format",
        "reasoning_effort",
        "service_tier",
        "store",
        "tools",
        "tool_choice",
    }
)
# Who asks and what for, and hints to a cache: no answer depends on them.
MEANINGLESS = frozenset({"user", "metadata", "safety_identifier", "prompt_cache_key"})
# Fields whose only value that Google can serve is what it does anyway.
HARMLESS: Mapping[str, tuple[object, ...]] = {
    "function_call": ("auto", "none"),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "verbosity": ("medium",),
}
# Google's own, for callers who send them in `extra_body`: they go out as they are.
NATIVE: Mapping[str, str] = {
    "cached_content": "cachedContent",
    "safety_settings": "safetySettings",
}
TIERS: Mapping[str, str | None] = {
    "auto": None,
    "default": "standard",
    "flex": "flex",
    "priority": "priority",
}


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request in Google's words; what these lack is lost as `drop_params` says."""
    losses = Losses(target, "gemini")
    refuse_unknown(request, losses, _known(request.body), MESSAGE_FIELDS)
    talk = encode_messages(request, losses, has_levels=has_levels(target.model))
    body = {
        "contents": talk.contents,
        "systemInstruction": {"parts": talk.system} if talk.system else None,
        **encode_tools(request, losses),
        "generationConfig": encode_config(request, target, losses) or None,
        "serviceTier": encode_tier(request.service_tier, losses),
        "store": request.store,
    }
    body |= {theirs: request.body[ours] for ours, theirs in NATIVE.items() if ours in request.body}
    return WireRequest(
        _path(target.model, stream=stream), json.encode(_present(body)), dropped=losses.dropped
    )


def _known(body: Object) -> frozenset[str]:
    harmless = {name for name, values in HARMLESS.items() if body.get(name) in values}
    return TRANSLATED | MEANINGLESS | harmless | NATIVE.keys()


def _present(fields: Object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _path(model: str, *, stream: bool) -> str:
    """A bare name is one of `models/`; a tuned model is named with its own collection."""
    name = quote(model if "/" in model else f"models/{model}")
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/{name}:{method}"


def encode_config(request: ChatRequest, target: Target, losses: Losses) -> dict[str, Any]:
    """
    `generationConfig`, those fields that are asked for.

    A penalty of nothing is not sent: some models answer 400 to any. To have all tokens to choose
    from (`top_k` of 0) is to say no number.
    """
    config = {
        "maxOutputTokens": request.limit,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k or None,
        "candidateCount": request.n,
        "seed": request.seed,
        "stopSequences": request.stops or None,
        "frequencyPenalty": request.frequency_penalty or None,
        "presencePenalty": request.presence_penalty or None,
        "responseLogprobs": request.logprobs or None,
        "logprobs": request.top_logprobs or None,
        "thinkingConfig": encode_effort(request.reasoning_effort, target.model),
        **encode_format(request, losses),
    }
    return _present(config)


def encode_format(request: ChatRequest, losses: Losses) -> dict[str, Any]:
    """See https://ai.google.dev/gemini-api/docs/structured-output; a schema is always followed."""
    match request.response_format:
        case None | TextFormat():
            return {}
        case JSONFormat():
            return {"responseMimeType": "application/json"}
        case SchemaFormat(json_schema=asked):
            described = {"description": asked.description} if asked.description else {}
            schema = None if asked.schema is None else {**described, **asked.schema}
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case GrammarFormat() | PythonFormat():
            losses.lose("response_format")
            return {}
        case _:
            assert_never(request.response_format)


def encode_tier(tier: str | None, losses: Losses) -> str | None:
    """Google has three; what OpenAI calls the default it calls the standard."""
    if tier is not None and tier not in TIERS:
        losses.lose("service_tier", f"it has {', '.join(TIERS)}")
        return None
    return TIERS[tier] if tier else None
