"""
Rejects the requests that Cohere's API rejects, from its SDK's types.

Empty contents, the order of calls and a system prompt alone: from memory; not checked.
"""

from __future__ import annotations

from typing import Any

import cohere
from pydantic import TypeAdapter

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
        for citation in message.get("citations") or ():
            assert {"start", "end", "text"} <= citation.keys()
    assert not waiting
    roles = {message["role"] for message in body["messages"]}
    assert roles != {"system"}, "a system prompt alone"
    assert len(body.get("stop_sequences", ())) <= 5
