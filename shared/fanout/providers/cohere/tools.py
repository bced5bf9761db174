"""Tools and the choice among them, as Cohere has them."""

from __future__ import annotations

from typing import Any, assert_never

from ...schema.request import (
    AllowedTools,
    ChatRequest,
    CustomTool,
    FunctionTool,
    NamedCustom,
    NamedFunction,
)
from ..base import Losses


def encode_tools(request: ChatRequest, losses: Losses) -> dict[str, Any]:
    """The fields `tools`, `strict_tools` and `tool_choice`, those that are needed."""
    choice, allowed = _encode_choice(request, losses)
    tools = _functions(request, losses)
    offered = [tool for tool in tools if allowed is None or tool.function.name in allowed]
    return {
        "tools": [_encode_tool(tool) for tool in offered] or None,
        "strict_tools": _is_strict(tools, losses),
        "tool_choice": choice,
    }


def _functions(request: ChatRequest, losses: Losses) -> list[FunctionTool]:
    functions: list[FunctionTool] = []
    for index, tool in enumerate(request.tools or ()):
        if isinstance(tool, CustomTool):
            losses.lose(f"tools[{index}]", "it calls functions only")
        else:
            functions.append(tool)
    return functions


def _encode_tool(tool: FunctionTool) -> dict[str, Any]:
    function = {
        "name": tool.function.name,
        "description": tool.function.description,
        # Cohere requires a schema even of a function that takes nothing.
        "parameters": tool.function.parameters or {"type": "object", "properties": {}},
    }
    present = {name: value for name, value in function.items() if value is not None}
    return {"type": "function", "function": present}


def _is_strict(tools: list[FunctionTool], losses: Losses) -> bool | None:
    """OpenAI asks for it tool by tool, Cohere has one switch for all."""
    strict = [tool.function.strict is True for tool in tools]
    if any(strict) and not all(strict):
        place = f"tools[{strict.index(True)}].function.strict"
        losses.lose(place, "it is strict with all functions or with none")
        return None
    return any(strict) or None


def _encode_choice(
    request: ChatRequest, losses: Losses
) -> tuple[str | None, frozenset[str] | None]:
    """
    Cohere's choice, and the only tools to offer with it.

    It knows `REQUIRED` and `NONE`. To have one function called, require a call and offer only it.
    """
    match request.tool_choice:
        case None | "auto":
            return None, None
        case "none":
            return "NONE", None
        case "required":
            return "REQUIRED", None
        case NamedFunction() as named:
            return "REQUIRED", frozenset({named.function.name})
        case AllowedTools() as allowed:
            return ("REQUIRED" if allowed.required else None), allowed.names
        case NamedCustom():
            losses.lose("tool_choice", "it calls functions only")
            return None, None
        case _:
            assert_never(request.tool_choice)
