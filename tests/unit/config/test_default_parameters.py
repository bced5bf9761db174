"""Parameters in a deployment's `litellm_params`: what is sent for requests that set them or not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.cli.config_notes import notes
from fanout.cli.config_summary import summarize
from fanout.errors import Unsupported
from fanout.schema.validation import parse_chat, with_defaults
from fanout.transport.request_encoding import encode_request
from tests.unit.config.sections import catalog, deployment, entry, refusal

MODELS = [
    "anthropic/claude-sonnet-4-5", "azure/o3-mini", "bedrock/us.anthropic.claude-sonnet-4-5",
    "cohere/command-a-reasoning-08-2025", "deepseek/deepseek-chat", "gemini/gemini-2.5-flash",
    "groq/openai/gpt-oss-20b", "hosted_vllm/x", "mistral/magistral-medium", "openai/gpt-5",
    "together_ai/x", "vertex_ai/claude-sonnet-4-5", "xai/grok-3-mini",
]  # fmt: skip
"""One of each API, and of each vendor's name of a limit, that may reason."""

ENV = {"VERTEXAI_PROJECT": "p", "VERTEXAI_LOCATION": "us-east5", "AWS_REGION": "us-east-1"}
MORE = {"azure/": {"api_base": "https://r.test"}, "hosted_vllm/": {"api_base": "https://v.test"}}
THINKING = {"type": "enabled", "budget_tokens": 2000}


