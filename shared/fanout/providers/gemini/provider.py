"""Gemini by its native API; see https://ai.google.dev/api/generate-content."""

from __future__ import annotations

from ..base import Codec, Header, Provider
from .answer import ChatDecoder, decode
from .chat import encode
from .errors import explain
from .framer import StreamFramer

PROVIDER = Provider(
    name="gemini",
    base_url="https://generativelanguage.googleapis.com",
    keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    chat=Codec(encode, decode, StreamFramer, ChatDecoder),
    explain=explain,
    auth=Header("x-goog-api-key"),
    billing="continues",
)
