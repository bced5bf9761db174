"""
Requests of Anthropic's own API for Claude on Vertex AI: the model is in the URL, not in the body.

The version is a field of the body, and betas are a header, as at Anthropic:
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai, 2026-11.
"""

from __future__ import annotations

from ...schema.pass_through import OriginalRequest
from ...wire import json
from ...wire.http import WireRequest
from ..anthropic.pass_through import API, BETAS, CLOUDS_LACK, COUNT_API, headers_of, stream_change
from ..base import Codec, Target
from ..gemini.framer import StreamFramer
from ..gemini.provider import COUNTS
from ..pass_through import pass_through_codec
from .claude import VERSION, ClaudeDecoder, decode
from .models import find_path, model_of


def encode(original: OriginalRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's request, for `target`'s model."""
    changes = {"model": None, "anthropic_version": json.encode(VERSION)}
    body = original.body({**changes, **stream_change(original, stream=stream)})
    path = find_path(target, "streamRawPredict" if stream else "rawPredict")
    return WireRequest(path, body, headers=headers_of(original, (BETAS,)))


def encode_count(original: OriginalRequest, target: Target, _: bool) -> WireRequest:  # noqa: FBT001
    """
    The client's request for the number of its tokens; here the model is in the body.

    The path, and `model` and `messages` in the body: docs.cloud.google.com/gemini-enterprise-agent-
    platform/models/partner-models/claude/count-tokens. `anthropic_version`, which is not on that
    page, is what Anthropic's own client sends: anthropic-sdk-python 2.12, lib/vertex/_client.py.
    Both 2026-11.
    """
    model = json.encode(model_of(target).id)
    body = original.body({"model": model, "anthropic_version": json.encode(VERSION)})
    path = find_path(target, "rawPredict", "count-tokens")
    return WireRequest(path, body, headers=headers_of(original, (BETAS,)))


CODECS = {
    API: pass_through_codec(
        encode,
        decode,
        StreamFramer,
        ClaudeDecoder,
        list_headers=(BETAS,),
        lacks=CLOUDS_LACK,
    ),
    COUNT_API: pass_through_codec(
        encode_count, decode, StreamFramer, ClaudeDecoder, list_headers=(BETAS,)
    ),
}


def find_codec(api: str, target: Target) -> Codec | None:
    """The codec of Anthropic's API, for its models, and what counts the tokens of Google's."""
    if model_of(target).publisher == "anthropic":
        return CODECS.get(api)
    if api not in COUNTS:
        return None
    from .token_count import CODEC  # only counts need it

    return CODEC
