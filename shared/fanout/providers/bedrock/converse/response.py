"""A response of Converse as a chat completion, and what a stream of it shares."""

from __future__ import annotations

from ....errors import ErrorDetail
from ....schema.chat import (
    ChatCompletion,
    FinishReason,
    Object,
    ResponseMessage,
    ToolCall,
    Usage,
    make_call_id,
)
from ....schema.chat_builders import (
    find_finish_reason,
    make_call,
    make_completion,
    make_message,
    make_usage,
)
from ....wire import json
from ....wire.http import WireResponse
from ...base import STOP_REASONS, BadWire, Target, WireError, is_paid
from ..errors import raise_aws_error
from ..models import find_model
from . import wire

# …/APIReference/API_runtime_Converse.html, "stopReason".
FINISH_REASONS: dict[str, FinishReason] = {
    **STOP_REASONS,
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# The response is malformed then, and another attempt may succeed.
FAILURES = frozenset({"malformed_model_output", "malformed_tool_use"})


def decode(response: WireResponse, target: Target) -> ChatCompletion:
    """A response as a chat completion with one choice."""
    whole = json.decode_tolerant(response.body, wire.Response)
    usage = decode_usage(whole.usage)
    if not (whole.output.message.content or whole.stop_reason or is_paid(usage)):
        raise_aws_error(json.decode_or_none(response.body), response)
        raise BadWire("the response has no message")
    decoded = decode_message(whole.output.message)
    return make_completion(
        find_model(target).id,
        decoded,
        finish_reason(whole.stop_reason, decoded.get("tool_calls")),
        usage,
        **tier_of(whole.service_tier),
    )


def decode_message(message: wire.Message) -> ResponseMessage:
    """The blocks of a message, sorted by their type. No request of ours asks for other types."""
    texts: list[str] = []
    reasoning: list[str] = []
    thoughts: list[Object] = []
    calls: list[ToolCall] = []
    citations: list[Object] = []
    for block in message.content:
        texts.append(block.text or "")
        if block.citations_content:
            texts.extend(cited.text for cited in block.citations_content.content)
            citations.extend(block.citations_content.citations)
        if (use := block.tool_use) and use.type is None:
            call_id = use.tool_use_id or make_call_id(None, len(calls))
            calls.append(make_call(call_id, use.name, json.encode(use.input).decode()))
        if thought := block.reasoning_content:
            text = thought.reasoning_text or wire.ReasoningText("")
            reasoning.append(text.text)
            thoughts.extend(decode_thought(text.text, text.signature, thought.redacted_content))
    return make_message(
        "".join(texts),
        reasoning="".join(reasoning),
        thoughts=thoughts,
        calls=calls,
        citations=citations,
    )


def decode_thought(text: str, signature: str | None, redacted: str | None) -> list[Object]:
    """The part of a block of reasoning that a client sends back: none, unless it is signed."""
    if redacted is not None:
        return [{"type": "redacted_thinking", "data": redacted}]
    return [{"type": "thinking", "thinking": text, "signature": signature}] if signature else []


def decode_usage(usage: wire.Usage | None) -> Usage | None:
    """
    Converse counts three kinds of prompt tokens; their sum is OpenAI's count.

    `None` if a number is missing or cannot be read.
    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    """
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0
    sent = usage.input_tokens + cached + written
    return make_usage(sent, usage.output_tokens, cached=cached, written=written)


def finish_reason(reason: str | None, calls: object) -> FinishReason:
    """
    OpenAI's finish reason; `WireError` if the model failed.

    Without a reason, it is `tool_calls` if there are `calls`, else `stop`.
    """
    if reason in FAILURES:
        message = f"the model's response was malformed (`{reason}`)"
        raise WireError(502, ErrorDetail(message, "api_error", None, reason))
    return find_finish_reason(FINISH_REASONS, reason, calls)


def tier_of(tier: wire.ServiceTier | None) -> dict[str, str]:
    return {"service_tier": tier.type} if tier and tier.type else {}
