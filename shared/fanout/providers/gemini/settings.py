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
from ..field_checks import (
    limit_stops,
)
from ..fields import (
    UnsupportedFields,
)
from ..request_reader import without_none
from ..schema_references import lone_references
from ..schemas import describe_schema
from .rules import (
    MODALITIES,
    MOST_STOPS,
    NOT_IN_STUDIO,
    always_thinks,
    find_budget,
    find_level,
    has_levels,
    is_new_in_studio,
    thinks,
)

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


def encode_thinking(
    request: ChatRequest, model: str, unsupported: UnsupportedFields
) -> dict[str, Any] | None:
    """`thinkingConfig`; with an effort or a budget, the response has a summary of the thoughts."""
    effort: str | None = request.reasoning_effort
    field, budget = "reasoning_effort", None
    if effort is None and (given := request.body.get("thinking")) is not None:
        from ..thinking import effort_of, read_thinking  # few requests need it

        effort, field = effort_of(given), "thinking"
        budget = read_thinking(given).get("budget_tokens")
        if thinks(model) and (config := _odd_budget(budget, model, unsupported)):
            return config
    return _encode_effort(effort, budget, field, model, unsupported)


def _encode_effort(
    effort: str | None, budget: int | None, field: str, model: str, unsupported: UnsupportedFields
) -> dict[str, Any] | None:
    if effort is None:
        return None
    if not thinks(model):
        if effort != "none":
            unsupported.add(field, "this model does not think")
        return None
    if effort == "none":
        if always_thinks(model):
            unsupported.add(field, "this model always thinks")
            return None
        return {"thinkingLevel": "MINIMAL"} if has_levels(model) else {"thinkingBudget": 0}
    if not has_levels(model):
        asked = budget or BUDGETS[effort]
        tokens = find_budget(asked, model)
        if tokens != asked:
            unsupported.note(field)
        return {"thinkingBudget": tokens, "includeThoughts": True}
    return {"thinkingLevel": find_level(LEVELS[effort], model), "includeThoughts": True}


DYNAMIC = -1
"""The budget with which the model decides: ai.google.dev/gemini-api/docs/thinking, 2026-11."""


def _odd_budget(budget: Any, model: str, unsupported: UnsupportedFields) -> dict[str, Any] | None:
    """The config of a budget that the model sets, or of none for a model that always thinks."""
    if budget == DYNAMIC and not has_levels(model):
        return {"thinkingBudget": DYNAMIC, "includeThoughts": True}
    if budget != 0 or not always_thinks(model):
        return None
    unsupported.note("thinking")
    if has_levels(model):
        return {"thinkingLevel": find_level("MINIMAL", model)}
    return {"thinkingBudget": find_budget(1, model)}


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
        "stopSequences": limit_stops(request, MOST_STOPS, unsupported),
        "frequencyPenalty": request.frequency_penalty or None,
        "presencePenalty": request.presence_penalty or None,
        "responseLogprobs": request.logprobs or None,
        "logprobs": request.top_logprobs or None,
        "thinkingConfig": encode_thinking(request, model, unsupported),
        "responseModalities": encode_modalities(request, unsupported),
        "speechConfig": encode_speech(request, unsupported),
        **encode_format(request, unsupported),
    }
    return without_none(config)


def fit_studio(request: ChatRequest, model: str, unsupported: UnsupportedFields) -> ChatRequest:
    """The request without what the model takes only on Vertex AI, if at all."""
    asked = [name for name in NOT_IN_STUDIO if getattr(request, name)]
    if not asked or not is_new_in_studio(model):
        return request
    for name in asked:
        unsupported.add(name, "this model takes none")
    return replace(request, **dict.fromkeys(asked))


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


def encode_format(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any]:
    """
    See https://ai.google.dev/gemini-api/docs/structured-output; a schema is always strict.

    "$ref 'Place' was set alongside unsupported fields": github.com/anomalyco/opencode/issues/12295,
    su-kaka/gcli2api/pull/374. Of `responseJsonSchema`, the reference says so, too. 2026-11
    """
    match request.response_format:
        case None | TextFormat():
            return {}
        case JSONFormat():
            return {"responseMimeType": "application/json"}
        case SchemaFormat(json_schema=asked):
            schema = None if asked.schema is None else lone_references(describe_schema(asked))
            return {"responseMimeType": "application/json", "responseJsonSchema": schema}
        case GrammarFormat() | PythonFormat() | OtherFormat():
            unsupported.add("response_format")
            return {}
        case _:
            assert_never(request.response_format)
