"""OpenAI's helper for streams, `chat.completions.stream`, in each mode and with vendors' fields."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.http.openai_clients import BYE, HI
from tests.support.provider_steps import answers, delta, refuse, role, say, stop, wait
from tests.support.scripted_provider import Upstream


def final(client: openai.OpenAI, model: str, **more: Any) -> list[Any]:
    with client.chat.completions.stream(model=model, messages=HI, **more) as stream:
        for _ in stream:
            pass
        return stream.get_final_completion().choices


@pytest.mark.parametrize("order", ["a, b", "b, a", "a, b, c", "b, a, c"])
def test_choices_that_begin_in_any_order_are_collected(
    client: openai.OpenAI, upstream: Upstream, order: str
) -> None:
    ready = upstream.gate()
    upstream.script("a", [wait(ready), *answers("from a")])
    upstream.script("b", [role, say("from "), say("b"), stop])
    upstream.script("c", answers("from c"))
    with client.chat.completions.stream(model=order, messages=HI) as stream:
        for event in stream:
            if event.type == "chunk" and any(c.finish_reason for c in event.chunk.choices):
                ready.open()
        choices = stream.get_final_completion().choices
    names = order.split(", ")
    assert [choice.message.content for choice in choices] == [f"from {name}" for name in names]
    assert {choice.message.role for choice in choices} == {"assistant"}
    assert {choice.finish_reason for choice in choices} == {"stop"}


def test_a_model_that_fails_is_a_refusal_in_its_place(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", [refuse(500, "a is down")])
    upstream.script("b", answers("fine"))
    failed, good = final(client, "a, b")
    assert (failed.message.refusal, failed.finish_reason) == ("`a`: a is down", "stop")
    assert (good.message.content, good.message.refusal) == ("fine", None)


def test_a_list_of_conversations_is_collected(client: openai.OpenAI, upstream: Upstream) -> None:
    upstream.script("a", answers("one"))
    choices = final(client, "a", extra_body={"messages": [HI, BYE]})
    assert [choice.message.content for choice in choices] == ["one", "one"]


MODES: dict[str, dict[str, Any]] = {
    "one": {"model": "a"},
    "race": {"model": "a, c", "extra_body": {"fastest_response": True}},
    "all": {"model": "b, a"},
}
"""The choice of the model `a` is the last one."""

LISTS: dict[str, tuple[list[Any], list[Any]]] = {
    "objects": ([[{"t": "x"}], [{"t": "y"}, {"t": "z"}]], [{"t": "x"}, {"t": "y"}, {"t": "z"}]),
    "pieces of an object": (
        [[{"index": 0, "text": "x", "format": "f"}], [{"index": 0, "text": "y", "format": "f"}]],
        [{"index": 0, "text": "xy", "format": "f"}],
    ),
    "indexes from 1": ([[{"index": 1}], [{"index": 2}]], [{"index": 1}, {"index": 2}]),
    "texts": ([["https://a.test"], ["https://b.test"]], ["https://a.test", "https://b.test"]),
    "lists": ([[[1, 2]], [[3]]], [[1, 2], [3]]),
    "nulls": ([[None], [None, 1]], [None, None, 1]),
    "texts and objects": ([["x"], [{"t": "y"}], ["z"]], ["x", {"t": "y"}, "z"]),
    "an empty list first": ([[], [{"t": "x"}], [{"t": "y"}]], [{"t": "x"}, {"t": "y"}]),
    "null last": ([[{"t": "x"}], None], [{"t": "x"}]),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("pieces", "whole"), LISTS.values(), ids=LISTS)
def test_a_list_that_is_not_openais_can_come_in_several_deltas(
    client: openai.OpenAI, upstream: Upstream, mode: str, pieces: list[Any], whole: list[Any]
) -> None:
    lists = [delta(own=piece, nested={"own": piece}) for piece in pieces]
    upstream.script("a", [role, say("Hel"), *lists, say("lo"), stop])
    upstream.script("b", answers("other"))
    upstream.script("c", [refuse(500, "c is down")])
    message = final(client, **MODES[mode])[-1].message.to_dict()
    assert (message["content"], message["own"]) == ("Hello", whole)
    assert message["nested"] == {"own": whole}


@pytest.mark.parametrize("mode", MODES)
def test_a_role_that_the_vendor_repeats_is_in_the_first_chunk_only(
    client: openai.OpenAI, upstream: Upstream, mode: str
) -> None:
    said = [delta(role="assistant", content=text) for text in ("Hel", "lo")]
    upstream.script("a", [role, *said, delta(role="assistant"), stop])
    upstream.script("b", answers("other"))
    upstream.script("c", [refuse(500, "c is down")])
    message = final(client, **MODES[mode])[-1].message
    assert (message.role, message.content) == ("assistant", "Hello")


def test_a_role_that_the_vendor_does_not_send_is_in_the_first_chunk(
    client: openai.OpenAI, upstream: Upstream
) -> None:
    upstream.script("a", [say("Hel"), say("lo"), stop])
    message = final(client, "a")[0].message
    assert (message.role, message.content) == ("assistant", "Hello")
