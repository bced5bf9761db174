"""Requests that were reported because a server rejected them are sent as it accepts them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from tests.providers.strict import openai_api

U = {"role": "user", "content": "Hi."}
F = {"type": "function", "function": {"name": "f"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "1"}


def body_of(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> Any:
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    wire = registry.find(provider).chat.encode(request, Target("our-name", model), False)
    body = json.loads(wire.body)
    openai_api.check(provider, body)
    return body


@pytest.mark.parametrize("provider", ["openai", "azure", "mistral", "groq", "openai_like"])
def test_no_tools_are_no_tools(provider: str) -> None:
    """github.com/partITech/php-mistral/issues/76."""
    asked = {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}
    assert not body_of(provider, "gpt-4o", U, **asked).keys() & asked.keys()
    assert "tools" not in body_of(provider, "gpt-4o", U, tools=[])
    assert "tool_choice" not in body_of(provider, "gpt-4o", U, tool_choice="none")
    kept = body_of(provider, "gpt-4o", U, tools=[F], tool_choice="auto")
    assert kept["tool_choice"] == "auto"


@pytest.mark.parametrize("provider", ["openai", "openrouter", "mistral", "hosted_vllm"])
def test_a_message_of_calls_alone_has_a_content(provider: str) -> None:
    """github.com/OpenHands/OpenHands-CLI/issues/533."""
    answer = {"role": "assistant", "tool_calls": [CALL]}
    sent = body_of(provider, "gpt-4o", U, answer, RESULT)["messages"][1]
    assert sent["content"] is None


def test_a_thought_without_a_text_reaches_grok_as_no_message() -> None:
    """github.com/AstrBotDevs/AstrBot/issues/6447."""
    thought = {"role": "assistant", "content": [], "reasoning_content": "hm"}
    assert body_of("xai", "grok-4-1-fast", U, thought, U)["messages"] == [U, U]
