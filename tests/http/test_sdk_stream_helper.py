"""OpenAI's helper for streams, `chat.completions.stream`, with several models in one response."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.http.openai_clients import BYE, HI
from tests.support.provider_steps import answers, refuse, role, say, stop, wait
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
