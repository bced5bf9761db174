"""Gemini, with its native API; see https://ai.google.dev/api/generate-content."""

from __future__ import annotations

from ..base import Codec, Header, Provider
from .errors import explain
from .framer import StreamFramer
from .request import encode
from .response import ChatDecoder, decode

PROVIDER = Provider(
    name="gemini",
    trace_name="gcp.gemini",
    base_url="https://generativelanguage.googleapis.com",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    chat=Codec(encode, decode, StreamFramer, ChatDecoder),
    explain=explain,
    auth=Header("x-goog-api-key"),
    billing="continues",
    endpoint=r"/v1(?:alpha|beta)?(?:/models|/openai)?",
)
