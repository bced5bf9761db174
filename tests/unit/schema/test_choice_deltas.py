"""The fields that are collected until the end of a choice."""

from __future__ import annotations

from typing import Any

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
