"""Finish reasons of OpenAI-compatible vendors as OpenAI's; a reason that means failure raises."""

from __future__ import annotations

from typing import Any

from ...schema.chat import FinishReason
from ..base import WireError
from .errors import explain_value, status_of

FINISHED: dict[str, FinishReason] = {
    "content_filter": "content_filter",
    "function_call": "function_call",
    "length": "length",
    "stop": "stop",
    "tool_calls": "tool_calls",
    # Mistral: docs.mistral.ai/api (`model_length`: the context is full); others are of engines.
    "model_length": "length",
    "max_tokens": "length",
    "max_length": "length",
}
# The generation failed: `error` is Mistral's and OpenRouter's, `abort` vLLM's, and the third
# DeepSeek's (api-docs.deepseek.com/api/create-chat-completion).
FAILED = {"error": 502, "abort": 502, "insufficient_system_resource": 503}


def finish_reason(choice: dict[str, Any]) -> FinishReason | None:
    """
    The choice's finish reason; any that OpenAI does not have (`eos`, `end_turn`) is `stop`.

    Null, an empty text and any other value mean that the choice goes on: some servers send an
    empty text with each chunk. Raises `WireError` if the choice has failed.
    """
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or not reason.strip():
        return None
    if reason in FAILED:
        fault = choice.get("error")  # OpenRouter's, inside the choice
        detail = explain_value(fault, f"the provider stopped with `{reason}`")
        raise WireError(status_of(fault) if fault else FAILED[reason], detail)
    return FINISHED.get(reason, "stop")
