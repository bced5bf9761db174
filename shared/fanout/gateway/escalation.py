"""
Escalation: the call after a response that does not fit the schema, to the same model or the next.

A model that may do better gets its text back with the reason. One that refused, or was cut off at
its limit of tokens, would do the same again. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from ..schema.chat import ChatCompletion
from ..schema.request import ChatRequest, Check
from ..schema.validation import replace_messages

CORRECTION = (
    "This response is not valid: {reason}. Respond again with the whole corrected JSON and nothing "
    "else."
)

MAX_RETURNED = 50_000
"""Characters of a text that goes back to its model; after a longer one it gets the prompt again."""

CUT_OFF = "it was cut off at the most tokens that it may have; raise `max_tokens`"

FENCE = "```"
"""Markdown's line before and after a text that is code."""


class Invalid(Struct, frozen=True):
    """
    What is wrong with a response, and its text if it has one.

    A response that is not `is_repairable` would be no better the second time.
    """

    reason: str
    text: str | None = None
    is_repairable: bool = True


def find_invalid(
    completion: ChatCompletion, problem: Callable[[str], str | None]
) -> Invalid | None:
    """
    What is wrong with the first choice that does not fit; `None` if all do.

    `problem` says what is wrong with a text. A call of a tool is no text yet and fits.
    """
    if not completion["choices"]:
        return Invalid("it has no choices")
    for choice in completion["choices"]:
        message: Mapping[str, Any] = choice["message"]
        if is_call(message):
            continue
        text = message.get("content")
        if not text and message.get("refusal"):
            return Invalid("the model refused to respond", is_repairable=False)
        text = text if isinstance(text, str) else ""
        if (reason := problem(unfenced(text))) is not None:
            return _invalid(reason, text, choice.get("finish_reason"))
    return None


def unfenced(text: str) -> str:
    """What is inside the code fence if the text is one and nothing else; else the text."""
    inner = text.strip()
    if not (inner.startswith(FENCE) and inner.endswith(FENCE)):
        return text
    language, newline, rest = inner[len(FENCE) : -len(FENCE)].partition("\n")
    return rest.strip() if newline and language.strip().lower() in {"", "json"} else text


def without_fences(completion: ChatCompletion) -> ChatCompletion:
    """A response that fits, with the JSON alone in each choice; it is not changed."""
    choices: list[Any] = [_unfenced_choice(choice) for choice in completion["choices"]]
    if all(new is old for new, old in zip(choices, completion["choices"], strict=True)):
        return completion
    return {**completion, "choices": choices}


def _unfenced_choice(choice: Any) -> Any:
    message = choice["message"]
    text = message.get("content")
    if not isinstance(text, str) or is_call(message) or (bare := unfenced(text)) is text:
        return choice
    return {**choice, "message": {**message, "content": bare}}


def is_call(message: Mapping[str, Any]) -> bool:
    """Whether the message calls a tool, so that its text is none of the response's."""
    return bool(message.get("tool_calls") or message.get("function_call"))


def _invalid(reason: str, text: str, finish_reason: str | None) -> Invalid:
    if finish_reason == "length":
        return Invalid(CUT_OFF, text, is_repairable=False)
    if finish_reason == "content_filter":
        return Invalid("the provider's content filter ended it", text, is_repairable=False)
    return Invalid(reason, text)


def next_request(
    chat: ChatRequest, check: Check, calls: int, invalid: Invalid
) -> ChatRequest | None:
    """
    The next request to the model that has had `calls` calls; `None` if the next model is called.

    `chat` is the client's own request: of several invalid texts, only the last one goes back.
    """
    if not invalid.is_repairable or calls >= check.attempts:
        return None
    text = invalid.text
    if not text or not text.strip() or len(text) > MAX_RETURNED:
        return chat
    turns = [
        {"role": "assistant", "content": text},
        {"role": "user", "content": CORRECTION.format(reason=invalid.reason)},
    ]
    return replace_messages(chat, {**chat.body, "messages": [*chat.body["messages"], *turns]})
