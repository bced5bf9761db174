"""
OpenAI's chat completions, request and response.

The client already uses this API. So a request is sent field by field, and a response is returned
unchanged; only its shape is checked. `normalize` has the differences of other vendors' responses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Struct, field

from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.request import ChatRequest
from ...schema.validation import reject_extensions
from ...wire import json
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import DEFAULTS, BadWire, Codec, Target, UnsupportedFields, WireError
from .errors import explain_value, fault_of, status_of
from .history import MessageRules, fit_messages
from .rules import FAMILY_DEFAULTS, MESSAGES, Family, fixed_fields


class Quirks(Struct, frozen=True):
    """
    How one vendor's API differs from OpenAI's.

    `drop` are the fields that it does not support, `rename` those with another name there,
    `default` those that it requires, with the value to send if the client has none. `path` is its
    endpoint. `messages` are its rules for messages, `families` the models that reject more fields.
    An `extensible` vendor has parts, tools and values of its own; they are sent unchanged.
    """

    vendor: str = "openai"
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/chat/completions"
    messages: MessageRules = MESSAGES
    families: tuple[Family, ...] = ()
    extensible: bool = False


# Dropped silently: they never change a response, only its accounting, its cache, or
# (`stream_options`) what the gateway asks for anyway.
HINTS = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "stream_options",
        "user",
    }
)

_DEFAULTS = {
    **DEFAULTS,
    **FAMILY_DEFAULTS,
    "function_call": ("auto",),
    "parallel_tool_calls": (True, False),  # `False` is kept, see `WireRequest.one_call`
    "service_tier": ("auto",),
    "tool_choice": ("auto",),
    "tools": ([],),
}


def encode(
    quirks: Quirks,
    request: ChatRequest,
    target: Target,
    stream: bool,  # noqa: FBT001
    *,
    kind: str = "",
) -> WireRequest:
    """
    The client's own body, with the provider's model name and the vendor's quirks.

    `kind` is the model if the name that the provider knows it by does not show it.
    """
    if request.extensions and not quirks.extensible:
        reject_extensions(request)
    body = {**quirks.default, **request.body, "model": target.model}
    options = body.pop("stream_options", None) or {}
    if stream:
        body["stream"] = True
        if "stream_options" not in quirks.drop:
            body["stream_options"] = {**options, "include_usage": True}
    unsupported = UnsupportedFields(target, quirks.vendor)
    absent = quirks.drop
    if quirks.families:
        absent |= fixed_fields(quirks.families, kind or target.model, request.reasoning_effort)
    one_call = "parallel_tool_calls" in absent and request.parallel_tool_calls is False
    if not absent.isdisjoint(request.body):
        _drop(absent & request.body.keys(), body, unsupported)
    for name, theirs in quirks.rename.items():
        if (value := body.pop(name, None)) is not None and body.get(theirs) is None:
            body[theirs] = value
    body["messages"] = fit_messages(body["messages"], quirks.messages, unsupported)
    return WireRequest(
        quirks.path, json.encode(body), dropped=unsupported.dropped, one_call=one_call
    )


def _drop(
    names: frozenset[str] | set[str], body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """Remove `names` from our own `body`; one that asks for something is rejected, or noted."""
    for name in sorted(names - HINTS):
        value = body.pop(name)
        if value is not None and value not in _DEFAULTS.get(name, ()):
            unsupported.add(name)
    for name in names & HINTS:
        body.pop(name, None)


# ---- responses ----


class Content(msgspec.Struct, frozen=True):
    """The fields of a message or a delta that are checked."""

    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class CompletionDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """The fields of usage that are counted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    completion_tokens_details: CompletionDetails | None = None


class WholeChoice(msgspec.Struct, frozen=True):
    message: Content
    index: int = 0
    finish_reason: str | None = None


class Whole(msgspec.Struct, frozen=True):
    choices: Annotated[list[WholeChoice], msgspec.Meta(min_length=1)]
    usage: Usage | None = None


class PieceChoice(msgspec.Struct, frozen=True):
    delta: Content
    index: int = 0
    finish_reason: str | None = None


class Piece(msgspec.Struct, frozen=True):
    choices: list[PieceChoice]
    usage: Usage | None = None


def read(data: bytes) -> dict[str, Any]:
    """The provider's JSON object; raises `WireError` for an error with the status of a success."""
    value = json.decode(data)
    if not isinstance(value, dict):
        raise BadWire("the response is not a JSON object")
    if (fault := fault_of(value)) is not None:
        raise WireError(status_of(fault), explain_value(fault, "no reason given"))
    return value


def check_whole(value: dict[str, Any]) -> ChatCompletion:
    """`value` itself, if it has the shape of a response."""
    msgspec.convert(value, Whole)
    checked: Any = value
    completion: ChatCompletion = checked
    return completion


def decode(response: WireResponse, _target: Target) -> ChatCompletion:
    """The response, unchanged."""
    return check_whole(read(response.body))


class ChatDecoder:
    """
    Returns the events of a stream unchanged: each is a chunk already.

    The end is `[DONE]`, or a finish reason of every choice, because some vendors send no `[DONE]`.
    """

    def __init__(self, _target: Target) -> None:
        self._done = False
        self._open: set[int] = set()
        self._closed: set[int] = set()

    @property
    def ended(self) -> bool:
        return self._done or (bool(self._closed) and not self._open)

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunk, if it is one."""
        value = self.read(event)
        if value and "choices" in value:  # without, it is a vendor's own event
            yield self.take(value)

    def read(self, event: WireEvent) -> dict[str, Any] | None:
        """The event's JSON object; `None` for `[DONE]` and for a keep-alive, which is empty."""
        if event.data.startswith(b"[DONE]"):
            self._done = True
        elif event.data:
            return read(event.data)
        return None

    def take(self, value: dict[str, Any]) -> ChatChunk:
        """`value` itself, if it has the shape of a chunk; notes which choices it ends."""
        for choice in msgspec.convert(value, Piece).choices:
            if choice.finish_reason:
                self._open.discard(choice.index)
                self._closed.add(choice.index)
            elif choice.index not in self._closed:
                self._open.add(choice.index)
        piece: Any = value
        chunk: ChatChunk = piece
        return chunk


def plain_codec(quirks: Quirks) -> Codec:
    """The codec of a vendor whose responses are exactly OpenAI's."""
    return Codec(partial(encode, quirks), decode, SSEFramer, ChatDecoder)
