"""Gemini on Vertex AI: the body of the Gemini API, and what differs from Google AI Studio's."""

from __future__ import annotations

from typing import Any

from ...schema.request import ChatRequest
from ...wire import json
from ...wire.http import WireRequest
from ..base import Codec, Target
from ..fields import UnsupportedFields
from ..gemini.framer import StreamFramer
from ..gemini.request import encode_body
from ..gemini.response import ChatDecoder, decode
from ..gemini.rules import has_levels
from ..request_reader import without_none
from .models import find_path, model_of
from .rules import GEMINI_FIELDS, GEMINI_NATIVE, TIER_HEADER, TIERS, check_gemini_media


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model. What the API cannot express is rejected, or noted."""
    kind = model_of(target).kind
    unsupported = UnsupportedFields(target, "Vertex AI")
    check_gemini_media(request)
    body = encode_body(request, kind, unsupported, GEMINI_FIELDS, GEMINI_NATIVE)
    if not has_levels(kind):
        body["contents"] = [_without_ids(turn) for turn in body["contents"]]
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return WireRequest(
        find_path(target, method),
        json.encode(without_none(body)),
        headers=_encode_tier(request.service_tier, unsupported),
        dropped=unsupported.dropped,
        one_call=request.parallel_tool_calls is False,
        one_choice=(request.n or 1) == 1,
    )


def _without_ids(turn: dict[str, Any]) -> dict[str, Any]:
    """
    A turn whose calls and results have no ids, which models before Gemini 3 reject.

    "Unknown name "id" at 'contents[1].parts[0].function_call'"; the order pairs them. Since the
    revision 20260921 of the API, later models take ids: github.com/BerriAI/litellm/pull/34603,
    2026-11.
    """
    return {**turn, "parts": [_without_id(part) for part in turn["parts"]]}


def _without_id(part: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: item for key, item in value.items() if key != "id"}
        if name in {"functionCall", "functionResponse"}
        else value
        for name, value in part.items()
    }


def _encode_tier(tier: str | None, unsupported: UnsupportedFields) -> dict[str, str]:
    if tier is not None and tier not in TIERS:
        unsupported.add("service_tier", f"it has {', '.join(TIERS)}")
        return {}
    value = TIERS[tier] if tier else None
    return {TIER_HEADER: value} if value else {}


CODEC = Codec(encode, decode, StreamFramer, ChatDecoder)
