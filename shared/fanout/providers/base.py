"""
What a provider is: a name, an authentication method and a codec for chat completions.

A codec is pure. It has no access to a client, a clock, the environment or a key, so a provider is
tested with values alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from msgspec import MsgspecError, Struct, field

from ..errors import ErrorDetail
from ..schema.chat import ChatChunk, ChatCompletion, FinishReason
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
    """
    AWS's request signature, with the credentials of the environment or the role.

    `others` are the services of AWS that a `WireRequest` may name. Their names are in their
    addresses and in the signatures of requests to them.
    """

    service: str
    others: frozenset[str] = frozenset()


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


class Template(Struct, frozen=True, cache_hash=True):
    """
    What the config says of the order of messages that a model's chat template accepts.

    `None` leaves it to the rules for the model's name. `alternate`: user and assistant take turns.
    Without a `system_role`, system prompts are the user's. `one_system`: there is one system
    message, and it is first. `single_calls`: each message has one call. `after_tools` is the
    assistant's turn between the result of a tool and the user's. `user_turn` and `assistant_turn`
    are the texts of turns that are added so that the roles alternate; without them, neighbors with
    one role become one message.
    """

    alternate: bool | None = None
    system_role: bool | None = None
    one_system: bool | None = None
    single_calls: bool | None = None
    after_tools: str | None = None
    user_turn: str = ""
    assistant_turn: str = ""


TEMPLATE_SETTINGS = frozenset({"supports_system_message", "template_rules"})
"""The keys of `litellm_params` for it that only providers with OpenAI's API read."""


class Target(Struct, frozen=True):
    """
    The deployment that a codec translates for: the provider's model, and whether to drop fields.

    `name` is the client's name for the model; errors use it. `options` are the provider's own
    settings from the config (`api_version`, …). `one_choice`: the response to decode has only one.
    `template` is what the config says of the model's chat template.
    """

    name: str
    model: str
    drop_params: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    one_choice: bool = False
    template: Template | None = None


class NameRule(Struct, frozen=True, cache_hash=True):
    """
    The names of functions that a vendor accepts in earlier calls: those that match `pattern`.

    They have `letters` (as in a regular expression), the first of them one of `first` if that is
    given, and no more than `most`. `tools` is the pattern of names in `tools`, if the vendor has
    published one: a name that does not match it is an error.
    """

    letters: str = "a-zA-Z0-9_-"
    first: str = ""
    most: int = 64
    tools: str = ""

    @property
    def pattern(self) -> str:
        return f"[{self.first or self.letters}][{self.letters}]{{0,{self.most - 1}}}"


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


@runtime_checkable
class ImpliedEnd(Protocol):
    """A decoder that can tell, when the bytes have ended well, that the response is complete."""

    def complete(self) -> Iterable[ChatChunk]:
        """The last chunks of a response whose end the provider left out; none if it broke off."""
        ...


class WireError(Exception):
    """
    A provider's error, inside a response that began as a success.

    `body` is its JSON, if that is within another event.
    """

    def __init__(self, status: int, detail: ErrorDetail) -> None:
        super().__init__(detail.message)
        self.status = status
        self.detail = detail
        self.body: bytes | None = None


class BadWire(ValueError):
    """The response is not in the provider's own format. The message is safe to show."""


class Codec(Struct, frozen=True):
    """
    The translation of chat completions: request to wire, and wire to a response or to chunks.

    `encode` must return the same bytes for the same values, and list in `WireRequest.dropped` what
    it left out. `decode` may raise `BadWire`, `WireError` or any msgspec error. One that
    `passes_through` sends the client's original request, and keeps what the vendor sends; its
    `list_headers` are lists, so the client's values are sent beside the config's. `lacks` are the
    members of the API that this vendor does not have, because it keeps no conversations.
    """

    encode: Callable[[ChatRequest, Target, bool], WireRequest]
    decode: Callable[[WireResponse, Target], ChatCompletion]
    framer: Callable[[], Framer]
    decoder: Callable[[Target], StreamDecoder]
    passes_through: bool = False
    list_headers: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


