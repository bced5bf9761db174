"""What OpenAI-compatible vendors document beyond OpenAI's API reaches them, and only them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
from fanout.providers.openai.rules import OLD_LIMIT
from fanout.schema.fanout import parse_request
from fanout.schema.validation import parse_chat, replace_messages
from fanout.wire.http import WireRequest

U = {"role": "user", "content": "Hello."}
VIDEO = {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*parts]}]}


# (vendor, fields of its reference, the field that another API does not have)
EXTENSIONS: list[tuple[str, dict[str, Any], str]] = [
    ("hosted_vllm", user(VIDEO), "messages[0].content[0]"),
    (
        "hosted_vllm",
        user({"type": "audio_url", "audio_url": {"url": "https://example.com/a.wav"}}),
        "messages[0].content[0]",
    ),
    ("openrouter", user({"type": "text", "text": "?"}, VIDEO), "messages[0].content[1]"),
    ("openai_like", user(VIDEO), "messages[0].content[0]"),
    (
        "mistral",
        user({"type": "document_url", "document_url": "https://example.com/a.pdf"}),
        "messages[0].content[0]",
    ),
    ("mistral", user({"type": "input_audio", "input_audio": "AAAA"}), "messages[0].content[0]"),
    ("mistral", {"tool_choice": "any"}, "tool_choice"),
    ("mistral", {"tools": [{"type": "web_search"}]}, "tools[0]"),
    ("groq", {"tools": [{"type": "browser_search"}]}, "tools[0]"),
    ("groq", {"tools": [{"type": "code_interpreter"}, {"type": "browser_search"}]}, "tools[0]"),
    ("xai", {"tools": [{"type": "live_search", "sources": []}]}, "tools[0]"),
    ("openrouter", {"tools": [{"type": "openrouter:web_search"}]}, "tools[0]"),
    (
        "perplexity",
        {"response_format": {"type": "regex", "regex": {"regex": "a+"}}},
        "response_format",
    ),
    ("hosted_vllm", {"response_format": {"type": "structural_tag"}}, "response_format"),
    ("openai_like", {"reasoning_effort": "ultra"}, "reasoning_effort"),
    # ollama.com/library/granite3.3
    ("ollama", {"messages": [{"role": "control", "content": "thinking"}, U]}, "messages[0].role"),
    # platform.minimax.io/docs: M2-her
    ("openai_like", {"messages": [{"role": "user_system", "content": "I"}, U]}, "messages[0].role"),
]
IDS = [f"{vendor}-{where}-{number}" for number, (vendor, _, where) in enumerate(EXTENSIONS)]
OTHER_APIS = {
    "anthropic": "claude-x",
    "bedrock": "meta.llama",
    "cohere": "command-a",
    "gemini": "gemini-2.5-flash",
}
NO_OTHER = [*OTHER_APIS.items(), ("openai", "gpt-4o"), ("azure", "gpt-4o")]


def encode(
    provider: str, model: str, fields: dict[str, Any], *, drop_params: bool = False
) -> WireRequest:
    request = parse_chat({"model": "our-name", "messages": [U], **fields})
    target = Target("our-name", model, drop_params)
    return registry.find(provider).chat.encode(request, target, False)


@pytest.mark.parametrize(("vendor", "fields", "_where"), EXTENSIONS, ids=IDS)
def test_a_documented_extension_is_sent_unchanged(
    vendor: str, fields: dict[str, Any], _where: str
) -> None:
    body = json.loads(encode(vendor, "m", fields).body)
    assert {name: body[name] for name in fields} == fields


@pytest.mark.parametrize(("_vendor", "fields", "where"), EXTENSIONS, ids=IDS)
@pytest.mark.parametrize(("provider", "model"), NO_OTHER)
def test_elsewhere_it_is_a_400_that_names_it(
    provider: str, model: str, _vendor: str, fields: dict[str, Any], where: str
) -> None:
    with pytest.raises(RequestError) as rejected:
        encode(provider, model, fields)
    assert str(rejected.value.param).startswith(where)


@pytest.mark.parametrize(("_vendor", "fields", "where"), EXTENSIONS, ids=IDS)
@pytest.mark.parametrize(("provider", "model"), OTHER_APIS.items())
def test_drop_params_leaves_out_nothing_but_a_level_of_effort(
    provider: str, model: str, _vendor: str, fields: dict[str, Any], where: str
) -> None:
    """Without a part, a tool or a format, the request would not be what the client asked for."""
    if where == "reasoning_effort":
        assert where in encode(provider, model, fields, drop_params=True).dropped
        return
    with pytest.raises(Unsupported, match="does not drop it") as rejected:
        encode(provider, model, fields, drop_params=True)
    assert str(rejected.value.param).startswith(where)


NAMELESS = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
NAMED = {"type": "json_schema", "json_schema": {"name": "response", "schema": NAMELESS["schema"]}}


def test_a_schema_without_a_name_is_togethers_and_a_named_one_for_the_codecs_of_other_apis() -> (
    None
):
    form = {"response_format": NAMELESS}
    body = json.loads(encode("together_ai", "m", form).body)
    assert body["response_format"] == NAMELESS
    for provider, model in [*OTHER_APIS.items(), ("anthropic", "claude-sonnet-4-5")]:
        named = encode(provider, model, {"response_format": NAMED}).body
        assert encode(provider, model, form).body == named
    for provider, model in [("groq", "openai/gpt-oss-120b"), ("cerebras", "gpt-oss-120b")]:
        named = encode(provider, model, {"response_format": NAMED}).body
        assert json.loads(encode(provider, model, form).body) == json.loads(named)
    for provider in ("openai", "azure"):
        with pytest.raises(RequestError, match=r"`response_format\.json_schema` is missing"):
            encode(provider, "gpt-4o", form)


# (vendor, a parameter of its reference whose values or name OpenAI does not have)
OWN: list[tuple[str, dict[str, Any]]] = [
    # openrouter.ai/docs/api/reference/parameters: for Claude, it is the effort
    ("openrouter", {"verbosity": "max"}),
    ("openrouter", {"verbosity": "xhigh"}),
    # Together's and Fireworks's SDKs for Python: a number of tokens
    ("together_ai", {"logprobs": 1}),
    ("fireworks_ai", {"logprobs": 5}),
    ("fireworks_ai", {"reasoning_effort": 2048}),
    ("fireworks_ai", {"reasoning_effort": True}),
    # Model Studio's API reference: a stop sequence may be the ids of its tokens
    ("dashscope", {"stop": [108386, 104307]}),
    ("dashscope", {"stop": [[108386, 104307]]}),
    ("hosted_vllm", {"top_logprobs": 50}),
    ("lm_studio", {"max_tokens": -1}),
    ("lm_studio", {"ttl": 300}),
    ("openai_like", {"ttl": 300}),
    ("friendliai", {"eos_token": [2, 128001]}),
    ("openai_like", {"temperature": 2.5}),
    ("mistral", {"guardrails": [{"block_on_error": True, "moderation_llm_v2": {}}]}),
    ("volcengine", {"caching": {"type": "enabled"}, "thinking": {"type": "auto"}}),
]


@pytest.mark.parametrize(("vendor", "fields"), OWN)
def test_a_parameter_of_its_own_reaches_the_vendor(vendor: str, fields: dict[str, Any]) -> None:
    """Through the whole check of a request, in which LiteLLM's arguments are rejected."""
    body = {"model": "m", "messages": [U], **fields}
    for request in (parse_chat(body), parse_request(body).conversations[0]):
        wire = registry.find(vendor).chat.encode(request, Target("m", "m"), False)
        sent = json.loads(wire.body)
        renamed = {OLD_LIMIT.get(name, name): value for name, value in fields.items()}
        assert {name: sent[name] for name in renamed} == renamed
        assert wire.dropped == ()


