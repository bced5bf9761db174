"""A response of `/v2/chat` as a chat completion, and what a stream of it shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...schema.chat import ChatCompletion, FinishReason, ResponseMessage, Usage, make_call_id
from ...schema.chat_builders import (
    find_finish_reason,
    make_call,
    make_completion,
    make_message,
    make_usage,
)
from ...wire import json
from ...wire.http import WireResponse
from ..base import BadWire, Target, is_paid
from . import wire
from .errors import raise_failure

FINISH_REASONS: Mapping[str, FinishReason] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}


def decode(response: WireResponse, target: Target) -> ChatCompletion:
    """A response as a chat completion with one choice."""
    whole = _read(response.body)
    raise_failure(whole.finish_reason, None)
    decoded = decode_message(whole.message)
    completion = make_completion(
        target.model,
        decoded,
        finish_reason(whole.finish_reason, decoded.get("tool_calls")),
        decode_usage(whole.usage),
        **({"id": whole.id} if whole.id else {}),
    )
    if logprobs := decode_logprobs(whole.logprobs):
        completion["choices"][0]["logprobs"] = logprobs
    return completion


def _read(body: bytes) -> wire.Response:
    whole = json.decode_tolerant(body, wire.Response)
    is_empty = whole.message == wire.Message() and not whole.finish_reason
    if is_empty and not is_paid(decode_usage(whole.usage)):
        raise BadWire("the response has no message")
    return whole


def decode_message(encoded: wire.Message) -> ResponseMessage:
    """A message. Thinking and the plan for the tools are both reasoning."""
    blocks = encoded.content or []
    message = make_message(
        "".join(block.text or "" for block in blocks),
        reasoning="".join(block.thinking or "" for block in blocks) + (encoded.tool_plan or ""),
        calls=[
            make_call(call.id or make_call_id(None, place), call.function.name, call.function.text)
            for place, call in enumerate(encoded.tool_calls or ())
        ],
    )
    if encoded.citations:
        message["citations"] = list(encoded.citations)
    return message


def finish_reason(reason: str | None, calls: object) -> FinishReason:
    """OpenAI's finish reason; without one, `tool_calls` if there are `calls`, else `stop`."""
    return find_finish_reason(FINISH_REASONS, reason, calls)


def decode_usage(usage: wire.Usage | None) -> Usage | None:
    """
    The tokens that the model read and wrote, with its template; billed units are fewer.

    `None` if one of the two numbers cannot be read.
    """
    counted = usage and (usage.tokens or usage.billed_units)
    if not usage or not counted:
        return None
    if counted.input_tokens is None or counted.output_tokens is None:
        return None
    cached = int(usage.cached_tokens or 0)
    return make_usage(int(counted.input_tokens), int(counted.output_tokens), cached=cached)


def decode_logprobs(items: list[wire.Logprob] | None) -> dict[str, Any] | None:
    """One entry for each piece of text; for several tokens, the sum of their log probabilities."""
    content = [
        {
            "token": item.text or "",
            "logprob": sum(item.logprobs or ()),
            "bytes": list((item.text or "").encode()),
            "top_logprobs": [],
        }
        for item in items or ()
    ]
    return {"content": content} if content else None