def codec_by_model(find: Callable[[Target], Codec], framer: Callable[[], Framer]) -> Codec:
    """The codec of a provider with several APIs: that of each target's model; one framer."""
    return Codec(
        lambda request, target, stream: find(target).encode(request, target, stream),
        lambda response, target: find(target).decode(response, target),
        framer,
        lambda target: find(target).decoder(target),
    )


STOP_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
}
"""The stop reasons that APIs with blocks of content share; each vendor's table has its source."""

Explain: TypeAlias = Callable[[int, bytes], ErrorDetail]

Rename: TypeAlias = Callable[[str, bool], str]
"""
The model's name in requests, from LiteLLM's name for it.

The second argument says whether the address is the vendor's own, and not one in the config.
"""

Complete: TypeAlias = Callable[[str, Mapping[str, str]], Mapping[str, str]]
"""Adds to the options of a deployment of a model. Raises `ConfigError` if they cannot work."""


class PromptCache(Struct, frozen=True):
    """
    How a vendor caches the beginnings of prompts; `seconds` is their lifetime after the last use.

    With `marks`, it caches only what a `cache_control` ends. With `has_key`, requests with the same
    `prompt_cache_key` are sent to the same cache. `calls` are those that make an entry.
    """

    marks: bool = False
    has_key: bool = False
    calls: int = 1
    seconds: float = 300.0


FindCache: TypeAlias = Callable[[Target], PromptCache | None]
"""The cache of a model; `None` if it has none, or none is documented."""


FindPassThrough: TypeAlias = Callable[[str, Target], Codec | None]
"""
The codec that passes requests of an API through to a model; `None` if it has another API.

The API's name is that of its folder of `endpoints/`.
"""


class Provider(Struct, frozen=True):
    """
    A vendor. `base_url` may have `{option}` placeholders, which the config fills (Azure, Bedrock).

    `keys` are the environment variables that may hold its key, the first that is set counts. A
    provider with `key_optional` (your own server) is called without a key if there is none.
    `organization_header` names the header that selects one of the key's organizations.
    `ignores_unknown` says that it silently ignores fields that it does not know.
    `complete` adds options that follow from others, such as the host of a location. `settings` are
    the keys of `litellm_params` that only some providers read, and that this one does. `rename`
    turns LiteLLM's name of a model into the vendor's.

    `endpoint` is a pattern of what an address may end with that the codec's path has, too. `path`
    is the usual one of servers that others run with this API, for an address without any.
    `named_in_address` are the parts of an address that name what an option names, too. `trace_name`
    is its name in OpenTelemetry's conventions, if that is another. `prompt_cache` finds the cache
    of a model's prompts, `pass_through` what passes requests of other APIs to a model that has
    them. With `has_responses`, LiteLLM's mark (`responses/NAME`) has a model called
    with the Responses API.
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
    rename: Rename | None = None
    settings: frozenset[str] = frozenset()
    endpoint: str = ""
    path: str = ""
    named_in_address: Mapping[str, str] = field(default_factory=dict)
    trace_name: str = ""
    prompt_cache: FindCache = lambda _: None
    pass_through: FindPassThrough = lambda _api, _target: None
    has_responses: bool = False


def is_paid(usage: Mapping[str, object] | None) -> bool:
    """Whether a response has a price by its usage. Then it is delivered, even if it is empty."""
    return any((usage or {}).get(name) for name in ("prompt_tokens", "completion_tokens"))


def read_error(body: bytes, shape: type[T]) -> T | None:
    """
    An error body of that shape, as far as it can be read; `None` if its shape is another.

    Such a body (a proxy's HTML page) is never shown to a client.
    """
    try:
        return json.decode_tolerant(body, shape)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
