"""
Rejects the requests that Cohere's API rejects, from its SDK's types and its page on schemas.

Empty contents, the order of calls and a system prompt alone are rejected to be safe: no page of
Cohere's says whether the API does.
"""

from __future__ import annotations

import re
from typing import Any

import cohere
from pydantic import TypeAdapter

from tests.providers.strict import tool_schemas
from tests.support.pydantic_fields import unknown_fields

MESSAGES: TypeAdapter[Any] = TypeAdapter(cohere.ChatMessageV2)


def check(_model: str, body: dict[str, Any]) -> None:
    """Fail as the API does if it rejects this request."""
    waiting: list[str] = []
    for message in body["messages"]:
        parsed = MESSAGES.validate_python(message)
        assert not list(unknown_fields(parsed)), "unknown field"
        role = message["role"]
        if role == "assistant":
            assert message.get("content") or message.get("tool_calls")
        elif role != "tool":
            assert message["content"], f"{role}: content is empty"
        if role == "tool":
            assert message["tool_call_id"] in waiting
            waiting.remove(message["tool_call_id"])
        else:
            assert not waiting, "calls without results"
            waiting = [call["id"] for call in message.get("tool_calls") or ()]
        names = [call["function"]["name"] for call in message.get("tool_calls") or ()]
        offered = {tool["function"]["name"] for tool in body.get("tools") or ()}
        unfit = {name for name in names if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)}
        assert unfit <= offered, "tool names contain only the characters a-z, A-Z, 0-9, _"
        for citation in message.get("citations") or ():
            assert {"start", "end", "text"} <= citation.keys()
    assert not waiting
    roles = {message["role"] for message in body["messages"]}
    assert roles != {"system"}, "a system prompt alone"
    assert len(body.get("stop_sequences", ())) <= 5
    assert not (body.get("tools") and body.get("response_format"))
    if schema := (body.get("response_format") or {}).get("json_schema"):
        check_schema(schema)
    for tool in body.get("tools") or ():
        tool_schemas.check(tool["function"]["parameters"])
    if body.get("strict_tools"):
        for tool in body["tools"]:
            check_schema(tool["function"]["parameters"])


UNSUPPORTED = {"allOf", "oneOf", "not", "minimum", "maximum", "minItems", "maxItems", "minLength",
               "maxLength", "uniqueItems"}  # fmt: skip


def check_schema(schema: Any) -> None:
    """docs.cohere.com/docs/structured-outputs, "Unsupported schema features", 2026-11."""
    if not isinstance(schema, dict):
        return
    assert not schema.keys() & UNSUPPORTED, schema.keys() & UNSUPPORTED
    assert not any(part in schema.get("pattern", "") for part in ("^", "$", "?=", "?!"))
    assert schema.get("format", "date") in {"date", "date-time", "time", "uuid"}
    if schema.get("properties"):
        assert schema["required"], "every object must have at least one `required` field"
    for name in ("properties", "$defs", "definitions"):
        for one in schema.get(name, {}).values():
            check_schema(one)
    for one in schema.get("anyOf", ()):
        check_schema(one)
    check_schema(schema.get("items"))
