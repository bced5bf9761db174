"""Anthropic as a provider: its address, its key and the version of its API."""

from __future__ import annotations

from ...wire.sse import SSEFramer
from ..base import Codec, Header, PromptCache, Provider, Target
from .errors import explain
from .request import encode
from .response import decode
from .stream import ChatDecoder

CODEC = Codec(encode, decode, SSEFramer, ChatDecoder)

# "a cache entry only becomes available after the first response begins", and ends after five
# minutes: platform.claude.com/docs/en/build-with-claude/prompt-caching, 2026-11
CACHE = PromptCache(marks=True)


def pass_through(api: str, target: Target) -> Codec | None:
    """The codec of requests of Anthropic's own APIs."""
    from .pass_through import find_codec  # imported with the first such request

    return find_codec(api, target)


PROVIDER = Provider(
    name="anthropic",
    base_url="https://api.anthropic.com",
    keys=("ANTHROPIC_API_KEY",),
    chat=CODEC,
    explain=explain,
    auth=Header("x-api-key"),
    billing="stops",
    endpoint="/messages",
    path="/v1",
    # The version after this one, 2026-10-21, rejects `temperature`, `top_p` and `top_k` for
    # every model: https://platform.claude.com/docs/en/api/versioning
    headers={"anthropic-version": "2023-06-01"},
    prompt_cache=lambda _: CACHE,
    pass_through=pass_through,
)
