"""Reads OpenAI's `tools` and `tool_choice` for the codecs of vendors that have another API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from ..schema.chat import Object
from ..schema.messages import (
    AllowedTools,
    Function,
    FunctionTool,
    NamedCustom,
    NamedFunction,
    OtherChoice,
)
from ..schema.request import ChatRequest
from .base import NameRule
from .fields import UnsupportedFields
from .request_reader import ONLY_FUNCTIONS


def function_tools(
    request: ChatRequest, unsupported: UnsupportedFields, names: NameRule
) -> Iterator[tuple[Function, Object, str]]:
    """
    The functions that the model may call, each with its tool's JSON and path.

    A name that the vendor does not accept is an error: calls in the response would have another.
    "tools: Tool names must be unique", says Anthropic's API; of several that are equal, only the
    first is sent: github.com/anthropics/claude-code/issues/10687, 2026-11.
    """
    seen: dict[str, Function] = {}
    for index, tool in enumerate(request.tools or ()):
        path = f"tools[{index}]"
        if not isinstance(tool, FunctionTool):
            unsupported.add(path, ONLY_FUNCTIONS)
            continue
        check_name(tool.function.name, names, f"{path}.function.name", unsupported)
        first = seen.setdefault(tool.function.name, tool.function)
        if first is tool.function or first != tool.function:
            yield tool.function, request.body["tools"][index], path
        else:
            unsupported.note("tools[]")


def check_name(name: str, names: NameRule, path: str, unsupported: UnsupportedFields) -> None:
    """Reject the name of a function in `tools` that the vendor is known not to accept."""
    if names.tools and not re.fullmatch(names.tools, name):
        unsupported.add(path, f"a name must match `^{names.tools}$`", kept=True)


def note_marks(request: ChatRequest, unsupported: UnsupportedFields) -> None:
    """Note the `cache_control` of tools, for vendors that have none."""
    for tool in request.body.get("tools") or ():
        if "cache_control" in tool or "cache_control" in (tool.get("function") or {}):
            unsupported.note("tools[].cache_control")


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
    """
    The choice; one that requires a call is unsupported if the model cannot be forced to one.

    Without tools, `auto` and `none` ask for nothing, and vendors reject them: "Function calling
    config is set without function_declarations", says Gemini's API: github.com/pydantic/
    pydantic-ai/pull/5791, 2026-11. Agents send `none` in their last step.
    """
    choice = _read_choice(request, unsupported)
    if not request.tools and choice.mode != "required":
        return Choice()
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
