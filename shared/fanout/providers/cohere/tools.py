"""`tools` and `tool_choice` as Cohere's."""

from __future__ import annotations

from typing import Any

from ...schema.messages import Function
from ...schema.request import ChatRequest
from ..fields import UnsupportedFields
from ..request_reader import Block, without_none
from ..schemas import limit_schema
from ..tool_reader import function_tools, note_marks, read_choice
from ..tool_schemas import object_schema
from .rules import FUNCTIONS, SCHEMAS


def encode_tools(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any]:
    """
    `tools`, `strict_tools` and `tool_choice`; each is `None` if it is not needed.

    Cohere has only the choices `REQUIRED` and `NONE`. To have one function called, the request
    requires a call and offers only that function.
    """
    note_marks(request, unsupported)
    choice = read_choice(request, unsupported)
    found = [
        (function, path) for function, _, path in function_tools(request, unsupported, FUNCTIONS)
    ]
    only = frozenset({choice.function}) if choice.function else choice.allowed
    offered = [function for function, _ in found if only is None or function.name in only]
    strict = _is_strict(found, unsupported)
    return {
        "tools": [_encode_function(function, bool(strict)) for function in offered] or None,
        "strict_tools": strict,
        "tool_choice": {"none": "NONE", "required": "REQUIRED"}.get(choice.mode or ""),
    }


def _encode_function(function: Function, strict: bool) -> Block:  # noqa: FBT001
    schema = object_schema(function.parameters)
    described = {
        "name": function.name,
        "description": function.description,
        "parameters": limit_schema(schema, SCHEMAS) if strict else schema,
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
