"""
The config's defaults for a request that passes through, by the names of its API.

A default is added if the client leaves it out, and in the form that the model takes: the vendor's
codec translates the same request, and the values are those of its translation. Loaded with the
first such request whose deployment has defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Raw

from ..config.deployment import Deployment
from ..errors import RequestError, drop_tracebacks
from ..schema.pass_through import DefaultField, OriginalRequest
from ..schema.request import ChatRequest
from ..wire import json
from ..wire.http import WireRequest
from .unfit_defaults import fit_defaults


def absent_defaults(deployment: Deployment, request: ChatRequest) -> Mapping[str, Any]:
    """
    The members to set in the client's request for the defaults that it does not set.

    Those that only the vendor knows have the same names. Of the others, those are left out that the
    model would not take in the same request as a chat request.
    """
    original = request.original
    has = original.members.value
    found = {n: v for n, v in deployment.additions.defaults.items() if has(n) is None}
    added = [
        name
        for name, value in deployment.defaults.items()
        if name in original.defaults and request.body.get(name) is value  # see `with_defaults`
    ]
    if not added:
        return found
    translated = _Translated(_translation(deployment, request))
    for name in added:
        field: DefaultField = original.defaults[name]
        for path in field.paths:
            value = translated.value(path, field)
            if value is not None and (change := _change(original, path, value, found)):
                found |= change
    if "tools" not in found and has("tools") is None:
        found.pop("tool_choice", None)  # APIs reject a choice without tools
    return found


def _change(
    original: OriginalRequest, path: str, value: Any, found: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The member that has the value at `path`; `None` if the client has set it."""
    member, _, inner = path.partition(".")
    given = found.get(member)
    if given is None and (data := original.members.value(member)) is not None:
        given = json.decode_or_none(data)
        if not inner and given is not None:
            return None
    if not inner:
        return {member: value}
    if given is None:
        return {member: {inner: value}}
    if not isinstance(given, dict) or given.get(inner) is not None:
        return None
    return {member: {**given, inner: value}}


_CLIENTS = frozenset({"metadata", "requestMetadata", "response_format"})
"""Objects of a request whose members have the client's own names."""


class _Translated:
    """The values of a request in the vendor's chat API, by their names there."""

    def __init__(self, body: bytes) -> None:
        self._members = json.decode(body, type=dict[str, Raw]) if body else {}

    def value(self, path: str, field: DefaultField) -> Any:
        """The value of a default for `path`; `None` if the model would not get it."""
        member, _, inner = path.partition(".")
        for found in self._all(member):
            if not inner:
                return field.convert(found)
            if isinstance(found, dict) and found.get(inner) is not None:
                return found[inner]
        others = (found for one in field.also for found in self._all(one))
        return next(map(field.convert, others), None)

    def _all(self, name: str) -> Iterator[Any]:
        """The values of this name: of the request, then in the objects of its settings."""
        forms = _forms(name)
        for form in forms:
            if (raw := self._members.get(form)) is not None:
                yield json.decode_any(bytes(raw))
        for outer, raw in self._members.items():
            if outer not in _CLIENTS and bytes(raw)[:1] == b"{":
                inner = json.decode_any(bytes(raw))
                yield from (inner[form] for form in forms if form in inner)


def _forms(name: str) -> tuple[str, str]:
    """How the vendors' APIs write a name: `top_p` and `topP`."""
    first, *others = name.split("_")
    return name, first + "".join(word.title() for word in others)


def _translation(deployment: Deployment, request: ChatRequest) -> bytes:
    """The same request in the vendor's chat API, with those defaults that fit; maybe nothing."""

    def encode(request: ChatRequest) -> WireRequest:
        return deployment.provider.chat.encode(request, deployment.target, False)

    try:
        try:
            wire: WireRequest | RequestError = encode(request)
        except RequestError as error:
            wire = drop_tracebacks(error)  # its frames hold the request
        return fit_defaults(deployment, request, encode, wire).body
    except RequestError:
        return b""  # the vendor's own API may take what its chat API does not
