"""
Calls that pass a client's own request through to a vendor with the same API.

Imported with the first such call.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..schema.request import ChatRequest
from ..wire import json
from ..wire.http import WireRequest
from ..wire.json_members import find_members


def for_original(deployment: Deployment, request: ChatRequest) -> Deployment:
    """
    The deployment, with the codec that passes the request through if its vendor has the API.

    Raises the `RequestError` of a request that cannot be translated either.
    """
    original = request.original
    codec = deployment.provider.pass_through(original.api, deployment.target)
    if codec is None:
        if original.untranslatable is not None:
            raise original.untranslatable
        return deployment
    provider = replace(deployment.provider, chat=codec)
    additions = replace(
        deployment.additions,
        headers=_joined(deployment.additions.headers, original.headers, codec.list_headers),
        defaults=_defaults(deployment, request),
    )
    return replace(deployment, provider=provider, additions=additions)


def encode_original(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The client's request, with what `for_original` has added, and the config's `extra_body`."""
    wire = deployment.provider.chat.encode(request, deployment.target, stream)
    dropped = tuple(dict.fromkeys((*request.original.left_out, *wire.dropped)))
    wire = replace(wire, dropped=dropped, original=True)
    added = {**deployment.additions.defaults, **deployment.additions.body}
    if not added:
        return wire
    values = {name: json.encode(value) for name, value in added.items()}
    return replace(wire, body=find_members(wire.body).changed(values))


def _defaults(deployment: Deployment, request: ChatRequest) -> Mapping[str, Any]:
    """The config's defaults that the client's request does not set, by the names of its API."""
    is_count = not request.original.defaults
    if is_count or not (deployment.defaults or deployment.additions.defaults):
        return {}
    from .original_defaults import absent_defaults  # few deployments have defaults

    return absent_defaults(deployment, request)


def _joined(
    own: Mapping[str, str], given: Mapping[str, str], lists: Collection[str]
) -> Mapping[str, str]:
    """The config's headers, with the client's values of the headers that are `lists`."""
    joined = dict(own)
    for name in own:
        if (header := name.lower()) in lists and header in given:
            values = [
                part.strip() for text in (given[header], own[name]) for part in text.split(",")
            ]
            joined[name] = ",".join(dict.fromkeys(values))
    return joined
