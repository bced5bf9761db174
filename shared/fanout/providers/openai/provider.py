"""OpenAI itself, and any server that speaks its wire (`openai/NAME` with `api_base`)."""

from __future__ import annotations

import re

from msgspec.structs import replace

from ...schema.request import ChatRequest
from ...wire.http import WireRequest
from ..base import Provider, Target
from .chat import Quirks, encode, plain_codec
from .errors import explain

CLASSIC = Quirks("openai")
# Reasoning models answer 400 to `max_tokens`: "Use 'max_completion_tokens' instead." Only OpenAI's
# own names are taken for them: `gpt-oss` is anybody's, whose server may know the old name only.
REASONING = Quirks("openai", rename={"max_tokens": "max_completion_tokens"})
_REASONING_MODEL = re.compile(r"(?:ft:)?(?:o[1-9]|gpt-(?:[5-9]|[1-9]\d))")


def is_reasoning(model: str) -> bool:
    """Whether a model of OpenAI's is one that thinks before it answers, by its name."""
    return _REASONING_MODEL.match(model) is not None


def encode_openai(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The caller's body; for a reasoning model with the limit under the name that it takes."""
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
