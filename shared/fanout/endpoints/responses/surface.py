"""`POST /v1/responses`: the stateless part of OpenAI's Responses API."""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from ...errors import RequestError, drop_tracebacks
from ...schema.chat import ORIGINAL_BODY, ORIGINAL_EVENTS
from ...schema.fanout import parse_request
from ...schema.gateway_fields import GATEWAY_FIELDS
from ...schema.request import MessagePosition
from ..base import RequestBody, StreamEncoder, Surface, TranslatedRequest
from ..client_names import ClientNames
from .errors import NoCounterpart, client_error_body, left_out_field
from .events import ResponseEncoder
from .images import lost_content
from .original import original_of
from .request import Translated, translate
from .response import Head, from_completion

_INNER = {
    "file_data": ("file_url",),
    "file_id": ("file_url",),
}
"""What a file of a chat completion's has, by this API's names."""


def read(body: RequestBody) -> TranslatedRequest:
    """
    The request as a chat request; an error names the client's field.

    It carries the client's own request for vendors with this API, which can do more.
    """
    if not isinstance(body.value, dict):
        raise RequestError("the body must be a JSON object", None, "invalid_type")
    untranslatable: NoCounterpart | None = None
    try:
        found = translate(body.value)
    except NoCounterpart as error:
        untranslatable = drop_tracebacks(error)  # its frames hold the body
        found = _stand_in(body.value)
    try:
        request = parse_request(found.body, len(body.data))
    except RequestError as error:
        raise found.client_error(error) from None
    if request.shape == "list":
        raise RequestError("`fanout.shape` cannot be `list` here: leave it out", "fanout.shape")
    original = original_of(body, request, untranslatable, is_whole=not found.dropped)
    if untranslatable is not None and (original is None or request.is_quoted):
        raise untranslatable
    names = ClientNames(body.value, found.client_param, _INNER)
    conversations = tuple(
        replace(one, places=one.places or _places(found), original=original, names=names)
        for one in request.conversations
    )
    request = replace(request, conversations=conversations, in_pieces=True)
    return TranslatedRequest(request, found.dropped, found)


def _stand_in(value: dict[str, Any]) -> Translated:
    """What takes the place of a translation where there is none: only the gateway reads it."""
    own = {name: item for name, item in value.items() if name in GATEWAY_FIELDS}
    return translate({**own, "input": "The request is passed through."})


def _places(found: Translated) -> tuple[MessagePosition, ...]:
    """The parts of a call's result are in the item's `output`."""
    read = found.read
    return tuple(
        MessagePosition(path, numbers, "output" if message["role"] == "tool" else "content")
        for message, path, numbers in zip(read.messages, read.paths, read.numbers, strict=True)
    )


def respond(request: TranslatedRequest, body: Any) -> object:
    """The whole response; a vendor's own is passed on."""
    if ORIGINAL_BODY in body or ORIGINAL_EVENTS in body:
        from ..original_bytes import relayed  # only models with this API need it
        from .relay import NOT_STORED, last_response

        report = {"fanout": body["fanout"]} if "fanout" in body else {}
        return relayed(body, {"model": body["model"], **report}, last_response, NOT_STORED)
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
    field=lambda _, name: left_out_field(name),
    lost=lost_content,
)
