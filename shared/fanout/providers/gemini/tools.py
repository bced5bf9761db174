"""Functions to call, and whether to."""

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
    """The fields `tools` and `toolConfig`, those that are needed."""
    functions: list[FunctionTool] = []
    for index, tool in enumerate(request.tools or ()):
        if isinstance(tool, CustomTool):
            losses.lose(f"tools[{index}]", "it calls functions only")
        else:
            functions.append(tool)
    declared = [_declare(tool) for tool in functions]
    strict = any(tool.function.strict for tool in functions)
    choice = _encode_choice(request, losses, strict=strict)
    return {
        "tools": [{"functionDeclarations": declared}] if declared else None,
        "toolConfig": {"functionCallingConfig": choice} if choice else None,
    }


def _declare(tool: FunctionTool) -> dict[str, Any]:
    declared = {
        "name": tool.function.name,
        "description": tool.function.description,
        "parametersJsonSchema": tool.function.parameters,
    }
    return {name: value for name, value in declared.items() if value is not None}


def _encode_choice(request: ChatRequest, losses: Losses, *, strict: bool) -> dict[str, Any] | None:
    """
    Google's mode, and the only functions to call in it.

    See https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes. `VALIDATED`
    is `AUTO` with calls that keep to their schemas: what OpenAI calls strict.
    """
    match request.tool_choice:
        case None | "auto":
            return {"mode": "VALIDATED"} if strict else None
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case NamedFunction() as named:
            return {"mode": "ANY", "allowedFunctionNames": [named.function.name]}
        case AllowedTools() as allowed:
            mode = "ANY" if allowed.required else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": sorted(allowed.names)}
        case NamedCustom():
            losses.lose("tool_choice", "it calls functions only")
            return None
        case _:
            assert_never(request.tool_choice)
