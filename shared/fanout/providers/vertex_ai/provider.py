"""
Gemini and Claude on Google Cloud's Vertex AI, with a service account or default credentials.

The model's name selects the codec. Both are those of the vendors' own APIs, with what differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...schema.chat import ChatCompletion
from ...schema.request import ChatRequest
from ...wire.http import WireRequest, WireResponse
from ..base import Codec, GoogleToken, Provider, StreamDecoder, Target
from ..gemini.framer import StreamFramer
from . import claude, gemini
from .errors import explain
from .models import Publisher, complete_options, model_of

_CODECS: Mapping[Publisher, Codec] = {"google": gemini.CODEC, "anthropic": claude.CODEC}


def _codec(target: Target) -> Codec:
    return _CODECS[model_of(target).publisher]


def encode(request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The request, for the publisher of `target`'s model."""
    return _codec(target).encode(request, target, stream)


def decode(response: WireResponse, target: Target) -> ChatCompletion:
    """A response of that publisher's model."""
    return _codec(target).decode(response, target)


def decoder(target: Target) -> StreamDecoder:
    """A decoder for a stream of that publisher's model."""
    return _codec(target).decoder(target)


PROVIDER = Provider(
    name="vertex_ai",
    base_url="https://{vertex_host}",
    keys=(),
    chat=Codec(encode, decode, StreamFramer, decoder),
    explain=explain,
    auth=GoogleToken("https://www.googleapis.com/auth/cloud-platform"),
    key_optional=True,
    billing="continues",
    endpoint=r"/v1(?:beta1)?(?:/projects/.*)?",
    named_in_address={"projects": "vertex_project", "locations": "vertex_location"},
    complete=complete_options,
    settings=frozenset({"vertex_project", "vertex_location", "vertex_credentials"}),
)
