"""
What a provider is: a name, a way to sign, and a codec for the endpoint it has.

A codec is pure. It never sees a client, a clock, an environment variable or a secret, so the
whole of a provider is tested with values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

from msgspec import Struct, field

from ..errors import ErrorDetail, Unsupported
from ..schema.chat import ChatChunk, ChatCompletion
from ..schema.request import ChatRequest
from ..wire.http import Framer, WireEvent, WireRequest, WireResponse


class Bearer(Struct, frozen=True):
    """`Authorization: Bearer KEY`."""


class Header(Struct, frozen=True):
    """The key in a header of its own, such as `x-api-key`."""

    name: str


class SigV4(Struct, frozen=True):
    """AWS's request signature, by the environment's or the role's credentials."""

    service: str


Auth: TypeAlias = Bearer | Header | SigV4

Billing: TypeAlias = Literal["stops", "continues", "unknown"]
"""What a provider does with the bill when a stream is cut: OpenRouter's published list (docs)."""


class Target(Struct, frozen=True):
    """
    Whom a codec translates for: the model as the provider names it, and what may be left out.

    `name` is the caller's name for it and is what errors say. `options` are the provider's own
    settings from the config (`api_version`, …).
    """

    name: str
    model: str
    drop_params: bool = False
    options: Mapping[str, str] = field(default_factory=dict)


class Losses:
    """Collects what a wire cannot say: refused by name, or noted where dropping is allowed."""

    def __init__(self, target: Target, provider: str) -> None:
        self._target = target
        self._provider = provider
        self._dropped: list[str] = []

    def lose(self, param: str, why: str = "") -> None:
        """Refuse `param` with a 400 that names it, unless `drop_params` allows to leave it out."""
        if not self._target.drop_params:
            reason = f": {why}" if why else ""
            raise Unsupported(
                f"`{self._target.name}`: {self._provider} does not take `{param}`{reason}. "
                "Leave it out, or set `drop_params: true` in the config.",
                param,
            )
        self._dropped.append(param)

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)


class StreamDecoder(Protocol):
    """Per-stream state. Feed it each event; it returns the chunks that the event completes."""

    @property
    def ended(self) -> bool:
        """Whether the provider has said, in its own words, that the answer is complete."""
        ...

    def feed(self, event: WireEvent) -> Iterable[ChatChunk]:
        """Translate one event. Raises `WireError` for an error event, `BadWire` for nonsense."""
        ...


class WireError(Exception):
    """A provider's own error, found inside a reply that began as a success."""

    def __init__(self, status: int, detail: ErrorDetail) -> None:
        super().__init__(detail.message)
        self.status = status
        self.detail = detail


class BadWire(ValueError):
    """The reply is not in the provider's own wire format; the message is safe to show."""


class Codec(Struct, frozen=True):
    """
    The translation of chat completions: request to wire, wire to an answer or to chunks.

    `encode` must give the same bytes for the same values and say in `WireRequest.dropped` what it
    left out. `decode` may raise `BadWire`, `WireError` or any msgspec error on nonsense.
    """

    encode: Callable[[ChatRequest, Target, bool], WireRequest]
    decode: Callable[[WireResponse, Target], ChatCompletion]
    framer: Callable[[], Framer]
    decoder: Callable[[Target], StreamDecoder]


Explain: TypeAlias = Callable[[int, bytes], ErrorDetail]


class Provider(Struct, frozen=True):
    """
    A vendor. `base_url` may hold `{option}` places that the config fills (Azure, Bedrock).

    `keys` are the environment names of its key, in the order they are looked for; a provider with
    `key_optional` (a server of one's own) is asked without one where there is none.
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


def refuse_unknown(
    request: ChatRequest, losses: Losses, known: frozenset[str], message_fields: frozenset[str]
) -> None:
    """
    Account for every field of the request that a codec does not read: refused, or noted as dropped.

    `known` are the top-level fields that the codec translates (or knows to be meaningless to the
    provider, such as `user`), `message_fields` those of a message.
    """
    for name, value in request.body.items():
        if value is not None and name not in known:
            losses.lose(name)
    for index, message in enumerate(request.body["messages"]):
        fields: Mapping[str, Any] = message
        for name, value in fields.items():
            if value is not None and value != [] and name not in message_fields:
                losses.lose(f"messages[{index}].{name}")
