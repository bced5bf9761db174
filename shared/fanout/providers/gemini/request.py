"""
A chat completion's request as one of `generateContent`, field by field.

Source: https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from ...schema.request import ChatRequest
from ...schema.validation import replace_messages
from ...wire import json
from ...wire.http import WireRequest
from ..base import Target
from ..field_checks import (
    SHARED_FIELDS,
    SHARED_MESSAGE_FIELDS,
    check_fields,
)
from ..fields import (
    DEFAULTS,
    UnsupportedFields,
)
from ..format_instruction import format_in_words
from ..paired_results import in_call_order
from ..request_reader import system_as_user, without_none
from .messages import encode_conversation, encode_turns, is_in_results
from .rules import FUNCTIONS, has_levels, has_system, is_old_gemma
from .settings import encode_config, encode_tier, fit_studio
from .tools import encode_tools

# Google's own fields, for clients that send them in `extra_body`; they are sent on unchanged.
NATIVE: Mapping[str, str] = {
    "cached_content": "cachedContent",
    "safety_settings": "safetySettings",
}

FIELDS = SHARED_FIELDS | {
    "audio",
    "frequency_penalty",
    "logprobs",
    "modalities",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "seed",
    "service_tier",
    "thinking",  # LiteLLM's
    "top_logprobs",
    *NATIVE,
}
_MESSAGE_FIELDS = SHARED_MESSAGE_FIELDS | {"extra_content", "images"}  # our own responses have
_DEFAULTS = {**DEFAULTS, "function_call": ("auto", "none")}


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model. What the API cannot express is rejected, or noted."""
    unsupported = UnsupportedFields(target, "gemini")
    request = fit_studio(request, target.model, unsupported)
    body = encode_body(request, target.model, unsupported)
    body |= {
        "serviceTier": encode_tier(request.service_tier, unsupported),
        "store": request.store,
    }
    return WireRequest(
        _path(target.model, stream=stream),
        json.encode(without_none(body)),
        dropped=unsupported.dropped,
        one_call=request.parallel_tool_calls is False,
        one_choice=(request.n or 1) == 1,
    )


def encode_body(
    request: ChatRequest,
    model: str,
    unsupported: UnsupportedFields,
    fields: frozenset[str] = FIELDS,
    native: Mapping[str, str] = NATIVE,
) -> dict[str, Any]:
    """The body that all of Google's services with this API read; `model` is a Gemini's name."""
    request = check_fields(
        request,
        unsupported,
        fields,
        _MESSAGE_FIELDS,
        names=FUNCTIONS,
        defaults=_DEFAULTS,
        in_results=lambda part: is_in_results(part, model),
    )
    messages = request.body["messages"]
    # Without ids, Google pairs the results of one function with its calls by their order.
    if (ordered := in_call_order(messages)) is not messages:
        request = replace_messages(request, {**request.body, "messages": ordered})
    system, turns = encode_conversation(request, unsupported, model)
    # "Function calling with a response mime type: 'application/json' is unsupported":
    # github.com/googleapis/python-genai/issues/867, openai/openai-agents-python/issues/656, 2026-11
    is_odd = is_old_gemma(model) or (bool(request.tools) and not has_levels(model))
    if is_odd and (words := format_in_words(request, unsupported)):
        system = [*system, {"text": words}]
        request = replace(request, response_format=None)
    if system and not has_system(model):
        system, turns = [], system_as_user(system, turns, unsupported)
    if request.tools and is_old_gemma(model):
        request = _without_tools(request, unsupported)
    body = {
        "contents": encode_turns(turns, unsupported),
        "systemInstruction": {"parts": system} if system else None,
        **encode_tools(request, unsupported),
        "generationConfig": encode_config(request, model, unsupported) or None,
    }
    given = {theirs: request.body[ours] for ours, theirs in native.items() if ours in request.body}
    return body | given


def _without_tools(request: ChatRequest, unsupported: UnsupportedFields) -> ChatRequest:
    """The request without tools, for a model that calls none; they may be there to be called."""
    if request.tool_choice == "none":
        unsupported.note("tools")
    else:
        unsupported.add("tools", "this model calls no functions")
    return replace(request, tools=None, tool_choice=None)


def _path(model: str, *, stream: bool) -> str:
    """A bare name is in the collection `models/`; a tuned model's name has its own collection."""
    name = quote(model if "/" in model else f"models/{model}")
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/{name}:{method}"
