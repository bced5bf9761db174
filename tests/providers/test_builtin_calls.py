"""Calls of a vendor's own type go back to that vendor as they were, and to others in their form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest, WireResponse
from tests.providers.test_history_grid import TARGETS, Judge, judged_as

U = {"role": "user", "content": "What is new?"}
SEARCH = {"name": "$web_search", "arguments": '{"q":"news"}'}
BUILTIN = {"id": "search:0", "type": "builtin_function", "index": 0, "function": SEARCH}
OTHER = {"id": "call_2", "type": "web_search", "web_search": {"query": "news"}}
PLAIN = {"id": "call_3", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOLS = [{"type": "builtin_function", "function": {"name": "$web_search"}}]
OTHERS = [one for one in TARGETS if one[0] != "moonshot"]
NO_FUNCTIONS = [None, {}, {"name": "f"}, {"name": 5, "arguments": "{}"}, "f"]


def encode(provider: str, model: str, messages: list[Any], **more: Any) -> WireRequest:
    request = parse_chat({"messages": messages, **more})
    options = {"vertex_project": "p", "aws_region_name": "us-east-1"}
    return registry.find(provider).chat.encode(
        request, Target("our-name", model, False, options), False
    )


def turn(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    """A message with these calls, and their results."""
    results = [
        {"role": "tool", "tool_call_id": call["id"], "name": "$web_search", "content": call["id"]}
        for call in calls
    ]
    return [U, {"role": "assistant", "content": None, "tool_calls": [*calls]}, *results]


@pytest.mark.parametrize(
    ("provider", "tools"),
    [("moonshot", TOOLS), ("moonshot", None), ("openai_like", TOOLS), ("hosted_vllm", TOOLS)],
)
def test_the_vendor_gets_its_own_call_as_it_was(provider: str, tools: Any) -> None:
    wire = encode(provider, "m", turn(BUILTIN), **({"tools": tools} if tools else {}))
    body = json.loads(wire.body)
    assert body["messages"][1]["tool_calls"] == [BUILTIN]
    assert body["messages"][2]["tool_call_id"] == BUILTIN["id"]
    assert body["messages"][2].get("name", "$web_search") == "$web_search"
    assert body.get("tools") == tools
    assert wire.dropped == ()


@pytest.mark.parametrize("tools", [TOOLS, None])
def test_a_call_that_moonshot_made_is_the_clients_and_goes_back(tools: Any) -> None:
    message = {"role": "assistant", "content": "", "tool_calls": [BUILTIN]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    response = WireResponse(200, {}, json.dumps({"id": "c", "choices": [choice]}).encode())
    found = registry.find("moonshot").chat.decode(response, Target("our-name", "m"))
    given: Any = found["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": given["tool_calls"][0]["id"], "content": "{}"}
    more = {"tools": tools} if tools else {}
    body = json.loads(encode("moonshot", "m", [U, given, result], **more).body)
    assert body["messages"][1]["tool_calls"] == given["tool_calls"] == [BUILTIN]


@pytest.mark.parametrize(
    ("provider", "model", "judge"), OTHERS, ids=[f"{name}/{model}" for name, model, _ in OTHERS]
)
@pytest.mark.parametrize("calls", [[BUILTIN], [OTHER], [BUILTIN, OTHER, PLAIN]], ids=str)
def test_another_vendor_gets_a_call_of_a_function_or_none(
    provider: str, model: str, judge: Judge, calls: list[dict[str, Any]]
) -> None:
    wire = encode(provider, model, [*turn(*calls), U])
    judge(judged_as(provider, model, judge), json.loads(wire.body))
    assert b"builtin_function" not in wire.body
    assert (b"web_search" in wire.body) is (BUILTIN in calls)
    assert b"call_2" not in wire.body
    assert ("messages[].tool_calls[].type" in wire.dropped) is (BUILTIN in calls)
    assert ("messages[].tool_calls[]" in wire.dropped) is (OTHER in calls)


@pytest.mark.parametrize("function", NO_FUNCTIONS, ids=str)
@pytest.mark.parametrize("kind", ["builtin_function", "mcp", "", "*"])
def test_a_call_without_a_readable_function_is_left_out(kind: str, function: Any) -> None:
    odd = {"id": "call_2", "type": kind, "function": function}
    for provider, model in [("openai", "gpt-4o"), ("anthropic", "claude-x"), ("groq", "m")]:
        wire = encode(provider, model, [*turn(odd, PLAIN), U])
        assert b"call_2" not in wire.body
        assert b"call_3" in wire.body
        assert "messages[].tool_calls[]" in wire.dropped


@pytest.mark.parametrize("kind", ["FUNCTION", "", "tool", "mcp"])
def test_a_function_of_any_type_is_one(kind: str) -> None:
    call = {**PLAIN, "type": kind}
    body = json.loads(encode("openai", "gpt-4o", [*turn(call), U]).body)
    assert body["messages"][1]["tool_calls"] == [PLAIN]


def test_an_error_names_the_clients_place_after_a_call_was_left_out() -> None:
    odd = {"role": "user", "content": [{"type": "video_url", "video_url": {}}]}
    for provider, model in [("anthropic", "claude-x"), ("gemini", "gemini-x"), ("cohere", "m")]:
        with pytest.raises(Exception, match=r"messages\[3\]\.content\[0\]"):
            encode(provider, model, [*turn(OTHER), odd])


@pytest.mark.parametrize("tool", [TOOLS[0], {"type": "x", "function": {"parameters": None}}])
def test_a_vendors_own_tool_gets_no_schema(tool: Any) -> None:
    assert json.loads(encode("groq", "m", [U], tools=[tool]).body)["tools"] == [tool]
