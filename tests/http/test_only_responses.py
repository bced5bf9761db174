"""OpenAI's models that have only the Responses API, called with chat completions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter

from fanout.errors import RequestError
from fanout.providers import registry
from fanout.providers.base import Target, WireError
from fanout.providers.openai.native_batch import make_batches
from fanout.providers.openai.provider import PROVIDER
from fanout.providers.openai.responses.models import has_only_responses
from fanout.providers.openai.responses.stream import ResponsesDecoder
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireResponse
from tests.http.responses_scripts import WEATHER, responds
from tests.support.gateway_server import RunningGateway, entry, serve
from tests.support.provider_steps import refuse
from tests.support.scripted_provider import Upstream

TARGET = Target("our-name", "o3-pro")
PARAMS: dict[bool, TypeAdapter[Any]] = {
    False: TypeAdapter(ResponseCreateParamsNonStreaming),
    True: TypeAdapter(ResponseCreateParamsStreaming),
}
USER: dict[str, Any] = {"role": "user", "content": "Hi"}
USAGE = {
    "input_tokens": 1,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 3,
}
CUSTOM = {"id": "call_2", "type": "custom", "custom": {"name": "sh", "input": "ls"}}


def encoded(*, stream: bool = False, target: Target = TARGET, **body: Any) -> Any:
    """The body for the API, which OpenAI's types accept."""
    request = parse_chat({"messages": [USER], **body})
    wire = PROVIDER.chat.encode(request, target, stream)
    assert wire.path == "/responses"
    sent = json.loads(wire.body)
    PARAMS[stream].validate_python(sent)
    return sent


def test_the_models() -> None:
    only = ("o3-pro", "o1-pro-2025-03-19", "gpt-5.2-codex", "responses/gpt-4o", "gpt-5-pro")
    both = ("gpt-5", "gpt-4o", "o3", "gpt-5-proof", "my-gpt-5-codex", "gpt-5.2")
    assert [name for name in only + both if has_only_responses(name)] == [*only]
    sent = encoded(target=Target("n", "responses/gpt-4o"), temperature=0.5)
    assert (sent["model"], sent["temperature"], "include" in sent) == ("gpt-4o", 0.5, False)
    batch = json.loads(make_batches(TARGET).create("key", "file").body)
    assert batch["endpoint"] == "/v1/responses"


FIELDS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_tokens": 100}, {"max_output_tokens": 100}),
    ({"max_completion_tokens": 3}, {"max_output_tokens": 16}),
    ({"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
    ({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}),
    ({"store": True}, {"store": True}),
    ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
    (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": False},
            }
        },
        {
            "text": {
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "schema": {"type": "object"},
                    "strict": False,
                }
            }
        },
    ),
    (
        {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
        {
            "tools": [{"type": "function", "name": "f", "strict": False}],
            "tool_choice": {"type": "function", "name": "f"},
        },
    ),
    (
        {
            "web_search_options": {
                "user_location": {"type": "approximate", "approximate": {"country": "DE"}}
            }
        },
        {
            "tools": [
                {"type": "web_search", "user_location": {"type": "approximate", "country": "DE"}}
            ]
        },
    ),
]


def test_each_field_has_its_other_form() -> None:
    faults = []
    for given, wanted in FIELDS:
        sent = encoded(**given)
        for tool in sent.get("tools", ()):
            tool.pop("parameters", None)
        found = {name: sent.get(name) for name in wanted}
        if found != wanted:
            faults.append((given, found))
    assert faults == []
    refused: dict[str, Any] = {"stop": "x", "n": 2, "seed": 1, "logit_bias": {"1": 2}}
    for name, value in refused.items():
        with pytest.raises(RequestError, match=name):
            encoded(**{name: value})


def test_messages_are_items() -> None:
    sealed = {"openai": {"reasoning_items": [{"id": "rs", "encrypted_content": "gAAA"}]}}
    image = {"type": "image_url", "image_url": {"url": "http://x/y.png"}}
    messages = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": [{"type": "text", "text": "What?"}, image]},
        {
            "role": "assistant",
            "content": "Wait",
            "tool_calls": [WEATHER, CUSTOM],
            "extra_content": sealed,
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sun"},
        {"role": "tool", "tool_call_id": "call_2", "content": "files"},
    ]
    sent = encoded(messages=messages, stream=True)
    assert (sent["store"], sent["stream"]) == (False, True)
    assert sent["include"] == ["reasoning.encrypted_content"]
    items = sent["input"]
    assert items[2] == {
        "type": "reasoning",
        "summary": [],
        **sealed["openai"]["reasoning_items"][0],
    }
    assert [item["type"] for item in items] == [
        *("message", "message", "reasoning", "message", "function_call", "custom_tool_call"),
        *("function_call_output", "custom_tool_call_output"),
    ]
    assert items[1]["content"][1] == {
        "type": "input_image",
        "image_url": "http://x/y.png",
        "detail": "auto",
    }
    assert items[2]["encrypted_content"] == "gAAA"
    assert items[4]["arguments"] == WEATHER["function"]["arguments"]  # type: ignore[index]


