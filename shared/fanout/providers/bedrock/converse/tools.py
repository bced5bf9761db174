"""`tools` and `tool_choice` as Converse's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....schema.messages import Function
from ....schema.request import ChatRequest
from ...anthropic.models import find_traits
from ...fields import UnsupportedFields
from ...request_reader import Block
from ...schema_references import is_recursive
from ...schemas import limit_schema
from ...tool_reader import Choice, function_tools, read_choice
from ...tool_schemas import flat_schema, only_keys
from ..models import has_schemas, has_tools, is_claude, tool_choices, top_keys
from ..rules import CALLED_BEFORE, FUNCTIONS, SCHEMAS
from .cache_points import cache_point


def encode_tools(
    request: ChatRequest, kind: str, unsupported: UnsupportedFields, called: Sequence[str]
) -> tuple[Block, Block]:
    """
    `toolConfig`, and the fields that the model itself gets; either may be empty.

    Converse has no choice "none" and cannot limit a choice to some tools, so the tools that must
    not be called are left out. But if any was `called` in the conversation, there must be tools.
    """
    choice = read_choice(request, unsupported, can_force=find_traits(kind).forced)
    if not has_tools(kind):
        return _without_tools(request, choice, unsupported)
    tools: list[Block] = []
    for function, raw, _ in function_tools(request, unsupported, FUNCTIONS):
        if choice.allows(function.name):
            marked = raw if raw.get("cache_control") else raw["function"]
            marks = cache_point(marked, kind, unsupported, of_tool=True)
            schema = function.parameters or {}
            strict = bool(function.strict) and has_schemas(kind) and not is_recursive(schema)
            if function.strict and not strict:
                unsupported.note("tools[].function.strict")
            tools += [_encode_function(function, kind, strict=strict), *marks]
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
    tools, encoded = _choose(choice, tools, kind, unsupported)
    if request.parallel_tool_calls is False and is_claude(kind):
        return {"tools": tools}, {"tool_choice": _claude_choice(encoded)}
    return {"tools": tools, **({"toolChoice": encoded} if encoded else {})}, {}


def _without_tools(
    request: ChatRequest, choice: Choice, unsupported: UnsupportedFields
) -> tuple[Block, Block]:
    """Nothing, for a model that calls no tools; a request for calls is rejected."""
    if request.tools and choice.mode != "none":
        unsupported.add("tools", "this model calls no tools")
    return {}, {}


def _declare(name: str) -> Block:
    """A function that was called before, and that this request does not offer."""
    return {"toolSpec": {"name": name, "inputSchema": {"json": CALLED_BEFORE}}}


def _encode_function(function: Function, kind: str, *, strict: bool) -> Block:
    schema, description = flat_schema(function.parameters), function.description
    if strict:
        schema = limit_schema(schema, SCHEMAS)
    if top := top_keys(kind):
        description = _join_descriptions(description, schema.get("description"))
        schema = only_keys(schema, top)
    tool: dict[str, Any] = {"name": function.name, "inputSchema": {"json": schema}}
    if description:
        tool["description"] = description
    if strict:
        tool["strict"] = True
    return {"toolSpec": tool}


def _join_descriptions(of_function: str | None, of_schema: Any) -> str | None:
    """A function's description, with what only its schema's says."""
    if not isinstance(of_schema, str) or of_schema in (of_function or ""):
        return of_function
    return f"{of_function}\n\n{of_schema}" if of_function else of_schema


def _choose(
    choice: Choice, tools: list[Block], kind: str, unsupported: UnsupportedFields
) -> tuple[list[Block], Block | None]:
    """
    The tools and the choice, as the model accepts it.

    `auto` is what every model does without a choice. A model that cannot be forced to call one
    named tool, but any, gets this one alone.
    """
    encoded, accepted = _encode_choice(choice), tool_choices(kind)
    if encoded is None or encoded.keys() <= accepted:
        return tools, encoded
    if choice.mode != "required":
        return tools, None
    named = [tool for tool in tools if tool.get("toolSpec", {}).get("name") == choice.function]
    if named and "any" in accepted:
        return named, {"any": {}}
    unsupported.add("tool_choice", "this model cannot be forced to call a tool")
    return tools, None


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
