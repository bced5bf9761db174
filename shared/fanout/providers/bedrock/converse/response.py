"""
A whole answer in OpenAI's words, and the words that a stream of it shares.

Knows nothing of requests. `thinking_blocks` is LiteLLM's name for reasoning with its signature,
which must come back with the next request of a tool loop; `reasoning_content` is its text.
"""

from __future__ import annotations

from ....errors import ErrorDetail
from ....schema.chat import (
    AnswerMessage,
    ChatCompletion,
    FinishReason,
    Object,
    PromptDetails,
    ToolCall,
    Usage,
    make_completion,
    make_usage,
)
from ....wire import json
from ....wire.http import WireResponse
from ...base import Target, WireError
from ..models import find_model
from . import wire

# …/APIReference/API_runtime_Converse.html, "stopReason".
FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
# There is no answer then, and asking again may well bring one.
FAILURES = frozenset({"malformed_model_output", "malformed_tool_use"})


def decode(reply: WireResponse, target: Target) -> ChatCompletion:
    """A whole answer, of one choice."""
    answer = json.decode(reply.body, type=wire.Answer)
    reason = finish_reason(answer.stop_reason)
    return make_completion(
        find_model(target).id,
        decode_message(answer.output.message),
        reason,
        decode_usage(answer.usage),
        **tier_of(answer.service_tier),
    )


def decode_message(message: wire.Message) -> AnswerMessage:
    """The blocks of a message, sorted by what they are; other kinds nobody asked for."""
    texts: list[str] = []
    reasoning: list[str] = []
    thoughts: list[Object] = []
    calls: list[ToolCall] = []
    for block in message.content:
        texts.append(block.text or "")
        if block.citations_content:
            texts.extend(cited.text for cited in block.citations_content.content)
        if (use := block.tool_use) and use.type is None:
            calls.append(decode_call(use))
        if thought := block.reasoning_content:
            text = thought.reasoning_text or wire.ReasoningText("")
            reasoning.append(text.text)
            thoughts.extend(decode_thought(text.text, text.signature, thought.redacted_content))
    content = "".join(texts)
    answer = AnswerMessage(role="assistant", content=content or (None if calls else ""))
    if any(reasoning):
        answer["reasoning_content"] = "".join(reasoning)
    if thoughts:
        answer["thinking_blocks"] = thoughts
    if calls:
        answer["tool_calls"] = calls
    return answer


def decode_call(use: wire.ToolUse) -> ToolCall:
    arguments = json.encode(use.input).decode()
    return {
        "id": use.tool_use_id,
        "type": "function",
        "function": {"name": use.name, "arguments": arguments},
    }


def decode_thought(text: str, signature: str | None, hidden: str | None) -> list[Object]:
    """What of one block of reasoning is to be given back: nothing, unless it is signed."""
    if hidden is not None:
        return [{"type": "redacted_thinking", "data": hidden}]
    return [{"type": "thinking", "thinking": text, "signature": signature}] if signature else []


def decode_usage(usage: wire.Usage) -> Usage:
    """
    Their three kinds of prompt tokens together are OpenAI's one.

    https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    """
    cached, written = usage.cache_read_input_tokens or 0, usage.cache_write_input_tokens or 0
    said = make_usage(usage.input_tokens + cached + written, usage.output_tokens, cached=cached)
    if written:
        said["prompt_tokens_details"] = PromptDetails(
            cached_tokens=cached, cache_write_tokens=written
        )
    return said


def finish_reason(reason: str) -> FinishReason:
    """Why the answer ended; `WireError` where the model made none."""
    if reason in FAILURES:
        words = "the model's answer was malformed"
        raise WireError(502, ErrorDetail(f"{words} (`{reason}`)", "api_error", None, reason))
    return FINISH_REASONS.get(reason, "stop")


def tier_of(tier: wire.ServiceTier | None) -> dict[str, str]:
    return {"service_tier": tier.type} if tier else {}
