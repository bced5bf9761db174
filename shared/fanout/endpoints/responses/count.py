"""`POST /v1/responses/input_tokens`: the tokens of a prompt, counted by its vendor or here."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ...schema import token_estimate
from ...schema.fanout import FanOutRequest
from ...secret import HiddenRepr
from ...wire import json
from ..base import RequestBody
from .surface import read

API = "responses/input_tokens"

TOKENS_OF_MEDIA = 1_600
"""Of an image or a file, whatever its bytes are: about the most that an image has."""

_PROMPT = ("input", "instructions", "text", "tools")


class CountRequest(HiddenRepr, frozen=True):
    """The prompt as a chat request, which has the client's own, and an estimate of its tokens."""

    request: FanOutRequest
    tokens: int


def read_count(body: RequestBody) -> CountRequest:
    """A client's request; raises `RequestError` with the name of the field."""
    request = read(body).request
    chats = tuple(
        one if one.original is None else replace(one, original=replace(one.original, api=API))
        for one in request.conversations
    )
    return CountRequest(replace(request, conversations=chats), _estimate(body.value))


def _estimate(body: dict[str, Any]) -> int:
    """The tokens of the prompt: its text, tools and files."""
    media = 0

    def without_media(value: Any) -> Any:
        nonlocal media
        if isinstance(value, list):
            return [without_media(one) for one in value]
        if isinstance(value, str) and value.startswith("data:"):
            media += 1
            return ""
        if not isinstance(value, dict):
            return value
        return {name: without_media(one) for name, one in value.items()}

    prompt = without_media({name: body[name] for name in _PROMPT if name in body})
    text = json.encode(prompt).decode()
    return token_estimate.estimate_tokens(text) + media * TOKENS_OF_MEDIA
