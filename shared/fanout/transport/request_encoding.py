"""Encodes a request for chat in the format of a deployment's provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..errors import RequestError, drop_tracebacks
from ..schema.request import ChatRequest
from ..schema.validation import check_choice
from ..wire import json
from ..wire.http import WireRequest

NoteRequest: TypeAlias = Callable[[WireRequest], None]
"""Gets a call's request before it is sent."""


def unnoted(_: WireRequest) -> None:
    """A `NoteRequest` of a caller that does not ask for it."""


def stream_request(deployment: Deployment, request: ChatRequest) -> WireRequest | None:
    """The request that a stream would have; `None` if it is rejected."""
    from ..schema.validation import with_defaults  # few calls wait after a response has begun

    try:
        if request.original is not None:
            from .pass_through import for_original

            deployment = for_original(deployment, request)
        request = with_defaults(request, deployment.defaults)
        return encode_request(deployment, request, stream=True)
    except RequestError:
        return None


def encode_request(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The request in the provider's format, with the fields that the deployment adds."""
    if deployment.provider.chat.passes_through:
        from .pass_through import encode_original  # few clients send a vendor's own requests

        return encode_original(deployment, request, stream=stream)
    for message in request.body["messages"]:
        if "audio" in message:
            from .expired_audio import without_expired  # few conversations are spoken

            request = without_expired(request, time.time())
            break
    below, above = deployment.additions.defaults, deployment.additions.body
    has_tools = "tools" in below or "tools" in above
    if "additional_drop_params" in request.body or "allowed_openai_params" in request.body:
        from .request_params import encode  # few requests say what their provider has

        wire = encode(deployment, request, stream=stream, has_tools=has_tools)
        absent = request.additional_drop_params or ()
        below = {name: value for name, value in below.items() if name not in absent}
    else:
        if request.tool_choice is not None and not has_tools:
            request = check_choice(request)
        encode_it = _encode_with_defaults if deployment.defaults else _encode_alone
        wire = encode_it(deployment, request, stream=stream)
    if request.left_out:
        wire = replace(wire, dropped=(*dict.fromkeys((*wire.dropped, *request.left_out)),))
    if not below and not above:
        return wire
    one_choice = wire.one_choice and "n" not in below and "n" not in above
    body = json.encode({**below, **json.decode(wire.body), **above})
    return replace(wire, body=body, one_choice=one_choice)


def _encode_alone(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The request in the provider's format."""
    return deployment.provider.chat.encode(request, deployment.target, stream)


def _encode_with_defaults(
    deployment: Deployment, request: ChatRequest, *, stream: bool
) -> WireRequest:
    """The request in the provider's format, without defaults that it rules out."""
    wire: WireRequest | RequestError

    def encode(request: ChatRequest) -> WireRequest:
        return _encode_alone(deployment, request, stream=stream)

    try:
        wire = encode(request)
        if not wire.dropped:
            return wire
    except RequestError as error:
        wire = drop_tracebacks(error)  # its frames hold the request
    from .unfit_defaults import fit_defaults  # few requests and defaults are at odds

    return fit_defaults(deployment, request, encode, wire)
