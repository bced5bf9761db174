"""
Spoken responses in a conversation that their vendor no longer stores: their words are sent instead.

A response's audio has an id, which is sent back with the next turn, and `expires_at`, the Unix time
in seconds after which the id is "no longer accessible on the server for use in multi-turn
conversations": openai-openapi 2.3.0, `ChatCompletionResponseMessage.audio`. Codecs have no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ..schema.request import ChatRequest
from ..schema.validation import replace_messages

MARGIN = 60.0
"""Seconds: the call takes some time, and clocks differ."""


def without_expired(request: ChatRequest, now: float) -> ChatRequest:
    """The request, in which audio that has expired by `now` has no id: only its transcript."""
    messages = request.body["messages"]
    current = [_without_id(message, now + MARGIN) for message in messages]
    if all(new is old for new, old in zip(current, messages, strict=True)):
        return request
    changed = replace_messages(request, {**request.body, "messages": current})
    return replace(changed, places=request.places) if request.places else changed


def _without_id(message: Mapping[str, Any], now: float) -> Mapping[str, Any]:
    audio = message.get("audio")
    if not isinstance(audio, dict) or "id" not in audio:
        return message
    end = audio.get("expires_at")
    if isinstance(end, bool) or not isinstance(end, int | float) or end > now:
        return message
    return {**message, "audio": {name: v for name, v in audio.items() if name != "id"}}
