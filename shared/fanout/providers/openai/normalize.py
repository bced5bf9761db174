"""
Responses of OpenAI-compatible vendors in OpenAI's exact shapes.

Some have reasoning in another field or among the content, their own finish reasons, or another way
to count usage. Each rule looks at the response itself, so no vendor's name is needed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from ...schema.chat import ChatChunk, ChatCompletion, FinishReason
from ...wire.http import WireEvent, WireResponse
from ...wire.sse import SSEFramer
from ..base import Codec, Target, WireError
from .chat import Quirks, encode
from .errors import NO_REASON, explain_value, status_of
from .finish import finish_reason
from .response import ChatDecoder, check_whole, is_chunk, read

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
        reason = _by_calls(reason, has_calls=bool(choice[part].get("tool_calls")))
    normal = {**choice, part: normalize_content(choice[part]), "finish_reason": reason}
    if part == "delta":
        # Perplexity repeats the whole message so far in each chunk (its `stream_mode: full`).
        normal.pop("message", None)
    return normal


def _by_calls(reason: FinishReason | None, *, has_calls: bool) -> FinishReason | None:
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


def take_normalized(decoder: ChatDecoder, value: dict[str, Any]) -> dict[str, Any]:
    """The chunk that the decoder makes of `value`, normalized."""
    taken: Any = decoder.take(value)
    normal = normalize(taken, "delta")
    for choice in normal["choices"]:  # ours: just made
        if reason := choice["finish_reason"]:
            has_calls = decoder.has_calls(choice["index"])
            choice["finish_reason"] = _by_calls(reason, has_calls=has_calls)
    return normal


def decode(response: WireResponse, _target: Target) -> ChatCompletion:
    """The response, normalized."""
    whole: Any = check_whole(read(response.body))
    normal: Any = normalize(whole, "message")
    completion: ChatCompletion = normal
    return completion


class NormalizingDecoder:
    """
    Returns the chunks of `ChatDecoder`, normalized.

    Usage that is only in Groq's own field, or in Moonshot's last choice, comes as a chunk at the
    end, as OpenAI's does.
    """

    def __init__(self, target: Target) -> None:
        self._plain = ChatDecoder(target)
        self._own: dict[str, Any] | None = None  # the chunk with usage in the vendor's own place

    @property
    def ended(self) -> bool:
        return self._plain.ended

    def feed(self, event: WireEvent) -> Iterable[ChatChunk]:
        """The event's chunk, if it is one."""
        value = self._plain.read(event)
        if event.data.startswith(b"[DONE]") and self._own is not None:
            return self._with_own_usage(value)
        if not value or not is_chunk(value):
            return ()
        if b'"usage"' in event.data:  # few chunks have it
            self._note_usage(value)
        return (self._take(value),)

    def _note_usage(self, value: dict[str, Any]) -> None:
        if value.get("usage"):
            self._own = None
        elif _own_usage(value):
            self._own = value

    def _take(self, value: dict[str, Any]) -> ChatChunk:
        if "x_groq" in value:
            _raise_own_error(value["x_groq"])
        normal: Any = take_normalized(self._plain, value)
        return normal  # type: ignore[no-any-return]

    def _with_own_usage(self, value: dict[str, Any] | None) -> Iterable[ChatChunk]:
        """The last chunks: what the vendor left out, and its usage."""
        from .usage import repair_usage  # few streams need it

        last: dict[str, Any] = self._own or {}
        self._own = None
        if value:
            yield self._take(value)
        if usage := repair_usage(_own_usage(last)):
            yield self._take({**last, "choices": [], "usage": usage})


def _own_usage(value: dict[str, Any]) -> Any:
    """
    The usage in Groq's field, or in the first choice.

    platform.moonshot.ai/docs/api/chat has an example of a stream with the second, 2026-11.
    """
    if isinstance(own := value.get("x_groq"), dict) and (usage := own.get("usage")):
        return usage
    choices = value.get("choices")
    if type(choices) is list and choices and type(choices[0]) is dict:
        return choices[0].get("usage")
    return None


def _raise_own_error(own: Any) -> None:
    """
    Raise the error with which Groq stops a stream early, beside a delta as in any other chunk.

    "An error string indicating why a stream was stopped early": Groq's SDK for Python 1.7,
    types/chat/chat_completion_chunk.py, 2026-11.
    """
    if isinstance(own, dict) and (fault := own.get("error")):
        raise WireError(status_of(fault), explain_value(fault, NO_REASON))


def make_codec(quirks: Quirks) -> Codec:
    """The codec of an OpenAI-compatible vendor with these quirks."""
    return Codec(partial(encode, quirks), decode, SSEFramer, NormalizingDecoder)
