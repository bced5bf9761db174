"""Values that vendors with OpenAI's API take: forced calls, closed lists, bounds, samplers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.result_media import IN_NEXT
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireRequest

U = {"role": "user", "content": "Hello."}
F = {"type": "function", "function": {"name": "f"}}
FORCED: list[Any] = [
    "required",
    {"type": "function", "function": {"name": "f"}},
    {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [F]}},
]
OFF = {"thinking": {"type": "disabled"}}
ON = {"thinking": {"type": "enabled", "budget_tokens": 2000}}


def encode(
    provider: str, model: str, *messages: Any, stream: bool = False, **more: Any
) -> WireRequest:
    drop_params = more.pop("drop_params", False)
    request = parse_chat({"model": "our-name", "messages": [*(messages or [U])], **more})
    target = Target("our-name", model, drop_params)
    return registry.find(provider).chat.encode(request, target, stream)


def body_of(provider: str, model: str, *messages: Any, **more: Any) -> Any:
    return json.loads(encode(provider, model, *messages, **more).body)


# ---- required calls of models that think ----

THINKERS = [
    ("deepseek", "deepseek-v4-pro", OFF),
    ("deepseek", "deepseek-v4-flash", OFF),
    ("moonshot", "kimi-k2.5", OFF),
    ("moonshot", "kimi-k2.6", OFF),
    ("dashscope", "qwen3.6-plus", {"enable_thinking": False}),
    ("dashscope", "qwen3-32b", {"enable_thinking": False}),
]


@pytest.mark.parametrize("choice", FORCED)
@pytest.mark.parametrize(("provider", "model", "off"), THINKERS)
def test_a_model_does_not_think_in_a_request_that_requires_a_call(
    provider: str, model: str, off: dict[str, Any], choice: Any
) -> None:
    wire = encode(provider, model, stream=True, tools=[F], tool_choice=choice)
    body = json.loads(wire.body)
    assert body["tool_choice"] in (choice, "required")
    assert {name: body[name] for name in off} == off
    assert set(off) <= {*wire.dropped}
    given = encode(provider, model, stream=True, tools=[F], tool_choice=choice, **off)
    assert given.body == wire.body or json.loads(given.body) == body
    assert not set(off) & {*given.dropped}


@pytest.mark.parametrize(("provider", "model", "off"), THINKERS)
def test_thinking_and_a_required_call_are_a_400_by_name(
    provider: str, model: str, off: dict[str, Any]
) -> None:
    fields: list[dict[str, Any]] = [{"reasoning_effort": "high"}, ON, {next(iter(off)): True}]
    for asked in fields if provider != "dashscope" else fields[::2]:
        if asked == {"thinking": True}:
            continue
        more = {"tools": [F], "tool_choice": "required", "stream": True, **asked}
        with pytest.raises(Unsupported, match="while the model thinks") as rejected:
            encode(provider, model, **more)
        assert rejected.value.param in asked
        body = body_of(provider, model, drop_params=True, **more)
        assert {name: body[name] for name in off} == off
        assert "reasoning_effort" not in body


@pytest.mark.parametrize(("provider", "model", "off"), THINKERS)
def test_a_choice_that_requires_nothing_leaves_the_model_thinking(
    provider: str, model: str, off: dict[str, Any]
) -> None:
    """An explicit `auto` is the default, which is left out; `none` is sent."""
    assert "tool_choice" not in body_of(provider, model, stream=True, tools=[F], tool_choice="auto")
    for choice in ("auto", "none", None):
        body = body_of(provider, model, stream=True, tools=[F], tool_choice=choice)
        assert not off.keys() & body.keys()
    assert body_of(provider, model, tools=[F], tool_choice="auto", **off)["tool_choice"] == "auto"


@pytest.mark.parametrize("choice", FORCED[:2])
@pytest.mark.parametrize("drop_params", [False, True])
def test_a_model_that_always_thinks_cannot_be_forced(choice: Any, *, drop_params: bool) -> None:
    with pytest.raises(Unsupported, match="always thinks") as rejected:
        encode(
            "deepseek", "deepseek-reasoner", tools=[F], tool_choice=choice, drop_params=drop_params
        )
    assert rejected.value.param == "tool_choice"


@pytest.mark.parametrize(
    ("provider", "model"),
    [("deepseek", "deepseek-chat"), ("moonshot", "kimi-k2-turbo-preview"),
     ("moonshot", "kimi-k3"), ("dashscope", "qwen-max"),
     ("dashscope", "qwen3-235b-a22b-instruct-2507"), ("openai_like", "deepseek-v4-pro")],
)  # fmt: skip
def test_other_models_get_a_required_call_as_it_is(provider: str, model: str) -> None:
    body = body_of(provider, model, stream=True, tools=[F], tool_choice="required")
    assert body["tool_choice"] == "required"
    assert not body.keys() & {"thinking", "enable_thinking"}


def test_deepseek_chat_cannot_be_forced_only_if_it_is_asked_to_think() -> None:
    asked: Any = {"tools": [F], "tool_choice": "required", "thinking": {"type": "enabled"}}
    with pytest.raises(Unsupported) as rejected:
        encode("deepseek", "deepseek-chat", **asked)
    assert rejected.value.param == "thinking"
    wire = encode("deepseek", "deepseek-chat", drop_params=True, **asked)
    assert json.loads(wire.body)["thinking"] == {"type": "disabled"}
    assert "thinking" in wire.dropped
    body = body_of("deepseek", "deepseek-chat", **{**asked, "thinking": {"type": "disabled"}})
    assert body["tool_choice"] == "required"


def test_servers_of_no_vendor_get_the_old_name_of_the_limit() -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        body = body_of("openai_like", "m", **{name: 5})
        assert body.keys() & {"max_tokens", "max_completion_tokens"} == {"max_tokens"}
    assert body_of("openai_like", "gpt-5", max_tokens=5)["max_completion_tokens"] == 5


# ---- calls without a stream ----


@pytest.mark.parametrize("model", ["qwen3-32b", "qwen3-235b-a22b", "qwen3-0.6b", "qwen3-30b-a3b"])
def test_qwens_open_models_do_not_think_in_a_call_without_a_stream(model: str) -> None:
    wire = encode("dashscope", model)
    assert json.loads(wire.body)["enable_thinking"] is False
    assert wire.dropped == ("enable_thinking",)
    assert "enable_thinking" not in body_of("dashscope", model, stream=True)
    assert body_of("dashscope", model, enable_thinking=True)["enable_thinking"] is True


@pytest.mark.parametrize(
    "model", ["qwen3-235b-a22b-thinking-2507", "qwen3-32b-instruct", "qwen-plus", "qwen3-max"]
)
def test_other_models_of_dashscope_get_no_such_field(model: str) -> None:
    assert encode("dashscope", model).dropped == ()
    assert "enable_thinking" not in body_of("dashscope", model)


# ---- parameters that a model fixes ----


@pytest.mark.parametrize("model", ["kimi-k2.5", "kimi-k2.6", "kimi-k3"])
@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", 0.2), ("top_p", 0.9), ("presence_penalty", 0.5), ("frequency_penalty", 0.5)],
)
def test_kimi_fixes_its_sampling(model: str, name: str, value: float) -> None:
    asked: dict[str, Any] = {name: value}
    nothing: dict[str, Any] = {name: 1 if name in {"temperature", "top_p"} else 0}
    with pytest.raises(Unsupported) as rejected:
        encode("moonshot", model, **asked)
    assert rejected.value.param == name
    wire = encode("moonshot", model, drop_params=True, **asked)
    assert wire.dropped == (name,)
    assert name not in json.loads(wire.body)
    assert encode("moonshot", model, **nothing).dropped == ()
    assert (
        encode("moonshot", model, temperature=0.6, top_p=0.95).dropped == ()
    )  # what it has anyway
    assert body_of("moonshot", "kimi-k2-thinking", **asked)[name] == value


@pytest.mark.parametrize(
    ("provider", "model", "levels"),
    [
        ("cerebras", "gpt-oss-120b", {"none", "low", "medium", "high"}),
        ("cerebras", "zai-glm-4.7", {"none", "low", "medium", "high"}),
        ("perplexity", "sonar-deep-research", {"minimal", "low", "medium", "high"}),
    ],
)
def test_a_level_that_a_vendor_does_not_have_is_rejected_by_name(
    provider: str, model: str, levels: set[str]
) -> None:
    for level in ("none", "minimal", "low", "medium", "high", "xhigh", "max"):
        if level in levels:
            assert body_of(provider, model, reasoning_effort=level)["reasoning_effort"] == level
            continue
        with pytest.raises(Unsupported) as rejected:
            encode(provider, model, reasoning_effort=level)
        assert rejected.value.param == "reasoning_effort"
        wire = encode(provider, model, reasoning_effort=level, drop_params=True)
        assert wire.dropped == ("reasoning_effort",)


def test_groqs_service_tiers_are_its_own() -> None:
    for tier in ("auto", "on_demand", "flex", "performance"):
        assert body_of("groq", "openai/gpt-oss-120b", service_tier=tier)["service_tier"] == tier
    wire = encode("groq", "openai/gpt-oss-120b", service_tier="default")  # of OpenAI: the usual one
    assert "service_tier" not in json.loads(wire.body)
    assert wire.dropped == ()
    with pytest.raises(Unsupported, match="on_demand") as rejected:
        encode("groq", "openai/gpt-oss-120b", service_tier="priority")
    assert rejected.value.param == "service_tier"
    wire = encode("groq", "openai/gpt-oss-120b", service_tier="priority", drop_params=True)
    assert wire.dropped == ("service_tier",)


# ---- schemas ----

SCHEMA = {
    "type": "object",
    "properties": {
        "c": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 3},
        "n": {"type": "integer", "minimum": 1, "description": "Stars."},
        "at": {"type": "string", "format": "date-time"},
    },
    "required": ["c"],
}


@pytest.mark.parametrize(
    ("provider", "model", "has_formats"),
    [("groq", "openai/gpt-oss-120b", True), ("cerebras", "gpt-oss-120b", False)],
)
def test_bounds_in_a_schema_move_into_the_description(
    provider: str, model: str, *, has_formats: bool
) -> None:
    asked = {"name": "n", "strict": True, "description": "A list.", "schema": SCHEMA}
    form = {"type": "json_schema", "json_schema": asked}
    before = json.dumps(form)
    sent = body_of(provider, model, response_format=form)["response_format"]
    assert sent["type"] == "json_schema"
    assert {**sent["json_schema"], "schema": SCHEMA} == asked
    at = {"type": "string", "format": "date-time"}
    if not has_formats:
        at = {"type": "string", "description": '(format: "date-time")'}
    assert sent["json_schema"]["schema"]["properties"] == {
        "c": {
            "type": "array", "items": {"type": "string"},
            "description": "(minItems: 2, maxItems: 3)",
        },
        "n": {"type": "integer", "description": "Stars. (minimum: 1)"},
        "at": at,
    }  # fmt: skip
    assert json.dumps(form) == before
    assert body_of("together_ai", "m", response_format=form)["response_format"] == form


# ---- Mistral ----


def test_mistral_gets_audio_as_its_base64_alone() -> None:
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    wire = encode("mistral", "voxtral-small-latest", {"role": "user", "content": [part]})
    content = json.loads(wire.body)["messages"][0]["content"]
    assert content == [{"type": "input_audio", "input_audio": "AAAA"}]
    assert wire.dropped == ()
    own = {"type": "input_audio", "input_audio": "https://a.test/a.mp3"}
    body = body_of("mistral", "voxtral-small-latest", {"role": "user", "content": [own]})
    assert body["messages"][0]["content"] == [own]
    body = body_of("groq", "m", {"role": "user", "content": [part]})
    assert body["messages"][0]["content"] == [part]


def test_mistral_gets_what_it_documents() -> None:
    asked: dict[str, Any] = {
        "logprobs": True,
        "top_logprobs": 2,
        "top_k": 5,
        "service_tier": "standard_only",
    }
    wire = encode("mistral", "mistral-large-latest", **asked)
    assert wire.dropped == ()
    assert asked.items() <= json.loads(wire.body).items()


@pytest.mark.parametrize(
    "content", ["ab", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]]
)
def test_mistral_gets_a_prediction_as_one_text(content: Any) -> None:
    prediction = {"type": "content", "content": content}
    body = body_of("mistral", "codestral-latest", prediction=prediction)
    assert body["prediction"] == {"type": "content", "content": "ab"}
    assert body_of("fireworks_ai", "m", prediction=prediction)["prediction"] == prediction


# ---- messages ----

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_an_image_in_a_result_is_in_the_users_next_message_where_results_are_texts() -> None:
    """After the last result, so that each call has its results right after it."""
    texts = [{"type": "text", "text": "A map."}]
    other = {**CALL, "id": "call_2", "function": {"name": "g", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        U,
        {"role": "assistant", "content": None, "tool_calls": [CALL, other]},
        {"role": "tool", "tool_call_id": "call_1", "content": [*texts, IMAGE]},
        {"role": "tool", "tool_call_id": "call_2", "content": [IMAGE]},
        U,
    ]
    label = {"type": "text", "text": "From the result of the tool `f`:"}
    expected = [
        *messages[:2],
        {**messages[2], "content": texts},
        {**messages[3], "content": IN_NEXT},
        {"role": "user", "content": [label, IMAGE]},
        {"role": "user", "content": [{**label, "text": label["text"].replace("f`", "g`")}, IMAGE]},
        U,
    ]
    for provider, model in (("openai", "gpt-5.2"), ("bedrock", "openai.gpt-oss-20b-1:0")):
        wire = encode(provider, model, *messages)
        assert (json.loads(wire.body)["messages"], wire.dropped) == (expected, ("messages[].role",))
    assert body_of("openai_like", "gpt-5.2", *messages)["messages"] == messages
    assert body_of("openai", "gpt-5.2", *messages[:2], expected[2], expected[2])
    unknown = {"type": "file", "file": {"file_id": "https://a.test/a.pdf"}}
    messages[2] = {**messages[2], "content": [*texts, unknown]}
    with pytest.raises(Unsupported) as rejected:
        encode("openai", "gpt-5.2", *messages)
    assert rejected.value.param == "messages[2].content[1]"


@pytest.mark.parametrize(
    ("model", "has_system"),
    [("o1-mini", False), ("o1-preview-2024-09-12", False), ("o1", True), ("gpt-4o", True)],
)
@pytest.mark.parametrize("role", ["system", "developer"])
def test_the_system_prompt_is_the_users_for_models_that_have_none(
    model: str, role: str, *, has_system: bool
) -> None:
    wire = encode("openai", model, {"role": role, "content": "Be brief."}, U)
    sent = json.loads(wire.body)["messages"]
    assert sent == [{"role": role if has_system else "user", "content": "Be brief."}, U]
    assert wire.dropped == (() if has_system else ("messages[].role",))
    assert encode("openai", model, U).dropped == ()


def test_groq_gets_a_system_prompt_as_one_text() -> None:
    parts = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
             {"type": "text", "text": "b"}]  # fmt: skip
    sent = body_of("groq", "m", {"role": "system", "content": parts}, U)["messages"]
    assert sent[0] == {"role": "system", "content": "a\nb"}
    image = {"role": "user", "content": [{"type": "text", "text": "a"}, IMAGE]}
    assert body_of("groq", "m", image)["messages"] == [image]