@pytest.mark.parametrize("base", ["", "https://gateway.test/v1"])
@pytest.mark.parametrize(
    ("model", "kept"),
    [
        ("gpt-5-pro", ["mine"]),
        ("responses/gpt-5-pro", ["mine"]),
        ("responses/o3-pro", ["other"]),
        ("responses/smart", []),
    ],
)
def test_encrypted_reasoning_of_another_model_is_left_out_and_noted(
    model: str, base: str, kept: list[str]
) -> None:
    """Also for another gateway: an item of this API does not say which model made it."""
    made = [
        {"id": "rs_1", "encrypted_content": "mine", "model": "gpt-5-pro"},
        {"id": "rs_2", "encrypted_content": "other", "model": "o3-pro"},
    ]
    said: dict[str, Any] = {"role": "assistant", "content": "A"}
    for items in (made, made[:1], made[1:], []):
        said |= {"extra_content": {"openai": {"reasoning_items": items}}}
        request = parse_chat({"messages": [USER, said, USER]})
        target = Target("m", model, options={"api_base": base} if base else {})
        wire = registry.find("openai").chat.encode(request, target, False)
        sent = [one for one in json.loads(wire.body)["input"] if one["type"] == "reasoning"]
        found = [one["encrypted_content"] for one in sent]
        assert found == [
            one["encrypted_content"] for one in items if one["encrypted_content"] in kept
        ]
        assert ("messages[].extra_content" in wire.dropped) is (len(found) < len(items))


# ---- the way back: another gateway's Responses API is the vendor ----


@pytest.fixture
def chat(server: RunningGateway, upstream: Upstream) -> Iterator[openai.OpenAI]:
    upstream.reset()
    params = {"model": "openai/responses/a", "api_base": f"{server.url}/v1", "api_key": "k"}
    other = entry(upstream, "b")
    config = {
        "model_list": [{"model_name": "pro", "litellm_params": params}, other],
        "router_settings": {"num_retries": 0},
    }
    with (
        serve(config) as served,
        openai.OpenAI(api_key="k", base_url=f"{served.url}/v1", max_retries=0) as client,
    ):
        yield client


MESSAGES: list[tuple[dict[str, Any], str]] = [
    ({"content": "Hello you"}, "stop"),
    ({"content": "Hello"}, "length"),
    ({"content": None, "refusal": "I cannot"}, "stop"),
    ({"content": "Hello", "reasoning_content": "Think"}, "stop"),
    ({"content": "Wait", "tool_calls": [WEATHER, {**WEATHER, "id": "call_9"}]}, "tool_calls"),
    ({"content": None, "tool_calls": [CUSTOM]}, "tool_calls"),
    (
        {
            "content": "See",
            "annotations": [
                {"type": "url_citation", "url_citation": {"url": "http://x", "title": "X"}}
            ],
        },
        "stop",
    ),
]


def test_a_response_comes_back_plain_and_streamed(chat: openai.OpenAI, upstream: Upstream) -> None:
    faults = []
    for message, reason in MESSAGES:
        upstream.script("a", *[responds(message, reason)] * 2)
        messages: Any = [USER]
        plain = chat.chat.completions.create(model="pro", messages=messages)
        whole = ChunkAccumulator()
        for chunk in chat.chat.completions.create(
            model="pro", messages=messages, stream=True, stream_options={"include_usage": True}
        ):
            whole.add(chunk.to_dict())  # type: ignore[arg-type]
        for response in (plain.to_dict(), whole.completion()):
            got: Any = response
            choice = got["choices"][0]
            wanted = {name: value for name, value in message.items() if value is not None}
            found = {name: choice["message"].get(name) for name in wanted}
            if found != wanted or choice["finish_reason"] != reason:
                faults.append((message, choice))
            assert got["usage"]["total_tokens"] == 12
    assert faults == []


def test_errors_come_back(chat: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", [refuse(429, "slow down")])
    with pytest.raises(openai.RateLimitError, match="slow down"):
        chat.chat.completions.create(model="pro", messages=[{"role": "user", "content": "Hi"}])


def test_failed_and_odd_responses() -> None:
    failed = {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "slow"}}
    with pytest.raises(WireError, match="slow") as caught:
        PROVIDER.chat.decode(WireResponse(200, {}, json.dumps(failed).encode()), TARGET)
    assert caught.value.status == 429
    decoder = ResponsesDecoder(TARGET)
    event = {"type": "response.failed", "response": failed}
    with pytest.raises(WireError, match="slow"):
        list(decoder.feed(WireEvent(json.dumps(event).encode())))


