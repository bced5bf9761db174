"""`tools` and `tool_choice` as Converse's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....schema.request import ChatRequest, Function
from ...anthropic.models import find_traits
from ...fields import UnsupportedFields
from ...request_reader import Block
from ...schemas import limit_schema
from ...tool_reader import Choice, flat_schema, function_tools, read_choice
from ..models import has_schemas, is_claude
from ..rules import CALLED_BEFORE, SCHEMAS
from .messages import cache_point, has_caching


def encode_tools(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields, called: Sequence[str]
) -> tuple[Block, Block]:
    """
    `toolConfig`, and the fields that the model itself gets; either may be empty.

    Converse has no choice "none" and cannot limit a choice to some tools, so the tools that must
    not be called are left out. But if any was `called` in the conversation, there must be tools.
    """
    choice = read_choice(request, unsupported, can_force=find_traits(kind).forced)
    tools: list[Block] = []
    for function, raw, _ in function_tools(request, unsupported):
        if choice.allows(function.name):
            marks = cache_point(raw) or cache_point(raw["function"])
            if marks and not has_caching(kind):
                unsupported.note("tools[].cache_control")
                marks = []
            strict = bool(function.strict) and has_schemas(kind)
            if function.strict and not strict:
                unsupported.note("tools[].function.strict")
            tools += [_encode_function(function, strict=strict), *marks]
    if choice.mode == "none" and tools:
        if not called:
            return {}, {}
        why = "`none` is not supported after a tool was called"
        unsupported.add("tool_choice", why, kept=False)
    if not tools:
        if not called:
            return {}, {}
        unsupported.note("tools")
        return {"tools": [_declare(name) for name in called]}, {}
    encoded = _encode_choice(choice)
    if request.parallel_tool_calls is False and is_claude(kind):
        return {"tools": tools}, {"tool_choice": _claude_choice(encoded)}
    return {"tools": tools, **({"toolChoice": encoded} if encoded else {})}, {}


def _declare(name: str) -> Block:
    """A function that was called before, and that this request does not offer."""
    return {"toolSpec": {"name": name, "inputSchema": {"json": CALLED_BEFORE}}}


def _encode_function(function: Function, *, strict: bool) -> Block:
    schema = flat_schema(function)
    if strict:
        schema = limit_schema(schema, SCHEMAS)
    tool: dict[str, Any] = {"name": function.name, "inputSchema": {"json": schema}}
    if function.description:
        tool["description"] = function.description
    if strict:
        tool["strict"] = True
    return {"toolSpec": tool}


def _encode_choice(choice: Choice) -> Block | None:
    """https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolChoice.html."""
    if choice.function:
        return {"tool": {"name": choice.function}}
    kinds = {"auto": "auto", "required": "any"}
    return {kinds[choice.mode]: {}} if choice.mode in kinds else None


def _claude_choice(choice: Block | None) -> Block:
    """
    Claude's own `tool_choice`, without parallel calls; then `toolConfig` must not have one.

    https://github.com/BerriAI/litellm/issues/36536 and …/pull/34347
    """
    kind, named = next(iter((choice or {"auto": {}}).items()))
    return {"type": kind, **named, "disable_parallel_tool_use": True}
