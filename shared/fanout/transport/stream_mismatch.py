"""
A whole response where the request asked for a stream, and the reverse.

Imported with the first such body.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from msgspec import ValidationError

from ..config.deployment import Deployment
from ..errors import Broken, ErrorDetail
from ..providers.base import BadWire, WireError, is_paid
from ..schema.accumulator import ChunkAccumulator
from ..schema.chat import ChatChunk, ChatCompletion, Delta, Usage
from ..schema.chat_builders import make_chunk
from ..schema.response_chunks import chunks_of
from ..wire import json
from ..wire.http import WireEvent, WireResponse
from .error_bodies import DECODE_ERRORS, from_decoding
from .held_chunks import Holding
from .text_events import error_of, text_of

UNFINISHED = ErrorDetail("the stream ended before the response was complete")


NO_CHOICE = ErrorDetail("the response ended without any content")


def empty_chunk(deployment: Deployment, usage: Usage | None) -> ChatChunk:
    """The only choice of a stream without any, which was paid by its `usage`; else `Broken`."""
    if not is_paid(usage):
        raise Broken(deployment, NO_CHOICE)
    return make_chunk(deployment.target.model, Delta(role="assistant", content=""), "stop")


def whole_chunks(
    deployment: Deployment, response: WireResponse, key: str | None
) -> Iterator[ChatChunk]:
    """
    The chunks of a JSON body, with which the provider responded instead of a stream.

    If there is none (the body is empty), the stream broke.
    """
    if not response.body:
        raise Broken(deployment, UNFINISHED)
    try:
        completion = deployment.provider.chat.decode(response, deployment.target)
    except (WireError, *DECODE_ERRORS) as error:
        if chunks := _stream_chunks(deployment, error, response.body, key):
            return iter(chunks)
        raise from_decoding(deployment, error, response, key) from None
    return chunks_of(completion)


def joined_stream(
    deployment: Deployment, error: Exception, response: WireResponse, key: str | None
) -> ChatCompletion:
    """The response whose stream came instead of it; raises the error of any other body."""
    chunks = _stream_chunks(deployment, error, response.body, key)
    if not chunks:
        raise from_decoding(deployment, error, response, key) from None
    accumulator = ChunkAccumulator()
    for chunk in chunks:
        accumulator.add(chunk)
    return accumulator.completion()


def _stream_chunks(
    deployment: Deployment, error: Exception, body: bytes, key: str | None
) -> list[ChatChunk]:
    """
    The chunks of a body that is a stream after all, though decoding it raised `error`; else none.

    Raises the stream's own error, or `Broken` if it is not complete.
    """
    if isinstance(error, WireError):
        return []
    codec = deployment.provider.chat
    decoder = codec.decoder(deployment.target)
    chunks: list[ChatChunk] = []
    with suppress(*DECODE_ERRORS):
        for event in _events(deployment, body):
            try:
                chunks += decoder.feed(event)
            except WireError as fault:
                if decoder.ended:
                    break
                response = WireResponse(200, {}, event.data)
                raise from_decoding(deployment, fault, response, key) from None
            except DECODE_ERRORS as odd:
                _skip(deployment, odd, event, key)
    if isinstance(decoder, Holding):
        chunks += decoder.rest()
    has_choices = any(chunk["choices"] for chunk in chunks)
    if not decoder.ended:
        if not has_choices:
            return []
        raise Broken(deployment, UNFINISHED)
    if not has_choices:
        usages = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
        return [*chunks, empty_chunk(deployment, usages[-1] if usages else None)]
    return chunks


def _skip(deployment: Deployment, odd: Exception, event: WireEvent, key: str | None) -> None:
    """Skip an odd event, as in a stream; raise the error that it is, or that ends the reading."""
    text = text_of(event.data)
    if text and (found := error_of(deployment, odd, event, key)) is not None:
        raise found
    if not (text or isinstance(odd, BadWire | ValidationError)):
        raise odd


def _events(deployment: Deployment, body: bytes) -> Iterable[WireEvent]:
    """The events of a body: in the provider's framing, or as a list or lines of JSON."""
    body = body.removeprefix(json.BOM).strip()
    if body.startswith(b"["):
        found = json.decode(body)
        return [WireEvent(json.encode(one)) for one in found]
    if body.startswith(b"{"):
        lines = [line for line in body.splitlines() if line.strip()]
        return map(WireEvent, lines) if len(lines) > 1 else ()  # one is a whole response
    return deployment.provider.chat.framer().feed(body + b"\n\n")