def test_reasoning_without_deltas_and_its_encrypted_content() -> None:
    reasoning: dict[str, Any] = {"type": "reasoning", "id": "rs", "encrypted_content": "gAAA"}
    reasoning |= {"summary": [{"type": "summary_text", "text": "Hmm"}]}
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}
    response = {"id": "resp_1", "created_at": 1, "model": "o3-pro", "status": "completed"}
    response |= {"output": [reasoning, call], "usage": USAGE}
    decoder = ResponsesDecoder(TARGET)
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**response, "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": reasoning},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.completed", "response": response},
    ]
    chunks: list[Any] = []
    for event in events:
        chunks += decoder.feed(WireEvent(json.dumps(event).encode()))
    assert decoder.ended
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    sealed = {"id": "rs", "encrypted_content": "gAAA", "model": "o3-pro"}
    extra = {"openai": {"reasoning_items": [sealed]}}
    assert deltas[0] == {"reasoning_content": "Hmm"}
    assert deltas[1] == {"extra_content": extra}
    assert deltas[2]["tool_calls"][0]["function"] == {"name": "f", "arguments": ""}
    assert deltas[3]["tool_calls"][0]["function"] == {"arguments": "{}"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    Response.model_validate(
        {**response, "object": "response", "parallel_tool_calls": True}
        | {"tool_choice": "auto", "tools": []}
    )
    plain: Any = PROVIDER.chat.decode(WireResponse(200, {}, json.dumps(response).encode()), TARGET)
    assert plain["choices"][0]["message"]["extra_content"] == extra


def test_azure_has_its_own_path() -> None:
    azure = registry.find("azure")
    for base, path in {
        "https://x.openai.azure.com": "/openai/v1/responses",
        "https://x.openai.azure.com/openai/v1": "/responses",
    }.items():
        target = Target("n", "gpt-5-codex", options={"api_base": base, "api_version": "2024-10-21"})
        wire = azure.chat.encode(parse_chat({"messages": [USER]}), target, False)
        assert (wire.path, json.loads(wire.body)["model"]) == (path, "gpt-5-codex")


def test_only_the_model_that_made_encrypted_reasoning_gets_it_back() -> None:
    google = {"thought_signature": "c2ln"}
    sealed = {"id": "rs", "encrypted_content": "gAAA", "model": "o3-pro"}
    extra = {"openai": {"reasoning_items": [sealed]}, "google": google}
    said = {"role": "assistant", "content": "Hello", "extra_content": extra}
    request = parse_chat({"messages": [USER, said, USER]})
    for provider, model, gets in (
        ("openai", "o3-pro", True),
        ("openai", "gpt-5-pro", False),
        ("openai", "gpt-4o", False),
        ("aihubmix", "o3-pro", True),
        ("hosted_vllm", "other", False),
        ("aihubmix", "other", False),
        ("gemini", "gemini-2.5-flash", False),
        ("anthropic", "claude-sonnet-4-5", False),
        ("cohere", "command-a", False),
    ):
        for options in ({}, {"api_base": "https://own.test/v1"}):
            target = Target("n", model, drop_params=True, options=options)
            wire = registry.find(provider).chat.encode(request, target, False)
            assert (provider, model, b"gAAA" in wire.body) == (provider, model, gets)
    wire = registry.find("aihubmix").chat.encode(request, Target("n", "other"), False)
    assert json.loads(wire.body)["messages"][1]["extra_content"] == {"google": google}
    assert wire.dropped == ("messages[].extra_content",)


def test_another_gateway_gets_the_encrypted_reasoning_of_all_its_models() -> None:
    """It marks them with names of its own, and gives each of its models only that one's."""
    items = [{"id": one, "encrypted_content": "gAAA", "model": one} for one in ("o3-pro", "o4-pro")]
    extra = {"openai": {"reasoning_items": items}}
    said = {"role": "assistant", "content": "Hello", "extra_content": extra}
    request = parse_chat({"messages": [USER, said, USER]})
    for provider in ("openai", "openai_like", "litellm_proxy"):
        options = {"api_base": "https://own.test/v1"}
        target = Target("n", "my-thinker", options=options)
        wire = registry.find(provider).chat.encode(request, target, False)
        assert json.loads(wire.body)["messages"][1]["extra_content"] == extra
        assert wire.dropped == ()
