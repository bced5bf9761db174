"""`additional_drop_params` and `allowed_openai_params`: of a call, a deployment, a body."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from fanout.errors import ProviderError, RequestError, Unsupported
from tests.library.ways import HI, Way, at, content
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import answers
from tests.support.scripted_provider import Upstream

SCHEMA = {"type": "object", "properties": {}}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "f", "strict": True, "parameters": SCHEMA},
}

DROPPED: list[tuple[dict[str, Any], list[str], dict[str, Any]]] = [
    ({"temperature": 0.5, "seed": 1}, ["temperature"], {"seed": 1}),
    ({"temperature": 0.5, "seed": 1}, ["temperature", "seed", "top_p"], {}),
    ({"logit_bias": {"5": 1, "6": 1}}, ["logit_bias.5"], {"logit_bias": {"6": 1}}),
    ({"vendors_own": {"a": [{"b": 1, "c": 2}]}}, ["vendors_own.a[*].b"],
     {"vendors_own": {"a": [{"c": 2}]}}),
    ({"stop": ["a", "b"]}, ["stop[0]"], {"stop": ["b"]}),
    ({"tools": [TOOL]}, ["tools[*].function.strict"],
     {"tools": [{**TOOL, "function": {"name": "f", "parameters": SCHEMA}}]}),
]  # fmt: skip


@pytest.mark.parametrize(("options", "names", "sent"), DROPPED)
def test_what_a_call_names_is_not_sent(
    upstream: Upstream, call: Way, options: dict[str, Any], names: list[str], sent: dict[str, Any]
) -> None:
    upstream.script("m", answers("fine"))
    given = {**options, **at(upstream)}
    assert content(call("completion", "openai/m", HI, additional_drop_params=names, **given))
    body = upstream.calls_to("m")[-1].body
    assert {k: v for k, v in body.items() if k not in {"model", "messages"}} == sent


@pytest.mark.parametrize("names", [["messages"], [""], ["a[b"], ["[]"]])
def test_a_name_that_cannot_be_dropped_is_rejected(
    upstream: Upstream, call: Way, names: list[str]
) -> None:
    with pytest.raises(RequestError, match="`additional_drop_params` has names of parameters"):
        call("completion", "openai/m", HI, additional_drop_params=names, **at(upstream))


ALLOWED: list[tuple[str, dict[str, Any]]] = [
    ("groq/m", {"logit_bias": {"5": 1}}),
    ("perplexity/m", {"tools": [TOOL]}),
    ("anthropic/claude-3-haiku", {"seed": 5}),
    ("anthropic/claude-3-haiku", {"user": "jane@example.com"}),
    ("gemini/gemini-2.5-pro", {"logit_bias": {"5": 1}}),
    ("cohere/m", {"verbosity": "low"}),
]


@pytest.mark.parametrize(("model", "options"), ALLOWED)
def test_what_a_call_allows_is_sent_as_it_is_if_the_codec_leaves_it_out(
    upstream: Upstream, call: Way, model: str, options: dict[str, Any]
) -> None:
    (name,) = options
    upstream.script(model.partition("/")[2], answers("fine"))
    base = {"api_base": upstream.url, "api_key": "k"}
    if name != "user":
        with pytest.raises(Unsupported, match=f"`{name}`"):
            call("completion", model, HI, **options, **base)
    with suppress(ProviderError):  # the scripted provider does not speak every format
        call("completion", model, HI, allowed_openai_params=[name, "n"], **options, **base)
    body = upstream.calls[-1].body
    if name != "user":  # which Anthropic has under another name
        assert body[name] == options[name]
    assert "allowed_openai_params" not in body


def test_what_is_allowed_and_known_is_translated_as_always(upstream: Upstream, call: Way) -> None:
    upstream.script("claude-3-haiku", answers("fine"))
    options = {"stop": ["a"], "max_completion_tokens": 9, "temperature": 0.5}
    base = {"api_base": upstream.url, "api_key": "k"}
    allowed = {"allowed_openai_params": [*options]}
    for more in ({}, allowed):
        call("completion", "anthropic/claude-3-haiku", HI, **options, **more, **base)
    first, second = upstream.calls_to("claude-3-haiku")
    assert first.body == second.body


@pytest.fixture
def gateway(upstream: Upstream) -> Iterator[RunningGateway]:
    drops: dict[str, Any] = {
        "temperature": 0.1,
        "num_ctx": 5,
        "additional_drop_params": ["temperature", "num_ctx"],
    }
    models = [entry(upstream, "a", **drops), entry(upstream, "b")]
    with serve({"model_list": models}) as running:
        yield running


def test_a_deployment_and_a_body_may_have_them(upstream: Upstream, gateway: RunningGateway) -> None:
    for name in "ab":
        upstream.script(name, answers("fine"))
    body = {"messages": HI, "temperature": 0.5, "seed": 1}
    for stream in (False, True):
        gateway.chat({**body, "model": "a", "stream": stream})
        gateway.chat({**body, "model": "b", "stream": stream, "additional_drop_params": ["seed"]})
        (a, b) = upstream.calls_to("a")[-1].body, upstream.calls_to("b")[-1].body
        assert ("temperature" in a, "num_ctx" in a, a["seed"]) == (False, False, 1)
        assert ("seed" in b, b["temperature"]) == (False, 0.5)
        assert not {"additional_drop_params"} & {*a, *b}
