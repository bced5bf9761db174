"""
Vertex AI's own count of the tokens of a prompt for Gemini.

The fields of the prompt are in the body itself, unlike at Google AI Studio:
docs.cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.publishers.models/countTokens,
2026-11.
"""

from __future__ import annotations

from msgspec.structs import replace

from ...schema.request import ChatRequest
from ...wire import json
from ...wire.http import WireRequest
from ..base import Target
from ..gemini import token_count
from . import gemini
from .models import find_path

_COUNTED = ("contents", "generationConfig", "systemInstruction", "tools")
"""The fields of a request that the method takes."""


def encode(request: ChatRequest, target: Target, _: bool) -> WireRequest:  # noqa: FBT001
    """The request for the number of a prompt's tokens."""
    body = json.decode(gemini.encode(request, target, stream=False).body)
    prompt = {name: body[name] for name in _COUNTED if name in body}
    return WireRequest(find_path(target, "countTokens"), json.encode(prompt))


CODEC = replace(token_count.CODEC, encode=encode)
