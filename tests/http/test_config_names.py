"""What names in LiteLLM's config lead to over HTTP: fallbacks by error, aliases, wildcards."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.races import HI, both_ways
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers, pause, refuse, stalls
from tests.support.scripted_provider import Step, Upstream

AUTHORIZED = {"authorization": "Bearer sk-fast"}


def error(code: str) -> Step:
    return refuse(400, "no", type="invalid_request_error", code=code)


TOO_LONG = error("context_length_exceeded")
FILTERED = error("content_filter")


@pytest.fixture(scope="module")
def named(provider: Upstream) -> Iterator[RunningGateway]:
    """A gateway whose config names models in every way."""
    thinking = {"type": "enabled", "budget_tokens": 1024}
    extras: dict[str, Any] = {
        "extra_headers": {"X-Team": "search", "x-zone": "eu"},
        "organization": "org-1",
        "extra_body": {"chat_template_kwargs": {"thinking": False}, "temperature": 1},
        "num_ctx": 8192,
    }
    wildcard = {"model_name": "any/*", "litellm_params": {"model": "openai/*"}}
    wildcard["litellm_params"] |= {"api_base": f"{provider.url}/v1", "api_key": "k"}  # type: ignore[operator]
    listed = {"model_name": "openai/*", "litellm_params": wildcard["litellm_params"]}
    config = {
        "model_list": [
            *(entry(provider, name) for name in "abcd"),
            entry(provider, "extra", **extras),
            entry(provider, "claude", "anthropic/claude-sonnet-4-5", thinking=thinking),
            wildcard,
            listed,
        ],
        "router_settings": {
            "num_retries": 0,
            "fallbacks": [{"a": ["b"]}],
            "context_window_fallbacks": [{"a": ["c"]}, {"d": ["c"]}],
            "content_policy_fallbacks": [{"a": ["d"]}],
            "model_group_alias": {
                "other-a": "a",
                "fast": {"models": ["b", "c"]},
                "safe": {"models": ["b", "c"], "mode": "fallback"},
                "late": {"models": ["b", "c"], "mode": "hedge", "stagger": 0.01},
                "every": {"models": ["b", "c"], "mode": "all"},
                "secret": {"model": "b", "hidden": True},
            },
        },
        "general_settings": {"keys": [{"name": "f", "key": "sk-fast", "models": ["fast", "any/*"]}]}
        | {"master_key": "sk-all"},
    }
    with serve(config) as served:
        yield served


def ask(
    named: RunningGateway, model: str, *, stream: bool, key: str = "sk-all", **more: Any
) -> Any:
    body = {"model": model, "messages": HI, **more}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return named.chat(body, {"authorization": f"Bearer {key}"})


# ---- fallbacks by kind of error ----


@both_ways
@pytest.mark.parametrize(
    ("model", "script", "then"),
    [
        ("a", TOO_LONG, "c"),
        ("a", FILTERED, "d"),
        ("a", refuse(500), "b"),
        ("d", TOO_LONG, "c"),
        ("other-a", TOO_LONG, "c"),
    ],
)
def test_the_fallback_is_that_of_the_error(
    named: RunningGateway, upstream: Upstream, model: str, script: Step, then: str, *, stream: bool
) -> None:
    upstream.script("d" if model == "d" else "a", [script])
    upstream.script(then, answers("from the fallback"))
    response = ask(named, model, stream=stream)
    assert (response.status, response.model, response.text) == (200, then, "from the fallback")


@both_ways
def test_after_the_fallbacks_of_the_error_come_the_ordinary_ones(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("a", [TOO_LONG])
    upstream.script("c", [TOO_LONG])
    upstream.script("b", answers("from b"))
    response = ask(named, "a", stream=stream)
    assert (response.model, response.text) == ("b", "from b")


@both_ways
def test_without_a_fallback_for_it_the_error_is_the_clients(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("b", [TOO_LONG])
    response = ask(named, "b", stream=stream)
    assert response.status == 400
    assert response.error is not None
    assert response.error["code"] == "context_length_exceeded"


# ---- a name for several models ----


@both_ways
def test_a_name_for_several_models_is_a_race_for_a_client_that_sends_no_other_field(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("b", stalls())
    upstream.script("c", answers("from c"))
    response = ask(named, "fast", stream=stream, key="sk-fast")
    assert (response.status, response.model, response.text) == (200, "c", "from c")
    assert response.headers["x-fanout-mode"] == "race"
    assert response.headers["x-fanout-winner"] == "c"
    assert response.outcomes == {"b": "cancelled", "c": "won"}


@both_ways
def test_a_name_for_several_models_has_the_mode_of_the_config(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("b", [refuse(500)])
    upstream.script("c", answers("from c"))
    assert ask(named, "safe", stream=stream).outcomes == {"b": "failed", "c": "won"}
    upstream.script("b", answers("from b"))
    upstream.script("c", answers("from c"))
    assert ask(named, "every", stream=stream).texts == {0: "from b", 1: "from c"}


def test_a_mode_of_the_request_counts_before_that_of_the_config(
    named: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("b", answers("from b"))
    upstream.script("c", answers("from c"))
    response = ask(named, "fast", stream=False, fanout={"mode": "all"})
    assert response.texts == {0: "from b", 1: "from c"}


def test_a_name_for_several_models_stands_alone(named: RunningGateway) -> None:
    response = ask(named, "a, fast", stream=False)
    assert response.status == 400
    assert response.error is not None
    assert "send it alone, or name its models: b, c" in response.error["message"]


def test_a_key_for_a_name_is_no_key_for_its_models(named: RunningGateway) -> None:
    response = ask(named, "b", stream=False, key="sk-fast")
    assert response.status == 403


# ---- wildcards and the list of models ----


def test_a_wildcard_takes_any_name_of_its_prefix(named: RunningGateway, upstream: Upstream) -> None:
    upstream.script("brand-new", answers("new"))
    assert ask(named, "any/brand-new", stream=False, key="sk-fast").text == "new"
    assert upstream.calls_to("brand-new")[0].body["model"] == "brand-new"


def test_every_name_is_listed_and_those_of_wildcards_as_far_as_they_have_a_price(
    named: RunningGateway,
) -> None:
    _, _, body = named.json(
        path="/v1/models", method="GET", headers={"authorization": "Bearer sk-all"}
    )
    ids = [model["id"] for model in body["data"]]
    named_ids = ["a", "b", "c", "d", "extra", "claude", "other-a", "fast", "safe", "late", "every"]
    assert ids[:11] == named_ids
    assert {"any/gpt-4o", "openai/gpt-4o", "openai/gpt-4o-audio-preview"} <= set(ids)
    assert not [one for one in ids if "gpt-image" in one or "embed" in one or "realtime" in one]
    assert "secret" not in ids
    assert len(ids) == len(set(ids))
    _, _, body = named.json(path="/v1/models", method="GET", headers=AUTHORIZED)
    assert {model["id"].split("/")[0] for model in body["data"]} == {"fast", "any"}
    status, _, body = named.json(path="/v1/models/fast", method="GET", headers=AUTHORIZED)
    assert (status, body["id"]) == (200, "fast")


# ---- what a deployment adds ----


@both_ways
def test_headers_fields_and_parameters_of_a_deployment_reach_its_provider(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("extra", answers("hi"))
    assert ask(named, "extra", stream=stream, temperature=0).text == "hi"
    (call,) = upstream.calls_to("extra")
    sent = {name: call.headers[name] for name in ("x-team", "x-zone", "openai-organization")}
    assert sent == {"x-team": "search", "x-zone": "eu", "openai-organization": "org-1"}
    assert call.headers["authorization"] == "Bearer sk-provider-extra"
    assert call.body["num_ctx"] == 8192
    assert call.body["chat_template_kwargs"] == {"thinking": False}
    assert call.body["temperature"] == 1


@both_ways
def test_a_parameter_that_only_the_provider_knows_reaches_every_api(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("claude-sonnet-4-5", answers("hi"))
    thinking = {"type": "enabled", "budget_tokens": 1024}
    assert ask(named, "claude", stream=stream, max_tokens=2048).text == "hi"
    (call,) = upstream.calls_to("claude-sonnet-4-5")
    assert call.path.endswith("/messages")
    assert (call.body["thinking"], call.body["max_tokens"]) == (thinking, 2048)


def test_drop_params_of_a_request_counts_before_the_configs(
    server: RunningGateway, upstream: Upstream
) -> None:
    upstream.script("claude-x", answers("hi"))
    body = {"model": "claude", "messages": HI, "seed": 5, "max_tokens": 9}
    assert server.chat(body).status == 400
    assert server.chat({**body, "drop_params": True}).text == "hi"
    (call,) = upstream.calls_to("claude-x")
    assert not {"seed", "drop_params"} & call.body.keys()


def test_without_a_config_the_models_of_providers_with_a_key_are_listed() -> None:
    with serve({}, {"GROQ_API_KEY": "k", "MISTRAL_API_KEY": "k"}) as gateway:
        _, _, body = gateway.json(path="/v1/models", method="GET")
    names = [model["id"] for model in body["data"]]
    assert "groq/llama-3.3-70b-versatile" in names
    assert {name.partition("/")[0] for name in names} == {"groq", "mistral"}


@both_ways
def test_once_holds_for_a_name_for_several_models(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("b", [pause(0.2), *answers("slow")])
    upstream.script("c", answers("not asked"))
    once: dict[str, Any] = {"fanout": {"once": True}}
    response = ask(named, "late", stream=stream, **once)
    assert (response.status, response.text) == (200, "slow")
    assert [call.body["model"] for call in upstream.calls] == ["b"]
    for name in ("fast", "every"):
        response = ask(named, name, stream=stream, **once)
        assert (response.status, response.error["param"]) == (400, "fanout.once")
    assert len(upstream.calls) == 1


@both_ways
def test_a_cascade_asks_the_models_of_a_name_one_after_the_other(
    named: RunningGateway, upstream: Upstream, *, stream: bool
) -> None:
    upstream.script("b", answers('{"n": 1}'), answers("no"))
    upstream.script("c", answers('{"n": 2}'))
    check = {"start": 1, "attempts": 1, "schema": {"type": "object", "required": ["n"]}}
    found = [ask(named, "every", stream=stream, fanout=check).text for _ in range(2)]
    assert found == ['{"n": 1}', '{"n": 2}']
    assert [call.body["model"] for call in upstream.calls] == ["b", "b", "c"]
