"""
Limits, sampling, reasoning, response format, service tier and metadata.

`additionalModelRequestFields` has what Converse has no field for; the model gets it unchanged.
"""

from __future__ import annotations

import re
from typing import Any

from ....schema.request import ChatRequest
from ....wire import json
from ...anthropic.models import find_traits
from ...anthropic.settings import encode_settings as encode_claude
from ...fields import UnsupportedFields
from ...schemas import can_take, limit_schema, read_schema
from ..models import encode_top_k, find_efforts, has_schemas, has_stop, is_claude
from ..rules import SCHEMAS, is_blank

EXTRA = "additionalModelRequestFields"

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ServiceTier.html
SERVICE_TIERS = frozenset({"default", "flex", "priority", "reserved"})

# What `requestMetadata` may hold: …/APIReference/API_runtime_Converse.html
_TAG = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
MAX_TAGS = 16


def encode_settings(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """All fields of the body but those of the conversation and its tools."""
    encode_model = _encode_claude if is_claude(kind) else _encode_other
    body = encode_model(request, kind, unsupported)
    if stops := _encode_stops(request, kind, unsupported):
        body["inferenceConfig"] = {**body.get("inferenceConfig", {}), "stopSequences": stops}
    if form := _encode_format(request, kind, unsupported):
        body["outputConfig"] = {**body.get("outputConfig", {}), "textFormat": form}
    if tier := _encode_tier(request, unsupported):
        body["serviceTier"] = {"type": tier}
    if tags := _encode_metadata(request, unsupported):
        body["requestMetadata"] = tags
    return body


def _encode_stops(request: ChatRequest, kind: str, unsupported: UnsupportedFields) -> list[str]:
    """AWS rejects an empty sequence, which stops nothing; Claude rejects blank ones, too."""
    stops = [stop for stop in request.stops if stop]
    if stops and not has_stop(kind):
        unsupported.add("stop", "this model takes no stop sequences")
        return []
    kept = [stop for stop in stops if not (is_claude(kind) and is_blank(stop))]
    if len(kept) < len(stops):
        unsupported.add("stop", "a sequence must be more than white space")
    return kept


def _encode_claude(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """
    Claude accepts here what it does in Anthropic's API, where a limit is required.

    Here the limit is optional, and AWS counts it against the quota in advance. So it is sent only
    if the client sets it, or with a thinking budget, which is a part of it:
    https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html.
    """
    found = encode_claude(request, find_traits(kind), unsupported)
    thinking = found.get("thinking")
    has_limit = request.limit is not None or (thinking or {}).get("type") == "enabled"
    inference = {
        "maxTokens": found["max_tokens"] if has_limit else None,
        "temperature": found.get("temperature"),
        "topP": found.get("top_p"),
    }
    extra = {"thinking": thinking, "top_k": found.get("top_k")}
    return _not_empty(
        {
            "inferenceConfig": _not_empty(inference),
            EXTRA: _not_empty(extra),
            "outputConfig": found.get("output_config"),
        }
    )


def _encode_other(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields
) -> dict[str, Any]:
    extra = _encode_effort(request, kind, unsupported)
    temperature = request.temperature
    # `InferenceConfiguration.temperature`: "Valid Range: Minimum value of 0. Maximum value of 1",
    # docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html
    if temperature is not None and temperature > 1:
        unsupported.add("temperature", "its range is 0 to 1")
        temperature = None
    inference: dict[str, Any] = {
        "maxTokens": request.limit,
        "temperature": temperature,
        "topP": request.top_p,
    }
    # Nova requires that they are not set then:
    # https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
    if extra.get("reasoningConfig", {}).get("maxReasoningEffort") == "high":
        inference = {}
        for name in ("max_tokens", "max_completion_tokens", "temperature", "top_p"):
            if getattr(request, name) is not None:
                unsupported.add(name, "this model takes none with `reasoning_effort: high`")
    if request.top_k is not None:
        top_k = encode_top_k(kind, request.top_k)
        if top_k is None:
            unsupported.add("top_k", "this model is not known to take it")
        extra |= top_k or {}
    return _not_empty({"inferenceConfig": _not_empty(inference), EXTRA: extra})


def _encode_effort(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields
) -> dict[str, Any]:
    effort: str | None = request.reasoning_effort
    known, field = find_efforts(kind), "reasoning_effort"
    if effort is None and (given := request.body.get("thinking")) is not None:
        from ...thinking import effort_of  # few requests need it

        effort, field = effort_of(given), "thinking"
    if effort is None or (effort == "none" and known is None):
        return {}
    if known is None:
        unsupported.add(field, "this model is not known to take it")
        return {}
    if effort == "none":
        if known.off is None:
            unsupported.add(field, "this model always thinks")
        return dict(known.off or {})
    level = "low" if effort == "minimal" else effort
    if level not in known.levels:
        unsupported.add(field, f"this model has {', '.join(sorted(known.levels))}")
        return {}
    return known.encode(level)


def _encode_format(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields
) -> dict[str, Any] | None:
    """
    `response_format` as a schema, which is JSON in a string.

    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    """
    asked = read_schema(request, unsupported)
    if asked is None or not (has_schemas(kind) and can_take(request, SCHEMAS)):
        return None
    schema = {
        "schema": json.encode(limit_schema(asked.schema or {}, SCHEMAS)).decode(),
        "name": asked.name,
    }
    if asked.description:
        schema["description"] = asked.description
    return {"type": "json_schema", "structure": {"jsonSchema": schema}}


def _encode_tier(request: ChatRequest, unsupported: UnsupportedFields) -> str | None:
    """The service tier; with `auto`, as without a tier, AWS chooses."""
    tier = request.service_tier
    if tier is None or tier == "auto":
        return None
    if tier not in SERVICE_TIERS:
        unsupported.add("service_tier", f"it has {', '.join(sorted(SERVICE_TIERS))}")
        return None
    return tier


def _encode_metadata(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, str] | None:
    """The metadata that AWS writes to its log of the request, if it has AWS's form."""
    tags = request.metadata
    if not tags:
        return None
    fits = len(tags) <= MAX_TAGS and all(tags) and all(map(_is_tag, (*tags, *tags.values())))
    if not fits:
        unsupported.note("metadata")
        return None
    return tags


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and _TAG.fullmatch(value) is not None


def _not_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != {}}
