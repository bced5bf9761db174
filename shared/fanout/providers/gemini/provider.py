"""Gemini, with its native API; see https://ai.google.dev/api/generate-content."""

from __future__ import annotations

from ..base import Codec, Header, Provider, Target
from .errors import explain
from .framer import StreamFramer
from .request import encode
from .response import ChatDecoder, decode

COUNTS = frozenset({"messages/count_tokens", "responses/input_tokens"})
"""The APIs that only ask for the tokens of a prompt, which Gemini can count."""


def pass_through(api: str, _: Target) -> Codec | None:
    """The codec that counts tokens; Gemini has no other client's API."""
    if api not in COUNTS:
        return None
    from .token_count import CODEC  # imported with the first such request

    return CODEC


PROVIDER = Provider(
    name="gemini",
    trace_name="gcp.gemini",
    base_url="https://generativelanguage.googleapis.com",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    chat=Codec(encode, decode, StreamFramer, ChatDecoder),
    explain=explain,
    auth=Header("x-goog-api-key"),
    billing="continues",
    pass_through=pass_through,
    endpoint=r"/v1(?:alpha|beta)?(?:/models|/openai)?",
)
