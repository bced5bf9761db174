"""
Gemini and Claude on Google Cloud's Vertex AI, with a service account or default credentials.

The model's name selects the codec. Both are those of the vendors' own APIs, with what differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..base import Codec, GoogleToken, Provider, Target, codec_by_model
from ..gemini.framer import StreamFramer
from . import claude, gemini
from .errors import explain
from .models import Publisher, complete_options, model_of

_CODECS: Mapping[Publisher, Codec] = {"google": gemini.CODEC, "anthropic": claude.CODEC}


def _codec(target: Target) -> Codec:
    return _CODECS[model_of(target).publisher]


def pass_through(api: str, target: Target) -> Codec | None:
    """The codec of requests of Anthropic's own API, for its models."""
    from .pass_through import find_codec  # imported with the first such request

    return find_codec(api, target)


PROVIDER = Provider(
    name="vertex_ai",
    trace_name="gcp.vertex_ai",
    base_url="https://{vertex_host}",
    keys=(),
    chat=codec_by_model(_codec, StreamFramer),
    explain=explain,
    auth=GoogleToken("https://www.googleapis.com/auth/cloud-platform"),
    key_optional=True,
    billing="continues",
    endpoint=r"/v1(?:beta1)?(?:/projects/.*)?",
    named_in_address={"projects": "vertex_project", "locations": "vertex_location"},
    complete=complete_options,
    pass_through=pass_through,
    settings=frozenset({"vertex_project", "vertex_location", "vertex_credentials"}),
)