def sent(model: str, params: dict[str, Any], **request: Any) -> Any:
    """The body for a request to a deployment with these parameters."""
    more = next((found for start, found in MORE.items() if model.startswith(start)), {})
    found = deployment(model, ENV, drop_params=True, **more, **params)
    chat = parse_chat({"messages": [{"role": "user", "content": "Hi"}], **request})
    wire = found.provider.chat.encode(with_defaults(chat, found.defaults), found.target, False)
    return {**found.additions.defaults, **json.loads(wire.body)}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("configured", "asked"),
    [
        ({"max_tokens": 10}, {"max_completion_tokens": 5000}),
        ({"max_completion_tokens": 10}, {"max_tokens": 5000}),
        ({"max_tokens": 10}, {"max_tokens": 5000}),
        ({"thinking": THINKING}, {"reasoning_effort": "high"}),
        ({"reasoning_effort": "high"}, {"thinking": THINKING}),
        ({"thinking": {"type": "disabled"}}, {"thinking": THINKING}),
    ],
    ids=str,
)
def test_a_requests_parameter_replaces_the_configs_whatever_their_names_are(
    model: str, configured: dict[str, Any], asked: dict[str, Any]
) -> None:
    assert sent(model, configured, **asked) == sent(model, {}, **asked)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "params",
    [
        {"max_tokens": 5000},
        {"max_completion_tokens": 5000},
        {"thinking": THINKING, "max_tokens": 5000},
        {"thinking": {"type": "disabled"}},
        {"reasoning_effort": "low"},
        {"cache_control": {"type": "ephemeral"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("null", [False, True], ids=["not set", "null"])
def test_a_configs_parameter_is_sent_as_the_same_one_of_a_request(
    model: str, params: dict[str, Any], *, null: bool
) -> None:
    unset = dict.fromkeys(params) if null else {}
    assert sent(model, params, **unset) == sent(model, {}, **params)


def test_thinking_that_is_no_object_is_a_problem_of_the_config() -> None:
    listed = [{"model_name": "m", "litellm_params": {"model": "openai/gpt-5", "thinking": "low"}}]
    assert "litellm_params: `thinking` must be an object" in refusal(model_list=listed)


CLAUDE = "anthropic/claude-sonnet-4-5"
AT_ODDS = [
    (CLAUDE, {"temperature": 0.5}, {"top_p": 0.9}),
    (CLAUDE, {"temperature": 0.5, "top_k": 7}, {"reasoning_effort": "low", "max_tokens": 9000}),
    (CLAUDE, {"top_k": 7}, {"reasoning_effort": "low", "max_tokens": 9000}),
    ("openai/gpt-5.2", {"temperature": 0.5}, {"reasoning_effort": "high"}),
    ("bedrock/us.anthropic.claude-sonnet-4-5", {"top_p": 0.5}, {"temperature": 0.9}),
]


@pytest.mark.parametrize(("model", "configured", "asked"), AT_ODDS, ids=str)
@pytest.mark.parametrize("drop_params", [False, True])
def test_a_default_that_a_request_rules_out_is_left_out_and_noted(
    model: str, configured: dict[str, Any], asked: dict[str, Any], *, drop_params: bool
) -> None:
    found = deployment(model, ENV, drop_params=drop_params, **configured)
    alone = deployment(model, ENV, drop_params=drop_params)
    chat = parse_chat({"messages": [{"role": "user", "content": "Hi"}], **asked})
    wire = encode_request(found, with_defaults(chat, found.defaults), stream=False)
    assert wire.body == encode_request(alone, chat, stream=False).body
    assert set(configured) <= set(wire.dropped)


MORE_DEFAULTS = [
    (CLAUDE, {"temperature": 0.5, "top_k": 4}, {"max_tokens": 5000, "stop": ["Z"], "user": "u"}),
    ("openai/gpt-5.2", {"temperature": 0.5, "top_p": 0.9}, {"max_tokens": 100, "user": "u"}),
]


@pytest.mark.parametrize(("model", "unfit", "fit"), MORE_DEFAULTS, ids=str)
@pytest.mark.parametrize("drop_params", [False, True])
def test_only_the_defaults_in_the_way_are_left_out(
    model: str, unfit: dict[str, Any], fit: dict[str, Any], *, drop_params: bool
) -> None:
    found = deployment(model, drop_params=drop_params, **unfit, **fit)
    rest = deployment(model, drop_params=drop_params, **fit)
    chat = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "reasoning_effort": "low"})
    wire = encode_request(found, with_defaults(chat, found.defaults), stream=False)
    expected = encode_request(rest, with_defaults(chat, rest.defaults), stream=False)
    assert json.loads(wire.body) == json.loads(expected.body)
    assert set(wire.dropped) == {*expected.dropped, *unfit}


def test_an_error_is_about_what_the_client_sent_not_about_a_default() -> None:
    found = deployment(CLAUDE, temperature=0.5)
    asked = {"reasoning_effort": "low", "top_k": 3}
    chat = parse_chat({"messages": [{"role": "user", "content": "Hi"}], **asked})
    with pytest.raises(Unsupported) as rejected:
        encode_request(found, with_defaults(chat, found.defaults), stream=False)
    assert rejected.value.param == "top_k"


def test_a_default_that_a_model_never_takes_is_an_error_that_names_it() -> None:
    found = deployment(CLAUDE, temperature=0.5, frequency_penalty=1)
    chat = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
    with pytest.raises(Unsupported) as rejected:
        encode_request(found, with_defaults(chat, found.defaults), stream=False)
    assert rejected.value.param == "frequency_penalty"


def test_a_requests_own_parameters_at_odds_are_an_error_whatever_the_defaults_are() -> None:
    found = deployment(CLAUDE, max_tokens=50)
    asked = {"temperature": 0.5, "top_p": 0.9}
    chat = parse_chat({"messages": [{"role": "user", "content": "Hi"}], **asked})
    with pytest.raises(Unsupported) as rejected:
        encode_request(found, with_defaults(chat, found.defaults), stream=False)
    assert rejected.value.param == "top_p"


def test_litellms_word_for_no_reasoning_is_openais() -> None:
    asked = {"reasoning_effort": "none"}
    assert sent("gemini/gemini-2.5-flash", {"reasoning_effort": "disable"}) == sent(
        "gemini/gemini-2.5-flash", {}, **asked
    )


@pytest.mark.parametrize(
    ("model", "params", "named"),
    [
        (CLAUDE, {"frequency_penalty": 1}, "`frequency_penalty`"),
        ("openai/o3", {"temperature": 0.2}, "`temperature`"),
        ("openai/gpt-4o", {"additional_drop_params": ["messages"]}, "`additional_drop_params`"),
    ],
)
def test_check_notes_parameters_with_which_each_request_is_rejected(
    model: str, params: dict[str, Any], named: str
) -> None:
    listed = [entry(model, **params), entry(model, "n", drop_params=True, temperature=0.5)]
    (note,) = notes(catalog(ENV, model_list=listed))
    passes = ", but for those that pass through,"
    assert note.startswith(f"each request to `m`{passes} is rejected: ")
    assert named in note


def test_check_does_not_show_the_login_in_an_address() -> None:
    (row,) = summarize(
        catalog(model_list=[entry("openai/x", api_base="https://me:pass-5@h.test/v1")])
    )
    assert row.url == "https://***@h.test/v1/chat/completions"
    assert "pass-5" not in repr(row)
