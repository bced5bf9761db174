"""
OpenAI's chat completions, both ways.

The caller already speaks this wire, so a request goes out field for field and an answer comes
back as it is; what is checked is only that it is an answer at all. What vendors bend on their way
back is in `normalize`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Struct, field

from ...schema.chat import ChatChunk, ChatCompletion
from ...schema.request import ChatRequest
from ...wire import json
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import BadWire, Codec, Losses, Target, WireError
from .errors import explain_value, status_of


class Quirks(Struct, frozen=True):
    """
    How one vendor bends OpenAI's wire.

    `drop` are the fields that it does not take, `rename` those it calls something else, `default`
    what it must be sent where the caller says nothing, `path` where its endpoint is. A vendor
    without the role `developer` is told `system`, its older name.
    """

    vendor: str = "openai"
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/chat/completions"
    developer: bool = True


# Dropped without a word: they never change an answer, only who is accounted for it, what its cache
# is called, or (`stream_options`) what the gateway asks for anyway.
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

# What OpenAI documents as the default of a field: who sends it asks for nothing.
ASKS_NOTHING: Mapping[str, Any] = {
    "frequency_penalty": 0,
    "function_call": "auto",
    "functions": [],
    "logit_bias": {},
    "logprobs": False,
    "modalities": ["text"],
    "n": 1,
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "service_tier": "auto",
    "store": False,
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "verbosity": "medium",
}


def encode(quirks: Quirks, request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The caller's own body, with the provider's model name and the vendor's quirks."""
    body = {**quirks.default, **request.body, "model": target.model}
    options = body.pop("stream_options", None) or {}
    if stream:
        body["stream"] = True
        if "stream_options" not in quirks.drop:
            body["stream_options"] = {**options, "include_usage": True}
    losses = Losses(target, quirks.vendor)
    if not quirks.drop.isdisjoint(request.body):
        _drop(quirks.drop & request.body.keys(), body, losses)
    for name, theirs in quirks.rename.items():
        if (value := body.pop(name, None)) is not None and body.get(theirs) is None:
            body[theirs] = value
    if not quirks.developer:
        body["messages"] = [_without_developer(message) for message in body["messages"]]
    return WireRequest(quirks.path, json.encode(body), dropped=losses.dropped)


def _drop(names: frozenset[str] | set[str], body: dict[str, Any], losses: Losses) -> None:
    """Take `names` out of our own `body`; what was asked for by one of them is a loss."""
    for name in sorted(names - HINTS):
        value = body.pop(name)
        if value is not None and value != ASKS_NOTHING.get(name):
            losses.lose(name)
    for name in names & HINTS:
        body.pop(name, None)


def _without_developer(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "role": "system"} if message["role"] == "developer" else message


# ---- answers ----


class Said(msgspec.Struct, frozen=True):
    """A message or a delta, as far as it is relied on."""

    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class Thought(msgspec.Struct, frozen=True):
    reasoning_tokens: int | None = None


class Tokens(msgspec.Struct, frozen=True):
    """Usage, as far as it is counted on."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    completion_tokens_details: Thought | None = None


class WholeChoice(msgspec.Struct, frozen=True):
    message: Said
    index: int = 0
    finish_reason: str | None = None


class Whole(msgspec.Struct, frozen=True):
    choices: Annotated[list[WholeChoice], msgspec.Meta(min_length=1)]
    usage: Tokens | None = None


class PieceChoice(msgspec.Struct, frozen=True):
    delta: Said
    index: int = 0
    finish_reason: str | None = None


class Piece(msgspec.Struct, frozen=True):
    choices: list[PieceChoice]
    usage: Tokens | None = None


def read(data: bytes) -> dict[str, Any]:
    """A JSON object of the provider's; an error that poses as a success is raised."""
    value = json.decode(data)
    if not isinstance(value, dict):
        raise BadWire("the reply is not a JSON object")
    # OpenRouter answers 200 and puts the error beside the choices; older vLLM sends it bare.
    if (fault := value.get("error")) or value.get("object") == "error":
        raise WireError(status_of(fault or value), explain_value(fault or value, "no reason given"))
    return value


def check_whole(value: dict[str, Any]) -> ChatCompletion:
    """`value` itself, once it has the shape of an answer."""
    msgspec.convert(value, Whole)
    answer: Any = value
    completion: ChatCompletion = answer
    return completion


def decode(reply: WireResponse, _target: Target) -> ChatCompletion:
    """The answer as it is."""
    return check_whole(read(reply.body))


class ChatDecoder:
    """
    Each event of the stream is a chunk already.

    The end is `[DONE]`, or a finish reason for every choice: some vendors send no `[DONE]`.
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
        if event.data.startswith(b"[DONE]"):
            self._done = True
        elif event.data:  # an empty one is a keep-alive
            value = read(event.data)
            if "choices" in value:  # or it is a vendor's own event, of which OpenAI has no word
                yield self.take(value)

    def take(self, value: dict[str, Any]) -> ChatChunk:
        """`value` itself, once it has the shape of a chunk; notes which choices it ends."""
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
    """The codec of a vendor that gives OpenAI's answers to the letter."""
    return Codec(partial(encode, quirks), decode, SSEFramer, ChatDecoder)
