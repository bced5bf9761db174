"""The parameters that a family of models rejects: a 400 by name, or left out with `drop_params`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

HI = {"model": "our-name", "messages": [{"role": "user", "content": "Hi."}]}
VALUES: dict[str, Any] = {
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "presence_penalty": 0.5,
    "stop": ["END"],
    "temperature": 0.2,
    "top_logprobs": 2,
    "top_p": 0.9,
}
NEUTRAL: dict[str, Any] = {
    "frequency_penalty": 0,
    "logit_bias": {},
    "logprobs": False,
    "presence_penalty": 0,
    "stop": [],
    "temperature": 1,
    "top_logprobs": 0,
    "top_p": 1.0,
}
SAMPLING = {"logprobs", "temperature", "top_logprobs", "top_p"}
PENALTIES = {"frequency_penalty", "presence_penalty"}
FIXED = SAMPLING | PENALTIES | {"logit_bias"}

# (provider, model, options of the deployment, the fields that its reference rejects)
MODELS: list[tuple[str, str, dict[str, str], set[str]]] = [
    ("openai", "gpt-4o", {}, set()),
    ("openai", "gpt-4.1-mini", {}, set()),
    ("openai", "gpt-5-chat-latest", {}, set()),
    ("openai", "gpt-5", {}, FIXED | {"stop"}),
    ("openai", "gpt-5-mini-2025-08-07", {}, FIXED | {"stop"}),
    ("openai", "gpt-5-nano", {}, FIXED | {"stop"}),
    ("openai", "gpt-5.1", {}, set()),
    ("openai", "gpt-5.2-pro", {}, FIXED),
    ("openai", "gpt-5.3-codex", {}, FIXED),
    ("openai", "o1", {}, FIXED),
    ("openai", "o3-mini", {}, FIXED),
    ("openai", "o3", {}, FIXED | {"stop"}),
    ("openai", "o3-pro", {}, FIXED | {"stop"}),
    ("openai", "o4-mini", {}, FIXED | {"stop"}),
    ("openai", "ft:o4-mini-2025-04-16:acme", {}, FIXED | {"stop"}),
    ("openai", "my-name", {"base_model": "o3-mini"}, FIXED),
    ("azure", "gpt-5-mini", {}, FIXED | {"stop"}),
    ("azure", "prod", {"base_model": "azure/o3-mini"}, FIXED),
    ("azure", "prod", {"base_model": "gpt-4o"}, set()),
    ("azure", "o_series/prod", {}, FIXED),
    ("azure", "gpt5_series/prod", {}, FIXED | {"stop"}),
    (
        "xai",
        "grok-4",
        {},
        {"frequency_penalty", "logit_bias", "presence_penalty", "stop"},
    ),
    ("xai", "grok-4-fast-non-reasoning", {}, PENALTIES | {"logit_bias"}),
    ("xai", "grok-4.5", {}, PENALTIES | {"logit_bias", "stop"}),
    ("xai", "grok-3", {}, {"logit_bias"}),
    ("xai", "grok-2", {}, {"logit_bias"}),
    ("deepseek", "deepseek-reasoner", {}, {"logit_bias", "logprobs", "top_logprobs"}),
    ("deepseek", "deepseek-chat", {}, {"logit_bias"}),
]
CASES = [
    pytest.param(*model, name, id=f"{model[0]}/{model[1]}-{name}")
    for model in MODELS
    for name in VALUES
]


def encode(
    provider: str, model: str, options: dict[str, str], *, drop_params: bool = False, **more: Any
) -> WireRequest:
    target = Target("our-name", model, drop_params, options)
    return registry.find(provider).chat.encode(parse_chat(HI | more), target, False)


@pytest.mark.parametrize(("provider", "model", "options", "fixed", "name"), CASES)
def test_a_fixed_parameter_is_a_400_that_names_it_and_drop_params(
    provider: str, model: str, options: dict[str, str], fixed: set[str], name: str
) -> None:
    asked = {name: VALUES[name]}
    if name not in fixed:
        assert json.loads(encode(provider, model, options, **asked).body)[name] == VALUES[name]
        return
    with pytest.raises(Unsupported, match="drop_params") as rejected:
        encode(provider, model, options, **asked)
    assert rejected.value.param == name
    assert f"`{name}`" in str(rejected.value)


@pytest.mark.parametrize(("provider", "model", "options", "fixed", "name"), CASES)
def test_with_drop_params_a_fixed_parameter_is_left_out_and_noted(
    provider: str, model: str, options: dict[str, str], fixed: set[str], name: str
) -> None:
    wire = encode(provider, model, options, drop_params=True, **{name: VALUES[name]})
    assert (name not in json.loads(wire.body)) == (name in fixed)
    assert wire.dropped == ((name,) if name in fixed else ())


@pytest.mark.parametrize(("provider", "model", "options", "fixed", "name"), CASES)
def test_a_fixed_parameter_with_its_default_asks_for_nothing(
    provider: str, model: str, options: dict[str, str], fixed: set[str], name: str
) -> None:
    wire = encode(provider, model, options, **{name: NEUTRAL[name]})
    assert wire.dropped == ()
    assert (name in json.loads(wire.body)) == (name not in fixed)


@pytest.mark.parametrize("name", sorted(SAMPLING))
@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh"])
def test_newer_models_take_sampling_only_while_they_do_not_reason(effort: str, name: str) -> None:
    asked = {name: VALUES[name]}
    with pytest.raises(Unsupported):
        encode("openai", "gpt-5.2", {}, reasoning_effort=effort, **asked)
    body = json.loads(encode("openai", "gpt-5.2", {}, reasoning_effort="none", **asked).body)
    assert body[name] == VALUES[name]


F = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize("provider", ["openai", "azure"])
@pytest.mark.parametrize(
    ("model", "sent"),
    [("gpt-5.4", None), ("gpt-5.4-mini", None), ("gpt-5.5", None), ("gpt-5.6", "none"),
     ("gpt-5.6-sol", "none")],
)  # fmt: skip
def test_a_model_that_does_not_reason_with_tools_is_named(
    provider: str, model: str, sent: str | None
) -> None:
    """GPT-5.6 reasons by default, so a request with tools must say that it does not."""
    wire = encode(provider, model, {}, tools=[F])
    assert json.loads(wire.body).get("reasoning_effort") == sent
    assert wire.dropped == (("reasoning_effort",) if sent else ())
    for effort in ("low", "medium", "high", "xhigh"):
        with pytest.raises(Unsupported, match="only `none`") as rejected:
            encode(provider, model, {}, tools=[F], reasoning_effort=effort)
        assert rejected.value.param == "reasoning_effort"
        wire = encode(provider, model, {}, drop_params=True, tools=[F], reasoning_effort=effort)
        assert json.loads(wire.body).get("reasoning_effort") == sent
        assert set(wire.dropped) == {"reasoning_effort"}
    none = encode(provider, model, {}, tools=[F], reasoning_effort="none", temperature=0.2)
    assert json.loads(none.body)["reasoning_effort"] == "none"
    low = encode(provider, model, {}, reasoning_effort="low")
    assert json.loads(low.body)["reasoning_effort"] == "low"


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5", "gpt-5.1", "gpt-5.2", "gpt-5.4-chat-latest"])
def test_other_models_reason_with_tools(model: str) -> None:
    wire = encode("openai", model, {}, tools=[F], reasoning_effort="low")
    assert json.loads(wire.body)["reasoning_effort"] == "low"
    assert encode("openai", model, {}, tools=[F]).dropped == ()


def test_a_model_that_reasons_by_default_takes_sampling_only_if_it_does_not() -> None:
    for name in sorted(SAMPLING | {"presence_penalty"}):
        with pytest.raises(Unsupported):
            encode("openai", "gpt-5.6", {}, **{name: VALUES[name]})
        body = encode("openai", "gpt-5.6", {}, reasoning_effort="none", **{name: VALUES[name]}).body
        assert json.loads(body)[name] == VALUES[name]
        body = encode("openai", "gpt-5.6", {}, tools=[F], **{name: VALUES[name]}).body
        assert json.loads(body)[name] == VALUES[name]


def test_a_series_that_makes_one_call_at_a_time_is_not_asked_for_that() -> None:
    wire = encode("openai", "o3-mini", {}, parallel_tool_calls=False)
    assert "parallel_tool_calls" not in json.loads(wire.body)
    assert wire.one_call
    assert wire.dropped == ()


def test_a_claude_drops_only_the_blank_ones_of_its_stop_sequences() -> None:
    for provider, model in [
        ("anthropic", "claude-sonnet-4-5"),
        ("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    ]:
        with pytest.raises(Unsupported, match="white space") as rejected:
            encode(provider, model, {}, stop=["\n", "END"])
        assert rejected.value.param == "stop"
        wire = encode(provider, model, {}, drop_params=True, stop=["\n", "END"])
        assert wire.dropped == ("stop",)
        assert b'["END"]' in wire.body
