"""
The tools of a Messages request as functions of a chat request.

Tools that Anthropic runs, or whose schema only its models know (they have a `type` of their own),
have no place in a chat request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import RequestError
from .dropped_fields import DroppedFields
from .tool_changes import final_tools

_KNOWN = frozenset(
    {"cache_control", "description", "eager_input_streaming", "input_schema", "name", "strict"}
    | {"type"}
)
"""Fields of a tool that have a place, or whose loss changes nothing."""

CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def chat_tools(
    body: Mapping[str, Any], dropped: DroppedFields
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """
    `tools`, `tool_choice` and `parallel_tool_calls` of the chat request.

    With the path of each of these tools in the client's request.
    """
    given = body.get("tools")
    if given is not None and not isinstance(given, list):
        raise RequestError("`tools` must be a list", "tools")
    tools, paths = [], []
    for tool, path in final_tools(body, dropped):
        if not isinstance(tool, dict):
            raise RequestError(f"`{path}` must be an object with `name` and `input_schema`", path)
        if is_vendors(tool):
            dropped.add(f"tools[].{tool['type']}")
        else:
            tools.append(_function(tool, path, dropped))
            paths.append(path)
    choice = _choice(body.get("tool_choice"), tools)
    if tools:
        return {"tools": tools, **choice}, tuple(paths)
    found = choice.get("tool_choice")  # one that requires a call is an error of the chat request
    return {} if found in (None, "auto", "none") else {"tool_choice": found}, ()


def is_vendors(tool: Any) -> bool:
    """Whether this tool is Anthropic's own."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    return isinstance(kind, str) and kind != "custom"


def _function(tool: Mapping[str, Any], path: str, dropped: DroppedFields) -> dict[str, Any]:
    for name in ("name", "input_schema"):
        if name not in tool:
            raise RequestError(f"`{path}.{name}` is missing", f"{path}.{name}")
    for name in tool.keys() - _KNOWN:
        if tool[name]:
            dropped.add(f"tools[].{name}")
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    mark = tool.get("cache_control")
    return {
        "type": "function",
        "function": function,
        **({} if mark is None else {"cache_control": mark}),
    }


def _choice(given: Any, tools: list[dict[str, Any]]) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RequestError("`tool_choice` must be an object with a `type`", "tool_choice")
    kind, name = given.get("type"), given.get("name")
    parallel = {"parallel_tool_calls": False} if given.get("disable_parallel_tool_use") else {}
    if kind == "tool":
        if not isinstance(name, str) or not name:
            raise RequestError("`tool_choice.name` must be a string", "tool_choice.name")
        if tools and all(tool["function"]["name"] != name for tool in tools):
            raise RequestError(
                "`tool_choice` requires a call of a tool that is not among those of the request"
                " that have a place in other APIs, or that was removed",
                "tool_choice",
            )
        return {"tool_choice": {"type": "function", "function": {"name": name}}, **parallel}
    if not isinstance(kind, str) or kind not in CHOICES:
        names = ", ".join(f"`{one}`" for one in (*CHOICES, "tool"))
        raise RequestError(f"`tool_choice.type` must be one of {names}", "tool_choice.type")
    return {"tool_choice": CHOICES[kind], **parallel}
