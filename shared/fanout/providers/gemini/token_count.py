"""
Gemini's own count of a prompt's tokens: https://ai.google.dev/api/tokens, 2026-11.

The prompt is the translated request, as it would be sent.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire import json
from ...wire.http import WireRequest, WireResponse
from ..base import Codec, Target
from ..fields import UnsupportedFields
from ..pass_through import counted_prompt
from ..request_reader import without_none
from .framer import StreamFramer
from .request import encode_body
from .response import ChatDecoder


class _Count(Struct, frozen=True, rename="camel"):
    total_tokens: int


def encode(request: ChatRequest, target: Target, _: bool) -> WireRequest:  # noqa: FBT001
    """The request for the number of a prompt's tokens."""
    model = f"models/{target.model}"
    body: dict[str, Any] = encode_body(request, target.model, UnsupportedFields(target, "gemini"))
    prompt = {"model": model, **without_none(body)}
    data = json.encode({"generateContentRequest": prompt})
    return WireRequest(f"/v1beta/{model}:countTokens", data)


def decode(response: WireResponse, _: Target) -> ChatCompletion:
    """A completion that has only the number, in its usage; raises any msgspec error."""
    return counted_prompt(json.decode(response.body, type=_Count).total_tokens)


CODEC = Codec(encode, decode, StreamFramer, ChatDecoder, passes_through=True)
