"""LiteLLM's arguments of the functions: headers, prices, and the model for long prompts."""

from __future__ import annotations

import pytest

from fanout.errors import RequestError
from tests.library.ways import HI, Way, at, content
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
