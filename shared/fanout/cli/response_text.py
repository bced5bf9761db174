"""Prints the text of responses on standard output."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from typing import Any

from ..schema.chat import ChatChunk
from ..wire import json

# Control characters other than newlines and tabs: a response must not control the terminal.
_CONTROLS = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def strip_control_characters(text: str) -> str:
    """The text without control characters."""
    return text.translate(_CONTROLS)


def content_of(part: Mapping[str, Any]) -> str:
    """The text of a message or a delta: its content, or its refusal."""
    return part.get("content") or part.get("refusal") or ""


def first_choice_text(body: Any) -> str:
    """The text of the first choice; if it only calls tools, the calls as JSON."""
    message = body["choices"][0]["message"]
    words = content_of(message)
    if not words and message.get("tool_calls"):
        words = json.encode(message["tool_calls"]).decode()
    return for_output(words)


def for_output(words: str) -> str:
    """The text unchanged for a file or a pipe, without control characters for a terminal."""
    return strip_control_characters(words) if sys.stdout.isatty() else words


async def print_stream(chunks: AsyncIterator[ChatChunk]) -> None:
    """Print the text of the first choice as it arrives."""
    async for chunk in chunks:
        for choice in chunk["choices"]:
            if choice.get("index", 0) == 0:
                print(for_output(content_of(choice["delta"])), end="", flush=True)
    print()
