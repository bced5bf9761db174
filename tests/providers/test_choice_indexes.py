"""
The indexes of choices, which clients keep choices apart by, whatever a vendor writes as `index`.

A request for one choice gives one with the index 0, unless the vendor sends more. Choices have the
indexes 0, 1, 2 and so on, in the order of the vendor's, and begin in this order. No text is lost,
and no two choices are joined.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanout.config.deployment import make_deployment
from fanout.config.model import ModelParams
from fanout.providers import registry
from fanout.schema.response_chunks import chunks_of
from fanout.schema.validation import parse_chat
from fanout.transport.request_encoding import encode_request

from .choice_streams import (
    INDEXES,
    PROVIDERS,
    STEADY,
    UNREADABLE,
    choice_of,
    collected,
    streamed,
    target_of,
    texts,
    whole,
)

ARGUMENTS = ['{"a"', ": ", "1}"]


# ---- plain responses ----


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("count", [1, 2, 3])
@STEADY
@given(data=st.data())
def test_the_choices_of_a_plain_response_have_the_order_of_the_vendors_indexes(
    provider: str, count: int, data: st.DataObject
) -> None:
    indexes = [data.draw(st.sampled_from(INDEXES)) for _ in range(count)]
    read = [place if one in UNREADABLE else int(one) for place, one in enumerate(indexes)]
    numbers = list(range(count))
    order = numbers if len(set(read)) < count else sorted(numbers, key=lambda place: read[place])
    found = whole(provider, indexes)
    assert texts(found["choices"]) == [(n, str(place)) for n, place in enumerate(order)]
    again = collected(list(chunks_of(found)))  # a race reads a plain response as a stream
    assert sorted(text for _, text in texts(again)) == [str(number) for number in numbers]


# ---- streams ----


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("indexes", list(itertools.product(INDEXES, repeat=2)), ids=str)
def test_the_text_of_a_request_for_one_choice_is_of_the_choice_zero_if_there_is_one(
    provider: str, indexes: tuple[Any, Any]
) -> None:
    """Two indexes that take turns are two choices, and one that cannot be read says nothing."""
    first, second = indexes
    chunks = streamed(
        provider,
        [
            [choice_of(first, delta={"role": "assistant", "content": "Hel"}, finish_reason=None)],
            [choice_of(second, delta={"content": "lo"}, finish_reason=None)],
            [choice_of(first, delta={"content": "!"}, finish_reason=None)],
            [choice_of(second, delta={}, finish_reason="length")],
        ],
    )
    read = {int(one) for one in indexes if one not in UNREADABLE}
    found = collected(chunks)
    assert [one["index"] for one in found] == list(range(max(len(read), 1)))
    expected = ["Hello!"] if len(read) < 2 else ["Hel!", "lo"]
    assert [one["message"]["content"] for one in found] == expected
    assert found[-1]["finish_reason"] == "length"


TEXTS = ("abc", "XYZ")


@st.composite
def streams_of_one(draw: st.DrawFn) -> list[list[Any]]:
    """One choice, whatever its server counts."""
    start, step = draw(st.sampled_from([(0, 0), (1, 0), (5, 0), (0, 1), (1, 1), (None, 0)]))
    deltas: list[dict[str, Any]] = [{"content": letter} for letter in TEXTS[0]]
    match draw(st.sampled_from([None, "alone", "first", "each"])):
        case "alone":
            deltas = [{"role": "assistant", "content": draw(st.sampled_from(["", None]))}, *deltas]
        case "first":
            deltas[0] = {"role": "assistant", **deltas[0]}
        case "each":
            deltas = [{"role": "assistant", **delta} for delta in deltas]
        case _:
            pass
    chunks = [
        [choice_of("absent" if start is None else start + step * place, delta=delta)]
        for place, delta in enumerate([*deltas, {}])
    ]
    chunks[-1][0]["finish_reason"] = "stop"
    return chunks


@st.composite
def streams_of_two(draw: st.DrawFn) -> list[list[Any]]:
    """Two choices that take turns in any order, each with an index of its own."""
    pair = draw(st.sampled_from([(0, 1), (1, 0), (1, 2), (0, 5), (7, 2)]))
    left: list[list[Any]] = []
    for index, text in zip(pair, TEXTS, strict=True):
        pieces = [choice_of(index, delta={"content": letter}) for letter in text]
        if draw(st.booleans()):
            pieces.insert(0, choice_of(index, delta={"role": "assistant", "content": ""}))
        left.append([*pieces, choice_of(index, delta={}, finish_reason="stop")])
    chunks = []
    while any(left):
        pieces = draw(st.sampled_from([one for one in left if one]))
        chunks.append([pieces.pop(0)])
    return chunks


@pytest.mark.parametrize("provider", PROVIDERS)
@STEADY
@given(chunks=streams_of_one())
def test_no_way_of_counting_divides_a_choice(provider: str, chunks: list[list[Any]]) -> None:
    assert texts(collected(streamed(provider, chunks))) == [(0, TEXTS[0])]


@pytest.mark.parametrize("provider", PROVIDERS)
@STEADY
@given(chunks=streams_of_two())
def test_texts_of_two_choices_are_never_joined(provider: str, chunks: list[list[Any]]) -> None:
    found = collected(streamed(provider, chunks))
    assert [one["index"] for one in found] == [0, 1]
    assert sorted(one["message"]["content"] for one in found) == sorted(TEXTS)
    assert [one["finish_reason"] for one in found] == ["stop", "stop"]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("index", INDEXES, ids=str)
@pytest.mark.parametrize("reason", ["tool_calls", "eos", "absent"])
def test_so_are_its_tool_calls(provider: str, index: Any, reason: str) -> None:
    start = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    parts = [start, *({"index": 0, "function": {"arguments": text}} for text in ARGUMENTS)]
    events = [[choice_of(index, delta={"tool_calls": [p]}, finish_reason=None)] for p in parts]
    if reason != "absent":
        events.append([choice_of(index, delta={}, finish_reason=reason)])
    (choice,) = collected(streamed(provider, events))
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "f", "arguments": '{"a": 1}'}
    assert choice["index"] == 0
    assert choice["finish_reason"] == "tool_calls" or reason == "eos"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("one_choice", [False, True])
def test_choices_of_one_chunk_are_told_apart_by_their_indexes(
    provider: str, *, one_choice: bool
) -> None:
    start = [choice_of(i, delta={"content": text}) for i, text in enumerate("AB")]
    late = [[choice_of(1, delta={"content": "b"})], [choice_of(0, delta={"content": "a"})]]
    found = collected(streamed(provider, [start, *late], one_choice=one_choice))
    assert texts(found) == [(0, "Aa"), (1, "Bb")]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("start", [{}, {"content": ""}, {"content": None, "refusal": None}])
def test_a_choice_that_begins_beside_the_first_is_another_one(
    provider: str, start: dict[str, Any]
) -> None:
    """The server gives two choices although one was asked for; their texts are never joined."""
    roles = [choice_of(i, delta={"role": "assistant", **start}) for i in (0, 1)]
    pieces = [choice_of(i, delta={"content": text}) for i, text in [(1, "B"), (0, "A"), (1, "b")]]
    ends = [choice_of(i, delta={}, finish_reason="stop") for i in (0, 1)]
    found = collected(streamed(provider, [[one] for one in (*roles, *pieces, *ends)]))
    assert texts(found) == [(0, "A"), (1, "Bb")]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_roles_of_a_server_that_counts_the_chunks_begin_no_choice(provider: str) -> None:
    deltas = [{"role": "assistant", "content": text} for text in ("Hel", "lo")]
    events = [[choice_of(place, delta=delta)] for place, delta in enumerate(deltas)]
    end = [choice_of(2, delta={"role": "assistant", "content": ""}, finish_reason="length")]
    (choice,) = collected(streamed(provider, [*events, end]))
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "length")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_empty_pieces_of_a_server_that_counts_the_chunks_begin_no_choice(provider: str) -> None:
    """As of a character that is several tokens: the first ones have no text, and a role each."""
    for pieces in itertools.product(["", "a"], repeat=4):
        deltas = [{"role": "assistant", "content": text} for text in pieces]
        events = [[choice_of(place, delta=delta)] for place, delta in enumerate(deltas)]
        end = [choice_of(4, delta={"role": "assistant", "content": ""}, finish_reason="stop")]
        (choice,) = collected(streamed(provider, [*events, end]))
        assert choice["message"]["content"] == "".join(pieces)
        assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("count", range(1, 7))
def test_a_counted_chunk_loses_nothing_beside_its_text(provider: str, count: int) -> None:
    def logprobs(text: str) -> dict[str, Any]:
        return {"content": [{"token": text, "logprob": -0.5, "bytes": None, "top_logprobs": []}]}

    events = [
        [choice_of(i, delta={"content": text}, logprobs=logprobs(text), finish_reason=None, own=i)]
        for i, text in enumerate("abcdef"[:count])
    ]
    chunks = streamed(provider, events)
    (choice,) = collected(chunks)
    assert [one["token"] for one in choice["logprobs"]["content"]] == list("abcdef"[:count])
    sent = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [one["own"] for one in sent if "own" in one] == list(range(count))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_second_choice_of_one_chunk_is_another_one(provider: str) -> None:
    events = [
        [choice_of(0, delta={"content": "A"})],
        [choice_of(1, delta={"content": "B"}, finish_reason="stop")],
        [choice_of(0, delta={}, finish_reason="length")],
    ]
    found = collected(streamed(provider, events))
    assert texts(found) == [(0, "A"), (1, "B")]
    assert [one["finish_reason"] for one in found] == ["length", "stop"]


# ---- what was asked for ----


@pytest.mark.parametrize("provider", ["openai", "azure", "openai_like", "mistral", "bedrock"])
@pytest.mark.parametrize(("n", "one"), [(None, True), (1, True), (2, False)])
def test_the_decoder_knows_how_many_choices_the_client_asked_for(
    provider: str, n: int | None, *, one: bool
) -> None:
    request = parse_chat({"messages": [{"role": "user", "content": "Hi"}], "n": n})
    target = target_of(provider, one_choice=False)
    assert registry.find(provider).chat.encode(request, target, True).one_choice is one


def test_the_config_may_ask_for_several_choices() -> None:
    params: dict[str, Any] = {"model": "openai/m", "api_key": "k", "extra_body": {"n": 2}}
    deployment = make_deployment("name", ModelParams(**params), {}, {})
    request = parse_chat({"messages": [{"role": "user", "content": "Hi"}]})
    assert encode_request(deployment, request, stream=True).one_choice is False
