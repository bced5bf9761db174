"""
The golden files against OpenAI's own SDK, and what only this API has.

The SDK's types check what Fanout sends to OpenAI, Azure and Bedrock, and what clients get from
every provider that has golden files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import _streaming
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from pydantic import TypeAdapter

from fanout.providers import registry
from fanout.providers.base import BadWire, Target, WireError
from fanout.providers.openai.rules import is_reasoning
from fanout.providers.openai.stream import ChatDecoder
from fanout.schema.accumulator import ChunkAccumulator
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireResponse
from fanout.wire.sse import SSEFramer

GOLDEN = Path(__file__).parent / "golden"
SAME_WIRE = ("openai", "azure", "bedrock")
TO_THE_LETTER = ("openai", "azure")  # their responses have no field that the SDK's types lack
TARGET = Target("our-name", "their-model")

PLAIN = TypeAdapter(CompletionCreateParamsNonStreaming)
STREAMED = TypeAdapter(CompletionCreateParamsStreaming)
KNOWN = CompletionCreateParamsNonStreaming.__annotations__.keys() | {
    *CompletionCreateParamsStreaming.__mro__[0].__annotations__
}


def files(name: str, providers: tuple[str, ...] = ("*",)) -> list[Any]:
    found = sorted(path for one in providers for path in GOLDEN.glob(f"{one}/*/{name}"))
    if providers == SAME_WIRE:  # `test_converse` checks Bedrock's other API
        found = [path for path in found if not path.parent.name.startswith("converse")]
    return [pytest.param(path, id=f"{path.parts[-3]}-{path.parts[-2]}") for path in found]


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def exhaust(value: Any) -> None:
    """Iterate over everything: pydantic checks an `Iterable` only then."""
    if isinstance(value, dict):
        for item in value.values():
            exhaust(item)
    elif not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for item in value:
            exhaust(item)


@pytest.mark.parametrize("path", files("wire.json", SAME_WIRE))
def test_a_plain_request_fits_the_sdks_types(path: Path) -> None:
    body = load(path)["body"]
    exhaust(PLAIN.validate_python(body))
    assert body.keys() <= KNOWN


@pytest.mark.parametrize("path", files("wire_stream.json", SAME_WIRE))
def test_a_streamed_request_fits_the_sdks_types(path: Path) -> None:
    body = load(path)["body"]
    exhaust(STREAMED.validate_python(body))
    assert body.keys() <= KNOWN


@pytest.mark.parametrize("path", files("response.json", TO_THE_LETTER))
def test_the_golden_responses_fit_the_sdks_types(path: Path) -> None:
    ChatCompletion.model_validate(load(path))


@pytest.mark.parametrize("path", files("chat.json"))
def test_what_clients_get_fits_the_sdks_completion_type(path: Path) -> None:
    """The gateway sets `id` and `created` if a provider sends none."""
    ChatCompletion.model_validate({"id": "stamped", "created": 0} | load(path))


@pytest.mark.parametrize("path", files("chunks.json"))
def test_what_clients_get_fits_the_sdks_chunk_type(path: Path) -> None:
    chunks = load(path)
    for chunk in chunks:
        ChatCompletionChunk.model_validate({"id": "stamped", "created": 0} | chunk)
    assert len({chunk.get("id") for chunk in chunks}) == 1


@pytest.mark.parametrize("path", files("stream.txt"))
def test_the_sdks_parser_finds_the_same_events(path: Path) -> None:
    data = path.read_bytes()
    theirs = [
        (event.event or "", event.data)
        for event in _streaming.SSEDecoder().iter_bytes(iter([data]))
        if event.data
    ]
    assert [(event.type, event.data.decode()) for event in SSEFramer().feed(data)] == theirs


def without_nothing(value: Any) -> Any:
    """A message without its empty fields, which a stream does not have."""
    if isinstance(value, dict):
        kept = {name: without_nothing(item) for name, item in value.items()}
        return {name: item for name, item in kept.items() if item not in (None, [], {}, "")}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


PAIRS = [
    pytest.param(path.parent, id=f"{path.parts[-3]}-{path.parts[-2]}")
    for path in sorted(GOLDEN.glob("*/*-stream/chunks.json"))
    if (path.parent.with_name(path.parts[-2].removesuffix("-stream")) / "chat.json").exists()
]
OF_THE_PIECE = {"content_filter_results", "delta", "channel"}


@pytest.mark.parametrize("case", PAIRS)
def test_a_stream_gives_the_same_response_as_the_plain_case_of_its_name(case: Path) -> None:
    """Like the contract's test, for vendors whose responses have nulls that their streams lack."""
    accumulator = ChunkAccumulator()
    for chunk in load(case / "chunks.json"):
        accumulator.add(chunk)
    whole: Any = accumulator.completion()
    chat = load(case.with_name(case.name.removesuffix("-stream")) / "chat.json")
    for answer in (whole, chat):
        for choice in answer["choices"]:
            for name in OF_THE_PIECE:
                choice.pop(name, None)
                choice["message"].pop(name, None)
            choice["message"].pop("prefix", None)
    assert without_nothing(whole["choices"]) == without_nothing(chat["choices"])
    assert whole["usage"] == chat["usage"]


