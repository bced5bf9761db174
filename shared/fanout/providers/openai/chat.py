"""
OpenAI's chat completions, both ways.

The caller already speaks this wire, so a request goes out field for field and an answer comes
back as it is; what is checked is only that it is an answer at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from ...errors import ErrorDetail
from ...schema.chat import ChatChunk, ChatCompletion, ChatRequest
from ...wire import json
from ...wire.http import WireEvent, WireRequest, WireResponse
from ...wire.sse import SSEFramer
from ..base import BadWire, Codec, Losses, Target, WireError
from .errors import explain_value


@dataclass(frozen=True, slots=True)
class Quirks:
    """
    How one vendor bends OpenAI's wire.

    `drop` are the fields that it does not take, `rename` those it calls something else, `default`
    what it must be sent where the caller says nothing, `path` where its endpoint is.
    """

    vendor: str = "openai"
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = field(default_factory=dict)
    default: Mapping[str, Any] = field(default_factory=dict)
    path: str = "/chat/completions"


class Said(msgspec.Struct, frozen=True):
    """A message or a delta, as far as it is relied on."""

    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None


class WholeChoice(msgspec.Struct, frozen=True):
    message: Said
    index: int = 0
    finish_reason: str | None = None


class Whole(msgspec.Struct, frozen=True):
    choices: list[WholeChoice]
    usage: dict[str, Any] | None = None


class PieceChoice(msgspec.Struct, frozen=True):
    delta: Said
    index: int = 0
    finish_reason: str | None = None


class Piece(msgspec.Struct, frozen=True):
    choices: list[PieceChoice]
    usage: dict[str, Any] | None = None


def encode(quirks: Quirks, request: ChatRequest, target: Target, stream: bool) -> WireRequest:  # noqa: FBT001
    """The caller's own body, with the provider's model name and the vendor's quirks."""
    body = {**quirks.default, **request.body, "model": target.model}
    if stream:
        body["stream"] = True
        if "stream_options" not in quirks.drop:
            body["stream_options"] = {"include_usage": True}
    losses = Losses(target, quirks.vendor)
    for name in quirks.drop & request.body.keys():
        losses.lose(name)
        del body[name]
    for name, theirs in quirks.rename.items():
        if name in body:
            body.setdefault(theirs, body[name])
            del body[name]
    return WireRequest(quirks.path, json.encode(body), dropped=losses.dropped)


def decode(reply: WireResponse, _target: Target) -> ChatCompletion:
    """The answer as it is, once it has the shape of one."""
    value = json.decode(reply.body)
    _raise_error_inside(value)
    msgspec.convert(value, Whole)
    answer: ChatCompletion = value
    return answer


class ChatDecoder:
    """Each event of the stream is a chunk already; the end is `[DONE]` or a finish reason."""

    def __init__(self, _target: Target) -> None:
        self.ended = False

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunk, if it is one."""
        if event.data.startswith(b"[DONE]"):
            self.ended = True
            return
        value = json.decode(event.data)
        _raise_error_inside(value)
        if not isinstance(value, dict) or "choices" not in value:
            return  # a vendor's own event (Perplexity, Azure's content filter notes)
        piece = msgspec.convert(value, Piece)
        if any(choice.finish_reason for choice in piece.choices):
            self.ended = True
        yield value  # type: ignore[misc]


def _raise_error_inside(value: Any) -> None:
    """OpenRouter, vLLM and others answer 200 and put the error in the body or in the stream."""
    if not isinstance(value, dict):
        raise BadWire("the reply is not a JSON object")
    if (fault := value.get("error")) and "choices" not in value:
        detail: ErrorDetail = explain_value(fault, "an error without a reason")
        code = fault.get("code") if isinstance(fault, dict) else None
        raise WireError(code if isinstance(code, int) and 400 <= code < 600 else 502, detail)  # noqa: PLR2004


def make_codec(quirks: Quirks) -> Codec:
    """The codec of a vendor that speaks this wire, bent by its quirks."""
    return Codec(partial(encode, quirks), decode, SSEFramer, ChatDecoder)
