"""
The `input` of a request that is passed through to OpenAI, where reasoning was left out.

OpenAI looks for reasoning without `encrypted_content` in what it has stored: "Item with id 'rs_…'
not found". It rejects a stored message or call "without its required 'reasoning' item", so these
have no id then, as openai-python 3.54.0 allows for calls, 2026-11.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from ....schema.pass_through import LEFT_OUT_REASONING, OriginalRequest
from ....wire import json

_WITH_ID = frozenset({"custom_tool_call", "function_call", "message"})


def stateless_input(original: OriginalRequest) -> bytes | None:
    """The items without plain reasoning, and without ids; `None` if no reasoning is left out."""
    given = original.members.value("input")
    if given is None or not (
        original.has_plain_reasoning or LEFT_OUT_REASONING in original.left_out
    ):
        return None
    kept = (_without_id(raw) for raw in json.decode(given, type=list[Raw]))
    return b"[%b]" % b",".join(item for item in kept if item is not None)


def _without_id(raw: Raw) -> bytes | None:
    """An item as it is sent; `None` for plain reasoning."""
    item: Any = json.decode(bytes(raw))
    kind = str(item.get("type") or "message")
    if kind == "reasoning" and not item.get("encrypted_content"):
        return None
    if kind not in _WITH_ID or "id" not in item:
        return bytes(raw)
    return json.encode({name: value for name, value in item.items() if name != "id"})
