"""Fields that clients send to every vendor, and that some vendors reject together or alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.errors import Malformed
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.transport.error_bodies import from_response
from fanout.transport.request_encoding import encode_request
from fanout.wire.http import WireRequest, WireResponse

U = {"role": "user", "content": "Hi"}
OPTIONS = {"api_base": "https://api.openai.com/v1"}
ELSEWHERE = {"api_base": "https://a.test/v1"}


def encode(provider: str, model: str, *messages: Any, **body: Any) -> WireRequest:
    options = body.pop("options", OPTIONS)
    request = parse_chat({"messages": [*messages] or [U], **body})
    target = Target("name", model, options=options)
    return registry.find(provider).chat.encode(request, target, False)


OPENAIS = [("openai", "gpt-4o"), ("openai", "o3"), ("azure", "gpt-4o"), ("azure", "gpt-5-mini")]


@pytest.mark.parametrize(("provider", "model"), OPENAIS)
@pytest.mark.parametrize("metadata", [{"a": "b"}, {"tags": ["a"]}])
@pytest.mark.parametrize("more", [{}, {"store": False}])
def test_metadata_is_left_out_of_a_request_that_is_not_stored(
    provider: str, model: str, metadata: Any, more: dict[str, Any]
) -> None:
    wire = encode(provider, model, metadata=metadata, **more)
    assert "metadata" not in json.loads(wire.body)
    assert "metadata" in wire.dropped


@pytest.mark.parametrize(("provider", "model"), OPENAIS)
def test_the_metadata_of_a_stored_one_are_texts_within_the_limits(
    provider: str, model: str
) -> None:
    given: dict[str, Any] = {"a": "b", "tags": ["x"], "n": 5, "k" * 65: "v", "long": "v" * 600}
    wire = encode(provider, model, metadata=given, store=True)
    expected = {"a": "b", "tags": '["x"]', "n": "5", "long": "v" * 512}
    assert json.loads(wire.body)["metadata"] == expected
    assert wire.dropped == ("metadata",)
    assert encode(provider, model, metadata={"a": "b"}, store=True).dropped == ()
    many = {str(number): "v" for number in range(20)}
    sent = json.loads(encode(provider, model, metadata=many, store=True).body)
    assert len(sent["metadata"]) == 16


@pytest.mark.parametrize("provider", ["openai", "openai_like"])
def test_other_servers_get_metadata_as_they_are(provider: str) -> None:
    wire = encode(provider, "m", metadata={"tags": ["a"]}, options=ELSEWHERE)
    assert json.loads(wire.body)["metadata"] == {"tags": ["a"]}


@pytest.mark.parametrize(
    "provider", ["openai", "azure", "groq", "openai_like", "volcengine", "xai", "mistral"]
)
def test_one_limit_of_tokens_is_sent(provider: str) -> None:
    sent = json.loads(encode(provider, "m", max_tokens=5, max_completion_tokens=7).body)
    assert [sent[name] for name in ("max_tokens", "max_completion_tokens") if name in sent] == [7]


VENDORS = {
    "openai": "gpt-4o", "openai_like": "m", "mistral": "m", "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-flash", "cohere": "command-a",
}  # fmt: skip


@pytest.mark.parametrize("fields", [{}, {"arguments": None}, {"arguments": ""}])
@pytest.mark.parametrize(("provider", "model"), VENDORS.items())
def test_an_earlier_call_without_arguments_has_an_empty_object(
    provider: str, model: str, fields: dict[str, Any]
) -> None:
    """An SDK makes it of a stream without arguments."""
    call = {"id": "call_1", "type": "function", "function": {"name": "f", **fields}}
    messages: list[Any] = [
        U,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "R"},
    ]
    tools = [{"type": "function", "function": {"name": "f"}}]
    sent = encode(provider, model, *messages, tools=tools).body.decode()
    is_opaque = provider == "openai" and fields == {"arguments": ""}
    found = ['"arguments":""'] if is_opaque else ['"arguments":"{}"', '"input":{}', '"args":{}']
    assert any(one in sent for one in found)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https://b.test/v1/chat/completions/?key=s", " to `/v1/chat/completions/`"),
        ("/v1/", " to `/v1/`"), ("", ""), ("https://user:pass@b.test/", " to `/`"),
        ("//b.test/x", ""), ("/x http://b.test", ""), ("/\\b.test/x", ""), ("/http://b.test", ""),
    ],
)  # fmt: skip
def test_a_redirect_says_where_to(status: int, location: str, shown: str) -> None:
    params: dict[str, Any] = {"model": "openai/m", "api_key": "k", "api_base": "https://a.test/v1"}
    deployment = make_deployment("m", ModelParams(**params), {}, {})
    headers = {"location": location} if location else {}
    error = from_response(deployment, WireResponse(status, headers, b""), "k")
    assert type(error) is Malformed
    assert f"a redirect (HTTP {status}){shown}, which is not followed" in str(error)
    assert "b.test" not in str(error)
    assert "pass" not in str(error)
    assert "key=s" not in str(error)


@pytest.mark.parametrize(("budget", "sent"), [(500, 1024), (1, 1024), (1024, 1024), (3000, 3000)])
def test_claude_gets_the_least_budget_that_it_takes(budget: int, sent: int) -> None:
    thinking = {"type": "enabled", "budget_tokens": budget}
    wire = encode("anthropic", "claude-sonnet-4-5", thinking=thinking, max_tokens=8000)
    assert json.loads(wire.body)["thinking"] == {"type": "enabled", "budget_tokens": sent}
    assert wire.dropped == (() if budget == sent else ("thinking",))


def test_a_budget_of_0_turns_claudes_thinking_off() -> None:
    thinking = {"type": "enabled", "budget_tokens": 0}
    wire = encode("anthropic", "claude-sonnet-4-5", thinking=thinking, max_tokens=8000)
    assert json.loads(wire.body).get("thinking", {"type": "disabled"}) == {"type": "disabled"}


# ---- the options of a stream, which Fanout adds ----


def streamed(model: str, **body: Any) -> Any:
    params: dict[str, Any] = {"model": model, "api_key": "k", "api_base": "https://a.test/v1"}
    deployment = make_deployment("m", ModelParams(**params), {}, {})
    request = parse_chat({"messages": [U], **body})
    return json.loads(encode_request(deployment, request, stream=True).body)


@pytest.mark.parametrize("model", ["openai_like/m", "groq/m", "openai/gpt-4o"])
def test_they_can_be_left_out(model: str) -> None:
    assert streamed(model)["stream_options"] == {"include_usage": True}
    sent = streamed(model, additional_drop_params=["stream_options"])
    assert sent["stream"] is True
    assert "stream_options" not in sent


def test_azures_own_search_has_none() -> None:
    sources = [{"type": "azure_search", "parameters": {}}]
    sent = streamed("azure/gpt-4o", data_sources=sources)
    assert sent["data_sources"] == sources
    assert "stream_options" not in sent
