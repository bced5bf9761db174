"""
Earlier calls of tools and their results as text, for models that call no tools.

Another model of the conversation made the calls. This one rejects their blocks, and needs what they
say.
"""

from __future__ import annotations

from ....wire import json
from ...fields import UnsupportedFields
from ...request_reader import Block


def calls_as_text(
    turns: list[tuple[str, list[Block]]], unsupported: UnsupportedFields
) -> list[tuple[str, list[Block]]]:
    """`turns`, with a text in the place of each call and of each result."""
    names: dict[str, str] = {}
    found: list[tuple[str, list[Block]]] = []
    for role, blocks in turns:
        texts: list[Block] = []
        for block in blocks:
            texts += _as_text(block, names)
        found.append((role, texts))
    if names:
        unsupported.note("messages[].tool_calls")
    return found


def _as_text(block: Block, names: dict[str, str]) -> list[Block]:
    if use := block.get("toolUse"):
        names[use["toolUseId"]] = use["name"]
        arguments = json.encode(use["input"]).decode()
        return [{"text": f"Call of the tool {use['name']}: {arguments}"}]
    if result := block.get("toolResult"):
        name = names[result["toolUseId"]]
        words = [part["text"] for part in result["content"] if "text" in part]
        others = [part for part in result["content"] if "text" not in part]
        return [{"text": f"Result of the tool {name}: {' '.join(words)}"}, *others]
    return [block]
