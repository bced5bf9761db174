"""LiteLLM's arguments of the functions: headers, prices, and the model for long prompts."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.errors import RequestError
from fanout.schema.litellm_arguments import REJECTED
from tests.library.ways import HI, Plain, Way, at, content
from tests.support.provider_steps import answers, refuse
from tests.support.scripted_provider import Upstream


def test_headers_organization_and_fields_are_sent(upstream: Upstream, call: Way) -> None:
    upstream.script("m", answers("fine"))
    found = call(
        "completion",
        model="openai/m",
        messages=HI,
        extra_headers={"X-Team": "search"},
        organization="org-1",
        extra_body={"min_p": 0.1},
        mock_response=None,
        caching=False,
        **at(upstream),
    )
    assert content(found) == "fine"
    (sent,) = upstream.calls_to("m")
    assert sent.headers["x-team"] == "search"
    assert sent.headers["openai-organization"] == "org-1"
    assert sent.body.keys() == {"model", "messages", "min_p"}


@pytest.mark.parametrize("name", ["mock_response", "custom_llm_provider", "headers", "caching"])
def test_an_argument_that_is_not_there_is_rejected_by_name(
    upstream: Upstream, call: Way, name: str
) -> None:
    with pytest.raises(RequestError, match=f"`{name}` has no effect here"):
        call("completion", model="openai/m", messages=HI, **{name: "x"}, **at(upstream))
    assert upstream.calls_to("m") == []


def test_certificates_are_not_checked_in_silence_although_the_call_says_otherwise(
    upstream: Upstream, call: Way
) -> None:
    upstream.script("m", answers("fine"))
    for value in (None, True):
        call("completion", model="openai/m", messages=HI, ssl_verify=value, **at(upstream))
    with pytest.raises(RequestError, match=r"`ssl_verify` has no effect here \(give an `http_cl"):
        call("completion", model="openai/m", messages=HI, ssl_verify=False, **at(upstream))
    assert all("ssl_verify" not in one.body for one in upstream.calls_to("m"))


def test_a_prompt_that_is_too_long_goes_to_the_model_for_it(upstream: Upstream, call: Way) -> None:
    upstream.script("m", [refuse(400, "too long", code="context_length_exceeded")])
    upstream.script("long", answers("fits"))
    found = call(
        "completion",
        model="openai/m",
        messages=HI,
        context_window_fallback_dict={"openai/m": "openai/long"},
        **at(upstream),
    )
    assert (content(found), found.model) == ("fits", "openai/long")


def test_prices_of_the_call_are_those_of_its_report(upstream: Upstream, call: Way) -> None:
    upstream.script("a", answers("A"))
    found = call(
        "batch_completion_models",
        models=["openai/a"],
        messages=HI,
        input_cost_per_token=1.0,
        output_cost_per_token=2.0,
        **at(upstream),
    )
    used = found.usage
    assert used is not None
    cost = found.fanout.attempts[0].cost_usd
    assert cost == used.prompt_tokens + 2 * used.completion_tokens


@pytest.mark.parametrize("wrong", ["m", {"openai/m": ["x"]}])
def test_a_wrong_dict_of_longer_models_is_rejected(
    upstream: Upstream, call: Way, wrong: object
) -> None:
    with pytest.raises(RequestError, match="`context_window_fallback_dict` must be a dict"):
        call(
            "completion",
            model="openai/m",
            messages=HI,
            context_window_fallback_dict=wrong,
            **at(upstream),
        )


OURS: dict[str, object] = {
    "timeout": 5,
    "request_timeout": 5,
    "num_retries": 0,
    "fallbacks": ["openai/m"],
    "context_window_fallback_dict": {"openai/m": "openai/m"},
    "input_cost_per_token": 0.1,
    "output_cost_per_token": 0.1,
    "drop_params": True,
    "extra_headers": {"x-team": "search"},
    "organization": "org-1",
    "api_version": "2024-10-21",
    "region": "eu-west-1",
    "aws_region_name": "eu-west-1",
    "vertex_project": "p",
    "vertex_location": "eu",
    "vertex_credentials": "{}",
}
"""Arguments that Fanout reads itself, each with a value."""

ONE_WAY = Plain()
"""The table is long, and both ways share its code."""


@pytest.mark.parametrize("name", OURS)
def test_an_argument_of_fanouts_own_is_not_in_the_body(upstream: Upstream, name: str) -> None:
    upstream.script("m", answers("fine"))
    options = {name: OURS[name], **at(upstream)}
    assert content(ONE_WAY("completion", model="openai/m", messages=HI, **options)) == "fine"
    (sent,) = upstream.calls_to("m")
    assert sent.body.keys() == {"model", "messages"}


def test_no_argument_of_litellms_that_asks_for_nothing_is_in_the_body(upstream: Upstream) -> None:
    upstream.script("m", answers("fine"))
    names = sorted(REJECTED.keys() - {"model_list", "ssl_verify"})
    empty: tuple[object, ...] = (None, False, "", [], {})
    for value in empty:
        for start in range(0, len(names), 100):  # a request has at most 200 fields
            options = dict.fromkeys(names[start : start + 100], value) | at(upstream)
            ONE_WAY("completion", model="openai/m", messages=HI, **options)
    assert {frozenset(call.body) for call in upstream.calls_to("m")} == {
        frozenset({"model", "messages"})
    }


FUNCTIONS: dict[str, dict[str, Any]] = {
    "completion": {"model": "openai/m", "messages": HI},
    "batch_completion": {"model": "openai/m", "messages": [HI]},
    "batch_completion_models": {"models": ["openai/m"], "messages": HI},
    "batch_completion_models_all_responses": {"models": ["openai/m"], "messages": HI},
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_sends_an_argument_that_is_not_there(upstream: Upstream, function: str) -> None:
    for name in REJECTED.keys() - {"model_list"}:
        with pytest.raises(RequestError) as raised:
            ONE_WAY(function, **FUNCTIONS[function], **at(upstream), **{name: "x"})
        assert (raised.value.param, f"`{name}`" in str(raised.value)) == (name, True)
    assert upstream.calls_to("m") == []
