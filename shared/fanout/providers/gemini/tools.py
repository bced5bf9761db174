"""`tools` and `tool_choice` as Google's."""

from __future__ import annotations

from typing import Any

from ...schema.messages import Function
from ...schema.request import ChatRequest
from ..fields import UnsupportedFields
from ..request_reader import Block, without_none
from ..tool_reader import Choice, function_tools, note_marks, read_choice
from ..tool_schemas import lone_schema
from .rules import FUNCTIONS


def encode_tools(request: ChatRequest, unsupported: UnsupportedFields) -> dict[str, Any]:
    """`tools` and `toolConfig`; each is `None` if it is not needed."""
    note_marks(request, unsupported)
    functions = [function for function, _, _ in function_tools(request, unsupported, FUNCTIONS)]
    strict = any(function.strict for function in functions)
    declared = [_declare(function) for function in functions]
    choice = _encode_choice(read_choice(request, unsupported), strict=strict)
    return {
        "tools": [{"functionDeclarations": declared}] if declared else None,
        "toolConfig": {"functionCallingConfig": choice} if choice else None,
    }


def _declare(function: Function) -> Block:
    has_none = function.parameters is None
    schema = None if has_none else lone_schema(function.parameters)
    return without_none(
        {
            "name": function.name,
            "description": function.description,
            "parametersJsonSchema": schema,
        }
    )


def _encode_choice(choice: Choice, *, strict: bool) -> Block | None:
    """
    The mode, and the only functions to call in it.

    See https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes. `VALIDATED`
    is `AUTO` with calls that keep to their schemas, which OpenAI calls strict.
    """
    if choice.function:
        return {"mode": "ANY", "allowedFunctionNames": [choice.function]}
    if choice.allowed is not None:
        mode = "ANY" if choice.mode == "required" else "VALIDATED"
        return {"mode": mode, "allowedFunctionNames": sorted(choice.allowed)}
    match choice.mode:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case _:
            return {"mode": "VALIDATED"} if strict else None
