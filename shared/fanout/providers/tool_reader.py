"""Reads OpenAI's `tools` and `tool_choice` for the codecs of vendors that have another API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from ..schema.chat import Object
from ..schema.request import (
    AllowedTools,
    ChatRequest,
    Function,
    FunctionTool,
    NamedCustom,
    NamedFunction,
    OtherChoice,
)
from .fields import COMBINED, UnsupportedFields
from .request_reader import ONLY_FUNCTIONS, Block
from .schemas import flatten


def function_tools(
    request: ChatRequest, unsupported: UnsupportedFields
) -> Iterator[tuple[Function, Object, str]]:
    """The functions that the model may call, each with its tool's JSON and path."""
    for index, tool in enumerate(request.tools or ()):
        path = f"tools[{index}]"
        if not isinstance(tool, FunctionTool):
            unsupported.add(path, ONLY_FUNCTIONS)
        else:
            yield tool.function, request.body["tools"][index], path


def note_marks(request: ChatRequest, unsupported: UnsupportedFields) -> None:
    """Note the `cache_control` of tools, for vendors that have none."""
    for tool in request.body.get("tools") or ():
        if "cache_control" in tool or "cache_control" in (tool.get("function") or {}):
            unsupported.note("tools[].cache_control")


def object_schema(function: Function) -> Block:
    """A function's parameters as a schema of an object, even if it has none."""
    return {"type": "object", **(function.parameters or {"properties": {}})}


def flat_schema(function: Function) -> Block:
    """The same, without `anyOf`, `oneOf` and `allOf` at its top, which some vendors reject."""
    schema = object_schema(function)
    return flatten(schema) if COMBINED & schema.keys() else schema


class Choice(Struct, frozen=True):
    """
    OpenAI's `tool_choice`. `mode` is `None` if the request has none.

    `function` is the only one to call; `allowed` are the names of those that may be called.
    """

    mode: Literal["auto", "none", "required"] | None = None
    function: str | None = None
    allowed: frozenset[str] | None = None

    def allows(self, name: str) -> bool:
        return self.allowed is None or name in self.allowed


def read_choice(
    request: ChatRequest, unsupported: UnsupportedFields, *, can_force: bool = True
) -> Choice:
    """The choice; one that requires a call is unsupported if the model cannot be forced to one."""
    choice = _read_choice(request, unsupported)
    if choice.mode == "required" and not can_force:
        unsupported.add("tool_choice", "this model cannot be forced to call a tool")
    return choice


def _read_choice(request: ChatRequest, unsupported: UnsupportedFields) -> Choice:
    match request.tool_choice:
        case NamedFunction(function=function):
            return Choice("required", function.name)
        case AllowedTools(required=required, names=names):
            return Choice("required" if required else "auto", allowed=names)
        case NamedCustom() | OtherChoice():
            unsupported.add("tool_choice", ONLY_FUNCTIONS)
            return Choice()
        case mode:
            return Choice(mode)
