"""Responses without a message, and Gemini's candidates with odd indexes: nothing paid is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fanout.providers import registry
from fanout.providers.base import BadWire, Target
from fanout.schema.validation import parse_chat
from fanout.wire.http import WireEvent, WireResponse
from tests.providers.recorded_streams import dump
from tests.providers.test_tolerant_reading import check, collected

PAID = {"usage": {"prompt_tokens": 5, "completion_tokens": 0, "total_tokens": 5}}
GOOGLES = {"usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 5}}
NOTHING: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "openai": ("gpt-4o", {"choices": []}, PAID),
    "azure": ("gpt-4o", {"choices": None}, PAID),
    "groq": ("m", {"choices": []}, PAID),
    "openai_like": ("m", {}, PAID),
    "bedrock": ("openai.gpt-oss-20b-1:0", {"choices": []}, PAID),
    "gemini": ("gemini-x", {"candidates": []}, GOOGLES),
    "vertex_ai": ("gemini-x", {}, GOOGLES),
    "cohere": ("m", {}, {"usage": {"tokens": {"input_tokens": 5, "output_tokens": 0}}}),
}


@pytest.mark.parametrize("provider", NOTHING)
def test_a_response_without_a_message_is_delivered_as_empty_if_it_was_paid(provider: str) -> None:
    """An error would be sent again, and paid again. Clients read the first choice."""
    model, body, usage = NOTHING[provider]
    codec, target = registry.find(provider).chat, Target("our-name", model)
    found = codec.decode(WireResponse(200, {}, dump({**body, **usage})), target)
    assert len(found["choices"]) == 1
    choice: Any = found["choices"][0]
    assert choice["index"] == 0
    assert choice["message"] == {"role": "assistant", "content": ""}
    assert choice["finish_reason"] == "stop"
    assert found["usage"] is not None
    assert found["usage"]["prompt_tokens"] == 5
    check(found)


def test_a_total_alone_shows_that_a_response_was_paid_too() -> None:
    body = dump({"choices": [], "usage": {"total_tokens": "12"}})
    found = registry.find("openai").chat.decode(WireResponse(200, {}, body), Target("m", "gpt-4o"))
    assert found["choices"][0]["message"] == {"role": "assistant", "content": ""}
    assert found["usage"] is None
    check(found)


@pytest.mark.parametrize("provider", NOTHING)
def test_a_response_without_a_message_that_nobody_paid_is_an_error(provider: str) -> None:
    model, body, usage = NOTHING[provider]
    codec, target = registry.find(provider).chat, Target("our-name", model)
    unpaid = json.loads(dump(usage).replace(b"5", b"0"))
    for response in (body, {**body, **unpaid}):
        with pytest.raises(BadWire, match="has no"):
            codec.decode(WireResponse(200, {}, dump(response)), target)


def test_converse_is_delivered_without_a_message_if_it_was_paid() -> None:
    target = Target("our-name", "amazon.nova-2-lite-v1:0", options={"aws_region_name": "us-east-1"})
    decode = registry.find("bedrock").chat.decode
    usage = {"inputTokens": 5, "outputTokens": 0, "totalTokens": 5}
    found = decode(WireResponse(200, {}, dump({"output": {}, "usage": usage})), target)
    assert found["choices"][0]["message"]["content"] == ""
    with pytest.raises(BadWire):
        decode(WireResponse(200, {}, dump({"output": {}})), target)


# ---- Gemini's candidates ----

OTHER_INDEXES = [1, 7]
ODD_INDEXES: list[Any] = ["absent", None, 0, 1, 7, -1, 1.5, "0", "odd", True, [], {}]


def event(*candidates: tuple[Any, str], end: bool = False) -> dict[str, Any]:
    """An event with candidates of these indexes and texts; `end`: with their finish reasons."""
    return {
        "candidates": [
            {"content": {"parts": [{"text": text}]}}
            | ({"index": index} if index != "absent" else {})
            | ({"finishReason": "STOP"} if end else {})
            for index, text in candidates
        ],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
    }


def streamed(*events: dict[str, Any], one_choice: bool = False) -> Any:
    target = Target("our-name", "gemini-x", one_choice=one_choice)
    decoder = registry.find("gemini").chat.decoder(target)
    chunks = [chunk for one in events for chunk in decoder.feed(WireEvent(dump(one)))]
    assert decoder.ended
    for chunk in chunks:
        check(chunk)
    return collected(chunks)


def whole(response: dict[str, Any]) -> Any:
    decode = registry.find("gemini").chat.decode
    return decode(WireResponse(200, {}, dump(response)), Target("our-name", "gemini-x"))


def texts(completion: Any) -> list[tuple[int, str]]:
    return [(one["index"], one["message"]["content"]) for one in completion["choices"]]


@pytest.mark.parametrize("index", ODD_INDEXES, ids=str)
def test_the_text_of_one_candidate_is_one_choice_whatever_its_index(index: Any) -> None:
    events = [event((index, "Hel")), event((index, "lo")), event((index, "!"), end=True)]
    completion = streamed(*events, one_choice=True)
    assert texts(completion) == [(0, "Hello!")]
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert texts(whole(events[0])) == [(0, "Hel")]


@pytest.mark.parametrize("index", [one for one in ODD_INDEXES if one not in OTHER_INDEXES], ids=str)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_index_that_says_nothing_leaves_the_candidate_as_it_is(index: Any, place: int) -> None:
    indexes: list[Any] = [0, 0, 0]
    indexes[place] = index
    events = [
        event((indexes[i], text), end=text == "!") for i, text in enumerate(["Hel", "lo", "!"])
    ]
    completion = streamed(*events, one_choice=True)
    assert texts(completion) == [(0, "Hello!")]
    assert completion["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("first", ODD_INDEXES, ids=str)
@pytest.mark.parametrize("second", ODD_INDEXES, ids=str)
def test_two_candidates_of_one_event_are_two_choices(first: Any, second: Any) -> None:
    both = [(first, "A"), (second, "B")]
    assert texts(whole(event(*both, end=True))) == [(0, "A"), (1, "B")]
    for one_choice in (False, True):
        found = streamed(event(*both), event(*both, end=True), one_choice=one_choice)
        assert texts(found) == [(0, "AA"), (1, "BB")]


def test_candidates_that_come_one_by_one_are_told_apart_by_their_index() -> None:
    events = [
        event((0, "A")),
        event((1, "B")),
        event((1, "b"), end=True),
        event((0, "a"), end=True),
    ]
    assert texts(streamed(*events)) == [(0, "Aa"), (1, "Bb")]


@pytest.mark.parametrize("provider", ["gemini", "vertex_ai"])
@pytest.mark.parametrize(("n", "one"), [(None, True), (1, True), (2, False)])
def test_the_decoder_knows_how_many_choices_the_client_asked_for(
    provider: str, n: int | None, *, one: bool
) -> None:
    request = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "n": n})
    target = Target("our-name", "gemini-x", options={"vertex_project": "p"})
    assert registry.find(provider).chat.encode(request, target, True).one_choice is one
