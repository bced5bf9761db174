"""
A choice among some of the tools, in one form: the name of each is inside, as in `tools`.

OpenAI's Responses API, and clients that know it, have the name beside the type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_limited(choice: object) -> bool:
    """Whether a `tool_choice` lists the tools that may be called."""
    return isinstance(choice, dict) and isinstance(choice.get("allowed_tools"), dict)


def nested_choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    """The choice, each of whose tools has its name inside."""
    allowed = choice["allowed_tools"]
    if not isinstance(tools := allowed.get("tools"), list):
        return {**choice}
    return {**choice, "allowed_tools": {**allowed, "tools": [_nested(tool) for tool in tools]}}


def _nested(tool: Any) -> Any:
    match tool:
        case {"type": "function" | "custom" as kind, "name": str(name)} if kind not in tool:
            return {"type": kind, kind: {"name": name}}
        case _:
            return tool
