"""What a provider's error means, over HTTP: refused prompts, JSON for a stream, pauses."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from msgspec import json

from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, refuse, reply
from tests.support.scripted_provider import Upstream

HI = [{"role": "user", "content": "Hi"}]
JSON = {"content-type": "application/json"}
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture(scope="module")
def vendors(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway with two deployments of each vendor's model."""
    models = [("grok", "xai/a"), ("grok", "xai/b"), ("router", "openrouter/a")]
    entries = [entry(provider, name, model, api_key="marker-key") for name, model in models]
    with serve({"model_list": entries, "router_settings": {"num_retries": 2}}) as served:
        yield served


@both_ways
def test_a_prompt_that_xai_refuses_is_a_400_in_its_words_and_sent_once(
    vendors: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    words = "Content violates usage guidelines. Team: t, Failed check: SAFETY_CHECK_TYPE_BIO"
    body = json.encode({"code": "permission-denied", "error": words})
    for name in ("a", "b"):
        upstream.script(name, [reply(403, body, JSON)])
    response = vendors.chat({"model": "grok", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (400, "content_filter")
    assert response.error["message"] == f"`grok`: {words}"
    assert len(upstream.calls) == 1


@both_ways
def test_a_prompt_that_openrouter_refuses_is_a_400_in_its_words(
    vendors: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    metadata = {"reasons": ["violence"], "flagged_input": "…", "provider_name": "OpenAI"}
    error = {"code": 403, "message": "Your input was flagged", "metadata": metadata}
    upstream.script("a", [reply(403, json.encode({"error": error}), JSON)])
    response = vendors.chat({"model": "router", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (400, "content_filter")
    assert response.error["message"] == "`router`: Your input was flagged"
    assert len(upstream.calls) == 1


@both_ways
def test_a_403_about_the_key_is_not_passed_on(
    vendors: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    error = {"code": 403, "message": "This API key has been disabled: marker-key"}
    upstream.script("a", [reply(403, json.encode({"error": error}), JSON)])
    response = vendors.chat({"model": "router", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (502, "provider_key_refused")
    assert "marker" not in str(response.error)


@both_ways
def test_an_error_as_json_with_status_200_is_that_error(
    server: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    error = {"message": "slow down, please", "code": 429}
    upstream.script("a", [reply(200, json.encode({"error": error}), JSON)])
    response = server.chat({"model": "a", "messages": HI, "stream": stream})
    assert response.error is not None
    assert (response.status, response.error["code"]) == (429, "rate_limit_exceeded")
    assert response.error["message"] == "`a`: slow down, please"


def test_a_whole_response_to_a_streamed_request_is_streamed(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    message = {"role": "assistant", "content": "Hello", "tool_calls": [call]}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    upstream.script("a", [reply(200, json.encode(body), JSON)])
    with client.chat.completions.stream(
        model="a",
        messages=[{"role": "user", "content": "Hi"}],
        stream_options={"include_usage": True},
    ) as stream:
        completion = stream.get_final_completion()
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("Hello", "tool_calls")
    assert [c.function.arguments for c in choice.message.tool_calls or ()] == ['{"a":1}']
    assert completion.usage is not None
    assert completion.usage.total_tokens == 5


def test_openais_client_waits_as_long_as_the_provider_asks(
    client: openai.OpenAI, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = list[float]()
    monkeypatch.setattr("openai._base_client.time.sleep", waits.append)
    upstream.script("a", [refuse(429, "slower", {"retry-after-ms": "400"})], answers("Hello"))
    response = client.with_options(max_retries=1).chat.completions.create(
        model="a", messages=[{"role": "user", "content": "Hi"}]
    )
    assert response.choices[0].message.content == "Hello"
    assert waits == [0.4]
    assert len(upstream.calls) == 2


@pytest.mark.parametrize(
    ("headers", "code"), [({}, None), ({"retry-after": "1"}, "insufficient_quota")]
)
def test_openais_client_does_not_retry_without_a_pause_or_after_a_spent_quota(
    client: openai.OpenAI, upstream: Upstream, headers: dict[str, str], code: str | None
) -> None:
    upstream.script("a", [refuse(429, "no", headers, code=code)], answers("Hello"))
    with pytest.raises(openai.RateLimitError):
        client.with_options(max_retries=1).chat.completions.create(
            model="a", messages=[{"role": "user", "content": "Hi"}]
        )
    assert len(upstream.calls) == 1
