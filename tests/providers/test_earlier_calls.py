"""Earlier tool calls: their ids and arguments fit the vendor that gets them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.calls import CallIds, IdRule
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

U = {"role": "user", "content": "Hello."}
BEDROCK = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def encode(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": [*messages], **more})
    return registry.find(provider).chat.encode(request, Target("our-name", model), False)


def body_of(provider: str, model: str, *messages: dict[str, Any], **more: Any) -> Any:
    return json.loads(encode(provider, model, *messages, **more).body)


def called(*ids: str, arguments: str = "{}", **fields: Any) -> list[dict[str, Any]]:
    """A message with these calls, and their results."""
    function = {"name": "get_weather", "arguments": arguments}
    calls = [{"id": one, "type": "function", "function": function} for one in ids]
    results = [{"role": "tool", "tool_call_id": one, "content": one} for one in ids]
    return [{"role": "assistant", "content": None, "tool_calls": calls, **fields}, *results]


# ---- ids ----

ODD_IDS = [
    "functions.get_weather:0",
    "functions.get_weather:1",
    "functions_get_weather_0",
    "call_abc|fc_123",
    "call_" + "x" * 70,
    "call_" + "x" * 71,
    "call_PTLP8",
    "toolu_01A0",
    "D681PevKs",
    "é",
    "",
]
ID_RULES = {
    ("anthropic", "claude-sonnet-4-5"): r"[a-zA-Z0-9_-]+",
    ("bedrock", BEDROCK): r"[a-zA-Z0-9_.:-]{1,64}",
    ("mistral", "mistral-large-latest"): r"[a-zA-Z0-9]{9}",
    ("openai", "gpt-4o"): r"(?s).{1,40}",
    ("azure", "gpt-4o"): r"(?s).{1,40}",
}


def sent_ids(provider: str, body: Any) -> tuple[list[str], dict[str, str]]:
    """The ids of the calls, and the id of each result by its text, which is the original id."""
    found = json.dumps(body["messages"])
    if provider == "anthropic":
        blocks = [b for m in body["messages"] for b in m["content"] if isinstance(b, dict)]
        calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
        results = {b.get("content", ""): b["tool_use_id"] for b in blocks if "tool_use_id" in b}
    elif provider == "bedrock":
        blocks = [b for m in body["messages"] for b in m["content"]]
        calls = [b["toolUse"]["toolUseId"] for b in blocks if "toolUse" in b]
        tools = [b["toolResult"] for b in blocks if "toolResult" in b]
        results = {"".join(c["text"] for c in t["content"]): t["toolUseId"] for t in tools}
    else:
        calls = [c["id"] for m in body["messages"] for c in m.get("tool_calls", ())]
        tools = [m for m in body["messages"] if m["role"] == "tool"]
        results = {m["content"]: m["tool_call_id"] for m in tools}
    assert found
    return calls, results


@pytest.mark.parametrize(("target", "pattern"), ID_RULES.items())
def test_ids_fit_stay_paired_and_distinct_and_are_the_same_each_time(
    target: tuple[str, str], pattern: str
) -> None:
    provider, model = target
    wire = encode(provider, model, U, *called(*ODD_IDS), U)
    body = json.loads(wire.body)
    calls, results = sent_ids(provider, body)
    assert all(re.fullmatch(pattern, one) for one in calls)
    assert len(set(calls)) == len(ODD_IDS)
    assert [results[one] for one in ODD_IDS] == calls
    assert "messages[].tool_calls[].id" in wire.dropped
    for one, sent in zip(ODD_IDS, calls, strict=True):
        if re.fullmatch(pattern, one):
            assert sent == one
        # The id depends on nothing but itself, so the beginning of a prompt stays the same.
        assert sent_ids(provider, body_of(provider, model, U, *called(one)))[0] == [sent]


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
def test_an_id_that_occurs_again_is_another_one_for_vendors_that_want_unique_ids(
    provider: str,
) -> None:
    model = dict(ID_RULES)[provider, BEDROCK] and BEDROCK if provider == "bedrock" else "claude-x"
    calls, _ = sent_ids(
        provider, body_of(provider, model, U, *called("call_1"), U, *called("call_1"), U)
    )
    assert calls[0] == "call_1"
    assert len(set(calls)) == 2


@settings(derandomize=True, deadline=None)
@given(st.lists(st.text(), unique=True, max_size=20), st.sampled_from(sorted(ID_RULES.values())))
def test_any_ids_fit_any_rule(ids: list[str], pattern: str) -> None:
    made = CallIds(IdRule(pattern, length=9))
    sent = [made.call(one) for one in ids]
    assert all(re.fullmatch(pattern, one) for one in sent)
    assert len(set(sent)) == len(ids)
    assert [made.result(one) for one in ids] == sent


# ---- arguments ----


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-sonnet-4-5"), ("bedrock", BEDROCK), ("gemini", "gemini-2.5-flash"),
        ("cohere", "command-a"), ("groq", "m"), ("mistral", "m"), ("hosted_vllm", "m"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("arguments", ['{"city": "Os', "[1]", "null", "Oslo", "", '"', "{}}"])
def test_arguments_that_are_no_object_become_one(provider: str, model: str, arguments: str) -> None:
    wire = encode(provider, model, U, *called("call_1", arguments=arguments), U)
    noted = "messages[].tool_calls[].function.arguments"
    assert (noted in wire.dropped) == bool(arguments)
    held = {"arguments": arguments} if arguments else {}
    text, body = json.dumps(held, separators=(",", ":")), wire.body.decode()
    assert text in body or json.dumps(text) in body


def test_openai_gets_the_arguments_that_the_model_wrote() -> None:
    """Its reference warns that they need not be JSON."""
    body = body_of("openai", "gpt-4o", U, *called("call_1", arguments='{"city": "Os'), U)
    assert body["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"city": "Os'
