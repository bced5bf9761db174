"""What OpenAI-compatible vendors document beyond OpenAI's API reaches them, and only them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.errors import RequestError, Unsupported
from fanout.providers import registry
from fanout.providers.base import Target
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
