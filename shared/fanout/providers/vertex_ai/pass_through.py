"""
Requests of Anthropic's own API for Claude on Vertex AI: the model is in the URL, not in the body.

The version is a field of the body, and betas are a header, as at Anthropic:
https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai, 2026-11.
"""

from __future__ import annotations

from ...schema.pass_through import OriginalRequest
from ...wire import json
from ...wire.http import WireRequest
from ..anthropic.pass_through import API, headers_of, stream_change
from ..base import Codec, Target
from ..gemini.framer import StreamFramer
from ..pass_through import pass_through_codec
from .claude import VERSION, ClaudeDecoder, decode
from .models import find_path, model_of


def encode(original: OriginalRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's request, for `target`'s model."""
    changes = {"model": None, "anthropic_version": json.encode(VERSION)}
    body = original.body({**changes, **stream_change(original, stream=stream)})
    path = find_path(target, "streamRawPredict" if stream else "rawPredict")
    return WireRequest(path, body, headers=headers_of(original, ("anthropic-beta",)))


CODEC = pass_through_codec(encode, decode, StreamFramer, ClaudeDecoder)


def find_codec(api: str, target: Target) -> Codec | None:
    """The codec of Anthropic's API, for its models."""
    return CODEC if api == API and model_of(target).publisher == "anthropic" else None
