"""Tools that a model may call, and whether it must. Knows nothing of messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ....schema.request import (
    AllowedTools,
    ChatRequest,
    Function,
    FunctionTool,
    NamedCustom,
    NamedFunction,
)
from ...base import Losses
from ..models import is_claude
from .media import Block
from .messages import cache_point


def encode_tools(
    request: ChatRequest, kind: str, losses: Losses, *, is_called: bool
) -> tuple[Block, Block]:
    """
    `toolConfig`, and what goes to the model in its own words; either may be empty.

    Converse has no word for "none": the tools are not shown then, unless one `is_called` in the
    conversation, where they must be.
    """
    tools = list(_encode_tools(request, losses))
    if request.tool_choice == "none":
        if not is_called:
            return {}, {}
        losses.lose("tool_choice", "`none` cannot be said where tools were called before")
    if not any("toolSpec" in tool for tool in tools):
        return {}, {}
    choice = _encode_choice(request, losses)
    if request.parallel_tool_calls is False:
        if is_claude(kind):
            return {"tools": tools}, {"tool_choice": _in_claudes_words(choice)}
        losses.lose("parallel_tool_calls", "this model is not known to take it")
    return {"tools": tools, **({"toolChoice": choice} if choice else {})}, {}


def _encode_tools(request: ChatRequest, losses: Losses) -> Iterator[Block]:
    for index, tool in enumerate(request.tools or ()):
        if not isinstance(tool, FunctionTool):
            losses.lose(f"tools[{index}]", "only functions can be called")
        elif _is_shown(request, tool.function.name):
            raw = request.body["tools"][index]
            yield _encode_function(tool.function)
            yield from cache_point(raw) or cache_point(raw["function"])


def _is_shown(request: ChatRequest, name: str) -> bool:
    """Converse has no word for a subset, so the tools that are not allowed are not shown at all."""
    choice = request.tool_choice
    return not isinstance(choice, AllowedTools) or name in choice.names


def _encode_function(function: Function) -> Block:
    schema = {"type": "object", **(function.parameters or {"properties": {}})}
    said: dict[str, Any] = {"name": function.name, "inputSchema": {"json": schema}}
    if function.description:
        said["description"] = function.description
    if function.strict:
        said["strict"] = True
    return {"toolSpec": said}


def _encode_choice(request: ChatRequest, losses: Losses) -> Block | None:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html."""
    match request.tool_choice:
        case NamedFunction(function=function):
            return {"tool": {"name": function.name}}
        case AllowedTools(required=required):
            return {"any": {}} if required else {"auto": {}}
        case NamedCustom():
            losses.lose("tool_choice", "only functions can be called")
            return None
        case "required":
            return {"any": {}}
        case "auto":
            return {"auto": {}}
        case "none" | None:
            return None


def _in_claudes_words(choice: Block | None) -> Block:
    """
    A choice without parallel calls, whole: in two places at once it is refused.

    https://github.com/BerriAI/litellm/issues/36536 and …/pull/34347
    """
    kind, named = next(iter((choice or {"auto": {}}).items()))
    return {"type": kind, **named, "disable_parallel_tool_use": True}
