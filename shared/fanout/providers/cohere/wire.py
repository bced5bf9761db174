"""
Cohere's responses: unknown fields are ignored, odd ones are read as nothing (`wire.tolerant`).

See https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/chat-stream.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, Raw, Struct

from ...wire import json

Count: TypeAlias = Annotated[float, Meta(ge=0, le=json.MAX_INTEGER)]
"""A JSON number, which Cohere's own SDK reads as a float."""


class Tokens(json.AllOrNothing, frozen=True):
    input_tokens: Count | None = None
    output_tokens: Count | None = None


class Usage(json.AllOrNothing, frozen=True):
    """`tokens` is what the model read and wrote, `billed_units` the part that is billed."""

    tokens: Tokens | None = None
    billed_units: Tokens | None = None
    cached_tokens: Count | None = None


class Logprob(Struct, frozen=True):
    """A piece of text with the log probabilities of its tokens."""

    text: str | None = None
    logprobs: list[float] | None = None


class Block(Struct, frozen=True):
    """A content block, or a piece of one; it has at most one of the two texts."""

    text: str | None = None
    thinking: str | None = None


class CalledFunction(Struct, frozen=True):
    name: str
    arguments: str | dict[str, Any] = ""

    @property
    def text(self) -> str:
        """The arguments as JSON, which some servers send as an object."""
        if isinstance(self.arguments, str):
            return self.arguments or "{}"
        return json.encode(self.arguments).decode()


class ToolCall(Struct, frozen=True):
    id: str
    function: CalledFunction


class Message(Struct, frozen=True):
    content: list[Block] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_plan: str | None = None
    citations: list[dict[str, Any]] | None = None


class Response(Struct, frozen=True):
    message: Message
    id: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    logprobs: list[Logprob] | None = None


# ---- events of a stream ----


class Event(Struct, frozen=True):
    """Any event; the shape of `delta` depends on `type`."""

    type: str = ""
    delta: Raw = Raw(b"{}")
    id: str | None = None
    index: int | None = None
    logprobs: Logprob | None = None


class ContentMessage(Struct, frozen=True):
    content: Block


class ContentDelta(Struct, frozen=True):
    message: ContentMessage


class PlanMessage(Struct, frozen=True):
    tool_plan: str


class PlanDelta(Struct, frozen=True):
    message: PlanMessage


class CallStartMessage(Struct, frozen=True):
    """One call, although the field's name is plural."""

    tool_calls: ToolCall


class CallStart(Struct, frozen=True):
    message: CallStartMessage


class FunctionDelta(Struct, frozen=True):
    arguments: str


class ToolCallDelta(Struct, frozen=True):
    function: FunctionDelta


class CallDeltaMessage(Struct, frozen=True):
    tool_calls: ToolCallDelta


class CallDelta(Struct, frozen=True):
    message: CallDeltaMessage


class CitationMessage(Struct, frozen=True):
    """One citation, although the field's name is plural."""

    citations: dict[str, Any]


class CitationStart(Struct, frozen=True):
    message: CitationMessage


class MessageEnd(Struct, frozen=True):
    finish_reason: str | None = None
    error: str | None = None
    usage: Usage | None = None
