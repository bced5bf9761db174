"""
Leaves out a deployment's defaults that do not go with what the client asks for.

Example: Claude takes `temperature` or `top_p`. With `temperature` in the config, a request with
`top_p` is sent without the config's. Loaded with the first such request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace

from ..config.deployment import Deployment
from ..errors import RequestError
from ..schema.request import ChatRequest
from ..schema.validation import parse_chat
from ..wire.http import WireRequest


def fit_defaults(
    deployment: Deployment,
    request: ChatRequest,
    encode: Callable[[ChatRequest], WireRequest],
    wire: WireRequest | RequestError,
) -> WireRequest:
    """
    The request with those defaults that cost nothing of what the client asked for.

    `wire` is the request with all of them, or its error. Raises the error of the client's own part,
    if there is one, and that of a default that the model never takes. What is left out is in the
    result's `dropped`.
    """
    added = [
        name
        for name, value in deployment.defaults.items()
        if request.body.get(name) is value  # `with_defaults` has added this very value
    ]
    if isinstance(wire, WireRequest) and not _lost(wire, added):
        return wire

    def with_only(names: Sequence[str]) -> WireRequest:
        left = {k: v for k, v in request.body.items() if k not in added or k in names}
        return encode(replace(parse_chat(left), places=request.places))

    found = with_only(())
    lost = _lost(found, added)
    if isinstance(wire, WireRequest) and _lost(wire, added) == lost:
        return wire  # the client's own values are at odds with the model, whatever the defaults are
    kept: list[str] = []
    for name in added:
        try:
            more = with_only([*kept, name])
        except RequestError as error:
            _check_alone(name, request, encode, error)
            continue
        if _lost(more, added) == lost:
            kept.append(name)
            found = more
    left_out = [name for name in added if name not in kept]
    return replace(found, dropped=(*dict.fromkeys((*found.dropped, *left_out)),))


def _lost(wire: WireRequest, added: Sequence[str]) -> set[str]:
    """The client's parameters that are left out."""
    return {name for name in wire.dropped if "[" not in name and name not in added}


def _check_alone(
    name: str,
    request: ChatRequest,
    encode: Callable[[ChatRequest], WireRequest],
    error: RequestError,
) -> None:
    """Raise the error of a default that fails alone, too: the config is wrong."""
    if error.param != name:
        return
    encode(parse_chat({"messages": request.body["messages"], name: request.body[name]}))
