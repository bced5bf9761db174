"""A message as a chat completion, and what a stream of it shares."""

from __future__ import annotations

from ...schema.chat import (
    ChatCompletion,
    FinishReason,
    Object,
    ResponseMessage,
    ToolCall,
    Usage,
    make_call_id,
)
from ...schema.chat_builders import (
    find_finish_reason,
    make_call,
    make_completion,
    make_message,
    make_usage,
)
from ...wire import json
from ...wire.http import WireResponse
from ..base import STOP_REASONS, BadWire, Target
from . import wire
from .errors import make_error

# https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons. `pause_turn` comes
# only with the vendor's own tools, which no request of ours asks for.
FINISH_REASONS: dict[str, FinishReason] = {
    **STOP_REASONS,
    "pause_turn": "stop",
    "refusal": "content_filter",
}

# `batch` is none of OpenAI's tiers. https://platform.claude.com/docs/en/api/service-tiers
SERVICE_TIERS = {"standard": "default", "priority": "priority"}


def decode(response: WireResponse, target: Target) -> ChatCompletion:
    """A message as a chat completion with one choice."""
    kind = wire.kind_of(response.body)
    if kind == "error":
        raise make_error(response.body)
    message = json.decode_tolerant(response.body, wire.Message)
    if kind != "message" and not (message.content or message.stop_reason):
        raise BadWire(f"the response is a `{kind[:32]}`, not a message")
    decoded = decode_message(message)
    return make_completion(
        message.model or target.model,
        decoded,
        finish_reason(message.stop_reason, decoded.get("tool_calls")),
        decode_usage(message.usage),
        **id_of(message),
        **tier_of(message.usage),
    )


def decode_message(message: wire.Message) -> ResponseMessage:
    """The blocks of a message, sorted by their type."""
    texts: list[str] = []
    thoughts: list[Object] = []
    calls: list[ToolCall] = []
    citations: list[Object] = []
    for raw in message.content:
        match wire.read_block(raw):
            case wire.TextBlock(text=text, citations=cited):
                texts.append(text)
                citations.extend(cited or ())
            case wire.ToolUseBlock() as use:
                call_id = use.id or make_call_id(message.id, len(calls))
                calls.append(make_call(call_id, use.name, json.encode(use.input).decode()))
            case wire.ThinkingBlock() | wire.RedactedThinkingBlock() as block:
                thoughts.append(decode_thought(block))
            case None:
                pass  # a block of the vendor's own tools; OpenAI's API has none of these
    return make_message(
        "".join(texts),
        refusal=explanation_of(message.stop_details),
        reasoning="".join(block.get("thinking", "") for block in thoughts),
        thoughts=thoughts,
        calls=calls,
        citations=citations,
    )


def decode_thought(block: wire.ThinkingBlock | wire.RedactedThinkingBlock) -> Object:
    if isinstance(block, wire.RedactedThinkingBlock):
        return {"type": "redacted_thinking", "data": block.data}
    return {"type": "thinking", "thinking": block.thinking, "signature": block.signature}


def decode_usage(usage: wire.Usage | None) -> Usage | None:
    """
    Anthropic counts three kinds of prompt tokens; their sum is OpenAI's count.

    `None` if the vendor sent no number of them, or one that cannot be read.
    """
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = usage.cache_read_input_tokens or 0
    written = usage.cache_creation_input_tokens or 0
    details = usage.output_tokens_details
    return make_usage(
        usage.input_tokens + cached + written,
        usage.output_tokens,
        cached=cached,
        written=written,
        reasoning=(details.thinking_tokens or 0) if details else 0,
    )


def finish_reason(reason: str | None, calls: object) -> FinishReason:
    """OpenAI's finish reason; without one, `tool_calls` if there are `calls`, else `stop`."""
    return find_finish_reason(FINISH_REASONS, reason, calls)


def id_of(message: wire.Message) -> dict[str, str]:
    """The field `id`, which the gateway adds if there is none."""
    return {"id": message.id} if message.id else {}


def explanation_of(details: wire.StopDetails | None) -> str | None:
    return details.explanation if details else None


def tier_of(usage: wire.Usage | None) -> dict[str, str]:
    tier = SERVICE_TIERS.get((usage and usage.service_tier) or "")
    return {"service_tier": tier} if tier else {}
