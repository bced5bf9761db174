"""
What other vendors' models left in a conversation, for a request that Anthropic's API gets as it is.

The API rejects thinking that it did not sign, and ids with other letters than its own. Thinking is
left out and an id is replaced; every other message keeps its bytes.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from msgspec import Raw

from ...wire import json
from ...wire.json_members import Members
from ..original_bytes import members_or_none
from .thoughts import is_ours

LEFT_OUT = "messages[].content[].thinking"
"""The name of thinking that is left out."""

_ID = re.compile(r"[a-zA-Z0-9_-]+")


def without_foreign(members: Members, messages: list[Any]) -> tuple[Members | None, list[Any]]:
    """
    The members and the messages without what the API rejects; both are the given ones if all fits.

    The members are `None` if they cannot be read again.
    """
    fitted = [_fit_message(message) for message in messages]
    if all(one is given for one, given in zip(fitted, messages, strict=True)):
        return members, messages
    raws = json.decode(members.value("messages") or b"[]", type=list[Raw])
    parts = [
        bytes(raw) if one is given else json.encode(one)
        for raw, one, given in zip(raws, fitted, messages, strict=True)
    ]
    changed = members.changed({"messages": b"[%b]" % b",".join(parts)})
    return members_or_none(changed), fitted


def _fit_message(message: Any) -> Any:
    """The message with blocks that fit; the same one if all do."""
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(content, list):
        return message
    kept = [block for block in content if not _is_foreign_thinking(block)]
    fitted = [_fit_block(block) for block in kept]
    is_same = len(kept) == len(content) and all(map(lambda a, b: a is b, fitted, kept))
    return message if is_same else {**message, "content": fitted}


def _is_foreign_thinking(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and is_ours(block)


def _fit_block(block: Any) -> Any:
    match block:
        case {"type": "tool_use", "extra_content": _}:
            return _fit_block({k: v for k, v in block.items() if k != "extra_content"})
        case {"type": "tool_use", "id": str(call_id)} if not _ID.fullmatch(call_id):
            return {**block, "id": _fitting(call_id)}
        case {"type": "tool_result", "tool_use_id": str(call_id)} if not _ID.fullmatch(call_id):
            return {**block, "tool_use_id": _fitting(call_id)}
        case _:
            return block


def _fitting(call_id: str) -> str:
    """An id that depends on this one alone, so that prompt caches hold."""
    return "toolu_" + hashlib.sha256(call_id.encode(errors="surrogatepass")).hexdigest()[:24]
