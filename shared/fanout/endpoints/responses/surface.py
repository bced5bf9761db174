"""`POST /v1/responses`: the stateless part of OpenAI's Responses API."""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from ...errors import RequestError
from ...schema.fanout import parse_request
from ...schema.request import Place
from ..base import RequestBody, StreamEncoder, Surface, TranslatedRequest
from .errors import client_error_body
from .events import ResponseEncoder
from .request import Translated, translate
from .response import Head, from_completion


def read(body: RequestBody) -> TranslatedRequest:
    """The request as a chat request; an error names the client's field."""
    if not isinstance(body.value, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    found = translate(body.value)
    try:
        request = parse_request(found.body, len(body.data))
    except RequestError as error:
        raise found.client_error(error) from None
    if request.shape == "list":
        raise RequestError("`fanout.shape` cannot be `list` here: leave it out", "fanout.shape")
    conversations = tuple(
        replace(one, places=_places(found)) if not one.places else one
        for one in request.conversations
    )
    request = replace(request, conversations=conversations, in_pieces=True)
    return TranslatedRequest(request, found.dropped, found)


def _places(found: Translated) -> tuple[Place, ...]:
    return tuple(Place(path) for path in found.paths)


def respond(request: TranslatedRequest, body: Any) -> object:
    """The whole response."""
    return from_completion(body, _head(request), int(time.time()))


def encoder(request: TranslatedRequest) -> StreamEncoder:
    """The encoder of the events of a stream."""
    models = request.request.models
    return ResponseEncoder(
        _head(request),
        model=models[0] if len(models) == 1 else None,
        is_combined=request.request.combined,
        now=lambda: int(time.time()),
    )


def _head(request: TranslatedRequest) -> Head:
    """The response's id is made of the request's: its letters and numbers."""
    found: Translated = request.given
    letters = "".join(c for c in request.id.removeprefix("req_") if c.isalnum())
    return Head(found.echo, f"resp_{letters or 0}", request.created, found.names)


SURFACE = Surface(
    read=read,
    respond=respond,
    encoder=encoder,
    error_body=lambda error, _: client_error_body(error),
)
