"""
About how many tokens a conversation has, whatever its fields are called. Pure.

All text counts. An image, a sound or a document counts a flat number, and only where a part of this
type has it, and only if it is an address or encoded bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..wire import json
from .request import ChatRequest
from .token_estimate import estimate_tokens

MEDIA_TOKENS = 1_500
"""Of an image or another file in a message: its bytes are no text."""

MEDIA = {
    "image_url": "image_url",
    "input_image": "image_url",
    "input_audio": "input_audio",
    "video_url": "video_url",
    "file": "file",
    "input_file": "file_data",
    "image": "source",
    "document": "source",
}
"""The types of parts that are not text, and the field that has the bytes or their address."""

ENCODED = re.compile(r"data:(image|audio|video)/|data:application/pdf|JVBERi0")
"""What begins as the bytes of an image, a sound, a film or a PDF in base64."""

BYTES = re.compile(r"[A-Za-z0-9+/]+={0,2}")
"""A whole value in base64."""

MAX_ADDRESS = 8_192

AUDIO = "input_audio"

STRUCTURES = ("tools", "functions", "response_format")
"""Fields of a request that a model reads with the names of their fields."""


def prompt_tokens(chat: ChatRequest) -> int:
    """The tokens of a conversation, about; its tools and schema count too."""
    return body_tokens(chat.body)


def body_tokens(body: Mapping[str, Any]) -> int:
    """The tokens of a request's body without the gateway's own fields, about."""
    total = 1
    for name, value in body.items():
        if name in STRUCTURES:
            total += estimate_tokens(json.encode(value).decode(errors="replace"))
        else:
            total += tokens_in(value)
    return total


def tokens_in(value: Any) -> int:
    """The tokens of all text in a value of JSON, and of the media in it."""
    if isinstance(value, str):
        return estimate_tokens(value)
    if isinstance(value, list):
        return sum(map(tokens_in, value))
    if not isinstance(value, dict):
        return 0
    kind = value.get("type")
    media = MEDIA.get(kind) if isinstance(kind, str) else None
    if media is None or media not in value:
        return sum(map(tokens_in, value.values()))
    rest = sum(tokens_in(part) for name, part in value.items() if name != media)
    return MEDIA_TOKENS + rest + _text_in(value[media], is_encoded=kind in {AUDIO, "image"})


def _text_in(value: Any, *, is_encoded: bool) -> int:
    """The tokens of what is neither an address nor encoded bytes; `is_encoded`: base64 is."""
    if isinstance(value, dict):
        parts = value.values()
        return sum(_text_in(part, is_encoded=is_encoded) for part in parts)
    if not isinstance(value, str):
        return tokens_in(value)
    is_address = len(value) <= MAX_ADDRESS and value.startswith(("http://", "https://", "gs://"))
    is_bytes = ENCODED.match(value) or (is_encoded and BYTES.fullmatch(value))
    return 0 if is_address or is_bytes else estimate_tokens(value)
