"""
Calls that pass a client's own request through to a vendor with the same API.

Imported with the first such call.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..errors import RequestError
from ..schema.request import ChatRequest
from ..wire import json
from ..wire.http import WireRequest
from ..wire.json_members import find_members

BETAS = "anthropic-beta"
"""A header that is a list: the client's values are sent beside the config's."""


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
        headers=_joined(deployment.additions.headers, original.headers),
        defaults=_defaults(deployment, request),
    )
    return replace(deployment, provider=provider, additions=additions)


def encode_original(deployment: Deployment, request: ChatRequest, *, stream: bool) -> WireRequest:
    """The client's request, with what `for_original` has added, and the config's `extra_body`."""
    wire = deployment.provider.chat.encode(request, deployment.target, stream)
    if request.original.left_out:
        wire = replace(wire, dropped=request.original.left_out)
    added = {**deployment.additions.defaults, **deployment.additions.body}
    if not added:
        return wire
    values = {name: json.encode(value) for name, value in added.items()}
    return replace(wire, body=find_members(wire.body).changed(values))


def _defaults(deployment: Deployment, request: ChatRequest) -> Mapping[str, Any]:
    """
    The config's defaults that the client's request does not set, by the names of its API.

    Those that only the vendor knows have the same names. Of the others, those are left out that the
    model would not take in the same request as a chat request.
    """
    original = request.original
    if not original.defaults:  # a count of tokens
        return {}
    has = original.members.value
    found = {n: v for n, v in deployment.additions.defaults.items() if has(n) is None}
    given = {n: v for n, v in deployment.defaults.items() if n in original.defaults}
    absent = {n: v for n, v in given.items() if has(original.defaults[n].split(".")[0]) is None}
    if not absent:
        return found
    translated = _translated(deployment, request)
    for name, value in absent.items():
        member, _, inner = original.defaults[name].partition(".")
        if any(b'"%b":' % one.encode() in translated for one in (*_forms(name), member)):
            found[member] = {inner: value} if inner else value
    return found


def _forms(name: str) -> tuple[str, str]:
    """How the vendors' APIs write a name: `top_p` and `topP`."""
    first, *others = name.split("_")
    return name, first + "".join(word.title() for word in others)


def _translated(deployment: Deployment, request: ChatRequest) -> bytes:
    """The same request in the vendor's chat API, with those defaults that fit; maybe nothing."""
    from .unfit_defaults import fit_defaults  # few deployments have defaults

    def encode(request: ChatRequest) -> WireRequest:
        return deployment.provider.chat.encode(request, deployment.target, False)

    try:
        try:
            wire: WireRequest | RequestError = encode(request)
        except RequestError as error:
            wire = error
        return fit_defaults(deployment, request, encode, wire).body
    except RequestError:
        return b""  # the vendor's own API may take what its chat API does not


def _joined(own: Mapping[str, str], given: Mapping[str, str]) -> Mapping[str, str]:
    """The config's headers, with the client's values of a list beside its own."""
    name = next((one for one in own if one.lower() == BETAS), None)
    if name is None or BETAS not in given:
        return own
    values = [part.strip() for text in (given[BETAS], own[name]) for part in text.split(",")]
    return {**own, name: ",".join(dict.fromkeys(values))}
