"""
Reasoning items: what a model thought, and what its vendor needs back with the next request.

`encrypted_content` is opaque to clients, which send it back. Fanout's holds signed thoughts, or
says that the summary is text that the vendor takes back. That of another maker is not readable
here, and bound to its account: such items are left out.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from ...wire import json

PREFIX = "fanout1."
"""What Fanout's `encrypted_content` begins with, so that no other maker's is read as its own."""


def sealed(thoughts: Sequence[Any], extra: Mapping[str, Any] | None = None) -> str:
    """The `encrypted_content` of a reasoning item with what the vendor needs back."""
    given = {"thinking_blocks": [*thoughts], "extra_content": extra}
    kept = {name: value for name, value in given.items() if value}
    return PREFIX + b64encode(json.encode(kept)).decode()


def kept_reasoning(item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an assistant's message that an item of Fanout stands for; else none."""
    given = item.get("encrypted_content")
    if not isinstance(given, str) or not given.startswith(PREFIX):
        return {}
    try:
        value = json.decode(b64decode(given.removeprefix(PREFIX), validate=True))
    except (ValueError, *json.NOT_JSON):
        return {}
    found: dict[str, Any] = {}
    if text := _texts(item.get("summary")):
        found["reasoning_content"] = text
    known = value if isinstance(value, dict) else {}
    if isinstance(thoughts := known.get("thinking_blocks"), list) and thoughts:
        found["thinking_blocks"] = thoughts
    if isinstance(extra := known.get("extra_content"), dict) and extra:
        found["extra_content"] = extra
    return found


def _texts(parts: object) -> str:
    """The texts of a summary, which Fanout sends in one part."""
    listed = parts if isinstance(parts, list) else []
    texts = [part.get("text") for part in listed if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str))