# ---- what a request keeps ----


def encoded(body: dict[str, Any], model: str = "their-model", *, stream: bool = False) -> Any:
    request = parse_chat(
        {"model": "our-name", "messages": [{"role": "user", "content": "Hi."}]} | body
    )
    wire = registry.find("openai").chat.encode(request, Target("our-name", model), stream)
    return json.loads(wire.body)


def test_an_unknown_field_is_sent_unchanged() -> None:
    assert encoded({"field_of_tomorrow": {"a": [1]}})["field_of_tomorrow"] == {"a": [1]}


def test_the_clients_stream_options_are_kept_beside_ours() -> None:
    body = encoded({"stream_options": {"include_obfuscation": False}}, stream=True)
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}


def test_stream_options_are_not_sent_without_a_stream() -> None:
    """OpenAI rejects them with a 400, and the gateway may decide not to stream."""
    assert "stream_options" not in encoded({"stream_options": {"include_usage": True}})


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("gpt-5", True),
        ("gpt-5.2", True),
        ("gpt-6-astra", True),
        ("gpt-10", True),
        ("o1", True),
        ("o3-mini", True),
        ("o4-mini-2025-04-16", True),
        ("ft:o4-mini:acme", True),
        ("gpt-4.1", False),
        ("gpt-4o", False),
        ("gpt-3.5-turbo", False),
        ("ft:gpt-4o-mini:acme", False),
        ("chatgpt-4o-latest", False),
        ("gpt-oss-120b", False),
        ("llama3-8b", False),
        ("omni-moderation", False),
    ],
)
def test_reasoning_models_are_recognized_by_their_names(model: str, *, reasons: bool) -> None:
    """And only OpenAI's: another server may support only `max_tokens`."""
    assert is_reasoning(model) is reasons
    limit = "max_completion_tokens" if reasons else "max_tokens"
    assert encoded({"max_tokens": 5}, model)[limit] == 5


def test_a_null_limit_does_not_hide_the_other() -> None:
    body = encoded({"max_completion_tokens": None, "max_tokens": 5}, "o3")
    assert (body["max_completion_tokens"], "max_tokens" in body) == (5, False)


# ---- malformed responses ----


def decoded(body: bytes) -> Any:
    return registry.find("openai").chat.decode(WireResponse(200, {}, body), TARGET)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"null", b"[]", b'"hey"', b"{}", b'{"choices":[]}', b'{"choices":[{}]}',
     b'{"choices":[{"message":{"content":{}}}]}', b'{"choices":[{"message":null}]}',
     b'{"choices":[{"message":{"tool_calls":{}}}]}', b'{"choices":[{"message":{}}],"usage":[]}'],
)  # fmt: skip
def test_a_malformed_response_is_an_error(body: bytes) -> None:
    with pytest.raises((BadWire, ValueError)):
        decoded(body)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"code": 429, "message": "slow down"}, 429),
        ({"code": "429", "message": "slow down"}, 429),
        ({"code": "rate_limit_exceeded", "message": "slow down"}, 429),
        ({"code": None, "type": "invalid_request_error", "message": "slow down"}, 400),
        ({"code": "server_error", "message": "slow down"}, 502),
        ({"code": 1300, "message": "slow down"}, 502),
        ({"code": True, "message": "slow down"}, 502),
        ("slow down", 502),
    ],
)
def test_an_error_inside_a_success_is_raised_with_its_status(fault: Any, status: int) -> None:
    """OpenRouter sends it beside choices, others alone; both in a response and in a stream."""
    choices = [{"index": 0, "message": {}, "delta": {}, "finish_reason": "error"}]
    for response in ({"error": fault}, {"error": fault, "choices": choices}):
        data = json.dumps(response).encode()
        with pytest.raises(WireError, match="slow down") as plain:
            decoded(data)
        with pytest.raises(WireError, match="slow down") as streamed:
            list(ChatDecoder(TARGET).feed(WireEvent(data)))
        assert plain.value.status == streamed.value.status == status


