"""
What a vendor needs back with the next request, as a text that clients keep and do not read.

Clients send it back as it is: as the `encrypted_content` of reasoning in the Responses API, and as
the `signature` of thinking in Anthropic's.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from ..schema.chat import is_empty
from ..wire import json

PREFIX = "fanout1."
"""What Fanout's texts begin with, so that no other maker's is read as its own."""

FIELDS: Mapping[str, type] = {
    "thinking_blocks": list,
    "reasoning_details": list,
    "extra_content": dict,
}
"""The fields of an assistant's message that may be sealed, and what each is."""


def seal(fields: Mapping[str, Any]) -> str:
    """The text that stands for these fields of a message."""
    return PREFIX + b64encode(json.encode(fields)).decode()


def is_sealed(text: object) -> bool:
    """Whether a text is one of Fanout's."""
    return isinstance(text, str) and text.startswith(PREFIX)


def sealed_fields(message: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the fields that a message has."""
    return {name: message[name] for name in FIELDS if message.get(name)}


def begins(delta: Mapping[str, Any]) -> bool:
    """Whether a response has begun with this piece: a reader's content, or what is sealed."""
    return not is_empty(delta) or bool(sealed_fields(delta))


def joined(old: Any, new: Any) -> Any:
    """Two values of a field as one: lists one after the other, objects member by member."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: joined(old.get(name), value) for name, value in new.items()}}
    return [*old, *new] if isinstance(old, list) and isinstance(new, list) else new


def unseal(text: str) -> dict[str, Any]:
    """The fields of a text of Fanout's, of which none is empty; none if it is damaged."""
    try:
        value = json.decode(b64decode(text.removeprefix(PREFIX), validate=True))
    except (ValueError, *json.NOT_JSON):
        return {}
    fields = value if isinstance(value, dict) else {}
    return {
        name: given
        for name, kind in FIELDS.items()
        if isinstance(given := fields.get(name), kind) and given
    }
