"""OpenAI itself, and any server that speaks its wire (`openai/NAME` with `api_base`)."""

from __future__ import annotations

from dataclasses import replace

from ...schema.chat import ChatRequest
from ...wire.http import WireRequest
from ..base import Codec, Provider, Target
from .chat import Quirks, encode, make_codec
from .errors import explain

CLASSIC = Quirks("openai")
# Reasoning models answer 400 to `max_tokens`: "Use 'max_completion_tokens' instead."
REASONING = Quirks("openai", rename={"max_tokens": "max_completion_tokens"})
REASONING_PREFIXES = ("o1", "o3", "o4", "gpt-5")


def encode_openai(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The caller's body; for a reasoning model with the limit under the name that it takes."""
    quirks = REASONING if target.model.startswith(REASONING_PREFIXES) else CLASSIC
    return encode(quirks, request, target, stream)


_SHARED = make_codec(CLASSIC)
CODEC: Codec = replace(_SHARED, encode=encode_openai)

PROVIDER = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    keys=("OPENAI_API_KEY",),
    chat=CODEC,
    explain=explain,
    billing="stops",
)
