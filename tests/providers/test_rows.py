"""The quirks of the rows, and the differences of their responses from OpenAI's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import Bearer, Target, WireError
from fanout.providers.openai.normalize import normalize_choice, normalize_usage
from fanout.providers.registry import PREFIXES
from fanout.providers.rows import ROWS
from fanout.schema.accumulator import ChunkAccumulator as Accumulator
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireRequest, WireResponse

HI = {"model": "our-name", "messages": [{"role": "user", "content": "Hi."}]}
TARGET = Target("our-name", "their-model")
ALL = sorted(ROWS)


def encode(provider: str, body: dict[str, Any], *, stream: bool = False) -> WireRequest:
    return registry.find(provider).chat.encode(parse_chat(HI | body), TARGET, stream)


def body_of(provider: str, body: dict[str, Any], *, stream: bool = False) -> Any:
    return json.loads(encode(provider, body, stream=stream).body)


@pytest.mark.parametrize("name", ALL)
def test_every_row_makes_a_provider_with_an_address_and_a_key(name: str) -> None:
    provider = registry.find(name)
    assert provider.auth == Bearer()
    assert provider.keys
    assert len(set(provider.keys)) == len(provider.keys)
    assert provider.base_url == "{api_base}" or provider.base_url.startswith(
        ("https://", "http://127.0.0.1:")
    )
    assert not provider.base_url.endswith("/")
    assert provider.key_optional or provider.base_url.startswith("https://")


@pytest.mark.parametrize("name", ALL)
def test_no_row_drops_fields_that_ask_for_nothing(name: str) -> None:
    """A field with its default value, a hint or a null."""
    asks_nothing = {
        "n": 1, "logprobs": False, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "frequency_penalty": 0, "presence_penalty": 0.0, "store": False, "logit_bias": {},
        "service_tier": "auto", "seed": None, "top_logprobs": None, "user": "u-1",
        "metadata": {"a": "b"}, "safety_identifier": "s-1", "prompt_cache_key": "k",
    }  # fmt: skip
    wire = encode(name, asks_nothing)
    assert wire.dropped == ()
    assert json.loads(wire.body)["messages"] == HI["messages"]


@pytest.mark.parametrize("name", ALL)
def test_a_stream_asks_for_usage_unless_the_vendor_rejects_that(name: str) -> None:
    body = body_of(name, {"stream_options": {"include_usage": False}}, stream=True)
    asked = None if name in {"mistral", "perplexity"} else {"include_usage": True}
    assert body.get("stream_options") == asked


@pytest.mark.parametrize("name", ALL)
def test_the_limit_is_sent_once_with_the_rows_name(name: str) -> None:
    row = ROWS[name]
    theirs = row.rename.get("max_completion_tokens", "max_completion_tokens")
    body = body_of(name, {"max_completion_tokens": 9})
    assert {k: v for k, v in body.items() if k.startswith("max_")} == {theirs: 9}


@pytest.mark.parametrize("name", ALL)
def test_a_developer_message_reaches_a_vendor_without_that_role(name: str) -> None:
    messages = [{"role": "developer", "content": "Be brief."}, *HI["messages"]]
    role = "developer" if ROWS[name].developer else "system"
    assert body_of(name, {"messages": messages})["messages"][0] == {
        "role": role,
        "content": "Be brief.",
    }


@pytest.mark.parametrize("name", ALL)
def test_a_row_drops_no_field_that_it_renames_and_its_models_are_found(name: str) -> None:
    row = ROWS[name]
    assert not row.drop & row.rename.keys()
    assert registry.split_model(f"{name}/some/model") == (name, "some/model")


def test_bare_model_names_are_recognized_by_their_beginning() -> None:
    known = {*registry.FOLDERS, *ROWS}
    assert {provider for _, provider in PREFIXES if provider} <= known
    assert registry.split_model("gpt-oss-120b") is None
    assert registry.split_model("ft:o4-mini:acme") == ("openai", "ft:o4-mini:acme")
    assert registry.split_model("open-mixtral-8x22b") == ("mistral", "open-mixtral-8x22b")
    assert registry.split_model("who-knows") is None


def test_litellms_names_of_keys_come_after_the_vendors_own() -> None:
    assert registry.find("perplexity").keys == ("PERPLEXITY_API_KEY", "PERPLEXITYAI_API_KEY")
    assert registry.find("together").keys[:2] == ("TOGETHER_API_KEY", "TOGETHERAI_API_KEY")


# ---- responses ----


def chat_of(provider: str, choice: dict[str, Any], **more: Any) -> Any:
    body = {
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0} | choice],
    } | more
    codec = registry.find(provider).chat
    return codec.decode(WireResponse(200, {}, json.dumps(body).encode()), TARGET)


MESSAGE = {"role": "assistant", "content": "Hi."}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("of-tomorrow", "stop"),
        ("model_length", "length"),
        ("max_tokens", "length"),
        ("tool_calls", "stop"),  # without a call, there is nothing to run
        ("content_filter", "content_filter"),
        (None, None),
    ],
)
def test_finish_reasons_become_openais(theirs: str | None, ours: str | None) -> None:
    assert (
        normalize_choice({"message": MESSAGE, "finish_reason": theirs}, "message")["finish_reason"]
        == ours
    )


@pytest.mark.parametrize("tier", ["", "on_demand_x", "7", 7, None, "on_demand", "flex", "priority"])
def test_a_service_tier_is_openais_or_none(tier: Any) -> None:
    choice = {"message": MESSAGE, "finish_reason": "stop"}
    found = chat_of("groq", choice, service_tier=tier).get("service_tier")
    assert found == {"on_demand": "default", "flex": "flex", "priority": "priority"}.get(str(tier))


@pytest.mark.parametrize(
    ("reason", "status"), [("error", 502), ("abort", 502), ("insufficient_system_resource", 503)]
)
def test_a_response_that_failed_is_an_error(reason: str, status: int) -> None:
    with pytest.raises(WireError, match=reason) as failed:
        chat_of("deepseek", {"message": MESSAGE, "finish_reason": reason})
    assert failed.value.status == status


def test_openrouters_error_in_a_choice_is_raised_with_its_status() -> None:
    """https://openrouter.ai/docs/api-reference/errors"""
    fault = {"code": 429, "message": "Rate limited upstream"}
    with pytest.raises(WireError, match="Rate limited upstream") as failed:
        chat_of("openrouter", {"message": MESSAGE, "finish_reason": "error", "error": fault})
    assert failed.value.status == 429


