"""
Responses of OpenAI-compatible vendors in OpenAI's exact shapes.

Some have reasoning in another field or among the content, their own finish reasons, or another way
to count usage. Each rule looks at the response itself, so no vendor's name is needed here.
"""

from __future__ import annotations

from typing import Any

from ...schema.chat import ChatCompletion, FinishReason
from ...wire.http import WireResponse
from ..base import Target
from .finish import finish_reason
from .response import check_whole, read

# Groq's and Bedrock's names for OpenAI's tiers; typed clients accept only OpenAI's.
TIERS = {"on_demand": "default", "standard": "default", "performance": "priority"}


_OPENAIS = frozenset({"auto", "default", "fast", "flex", "priority", "scale"})


def normalize(value: dict[str, Any], part: str) -> dict[str, Any]:
    """A response (`part` is `message`) or a chunk (`delta`) in OpenAI's shape."""
    normal = {**value, "choices": [normalize_choice(choice, part) for choice in value["choices"]]}
    if part == "delta":
        normal["object"] = "chat.completion.chunk"
    if usage := value.get("usage"):
        normal["usage"] = normalize_usage(usage)
    if (tier := value.get("service_tier")) is not None:
        tier = TIERS.get(tier, tier)
        if tier in _OPENAIS:
            normal["service_tier"] = tier
        else:  # github.com/64bit/async-openai/pull/457, 2026-11
            del normal["service_tier"]
    return normal


def normalize_choice(choice: dict[str, Any], part: str) -> dict[str, Any]:
    """A choice with its reasoning in the right field; raises `WireError` if it has failed."""
    reason = finish_reason(choice)
    if part == "message":
        reason = by_calls(reason, has_calls=bool(choice[part].get("tool_calls")))
    normal = {**choice, part: normalize_content(choice[part]), "finish_reason": reason}
    if part == "delta":
        # Perplexity repeats the whole message so far in each chunk (its `stream_mode: full`).
        normal.pop("message", None)
    return normal


def by_calls(reason: FinishReason | None, *, has_calls: bool) -> FinishReason | None:
    """
    The finish reason, which says whether there are calls.

    Some vendors say `stop` beside calls, and agents would end there: github.com/anomalyco/opencode/
    issues/20719, vercel/ai/issues/12218. Others say `tool_calls` without one, and agents would ask
    again: mastra-ai/mastra/issues/12581. 2026-11
    """
    if reason in {"stop", "tool_calls"}:
        return "tool_calls" if has_calls else "stop"
    return reason


def normalize_content(message: dict[str, Any]) -> dict[str, Any]:
    """A message or delta with its text in `content` and its reasoning in `reasoning_content`."""
    # Groq, Cerebras, OpenRouter, Together, Ollama and newer vLLM call it `reasoning`.
    if isinstance(message.get("reasoning"), str) and not message.get("reasoning_content"):
        message = {**message, "reasoning_content": message["reasoning"]}
        del message["reasoning"]
    return message


def normalize_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Usage that includes reasoning in the completion, and has the cached tokens."""
    sent, got = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    # xAI counts reasoning beside the completion: docs.x.ai/docs/guides/reasoning.
    if thought and usage.get("total_tokens") == sent + got + thought:
        usage = {**usage, "completion_tokens": got + thought}
    # DeepSeek: api-docs.deepseek.com/guides/kv_cache.
    hit = usage.get("prompt_cache_hit_tokens")
    if isinstance(hit, int) and not usage.get("prompt_tokens_details"):
        usage = {**usage, "prompt_tokens_details": {"cached_tokens": hit}}
    return usage


def decode(response: WireResponse, _target: Target) -> ChatCompletion:
    """The response, normalized."""
    whole: Any = check_whole(read(response.body))
    normal: Any = normalize(whole, "message")
    completion: ChatCompletion = normal
    return completion
