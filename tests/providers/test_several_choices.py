"""
Requests for several choices: these begin in order, whatever the vendor writes as `index`.

Judged by openai-python's accumulator. A stream's choices have the places of the plain response's.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from fanout.providers import registry
from fanout.schema.choice_deltas import ChoiceDeltas
from fanout.wire.http import WireEvent, WireResponse

from .choice_streams import (
    PROVIDERS,
    STEADY,
    choice_of,
    streamed,
    target_of,
    texts,
)


def whole_texts(provider: str, by_index: dict[int, str]) -> list[tuple[int, str]]:
    """The choices of the plain response, by their places."""
    choices = [
        choice_of(index, message={"role": "assistant", "content": text}, finish_reason="stop")
        for index, text in by_index.items()
    ]
    body = json.dumps({"id": "r", "choices": choices}).encode()
    codec = registry.find(provider).chat
    found = codec.decode(WireResponse(200, {}, body), target_of(provider, one_choice=False))
    return texts(found["choices"])


def accumulated(chunks: list[Any]) -> list[tuple[int, str | None]]:
    """What openai-python's own accumulator makes of the chunks that a client gets."""
    state = ChatCompletionStreamState()
    deltas = ChoiceDeltas()
    head = {"id": "r", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    for chunk in chunks:
        choices = deltas.shape(chunk["choices"])
        state.handle_chunk(ChatCompletionChunk.model_validate({**head, "choices": choices}))
    rest = list(deltas.rest())
    state.handle_chunk(ChatCompletionChunk.model_validate({**head, "choices": rest}))
    found = state.get_final_completion().choices
    assert all(one.finish_reason for one in found)
    return [(one.index, one.message.content) for one in found]


def pieces_of(index: int, text: str) -> list[dict[str, Any]]:
    pieces = [choice_of(index, delta={"content": letter}) for letter in text]
    return [*pieces, choice_of(index, delta={}, finish_reason="stop")]


@st.composite
def several(draw: st.DrawFn) -> tuple[dict[int, str], list[dict[str, Any]], list[dict[str, Any]]]:
    """The texts by index, the chunks with their roles, and the rest in any order."""
    indexes = draw(st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=4))
    by_index = {index: f"{index}{letter}!" for index, letter in zip(indexes, "abcd", strict=False)}
    roles = [choice_of(i, delta={"role": "assistant", "content": ""}) for i in indexes]
    left = [pieces_of(index, text) for index, text in by_index.items()]
    rest = []
    while any(left):
        rest.append(draw(st.sampled_from([one for one in left if one])).pop(0))
    return by_index, roles, rest


@pytest.mark.parametrize("provider", PROVIDERS)
@STEADY
@given(stream=several())
def test_streamed_choices_begin_in_order_and_equal_the_plain_response(
    provider: str, stream: tuple[dict[int, str], list[Any], list[Any]]
) -> None:
    """The roles come first, as OpenAI sends them, in any order; the rest takes turns at will."""
    by_index, roles, rest = stream
    chunks = streamed(provider, [[one] for one in (*roles, *rest)], one_choice=False)
    assert accumulated(chunks) == whole_texts(provider, by_index)


@pytest.mark.parametrize("provider", PROVIDERS)
@STEADY
@given(stream=several(), with_roles=st.booleans())
def test_choices_that_begin_late_are_whole_and_in_order_too(
    provider: str, stream: tuple[dict[int, str], list[Any], list[Any]], *, with_roles: bool
) -> None:
    """Without roles, or one before each text: another order may be seen only when it is late."""
    by_index, roles, rest = stream
    begun: set[int] = set()
    events: list[list[Any]] = []
    for one in rest:
        if with_roles and one["index"] not in begun:
            begun.add(one["index"])
            events.append([role for role in roles if role["index"] == one["index"]])
        events.append([one])
    found = accumulated(streamed(provider, events, one_choice=False))
    plain = whole_texts(provider, by_index)
    assert [index for index, _ in found] == [index for index, _ in plain]
    assert sorted(text or "" for _, text in found) == sorted(text for _, text in plain)
    firsts = [one["index"] for one in rest if len(begun_before(rest, one)) == 0]
    if firsts == sorted(firsts):
        assert found == plain


def begun_before(rest: list[dict[str, Any]], one: dict[str, Any]) -> list[Any]:
    """The earlier chunks of the same choice."""
    place = next(place for place, each in enumerate(rest) if each is one)
    return [each for each in rest[:place] if each["index"] == one["index"]]


@pytest.mark.parametrize("provider", PROVIDERS)
@STEADY
@given(indexes=st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=4))
def test_choices_that_take_turns_equal_the_plain_response(
    provider: str, indexes: list[int]
) -> None:
    """In one chunk each, or all in one, in whatever order the vendor begins them."""
    by_index = {index: f"{index}!" for index in indexes}
    turns = [
        list(turn) for turn in zip(*(pieces_of(*one) for one in by_index.items()), strict=True)
    ]
    plain = whole_texts(provider, by_index)
    assert accumulated(streamed(provider, turns, one_choice=False)) == plain
    alone = [[one] for turn in turns for one in turn]
    assert accumulated(streamed(provider, alone, one_choice=False)) == plain


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_a_choice_that_begins_before_a_lower_one_waits(provider: str) -> None:
    decoder = registry.find(provider).chat.decoder(target_of(provider, one_choice=False))
    counts = []
    for index in (0, 0, 2, 2, 1, 1, 2):
        data = json.dumps({"choices": [choice_of(index, delta={"content": "a"})]}).encode()
        counts.append(len(list(decoder.feed(WireEvent(data)))))
    assert counts == [1, 1, 0, 2, 1, 1, 1]
