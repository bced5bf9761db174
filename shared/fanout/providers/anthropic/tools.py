"""`tools` and `tool_choice` as Anthropic's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...schema.chat import Object
from ...schema.messages import Function
from ...schema.request import ChatRequest
from ..fields import UnsupportedFields
from ..schema_references import is_recursive
from ..schemas import limit_schema
from ..tool_reader import Choice, function_tools, read_choice
from ..tool_schemas import flat_schema
from .messages import cache_mark
from .models import Traits
from .rules import FUNCTIONS
from .schemas import SCHEMAS

# https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools#forcing-tool-use
_MODES = {None: "auto", "auto": "auto", "none": "none", "required": "any"}


def encode_tools(
    request: ChatRequest, traits: Traits, unsupported: UnsupportedFields
) -> dict[str, Any]:
    """
    `tools` and `tool_choice`; no choice is sent if there is no tool.

    The API cannot limit a choice to some tools, so the tools that are not allowed are left out.
    """
    choice = read_choice(request, unsupported, can_force=traits.forced)
    tools = [
        _encode_function(function, raw, strict=is_strict(function, traits, unsupported))
        for function, raw, _ in function_tools(request, unsupported, FUNCTIONS)
        if choice.allows(function.name)
    ]
    encoded = _encode_choice(choice, request)
    if not tools and (encoded is None or encoded["type"] in {"auto", "none"}):
        return {}
    return {
        **({"tools": tools} if tools else {}),
        **({"tool_choice": encoded} if encoded else {}),
    }


def declare(called: Sequence[str]) -> dict[str, Any]:
    """
    The functions that were called before, for a request that offers none; none may be called.

    "Requests which include tool_use or tool_result blocks must define tools": the API's error in
    github.com/anthropics/anthropic-sdk-python/issues/494, 2024-05. By …/issues/849, Anthropic's own
    API needs no tools since 2025-02. They are declared all the same: other hosts and servers have
    this API, too, and it is harmless.
    """
    schema = {"type": "object", "properties": {}}
    tools = [{"name": name, "input_schema": schema} for name in called]
    return {"tools": tools, "tool_choice": {"type": "none"}}


def is_strict(function: Function, traits: Traits, unsupported: UnsupportedFields) -> bool:
    """Whether calls must keep to the function's schema: not every model or schema can do this."""
    if not function.strict:
        return False
    if traits.structured and not is_recursive(function.parameters or {}):
        return True
    unsupported.note("tools[].function.strict")
    return False


def _encode_function(function: Function, raw: Object, *, strict: bool) -> dict[str, Any]:
    schema = flat_schema(function.parameters)
    tool: dict[str, Any] = {
        "name": function.name,
        "input_schema": limit_schema(schema, SCHEMAS) if strict else schema,
    }
    if function.description:
        tool["description"] = function.description
    if strict:
        tool["strict"] = True
    return tool | cache_mark(raw["function"]) | cache_mark(raw)


def _encode_choice(choice: Choice, request: ChatRequest) -> dict[str, Any] | None:
    encoded: dict[str, Any] = {"type": _MODES[choice.mode]}
    if choice.function:
        encoded = {"type": "tool", "name": choice.function}
    if request.parallel_tool_calls is False and choice.mode != "none":
        encoded["disable_parallel_tool_use"] = True
    is_default = choice.mode is None and len(encoded) == 1
    return None if is_default else encoded
