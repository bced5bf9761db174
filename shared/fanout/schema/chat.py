"""
Chat completions in OpenAI's format, as typed JSON objects, and what they have for their reader.

A response stays a plain JSON object, so that fields that a provider adds reach the client as they
are. Source of the format: openai-openapi 2.3.0, `CreateChatCompletionResponse` and
`CreateChatCompletionStreamResponse`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

Object: TypeAlias = Mapping[str, Any]
Role: TypeAlias = Literal["assistant", "developer", "function", "system", "tool", "user"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class PromptDetails(TypedDict, total=False):
    cached_tokens: int
    cache_write_tokens: int
    audio_tokens: int


class CompletionDetails(TypedDict, total=False):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(TypedDict):
    """Tokens of one response. As with OpenAI, `prompt_tokens` includes cached tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: NotRequired[PromptDetails]
    completion_tokens_details: NotRequired[CompletionDetails]


class CalledFunction(TypedDict):
    name: str
    arguments: str


class ToolCall(TypedDict):
    """`extra_content` must be sent back with the call (for example Google's thought signature)."""

    id: str
    type: Literal["function"]
    function: CalledFunction
    extra_content: NotRequired[Object]


class ResponseMessage(TypedDict):
    """
    The message of a response.

    `annotations` are citations in OpenAI's form, `citations` those in the vendor's own.
    `reasoning_content` is the text of its reasoning. `thinking_blocks` is LiteLLM's name for
    reasoning with its signature, which must be sent back with the next request of a tool loop.
    """

    role: Literal["assistant"]
    content: str | None
    refusal: NotRequired[str | None]
    reasoning_content: NotRequired[str]
    tool_calls: NotRequired[list[ToolCall]]
    annotations: NotRequired[list[Object]]
    citations: NotRequired[list[Object]]
    extra_content: NotRequired[Object]
    thinking_blocks: NotRequired[list[Object]]


class Choice(TypedDict):
    index: int
    message: ResponseMessage
    finish_reason: FinishReason | None
    logprobs: NotRequired[Any]


class ChatCompletion(TypedDict):
    """One whole response. The gateway adds `id` and `created` if the provider sent none."""

    object: Literal["chat.completion"]
    model: str
    choices: list[Choice]
    id: NotRequired[str]
    created: NotRequired[int]
    usage: NotRequired[Usage | None]
    system_fingerprint: NotRequired[str | None]
    service_tier: NotRequired[str | None]
    fanout: NotRequired[Any]


class FunctionDelta(TypedDict, total=False):
    name: str
    arguments: str


class ToolCallDelta(TypedDict):
    """A part of a tool call; only its first part has `id`, `type` and the function's name."""

    index: int
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: NotRequired[FunctionDelta]
    extra_content: NotRequired[Object]


class Delta(TypedDict, total=False):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    reasoning_content: str
    tool_calls: list[ToolCallDelta]
    annotations: list[Object]
    audio: Object
    citations: list[Object]
    extra_content: Object
    images: list[Object]
    thinking_blocks: list[Object]


class ChunkChoice(TypedDict):
    index: int
    delta: Delta
    finish_reason: FinishReason | None
    logprobs: NotRequired[Any]


class ChatChunk(TypedDict):
    """One chunk of a streamed response; the one with `usage` may have no choices."""

    object: Literal["chat.completion.chunk"]
    model: str
    choices: list[ChunkChoice]
    id: NotRequired[str]
    created: NotRequired[int]
    usage: NotRequired[Usage | None]
    system_fingerprint: NotRequired[str | None]
    service_tier: NotRequired[str | None]


ORIGINAL_EVENT = "original_event"
"""The field of a chunk with the event (a `WireEvent`) of a vendor that has the client's API."""

ORIGINAL_EVENTS = "original_events"
"""The field of a whole response with all events, if it was received as a stream."""

ORIGINAL_BODY = "original_body"
"""The field of a whole response with the vendor's body, in bytes."""

ORIGINAL_FIELDS = frozenset({ORIGINAL_BODY, ORIGINAL_EVENT, ORIGINAL_EVENTS})
"""Fields for the endpoint whose API the client and the vendor have; see `pass_through.py`."""


def make_call_id(response_id: str | None, number: int) -> str:
    """An id for a call without one. The same response always gives the same id."""
    return f"call_{response_id}_{number}" if response_id else f"call_{number}"


# Audio, the older form of a call, and images: OpenRouter's, and parts that are no text.
_OTHER_CONTENT = ("audio", "function_call", "images", "content_parts")


def has_content(chunk: ChatChunk) -> bool:
    """
    Whether the chunk has content for its reader. The first model with such a chunk wins a race.

    A role, an empty string (OpenAI's first chunk has both) or usage alone is not content.
    """
    for choice in chunk["choices"]:  # noqa: SIM110 -- `any` takes three times as long
        if not is_empty(choice["delta"]):
            return True
    return False


def is_empty(message: Mapping[str, Any]) -> bool:
    """Whether a message, or a piece of one, has no content for its reader: see `has_content`."""
    return not (
        message.get("content")
        or message.get("refusal")
        or message.get("reasoning")
        or message.get("reasoning_content")
        or message.get("tool_calls")
        or any(message.get(name) for name in _OTHER_CONTENT)
    )


def has_real_content(message: Mapping[str, Any]) -> bool:
    """Whether a message, or a piece of one, has more than space, a refusal or reasoning."""
    text = message.get("content")
    if isinstance(text, str):
        text = text.strip()
    return bool(text) or any(message.get(name) for name in _OTHER_CONTENT)
