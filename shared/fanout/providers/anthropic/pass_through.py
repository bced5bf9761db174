"""
Requests of Anthropic's own API, which reach it with every byte but the model's name.

Its SDKs send the version of the API and its betas in headers:
https://platform.claude.com/docs/en/api/versioning and …/beta-headers, 2026-11.
"""

from __future__ import annotations

from ...schema.pass_through import OriginalRequest
from ...wire import json
from ...wire.http import WireRequest
from ...wire.sse import SSEFramer
from ..base import Codec, Target
from ..pass_through import pass_through_codec
from .request import PATH
from .response import decode
from .stream import ChatDecoder

API = "messages"
COUNT_API = "messages/count_tokens"
BETAS = "anthropic-beta"
HEADERS = ("anthropic-version", BETAS)
CLOUDS_LACK = ("thread",)
"""
What the API has not on clouds: anthropic-sdk-python 2.12, where only the client of Anthropic's own
API `_supports_message_threads`, 2026-11.
"""


def stream_change(original: OriginalRequest, *, stream: bool) -> dict[str, bytes | None]:
    """The change of `stream`, if the gateway asks otherwise than the client: in a race."""
    if original.asks("stream") == stream:
        return {}
    return {"stream": b"true" if stream else b"false"}


def headers_of(original: OriginalRequest, names: tuple[str, ...] = HEADERS) -> dict[str, str]:
    """The headers of the client that the vendor reads."""
    return {name: original.headers[name] for name in names if name in original.headers}


def query_of(original: OriginalRequest) -> str:
    """The client's query: its SDK's beta methods send `?beta=true`."""
    return f"?{original.query}" if original.query else ""


def encode(original: OriginalRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The client's request, for `target`'s model."""
    model = json.encode(target.model)
    body = original.body({"model": model, **stream_change(original, stream=stream)})
    return WireRequest(PATH + query_of(original), body, headers=headers_of(original))


def encode_count(original: OriginalRequest, target: Target, _: bool) -> WireRequest:  # noqa: FBT001
    """The client's request for the number of its tokens."""
    body = original.body({"model": json.encode(target.model)})
    path = f"{PATH}/count_tokens{query_of(original)}"
    return WireRequest(path, body, headers=headers_of(original))


CODECS = {
    API: pass_through_codec(encode, decode, SSEFramer, ChatDecoder, list_headers=(BETAS,)),
    COUNT_API: pass_through_codec(
        encode_count, decode, SSEFramer, ChatDecoder, list_headers=(BETAS,)
    ),
}


def find_codec(api: str, _: Target) -> Codec | None:
    """The codec of one of Anthropic's APIs."""
    return CODECS.get(api)
