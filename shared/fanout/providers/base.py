"""
What a provider is: a name, an authentication method and a codec for chat completions.

A codec is pure. It has no access to a client, a clock, the environment or a key, so a provider is
tested with values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol, TypeAlias, TypeVar

from msgspec import MsgspecError, Struct, field

from ..errors import ErrorDetail
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.request import ChatRequest
from ..wire import json
from ..wire.http import Framer, WireEvent, WireRequest, WireResponse

T = TypeVar("T")


class Bearer(Struct, frozen=True):
    """`Authorization: Bearer KEY`."""


class Header(Struct, frozen=True):
    """The key in a header of its own, such as `x-api-key`."""

    name: str


class SigV4(Struct, frozen=True):
    """AWS's request signature, with the credentials of the environment or the role."""

    service: str


class GoogleToken(Struct, frozen=True):
    """
    `Authorization: Bearer TOKEN`, with an access token of Google Cloud.

    The token is for `scope`. It comes from the deployment's `credentials`, or from Google's default
    credentials; a key in the config is used as the token itself.
    """

    scope: str


Auth: TypeAlias = Bearer | Header | SigV4 | GoogleToken

Billing: TypeAlias = Literal["stops", "continues", "unknown"]
"""Whether a provider bills on when a stream is cancelled: OpenRouter's published list (docs)."""


class Target(Struct, frozen=True):
    """
    The deployment that a codec translates for: the provider's model, and whether to drop fields.

    `name` is the client's name for the model; errors use it. `options` are the provider's own
    settings from the config (`api_version`, …).
    """

    name: str
    model: str
    drop_params: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


# ---- codecs ----


class StreamDecoder(Protocol):
    """The state of one stream. Feed it each event; it returns the chunks that this completes."""

    @property
    def ended(self) -> bool:
        """Whether the provider has sent its own end of the response."""
        ...

    def feed(self, event: WireEvent) -> Iterable[ChatChunk]:
        """Translate one event. Raises `WireError` for an error event, `BadWire` if malformed."""
        ...


class WireError(Exception):
    """A provider's error, inside a response that began as a success."""

    def __init__(self, status: int, detail: ErrorDetail) -> None:
        super().__init__(detail.message)
        self.status = status
        self.detail = detail


class BadWire(ValueError):
    """The response is not in the provider's own format. The message is safe to show."""


class Codec(Struct, frozen=True):
    """
    The translation of chat completions: request to wire, and wire to a response or to chunks.

    `encode` must return the same bytes for the same values, and list in `WireRequest.dropped` what
    it left out. `decode` may raise `BadWire`, `WireError` or any msgspec error.
    """

    encode: Callable[[ChatRequest, Target, bool], WireRequest]
    decode: Callable[[WireResponse, Target], ChatCompletion]
    framer: Callable[[], Framer]
    decoder: Callable[[Target], StreamDecoder]


Explain: TypeAlias = Callable[[int, bytes], ErrorDetail]

Complete: TypeAlias = Callable[[str, Mapping[str, str]], Mapping[str, str]]
"""Adds to the options of a deployment of a model. Raises `ConfigError` if they cannot work."""


class Provider(Struct, frozen=True):
    """
    A vendor. `base_url` may have `{option}` placeholders, which the config fills (Azure, Bedrock).

    `keys` are the environment variables that may hold its key, the first that is set counts. A
    provider with `key_optional` (your own server) is called without a key if there is none.
    `organization_header` names the header that selects one of the key's organizations.
    `ignores_unknown` says that it silently ignores fields that it does not know.
    `complete` adds options that follow from others, such as the host of a location. `settings` are
    the keys of `litellm_params` that only some providers read, and that this one does.

    `endpoint` is a pattern of what an address may end with that the codec's path has, too. `path`
    is the usual one of servers that others run with this API, for an address without any.
    `named_in_address` are the parts of an address that name what an option names, too.
    """

    name: str
    base_url: str
    keys: tuple[str, ...]
    chat: Codec
    explain: Explain
    auth: Auth = Bearer()
    key_optional: bool = False
    billing: Billing = "unknown"
    headers: Mapping[str, str] = field(default_factory=dict)
    organization_header: str = ""
    ignores_unknown: bool = False
    complete: Complete | None = None
    settings: frozenset[str] = frozenset()
    endpoint: str = ""
    path: str = ""
    named_in_address: Mapping[str, str] = field(default_factory=dict)


def read_error(body: bytes, shape: type[T]) -> T | None:
    """
    An error body of that shape, as far as it can be read; `None` if it has another.

    Such a body (a proxy's HTML page) is never shown to a client.
    """
    try:
        return json.decode_tolerant(body, shape)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
