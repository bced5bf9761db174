"""
Complete responses with a premature close: the connection broke before the end that HTTP requires.

Such a response is paid and complete: its `Content-Length` was too large, its last chunk or the end
of its compression is missing, or the server reset the connection or the HTTP/2 stream. JSON shows
by itself whether it is whole: a part of an object is no object. Imported with the first connection
that breaks within a response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..errors import Broken, Malformed, ProviderError
from ..providers.base import WireError
from ..wire import json
from ..wire.http import WireEvent, WireResponse
from .engine import SUCCESS, EngineError
from .error_bodies import DECODE_ERRORS
from .stream_mismatch import joined_stream

Decode: TypeAlias = Callable[[WireResponse], object]
"""Reads a response of another API than chat; raises one of `DECODE_ERRORS`."""


def whole_response(
    deployment: Deployment, decode: Decode | None, error: EngineError
) -> WireResponse | None:
    """
    The response that has arrived whole before its connection broke with `error`.

    `None` if it is not certain that nothing is missing. An error response with a damaged body is
    one without a body. The error keeps nothing of it.
    """
    received, error.received = error.received, None
    if received is None:
        return None
    if is_whole(deployment, received, decode=decode):
        return replace(received, broken_end=True)
    return replace(received, body=b"", broken_end=True) if error.is_damaged else None


def is_whole(
    deployment: Deployment, response: WireResponse, *, decode: Decode | None = None
) -> bool:
    """
    Whether a response is complete by its body alone.

    An error response must be a JSON object or list. A success must be a response in the provider's
    format, an error in it, or a stream up to its own end; of another API than chat, what `decode`
    reads.
    """
    is_document = json.is_document(response.body)
    if response.status not in SUCCESS:
        return is_document
    if decode is not None:
        return is_document and _is_read(decode, response)
    try:
        deployment.provider.chat.decode(response, deployment.target)
    except WireError:
        return is_document
    except DECODE_ERRORS as error:
        return _is_whole_stream(deployment, error, response)
    return is_document and not _is_piece(deployment, response.body)


def _is_read(decode: Decode, response: WireResponse) -> bool:
    try:
        decode(response)
    except WireError:
        return True
    except DECODE_ERRORS:
        return False
    return True


def _is_whole_stream(deployment: Deployment, error: Exception, response: WireResponse) -> bool:
    """Whether the body is a stream with its end, or with an error; decoding it raised `error`."""
    try:
        joined_stream(deployment, error, response, None)
    except (Broken, Malformed):
        return False
    except ProviderError:
        pass
    return True


def _is_piece(deployment: Deployment, body: bytes) -> bool:
    """
    Whether the body is a piece of a stream, whose other pieces may be missing.

    Some servers send a stream's events as lines of JSON, and some vendors' pieces have the shape of
    a whole response.
    """
    decoder = deployment.provider.chat.decoder(deployment.target)
    try:
        chunks = list(decoder.feed(WireEvent(body.removeprefix(json.BOM).strip())))
    except (WireError, *DECODE_ERRORS):
        return False
    if decoder.ended or not any(chunk["choices"] for chunk in chunks):
        return False
    choices = json.decode_any(body).get("choices")
    has_messages = isinstance(choices, list) and all("message" in one for one in choices)
    return not has_messages  # a response without a finish reason
