"""Cohere; see https://docs.cohere.com/reference/chat."""

from __future__ import annotations

from ...wire.sse import SSEFramer
from ..base import Codec, Provider
from .errors import explain
from .request import encode
from .response import decode
from .stream import ChatDecoder

PROVIDER = Provider(
    name="cohere",
    base_url="https://api.cohere.com",
    keys=("COHERE_API_KEY", "CO_API_KEY"),
    chat=Codec(encode, decode, SSEFramer, ChatDecoder),
    explain=explain,
    billing="stops",
    endpoint=r"/v[12](?:/chat|/embed)?",
)
