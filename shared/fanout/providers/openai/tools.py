"""The `tools` of a request as one vendor with OpenAI's API accepts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from msgspec import Raw

from ...errors import RequestError
from ...schema.messages import AllowedTools
from ...wire import json
from ..fields import COMBINED, MADE_FIELDS, SchemaForm, UnsupportedFields
from ..tool_reader import check_name
from ..tool_schemas import NO_PARAMETERS, complete_arrays, flat_schema, object_schema
from .message_rules import MessageRules
from .rules import (
    ForcedCalls,
    of_model,
)

Tool: TypeAlias = dict[str, Any]

_IN_PIECES = COMBINED | {"$ref"}


MOST_KEPT, LARGEST_KEPT = 64, 65_536
"""How many lists of tools are kept, and of how many bytes at most: 8 MB of memory."""

_kept: dict[tuple[bytes, MessageRules, SchemaForm], tuple[Raw, tuple[str, ...]]] = {}


def fit_tools(
    tools: list[Tool], rules: MessageRules, unsupported: UnsupportedFields, form: SchemaForm
) -> Raw:
    """
    The tools, without other vendors' marks, and with a schema of this form for each function.

    The result is JSON. Clients send the same tools with each request, so the latest ones are kept.
    """
    key = (json.encode(tools), rules, form)
    if (known := _kept.get(key)) is None:
        noted = UnsupportedFields(unsupported.target, unsupported.provider)
        fitted = Raw(json.encode(_fit(tools, rules, noted, form)))
        known = fitted, noted.dropped
        if len(key[0]) <= LARGEST_KEPT:
            if len(_kept) >= MOST_KEPT:
                _kept.clear()
            _kept[key] = known
    for name in known[1]:
        unsupported.note(name)
    return known[0]


def _fit(
    tools: list[Tool], rules: MessageRules, unsupported: UnsupportedFields, form: SchemaForm
) -> list[Tool]:
    if rules.functions.tools:
        _check_names(tools, rules, unsupported)
    made = MADE_FIELDS - rules.fields
    kept = [_without(made, tool) for tool in tools]
    if kept != tools:
        unsupported.note("tools[].cache_control")
    return [_with_schema(tool, form) for tool in _distinct(kept, unsupported)]


def _check_names(tools: list[Tool], rules: MessageRules, unsupported: UnsupportedFields) -> None:
    for index, tool in enumerate(tools):
        for kind in ("function", "custom"):
            if isinstance(called := tool.get(kind), dict) and isinstance(called.get("name"), str):
                path = f"tools[{index}].{kind}.name"
                check_name(called["name"], rules.functions, path, unsupported)


def limit_tools(choice: AllowedTools, body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """
    Leave only the allowed tools in our own `body`.

    No other vendor with OpenAI's API has `allowed_tools` in its reference, 2026-11.
    """
    tools = [tool for tool in body.get("tools") or () if choice.allows(tool)]
    if choice.required and not tools:
        raise RequestError("`tool_choice` allows none of the `tools`", "tool_choice")
    unsupported.note("tool_choice")
    body["tools"] = tools
    body["tool_choice"] = "required" if choice.required else "auto"


def fit_choice(
    rules: tuple[ForcedCalls, ...], model: str, body: dict[str, Any], unsupported: UnsupportedFields
) -> None:
    """
    Keep a model from thinking in a request that requires a call, if it can do only one of them.

    What the client asked for is rejected, or dropped with `drop_params`. `auto` is the default, and
    left out.
    """
    rule = next(of_model(rules, model), None)
    choice = body.get("tool_choice")
    if rule is None or choice in (None, "none"):
        return
    if rule.off and all(body.get(name) == value for name, value in rule.off.items()):
        return
    if not rule.by_default and all(body.get(name) is None for name in rule.off):
        return
    if choice == "auto":
        del body["tool_choice"]
        return
    if not rule.off:
        unsupported.add("tool_choice", "this model always thinks, and then calls no required tool")
    for name in ("reasoning_effort", "thinking", *rule.off):
        if body.get(name) not in (None, "none"):
            unsupported.add(name, "a tool cannot be required while the model thinks")
        body.pop(name, None)
    body |= rule.off
    for name in rule.off:
        unsupported.note(name)


def choose_by_tools(body: dict[str, Any], unsupported: UnsupportedFields) -> None:
    """Offer only the tool that our own `body` requires by its name, and require a call of any."""
    choice = body.get("tool_choice")
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict):
        return
    named = [tool for tool in body["tools"] if _name_of(tool) == function.get("name")]
    if not named:
        raise RequestError("`tool_choice` names none of the `tools`", "tool_choice")
    unsupported.note("tool_choice")
    body["tools"], body["tool_choice"] = named, "required"


def _name_of(tool: Tool) -> Any:
    function = tool.get("function")
    return function.get("name") if isinstance(function, dict) else None


def _without(names: frozenset[str], tool: Tool) -> Tool:
    kept = {name: value for name, value in tool.items() if name not in names}
    if isinstance(function := kept.get("function"), dict):
        kept["function"] = {name: v for name, v in function.items() if name not in names}
    return kept


def _distinct(tools: list[Tool], unsupported: UnsupportedFields) -> Iterator[Tool]:
    """
    The tools; of several that are equal, the first.

    "Tool names must be unique": DeepSeek, github.com/decolua/9router/pull/3333, 2026-11
    """
    seen: dict[str, Tool] = {}
    for tool in tools:
        name = _name_of(tool)
        first = seen.setdefault(name, tool) if isinstance(name, str) else tool
        if first is tool or first != tool:
            yield tool
        else:
            unsupported.note("tools[]")


def _with_schema(tool: Tool, form: SchemaForm) -> Tool:
    function = tool.get("function")
    if not isinstance(function, dict) or tool.get("type") != "function":
        return tool  # a vendor's own, such as Moonshot's `builtin_function`
    given = function.get("parameters")
    if given is None:
        # To OpenAI, a function without `parameters` has none; Mistral's SDK for Python requires the
        # field, and so does llama.cpp: github.com/ggml-org/llama.cpp/issues/17667, 2026-11.
        fitted: dict[str, Any] = dict(NO_PARAMETERS)
    elif not isinstance(given, dict):
        return tool
    elif form == "flat":
        fitted = flat_schema(given)
    elif form == "typed":
        from .typed_schemas import typed_schema  # few vendors need it

        fitted = typed_schema(given)
    else:
        fitted = complete_arrays(given) if given.keys() & _IN_PIECES else object_schema(given)
    return {**tool, "function": {**function, "parameters": fitted}}
