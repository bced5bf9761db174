"""
The tools of a request after the changes that its messages make to them.

Other vendors have one list of tools for the whole conversation: theirs is the one at its end.
Source: anthropic-sdk-python 2.12, `BetaRequestToolAdditionBlockParam`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .dropped_fields import DroppedFields

ADDITION, REMOVAL = "tool_addition", "tool_removal"
KINDS = frozenset({ADDITION, REMOVAL})
"""The types of the blocks that change the tools."""


def final_tools(body: Mapping[str, Any], dropped: DroppedFields) -> list[tuple[Any, str]]:
    """Each tool at the end of the conversation, with its path in the request."""
    tools = [(tool, f"tools[{index}]") for index, tool in enumerate(body.get("tools") or ())]
    removed = set[str]()
    for change, path in _changes(body.get("messages")):
        is_added = change["type"] == ADDITION
        match change.get("tool"):
            case {"type": "tool_definition", "definition": dict(tool)} if is_added:
                name = str(tool.get("name"))
                tools = [one for one in tools if _name(one[0]) != name]
                tools.append((tool, f"{path}.tool.definition"))
                removed.discard(name)
            case {"type": "tool_reference", "name": str(name)}:
                (removed.discard if is_added else removed.add)(name)
            case _:  # of an MCP server, which the vendor runs
                dropped.add(f"messages[].content[].{change['type']}")
    return [one for one in tools if _name(one[0]) not in removed]


def _name(tool: Any) -> str | None:
    name = tool.get("name") if isinstance(tool, dict) else None
    return name if isinstance(name, str) else None


def _changes(messages: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The changes in their order, also those that a compaction stands for."""
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, dict) else None
        for index, block in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(block, dict):
                continue
            path = f"messages[{number}].content[{index}]"
            if block.get("type") == "compaction":
                listed = block.get("tool_changes")
                for place, change in enumerate(listed if isinstance(listed, list) else ()):
                    if _is_change(change):
                        yield change, f"{path}.tool_changes[{place}]"
            elif _is_change(block):
                yield block, path


def _is_change(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in (ADDITION, REMOVAL)
