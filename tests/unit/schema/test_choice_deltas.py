"""The fields that are collected until the end of a choice."""

from __future__ import annotations

from typing import Any

import pytest

from fanout.schema.choice_deltas import ChoiceDeltas


def delta_of(deltas: ChoiceDeltas, **fields: Any) -> list[Any]:
    choices = deltas.shape([{"index": 0, "delta": fields, "finish_reason": None}])
    return [choice["delta"] for choice in choices]


def test_fields_beyond_the_limit_are_sent_as_they_arrive() -> None:
    deltas = ChoiceDeltas(limit=30)
    assert delta_of(deltas, citations=["https://a.test"]) == [{"role": "assistant"}]
    assert delta_of(deltas, citations=["https://b.test"]) == []
    assert delta_of(deltas, citations=["https://c.test"]) == [{"citations": ["https://c.test"]}]
    (rest,) = deltas.rest()
    assert rest["delta"] == {"citations": ["https://a.test", "https://b.test"]}


TEXT = {"content": "Hi"}


@pytest.mark.parametrize("delta", [{}, TEXT, {"role": "assistant", **TEXT}], ids=str)
def test_text_after_the_end_of_a_choice_comes_before_it(delta: dict[str, Any]) -> None:
    """Some servers end a choice too early, and clients stop reading at a finish reason."""
    deltas, found = ChoiceDeltas(), []
    for each, reason in [(TEXT, None), (delta, "stop"), ({"content": "!"}, None)]:
        choice = {"index": 0, "delta": each, "finish_reason": reason, "logprobs": None}
        found += deltas.shape([choice])
    found += deltas.rest()
    assert [one["finish_reason"] for one in found] == [None] * (len(found) - 1) + ["stop"]
    texts = [one["delta"].get("content", "") for one in found]
    assert "".join(texts) == f"Hi{delta.get('content', '')}!"


def test_what_comes_with_an_end_is_sent_once() -> None:
    deltas = ChoiceDeltas()
    more: dict[str, Any] = {"logprobs": {"content": [{"token": "Hi"}]}, "own": 1}
    end = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "length", **more}
    (text,) = deltas.shape([end])
    assert text == {**end, "delta": {"content": "Hi", "role": "assistant"}, "finish_reason": None}
    assert list(deltas.rest()) == [{"index": 0, "delta": {}, "finish_reason": "length"}]


def test_the_ends_of_several_choices_come_in_order() -> None:
    deltas = ChoiceDeltas()
    for index in (1, 0):
        (start,) = deltas.shape([{"index": index, "delta": {}, "finish_reason": "stop"}])
        assert (start["delta"], start["finish_reason"]) == ({"role": "assistant"}, None)
    ends = [(one["index"], one["finish_reason"]) for one in deltas.rest()]
    assert ends == [(0, "stop"), (1, "stop")]


def test_log_probabilities_of_an_end_come_before_those_of_a_later_text() -> None:
    deltas, found = ChoiceDeltas(), []
    for token, delta, reason in [
        ("Hi", TEXT, None),
        ("", {}, "stop"),
        ("!", {"content": "!"}, None),
    ]:
        logprobs = {"content": [{"token": token, "top_logprobs": []}]}
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": logprobs}
        found += deltas.shape([choice])
    found += deltas.rest()
    tokens = [
        one["token"]
        for each in found
        for one in (each.get("logprobs") or {"content": []})["content"]
    ]
    assert tokens == ["Hi", "", "!"]
    assert [one["finish_reason"] for one in found] == [None, None, None, "stop"]
