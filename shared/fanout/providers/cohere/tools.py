"""`tools` and `tool_choice` as Cohere's."""

from __future__ import annotations

from typing import Any

from ...schema.request import ChatRequest, Function
from ..base import UnsupportedFields
from ..request_reader import Block, function_tools, object_schema, read_choice, without_none


def encode_tools(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any]:
    """
    `tools`, `strict_tools` and `tool_choice`; each is `None` if it is not needed.

    Cohere has only the choices `REQUIRED` and `NONE`. To have one function called, the request
    requires a call and offers only that function.
    """
    choice = read_choice(request, unsupported)
    found = [(function, path) for function, _, path in function_tools(request, unsupported)]
    only = frozenset({choice.function}) if choice.function else choice.allowed
    offered = [function for function, _ in found if only is None or function.name in only]
    return {
        "tools": [_encode_function(function) for function in offered] or None,
        "strict_tools": _is_strict(found, unsupported),
        "tool_choice": {"none": "NONE", "required": "REQUIRED"}.get(choice.mode or ""),
    }


def _encode_function(function: Function) -> Block:
    described = {
        "name": function.name,
        "description": function.description,
        "parameters": object_schema(function),
    }
    return {"type": "function", "function": without_none(described)}


def _is_strict(tools: list[tuple[Function, str]], unsupported: UnsupportedFields) -> bool | None:
    """OpenAI has `strict` for each function, Cohere for all together."""
    strict = [path for function, path in tools if function.strict]
    if strict and len(strict) < len(tools):
        unsupported.add(
            f"{strict[0]}.function.strict", "it is strict with all functions or with none"
        )
        return None
    return bool(strict) or None
