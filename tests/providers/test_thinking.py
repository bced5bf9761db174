"""LiteLLM's `thinking` for every vendor: as it is, in the vendor's form, or a 400 by name."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

SMALL = {"type": "enabled", "budget_tokens": 2000}
LARGE = {"type": "enabled", "budget_tokens": 30_000}
ADAPTIVE = {"type": "adaptive"}
OFF = {"type": "disabled"}
COHERES = {"type": "enabled", "token_budget": 5}


def encode(provider: str, model: str, *, drop_params: bool = False, **fields: Any) -> WireRequest:
    request = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], **fields}
    target = Target("m", model, drop_params=drop_params)
    return registry.find(provider).chat.encode(parse_chat(request), target, False)


def body_of(provider: str, model: str, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode(provider, model, **fields).body)
    return body


@pytest.mark.parametrize(
    ("provider", "model", "thinking", "effort"),
    [
        ("openai", "gpt-5", SMALL, "low"),
        ("openai", "gpt-5", {"type": "enabled", "budget_tokens": 10_000}, "medium"),
        ("openai", "o3", LARGE, "high"),
        ("openai", "gpt-5-pro", SMALL, "high"),
        ("openai", "gpt-5.2", OFF, "none"),
        ("openai", "gpt-5", OFF, None),
        ("openai", "gpt-4o", OFF, None),
        ("openai", "gpt-5", ADAPTIVE, None),
        ("azure", "gpt-5", SMALL, "low"),
        ("xai", "grok-3-mini", {"type": "enabled", "budget_tokens": 10_000}, "high"),
        ("groq", "openai/gpt-oss-120b", SMALL, "low"),
        ("groq", "llama-3.3-70b-versatile", OFF, None),
        ("mistral", "mistral-small-latest", SMALL, "high"),
        ("cerebras", "gpt-oss-120b", SMALL, "low"),
        ("perplexity", "sonar-reasoning-pro", SMALL, "low"),
        ("fireworks_ai", "accounts/fireworks/models/qwen3-235b", SMALL, "low"),
        ("ollama", "qwen3", SMALL, "low"),
    ],
)
def test_a_budget_is_the_nearest_effort_for_vendors_that_have_only_efforts(
    provider: str, model: str, thinking: dict[str, Any], effort: str | None
) -> None:
    wire = encode(provider, model, thinking=thinking)
    body = json.loads(wire.body)
    assert "thinking" not in body
    nested = body.get("reasoning", {}).get("effort")  # the Responses API's
    assert body.get("reasoning_effort", nested) == effort
    asked = {10_000: "medium", 30_000: "high", 2000: "low"}.get(thinking.get("budget_tokens", 0))
    is_lost = effort != (asked or ("none" if thinking == OFF else effort or ""))
    assert ("thinking" in wire.dropped) is is_lost, "the log says what is lost"


def test_an_effort_that_is_given_as_well_is_kept() -> None:
    body = body_of("openai", "gpt-5", thinking=LARGE, reasoning_effort="low")
    assert (body.get("thinking"), body["reasoning_effort"]) == (None, "low")


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("azure", "gpt-4.1"),
        ("xai", "grok-4"),
        ("groq", "llama-3.3-70b-versatile"),
        ("mistral", "codestral-latest"),
        ("cohere", "command-r7b-12-2024"),
        ("gemini", "gemini-2.0-flash"),
        ("gemini", "gemma-3-27b-it"),
        ("gemini", "gemini-2.5-flash-image"),
        ("anthropic", "claude-3-opus-20240229"),
        ("anthropic", "claude-3-5-haiku-20241022"),
        ("bedrock", "amazon.nova-lite-v1:0"),
    ],
)
@pytest.mark.parametrize("asked", [{"thinking": SMALL}, {"reasoning_effort": "low"}])
def test_a_model_that_does_not_think_rejects_it_by_name_or_drops_it(
    provider: str, model: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(Unsupported) as rejected:
        encode(provider, model, **asked)
    assert [rejected.value.param] == list(asked)
    wire = encode(provider, model, drop_params=True, **asked)
    assert b"hink" not in wire.body
    assert b"effort" not in wire.body
    assert set(asked) <= set(wire.dropped)


def test_vendors_get_a_budget_only_if_they_have_it() -> None:
    on, faults = {"type": "enabled"}, []
    rows: list[tuple[str, str, dict[str, Any] | None, str | None]] = [
        *((name, "some-model", on, None) for name in ("deepseek", "zai", "volcengine", "minimax")),
        ("moonshot", "kimi-k2.5", on, None),
        ("litellm_proxy", "some-model", SMALL, None),
        *(
            (name, "some-model", None, "low")
            for name in ("hosted_vllm", "together_ai", "openrouter", "openai_like", "deepinfra")
        ),
    ]
    for provider, model, thinking, effort in rows:
        wire = encode(provider, model, thinking=SMALL)
        body = json.loads(wire.body)
        named = ("thinking.budget_tokens",) if thinking == on else ()
        found = body.get("thinking"), body.get("reasoning_effort"), wire.dropped
        if found != (thinking, effort, named):
            faults.append((provider, found))
        if provider not in {"hosted_vllm", "openrouter"}:  # others' own form
            assert body_of(provider, model, thinking=on)["thinking"] == on
    assert faults == []
    kept = {"type": "enabled", "clear_thinking": False}
    assert body_of("zai", "glm-5", thinking={**kept, "budget_tokens": 5})["thinking"] == kept


# ---- Claude ----


@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
@pytest.mark.parametrize(
    ("version", "thinking", "sent", "effort"),
    [
        ("opus-4-7", SMALL, {"type": "adaptive", "display": "summarized"}, "low"),
        ("opus-4-7", LARGE, {"type": "adaptive", "display": "summarized"}, "high"),
        ("opus-4-7", {**SMALL, "display": "x"}, {"type": "adaptive", "display": "x"}, "low"),
        ("opus-4-7", ADAPTIVE, ADAPTIVE, None),
        ("opus-4-6", SMALL, SMALL, None),
        ("sonnet-4-5", SMALL, SMALL, None),
        ("sonnet-4-5", ADAPTIVE, {"type": "enabled", "budget_tokens": 2048}, None),
        ("sonnet-4-5", OFF, OFF, None),
        ("sonnet-5-5", OFF, {"type": "between_tools"}, None),
    ],
)
def test_claude_gets_the_form_that_its_version_takes(
    provider: str,
    version: str,
    thinking: dict[str, Any],
    sent: dict[str, Any],
    effort: str | None,
) -> None:
    model = f"claude-{version}" if provider == "anthropic" else f"anthropic.claude-{version}-v1:0"
    body = body_of(provider, model, thinking=thinking)
    extra = body.get("additionalModelRequestFields", body)
    output = body.get("outputConfig", body.get("output_config", {}))
    assert extra["thinking"] == sent
    assert output.get("effort") == effort


@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-6"])
def test_a_budget_that_max_tokens_does_not_hold_is_a_400_that_names_both(model: str) -> None:
    asked: dict[str, Any] = {"thinking": SMALL, "max_tokens": 1000}
    with pytest.raises(Unsupported, match="less than `max_tokens`, which is 1000") as rejected:
        encode("anthropic", model, **asked)
    assert rejected.value.param == "thinking.budget_tokens"
    assert b"thinking" not in encode("anthropic", model, drop_params=True, **asked).body


def test_a_claude_that_always_thinks_says_so() -> None:
    with pytest.raises(Unsupported, match="always thinks"):
        encode("anthropic", "claude-opus-5-5", thinking=OFF)


# ---- Gemini and Cohere ----


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("gemini-2.5-flash", {"thinking": SMALL}, {"thinkingBudget": 2000}),
        ("gemini-2.5-flash", {"thinking": OFF}, {"thinkingBudget": 0}),
        ("gemini-2.5-flash", {"thinking": ADAPTIVE}, None),
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        ("gemini-3-flash", {"reasoning_effort": "none"}, {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash", {"thinking": LARGE}, {"thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", {"reasoning_effort": "medium"}, {"thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", {"reasoning_effort": "minimal"}, {"thinkingLevel": "LOW"}),
        ("gemini-3.1-pro-preview", {"reasoning_effort": "medium"}, {"thinkingLevel": "MEDIUM"}),
        ("gemini-2.0-flash", {"thinking": OFF}, None),
        ("gemini-2.0-flash", {"reasoning_effort": "none"}, None),
    ],
)
def test_gemini_gets_a_budget_or_a_level(
    model: str, asked: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    config = body_of("gemini", model, **asked).get("generationConfig", {})
    found = config.get("thinkingConfig")
    if found is not None:
        found.pop("includeThoughts", None)
    assert found == sent


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-pro-preview"])
@pytest.mark.parametrize("asked", [{"thinking": OFF}, {"reasoning_effort": "none"}])
def test_a_gemini_that_always_thinks_says_so(model: str, asked: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="always thinks") as rejected:
        encode("gemini", model, **asked)
    assert [rejected.value.param] == list(asked)


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"thinking": SMALL}, {"type": "enabled", "token_budget": 2000}),
        ({"thinking": COHERES}, COHERES),
        ({"thinking": OFF}, OFF),
        ({"reasoning_effort": "none"}, OFF),
        ({}, None),
    ],
)
def test_cohere_gets_its_own_name_of_the_budget(
    asked: dict[str, Any], sent: dict[str, Any] | None
) -> None:
    assert body_of("cohere", "command-a-reasoning-08-2025", **asked).get("thinking") == sent


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "cohere", "bedrock"])
def test_a_value_that_is_no_object_is_a_400(provider: str) -> None:
    model = {"bedrock": "us.amazon.nova-2-lite-v1:0"}.get(provider, "x-reasoning")
    with pytest.raises(RequestError, match="`thinking` is not a JSON object"):
        encode(provider, model, thinking=True)


@pytest.mark.parametrize("model", ["their-model", "responses/their-model"])
def test_a_server_of_your_own_with_openais_api_gets_an_effort(model: str) -> None:
    """As `openai_like/…` does: OpenAI's API has no field `thinking`, and rejects unknown ones."""
    options = {"api_base": "http://127.0.0.1:8000/v1"}
    request = parse_chat({"messages": [{"role": "user", "content": "Hi."}], "thinking": SMALL})
    wire = registry.find("openai").chat.encode(request, Target("m", model, options=options), False)
    body = json.loads(wire.body)
    assert "thinking" not in body
    assert body.get("reasoning_effort") or body["reasoning"]["effort"] == "low"
    assert wire.dropped == ()
