"""`generationConfig`: limits, sampling, thinking and response format; and the service tier."""

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
from ..fields import UnsupportedFields
from ..request_reader import without_none
from ..schemas import describe_schema
from .rules import MODALITIES, MOST_STOPS, PENALTIES, has_levels, has_penalties

# Google's own translation, in its OpenAI-compatible endpoint; it ends at "high":
# https://ai.google.dev/gemini-api/docs/openai#thinking
BUDGETS: Mapping[str, int] = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 24576,
    "xhigh": 24576,
    "max": 24576,
}
LEVELS: Mapping[str, str] = {
    "minimal": "MINIMAL",
    "low": "LOW",
    "medium": "MEDIUM",
    "high": "HIGH",
    "xhigh": "HIGH",
    "max": "HIGH",
}


def encode_effort(effort: str | None, model: str) -> dict[str, Any] | None:
    """`thinkingConfig`; with an effort, the response has a summary of the thoughts."""
    if effort is None:
        return None
    if effort == "none":
        # Google responds with a 400 if the model always thinks.
        return {"thinkingBudget": 0}
    if not has_levels(model):
        return {"thinkingBudget": BUDGETS[effort], "includeThoughts": True}
    level = LEVELS[effort]
    if level == "MINIMAL" and "-pro" in model:  # the lowest level of these is LOW
        level = "LOW"
    return {"thinkingLevel": level, "includeThoughts": True}


TIERS: Mapping[str, str | None] = {
    "auto": None,
    "default": "standard",
    "flex": "flex",
    "priority": "priority",
}


def encode_tier(tier: str | None, unsupported: UnsupportedFields) -> str | None:
    """Google has three service tiers; OpenAI's `default` is Google's `standard`."""
    if tier is not None and tier not in TIERS:
        unsupported.add("service_tier", f"it has {', '.join(TIERS)}")
        return None
    return TIERS[tier] if tier else None


def encode_config(
    request: ChatRequest, model: str, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """
    `generationConfig`, with the fields that the request asks for.

    A penalty of 0 is left out, because some models respond to any penalty with a 400. A `top_k` of
    0 means all tokens, as no `topK` does.
    """
    config = {
        "maxOutputTokens": request.limit,
        "temperature": request.temperature,
        "topP": request.top_p,
        "topK": request.top_k or None,
        "candidateCount": request.n,
        "seed": request.seed,
        "stopSequences": encode_stops(request, unsupported),
        "frequencyPenalty": request.frequency_penalty or None,
        "presencePenalty": request.presence_penalty or None,
        "responseLogprobs": request.logprobs or None,
        "logprobs": request.top_logprobs or None,
        "thinkingConfig": encode_effort(request.reasoning_effort, model),
        "responseModalities": encode_modalities(request, unsupported),
        "speechConfig": encode_speech(request, unsupported),
        **encode_format(request, unsupported),
    }
    return without_none(config)


def without_penalties(
    request: ChatRequest, model: str, unsupported: UnsupportedFields
) -> ChatRequest:
    """The request without penalties, if the model takes none."""
    asked = [name for name in PENALTIES if getattr(request, name)]
    if not asked or has_penalties(model):
        return request
    for name in asked:
        unsupported.add(name, "this model takes none")
    return replace(request, frequency_penalty=None, presence_penalty=None)


def encode_modalities(request: ChatRequest, unsupported: UnsupportedFields) -> list[str] | None:
    """`text`, `image` and `audio`, which OpenAI writes in lower case; text alone is the default."""
    given = request.modalities or []
    if unknown := [name for name in given if name not in MODALITIES]:
        known = ", ".join(MODALITIES)
        unsupported.add("modalities", f"`{unknown[0]}` is none of {known}")
        return None
    return [name.upper() for name in given] if given not in ([], ["text"]) else None


def encode_speech(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any] | None:
    """
    The voice of a response in audio, by Google's name for it.

    Google's audio is always PCM: https://ai.google.dev/gemini-api/docs/speech-generation, 2026-11
    """
    if not (audio := request.audio):
        return None
    if audio.get("format", "pcm16") != "pcm16":
        unsupported.add("audio.format", "its audio is `pcm16`")
    voice = audio.get("voice")
    if not isinstance(voice, str):
        return None
    return {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice}}}


def encode_stops(request: ChatRequest, unsupported: UnsupportedFields) -> list[str] | None:
    """The stop sequences; an empty one stops nothing."""
    stops = [stop for stop in request.stops if stop]
    if len(stops) > MOST_STOPS:
        unsupported.add("stop", f"it has at most {MOST_STOPS} sequences")
    return stops[:MOST_STOPS] or None


def encode_format(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any]:
    """See https://ai.google.dev/gemini-api/docs/structured-output; a schema is always strict."""
    match request.response_format:
        case None | TextFormat():
            return {}
        case JSONFormat():
            return {"responseMimeType": "application/json"}
        case SchemaFormat(json_schema=asked):
            schema = None if asked.schema is None else describe_schema(asked)
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case GrammarFormat() | PythonFormat() | OtherFormat():
            unsupported.add("response_format")
            return {}
        case _:
            assert_never(request.response_format)