@pytest.mark.parametrize(
    ("vendor", "own"),
    [("hosted_vllm", "continuous_usage_stats"), ("volcengine", "chunk_include_usage")],
)
def test_an_option_of_its_streams_reaches_the_vendor(vendor: str, own: str) -> None:
    """As the references of vLLM and Volcengine have it; OpenAI's own option is for OpenAI."""
    options = {own: True, "include_usage": False, "include_obfuscation": False}
    body = {"model": "m", "messages": [U], "stream": True, "stream_options": options}
    request = parse_request(body).conversations[0]
    sent = {}
    for name in (vendor, "openai"):
        wire = registry.find(name).chat.encode(request, Target("m", "m"), True)
        sent[name] = json.loads(wire.body)["stream_options"]
    assert sent[vendor] == {own: True, "include_usage": True}
    assert sent["openai"] == {own: True, "include_usage": True, "include_obfuscation": False}


NAMES = frozenset({"caching", "eos_token", "guardrails", "ttl", "verbosity"})
"""A server with OpenAI's API judges the numbers; these names, Groq and xAI do not document."""


@pytest.mark.parametrize(
    ("provider", "model", "fields"),
    [
        *((name, model, fields) for name, model in NO_OTHER for _, fields in OWN),
        *((name, "m", f) for name in ("groq", "xai") for _, f in OWN if NAMES & f.keys()),
    ],
)
def test_nobody_else_gets_it_and_the_error_names_it(
    provider: str, model: str, fields: dict[str, Any]
) -> None:
    name = next(iter(fields))
    with pytest.raises(RequestError) as rejected:
        encode(provider, model, fields)
    assert (rejected.value.detail.param or "").partition("[")[0] == name


