"""
The shape of OpenAI's responses and chunks, as far as Fanout and typed clients depend on it.

A value that has this shape reaches the client unchanged; `repair` handles any other.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from ...schema.chat import FinishReason
from ...wire.json import MAX_INTEGER, Count, Index

Time: TypeAlias = Annotated[int, Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Identifier: TypeAlias = Annotated[str, Meta(min_length=1)]


class Function(Struct, frozen=True, gc=False):
    name: str
    arguments: str


class Call(Struct, frozen=True, gc=False):
    """A tool call of a whole message. A custom tool's has no `function`."""

    id: Identifier
    type: Identifier
    function: Function | None = None


class FunctionDelta(Struct, frozen=True, gc=False):
    name: Identifier | None = None
    arguments: str | None = None


class CallDelta(Struct, frozen=True, gc=False):
    """A part of a call. SDKs fail if `type` is null, and overwrite what they have with `""`."""

    index: Index
    id: Identifier | None = None
    type: Identifier | UnsetType = UNSET
    function: FunctionDelta | None = None


class Message(Struct, frozen=True, gc=False):
    role: Literal["assistant"]
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    annotations: list[Any] | None = None
    audio: dict[str, Any] | None = None


class Delta(Struct, frozen=True, gc=False):
    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallDelta] | None = None
    function_call: FunctionDelta | None = None
    annotations: list[Any] | None = None
    audio: dict[str, Any] | None = None


class Logprobs(Struct, frozen=True, gc=False):
    content: list[dict[str, Any]] | None = None
    refusal: list[dict[str, Any]] | None = None


class PromptDetails(Struct, frozen=True, gc=False):
    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    image_tokens: Count | None = None
    text_tokens: Count | None = None
    audio_tokens: Count | None = None


class CompletionDetails(Struct, frozen=True, gc=False):
    reasoning_tokens: Count | None = None
    audio_tokens: Count | None = None
    accepted_prediction_tokens: Count | None = None
    rejected_prediction_tokens: Count | None = None
    text_tokens: Count | None = None


class Usage(Struct, frozen=True, gc=False):
    """The fields of usage that are counted, priced or summed."""

    prompt_tokens: Count
    completion_tokens: Count
    total_tokens: Count
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class Moderation(Struct, frozen=True, gc=False):
    """OpenAI's results of moderation, of the prompt and of the response."""

    input: dict[str, Any]
    output: dict[str, Any]


class CompletionChoice(Struct, frozen=True, gc=False):
    message: Message
    index: Index
    finish_reason: FinishReason
    logprobs: Logprobs | None = None


class Completion(Struct, frozen=True, gc=False):
    choices: Annotated[list[CompletionChoice], Meta(min_length=1)]
    id: str | None = None
    created: Time | None = None
    model: str | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    moderation: Moderation | None = None
    metadata: dict[str, str] | None = None


class ChunkChoice(Struct, frozen=True, gc=False):
    delta: Delta
    index: Index
    finish_reason: FinishReason | UnsetType | None = UNSET
    logprobs: Logprobs | None = None


class Chunk(Struct, frozen=True, gc=False):
    choices: list[ChunkChoice]
    id: str | None = None
    created: Time | None = None
    usage: Usage | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    obfuscation: str | None = None
    moderation: Moderation | None = None
