"""Earlier calls in OpenAI's old form are sent to other vendors as calls of tools."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.rows import ROWS
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

U = {"role": "user", "content": "Weather?"}
CALL = {
    "role": "assistant",
    "content": None,
    "function_call": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
}
RESULT = {"role": "function", "name": "get_weather", "content": "Rain."}
AS_CALL = {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
OTHER_APIS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "command-a-03-2025",
    "gemini": "gemini-2.5-flash",
    "vertex_ai": "gemini-2.5-flash",
}
ROW_NAMES = sorted({row.name for row in ROWS.values()})


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    return registry.find(provider).chat.encode(request, Target("our-name", model), False)


def sent(provider: str, *messages: dict[str, Any], **more: Any) -> Any:
    return json.loads(encode(provider, "m", *messages, **more).body)["messages"]


@pytest.mark.parametrize(("provider", "model"), OTHER_APIS.items())
def test_another_api_gets_the_call_and_its_result(provider: str, model: str) -> None:
    wire = encode(provider, model, U, CALL, RESULT)
    assert b"Oslo" in wire.body
    assert b"Rain." in wire.body
    assert "messages[].function_call" in wire.dropped
    assert wire == encode(provider, model, U, CALL, RESULT)


@pytest.mark.parametrize("provider", ROW_NAMES)
def test_a_vendor_with_openais_api_gets_a_call_of_a_tool(provider: str) -> None:
    _, call, result = sent(provider, U, CALL, RESULT)
    assert call["tool_calls"][0]["function"] == AS_CALL
    assert result["role"] == "tool"
    assert result["tool_call_id"] == call["tool_calls"][0]["id"]
    assert result["content"] == "Rain."


@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_openai_gets_it_unchanged(provider: str) -> None:
    assert sent(provider, U, CALL, RESULT) == [U, CALL, RESULT]


def test_a_vendor_that_is_asked_in_the_old_form_gets_it_unchanged() -> None:
    functions = [{"name": "get_weather"}]
    assert sent("hosted_vllm", U, CALL, RESULT, functions=functions) == [U, CALL, RESULT]


def test_the_id_of_a_call_depends_on_its_place_alone() -> None:
    """A longer conversation begins with the same bytes, so prompt caches hold."""
    longer = sent("groq", U, CALL, RESULT, CALL, RESULT, U)
    assert longer[:3] == sent("groq", U, CALL, RESULT)
    assert longer[1]["tool_calls"][0]["id"] != longer[3]["tool_calls"][0]["id"]


def test_a_call_without_a_result_was_asked_for_its_arguments() -> None:
    """As was usual for structured output. The text beside the call stays."""
    assert sent("groq", U, CALL, U)[1]["content"] == '{"city":"Oslo"}'
    both = {**CALL, "content": "Here:"}
    assert sent("groq", U, both, U)[1]["content"] == 'Here:\n\n{"city":"Oslo"}'
    parts = {**CALL, "content": [{"type": "text", "text": "Here:"}]}
    assert [part["text"] for part in sent("xai", U, parts, U)[1]["content"]] == [
        "Here:",
        '{"city":"Oslo"}',
    ]


def test_a_result_without_a_call_is_the_users() -> None:
    assert sent("groq", RESULT, U)[0] == {"role": "user", "content": "Rain."}


def test_a_message_with_both_forms_keeps_its_tool_calls() -> None:
    call = {"id": "call_1", "type": "function", "function": AS_CALL}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}
    answer = sent("groq", U, {**CALL, "tool_calls": [call]}, result)[1]
    assert answer == {"role": "assistant", "content": None, "tool_calls": [call]}