# ---- the end of a stream ----


def piece(index: int = 0, finish: str | None = None) -> WireEvent:
    choice = {"index": index, "delta": {}, "finish_reason": finish}
    return WireEvent(json.dumps({"choices": [choice]}).encode())


def ended_after(*events: WireEvent) -> bool:
    decoder = ChatDecoder(TARGET)
    for event in events:
        list(decoder.feed(event))
    return decoder.ended


def test_a_stream_ends_with_done_or_with_every_choice_finished() -> None:
    assert not ended_after()
    assert not ended_after(piece())
    assert ended_after(piece(), WireEvent(b"[DONE]"))
    assert ended_after(piece(), piece(finish="stop"))


def test_one_finished_choice_does_not_end_a_stream_with_another() -> None:
    assert not ended_after(piece(0), piece(1), piece(0, "stop"))
    assert ended_after(piece(0), piece(1), piece(0, "stop"), piece(1, "length"))


def test_a_chunk_after_a_finish_reason_does_not_reopen_the_stream() -> None:
    assert ended_after(piece(0), piece(0, "stop"), piece(0))


def test_keep_alives_and_a_vendors_own_events_are_ignored() -> None:
    decoder = ChatDecoder(TARGET)
    own = [WireEvent(b""), WireEvent(b'{"type":"ping"}'), WireEvent(b"{}")]
    assert [chunk for event in own for chunk in decoder.feed(event)] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
PARTS = st.fixed_dictionaries(
    {}, optional={"type": st.sampled_from(["text", "thinking"]), "text": JSON, "thinking": JSON}
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "content": JSON | st.lists(PARTS, max_size=2),
        "reasoning": JSON,
        "tool_calls": JSON,
    },
)
USAGE = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": JSON,
        "completion_tokens": JSON,
        "total_tokens": JSON,
        "completion_tokens_details": JSON | st.fixed_dictionaries({"reasoning_tokens": JSON}),
        "prompt_cache_hit_tokens": JSON,
    },
)
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "message": JSON | MESSAGE,
        "delta": JSON | MESSAGE,
        "index": JSON,
        "finish_reason": JSON | st.sampled_from(["error", "eos", "stop"]),
        "error": JSON,
    },
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "error": JSON,
        "message": JSON,
        "object": st.sampled_from(["error", "chat.completion"]),
        "usage": JSON | USAGE,
        "service_tier": JSON,
        "choices": JSON | st.lists(CHOICE, max_size=2),
    },
)


def malformed(provider: str, value: Any) -> Iterator[None]:
    """Decode `value` as a response and as an event; any error but the expected ones is a bug."""
    codec = registry.find(provider).chat
    data = json.dumps(value).encode()
    for attempt in (
        lambda: codec.decode(WireResponse(200, {}, data), TARGET),
        lambda: list(codec.decoder(TARGET).feed(WireEvent(data))),
    ):
        try:
            attempt()
        except (BadWire, WireError, ValueError):
            yield None


@pytest.mark.parametrize("provider", ["openai", "azure", "bedrock", "groq"])
@settings(derandomize=True, deadline=None)
@given(value=NEARLY | JSON)
def test_malformed_data_gives_a_response_or_an_expected_error(provider: str, value: Any) -> None:
    list(malformed(provider, value))
    registry.find(provider).explain(500, json.dumps(value).encode())
