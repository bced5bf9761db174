"""A prompt whose tokens a client wants to know: counted by its vendor, or estimated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ..schema.fanout import FanOutRequest
from ..schema.token_estimate import estimate_tokens
from ..secret import HiddenRepr
from ..wire import json

TOKENS_OF_MEDIA = 1_600
"""
Of an image or a page, whatever its bytes are.

The most that an image has: platform.claude.com/docs/en/build-with-claude/vision, 2026-11.
"""


class CountRequest(HiddenRepr, frozen=True):
    """The prompt as a chat request, which has the client's own, and an estimate of its tokens."""

    request: FanOutRequest
    tokens: int


def count_request(request: FanOutRequest, api: str, tokens: int) -> CountRequest:
    """The request, whose original is of the `api` that counts tokens."""
    chats = tuple(
        one
        if one.original is None
        else replace(one, original=replace(one.original, api=api, defaults={}))
        for one in request.conversations
    )
    return CountRequest(replace(request, conversations=chats), tokens)


def estimate_prompt(prompt: Any, is_media: Callable[[Any], bool]) -> int:
    """The estimated tokens of a prompt as JSON; `is_media` says which values are files."""
    media: list[Any] = []
    text = json.encode(_without_media(prompt, is_media, media)).decode()
    return estimate_tokens(text) + len(media) * TOKENS_OF_MEDIA


def _without_media(value: Any, is_media: Callable[[Any], bool], found: list[Any]) -> Any:
    """The value with nothing in place of each file; `found` gets them."""
    if is_media(value):
        found.append(value)
        return type(value)()
    if isinstance(value, list):
        return [_without_media(one, is_media, found) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: _without_media(one, is_media, found) for name, one in value.items()}
