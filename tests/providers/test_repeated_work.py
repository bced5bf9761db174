"""What a client sends with each request is not fitted again: counted in calls of functions."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.openai import tools as openai_tools
from fanout.providers.tool_schemas import LARGEST_KEPT, MOST_KEPT, flat_schema, object_schema
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

U = {"role": "user", "content": "Hello."}


def tool(number: int, **more: Any) -> dict[str, Any]:
    city = {"type": "string", "description": "A city"}
    place = {"type": "object", "properties": {"city": city, "days": {"type": "array"}}}
    parameters = {"type": "object", "properties": {"place": place}, "required": ["place"]}
    return {"type": "function", "function": {"name": f"f{number}", "parameters": parameters}} | more


def encoder(provider: str, model: str, tools: list[dict[str, Any]]) -> Callable[[], WireRequest]:
    """Encodes a new request with these tools, as it comes from a client."""
    body = json.dumps({"model": "m", "messages": [U], "tools": tools}).encode()
    request = parse_chat(json.loads(body))
    target = Target("our-name", model)
    return lambda: registry.find(provider).chat.encode(request, target, False)


def count(call: Callable[[], object]) -> int:
    """The number of Python functions that a call calls; the same each time."""
    calls = 0

    def note(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize(
    ("provider", "model", "most"),
    [
        ("openai", "gpt-4o", 1),
        ("groq", "m", 1),
        ("anthropic", "claude-sonnet-4-5", 12),
        ("gemini", "gemini-2.5-flash", 12),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 20),
        ("cohere", "m", 12),
    ],
)
def test_the_schemas_of_tools_are_fitted_once(provider: str, model: str, most: int) -> None:
    """`most` is the number of calls that each further tool may cost."""
    one = encoder(provider, model, [tool(0)])
    many = encoder(provider, model, [tool(number) for number in range(21)])
    one()
    first = many().body  # the last: the store of fitted tools is emptied when it is full
    assert count(many) - count(one) <= 20 * most
    assert many().body == first


def test_what_was_noted_of_tools_is_noted_each_time() -> None:
    marked = tool(0, cache_control={"type": "ephemeral"})
    for _ in range(2):
        assert encoder("openai", "gpt-4o", [marked])().dropped == ("tools[].cache_control",)
        assert encoder("openai", "gpt-4o", [tool(0)])().dropped == ()


def test_the_same_tools_are_kept_apart_for_each_vendor() -> None:
    marked = tool(0, cache_control={"type": "ephemeral"})
    for _ in range(2):
        assert b"cache_control" in encoder("openrouter", "m", [marked])().body
        assert b"cache_control" not in encoder("groq", "m", [marked])().body


def test_few_schemas_and_lists_of_tools_are_kept() -> None:
    def schema(number: int) -> dict[str, Any]:
        return {"type": "object", "properties": {f"p{number}": {"type": "string"}}}

    first = object_schema(schema(0))
    assert object_schema(schema(0)) is first
    for number in range(1, MOST_KEPT + 1):
        object_schema(schema(number))
    assert object_schema(schema(0)) is not first
    large = schema(0) | {"description": "x" * LARGEST_KEPT}
    assert flat_schema(large) is not flat_schema(large)
    for number in range(openai_tools.MOST_KEPT + 1):
        encoder("openai", "gpt-4o", [tool(number)])()
    assert len(openai_tools._kept) <= openai_tools.MOST_KEPT