def test_drop_params_keeps_guardrails() -> None:
    """A request without them is another one."""
    fields = {"guardrails": [{"block_on_error": True}]}
    for provider, model in (*NO_OTHER, ("groq", "m")):
        with pytest.raises(Unsupported, match="guardrails"):
            encode(provider, model, fields, drop_params=True)
        assert encode(provider, model, {"ttl": 5}, drop_params=True).dropped == ("ttl",)


def test_a_default_effort_reaches_groq_and_asks_nothing_of_other_apis() -> None:
    fields = {"reasoning_effort": "default"}
    assert (
        json.loads(encode("groq", "qwen/qwen3-32b", fields).body)["reasoning_effort"] == "default"
    )
    for provider, model in OTHER_APIS.items():
        wire = encode(provider, model, fields)
        assert b"effort" not in wire.body
        assert wire.dropped == ()


def test_top_k_of_minus_one_means_all_tokens() -> None:
    assert json.loads(encode("hosted_vllm", "m", {"top_k": -1}).body)["top_k"] == -1
    assert b"top" not in encode("gemini", "gemini-2.5-flash", {"top_k": -1}).body


def test_mistrals_short_form_of_an_image_is_read_for_other_vendors() -> None:
    fields = user({"type": "image_url", "image_url": "https://example.com/a.png"})
    assert json.loads(encode("mistral", "m", fields).body)["messages"] == fields["messages"]
    source = {"type": "url", "url": "https://example.com/a.png"}
    sent = json.loads(encode("anthropic", "claude-x", fields).body)["messages"][0]["content"]
    assert sent == [{"type": "image", "source": source}]


@pytest.mark.parametrize("image", ["https://example.com/a.png", "data:image/png;base64,AAAA"])
@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_openai_gets_an_image_that_is_an_address_alone_as_an_object(
    provider: str, image: str
) -> None:
    fields = user({"type": "image_url", "image_url": image})
    sent = json.loads(encode(provider, "gpt-4o", fields).body)["messages"][0]["content"]
    assert sent == [{"type": "image_url", "image_url": {"url": image}}]


def test_a_call_without_a_type_is_a_functions() -> None:
    call = {"id": "D681PevKs", "function": {"name": "f", "arguments": "{}"}, "index": 0}
    answer = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "D681PevKs", "content": "1"}
    fields = {"messages": [U, answer, result]}
    for provider in ("openai", "groq", "mistral"):
        sent = json.loads(encode(provider, "gpt-4o", fields).body)["messages"][1]["tool_calls"]
        assert sent == [{"id": call["id"], "type": "function", "function": call["function"]}]
    assert b"D681PevKs" in encode("anthropic", "claude-x", fields).body


def test_a_wrong_value_beside_an_extension_is_reported_for_what_it_is() -> None:
    with pytest.raises(RequestError) as rejected:
        parse_chat({"model": "m", "messages": [U], "n": "x", "tool_choice": "any"})
    assert rejected.value.param == "n"


def test_a_list_of_conversations_has_the_extensions_of_each() -> None:
    plain = parse_chat({"model": "m", "messages": [U]})
    body = {**plain.body, **user(VIDEO)}
    request = replace_messages(plain, body)
    assert request.extensions == ("messages",)
    claude = registry.find("anthropic").chat
    with pytest.raises(Unsupported):
        claude.encode(request, Target("our-name", "claude-x"), False)
    assert replace_messages(request, plain.body).extensions == ()
