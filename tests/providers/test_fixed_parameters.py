"""The parameters that a family of models rejects: a 400 by name, or left out with `drop_params`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.rows import ROWS
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

HI = {"model": "our-name", "messages": [{"role": "user", "content": "Hi."}]}
VALUES: dict[str, Any] = {
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "min_p": 0.1,
    "n": 2,
    "presence_penalty": 0.5,
    "reasoning_effort": "low",
    "repetition_penalty": 1.1,
    "seed": 1,
    "stop": ["END"],
    "temperature": 0.2,
    "top_k": 5,
    "top_logprobs": 2,
    "top_p": 0.9,
    "verbosity": "low",
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
    "n": 1,
    "verbosity": "medium",
}
SAMPLING = {"logprobs", "temperature", "top_logprobs", "top_p"}
KEPT = {"n"}  # without these, it is another response
EFFORT = {"reasoning_effort"}
NEW = {"reasoning_effort", "verbosity"}
NOT_OPENAI = {"min_p", "repetition_penalty", "top_k"}
XAI = {"logit_bias", "top_k", "verbosity"}
DEEPSEEK = {"logit_bias", "n", "seed", "top_k", "verbosity"}
PENALTIES = {"frequency_penalty", "presence_penalty"}
FIXED = SAMPLING | PENALTIES | {"logit_bias"}

# (provider, model, options of the deployment, the fields that its reference rejects)
# What OpenAI's Responses API does not have.
NOT_RESPONSES = {"n", "seed"}
MODELS: list[tuple[str, str, dict[str, str], set[str]]] = [
    ("openai", "gpt-4o", {}, NEW | NOT_OPENAI),
    ("openai", "gpt-4.1-mini", {}, NEW | NOT_OPENAI),
    ("openai", "gpt-5-chat-latest", {}, NEW | NOT_OPENAI),
    ("openai", "gpt-3.5-turbo", {}, NEW | NOT_OPENAI),
    ("openai", "chatgpt-4o-latest", {}, NEW | NOT_OPENAI),
    ("openai", "gpt-4o-search-preview", {}, FIXED | NEW | NOT_OPENAI | {"n", "seed"}),
    (
        "openai",
        "gpt-4o-mini-search-preview-2025-03-11",
        {},
        FIXED | NEW | NOT_OPENAI | {"n", "seed"},
    ),
    ("openai", "o1-mini", {}, FIXED | NEW | NOT_OPENAI),
    ("openai", "gpt-4o", {"api_base": "http://127.0.0.1:1/v1"}, NEW | NOT_OPENAI),
    ("openai", "gpt-oss-120b", {"api_base": "http://127.0.0.1:1/v1"}, set()),
    ("openai", "gpt-5-pro", {}, FIXED | NOT_OPENAI | EFFORT | {"stop"} | NOT_RESPONSES),
    ("openai", "gpt-5", {}, FIXED | {"stop"} | NOT_OPENAI),
    ("openai", "gpt-5-mini-2025-08-07", {}, FIXED | {"stop"} | NOT_OPENAI),
    ("openai", "gpt-5-nano", {}, FIXED | {"stop"} | NOT_OPENAI),
    ("openai", "gpt-5.1", {}, NOT_OPENAI | {"stop"}),
    ("openai", "gpt-5.2-pro", {}, FIXED | NOT_OPENAI | {"stop"} | NOT_RESPONSES),
    ("openai", "gpt-5.3-codex", {}, FIXED | NOT_OPENAI | {"stop"} | NOT_RESPONSES),
    ("openai", "o1", {}, FIXED | {"verbosity"} | NOT_OPENAI),
    ("openai", "o3-mini", {}, FIXED | {"verbosity"} | NOT_OPENAI),
    ("openai", "o3", {}, FIXED | {"stop"} | {"verbosity"} | NOT_OPENAI),
    ("openai", "o3-pro", {}, FIXED | {"stop"} | {"verbosity"} | NOT_OPENAI | NOT_RESPONSES),
    ("openai", "o4-mini", {}, FIXED | {"stop"} | {"verbosity"} | NOT_OPENAI),
    ("openai", "ft:o4-mini-2025-04-16:acme", {}, FIXED | {"stop"} | {"verbosity"} | NOT_OPENAI),
    ("openai", "my-name", {"base_model": "o3-mini"}, FIXED | {"verbosity"} | NOT_OPENAI),
    ("azure", "gpt-5-mini", {}, FIXED | {"stop"} | NOT_OPENAI),
    ("azure", "prod", {"base_model": "azure/o3-mini"}, FIXED | {"verbosity"} | NOT_OPENAI),
    ("azure", "prod", {"base_model": "gpt-4o"}, NEW | NOT_OPENAI),
    ("azure", "o_series/prod", {}, FIXED | {"verbosity"} | NOT_OPENAI),
    ("azure", "gpt5_series/prod", {}, FIXED | {"stop"} | NOT_OPENAI),
    (
        "xai",
        "grok-4",
        {},
        PENALTIES | EFFORT | {"logit_bias", "stop", "top_k", "verbosity"},
    ),
    (
        "xai",
        "grok-4-fast-non-reasoning",
        {},
        PENALTIES | EFFORT | XAI,
    ),
    ("xai", "grok-4.5", {}, PENALTIES | {"logit_bias", "stop", "top_k", "verbosity"}),
    ("xai", "grok-3", {}, EFFORT | XAI),
    ("xai", "grok-2", {}, EFFORT | XAI),
    ("deepseek", "deepseek-reasoner", {}, DEEPSEEK | {"logprobs", "top_logprobs"}),
    ("deepseek", "deepseek-chat", {}, DEEPSEEK),
]
CASES = [
    pytest.param(*model, name, id=f"{model[0]}/{model[1]}-{name}")
    for model in MODELS
    for name in VALUES
]


def sent(wire: WireRequest) -> dict[str, Any]:
    """The body, with a chat completion's names of what OpenAI's Responses API nests."""
    body: dict[str, Any] = json.loads(wire.body)
    nested = {
        "reasoning_effort": body.get("reasoning", {}).get("effort"),
        "verbosity": body.get("text", {}).get("verbosity"),
    }
    return body | {name: value for name, value in nested.items() if value is not None}


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
        assert sent(encode(provider, model, options, **asked))[name] == VALUES[name]
        return
    with pytest.raises(Unsupported, match="drop_params") as rejected:
        encode(provider, model, options, **asked)
    assert rejected.value.param == name
    assert f"`{name}`" in str(rejected.value)


@pytest.mark.parametrize(("provider", "model", "options", "fixed", "name"), CASES)
def test_with_drop_params_a_fixed_parameter_is_left_out_and_noted(
    provider: str, model: str, options: dict[str, str], fixed: set[str], name: str
) -> None:
    if name in fixed & KEPT:
        with pytest.raises(Unsupported, match="does not drop it"):
            encode(provider, model, options, drop_params=True, **{name: VALUES[name]})
        return
    wire = encode(provider, model, options, drop_params=True, **{name: VALUES[name]})
    assert (name not in sent(wire)) == (name in fixed)
    assert wire.dropped == ((name,) if name in fixed else ())


@pytest.mark.parametrize(("provider", "model", "options", "fixed", "name"), CASES)
def test_a_fixed_parameter_with_its_default_asks_for_nothing(
    provider: str, model: str, options: dict[str, str], fixed: set[str], name: str
) -> None:
    if name not in NEUTRAL:
        return
    wire = encode(provider, model, options, **{name: NEUTRAL[name]})
    assert wire.dropped == ()
    is_empty = NEUTRAL[name] in ([], {})  # such a field is never sent
    assert (name in sent(wire)) == (name not in fixed and not is_empty)


@pytest.mark.parametrize("name", sorted(SAMPLING))
@pytest.mark.parametrize("effort", ["low", "medium", "high", "xhigh"])
def test_newer_models_take_sampling_only_while_they_do_not_reason(effort: str, name: str) -> None:
    asked = {name: VALUES[name]}
    with pytest.raises(Unsupported):
        encode("openai", "gpt-5.2", {}, reasoning_effort=effort, **asked)
    body = json.loads(encode("openai", "gpt-5.2", {}, reasoning_effort="none", **asked).body)
    assert body[name] == VALUES[name]


# (provider, model, levels of effort that it takes, levels that it rejects)
EFFORTS: list[tuple[str, str, str, str]] = [
    ("groq", "llama-3.3-70b-versatile", "", "none low high"),
    ("groq", "meta-llama/llama-4-scout-17b-16e-instruct", "", "none low high"),
    ("groq", "openai/gpt-oss-120b", "low medium high", ""),
    ("cerebras", "llama3.1-8b", "", "none low"),
    ("cerebras", "qwen-3-235b-a22b-instruct-2507", "", "none low"),
    ("cerebras", "gpt-oss-120b", "low medium high", ""),
    ("mistral", "mistral-large-latest", "", "none high"),
    ("mistral", "codestral-latest", "", "high"),
    ("mistral", "mistral-small-latest", "none high", "low medium"),
    ("mistral", "magistral-medium-latest", "none high", "low medium"),
    ("xai", "grok-4-0709", "", "low high"),
    ("xai", "grok-4-fast", "", "low high"),
    ("xai", "grok-code-fast-1", "", "low"),
    ("xai", "grok-3", "", "low"),
    ("xai", "grok-3-mini", "low high", ""),
    ("xai", "grok-4.3", "low medium high", ""),
    ("openai", "gpt-4.1", "", "none low"),
    ("openai", "o3", "low medium high", "none minimal xhigh max"),
    ("openai", "o3-mini", "low medium high", "none minimal xhigh max"),
    ("azure", "o4-mini", "low medium high", "none minimal xhigh max"),
    ("openai", "gpt-5", "minimal low medium high", "none xhigh max"),
    ("openai", "gpt-5-pro", "high", "none low medium"),
    ("openai", "gpt-5.1", "none low medium high", "minimal xhigh max"),
    ("openai", "gpt-5.1-codex-max", "low medium high xhigh", ""),
    ("openai", "gpt-5.2", "none low medium high xhigh", "minimal"),
]


@pytest.mark.parametrize(("provider", "model", "taken", "rejected"), EFFORTS)
def test_only_the_levels_of_effort_that_a_model_takes_are_sent(
    provider: str, model: str, taken: str, rejected: str
) -> None:
    for level in taken.split():
        wire = encode(provider, model, {}, reasoning_effort=level)
        assert sent(wire)["reasoning_effort"] == level
    for level in rejected.split():
        with pytest.raises(Unsupported) as raised:
            encode(provider, model, {}, reasoning_effort=level)
        assert raised.value.param == "reasoning_effort"
        wire = encode(provider, model, {}, drop_params=True, reasoning_effort=level)
        assert b"effort" not in wire.body
        assert wire.dropped == ("reasoning_effort",)


@pytest.mark.parametrize("name", sorted(PENALTIES | {"logprobs"}))
@pytest.mark.parametrize(
    ("provider", "model", "takes"),
    [("gemini", "gemini-2.5-flash", False), ("gemini", "gemini-3-pro-preview", False),
     ("gemini", "gemini-2.0-flash", True), ("vertex_ai", "gemini-2.5-flash", True)],
)  # fmt: skip
def test_gemini_takes_penalties_and_logprobs_only_before_2_5_or_on_vertex_ai(
    provider: str, model: str, name: str, *, takes: bool
) -> None:
    sent = b"esponseLogprobs" if name == "logprobs" else b"enalty"
    if takes:
        assert sent in encode(provider, model, {}, **{name: VALUES[name]}).body
        return
    with pytest.raises(Unsupported, match="drop_params: true") as rejected:
        encode(provider, model, {}, **{name: VALUES[name]})
    assert rejected.value.param == name
    wire = encode(provider, model, {}, drop_params=True, **{name: VALUES[name]})
    assert sent not in wire.body
    assert wire.dropped == (name,)


@pytest.mark.parametrize("hint", [
    {"metadata": {"a": "b"}}, {"store": True}, {"prompt_cache_retention": "24h"},
    {"prompt_cache_key": "k"}, {"safety_identifier": "s"}, {"user": "u"},
])  # fmt: skip
def test_what_changes_no_response_is_never_rejected(hint: dict[str, Any]) -> None:
    for provider in [*registry.FOLDERS, *(row.name for row in ROWS.values())]:
        model = {"bedrock": "anthropic.claude-3", "vertex_ai": "gemini-2.5-pro"}.get(provider, "m")
        encode(provider, model, {"api_version": "2025-01-01", "vertex_project": "p"}, **hint)


def test_ollama_is_offered_no_tools_that_must_not_be_called() -> None:
    wire = encode("ollama", "m", {}, tools=[F], tool_choice="none")
    assert not {"tools", "tool_choice"} & json.loads(wire.body).keys()
    assert wire.dropped == ("tools",)


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


@pytest.mark.parametrize("model", ["gpt-5", "gpt-5.1", "gpt-5.2", "gpt-5.4-chat-latest"])
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
