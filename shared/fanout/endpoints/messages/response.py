"""
A chat completion as a message.

Source: https://platform.claude.com/docs/en/api/messages/create and
…/build-with-claude/handling-stop-reasons, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import MsgspecError

from ...wire import json
from .thoughts import SIGNATURE, signature_of, thinking_block

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


def message_id(chat_id: object) -> str:
    """The id of a message, of the chat completion's."""
    given = str(chat_id or "")
    return given if given.startswith("msg_") else f"msg_{given.removeprefix('chatcmpl-')}"


def make_message(
    chat_id: object,
    model: object,
    content: list[dict[str, Any]],
    stop: Mapping[str, Any],
    usage: Mapping[str, Any],
) -> dict[str, Any]:
    """A message; `stop` has `stop_reason` and `stop_sequence`."""
    return {
        "id": message_id(chat_id),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        **stop,
        "usage": usage,
    }


def message_of_choice(
    choice: Mapping[str, Any], top: Mapping[str, Any], *, thinks: bool, stops: Iterable[str] = ()
) -> dict[str, Any]:
    """
    The message of one choice; `top` has `id`, `model` and `usage`.

    Thinking is in it only if the client asks for it (`thinks`): others read the first block's text.
    """
    return make_message(
        top.get("id"),
        top.get("model"),
        content_of(choice["message"], thinks=thinks),
        stop_of(choice, stops),
        usage_of(top.get("usage")),
    )


def content_of(message: Mapping[str, Any], *, thinks: bool) -> list[dict[str, Any]]:
    """The blocks: thinking first, then text and a refusal, then the calls of tools."""
    blocks: list[dict[str, Any]] = []
    if thinks:
        blocks += thoughts_of(message)
    texts = (message.get("content"), message.get("refusal"))
    blocks += [{"type": "text", "text": text} for text in texts if text]
    calls = message.get("tool_calls") or ()
    return [*blocks, *(tool_use(call) for call in calls)]


def thoughts_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The thinking, with its vendor's signatures if there are any."""
    if isinstance(signed := message.get("thinking_blocks"), list) and signed:
        return [
            thinking_block(block.get("thinking", ""), block.get("signature") or "")
            if block.get("type") == "thinking"
            else dict(block)
            for block in signed
            if isinstance(block, dict)
        ]
    text = message.get("reasoning_content") or message.get("reasoning")
    signature = signature_of(message)
    shown = text if isinstance(text, str) else ""
    return [thinking_block(shown, signature)] if shown or signature != SIGNATURE else []


def tool_use(call: Mapping[str, Any]) -> dict[str, Any]:
    """
    A call of a tool; arguments that are no JSON object are in `arguments`.

    `extra_content` is what the vendor needs back with the call: Google's signature of a thought.
    """
    function = call.get("function") or call.get("custom") or {}
    given = function.get("arguments") if "function" in call else function.get("input")
    return {
        "type": "tool_use",
        "id": call.get("id"),
        "name": function.get("name") or "",
        "input": read_input(given or ""),
        **({"extra_content": call["extra_content"]} if call.get("extra_content") else {}),
    }


def read_input(arguments: str) -> dict[str, Any]:
    """The arguments of a call as an object."""
    try:
        value = json.decode_any((arguments or "{}").encode())
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        value = arguments
    return value if isinstance(value, dict) else {"arguments": value}


def stop_of(choice: Mapping[str, Any], stops: Iterable[str] = ()) -> dict[str, Any]:
    """
    `stop_reason`, and `stop_sequence` if the vendor tells which of the `stops` it was.

    The choice's message has its `refusal`, or that of a stream is in the choice.

    vLLM has it in the choice's `stop_reason`: docs.vllm.ai, 2026-11.
    """
    found = choice.get("stop_reason")
    if isinstance(found, str) and found in stops:
        return {"stop_reason": "stop_sequence", "stop_sequence": found}
    reason = STOP_REASONS.get(choice.get("finish_reason") or "stop", "end_turn")
    message = choice.get("message", choice)
    if reason == "end_turn" and message.get("tool_calls"):
        reason = "tool_use"  # `stop` after a call that the request asked for: OpenAI's API, 2026-11
    if reason == "end_turn" and message.get("refusal"):
        reason = "refusal"
    return {"stop_reason": reason, "stop_sequence": None}


def usage_of(usage: Mapping[str, Any] | None) -> dict[str, int]:
    """Anthropic's usage, whose `input_tokens` exclude those that a cache has read or written."""
    usage = usage or {}
    details = usage.get("prompt_tokens_details") or {}
    read = details.get("cached_tokens") or 0
    written = details.get("cache_write_tokens") or 0
    return {
        "input_tokens": max(0, (usage.get("prompt_tokens") or 0) - read - written),
        "output_tokens": usage.get("completion_tokens") or 0,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
    }