def test_openrouters_error_in_a_stream_is_raised_even_beside_choices() -> None:
    chunk = {
        "id": "gen-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "provider": "openai", "error": {"code": "server_error", "message": "Provider disconnected"},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }  # fmt: skip
    decoder = registry.find("openrouter").chat.decoder(TARGET)
    with pytest.raises(WireError, match="Provider disconnected"):
        list(decoder.feed(WireEvent(json.dumps(chunk).encode())))
    assert not decoder.ended


@pytest.mark.parametrize("provider", ["groq", "cerebras", "openrouter", "together_ai", "ollama"])
def test_reasoning_has_one_name_for_clients(provider: str) -> None:
    message = chat_of(
        provider, {"message": MESSAGE | {"reasoning": "hm"}, "finish_reason": "stop"}
    )["choices"][0]["message"]
    assert message == MESSAGE | {"reasoning_content": "hm"}


def test_reasoning_under_both_names_is_unchanged() -> None:
    message = MESSAGE | {"reasoning": "hm", "reasoning_content": "hm"}
    chat = chat_of("hosted_vllm", {"message": message, "finish_reason": "stop"})
    assert chat["choices"][0]["message"] == message


def test_mistrals_references_do_not_make_the_text_a_list() -> None:
    parts = [
        {"type": "text", "text": "Paris"},
        {"type": "reference", "reference_ids": [1]},
        {"type": "text", "text": "."},
    ]
    message = {"role": "assistant", "content": parts}
    chat = chat_of("mistral", {"message": message, "finish_reason": "stop"})
    assert chat["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Paris.",
        "content_parts": [{"type": "reference", "reference_ids": [1]}],
    }


def test_xais_reasoning_is_added_to_the_completion_tokens() -> None:
    """The numbers are those of docs.x.ai/docs/guides/reasoning."""
    theirs = {
        "prompt_tokens": 32,
        "completion_tokens": 9,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
    }
    assert normalize_usage(theirs) == theirs | {"completion_tokens": 103}


def test_usage_that_counts_as_openai_does_is_unchanged() -> None:
    usage = {
        "prompt_tokens": 32,
        "completion_tokens": 103,
        "total_tokens": 135,
        "completion_tokens_details": {"reasoning_tokens": 94},
        "prompt_tokens_details": {"cached_tokens": 6},
        "prompt_cache_hit_tokens": 7,
    }
    assert normalize_usage(usage) == usage


def test_of_repeated_usage_the_last_that_can_be_read_counts() -> None:
    """Perplexity has the usage so far in each chunk of a stream."""
    decoder, whole = registry.find("perplexity").chat.decoder(Target("m", "sonar")), Accumulator()
    good = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    less = {**good, "completion_tokens": 1, "total_tokens": 4}
    usages: list[dict[str, Any]] = [less, good, {"prompt_tokens": []}]
    for usage in usages:
        delta = {"role": "assistant", "content": "a"}
        chunk = {"id": "1", "choices": [{"index": 0, "delta": delta}], "usage": usage}
        for decoded in decoder.feed(WireEvent(json.dumps(chunk).encode())):
            whole.add(decoded)
    assert whole.usage == good


def test_groqs_usage_in_its_last_chunk_is_read() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "queue_time": 0.1}
    last = {
        "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
        "x_groq": {"id": "req_1", "usage": usage},
    }  # fmt: skip
    done = WireEvent(b"[DONE]")
    decoder = registry.find("groq").chat.decoder(Target("our-name", "m"))
    (chunk,) = decoder.feed(WireEvent(json.dumps(last).encode()))
    assert "usage" not in chunk
    (end,) = decoder.feed(done)
    assert (end["choices"], end["usage"]) == ([], usage)
    unreadable: list[Any] = [{"prompt_tokens": []}, None, 5]
    for given in unreadable:
        odd = {**last, "x_groq": {"usage": given}}
        decoder = registry.find("groq").chat.decoder(Target("our-name", "m"))
        assert len(list(decoder.feed(WireEvent(json.dumps(odd).encode())))) == 1
        assert list(decoder.feed(done)) == []
    decoder = registry.find("groq").chat.decoder(Target("our-name", "m"))
    ordinary = {**last, "choices": [], "x_groq": None, "usage": usage}
    for event in (last, ordinary):
        assert len(list(decoder.feed(WireEvent(json.dumps(event).encode())))) == 1
    assert list(decoder.feed(done)) == []


def test_moonshots_usage_in_its_last_choice_is_read() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    text = {"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}

    def collected(*chunks: dict[str, Any]) -> Any:
        decoder, whole = (
            registry.find("moonshot").chat.decoder(Target("our-name", "m")),
            Accumulator(),
        )
        for chunk in chunks:
            for decoded in decoder.feed(WireEvent(json.dumps({**head, **chunk}).encode())):
                whole.add(decoded)
        for decoded in decoder.feed(WireEvent(b"[DONE]")):
            whole.add(decoded)
        return whole.completion()

    inside = {"choices": [{**end, "usage": usage}]}
    for more in ([inside], [inside, {"choices": []}], [inside, {"choices": [], "usage": usage}]):
        found = collected({"choices": [text]}, *more)
        assert found["usage"] == usage
        assert found["choices"][0]["message"]["content"] == "Hi"
    unreadable: list[Any] = [{"prompt_tokens": []}, None, 5, []]
    for odd in unreadable:
        found = collected({"choices": [text]}, {"choices": [{**end, "usage": odd}]})
        assert found.get("usage") is None
        assert found["choices"][0]["finish_reason"] == "stop"
