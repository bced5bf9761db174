"""
What callers pass in, as plain JSON: pydantic objects, OpenAI SDK objects and pydantic classes.

Nothing that is passed in is changed. Values that are plain already are returned as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, PydanticUserError

from ..errors import RequestError

_PLAIN = (str, int, float, type(None))  # bool is an int


def plain(value: Any) -> Any:
    """
    `value` as JSON values, its pydantic objects without the fields that are `None`.

    A response's message keeps the fields that only responses have: what each vendor takes of them,
    and whether audio is sent by its id or as its words, its codec decides, as for a dict.
    """
    if type(value) is dict:
        if all(isinstance(item, _PLAIN) for item in value.values()):
            return value
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return list(map(plain, value))  # which is no longer than needed
    return value if isinstance(value, _PLAIN) else _plain_object(value)


def _plain_object(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return value


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given (not `None`), as JSON values; tools may be pydantic classes."""
    given = {
        name: value if name == "http_client" else plain(value)
        for name, value in options.items()
        if value is not None and name not in {"tools", "extra_body"}
    }
    if (tools := options.get("tools")) is not None:
        if not isinstance(tools, Sequence) or isinstance(tools, str):
            raise RequestError("`tools` must be a list of tools", "tools")
        given["tools"] = [_tool(tool) for tool in tools]
    if (extra := options.get("extra_body")) is not None:
        if not isinstance(extra, Mapping):
            raise RequestError("`extra_body` must be a dict of request fields", "extra_body")
        given |= plain(extra)
    return given


def _tool(tool: Any) -> Any:
    if not isinstance(tool, type):
        return plain(tool)
    function: dict[str, Any] = {"name": tool.__name__, "parameters": json_schema(tool, "tools")}
    if description := function["parameters"].pop("description", None):
        function["description"] = description
    return {"type": "function", "function": function}


def json_schema(kind: type, param: str) -> dict[str, Any]:
    """The JSON Schema of a pydantic class; `RequestError` about `param` if there is none."""
    if not issubclass(kind, BaseModel):
        name = kind.__name__
        raise RequestError(
            f"`{param}`: `{name}` is not a pydantic model; derive it from BaseModel", param
        )
    try:
        return kind.model_json_schema()
    except PydanticUserError as error:
        raise RequestError(
            f"`{param}`: `{kind.__name__}` has no JSON Schema: {error}", param
        ) from None
