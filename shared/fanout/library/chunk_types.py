"""The public types of a streamed response's chunks: pydantic models with OpenAI's field names."""

from __future__ import annotations

from typing import Literal

from .json_object import JSONObject
from .types import ErrorObject, FanoutReport, FinishReason, Logprobs, Usage


class DeltaFunction(JSONObject):
    """A piece of a function call: its name in the first chunk, then pieces of its arguments."""

    name: str | None = None
    arguments: str | None = None


class DeltaToolCall(JSONObject):
    """A piece of a tool call; `index` says which call it belongs to."""

    index: int
    id: str | None = None
    type: str | None = None
    function: DeltaFunction | None = None


class Delta(JSONObject):
    """What a chunk adds to the message."""

    role: Literal["developer", "system", "user", "assistant", "tool"] | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[DeltaToolCall] | None = None
    function_call: DeltaFunction | None = None


class ChunkChoice(JSONObject):
    """A piece of one choice; the last one has `finish_reason`."""

    index: int
    delta: Delta
    finish_reason: FinishReason | None = None
    logprobs: Logprobs | None = None
    model: str | None = None
    usage: Usage | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    error: ErrorObject | None = None


class ChatCompletionChunk(JSONObject):
    """One piece of a streamed response."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    fanout: FanoutReport | None = None
