"""
What vendors say differently from OpenAI in an answer, put into its words.

Reasoning under another name or among the content, finish reasons of their own, usage that counts
otherwise. Each rule is told by the answer itself, so that no vendor's name is needed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ...schema.chat import ChatChunk, ChatCompletion
from ...wire.http import WireEvent, WireResponse
from ...wire.sse import SSEFramer
from ..base import Codec, Target, WireError
from .chat import ChatDecoder, Quirks, check_whole, encode, read
from .errors import explain_value, status_of

FINISHED = frozenset({"content_filter", "function_call", "length", "stop", "tool_calls"})
# Mistral: docs.mistral.ai/api (`model_length`: the context is full); others are engines' own words.
RENAMED = {"model_length": "length", "max_tokens": "length", "max_length": "length"}
# The answer broke off: Mistral and OpenRouter say `error`, DeepSeek that it has no machine left
# (api-docs.deepseek.com/api/create-chat-completion), vLLM `abort`.
FAILED = {"error": 502, "abort": 502, "insufficient_system_resource": 503}
# Groq's and Bedrock's names for what OpenAI has too; typed clients know no others.
TIERS = {"on_demand": "default", "standard": "default", "performance": "priority"}


def tidy(value: dict[str, Any], part: str) -> dict[str, Any]:
    """An answer (`part` is `message`) or a chunk (`delta`) in OpenAI's words."""
    tidied = {**value, "choices": [tidy_choice(choice, part) for choice in value["choices"]]}
    if part == "delta":
        tidied["object"] = "chat.completion.chunk"
    if usage := value.get("usage"):
        tidied["usage"] = tidy_usage(usage)
    if isinstance(tier := value.get("service_tier"), str):
        tidied["service_tier"] = TIERS.get(tier, tier)
    return tidied


def tidy_choice(choice: dict[str, Any], part: str) -> dict[str, Any]:
    """A choice with a finish reason of OpenAI's; raises `WireError` if it tells a failure."""
    reason = choice.get("finish_reason")
    if reason is not None and reason not in FINISHED:
        if reason in FAILED:
            _fail(choice, reason)
        reason = RENAMED.get(reason, "stop")  # such as `eos`, `end_turn`
    tidied = {**choice, part: tidy_said(choice[part]), "finish_reason": reason}
    if part == "delta":
        # Perplexity repeats the whole message so far in each chunk (its `stream_mode: full`).
        tidied.pop("message", None)
    return tidied


def _fail(choice: dict[str, Any], reason: str) -> None:
    fault = choice.get("error")  # OpenRouter's, inside the choice
    detail = explain_value(fault, f"the provider broke off with `{reason}`")
    raise WireError(status_of(fault) if fault else FAILED[reason], detail)


def tidy_said(said: dict[str, Any]) -> dict[str, Any]:
    """A message or delta with its text in `content` and its reasoning in `reasoning_content`."""
    if isinstance(content := said.get("content"), list):
        said = {**said, **_split(content)}
    # Groq, Cerebras, OpenRouter, Together, Ollama and newer vLLM call it `reasoning`.
    if isinstance(said.get("reasoning"), str) and not said.get("reasoning_content"):
        said = {**said, "reasoning_content": said["reasoning"]}
        del said["reasoning"]
    return said


def _split(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Mistral's content chunks: `text`, and `thinking` that holds chunks in turn."""
    inner: list[Any] = []
    for part in parts:
        if part.get("type") == "thinking" and isinstance(part.get("thinking"), list):
            inner += part["thinking"]
    thinking = _text(inner)
    return {"content": _text(parts), **({"reasoning_content": thinking} if thinking else {})}


def _text(parts: list[Any]) -> str:
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def tidy_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """Usage that counts reasoning as part of the completion, and tells of the cache."""
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


def decode(reply: WireResponse, _target: Target) -> ChatCompletion:
    """The answer, tidied."""
    value = read(reply.body)
    check_whole(value)
    return check_whole(tidy(value, "message"))


class TidyDecoder:
    """Chunks as `ChatDecoder` knows them, tidied."""

    def __init__(self, target: Target) -> None:
        self._plain = ChatDecoder(target)

    @property
    def ended(self) -> bool:
        return self._plain.ended

    def feed(self, event: WireEvent) -> Iterator[ChatChunk]:
        """Yield the event's chunk, if it is one."""
        for chunk in self._plain.feed(event):
            tidied: Any = tidy({**chunk}, "delta")
            piece: ChatChunk = tidied
            yield piece


def make_codec(quirks: Quirks) -> Codec:
    """The codec of a vendor that speaks this wire with an accent, bent by its quirks."""
    return Codec(partial(encode, quirks), decode, SSEFramer, TidyDecoder)
