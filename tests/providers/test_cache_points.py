"""Converse gets the cache points that the model accepts; `cache_control` is only a hint."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from tests.providers.strict import bedrock_api

MARK = {"cache_control": {"type": "ephemeral"}}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
FIVE = {"cache_control": {"type": "ephemeral", "ttl": "5m"}}
TOOL = {"type": "function", "function": {"name": "f"}}
HAIKU = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
NOVA = "us.amazon.nova-pro-v1:0"


def encode(model: str, mark: dict[str, Any], turns: int = 1) -> tuple[Any, tuple[str, ...]]:
    """A request with a mark on its tool, its system prompt, and each message of the user's."""
    user = {"role": "user", "content": [{"type": "text", "text": "u", **mark}]}
    system = {"role": "system", "content": [{"type": "text", "text": "s", **mark}]}
    messages = [system, *[user, {"role": "assistant", "content": "a"}] * turns, user]
    request = parse_chat({"model": "m", "messages": messages, "tools": [{**TOOL, **mark}]})
    wire = registry.find("bedrock").chat.encode(request, Target("m", model), False)
    body = json.loads(wire.body)
    bedrock_api.check(model, body)
    return body, wire.dropped


def test_of_too_many_points_the_last_four_are_kept() -> None:
    body, dropped = encode(HAIKU, MARK, turns=4)
    assert dropped == ("messages[].cache_control",)
    assert "cachePoint" not in json.dumps([body["toolConfig"], body["system"]])
    marked = ["cachePoint" in json.dumps(message) for message in body["messages"]]
    assert marked == [False, False, True, False, True, False, True, False, True]
    body, dropped = encode(HAIKU, MARK)
    assert dropped == ()
    assert json.dumps(body).count("cachePoint") == 4


@pytest.mark.parametrize(
    ("model", "mark", "ttl", "dropped"),
    [
        (HAIKU, HOUR, "1h", ()),
        (HAIKU, FIVE, "5m", ()),
        ("us.anthropic.claude-opus-4-6-v1", HOUR, "1h", ()),
        ("global.anthropic.claude-opus-5", HOUR, "1h", ()),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/a", HOUR, "1h", ()),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", FIVE, None, ()),
        ("us.anthropic.claude-3-7-sonnet-20250219-v1:0", HOUR, None,
         ("messages[].cache_control.ttl", "tools[].cache_control.ttl")),
        ("us.anthropic.claude-opus-4-1-20250805-v1:0", HOUR, None,
         ("messages[].cache_control.ttl", "tools[].cache_control.ttl")),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", HOUR, None,
         ("messages[].cache_control.ttl", "tools[].cache_control.ttl")),
        (NOVA, MARK, None, ("tools[].cache_control",)),
        (NOVA, HOUR, None, ("messages[].cache_control.ttl", "tools[].cache_control")),
    ],
)  # fmt: skip
def test_a_point_lasts_as_long_as_the_model_allows(
    model: str, mark: dict[str, Any], ttl: str | None, dropped: tuple[str, ...]
) -> None:
    body, noted = encode(model, mark)
    point = {"cachePoint": {"type": "default", **({"ttl": ttl} if ttl else {})}}
    assert body["system"][-1] == point
    assert body["messages"][-1]["content"][-1] == point
    tools = body["toolConfig"]["tools"]
    assert tools[1:] == ([] if model == NOVA else [point])
    assert noted == dropped


def test_a_model_without_a_cache_gets_no_points() -> None:
    body, dropped = encode("meta.llama3-3-70b-instruct-v1:0", HOUR)
    assert "cachePoint" not in json.dumps(body)
    assert dropped == ("messages[].cache_control", "tools[].cache_control")
