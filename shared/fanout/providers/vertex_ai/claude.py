"""
Claude on Vertex AI: Anthropic's Messages API, with the model in the URL.

https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai, 2026-11
"""

from __future__ import annotations

from collections.abc import Iterator

from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.request import ChatRequest
from ...wire.http import WireEvent, WireRequest, WireResponse
from ..anthropic import response, stream
from ..anthropic.request import encode_body, write_body
from ..base import Codec, Target
from ..fields import UnsupportedFields
from ..gemini.framer import StreamFramer
from .errors import raise_google_error
from .models import find_path, model_of
from .rules import CLAUDE_DEFAULTS, CLAUDE_FIELDS, check_claude_media

VERSION = "vertex-2023-10-16"


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request for `target`'s model. What the API cannot express is rejected, or noted."""
    unsupported = UnsupportedFields(target, "Vertex AI")
    check_claude_media(request)
    kind = model_of(target).kind
    body = encode_body(request, kind, unsupported, CLAUDE_FIELDS, CLAUDE_DEFAULTS)
    body.pop("service_tier", None)
    body = {"anthropic_version": VERSION, **body}
    if stream:
        body["stream"] = True
    method = "streamRawPredict" if stream else "rawPredict"
    data = write_body(body, unsupported)
    return WireRequest(find_path(target, method), data, dropped=unsupported.dropped)


def decode(found: WireResponse, target: Target) -> ChatCompletion:
    """A message as a chat completion; raises Google's errors, too."""
    raise_google_error(found.body)
    return response.decode(found, target)


class ClaudeDecoder(stream.ChatDecoder):
    """Translates the events of one stream, in which Google's own errors may be."""

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunks."""
        if not event.type:  # each of Anthropic's events has its type
            raise_google_error(event.data)
        yield from super().feed(event)


CODEC = Codec(encode, decode, StreamFramer, ClaudeDecoder)
