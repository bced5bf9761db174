"""The official OpenAI client against the gateway, sync and async: the contract that users have."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.http.openai_clients import BYE, HI, USAGE, Ask
from tests.support.gateway_server import RunningGateway
from tests.support.provider_steps import answers, refuse, role, slow_and_fast, stalls
from tests.support.scripted_provider import Upstream

# ---- the seed's own examples ----


SEED_BODY = {
    "model": "gpt-4o, groq-llama",
    "messages": [{"role": "user", "content": "What is the weather like in Boston today?"}],
    "stream": True,
    "fastest_response": True,
}


def test_the_curl_of_the_documentation_works(server: RunningGateway, upstream: Upstream) -> None:
    slow_and_fast(upstream, "gpt-4o", "groq-llama", "Sun", "ny")
    headers = {"Content-Type": "application/json", "Authorization": "Bearer sk-1234"}
    with server.ask(SEED_BODY, "/chat/completions", headers=headers) as response:
        text = response.read()
    assert response.status == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert text.endswith(b"data: [DONE]\n\n")
    assert b'"content":"Sun"' in text
    assert response.headers["x-fanout-winner"] == "groq-llama"
    upstream.wait_disconnected("gpt-4o")


def test_the_sdk_call_of_the_documentation_works(client: openai.OpenAI, upstream: Upstream) -> None:
    slow_and_fast(upstream, "groq-llama", "gpt-4o", "Sunny")
    response = client.chat.completions.create(
        model="gpt-4o, groq-llama",
        messages=[{"role": "user", "content": "What is the weather like in Boston today?"}],
        extra_body={"fastest_response": True},
    )
    assert response.object == "chat.completion"
    assert response.model == "gpt-4o"
    assert response.choices[0].finish_reason == "stop"
    assert response.choices[0].index == 0
    assert response.choices[0].message.content == "Sunny"
    assert response.id
    assert response.created
    assert response.usage is not None
    assert response.usage.to_dict() == USAGE


# ---- every mode, every way ----


def test_one(ask: Ask, upstream: Upstream) -> None:
    upstream.script("a", answers("Hel", "lo"))
    assert ask(model="a", messages=HI) == {0: "Hello"}
    assert ask.report is None


@pytest.mark.parametrize("spelling", ["a, b", ["a", "b"]])
def test_all(ask: Ask, upstream: Upstream, spelling: Any) -> None:
    upstream.script("a", answers("from a", after=0.05))
    upstream.script("b", answers("from b"))
    request = {"model": "x", "messages": HI, "extra_body": {"model": spelling}}
    assert ask(**request) == {0: "from a", 1: "from b"}
    assert ask.report == {"mode": "all"}


def test_a_race(ask: Ask, upstream: Upstream) -> None:
    slow_and_fast(upstream, "a", "b", "fast")
    assert ask(model="a, b", messages=HI, extra_body={"fastest_response": True}) == {0: "fast"}
    assert ask.report["mode"] == "race"
    assert [a["outcome"] for a in ask.report["attempts"]] == ["cancelled", "won"]
    upstream.wait_disconnected("a")


def test_a_hedge(ask: Ask, upstream: Upstream) -> None:
    upstream.script("a", stalls(role))
    upstream.script("b", answers("hedged"))
    fan = {"mode": "hedge", "models": ["a", "b"], "stagger": 0.05}
    assert ask(model="a", messages=HI, extra_body={"fanout": fan}) == {0: "hedged"}
    assert ask.report["mode"] == "hedge"


def test_a_fallback(ask: Ask, upstream: Upstream) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", answers("fallback"))
    fan = {"mode": "fallback", "models": ["a", "b"]}
    assert ask(model="a", messages=HI, extra_body={"fanout": fan}) == {0: "fallback"}
    assert [a["outcome"] for a in ask.report["attempts"]] == ["failed", "won"]


@pytest.mark.parametrize("fallback", [["b"], [{"a": ["b"]}], [{"a": ["c", "b"]}]])
def test_litellms_fallbacks(ask: Ask, upstream: Upstream, fallback: Any) -> None:
    upstream.script("a", [refuse(500)])
    upstream.script("b", answers("fallback"))
    upstream.script("c", [refuse(503)])
    assert ask(model="a", messages=HI, extra_body={"fallbacks": fallback}) == {0: "fallback"}
    assert ask.report["mode"] == "fallback"


def test_conversations(ask: Ask, upstream: Upstream) -> None:
    upstream.script("a", answers("one"), answers("two"))
    response = ask(model="a", messages=[HI, BYE])
    assert sorted(response) == [0, 1]
    assert sorted(response.values()) == ["one", "two"]
    asked = [call.body["messages"] for call in upstream.calls]
    assert HI in asked
    assert BYE in asked


def test_conversations_for_several_models_are_message_major(ask: Ask, upstream: Upstream) -> None:
    upstream.script("a", answers("a"))
    upstream.script("b", answers("b"))
    response = ask(model="a, b", messages=[HI, BYE])
    assert response == {0: "a", 1: "b", 2: "a", 3: "b"}
    assert len(upstream.calls) == 4


def test_conversations_may_race(ask: Ask, upstream: Upstream) -> None:
    slow_and_fast(upstream, "a", "b", "fast")
    request = {"model": "a, b", "messages": [HI, BYE]}
    assert ask(**request, extra_body={"fastest_response": True}) == {0: "fast", 1: "fast"}
    upstream.wait(lambda: all(call.disconnected_at for call in upstream.calls_to("a")))


def test_one_of_several_that_fails_does_not_fail_the_others(ask: Ask, upstream: Upstream) -> None:
    upstream.script("a", [refuse(500, "a is down")])
    upstream.script("b", answers("fine"))
    response = ask(model="a, b", messages=HI)
    assert response == {0: "", 1: "fine"}


def test_anthropics_wire_reads_like_openais(ask: Ask, upstream: Upstream) -> None:
    upstream.script("claude-x", answers("Hel", "lo"))
    assert ask(model="claude", messages=HI, max_tokens=9) == {0: "Hello"}
    assert upstream.calls[0].path == "/v1/messages"
    assert upstream.calls[0].headers["x-api-key"] == "sk-provider-claude"
