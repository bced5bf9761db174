"""How many tokens a prompt has, roughly: by its characters, as in a job's quote."""

from __future__ import annotations

from typing import Any

from ...schema import token_estimate
from ...wire import json

TOKENS_OF_MEDIA = 1_600
"""
Of an image or a page, whatever its bytes are.

The most that an image has: platform.claude.com/docs/en/build-with-claude/vision, 2026-11.
"""

_PROMPT = ("messages", "output_config", "system", "tool_choice", "tools")


def estimate_tokens(body: Any) -> int:
    """The tokens of a request's prompt: its text, tools and files."""
    if not isinstance(body, dict):
        return 0
    prompt = {name: body[name] for name in _PROMPT if name in body}
    media = 0

    def without_media(value: Any) -> Any:
        nonlocal media
        if isinstance(value, list):
            return [without_media(one) for one in value]
        if not isinstance(value, dict):
            return value
        if value.get("type") == "base64" and "data" in value:
            media += 1
            return {}
        return {name: without_media(one) for name, one in value.items()}

    text = json.encode(without_media(prompt)).decode()
    return token_estimate.estimate_tokens(text) + media * TOKENS_OF_MEDIA
