"""
The tools of a request and its choice of them, as a chat completion has them.

Functions have the same meaning in both APIs. Those of a namespace become functions with its name
before theirs, and custom tools become functions of one text. Hosted tools, which OpenAI runs
itself, have no counterpart: the ones that agents offer with every request are left out, and named
in a header; without the others the response would not be what is asked, so they are rejected.

Source of the format: openai-python 3.54.0, `ToolParam`; Codex 0.171.0 sends `namespace` and
`web_search`, 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from msgspec import Struct

from ...errors import RequestError
from .custom_tools import custom_function
from .errors import NoCounterpart
from .function_names import FunctionNames

OPTIONAL_TOOLS = frozenset(
    {
        "apply_patch",
        "image_generation",
        "local_shell",
        "shell",
        "tool_search",
        "web_search",
        "web_search_2025_08_26",
        "web_search_preview",
        "web_search_preview_2025_03_11",
    }
)
"""Hosted tools that may be left out: without them, the model answers with what it has."""


class ToolName(Struct, frozen=True):
    """The client's name of a function: with its namespace, or of a custom tool."""

    name: str
    namespace: str = ""
    is_custom: bool = False


Names: TypeAlias = Mapping[str, ToolName]


class Tools(Struct, frozen=True):
    """
    The tools and the choice, as fields of a chat completion's request.

    `paths` are those of the tools in the request. `names` has the client's tool of each function
    that is not a plain one, by its name here. `dropped` are the types that were left out.
    """

    fields: dict[str, Any]
    paths: tuple[str, ...] = ()
    names: Mapping[str, ToolName] = {}
    dropped: tuple[str, ...] = ()


def read_tools(body: Mapping[str, Any], flat: FunctionNames) -> Tools:
    """
    The tools of a request's body, whose functions have their `flat` names.

    Raises `RequestError` with the path of one that is wrong.
    """
    given = body.get("tools")
    if not isinstance(given, list | None):
        raise RequestError("`tools` must be a list", "tools")
    reader = _Reader(flat, drops_all=bool(body.get("drop_params")))
    for index, tool in enumerate(given or ()):
        reader.add(tool, f"tools[{index}]")
    fields: dict[str, Any] = {}
    if reader.found:
        fields["tools"] = [tool for tool, _ in reader.found]
        if body.get("parallel_tool_calls") is not None:
            fields["parallel_tool_calls"] = body["parallel_tool_calls"]
    choice = _choice(body.get("tool_choice"), flat, reader.names)
    if choice is not None and (reader.found or choice not in ("auto", "none")):
        fields["tool_choice"] = choice
    paths = tuple(path for _, path in reader.found)
    return Tools(fields, paths, reader.names, tuple(reader.dropped))


class _Reader:
    """Reads tools in their order; `found` has each with its path."""

    def __init__(self, flat: FunctionNames, *, drops_all: bool) -> None:
        self._flat = flat
        self.found: list[tuple[dict[str, Any], str]] = []
        self.names: dict[str, ToolName] = {}
        self.dropped: dict[str, None] = {}
        self._drops_all = drops_all

    def add(self, tool: object, path: str) -> None:
        """Add the next tool."""
        kind = tool.get("type") if isinstance(tool, dict) else None
        if not isinstance(tool, dict) or not isinstance(kind, str):
            raise RequestError(f"`{path}.type` must be a string", f"{path}.type")
        if kind == "function":
            self.found.append((_function(tool, path, self._flat), path))
        elif kind == "custom":
            self.found.append((custom_function(tool, path), path))
            self.names[tool["name"]] = ToolName(tool["name"], is_custom=True)
        elif kind == "namespace":
            self._add_namespace(tool, path)
        elif kind in OPTIONAL_TOOLS or self._drops_all:
            self.dropped[kind] = None
        else:
            raise _unsupported(kind, path)

    def _add_namespace(self, tool: Mapping[str, Any], path: str) -> None:
        """Add the functions of a namespace; its other tools are left out."""
        inner = tool.get("tools")
        for index, one in enumerate(inner if isinstance(inner, list) else ()):
            place = f"{path}.tools[{index}]"
            if not isinstance(one, dict) or one.get("type") != "function":
                self.dropped["namespace.tools"] = None
                continue
            made = _function(one, place, self._flat, tool.get("name"))
            name = ToolName(str(one.get("name")), str(tool.get("name")))
            self.names[made["function"]["name"]] = name
            self.found.append((made, place))


def _unsupported(kind: str, path: str) -> NoCounterpart:
    return NoCounterpart(
        f"`{path}` is a `{kind[:64]}`, which only OpenAI runs: leave it out, set `drop_params:"
        " true` in the request, or call a model of OpenAI",
        f"{path}.type",
        "unsupported_parameter",
    )


def _function(
    tool: Mapping[str, Any], path: str, flat: FunctionNames, namespace: object = None
) -> dict[str, Any]:
    if not isinstance(name := tool.get("name"), str) or not name:
        if isinstance(tool.get("function"), dict):  # a chat completion's form
            return {**tool}
        raise RequestError(f"`{path}.name` must be a string", f"{path}.name")
    wanted = ("description", "parameters", "strict")
    fields = {key: tool[key] for key in wanted if tool.get(key) is not None}
    made = {"type": "function", "function": {"name": flat.of(name, namespace), **fields}}
    if tool.get("cache_control"):
        made["cache_control"] = tool["cache_control"]
    return made


def _choice(given: object, flat: FunctionNames, names: Names) -> Any:
    """The choice of tools in a chat completion's form."""
    if given is None or isinstance(given, str):
        return given
    kind = given.get("type") if isinstance(given, dict) else None
    if not isinstance(given, dict) or not isinstance(kind, str):
        raise RequestError("`tool_choice` must be a string or an object", "tool_choice")
    if kind == "allowed_tools":
        listed = given.get("tools")
        if not isinstance(listed, list):
            raise RequestError("`tool_choice.tools` must be a list", "tool_choice.tools")
        tools = [_named(tool, "tool_choice.tools", flat) for tool in listed if _is_own(tool)]
        tools += [_function_named(name) for tool in listed for name in _names_in(tool, names)]
        return {
            "type": "allowed_tools",
            "allowed_tools": {"mode": given.get("mode", "auto"), "tools": tools},
        }
    if kind in {"function", "custom"}:
        return _named(given, "tool_choice", flat)
    raise NoCounterpart(
        f"`tool_choice` is a `{kind[:64]}`, a tool that only OpenAI runs: choose one of `tools`",
        "tool_choice",
        "unsupported_parameter",
    )


def _is_own(tool: object) -> bool:
    """Whether a tool is one that the client runs."""
    return isinstance(tool, dict) and tool.get("type") in ("function", "custom")


def _names_in(tool: object, names: Names) -> list[str]:
    """The names of the functions of a namespace, if this is one."""
    if not isinstance(tool, dict) or tool.get("type") != "namespace":
        return []
    return [name for name, known in names.items() if known.namespace == tool.get("name")]


def _function_named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def _named(choice: Mapping[str, Any], path: str, flat: FunctionNames) -> dict[str, Any]:
    if isinstance(inner := choice.get(choice["type"]), dict):  # a chat completion's form
        return {"type": "function", "function": inner}
    if not isinstance(name := choice.get("name"), str):
        raise RequestError(f"`{path}.name` must be a string", f"{path}.name")
    return _function_named(flat.of(name, choice.get("namespace")))
