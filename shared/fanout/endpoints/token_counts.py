"""A prompt whose tokens a client wants to know: counted by its vendor, or estimated."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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


def estimate_prompt(prompt: Any, files: Callable[[Mapping[str, Any]], Collection[str]]) -> int:
    """The estimated tokens of a prompt as JSON; `files` names the members of a part with a file."""
    media: list[None] = []
    text = json.encode(_without_files(prompt, files, media)).decode()
    return estimate_tokens(text) + len(media) * TOKENS_OF_MEDIA


def _without_files(
    value: Any, files: Callable[[Mapping[str, Any]], Collection[str]], media: list[None]
) -> Any:
    """The value without its files; each part with one is added to `media`."""
    if isinstance(value, list):
        return [_without_files(one, files, media) for one in value]
    if not isinstance(value, dict):
        return value
    held = [name for name in files(value) if value.get(name)]
    media += [None] if held else []
    kept = {name: one for name, one in value.items() if name not in held}
    return {name: _without_files(one, files, media) for name, one in kept.items()}
