"""
What an endpoint beside chat completions is: a translation of its API from and to chat completions.

A translation is pure: it knows no client, no clock and no key. The gateway serves what it makes as
any chat request, so races, fallbacks, limits, reports and cancelling work on every endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, Protocol

from msgspec import Struct, field

from ..errors import status_of
from ..schema.chat import ORIGINAL_BODY, ORIGINAL_EVENTS, ChatChunk
from ..schema.fanout import FanOutRequest
from ..secret import HiddenRepr

_ORIGINAL = frozenset({ORIGINAL_BODY, ORIGINAL_EVENTS})


class TranslatedRequest(HiddenRepr, frozen=True):
    """
    A client's request as a chat request.

    `dropped` names the fields that have no place in a chat request; a response header has them.
    `given` is what the response needs of the client's body, in the endpoint's own form. `id` is the
    request's, and `created` its time in seconds since 1970, for responses without their own.
    """

    request: FanOutRequest
    dropped: tuple[str, ...] = ()
    given: Any = None
    id: str = ""
    created: int = 0


class StreamEncoder(Protocol):
    """
    A streamed response in the events of an endpoint; every method returns the bytes to send.

    `keep_alive` is called after a silence, maybe before the first chunk. After `end` or `fail`
    nothing is called.
    """

    def feed(self, chunk: ChatChunk) -> bytes:
        """The events of one chunk, as the gateway sends chunks to clients; maybe none."""
        ...

    def end(self) -> bytes:
        """The last events of a complete response."""
        ...

    def fail(self, error: Exception) -> bytes:
        """The last events of a response that failed after its HTTP status was sent."""
        ...

    def keep_alive(self) -> bytes:
        """What shows the client, and every proxy on the way, that the response is coming."""
        ...


class RequestBody(HiddenRepr, frozen=True):
    """A client's body: its JSON value, its bytes, the request's headers (lower case) and query."""

    value: Any
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""


class Surface(Struct, frozen=True):
    """
    An endpoint's translation.

    `read` raises `RequestError` with the name of the client's field. `respond` makes the whole
    response of the gateway's body: a chat completion, or one that combines several with a `fanout`
    field. `error_body` makes the JSON of an error, of the error and the request's id. `headers` are
    those of every response, of the request's id. `status` is the HTTP status of an error. `field`
    is the client's name of a field of the chat request that a vendor does not take. `lost` names
    what the endpoint's response has no place for: of a message, or of its piece in a stream, or of
    what is beside the messages. With `has_own_metadata`, the API's `metadata` has
    no place for a request's tags.
    """

    read: Callable[[RequestBody], TranslatedRequest]
    respond: Callable[[TranslatedRequest, Any], object]
    encoder: Callable[[TranslatedRequest], StreamEncoder]
    error_body: Callable[[Exception, str], object]
    headers: Callable[[str], Mapping[str, str]] = lambda _: {}
    status: Callable[[Exception], int] = status_of
    field: Callable[[TranslatedRequest, str], str] = lambda _, name: name
    lost: Callable[[Mapping[str, Any]], Iterable[str]] = lambda _: ()
    has_own_metadata: bool = False


class Translation(Struct, frozen=True):
    """How one request's response is sent."""

    surface: Surface
    request: TranslatedRequest

    def respond(self, body: object) -> object:
        """The whole response."""
        return self.surface.respond(self.request, body)

    def dropped(self, names: Iterable[str], *, translated: bool) -> tuple[str, ...]:
        """
        The client's fields that some model did not get; `names` are those of the chat request.

        `translated`: it got the chat request, so that it has nothing of what has no place in one.
        """
        ours = (self.surface.field(self.request, name) for name in names)
        return tuple(dict.fromkeys((*(self.request.dropped if translated else ()), *ours)))

    def lost(self, body: Any) -> tuple[str, ...]:
        """
        What a response, or one chunk of it, has no place for, as `output.NAME`.

        A vendor's own response is passed on, so it loses nothing.
        """
        if not isinstance(body, dict) or not _ORIGINAL.isdisjoint(body):
            return ()
        parts: list[Any] = [body]
        for choice in body.get("choices") or ():
            if not _ORIGINAL.isdisjoint(choice):
                continue
            parts.append(choice.get("message") or choice.get("delta") or {})
        names = (name for part in parts for name in self.surface.lost(part))
        return tuple(dict.fromkeys(f"output.{name}" for name in names))

    def encoder(self) -> StreamEncoder:
        """The encoder of a streamed response."""
        return self.surface.encoder(self.request)


def find_surface(name: str) -> Surface:
    """The translation of the folder `name`: the value `SURFACE` of its module `surface`."""
    found: Surface = import_module(f".{name}.surface", __package__).SURFACE
    return found
