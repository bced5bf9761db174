"""
Reasoning items: what a model thought, and what its vendor needs back with the next request.

`encrypted_content` is opaque to clients, which send it back. Fanout's holds signed thoughts, or
says that the summary is text that the vendor takes back. That of another maker is not readable
here, and bound to its account: such items are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..sealed import is_sealed, joined, unseal


def kept_reasoning(item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an assistant's message that an item of Fanout stands for; else none."""
    given = item.get("encrypted_content")
    if not is_sealed(given):
        return {}
    text = _texts(item.get("summary"))
    return {**({"reasoning_content": text} if text else {}), **unseal(str(given))}


def is_reference(item: Mapping[str, Any]) -> bool:
    """Whether an item has nothing but the id of stored reasoning."""
    if item.get("type") == "item_reference":
        return str(item.get("id")).startswith("rs_")
    return is_plain(item) and not _texts(item.get("summary")) and not item.get("content")


def is_plain(item: Mapping[str, Any]) -> bool:
    """
    Whether this is reasoning without `encrypted_content`.

    It has the id of a stored item, and maybe text: a summary or, from servers as vLLM, content.
    """
    return item.get("type") == "reasoning" and not item.get("encrypted_content")


def join_reasoning(fields: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a message with those of one more item of reasoning."""
    found = dict(fields)
    for name, value in more.items():
        known = found.get(name)
        is_text = isinstance(known, str) and isinstance(value, str) and known
        found[name] = f"{known}\n\n{value}" if is_text else joined(known, value)
    return found


def _texts(parts: object) -> str:
    """The texts of a summary, which Fanout sends in one part."""
    listed = parts if isinstance(parts, list) else []
    texts = [part.get("text") for part in listed if isinstance(part, dict)]
    return "\n\n".join(text for text in texts if isinstance(text, str))
