"""Bedrock's requests: the API of a model, what Converse does not support, what Claude requires."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.bedrock.models import find_model
from fanout.schema.validation import parse_chat

BEDROCK = registry.find("bedrock")
CLAUDE = Target("our-name", "us.anthropic.claude-sonnet-4-6")
LLAMA = Target("our-name", "meta.llama3-3-70b-instruct-v1:0")
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6"

# ---- which API ----


@pytest.mark.parametrize(
    ("spelling", "api", "model"),
    [
        ("us.anthropic.claude-x", "converse", "us.anthropic.claude-x"),
        ("amazon.nova-pro-v1:0", "converse", "amazon.nova-pro-v1:0"),
        ("openai.gpt-oss-20b-1:0", "openai", "openai.gpt-oss-20b-1:0"),
        ("us.openai.gpt-5.6-sol", "openai", "us.openai.gpt-5.6-sol"),
        ("us-gov.openai.gpt-5.6-sol", "openai", "us-gov.openai.gpt-5.6-sol"),
        ("bedrock/openai.gpt-oss-20b-1:0", "openai", "openai.gpt-oss-20b-1:0"),
        ("converse/openai.gpt-oss-20b-1:0", "converse", "openai.gpt-oss-20b-1:0"),
        ("converse_like/meta.llama", "converse", "meta.llama"),
        ("bedrock/converse/us.anthropic.claude-x", "converse", "us.anthropic.claude-x"),
        ("bedrock/invoke/us.anthropic.claude-x", "converse", "us.anthropic.claude-x"),
        ("invoke/openai.gpt-oss-20b-1:0", "openai", "openai.gpt-oss-20b-1:0"),
        ("openai/deepseek.v3.2", "openai", "deepseek.v3.2"),
        (ARN, "converse", ARN),
        (f"openai/{ARN}", "openai", ARN),
        (
            "arn:aws:bedrock:r::foundation-model/openai.gpt-oss-20b-1:0",
            "openai",
            "arn:aws:bedrock:r::foundation-model/openai.gpt-oss-20b-1:0",
        ),
        (
            "arn:aws:bedrock:r:1:inference-profile/us.anthropic.claude-x",
            "converse",
            "arn:aws:bedrock:r:1:inference-profile/us.anthropic.claude-x",
        ),
        ("conversely.some-model", "converse", "conversely.some-model"),
        ("acme.openai-compatible", "converse", "acme.openai-compatible"),
        ("converse", "converse", "converse"),
    ],
)
def test_a_models_name_selects_its_api(spelling: str, api: str, model: str) -> None:
    found = find_model(Target("our-name", spelling))
    assert (found.api, found.id) == (api, model)


def test_an_opaque_profile_uses_its_base_models_api() -> None:
    for base, api in [("openai.gpt-oss-20b-1:0", "openai"), ("amazon.nova-pro-v1:0", "converse")]:
        found = find_model(Target("our-name", ARN, options={"base_model": base}))
        assert (found.api, found.id, found.kind) == (api, ARN, base)


# ---- what is not supported ----


def encode(target: Target, **fields: Any) -> Any:
    body = {"messages": [{"role": "user", "content": "Hi."}], **fields}
    return json.loads(BEDROCK.chat.encode(parse_chat(body), target, False).body)


def with_part(**part: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


def test_an_image_from_the_web_is_rejected_with_an_alternative() -> None:
    url = "https://example.com/cat.png"
    with pytest.raises(
        Unsupported, match=r"fetches nothing from the web; give a data URI, or .*s3"
    ):
        encode(CLAUDE, messages=with_part(type="image_url", image_url={"url": url}))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "cat.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png,AAAA"}},
        {"type": "image_url", "image_url": {"url": "s3://our-pictures/cat.tiff"}},
        {"type": "file", "file": {}},
        {"type": "file", "file": {"file_data": "AAAA"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64"}},
        {"type": "file", "file": {"file_data": "data:application/pdf"}},
        {"type": "file", "file": {"file_id": "s3://our-papers/report"}},
    ],
)
def test_media_without_a_usable_address_are_the_clients_mistake(part: dict[str, Any]) -> None:
    """`drop_params` does not change that."""
    lax = Target("our-name", CLAUDE.model, drop_params=True)
    with pytest.raises(RequestError) as rejected:
        encode(lax, messages=with_part(**part))
    assert str(rejected.value.param).startswith("messages[0].content[0].")


def test_a_malformed_field_is_rejected_by_its_path() -> None:
    with pytest.raises(RequestError) as rejected:
        encode(CLAUDE, guardrailConfig="strict")
    assert rejected.value.param == "guardrailConfig"


def test_tools_that_were_called_are_sent_even_with_tool_choice_none() -> None:
    """Converse rejects a conversation with calls and without tools."""
    called = [
        {"role": "user", "content": "Hi."},
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    lax = Target("our-name", LLAMA.model, drop_params=True)
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = encode(lax, messages=called, tools=tools, tool_choice="none")
    assert body["toolConfig"].keys() == {"tools"}


def test_document_names_have_allowed_characters_and_are_unique() -> None:
    """AWS requires this: …/APIReference/API_runtime_DocumentBlock.html."""
    names = ["a.pdf", "A.pdf", "a 2.pdf", "", "…", "x" * 300 + ".pdf", "x" * 300, "a__b.c.d.pdf"]
    parts = [
        {
            "type": "file",
            "file": {"filename": name, "file_data": "data:application/pdf;base64,AAAA"},
        }
        for name in names
    ]
    body = encode(CLAUDE, messages=[{"role": "user", "content": parts}])
    blocks = body["messages"][0]["content"]
    found = [block["document"]["name"] for block in blocks if "document" in block]
    assert found == [
        "a",
        "A 2",
        "a 2 2",
        "document",
        "document 2",
        "x" * 200,
        "x" * 198 + " 2",
        "a b c d",
    ]


# ---- Claude, recognized by its name ----


@pytest.mark.parametrize(
    ("model", "thinking", "effort"),
    [
        ("us.anthropic.claude-opus-4-7", {"type": "adaptive", "display": "summarized"}, "medium"),
        ("anthropic.claude-opus-4-6-v1", {"type": "adaptive", "display": "summarized"}, "medium"),
        (
            "global.anthropic.claude-sonnet-4-20250514-v1:0",
            {"type": "enabled", "budget_tokens": 2048},
            None,
        ),
        (
            "arn:aws:bedrock:r:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            {"type": "enabled", "budget_tokens": 2048},
            None,
        ),
    ],
)
def test_claudes_thinking_is_the_same_as_in_anthropics_api(
    model: str, thinking: dict[str, Any], effort: str | None
) -> None:
    body = encode(Target("our-name", model), reasoning_effort="medium")
    assert body["additionalModelRequestFields"] == {"thinking": thinking}
    assert body.get("outputConfig", {}).get("effort") == effort


def test_a_limit_is_sent_only_if_the_client_or_a_budget_needs_one() -> None:
    """AWS counts it against the quota in advance."""
    old = Target("our-name", "us.anthropic.claude-sonnet-4-20250514-v1:0")
    assert "inferenceConfig" not in encode(CLAUDE)
    assert "inferenceConfig" not in encode(CLAUDE, reasoning_effort="low")
    assert encode(CLAUDE, max_tokens=7)["inferenceConfig"] == {"maxTokens": 7}
    assert encode(old, reasoning_effort="low")["inferenceConfig"] == {"maxTokens": 64_000}


def test_only_claude_can_be_limited_to_one_call_at_a_time() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    for choice, kind in [(None, "auto"), ("auto", "auto"), ("required", "any")]:
        body = encode(CLAUDE, tools=tools, tool_choice=choice, parallel_tool_calls=False)
        assert body["toolConfig"].keys() == {"tools"}
        assert body["additionalModelRequestFields"] == {
            "tool_choice": {"type": kind, "disable_parallel_tool_use": True}
        }


def test_a_temperature_over_1_is_a_400_by_name_or_dropped() -> None:
    for model in ("us.amazon.nova-2-lite-v1:0", "meta.llama3-3-70b-instruct-v1:0"):
        with pytest.raises(Unsupported, match="its range is 0 to 1") as rejected:
            encode(Target("our-name", model), temperature=1.5)
        assert rejected.value.param == "temperature"
        dropping = Target("our-name", model, drop_params=True)
        assert "inferenceConfig" not in encode(dropping, temperature=1.5)
        body = encode(Target("our-name", model), temperature=1.0)
        assert body["inferenceConfig"]["temperature"] == 1
