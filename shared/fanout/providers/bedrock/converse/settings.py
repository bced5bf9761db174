"""
How a model is to answer: limits, sampling, reasoning, the shape of the answer.

What Converse has no field of its own for goes to the model as it is, in
`additionalModelRequestFields`. Knows nothing of messages or tools.
"""

from __future__ import annotations

import re
from typing import Any

from ....schema.request import ChatRequest, SchemaFormat, TextFormat
from ....wire import json
from ...anthropic.models import find_traits
from ...anthropic.settings import encode_settings as encode_claude
from ...base import Losses
from ..models import encode_top_k, find_efforts, is_claude

EXTRA = "additionalModelRequestFields"

# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ServiceTier.html
SERVICE_TIERS = frozenset({"default", "flex", "priority", "reserved"})

# What `requestMetadata` may hold: …/APIReference/API_runtime_Converse.html
_TAG = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{0,256}")
MAX_TAGS = 16


def encode_settings(request: ChatRequest, kind: str, losses: Losses) -> dict[str, Any]:
    """Everything of a body but the conversation and its tools."""
    said = (
        _encode_claude(request, kind, losses)
        if is_claude(kind)
        else _encode_other(request, kind, losses)
    )
    # An empty sequence is refused, and stops nothing.
    if stops := [stop for stop in request.stops if stop]:
        said = {
            **said,
            "inferenceConfig": {**said.get("inferenceConfig", {}), "stopSequences": stops},
        }
    if form := _encode_format(request, losses):
        said = {**said, "outputConfig": {**said.get("outputConfig", {}), "textFormat": form}}
    if tier := _encode_tier(request, losses):
        said["serviceTier"] = {"type": tier}
    if tags := _encode_metadata(request, losses):
        said["requestMetadata"] = tags
    return said


def _encode_claude(request: ChatRequest, kind: str, losses: Losses) -> dict[str, Any]:
    """
    Claude takes and refuses here what it does at home, where a limit must be given.

    Here the default is the model's own. A budget to think with is a part of the limit, so that
    one is given with it; otherwise none, for AWS counts it against the quota in advance:
    https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html.
    """
    found = encode_claude(request, find_traits(kind), losses)
    thinking = found.get("thinking")
    has_limit = request.limit is not None or (thinking or {}).get("type") == "enabled"
    inference = {
        "maxTokens": found["max_tokens"] if has_limit else None,
        "temperature": found.get("temperature"),
        "topP": found.get("top_p"),
    }
    extra = {"thinking": thinking, "top_k": found.get("top_k")}
    return _without_gaps(
        {
            "inferenceConfig": _without_gaps(inference),
            EXTRA: _without_gaps(extra),
            "outputConfig": found.get("output_config"),
        }
    )


def _encode_other(request: ChatRequest, kind: str, losses: Losses) -> dict[str, Any]:
    extra = _encode_effort(request, kind, losses)
    inference: dict[str, Any] = {
        "maxTokens": request.limit,
        "temperature": request.temperature,
        "topP": request.top_p,
    }
    # "Unset" is what Nova wants there:
    # https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html
    if extra.get("reasoningConfig", {}).get("maxReasoningEffort") == "high":
        inference = {}
        for name in ("max_tokens", "max_completion_tokens", "temperature", "top_p"):
            if getattr(request, name) is not None:
                losses.lose(name, "this model takes none with `reasoning_effort: high`")
    if request.body.get("thinking") is not None:
        losses.lose("thinking", "it is Claude's; use `reasoning_effort`")
    if request.top_k is not None:
        top_k = encode_top_k(kind, request.top_k)
        if top_k is None:
            losses.lose("top_k", "this model is not known to take it")
        extra |= top_k or {}
    return _without_gaps({"inferenceConfig": _without_gaps(inference), EXTRA: extra})


def _encode_effort(request: ChatRequest, kind: str, losses: Losses) -> dict[str, Any]:
    effort, known = request.reasoning_effort, find_efforts(kind)
    if effort is None or (effort == "none" and known is None):
        return {}
    if known is None:
        losses.lose("reasoning_effort", "this model is not known to take it")
        return {}
    if effort == "none":
        if known.off is None:
            losses.lose("reasoning_effort", "this model cannot be kept from thinking")
        return dict(known.off or {})
    level = "low" if effort == "minimal" else effort
    if level not in known.levels:
        losses.lose("reasoning_effort", f"this model has {', '.join(sorted(known.levels))}")
        return {}
    return known.encode(level)


def _encode_format(request: ChatRequest, losses: Losses) -> dict[str, Any] | None:
    """
    `response_format` as a schema, which is a text in a text.

    https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
    """
    match request.response_format:
        case None | TextFormat():
            return None
        case SchemaFormat(json_schema=wanted) if wanted.schema is not None:
            schema = {"schema": json.encode(wanted.schema).decode(), "name": wanted.name}
            if wanted.description:
                schema["description"] = wanted.description
            return {"type": "json_schema", "structure": {"jsonSchema": schema}}
        case _:
            losses.lose("response_format", "it needs a `json_schema` with a `schema`")
            return None


def _encode_tier(request: ChatRequest, losses: Losses) -> str | None:
    """The tier to be served in; `auto` leaves it to AWS, as does silence."""
    tier = request.service_tier
    if tier is None or tier == "auto":
        return None
    if tier not in SERVICE_TIERS:
        losses.lose("service_tier", f"it has {', '.join(sorted(SERVICE_TIERS))}")
        return None
    return tier


def _encode_metadata(request: ChatRequest, losses: Losses) -> dict[str, str] | None:
    """Tags of a request are found again in AWS's log of it, if they are written as AWS wants."""
    tags = request.metadata
    if not tags:
        return None
    if len(tags) > MAX_TAGS or not all(key and _is_tag(key) for key in tags):
        losses.lose("metadata", f"names are {MAX_TAGS} at most, of letters, digits and _:@$#=/+,.-")
        return None
    if not all(_is_tag(value) for value in tags.values()):
        losses.lose("metadata", "values are 256 letters, digits and _:@$#=/+,.- at most")
        return None
    return tags


def _is_tag(value: object) -> bool:
    return isinstance(value, str) and _TAG.fullmatch(value) is not None


def _without_gaps(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != {}}
