"""Tools that a model may call, and whether it must. Knows nothing of messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...schema.chat import Object
from ...schema.request import (
    AllowedTools,
    ChatRequest,
    Function,
    FunctionTool,
    NamedCustom,
    NamedFunction,
)
from ..base import Losses
from .messages import cache_mark

# https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools#forcing-tool-use
_MODES = {"auto": "auto", "none": "none", "required": "any"}


def encode_tools(request: ChatRequest, losses: Losses) -> dict[str, Any]:
    """`tools` and `tool_choice`; no choice is sent where there is nothing to choose."""
    tools = list(_encode_tools(request, losses))
    choice = _encode_choice(request, losses)
    if isinstance(request.tool_choice, AllowedTools):
        # Their wire has no word for a subset, so that the others are not shown at all.
        tools = [tool for tool in tools if tool["name"] in request.tool_choice.names]
    if not tools and (choice is None or choice["type"] in {"auto", "none"}):
        return {}
    said: dict[str, Any] = {"tools": tools} if tools else {}
    return said | ({"tool_choice": choice} if choice else {})


def _encode_tools(request: ChatRequest, losses: Losses) -> Iterator[dict[str, Any]]:
    for index, tool in enumerate(request.tools or ()):
        if isinstance(tool, FunctionTool):
            yield _encode_function(tool.function, request.body["tools"][index])
        else:
            losses.lose(f"tools[{index}]", "only functions can be called")


def _encode_function(function: Function, raw: Object) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": function.name,
        "input_schema": {"type": "object", **(function.parameters or {"properties": {}})},
    }
    if function.description:
        said["description"] = function.description
    if function.strict:
        said["strict"] = True
    return said | cache_mark(raw["function"]) | cache_mark(raw)


def _encode_choice(request: ChatRequest, losses: Losses) -> dict[str, Any] | None:
    match request.tool_choice:
        case NamedFunction(function=function):
            choice: dict[str, Any] = {"type": "tool", "name": function.name}
        case AllowedTools(required=required):
            choice = {"type": "any" if required else "auto"}
        case NamedCustom():
            losses.lose("tool_choice", "only functions can be called")
            choice = {"type": "auto"}
        case None:
            choice = {"type": "auto"}
        case mode:
            choice = {"type": _MODES[mode]}
    if request.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    is_default = request.tool_choice is None and len(choice) == 1
    return None if is_default else choice
