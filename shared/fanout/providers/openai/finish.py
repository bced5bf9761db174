"""Finish reasons of OpenAI-compatible vendors as OpenAI's; a reason that means failure raises."""

from __future__ import annotations

from typing import Any

from ...schema.chat import FinishReason
from ..base import WireError
from .errors import explain_value, status_of

# In lower case, with `_` for `-`.
FINISHED: dict[str, FinishReason] = {
    "content_filter": "content_filter",
    "function_call": "function_call",
    "length": "length",
    "stop": "stop",
    "tool_calls": "tool_calls",
    # Mistral: docs.mistral.ai/api (`model_length`: the context is full); others are of engines, and
    # of servers in front of Anthropic and Google, which pass on those vendors' words.
    "model_length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "max_length": "length",
    "model_context_window_exceeded": "length",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "recitation": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",  # Zhipu: docs.z.ai/api-reference/llm/chat-completion
    "spii": "content_filter",
}
# The generation failed: `error` is Mistral's and OpenRouter's, `abort` vLLM's, the third Zhipu's,
# and the last DeepSeek's (api-docs.deepseek.com/api/create-chat-completion).
FAILED = {"error": 502, "abort": 502, "network_error": 502, "insufficient_system_resource": 503}

# Words for "not yet". DashScope's own API has "null" in each chunk but the last
# (https://help.aliyun.com/zh/model-studio/qwen-api-reference, 2026-11), as proxies do.
UNFINISHED = frozenset({"", "none", "null"})


def finish_reason(choice: dict[str, Any], *, has_calls: bool = False) -> FinishReason | None:
    """
    The choice's finish reason; any that OpenAI does not have (`eos`, `tool_use`) is `stop`.

    It is `tool_calls` instead if the choice has calls. Null, the words of `UNFINISHED` and a value
    that is no text mean that the choice goes on: some servers send an empty text with each chunk.
    Raises `WireError` if the choice has failed.
    """
    reason = choice.get("finish_reason")
    if not isinstance(reason, str):
        return None
    word = reason.strip().lower().replace("-", "_")
    if word in UNFINISHED:
        return None
    if word in FAILED:
        fault = choice.get("error")  # OpenRouter's, inside the choice
        detail = explain_value(fault, f"the provider stopped with `{reason}`")
        raise WireError(status_of(fault) if fault else FAILED[word], detail)
    return FINISHED.get(word) or ("tool_calls" if has_calls else "stop")
