"""OpenAI itself, and any server with its API (`openai/NAME` with `api_base`)."""

from __future__ import annotations

import re

from msgspec.structs import replace

from ...schema.request import ChatRequest
from ...wire.http import WireRequest
from ..base import Provider, Target
from .chat import Quirks, encode, plain_codec
from .errors import explain

CLASSIC = Quirks("openai")
# Reasoning models reject `max_tokens`: "Use 'max_completion_tokens' instead." Only OpenAI's own
# models count: other servers have `gpt-oss`, too, and may support only the old name.
REASONING = Quirks("openai", rename={"max_tokens": "max_completion_tokens"})
_REASONING_MODEL = re.compile(r"(?:ft:)?(?:o[1-9]|gpt-(?:[5-9]|[1-9]\d))")


def is_reasoning(model: str) -> bool:
    """Whether this is the name of a reasoning model of OpenAI's."""
    return _REASONING_MODEL.match(model) is not None


def encode_openai(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's body; for a reasoning model, with the name of the limit that it accepts."""
    quirks = REASONING if is_reasoning(target.model) else CLASSIC
    return encode(quirks, request, target, stream)


PROVIDER = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    keys=("OPENAI_API_KEY",),
    chat=replace(plain_codec(CLASSIC), encode=encode_openai),
    explain=explain,
    billing="stops",
)
